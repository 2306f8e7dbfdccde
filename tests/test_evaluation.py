from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType, SimpleNamespace

import pytest

from doteval import ForEach, Result, Score, foreach, metrics
from doteval.concurrency import Adaptive, AsyncSequential, Retry, Sequential, SlidingWindow
from doteval.declarations import parse_columns
from doteval.errors import NotFound, ResultError, UsageError
from doteval.evaluation import BoundEvaluation, Evaluation
from doteval.metrics import accuracy, pass_at_k, std
from doteval.outcomes import failure_of, outcome_of
from doteval.record import Failure
from tests.travellers import logged

DATA = [("2 + 2", "4")]


@foreach("question,answer", DATA)
def eval_module_level(question, answer, model="calculator"):
    """Sums."""
    return Score("right", answer == "4")


eval_module_level.__test__ = False  # an example for these tests, not a test


def test_calling_an_evaluation_calls_the_plain_function():
    """One row can be tried by hand or in a unit test."""
    assert eval_module_level("2 + 2", answer="4") == Score("right", True)


def test_the_columns_are_not_in_the_signature():
    """pytest asks the signature for fixtures; the dataset brings the rest."""

    @foreach("question,answer", DATA)
    async def eval_sums(question, client, answer, model, temperature=0.5, **options):
        return True

    assert list(inspect.signature(eval_sums).parameters) == ["client", "model", "temperature"]
    assert eval_sums.resources == ("client", "model")
    assert eval_sums.is_async


def test_an_evaluation_looks_like_its_function():
    assert eval_module_level.__name__ == "eval_module_level"
    assert eval_module_level.__doc__ == "Sums."
    assert eval_module_level.__module__ == __name__
    assert eval_module_level.__wrapped__.__name__ == "eval_module_level"
    assert repr(eval_module_level) == "<Evaluation eval_module_level(question, answer)>"


def test_an_evaluation_can_be_given_another_name():
    @foreach("question", ["a"])
    def eval_some(question):
        return True

    eval_some.__name__ = "eval_other"

    assert eval_some.__name__ == "eval_other"
    assert "eval_other" in repr(eval_some)


def test_an_evaluation_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(eval_module_level)) is eval_module_level


def test_marks_below_the_decorator_are_kept():
    @foreach("question", ["a"])
    @pytest.mark.usefixtures("tmp_path")
    def eval_some(question):
        return True

    assert [mark.name for mark in eval_some.pytestmark] == ["usefixtures"]


class Suite:
    __test__ = False  # called by hand
    factor = 2

    @foreach("number", [1])
    def eval_method(self, number, client):
        return number * self.factor


def test_a_method_is_bound_to_its_instance():
    bound = Suite().eval_method

    assert isinstance(bound, BoundEvaluation)
    assert bound(3, client=None) == 6
    assert list(inspect.signature(bound).parameters) == ["client"]
    assert bound.resources == ("client",)
    assert isinstance(Suite.eval_method, Evaluation)


def test_the_strategy_follows_the_function():
    @foreach("x", [1])
    def plain(x): ...

    @foreach("x", [1])
    async def asynchronous(x): ...

    assert isinstance(plain.strategy, Sequential)
    assert isinstance(asynchronous.strategy, Adaptive)


def test_a_policy_is_shared_by_what_it_decorates():
    each = ForEach(
        concurrency=SlidingWindow(3), retries=2, timeout=30, rate_limit="10/s", repeats=4
    )

    @each("x", [1])
    def one(x): ...

    @each("x", [1])
    def two(x): ...

    assert one.strategy is two.strategy
    assert one.rate_limit is two.rate_limit
    assert one.policy == Retry(attempts=3)
    assert (one.timeout, one.repeats) == (30, 4)


@pytest.mark.parametrize(
    ("spec", "columns"),
    [("a", ("a",)), ("a,b", ("a", "b")), (" text , expected ", ("text", "expected"))],
)
def test_a_spec_is_comma_separated_names(spec, columns):
    assert parse_columns(spec) == columns


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "empty column spec"),
        ("   ", "empty column spec"),
        ("a,,b", "column 2 is ''"),
        ("a,", "column 2 is ''"),
        ("a b", "'a b', which is no parameter name"),
        ("1st", "no parameter name"),
        ("a,b,a", "the column 'a' stands there twice"),
        (["a", "b"], "comma-separated|as a text"),
        (None, "as a text"),
    ],
)
def test_a_bad_spec_is_an_error_at_decoration(spec, message):
    with pytest.raises(UsageError, match=message):
        foreach(spec, DATA)


def test_an_unknown_column_is_an_error_that_lists_the_parameters():
    with pytest.raises(UsageError) as caught:

        @foreach("question,answer", DATA)
        def eval_math(question, client):
            return True

    assert str(caught.value) == (
        "eval_math() has no parameter 'answer', a column of its dataset; its parameters are: "
        "question, client"
    )


def test_any_column_fits_a_function_with_keyword_arguments():
    @foreach("question,options", DATA)
    def eval_any(question, **options):
        return True

    assert eval_any.columns == ("question", "options")


def test_positional_only_columns_are_explained():
    with pytest.raises(UsageError, match="remove the `/`"):

        @foreach("x", [1])
        def eval_x(x, /):
            return True


def generator(x):
    yield x


async def async_generator(x):
    yield x


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (generator, "is a generator"),
        (async_generator, "is a generator"),
        (SimpleNamespace(), "decorates a function, not SimpleNamespace"),
        (Suite, "decorates a function, not type"),
        (functools.partial(generator, 1), "decorates a function, not partial"),
        (eval_module_level, "has a dataset already"),
    ],
)
def test_what_can_not_be_an_evaluation_is_an_error_at_decoration(function, message):
    with pytest.raises(UsageError, match=message):
        foreach("x", [1])(function)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout=0\\): expected seconds above 0"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"timeout": True}, "timeout=True"),
        ({"repeats": 0}, "repeats=0"),
        ({"repeats": 2.0}, "repeats=2.0"),
        ({"retries": -1}, "retries=-1"),
        ({"concurrency": 4}, r"write SlidingWindow\(4\)"),
        ({"rate_limit": "often"}, "often"),
    ],
)
def test_a_bad_policy_is_an_error_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        ForEach(**options)


def test_a_registered_dataset_brings_its_columns():
    from doteval import datasets

    class Capitals:
        name = "capitals_of_this_test"
        splits = ("test",)
        columns = ("country", "capital")
        num_rows = 1

        def __init__(self, split=None, **options):
            self.split = split

        def __iter__(self):
            return iter([("France", "Paris")])

    datasets.registry.register("capitals_of_this_test", Capitals)

    @foreach.capitals_of_this_test("test")
    def eval_capitals(country, capital):
        return True

    assert eval_capitals.columns == ("country", "capital")
    assert list(eval_capitals.source.open()) == [("France", "Paris")]


def test_an_unknown_dataset_is_an_error_when_it_is_opened():
    with pytest.raises(NotFound, match="no_such_dataset"):
        foreach.no_such_dataset("test")


def test_private_names_are_no_datasets():
    """Tools that look for `__wrapped__` and the like must not find one."""
    assert not hasattr(foreach, "__wrapped__")


def test_a_source_digest_changes_with_the_source(tmp_path):
    assert eval_module_level.digest() == eval_module_level.digest()
    assert eval_module_level.digest() != Suite.eval_method.digest()


def test_a_function_without_a_source_has_no_digest():
    namespace = {}
    exec("def made(x): return True", namespace)

    assert foreach("x", [1])(namespace["made"]).digest() is None


def test_the_file_of_a_notebook_cell_is_the_notebook():
    code = compile("def cell(x): return True", "/tmp/ipykernel_12/34.py", "exec")
    namespace = {}
    exec(code, namespace)

    assert foreach("x", [1])(namespace["cell"]).file == "<notebook>"
    assert eval_module_level.file == __file__


def test_a_decorated_function_is_of_its_own_file():
    """And not of the decorator's, after which it would be named in a store."""

    def eval_own(x):
        return True

    assert foreach("x", [1])(logged(eval_own)).file == __file__


# ------------------------------------------------------------------- outcomes


def test_a_result_is_taken_as_it_is():
    result = Result(Score("a", True), prompt="?")

    assert outcome_of(result, "eval_x") is result


class OwnResult(Result):
    """A user's subclass."""


def test_a_result_of_a_class_of_ones_own_is_taken_too():
    result = OwnResult(Score("a", 1))

    assert outcome_of(result, "eval_x") is result


@pytest.mark.parametrize(
    ("value", "scores"),
    [
        (Score("a", 0.5), (Score("a", 0.5),)),
        ([Score("a", 1), Score("b", 2)], (Score("a", 1), Score("b", 2))),
        ((Score("a", 1),), (Score("a", 1),)),
        (True, (Score("eval_x", True, ("accuracy",)),)),
        (3, (Score("eval_x", 3, ("mean",)),)),
        (0.25, (Score("eval_x", 0.25, ("mean",)),)),
        (Result(True), (Score("eval_x", True, ("accuracy",)),)),
        (Result([Score("a", 1), Score("b", 2)]), (Score("a", 1), Score("b", 2))),
    ],
)
def test_scores_bools_and_numbers_become_a_result(value, scores):
    assert outcome_of(value, "eval_x").scores == scores


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("mean", ("mean",)),
        (accuracy, ("accuracy",)),
        (accuracy(), ("accuracy",)),
        (["mean", std], ("mean", "std")),
        ((pass_at_k(3), "nobodys"), ("pass@3", "nobodys")),
        ([sum], ("sum",)),
        ([], ()),
    ],
    ids=repr,
)
def test_metrics_of_a_score_are_kept_by_name(given, names, monkeypatch):
    """As in dotevals a function may be given; what is stored needs no lookup."""
    monkeypatch.setattr(metrics.registry, "_registered", dict(metrics.registry._registered))

    for value in (Score("a", 1, given), Result(Score("a", 1, given), True)):
        assert outcome_of(value, "eval_x").scores[0] == Score("a", 1, names)


class Scalar:
    """Looks like a scalar of numpy's."""

    dtype = "float64"
    shape = ()

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


def test_scalars_of_numpy_become_plain_numbers():
    assert outcome_of(Scalar(0.5), "eval_x").scores == (Score("eval_x", 0.5),)
    assert outcome_of(Score("a", Scalar(2)), "eval_x").scores == (Score("a", 2),)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "returned NoneType; .* is a `return` missing"),
        ("positive", "returned str; expected a Result"),
        ([], "returned list"),
        ([Score("a", 1), 3], "returned list"),
        ({"a": 1}, "returned dict"),
        (Result(), "a Result without scores; give it one, or error="),
        (Result(Score("a", 1), Score("a", 2)), "two scores named 'a'"),
        (Score("a", None), "value of type NoneType"),
        (Score(5, 1), "is named 5; expected a text"),
        (Score("a", 1, 5), "the score 'a' of eval_x.*metrics: 5 is no metric"),
        (Score("a", 1, None), "metrics: None is no metric"),
        (Score("a", 1, [None]), "None is no metric"),
        (Score("a", 1, [lambda values: 1]), "has none; write a def"),
    ],
)
def test_anything_else_is_an_error_that_names_the_type(value, message):
    with pytest.raises(ResultError, match=message):
        outcome_of(value, "eval_x")


def test_a_result_with_an_error_is_a_failure_that_keeps_it():
    result = Result(prompt="?", model_response="no", error="refused", usage={"input_tokens": 3})

    failure = outcome_of(result, "eval_x")

    assert failure == Failure("error", "refused", "", result)


def test_a_result_takes_only_scores():
    with pytest.raises(TypeError, match="not str; pass texts as prompt="):
        Result("positive")


async def answer():
    return "42"


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda late: Result(late), "scores"),
        (lambda late: Result(True, prompt=late), "prompt="),
        (lambda late: Result(True, prompt=[{"role": "user", "content": late}]), "prompt="),
        (lambda late: Result(True, model_response=late), "model_response="),
        (lambda late: Result(True, metadata={"a": ({"b": late},)}), "metadata="),
        (lambda late: Result(True, usage=late), "usage="),
        (lambda late: Result(True, usage={"input_tokens": late}), "usage="),
        (lambda late: Result(error=late), "error="),
        (lambda late: Result(True, Score("s", late)), "the score 's'"),
        (lambda late: Result([Score("s", 1, metadata=MappingProxyType({"a": late}))]), "'s'"),
        (lambda late: outcome_of(Score("s", late), "eval_x"), "the score 's'"),
    ],
)
def test_a_forgotten_await_is_recognised_anywhere_in_a_result(make, place):
    """The text of a coroutine would be stored in place of what was paid for."""
    late = answer()

    with pytest.raises(TypeError, match=rf"{place}.*coroutine.*; was an `await` forgotten\?"):
        make(late)

    late.close()


def test_what_holds_itself_hides_no_await_and_is_taken():
    """A circle is looked into once around; storing cuts it."""
    circle = []
    circle += [circle, circle]

    assert Result(True, metadata={"a": circle}).metadata["a"] is circle


def test_results_compare_and_show_their_parts():
    result = Result(Score("a", 1), prompt="?")

    assert result == Result(Score("a", 1), prompt="?")
    assert result != Result(Score("a", 1), prompt="!")
    assert result != "a"
    assert repr(Result(True, prompt="?")) == "Result(True, prompt='?')"


# ------------------------------------------------------------------- failures


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def test_a_failure_keeps_type_message_and_traceback():
    failure = failure_of(raised(ValueError("no such thing")), ())

    assert (failure.type, failure.message) == ("ValueError", "no such thing")
    assert "in raised" in failure.traceback
    assert failure.traceback.rstrip().endswith("ValueError: no such thing")


def test_credentials_are_not_stored():
    error = raised(RuntimeError("401 for key hunter2hunter2 at sk-ant-api03-" + "a" * 40))

    failure = failure_of(error, ("hunter2hunter2",))

    assert "hunter2" not in failure.message + failure.traceback
    assert "sk-ant" not in failure.message + failure.traceback


@pytest.mark.parametrize("before", [9_990, 10_010, 20_000, 40_000])
def test_no_part_of_a_credential_is_left_where_a_text_is_cut(before):
    error = raised(RuntimeError("x" * before + "hunter2hunter2" + "y" * 19_990))

    failure = failure_of(error, ("hunter2hunter2",))

    assert "unter" not in failure.message + failure.traceback


def test_credentials_in_the_error_of_a_result_are_not_stored():
    """A client's message was caught by the user's function; it is a Failure all the same."""
    result = Result(prompt="hunter2hunter2", error="401 for key hunter2hunter2")

    failure = outcome_of(result, "eval_x", ("hunter2hunter2",))

    assert (failure.message, failure.result.error) == ("401 for key [redacted]",) * 2
    assert failure.result.prompt == "hunter2hunter2"  # data


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, asyncio.CancelledError])
def test_an_exception_whose_str_raises_can_be_stored(kind):
    class Hostile(Exception):
        def __str__(self):
            raise kind("no")

    failure = failure_of(raised(Hostile()), ())

    assert failure.type == "Hostile"
    assert "str() failed" in failure.message


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit, asyncio.CancelledError])
def test_an_exception_whose_formatting_raises_can_be_stored(kind):
    class Hostile(Exception):
        @property
        def __notes__(self):
            raise kind("no")

        def __str__(self):
            raise SystemError("no")

    failure = failure_of(raised(Hostile()), ())

    assert failure.type == "Hostile"


@pytest.mark.parametrize("where", ["__str__", "__notes__"])
def test_ctrl_c_ends_the_look_at_an_exception(where):
    """Which can take long, as whatever is in the user's hands."""

    def interrupted(self):
        raise KeyboardInterrupt

    hostile = type("Hostile", (Exception,), {where: property(interrupted)})

    with pytest.raises(KeyboardInterrupt):
        failure_of(raised(hostile()), ())


def test_escapes_in_an_exception_are_made_harmless():
    failure = failure_of(raised(ValueError("\x1b[2Jgone")), ())

    assert "\x1b" not in failure.message + failure.traceback


def test_the_traceback_begins_in_the_function_of_the_user():
    """Frames of doteval tell the user nothing."""
    from doteval import run

    seen = []

    @foreach("x", [1])
    def eval_raises(x):
        raise ValueError("mine")

    run(eval_raises, storage="memory://", progress=False, on_record=seen.append)

    lines = seen[0].outcome.traceback.splitlines()
    assert "in eval_raises" in lines[1]
    assert not any("concurrency" in line for line in lines)


@pytest.mark.parametrize("package", [None, "", "doteval_tools", "doteval"])
def test_where_the_traceback_begins_does_not_depend_on_the_kind_of_module(package):
    """A script has no package, and another's name may begin like ours."""
    code = "def inner():\n    raise ValueError('mine')\ndef outer():\n    inner()\n"
    module = {"__package__": package}
    exec(compile(code, "theirs.py", "exec"), module)
    with pytest.raises(ValueError, match="mine") as caught:
        module["outer"]()

    below = caught.value.with_traceback(caught.value.__traceback__.tb_next)
    traceback = failure_of(below, ()).traceback

    assert ("in outer" in traceback) == (package != "doteval")
    assert "in inner" in traceback


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with Python 3.11")
def test_notes_of_an_exception_are_kept():
    error = ValueError("x")
    error.add_note("the third shard")

    assert "the third shard" in failure_of(error, ()).traceback


# ------------------------------------------------------------------ timeouts of a plain def


@pytest.mark.parametrize("concurrency", [None, Sequential()])
def test_a_timeout_that_nothing_could_enforce_is_refused(concurrency):
    """A call in this thread ends when it ends."""
    with pytest.raises(UsageError, match=r"concurrency=AsyncSequential\(\)"):
        ForEach(concurrency=concurrency, timeout=1)("n", [1])(lambda n: True)


def test_a_timeout_that_can_be_enforced_is_taken():
    async def eval_async(n): ...

    @functools.wraps(eval_async)
    def eval_wrapped(n):
        return eval_async(n)

    for function, options in (
        (eval_async, {}),
        (eval_wrapped, {}),
        (lambda n: True, {"concurrency": AsyncSequential()}),
        (lambda n: True, {"executor": ThreadPoolExecutor}),
    ):
        assert ForEach(timeout=1, **options)("n", [1])(function).timeout == 1
