"""Comparing to scores: what counts as right, and what raises instead of counting as wrong."""

from __future__ import annotations

import asyncio
import difflib
import json
import math
import random
import sys
import time
import types
from decimal import Decimal
from fractions import Fraction

import pytest

from doteval import evaluators, foreach, run
from doteval.errors import NotFound, PluginError, ResultError, RowError, UsageError
from doteval.evaluators import (
    Judge,
    ast_evaluation,
    brief,
    choice_match,
    contains,
    evaluator,
    exact_match,
    f1,
    judge,
    numeric_match,
    one_of,
    regex_match,
    similarity,
    structure,
    valid_json,
)
from doteval.metrics import accuracy, mean, registry
from doteval.record import Score, Usage
from doteval.storage import open_store
from doteval.storage.encoding import dump


@pytest.fixture
def metrics_of_this_test(monkeypatch):
    """Metrics that a test registers are forgotten after it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


# --- what a score keeps ----------------------------------------------------------------------


def test_small_arguments_are_kept_as_they_are():
    """Metadata are the arguments by name."""
    arguments = {
        "result": "a",
        "n": 1,
        "x": 0.5,
        "yes": True,
        "none": None,
        "list": [1, "b", None, True],
    }

    assert brief(arguments) == arguments


def test_long_texts_are_cut_and_say_so():
    """A text keeps 1,000 characters and tells how many it had."""
    kept = brief({"result": "x" * 1_234})["result"]

    assert kept == "x" * 1_000 + "… (1,234 characters)"
    assert brief({"result": "x" * 1_000})["result"] == "x" * 1_000


def test_large_collections_are_cut_and_say_so():
    """Lists and mappings keep their first 100 values, nested ones counted."""
    kept = brief(
        {
            "list": list(range(1_000)),
            "mapping": {n: n for n in range(1_000)},
            "nested": [[n] for n in range(1_000)],
        }
    )

    assert kept["list"] == [*range(100), "… (1,000 values)"]
    assert kept["mapping"]["99"] == 99
    assert kept["mapping"]["…"] == "(1,000 keys)"
    assert len(kept["nested"]) == 51
    assert len(json.dumps(kept)) < 5_000


def test_many_texts_are_cut_together():
    """The texts of one list keep 4,000 characters."""
    kept = brief({"texts": ["x" * 900] * 50})["texts"]

    assert sum(text.count("x") for text in kept) == 4_000
    assert kept[-1] == "… (900 characters)"


def test_metadata_do_not_change_with_their_source():
    """Nothing mutable is shared with the caller."""
    calls = [{"f": {"a": [1]}}]
    kept = brief({"result": calls})
    calls[0]["f"]["a"].append(2)

    assert kept == {"result": [{"f": {"a": [1]}}]}


def test_a_structure_that_holds_itself_ends():
    """The values that may be kept run out before the stack does."""
    loop = []
    loop.append(loop)

    assert len(json.dumps(brief({"result": loop}))) < 1_000


def test_what_is_not_json_becomes_a_short_text():
    """Objects, sets, subclasses of numbers and huge integers are made plain."""

    class Text(str):
        __slots__ = ()

    class Real(float):
        pass

    class Loud:
        def __str__(self):
            return "!" * 10**6

    kept = brief(
        {
            "decimal": Decimal("1.50"),
            "set": {7},
            "tuple": (1, b"x"),
            "text": Text("a"),
            "real": Real(0.5),
            "huge": 10**5000,
            "big": 10**100,
            "loud": Loud(),
            "keys": {(1, 2): 3},
        }
    )

    assert kept["decimal"] == "1.50"
    assert kept["set"] == [7]
    assert kept["tuple"] == [1, "b'x'"]
    assert kept["huge"] == "an integer of 16,610 bits"
    assert kept["big"] == 10**100
    assert len(kept["loud"]) < 300
    assert kept["keys"] == {"(1, 2)": 3}
    assert (type(kept["text"]), type(kept["real"])) == (str, float)


# --- one's own -------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["accuracy", accuracy, accuracy(), [accuracy()], ["accuracy"]])
@pytest.mark.parametrize("by_name", [True, False])
def test_metrics_are_given_in_any_spelling(given, by_name):
    """A metric, its name or a list, by keyword or as in dotevals by position."""
    decorate = evaluator(metrics=given) if by_name else evaluator(given)

    @decorate
    def is_short(result):
        """Whether it is."""
        return len(result) < 5

    assert is_short("abc") == Score("is_short", True, ("accuracy",), {"result": "abc"})
    assert is_short.__doc__ == "Whether it is."


def test_without_metrics_the_value_decides():
    """True and false are summarised by accuracy, numbers by the mean."""

    @evaluator
    def flexible(value):
        return value

    assert flexible(True).metrics == ("accuracy",)
    assert flexible(0.5).metrics == ("mean",)
    assert evaluator()(lambda: 1)().metrics == ("mean",)


def test_several_metrics_keep_their_order():
    """Each name is kept once."""

    @evaluator(metrics=[mean, "std", "mean"])
    def size(result):
        return len(result)

    assert size("abc").metrics == ("mean", "std")


def test_a_function_may_be_a_metric(metrics_of_this_test):
    """By keyword a function of values is a metric, by position it is what is decorated."""

    def worst(values):
        return min(values)

    @evaluator(metrics=worst)
    def size(result):
        return len(result)

    assert size("abc").metrics == ("worst",)


def test_an_unknown_metric_is_told_at_once():
    """Before a single row is paid for."""
    with pytest.raises(NotFound, match="did you mean 'accuracy'"):
        evaluator(metrics="acuracy")


def test_every_call_can_name_its_score():
    """Two uses of one evaluator in one row are told apart."""

    @evaluator(metrics=accuracy, name="polite")
    def is_polite(result):
        return "please" in result

    assert is_polite("please").name == "polite"
    assert is_polite("please", name="first").name == "first"
    assert exact_match("a", "a", name="second").name == "second"


def test_metadata_are_the_arguments_by_name():
    """By position, by keyword, and the rest; defaults that were not given stay out."""

    @evaluator
    def compare(result, expected="x", *others, strict=False, **more):
        return True

    assert compare("a").metadata == {"result": "a"}
    assert compare("a", "b", "c", "d", strict=True, extra=1).metadata == {
        "result": "a",
        "expected": "b",
        "others": ["c", "d"],
        "strict": True,
        "extra": 1,
    }


def test_a_method_is_an_evaluator_too():
    """The object that it belongs to is no argument."""

    class Suite:
        @evaluator
        def check(self, result):
            return True

    assert Suite().check("a") == Score("check", True, ("accuracy",), {"result": "a"})


def test_callable_objects_are_evaluators():
    """Their scores are named after the class."""

    class Long:
        def __call__(self, result):
            return len(result) > 3

    assert evaluator(Long())("abcd") == Score("Long", True, ("accuracy",), {"result": "abcd"})


def test_an_async_function_gives_an_async_evaluator():
    """It is awaited, and takes `name=` too."""

    @evaluator(metrics="accuracy")
    async def ask(result):
        await asyncio.sleep(0)
        return result == "yes"

    score = asyncio.run(ask("yes", name="asked"))

    assert score == Score("asked", True, ("accuracy",), {"result": "yes"})


def test_an_object_with_an_async_call_gives_an_async_evaluator():
    """As a function would."""

    class Ask:
        async def __call__(self, result):
            return result == "yes"

    score = asyncio.run(evaluator(Ask())("yes"))

    assert score == Score("Ask", True, ("accuracy",), {"result": "yes"})


def test_a_score_is_passed_on():
    """An evaluator may make the score itself; the call may still rename it."""

    @evaluator
    def make(result):
        return Score("made", 3, ("max",), {"why": "so"})

    @evaluator(metrics="mean")
    def plain(result):
        return Score("made", 3, ("max",))

    assert make("a") == Score("made", 3, ("max",), {"why": "so"})
    assert make("a", name="own").name == "own"
    assert plain("a") == Score("made", 3, ("mean",), {"result": "a"})


class Scalar:
    """A value of an array library."""

    def __init__(self, value, shape=()):
        self.value, self.shape = value, shape

    def item(self):
        return self.value


def test_scalars_of_array_libraries_are_numbers():
    """What has no dimension has one value."""

    @evaluator
    def passed(value):
        return value

    assert passed(Scalar(True)).value is True
    assert passed(Scalar(0.5)).value == 0.5
    assert passed(Scalar(0.5)).metrics == ("mean",)


async def forgotten():
    return True


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "'returns' returned NoneType, expected True or False, a number or a Score"),
        ("yes", "returned str"),
        (Scalar("x"), "returned str"),
        (Scalar(1.0, (3,)), "returned Scalar"),
    ],
    ids=str,
)
def test_what_is_no_score_is_refused(value, message):
    """A mistake in an evaluator is no wrong answer."""

    @evaluator
    def returns():
        return value

    with pytest.raises(ResultError, match=message):
        returns()


def test_a_forgotten_await_is_told():
    """A coroutine is no score, and the message asks the right question."""
    pending = forgotten()

    @evaluator
    def returns():
        return pending

    with pytest.raises(ResultError, match="was an `await` forgotten"):
        returns()
    pending.close()


def test_the_parameter_name_is_taken():
    """Every evaluator takes `name=` for the name of the score."""
    with pytest.raises(UsageError, match="'clash' has a parameter 'name'"):

        @evaluator
        def clash(result, name):
            return True


def test_only_functions_are_decorated():
    """A value is no evaluator."""
    with pytest.raises(UsageError, match="decorates a function, not int"):
        evaluator(metrics="mean")(5)


# --- texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "expected", "same"),
    [("a", "a", True), ("a", "A", False), ("a ", "a", False), (1, 1, True), (1, 1.0, True)],
)
def test_exact_match(result, expected, same):
    """Equal is equal, to the last blank."""
    assert exact_match(result, expected) == Score(
        "exact_match", same, ("accuracy",), {"result": result, "expected": expected}
    )
    assert type(exact_match(result, expected).value) is bool


CAFES = ("caf\u00e9", "cafe\u0301")


@pytest.mark.parametrize(
    ("result", "expected", "options"),
    [
        (" Paris\n", "Paris", {"strip": True}),
        ("PARIS", "paris", {"ignore_case": True}),
        ("STRASSE", "straße", {"ignore_case": True}),
        ("Paris.", "Paris", {"ignore_punctuation": True}),
        ("Paris。", "Paris", {"ignore_punctuation": True}),
        ("«Paris»!", "Paris", {"ignore_punctuation": True}),
        ("¿Qué?", "Qué", {"ignore_punctuation": True}),
        ("the cat", "a cat", {"ignore_articles": True}),
        ("The  cat.", "cat", {"ignore_articles": True, "ignore_punctuation": True}),
        (*CAFES, {"normalize": "NFC"}),
        (*CAFES, {"normalize": "NFD"}),
        ("１２　３", "12 3", {"normalize": "NFKC"}),
        ("1\u202f234", "1 234", {"normalize": "NFKC"}),
        ("it\u2019s \u201cso\u201d \u2014 well", "it's \"so\" - well", {"normalize": "NFKC"}),
        ("pa\u00adris\ufeff", "paris", {"normalize": "NFKD"}),
        ("$1,234.", "1234", {"ignore": [",", r"\$", r"\.$"]}),
        ("so:\n#### 18", "18", {"ignore": r"(?s).*#### "}),
        (" The answer: PARIS!", "paris", {"ignore": "answer", "ignore_case": True, "strip": True,
                                        "ignore_punctuation": True, "ignore_articles": True}),
    ],
)  # fmt: skip
def test_what_a_comparison_may_leave_out(result, expected, options):
    """By name; without options none of it is left out, and one_of and contains know the same."""
    assert exact_match(result, expected).value is False
    assert exact_match(result, expected, **options).value is True
    assert one_of(result, ["other", expected], **options).value is True
    options.pop("strip", None)
    assert contains(f"is {result} it", expected, **options).value is True


def test_nfc_leaves_quotes_and_widths():
    """They are other characters; only the compatible forms take them for the same."""
    assert exact_match("it\u2019s", "it's", normalize="NFC").value is False
    assert exact_match("１", "1", normalize="NFD").value is False


@pytest.mark.parametrize("compare", [exact_match, one_of, contains, f1])
def test_options_that_can_not_work_are_told(compare):
    """A misspelt form would otherwise change every figure in silence."""
    expected = ["a"] if compare is one_of else "a"
    with pytest.raises(UsageError, match="normalize='nfc': expected one of NFC, NFD, NFKC, NFKD"):
        compare("a", expected, normalize="nfc")
    with pytest.raises(UsageError, match="expected regular expressions"):
        compare("a", expected, ignore=["("])
    with pytest.raises(UsageError, match="the options leave nothing"):
        contains("a", "!", ignore_punctuation=True)


@pytest.mark.parametrize(
    ("result", "expected", "problem"),
    [
        ("2", 2, "types differ: text and number"),
        (2, "2", "types differ: number and text"),
        (True, "True", "types differ: bool and text"),
        ([1], (2,), None),
        (1, 2.5, None),
        ("1", "2", None),
    ],
)
def test_types_that_differ_are_told(result, expected, problem):
    """A column of a CSV is text, so 2 never matches it; the metadata say so."""
    for score in (exact_match(result, expected), one_of(result, [expected])):
        assert (score.value, score.unread) == (False, False)
        assert score.metadata.get("problem") == problem
    assert "problem" not in one_of(2, ["2", 3]).metadata


@pytest.mark.parametrize("answer", [None, "", " \n"])
def test_an_empty_answer_is_empty_and_no_mismatch(answer):
    """A client gives None for a refusal or a call of a tool."""
    for score in (
        exact_match(answer, "a"),
        exact_match(answer, 5),
        one_of(answer, ["a"]),
        contains(answer, "a"),
        regex_match(answer, "a"),
        similarity(answer, "a"),
        f1(answer, "cat"),
        numeric_match(answer, 5),
        choice_match(answer, "A"),
    ):
        assert (score.value, score.unread) == (0, True)
        assert score.metadata["problem"] == "the answer is empty"


def test_an_empty_answer_may_be_right():
    """Where nothing is expected."""
    for score in (exact_match("", ""), exact_match(None, None), f1("", "the"), similarity("", "")):
        assert (score.value, score.unread) == (1, False)


def test_exact_match_takes_microseconds():
    """It runs at every row; ten microseconds leave room for a slow machine (about 1 measured)."""
    best = math.inf
    for _ in range(5):
        start = time.process_time()
        for _ in range(1_000):
            exact_match("an answer", "another answer")
        best = min(best, time.process_time() - start)

    assert best / 1_000 < 10e-6


@pytest.mark.parametrize(
    ("result", "expected", "options", "found"),
    [
        ("The answer is 42.", "42", {}, True),
        ("The Answer", "answer", {}, False),
        ("The Answer", "answer", {"ignore_case": True}, True),
        ("STRASSE", "straße", {"ignore_case": True}, True),
        (None, "x", {}, False),
    ],
)
def test_contains(result, expected, options, found):
    """The expected text stands anywhere."""
    assert contains(result, expected, **options).value is found


@pytest.mark.parametrize("expected", ["", None, 5])
def test_contains_needs_something_to_look_for(expected):
    """An empty text would be found in every answer."""
    with pytest.raises(UsageError, match="a text that is not empty"):
        contains("anything", expected)


@pytest.mark.parametrize("compare", [contains, similarity, f1, choice_match, regex_match])
def test_an_answer_that_is_no_text_is_unread(compare):
    """The row keeps what it cost, and says what was passed."""
    score = compare({"content": "B"}, "B")

    assert (score.value, score.unread) == (0, True)
    assert "texts, got dict; pass the text" in score.metadata["problem"]


@pytest.mark.parametrize(
    ("result", "pattern", "flags", "found"),
    [
        ("a 12", r"\d+", 0, True),
        ("a 12", r"^\d+$", 0, False),
        ("AB", "b$", 2, True),
        (None, "x", 0, False),
    ],
)
def test_regex_match(result, pattern, flags, found):
    """The pattern is searched, anchors bind it."""
    assert regex_match(result, pattern, flags=flags).value is found


@pytest.mark.parametrize("pattern", ["(", None])
def test_a_broken_pattern_is_told(pattern):
    """It is the evaluation that is wrong, not the answers."""
    with pytest.raises(UsageError, match="is no regular expression"):
        regex_match("x", pattern)


def test_one_of():
    """The answer equals one of the accepted ones."""
    assert one_of("b", ["a", "b"]).value is True
    assert one_of("c", {"a", "b"}).value is False
    for expected in ("ab", b"ab", []):
        with pytest.raises(UsageError, match="a list of accepted answers"):
            one_of("a", expected)


def test_similarity_is_the_ratio_of_difflib():
    """Two times the matching characters over all of them: `abcd` and `bcde` share three."""
    assert similarity("abcd", "bcde") == Score(
        "similarity", 0.75, ("mean", "0..1"), {"result": "abcd", "expected": "bcde"}
    )
    assert similarity(None, "").value == 1.0


def test_similarity_agrees_with_difflib_on_every_text():
    """To the last character, ties included; and whichever text is the answer."""
    chance = random.Random(0)
    for _ in range(3_000):
        letters = chance.choice(["ab", "abc", "abcdefgh"])
        one, other = ("".join(chance.choices(letters, k=chance.randrange(20))) for _ in range(2))

        first, second = sorted((one, other), key=lambda text: (len(text), text))
        expected = difflib.SequenceMatcher(None, first, second, autojunk=False).ratio()
        assert similarity(one, other).value == expected, (one, other)
        assert similarity(other, one).value == expected


def test_similarity_of_long_texts_says_what_it_compared():
    """An answer of any length is scored."""
    long = similarity("x" * 10_000 + "y", "x" * 10_000)
    longer = similarity("ab" * 50_000, "ab" * 50_000)

    assert long.value == 20_000 / 20_001
    assert "compared" not in long.metadata
    assert longer.value == 1.0
    assert longer.metadata["compared"] == "the first 20,000 characters"


def test_similarity_looks_at_so_many_characters_and_no_more(monkeypatch):
    """Texts of nothing but short common pieces would otherwise take for ever."""
    one, other = "abc-defgh-ijk", "abc+defgh+ijk"
    exact = similarity(one, other).value

    monkeypatch.setattr(evaluators.texts, "_MOST_COMPARED", 20)

    assert (exact, similarity(one, other).value) == (22 / 26, 10 / 26)


@pytest.mark.parametrize("expected", [None, 5, ["a"]])
def test_similarity_is_to_a_text(expected):
    """A broken dataset is no wrong answer."""
    with pytest.raises(UsageError, match="similarity\\(\\): expected a text, got"):
        similarity("a", expected)


@pytest.mark.parametrize(
    ("result", "expected", "value"),
    [
        ("The cat sat.", "a CAT sat", 1.0),
        ("the cat", "dog", 0.0),
        ("big cat", "cat", 2 / 3),
        ("cat cat", "cat", 2 / 3),
        ("", "", 1.0),
        ("the", "a", 1.0),
        ("", "cat", 0.0),
        (None, "cat", 0.0),
        ("cat", ["dog", "cat"], 1.0),
        # With SQuAD's own script: quotes and dashes beyond ASCII stay, and end a word.
        ("\u201cThe cat\u201d", "\u201c cat\u201d", 1.0),
        ("a\u2013b", "\u2013b", 1.0),
        ("Paris。", "Paris", 1.0),
        ("l\u2019homme", "l'homme", 1.0),
        # Accepted answers without words count only alone.
        ("", ["the", "Paris"], 0.0),
        ("", ["the", "a"], 1.0),
        # Scripts without blanks: characters are words.
        ("北京大学", "北京", 2 / 3),
        ("東京です", "東京", 2 / 3),
        ("ไทย", "ไท", 0.8),
        ("in 北京 today", "北京", 2 / 3),
        ("서울 시", "서울", 2 / 3),
    ],
)
def test_f1_is_that_of_squad(result, expected, value):
    """Words without case, punctuation and articles; the best accepted answer counts."""
    assert f1(result, expected).value == pytest.approx(value)
    assert f1(result, expected).metrics == ("mean", "0..1")


@pytest.mark.parametrize("expected", [[], None, 5, ["a", None]])
def test_f1_needs_an_accepted_answer(expected):
    """The best of none does not exist."""
    with pytest.raises(UsageError, match="a list with at least one"):
        f1("x", expected)


# --- JSON ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "valid"),
    [
        ('{"a": 1}', True),
        ("[1, 2]", True),
        ('"text"', True),
        (b"[1]", True),
        ({"a": [1]}, True),
        (5, True),
        ("", False),
        (None, False),
        ("{'a': 1}", False),
        ("NaN", False),
        ('{"a": 1} trailing', False),
        ("[" * 100_000, False),
        ({"a": {1, 2}}, False),
        (math.nan, False),
        (b"\xff\xff", False),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_valid_json(result, valid):
    """Strict JSON, or a document that was parsed already."""
    score = valid_json(result)

    assert score.value is valid
    assert ("problem" in score.metadata) is not valid


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ('```json\n{"a": 1}\n```', "it stands between ```; fenced=True reads that"),
        ('\ufeff{"a": 1}', "it begins with a byte order mark"),
        ('{"a": 1,}', "a comma too many, "),
        ("[1, 2, ]", "a comma too many, "),
        ('{"a": [1, 2', "it ends midway, "),
        ("{'a': 1}", 'a quote that is not ", '),
        ("{\u201ca\u201d: 1}", 'a quote that is not ", '),
        ('{"a": 1 // one\n}', "a comment, "),
        ('{"a": True}', "a constant of Python, "),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": 1} so it is', "text behind the document, "),
        ('Here it is: {"a": 1}', "it begins with text, "),
        ('{"a" 1}', "Expecting ':' delimiter"),
    ],
)
def test_what_keeps_a_text_from_being_json_is_named(result, problem):
    """Before what the parser says."""
    score = valid_json(result)

    assert (score.value, score.unread) == (False, False)
    assert score.metadata["problem"].startswith(problem)


@pytest.mark.parametrize(
    ("result", "valid"),
    [
        ('```json\n{"a": 1}\n```', True),
        ('<think>{</think>Sure:\n```\n{"a": 1}\n```\nThere.', True),
        ('~~~\n{"a": 1}\n~~~', True),
        ('```json\n{"a": 1}', True),
        ('```python\nf()\n```\n```json\n{"a": 1}\n```', True),
        ('{"a": 1}', True),
        ({"a": 1}, True),
        ('```json\n{"a": 1,}\n```', False),
        ("```json\n1\n```\n```json\n2\n```", False),
        ('Sure: {"a": 1}', False),
    ],
)
def test_json_in_a_fence_is_read_if_that_was_said(result, valid):
    """The one block, of several the one of JSON; without a fence all of the answer."""
    assert valid_json(result, fenced=True).value is valid


def test_an_integer_of_any_length_is_json():
    """The interpreter refuses to read it; the grammar of JSON does not."""
    assert valid_json("1" * 5_000).value is True


@pytest.fixture
def jsonschema(monkeypatch):
    """The package, or where it is not installed what the evaluator needs of it."""
    monkeypatch.setattr(structure, "_checked", [])
    try:
        import jsonschema
    except ImportError:
        jsonschema = stand_in()
        monkeypatch.setitem(sys.modules, "jsonschema", jsonschema)
    return jsonschema


def stand_in():
    """`jsonschema` for schemas that are `{"type": "object", "required": [...]}`."""

    class SchemaError(Exception):
        message = "'nonsense' is not valid"

    class Validator:
        def __init__(self, schema):
            self.schema = schema

        @staticmethod
        def check_schema(schema):
            if schema.get("type") == "nonsense":
                raise SchemaError

        def iter_errors(self, document):
            for name in self.schema.get("required", ()):
                if name not in document:
                    message = f"{name!r} is a required property"
                    yield types.SimpleNamespace(json_path="$", message=message)

    package = types.ModuleType("jsonschema")
    package.validators = types.SimpleNamespace(validator_for=lambda schema: Validator)
    package.exceptions = types.SimpleNamespace(SchemaError=SchemaError)
    return package


def test_a_schema_is_checked(jsonschema):
    """The metadata say what does not fit; a schema is prepared once."""
    schema = {"type": "object", "required": ["a"]}

    other = {"type": "object"}

    valid_json("{}", schema)
    valid_json("{}", other)
    good, bad, broken = (valid_json(text, schema) for text in ('{"a": 1}', '{"b": 1}', "{"))

    assert good.value is True
    assert bad.value is False
    assert bad.metadata["problem"] == "at $: 'a' is a required property"
    assert broken.value is False
    assert [known for known, _ in structure._checked] == [other, schema]


def test_a_schema_that_is_none_is_told(jsonschema):
    """A broken schema is no wrong answer."""
    with pytest.raises(UsageError, match="the schema is no JSON schema: 'nonsense' is not valid"):
        valid_json("{}", {"type": "nonsense"})


def test_without_jsonschema_the_error_says_what_to_install(monkeypatch):
    """An unchecked schema never counts as met."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)

    with pytest.raises(PluginError, match="pip install jsonschema"):
        valid_json("{}", {"type": "object"})
    assert valid_json("{}").value is True


# --- a model as the judge --------------------------------------------------------------------


def test_a_judge_gives_a_score():
    """The question holds the arguments and how to end; the verdict becomes the value."""
    asked = []

    def ask(question):
        asked.append(question)
        return "It says please.\n\n**Verdict: Yes.**\n"

    polite = judge(ask, "Polite?\n{result}", name="polite")
    score = polite("please {expected}")

    assert asked == [
        "Polite?\nplease {expected}\n\nEnd your answer with one line that says exactly one of:\n"
        "Verdict: yes\nVerdict: no"
    ]
    assert score.value is True
    assert (score.name, score.metrics) == ("polite", ("accuracy",))
    assert score.metadata["verdict"] == "yes"
    assert score.metadata["judgement"].startswith("It says please")
    assert polite.__name__ == "polite"
    assert polite("x", name="other").name == "other"


@pytest.mark.parametrize("style", ["async def", "returns an awaitable"])
def test_an_async_judge_is_awaited(style):
    """Any callable will do: what it returns decides."""

    async def ask(question):
        await asyncio.sleep(0)
        return "no"

    judged = judge(ask if style == "async def" else lambda question: ask(question), "{result}")

    assert asyncio.run(judged("x")).value is False


def test_a_judge_may_give_marks():
    """Verdicts are any texts with numbers; then the mean summarises."""
    marks = {"poor": 0, "fair": 0.5, "good": 1}
    graded = judge(
        lambda question: "Verdict: FAIR", "{verdicts}\n{result} or {expected}?", verdicts=marks
    )

    score = graded("a", expected="b")

    assert (score.value, score.metrics) == (0.5, ("mean", "0..1"))
    assert judge(len, "{result}", metrics=["std", "mean"]) is not None


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "no clear verdict"),
        ("Yes, I think so.", "no clear verdict"),
        ("Verdict: maybe", "no clear verdict"),
        ("Verdict: yes\nbut one more thought", "no clear verdict"),
        ("Verdict: yes\nOn reflection:\nVerdict: no", "contradicting verdicts"),
        ("Reasons.\nyes", "no clear verdict"),
        ("Verdict: yes and no", "contradicting verdicts"),
        ("Verdict: yes, although no would do", "contradicting verdicts"),
        ("Verdict: yes\nVerdict: yes/no", "contradicting verdicts"),
        ("Verdict: not yes", "no clear verdict"),
        ("Verdict: yesterday", "no clear verdict"),
        ("The verdict is yesterday's.", "no clear verdict"),
        ("The student's score: yes", "no clear verdict"),
        ("Answer: yes", "no clear verdict"),
        ("Verdict: yes\nDecision: no", "no clear verdict"),
        ("Decision: yes\nConclusion: no", "contradicting verdicts"),
        ("Verdict:", "no clear verdict"),
        ('{"verdict": "maybe"}', "no clear verdict"),
        ('{"opinion": "yes"}', "no clear verdict"),
        ("<think>Verdict: yes</think>", "no clear verdict"),
        ("8/10", "no clear verdict"),
    ],
)
def test_an_unclear_verdict_fails_the_row(answer, problem):
    """It is neither a right nor a wrong answer."""
    judged = judge(lambda question: answer, "{result}")

    with pytest.raises(RowError, match=f"the judge gave {problem}.*one of yes, no"):
        judged("x")


@pytest.mark.parametrize(
    "answer",
    [
        "yes",
        " YES. ",
        "Verdict: yes",
        "> **Verdict**: yes",
        "VERDICT = yes\n\n",
        "# verdict: `yes`",
        "Verdict: yes (fully)",
        "Verdict: yes, because it says please.",
        "Verdict: [yes]",
        "Verdict - yes",
        "The verdict is: yes",
        "Final verdict: yes",
        "My verdict: yes",
        "- Verdict: yes",
        "1. Verdict: yes",
        "Reasons.\n\nVerdict: yes\n</answer>",
        "<verdict>Verdict: yes</verdict>",
        "```\nVerdict: yes\n```",
        "Reasons.\n```\nVerdict: yes\n```",
        r"\boxed{yes}",
        r"Verdict: \boxed{\text{yes}}",
        '{"verdict": "yes"}',
        '{"reason": "it is no joke", "Verdict": "Yes"}',
        '{"verdict": true}',
        'Sure:\n```json\n{"score": "yes", "why": "{}"}\n```',
        "<think>Verdict: no</think>Verdict: yes",
        "Verdict: yes\n\nVerdict: yes",
        "Verdict: yes ✅\n---",
        "# Verdict\n\nyes",
        "**Verdict:**\nYes",
        "| Verdict | yes |",
        "The verdict is yes.",
        "Overall decision: yes",
    ],
)
def test_a_clear_verdict_may_be_decorated(answer):
    """Case, markdown and a final stop do not matter."""
    assert judge(lambda question: answer, "{result}")("x").value is True


def test_a_judge_answers_with_text():
    """A client's response object has to be unpacked by `ask`."""
    with pytest.raises(ResultError, match="the judge answered with dict, expected its text"):
        judge(lambda question: {"content": "yes"}, "{result}")("x")


@pytest.mark.parametrize(
    ("template", "verdicts", "message"),
    [
        ("Is it good?", {"yes": 1, "no": 0}, "no field such as"),
        ("{verdicts}", {"yes": 1, "no": 0}, "no field such as"),
        ("{result}", {"yes": 1}, "two different ones"),
        ("{result}", {"yes": 1, "Yes!": 0}, "two different ones"),
    ],
)
def test_a_judge_that_could_not_work_is_refused(template, verdicts, message):
    """At the definition, not at the first row."""
    with pytest.raises(UsageError, match=message):
        judge(str, template, verdicts=verdicts)


def test_a_judge_takes_the_fields_of_its_template():
    """Missing and superfluous arguments are told, so a typing error asks no model."""
    judged = judge(lambda question: "yes", '{result} for {question}, as {"json": 1}')

    assert judged("a", question="b").value is True
    for args, kwargs in ((("a",), {}), (("a",), {"qestion": "b"}), ((), {})):
        with pytest.raises(UsageError, match="needs the fields of its template: result, question"):
            judged(*args, **kwargs)
    with pytest.raises(UsageError, match="takes 1 by position, got 2"):
        judged("a", "b", question="c")


# --- whatever a model says -------------------------------------------------------------------

EVERY = {
    "exact_match": lambda answer: exact_match(answer, "B"),
    "contains": lambda answer: contains(answer, "B", ignore_case=True),
    "regex_match": lambda answer: regex_match(answer, "B"),
    "one_of": lambda answer: one_of(answer, ["B", 5]),
    "similarity": lambda answer: similarity(answer, "B is the answer"),
    "f1": lambda answer: f1(answer, ["B", "the answer"]),
    "numeric_match": lambda answer: numeric_match(answer, 5, tolerance=1),
    "choice_match": lambda answer: choice_match(answer, "B"),
    "valid_json": lambda answer: valid_json(answer),
    "ast_evaluation": lambda answer: ast_evaluation(answer, "f(a=1)"),
}


def nested(depth, around):
    """A value within so many others."""
    value = 1
    for _ in range(depth):
        value = around(value)
    return value


class Hostile:
    """An object of which nothing works."""

    def __getattr__(self, name):
        raise AttributeError(name)

    def __str__(self):
        raise RuntimeError

    __repr__ = __eq__ = __str__
    __hash__ = None


ANSWERS = [
    None,
    "",
    " \n\t",
    0,
    -1.5,
    True,
    math.nan,
    math.inf,
    10**5_000,
    "1" * 5_000,
    "1e999999",
    Decimal("NaN"),
    Decimal("1e999999"),
    Fraction(1, 3),
    b"B",
    b"\xff\xfe",
    bytearray(b"f(a=1)"),
    "\ud800 the answer is B \udfff",
    "\x00\x1b[31mB\u202e",
    "e\u0301\u200b\ufeff\U000e0041",
    "B" * 1_000_000,
    "[" * 100_000,
    '{"a":' * 100_000,
    "(" * 50_000 + "B",
    "f(" * 5_000,
    "f(a=" + "1" * 5_000 + ")",
    "\\boxed{" * 20_000,
    "<think>" * 20_000 + "B",
    "```" * 20_000,
    "Answer: " * 20_000,
    nested(5_000, lambda value: [value]),
    nested(5_000, lambda value: {"a": value}),
    {"content": "B"},
    [],
    [{"f": {"a": 1}}],
    [{"f": {"a": nested(5_000, lambda value: [value])}}],
    {1, 2},
    (1, "B"),
    range(3),
    object(),
    type,
    Hostile(),
]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_whatever_a_model_says_is_a_score(name, answer):
    """It was paid for: at worst it is wrong, or unread, and the metadata can be stored."""
    score = EVERY[name](answer)

    assert type(score.value) in (bool, float)
    assert 0 <= score.value <= 1
    assert len(dump(score.metadata)) < 100_000


PIECES = [
    *"ABCDabcd0123456789 .,:;!?()[]{}<>=+-*/%$\\'\"`#_\n\t\x00é。：٣",
    *("answer is ", "Answer: ", "\\boxed{", "\\frac{", "<think>", "</think>", "```json\n", "```"),
    *("**", "not ", "f(a=", '{"a": ', "\ud800", "1,000", "\u202f", "<answer>"),
    *("Verdict: yes", "####"),
]  # fmt: skip


def made_up(chance, depth=3):
    """An answer of pieces that readers look for, or data that hold some."""
    kind = chance.randrange(8 if depth else 4)
    if kind < 4:
        return "".join(chance.choices(PIECES, k=chance.randrange(30)))
    if kind == 4:
        return [made_up(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 5:
        return {chance.choice(PIECES): made_up(chance, depth - 1) for _ in range(3)}
    return chance.choice([None, chance.random() * 10**9, chance.getrandbits(200), b"B", True])


def test_any_answer_is_a_score():
    """Of every evaluator, whatever it is."""
    chance = random.Random(0)
    for _ in range(2_000):
        answer = made_up(chance)
        for name, score_of in EVERY.items():
            score = score_of(answer)

            assert 0 <= score.value <= 1, (name, answer)
            assert type(score.unread) is bool


STUTTERS = [
    "answer is ", "the answer ", "B. ", "\\boxed{", "}", "**", "\n", " ", "<think>", "</think>",
    "1,000 ", "1,", "$", "- ", "\\frac{1}{", "```\n", "not ", "f(a=[", "\\", "(",
    "<answer>", "答案：",
]  # fmt: skip


@pytest.mark.parametrize("stutter", STUTTERS, ids=repr)
def test_an_answer_that_stutters_is_read_in_linear_time(stutter):
    """
    Four times as much takes about four times as long: a regex that goes back over what it has
    read would take sixteen. The steps of pure functions are as many each time, so the best of
    several measures is steady; short times are left out, as nothing can be told from them.
    """
    for name, score_of in EVERY.items():
        short, long = (
            taken(score_of, stutter * (size // len(stutter))) for size in (25_000, 100_000)
        )

        assert long < 0.05 or long < 9 * short, name


def taken(function, answer):
    """Seconds of the processor, the best of three."""
    best = math.inf
    for _ in range(3):
        began = time.process_time()
        function(answer)
        best = min(best, time.process_time() - began)
    return best


async def forgotten_answer():
    return "B"


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("place", ["the answer", "in a list"])
def test_a_forgotten_await_is_no_answer(name, place):
    """A coroutine would be stored as a wrong answer, and stay one when the mistake is mended."""
    pending = forgotten_answer()

    with pytest.raises(ResultError, match=r"'result' .*coroutine.*was an `await` forgotten"):
        EVERY[name](pending if place == "the answer" else [pending])
    pending.close()


class Later:
    """What can be awaited; with `__aenter__` a pool, which serves without."""

    def __await__(self):
        yield


class Pool(Later):
    async def __aenter__(self):
        return self


def test_a_forgotten_await_is_told_before_an_evaluator_of_ones_own_runs():
    """By position, by keyword, among the rest, async or not; a pool is no such thing."""

    @evaluator
    def size(result, *rest, **more):
        return len(result)

    @evaluator
    async def ask(result, pool):
        return result == "yes"

    for call in (
        lambda: size(Later()),
        lambda: size(result=Later()),
        lambda: size("a", Later()),
        lambda: size("a", other=[Later()]),
        lambda: asyncio.run(ask(Later(), None)),
        lambda: exact_match("a", Later()),
        lambda: judge(str, "{result}")(Later()),
    ):
        with pytest.raises(ResultError, match="of type Later, .*was an `await` forgotten"):
            call()
    assert asyncio.run(ask("yes", Pool())).value is True


# --- a score by itself -----------------------------------------------------------------------


def test_the_truth_of_a_score_is_its_value():
    """`if valid_json(x):` means what it says; a number says neither."""
    assert valid_json("{}")
    assert not valid_json("{")
    for score in (f1("a", "a"), Score("label", "cat"), Score("x", math.nan)):
        with pytest.raises(TypeError, match="neither true nor false; write what you mean"):
            bool(score)


@pytest.mark.parametrize(
    ("answer", "mark"),
    [
        ("8/10", 8),
        ("Verdict: 8/10", 8),
        ("Verdict: 8 out of 10", 8),
        ("Verdict: 8", 8),
        ("Verdict: 8.0", 8),
        ('{"score": 8}', 8),
        ('{"rating": 8.0}', 8),
        ("Verdict: 10", 10),
        ("Verdict: 8/100", None),
        ("Verdict: 11", None),
        ("Verdict: 8.5", None),
        ("Verdict: 7 or 8", None),
        ("Verdict: 8-9", None),
        ("Verdict: 8%", None),
        ("Score: 8/10", 8),
        ("Overall: 8", 8),
        ("I give it 8/10, for its brevity.", 8),
        ("I give it 8/5.", None),
        ("8/10 for style, 2/10 for facts", None),
        ("Final rating: [[8]]", 8),
        ("Style score: 7\nOverall score: 8", 8),
    ],
)
def test_a_judge_may_give_marks_out_of_the_highest(answer, mark):
    """However the mark is written; out of another number it is no mark of this scale."""
    judged = judge(lambda question: answer, "{result}", verdicts={str(n): n for n in range(1, 11)})

    if mark is None:
        with pytest.raises(RowError):
            judged("x")
    else:
        assert judged("x").value == mark


def test_a_parser_of_ones_own_decides():
    """It takes the place of the reading, and may find no verdict."""
    judged = Judge(
        lambda question: question[-1],
        "{verdicts}{result}",
        instructions="Say + or -.",
        parse={"+": "yes", "-": "no"}.get,
        name="signs",
    )

    assert (judged("+").value, judged("-").value) == (True, False)
    with pytest.raises(RowError, match="no clear verdict"):
        judged("?")


def test_what_a_judge_wrote_and_used_is_kept(tmp_path):
    """Whatever its verdict; a row without one keeps the answer that was judged, too."""
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    polite = judge(lambda question: (f"{'long ' * 1_000}\n{question[0]}", usage), "{result}")

    @foreach("said", ["yes", "Verdict: no"])
    def eval_polite(said):
        return judge(lambda question: (f"{'long ' * 1_000}{said}", usage), "{result}")("answer")

    with pytest.raises(RowError) as caught:
        polite("x")
    run(eval_polite, "e", storage=str(tmp_path / "r.db"), progress=False)
    store = open_store(str(tmp_path / "r.db"))
    records = list(store.records("e", store.evaluations("e")[0]))
    store.close()

    assert caught.value.result.usage == usage
    failed = next(record.outcome for record in records if record.failed)
    assert (failed.type, failed.result.usage) == ("RowError", Usage(10, 2))
    assert failed.result.metadata == {"result": "answer", "judgement": "long " * 1_000 + "yes"}


def test_a_score_keeps_the_judgement_and_its_usage():
    """As text, whole up to 20,000 characters."""
    text = "because " * 1_000 + "\nVerdict: yes"
    score = judge(lambda question: (text, {"input_tokens": 3, "cost": "0.01"}), "{result}")("x")

    assert score.metadata["judgement"] == text
    assert score.metadata["usage"]["input_tokens"] == 3
    assert score.metadata["usage"]["cost"] == 0.01


def test_a_label_is_held_against_the_verdict():
    """So that agreement of judge and people can be told; no label is none."""
    judged = judge(lambda question: "yes", "{result}")

    assert judged("x", label="No").expected is False
    assert judged("x", label=None).expected is None
    with pytest.raises(UsageError, match="label='maybe'.*expected one of yes, no, or None"):
        judged("x", label="maybe")
    assert judge(lambda question: "yes", "{label}")(label="anything").expected is None


# --- by name ---------------------------------------------------------------------------------


def test_every_evaluator_is_registered():
    """The built-in ones are found by name."""
    names = evaluators.registry.names()

    assert {"exact_match", "numeric_match", "valid_json", "ast_evaluation", "f1"} <= set(names)
    assert evaluators.registry.get("exact_match") is exact_match


def test_evaluators_of_packages_are_importable(monkeypatch):
    """`from doteval.evaluators import theirs` finds what is registered or installed."""
    monkeypatch.setitem(evaluators.registry._registered, "theirs", exact_match)

    from doteval.evaluators import theirs

    assert theirs is exact_match
    with pytest.raises(ImportError):
        from doteval.evaluators import exact_mach  # noqa: F401
    with pytest.raises(AttributeError, match="did you mean 'exact_match'"):
        evaluators.exact_mach  # noqa: B018
    assert not hasattr(evaluators, "__wrapped__")
