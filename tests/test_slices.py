"""Where an evaluation is wrong: its figures by the values of columns."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from math import comb

import pytest

from doteval import ForEach, datasets, foreach, gate, records, run
from doteval.cli import main
from doteval.errors import NotFound, UsageError
from doteval.evaluators import classify
from doteval.record import Score
from doteval.reporting.gate import AtHand, judge
from doteval.reporting.grammar import GateError, parse
from doteval.reporting.judgement import judgement_table
from doteval.reporting.slices import slice_lines, slices
from doteval.running.options import as_until
from doteval.storage import open_store
from doteval.views.terminal import Terminal
from tests.stocked import EVALUATION, recorded, right, stock, wrong


@pytest.fixture
def store(tmp_path):
    with_rows = open_store(str(tmp_path / "results.db"))
    yield with_rows
    with_rows.close()


def row(position, **columns):
    return {"row": {"question": f"question {position}", **columns}}


def hard_and_easy(hard_wrong=30):
    """40 hard rows, of which 30 are wrong, and 80 easy ones, of which 8 are; one failed."""
    for at in range(40):
        kind = wrong if at < hard_wrong else right
        yield kind(at, **row(at, difficulty="hard"))
    for at in range(40, 120):
        yield (wrong if at < 48 else right)(at, **row(at, difficulty="easy"))
    yield recorded(120, **row(120, difficulty="easy"))


def test_each_slice_has_its_rows_its_failures_and_its_figures(store):
    stock(store, "base", hard_and_easy())

    hard, easy = slices(store, "base", EVALUATION, ["difficulty"])

    assert (hard.by, hard.scored, hard.failed) == ({"difficulty": "hard"}, 40, 0)
    assert (easy.by, easy.scored, easy.failed) == ({"difficulty": "easy"}, 80, 1)
    assert hard.scores["exact"]["accuracy"].estimate.value == 0.25
    assert easy.scores["exact"]["accuracy"].estimate.value == 0.9


def test_slices_that_differ_are_called_lower_and_higher(store):
    """Of two slices both tests are one, so nothing is corrected: this is Fisher's p-value."""
    stock(store, "base", hard_and_easy())

    hard, easy = (each.scores["exact"]["accuracy"] for each in slices(
        store, "base", EVALUATION, ["difficulty"]))  # fmt: skip

    assert (hard.verdict, easy.verdict) == ("lower", "higher")
    ways = [comb(82, k) * comb(38, 40 - k) for k in range(2, 41)]  # 82 of the 120 are right
    exact = sum(each for each in ways if each <= ways[10 - 2]) / comb(120, 40)
    assert hard.p == pytest.approx(exact, rel=1e-9) == pytest.approx(easy.p, rel=1e-9)


def test_a_slice_of_few_rows_is_too_small_to_tell(store):
    """Also where nearly all rows are of one slice, so that few stand beside it."""
    records = [right(at, **row(at, source="web" if at < 50 else "mail")) for at in range(55)]
    stock(store, "base", records)

    web, mail = slices(store, "base", EVALUATION, ["source"])

    assert web.scores["exact"]["accuracy"].verdict == "too few to tell"
    assert mail.scores["exact"]["accuracy"].verdict == "too few to tell"


def test_rows_are_sliced_by_the_values_of_several_columns(store):
    """A row that lacks the column is of the slice None; values of two types are two slices."""
    stock(
        store,
        "base",
        [
            right(0, **row(0, language="en", year=2024)),
            right(1, **row(1, language="en", year="2024")),
            wrong(2, **row(2, language="de")),
        ],
    )

    found = slices(store, "base", EVALUATION, ["language", "year"])

    assert [tuple(each.by.values()) for each in found] == [
        ("en", 2024),
        ("en", "2024"),
        ("de", None),
    ]


def test_the_intervals_of_many_slices_hold_together(store):
    """Each is as wide as one of a higher confidence."""
    stock(store, "base", [right(at, **row(at, topic=at % 10)) for at in range(100)])

    found = slices(store, "base", EVALUATION, ["topic"])

    low = found[0].scores["exact"]["accuracy"].estimate.low
    assert low == pytest.approx((0.05 / 10 / 2) ** (1 / 10))  # Clopper and Pearson's of 10 of 10
    assert {each.scores["exact"]["accuracy"].verdict for each in found} == {""}


def test_one_slice_is_compared_with_nothing(store):
    stock(store, "base", [right(at, **row(at, topic="all")) for at in range(20)])

    (only,) = found = slices(store, "base", EVALUATION, ["topic"])

    assert slice_lines(found, Terminal())[-1].split() == ["all", "20", "100%", "83.2–100%"]
    assert (only.scores["exact"]["accuracy"].p, only.scores["exact"]["accuracy"].verdict) == (
        None,
        "",
    )


def test_numbers_of_slices_are_tested_by_drawing(store):
    """NaN can not be tested; a metric that is no mean, or that nobody knows, is not either."""
    draw = random.Random(1)

    def scored(at):
        topic = "ab"[at % 2]
        length = draw.gauss(10 if topic == "a" else 14, 2)
        odd = float("nan") if at == 3 else length
        return recorded(
            at,
            Score("length", length, ("mean", "max", "gone")),
            Score("odd", odd, ("mean",)),
            **row(at, topic=topic),
        )

    stock(store, "base", [scored(at) for at in range(60)])

    a, b = slices(store, "base", EVALUATION, ["topic"])

    assert (a.scores["length"]["mean"].verdict, b.scores["length"]["mean"].verdict) == (
        "lower",
        "higher",
    )
    assert a.scores["length"]["mean"].p == pytest.approx(1 / 2_000)
    assert a.scores["length"]["max"].to_dict()["verdict"] == ""
    assert set(a.scores["length"]) == {"mean", "max"}
    assert a.scores["odd"]["mean"].verdict == "too few to tell"


def test_clusters_of_a_slice_are_what_is_independent(store):
    """All rows of a document say the same, so 60 rows are six documents: nothing to be seen."""
    records = [
        (wrong if at // 10 in (0, 1, 3) else right)(
            at, **row(at, doc=at // 10, half="first" if at < 30 else "second")
        )
        for at in range(60)
    ]
    stock(store, "base", records)
    stock(store, "clustered", records, header={"cluster": "doc"})
    flat = slices(store, "base", EVALUATION, ["half"])
    clustered = slices(store, "clustered", EVALUATION, ["half"])

    plain, honest = (each[0].scores["exact"]["accuracy"] for each in (flat, clustered))

    assert plain.verdict == "lower"
    assert honest.verdict == ""
    assert honest.p > 0.3


def test_a_score_that_a_slice_lacks_is_not_shown_there(store):
    other = Score("other", 1.0, ("mean",))
    records = [right(0, **row(0, topic="a")), recorded(1, other, **row(1, topic="b"))]
    stock(store, "base", records)

    a, b = slices(store, "base", EVALUATION, ["topic"])

    assert (set(a.scores), set(b.scores)) == ({"exact"}, {"other"})


def test_slices_of_one_cluster_can_not_be_compared(store):
    records = [right(at, **row(at, doc=at // 20, half=at // 20)) for at in range(40)]
    stock(store, "base", records, header={"cluster": "doc"})

    first, _ = slices(store, "base", EVALUATION, ["half"])

    assert first.scores["exact"]["accuracy"].verdict == "too few to tell"


def test_labels_are_sliced_with_their_own_figures(store):
    said = [("cat", "cat"), ("dog", "cat"), ("dog", "dog"), ("cat", "cat")]
    records = [
        recorded(
            at,
            classify(*said[at % 4], labels=["cat", "dog"], metrics=["accuracy", "f1_macro"]),
            **row(at, source="ab"[at % 2]),
        )
        for at in range(40)
    ]
    stock(store, "base", records)

    a, _ = slices(store, "base", EVALUATION, ["source"])

    (of_labels,) = a.scores.values()
    assert of_labels["accuracy"].estimate.value == 1.0
    assert of_labels["f1_macro"].estimate.value == 1.0


def test_a_column_that_no_row_has_is_named_with_those_there_are(store):
    stock(store, "base", [right(0, **row(0, topic="x"))])

    with pytest.raises(NotFound, match="no row has 'tpoic'; the rows have 'question', 'topic'"):
        slices(store, "base", EVALUATION, ["tpoic"])


def test_a_column_with_a_value_for_each_row_makes_no_slices(store):
    stock(store, "base", [right(at) for at in range(1_001)])

    with pytest.raises(UsageError, match="more than 1,000 slices: choose columns with few"):
        slices(store, "base", EVALUATION, ["question"])


def test_an_evaluation_of_failures_has_slices_without_scores(store):
    stock(store, "base", [recorded(0, **row(0, topic="x"))])

    found = slices(store, "base", EVALUATION, ["topic"])

    assert (found[0].failed, found[0].scores) == (1, {})
    assert slice_lines(found, Terminal()) == ["  no scores"]


# --- on the command line ------------------------------------------------------------------------


@pytest.fixture
def show(store, tmp_path, capsys):
    """`doteval show base` with options: what it prints, and the exit code."""
    stock(store, "base", hard_and_easy())

    def run(*options, code=0):
        assert main(["--storage", str(tmp_path / "results.db"), "show", "base", *options]) == code
        return capsys.readouterr()

    return run


def test_show_by_a_column_has_the_lowest_slice_first(show):
    assert show("--by", "difficulty").out.splitlines() == [
        "eval_x",
        "  exact accuracy",
        "  difficulty  rows  failed  value      95% CI  beside the others",
        "  ──────────  ────  ──────  ─────  ──────────  ─────────────────",
        "  hard          40       0    25%      11–43%  lower, p < 0.001",
        "  easy          80       1  90.0%  79.9–96.1%  higher, p < 0.001",
        "  both intervals hold together",
    ]


def test_show_by_a_column_answers_in_every_form(show):
    told = json.loads(show("--by", "difficulty", "--json").out)
    csv = show("--by", "difficulty", "--csv").out.splitlines()
    markdown = show("--by", "difficulty", "--markdown").out.splitlines()

    first = told["evaluations"][0]["slices"][0]
    assert (first["by"], first["scored"]) == ({"difficulty": "hard"}, 40)
    assert first["scores"]["exact"]["accuracy"]["verdict"] == "lower"
    assert csv[0] == (
        "evaluation,difficulty,scored,failed,score,value,interval low,interval high,p,"
        "beside the others"
    )
    assert csv[1].startswith("eval_x,hard,40,0,exact,0.25,")
    assert markdown[2].startswith("| `eval_x` | `hard` | 40 | 0 | `exact` | 25% |")


def test_show_wrong_has_the_wrong_records_alone(show):
    shown = show("--wrong").out

    assert shown.count("exact False") == 38
    assert "exact True" not in shown


def test_many_slices_say_what_they_are_corrected_for(store, show):
    records = [right(at, **row(at, topic=at % 3)) for at in range(90)]
    stock(store, "base", records, fresh=True)

    assert show("--by", "topic").out.splitlines()[-1] == (
        "  all 3 intervals hold together, and p is corrected for all 3 slices"
    )


def test_a_sample_is_drawn_at_random_and_is_the_same_each_time(show):
    once = show("--wrong", "--sample", "3").out

    assert once.count("exact False") == 3
    assert once == show("--wrong", "--sample", "3").out
    assert [line.split()[1] for line in once.splitlines() if line.startswith("row ")] != [
        "0",
        "1",
        "2",
    ]


def test_show_a_row_has_it_whole(show):
    assert "question 47" in show("--row", "47").out
    assert "there is no row 9999" in show("--row", "9999").out


def test_where_no_answer_is_wrong_a_sentence_says_so(show):
    assert "no answer is wrong" in show("--evaluation", "eval_x", "--wrong", "--row", "119").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--by", "difficulty", "--full"), "figures of all rows; it does not go with --full"),
        (("--by", "difficulty", "--row", "0"), "it does not go with --row"),
        (("--by", "a,,b"), "expected names of columns, as in difficulty"),
        (("--by", "a,a"), "expected names of columns, as in difficulty"),
        (("--row", "first"), "expected the number of a row, from 0"),
        (("--sample", "0"), "expected a number of rows, 1 or more"),
        (("--watch", "--by", "difficulty"), "--watch shows figures as they change"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(show, options, said):
    assert said in show(*options, code=2).err


# --- gates --------------------------------------------------------------------------------------


def judged(store, *gates, experiment="base"):
    return gate(experiment, *gates, storage=store)


def test_a_gate_by_a_column_must_hold_in_each_slice(store):
    """Easy rows do not make up for hard ones; and the metric alone names its score."""
    stock(store, "base", hard_and_easy())

    found = judged(store, "exact >= 60%", "accuracy by difficulty >= 60%")

    whole, sliced = found.verdicts
    assert (whole.outcome, sliced.outcome, found.passed) == ("pass", "fail", False)
    assert [(each.by["difficulty"], each.outcome, each.value) for each in sliced.slices] == [
        ("hard", "fail", 0.25),
        ("easy", "pass", 0.9),
    ]
    assert "1 of 2 slices holds; difficulty=hard: fail, 25% is not >= 60%" in sliced.told
    assert sliced.to_dict()["slices"][0]["by"] == {"difficulty": "hard"}


def test_the_intervals_of_a_gate_hold_for_all_slices_together(store):
    """They are those of `show --by`: of 97.5 % where there are two."""
    stock(store, "base", hard_and_easy())

    (found,) = judged(store, "exact by difficulty >= 80% @ 95%").verdicts

    for part, each in zip(
        found.slices, slices(store, "base", EVALUATION, ["difficulty"]), strict=True
    ):
        estimate = each.scores["exact"]["accuracy"].estimate
        assert (part.low, part.high) == (estimate.low, estimate.high)
    assert [each.outcome for each in found.slices] == ["fail", "undecided"]
    assert "97.5% interval" in found.slices[0].message


def test_a_slice_of_few_rows_passes_no_gate(store):
    """It can not be told, whatever its figure; also of errors, and where all of it failed."""
    few = [right(at, **row(at, topic="rare")) for at in range(9)]
    many = [right(at, **row(at, topic="common")) for at in range(9, 60)]
    broken = [recorded(at, **row(at, topic="broken")) for at in range(60, 63)]
    stock(store, "base", [*few, *many, *broken])

    rows, errors = judged(store, "exact by topic >= 50%", "errors by topic <= 99%").verdicts

    told = {each.by["topic"]: (each.outcome, each.message) for each in rows.slices}
    assert told["common"][0] == "pass"
    assert told["rare"] == ("undecided", "9 rows, too few to tell: 100%")
    assert told["broken"][1].startswith("0 rows, too few to tell")
    assert [each.outcome for each in errors.slices] == ["undecided", "pass", "undecided"]
    assert (rows.outcome, errors.outcome) == ("undecided", "undecided")


def test_a_slice_whose_rows_never_have_the_score_is_not_asked(store):
    other = Score("other", True, ("accuracy",))
    rows = [right(at, **row(at, kind="a")) for at in range(12)]
    stock(
        store, "base", [*rows, *(recorded(at, other, **row(at, kind="b")) for at in range(12, 30))]
    )

    (found,) = judged(store, "exact by kind >= 50%").verdicts

    assert (found.outcome, [each.by["kind"] for each in found.slices]) == ("pass", ["a"])


def test_a_slice_is_held_against_the_same_rows_of_a_baseline(store):
    stock(store, "base", hard_and_easy())
    stock(store, "new", hard_and_easy(hard_wrong=20))

    (found,) = judged(
        store, "exact by difficulty >= baseline(base) + 20% @ 90%", experiment="new"
    ).verdicts

    assert [(each.value, each.n, each.outcome) for each in found.slices] == [
        (0.25, 40, "undecided"),
        (0.0, 80, "fail"),
    ]


def test_slices_know_clusters_labels_of_people_and_any_look(tmp_path):
    """As the whole does: their rows are those that people have labelled, and groups are theirs."""
    path, said = str(tmp_path / "r.db"), tmp_path / "people.csv"

    @ForEach(cluster="doc")("n,doc,kind", [(n, n // 2, "ab"[n % 2]) for n in range(40)])
    def eval_polite(n, doc, kind):
        return Score("polite", n % 4 > 0, ("accuracy",))

    run(eval_polite, "base", storage=path, progress=False)
    said.write_text("n,polite\n" + "".join(f"{n},{n % 4 > 0}\n" for n in range(40)))

    people, ever = gate(
        "base",
        "polite.agreement by kind >= 0.99",
        "polite by kind >= 10% @ 95% anytime",
        storage=path,
        labels=said,
    ).verdicts

    assert [(each.outcome, each.value) for each in people.slices] == [("pass", 1.0)] * 2
    assert all("no interval" in each.message or "any look" in each.message for each in ever.slices)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("missing by topic == 0", "missing is not known by slices; scores and errors are"),
        ("each(exact) by topic >= 1", "leave `by` out"),
        ("exact by >= 1", "expected the name of a column"),
        ("exact by a, >= 1", "expected the name of a column"),
    ],
)
def test_a_gate_by_columns_that_makes_no_sense_is_refused(text, said):
    with pytest.raises(GateError, match=re.escape(said)):
        parse(text)


def test_the_repeats_of_a_row_are_one_row_of_its_slice(store):
    records = [kind(at, repeat=n, **row(at, topic="x")) for at in range(12)
               for n, kind in enumerate((right, wrong))]  # fmt: skip
    stock(store, "base", records)

    (found,) = judged(store, "exact by topic == 0.5").verdicts

    assert [(each.outcome, each.n) for each in found.slices] == [("pass", 12)]


def test_columns_of_a_gate_may_stand_in_quotes():
    assert parse("exact by 'the level', lang >= 1").by == ("the level", "lang")
    assert parse("by by by >= 1").by == ("by",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exact by topic >= 0", "no row has 'topic'; the rows have 'question', 'difficulty'"),
        ("nothing by difficulty >= 0", "there is no score 'nothing'"),
    ],
)
def test_a_gate_on_slices_that_there_are_not_fails(store, text, said):
    stock(store, "base", hard_and_easy())

    (found,) = judged(store, text).verdicts

    assert found.outcome == "fail"
    assert said in found.message


def test_gates_by_slices_need_a_store_that_is_still_there(tmp_path):
    @foreach("n", range(20))
    def eval_n(n):
        return True

    summary = run(eval_n, storage="memory://", progress=False)

    (found,) = judge([parse("eval_n by n >= 1")], AtHand(summary))
    assert "memory:// store is gone" in found.message


def test_a_run_does_not_end_for_slices():
    with pytest.raises(UsageError, match="ask for the slices with a gate"):
        as_until("exact by difficulty >= 80% @ 95%")


def test_gates_are_needed_and_one_evaluation_can_be_asked(store):
    stock(store, "base", hard_and_easy())

    with pytest.raises(UsageError, match="no gates"):
        judged(store)
    with pytest.raises(NotFound):
        gate("base", "errors <= 1", evaluation="eval_y", storage=store)


def test_gate_prints_a_line_for_each_slice_in_every_form(store, tmp_path, capsys):
    stock(store, "base", hard_and_easy())
    text = "exact by difficulty >= 60%"

    def typed(*options):
        assert (
            main(["--storage", str(tmp_path / "results.db"), "gate", "base", text, *options]) == 1
        )
        return capsys.readouterr().out

    lines = [
        f"fail      {text}",
        "          1 of 2 slices holds",
        "          fail      difficulty=hard: 25% is not >= 60%",
        "          pass      difficulty=easy: 90.0% >= 60%",
    ]
    assert typed().splitlines() == lines == str(judged(store, text)).splitlines()
    assert judged(store, text)._repr_html_().startswith("<pre>fail      exact by")
    assert json.loads(typed("--json"))["gates"][0]["slices"][1]["value"] == 0.9
    assert typed("--csv").splitlines()[0] == "outcome,gate,evaluation,slice,why"
    assert "| `difficulty=hard` | `25% is not >= 60%` |" in typed("--markdown")
    assert "slice" not in judgement_table(judged(store, "exact >= 1").verdicts).text(Terminal())


def test_of_many_slices_those_that_do_not_hold_are_told(store):
    """All of them in lines, ten in a sentence; of those that hold ten, and how many more."""
    bad = [wrong(at, **row(at, topic=f"bad {at % 12:02}")) for at in range(120)]
    good = [right(at, **row(at, topic=f"good {at % 12}")) for at in range(120, 240)]
    stock(store, "base", [*good, *bad])

    found = judged(store, "exact by topic >= 60%")

    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines[2:14]] == ["fail"] * 12
    assert [line.split()[0] for line in lines[14:-1]] == ["pass"] * 10
    assert lines[-1].strip() == "and 2 other slices of which it holds"
    assert found.verdicts[0].told.endswith("; and 2 other slices")


def test_pytest_tells_the_slices_that_do_not_hold(pytester, monkeypatch):
    """In the failure of the item, which a JUnit file has too."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        eval_file="""
        from doteval import foreach

        @foreach("n,level", [(n, "hard" if n < 20 else "easy") for n in range(60)])
        def eval_x(n, level):
            return n > 10
        """
    )
    (pytester.path / ".doteval").mkdir()

    result = pytester.runpytest_inprocess(
        "-p", "doteval.pytest_plugin", "--eval-gate", "eval_x by level >= 80%", "--junitxml=j.xml"
    )

    said = "1 of 2 slices holds; level=hard: fail, 45% is not >= 80%"
    result.stdout.fnmatch_lines([f"*{said}"])
    assert said in (pytester.path / "j.xml").read_text().replace("&gt;", ">")


# --- tags ---------------------------------------------------------------------------------------

TAGGED = [
    {"question": "2 + 2", "answer": "4", "difficulty": "easy", "source file": "a.csv"},
    {"question": "17 * 3", "answer": "51", "difficulty": "hard"},
]


def test_tags_are_kept_with_the_record_and_are_no_parameters(tmp_path):
    """A row that lacks one has none; and what is no tag and no column is not kept."""

    @foreach("question,answer", TAGGED, tags="difficulty, source file")
    def eval_sums(question, answer):
        return answer == "4"

    run(eval_sums, "base", storage=str(tmp_path / "r.db"), progress=False)

    kept = [each.row for each in records("base", storage=str(tmp_path / "r.db"))]
    assert kept == [TAGGED[0], {**TAGGED[1], "source file": None}]


def test_tags_are_no_part_of_what_a_row_is_known_by(tmp_path):
    """Rows with another tag are the same rows: nothing is run again."""
    answers = []

    def evaluation(rows):
        @foreach("question,answer", rows, tags="difficulty")
        def eval_sums(question, answer):
            answers.append(answer)
            return True

        return eval_sums

    harder = [{**each, "difficulty": "harder"} for each in TAGGED]
    for rows in (TAGGED, harder):
        run(evaluation(rows), "base", storage=str(tmp_path / "r.db"), progress=False)

    assert answers == ["4", "51"]


@dataclass
class Sum:
    question: str
    answer: str
    difficulty: str = "easy"


def test_rows_with_fields_have_tags_and_columns_serve_as_tags(tmp_path):
    @foreach("question,answer", [Sum("2 + 2", "4")], tags="difficulty,question")
    def eval_sums(question, answer):
        return True

    run(eval_sums, "base", storage=str(tmp_path / "r.db"), progress=False)

    (kept,) = records("base", storage=str(tmp_path / "r.db"))
    assert kept.row == {"question": "2 + 2", "answer": "4", "difficulty": "easy"}


def test_rows_without_names_have_no_tags(tmp_path):
    """Each fails as a row, and says what to do."""

    @foreach("question,answer", [("2 + 2", "4")], tags="difficulty")
    def eval_sums(question, answer):
        return True

    run(eval_sums, "base", storage=str(tmp_path / "r.db"), progress=False)

    (kept,) = records("base", storage=str(tmp_path / "r.db"))
    assert "tags='difficulty' are taken by name, and a tuple has none" in kept.outcome.message


@pytest.mark.parametrize("tags", ["a,,b", "a,a", ["a"]])
def test_tags_that_are_no_list_of_keys_are_refused(tags):
    with pytest.raises(UsageError, match="expected keys of the rows, each once"):
        foreach("question", [], tags=tags)


def test_rows_can_be_clustered_by_a_tag(tmp_path):
    @ForEach(cluster="doc")("n", [{"n": at, "doc": at // 2} for at in range(8)], tags="doc")
    def eval_doc(n):
        return True

    assert run(eval_doc, storage=str(tmp_path / "r.db"), progress=False).groups == 4


def test_a_registered_dataset_takes_tags(monkeypatch, tmp_path):
    class Sums:
        columns = ("question", "answer")
        splits = ()

        def __init__(self, split=None):
            pass

        def __iter__(self):
            return iter(TAGGED)

    monkeypatch.setattr(datasets.registry, "_registered", {})
    datasets.registry.register("sums", Sums)

    @foreach.sums(tags="difficulty")
    def eval_sums(question, answer):
        return True

    assert eval_sums.tags == ("difficulty",)
