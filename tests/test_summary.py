"""What the stored records of an evaluation say, and how sure that is."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from doteval import ForEach, Score, foreach, metrics, run
from doteval.cli import main
from doteval.errors import NotFound, UsageError
from doteval.reporting.summary import summarise
from doteval.storage import open_store
from tests.recorded import record


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A place for a store."""
    return tmp_path / "results.db"


# -------------------------------------------------------------------- counts and coverage


def test_every_row_is_scored_failed_or_missing(storage):
    """Nothing is counted twice or forgotten: n = scored + failed + missing."""
    record(storage, "e", {"exact": [True, False, None, True]})

    summary = record(storage, "e", {"exact": [True, False, None, True]}, samples=2)

    assert (summary.total, summary.scored, summary.failed, summary.missing) == (4, 3, 1, 0)


def test_missing_is_unknown_while_the_end_of_the_dataset_is(storage):
    """A stream that was not read to its end may hold any number of rows."""

    @foreach("n", lambda: iter(range(3)))
    def eval_stream(n):
        return n > 0

    summary = run(eval_stream, "e", storage=str(storage), samples=2, progress=False)

    assert (summary.total, summary.missing, summary.scored) == (None, None, 2)
    assert summary.coverage == 1.0


def test_coverage_is_the_share_of_all_rows_that_have_scores(storage):
    """An estimate over the scored rows says what part of the rows it knows."""
    summary = record(storage, "e", {"exact": [True, False, None, True]})

    assert summary.coverage == 0.75


def test_scores_that_are_all_nan_are_summed_up(storage):
    """There is no smallest and no largest among them, so failures have no bounds."""
    summary = record(storage, "e", {"exact": [float("nan"), float("nan"), None]})

    assert (summary.scored, summary.failed, summary.bounds) == (2, 1, {})
    assert math.isnan(summary.scores["exact"]["accuracy"].value)


def test_nothing_covers_nothing(storage):
    """Without a record there is no share of anything."""
    record(storage, "e", {"exact": [True]})
    store = open_store(str(storage))
    empty = summarise(store, "e", store.evaluations("e")[0])
    store.close()

    assert (
        type(empty)(**{**_fields(empty), "total": None, "scored": 0, "failed": 0}).coverage is None
    )


def _fields(summary):
    return {name: getattr(summary, name) for name in summary.__slots__}


def test_an_evaluation_without_runs_is_incomplete(storage):
    """Records that were rescued without their runs still say what they know."""
    record(storage, "e", {"exact": [True, False]})
    with closing(sqlite3.connect(storage)) as db, db:
        db.execute("DELETE FROM runs")

    with closing(open_store(str(storage))) as store:
        summary = summarise(store, "e", store.evaluations("e")[0])

    assert (summary.status, summary.runs, summary.started) == ("incomplete", 0, None)
    assert summary.scores["exact"]["accuracy"].value == 0.5
    assert (summary.duration, summary.rate) == (0, None)


def test_a_sample_is_complete_for_its_run_and_incomplete_as_an_evaluation(storage):
    """The run did what it was asked for; rows are missing all the same."""
    record(storage, "e", {"exact": [True, True]})
    summary = record(storage, "f", {"exact": [True, True]}, samples=1)

    assert (summary.status, summary.missing) == ("incomplete", 1)


def test_a_sample_of_a_dataset_without_a_length_is_incomplete(storage):
    """Nobody knows whether there are other rows, until a run has come to their end."""

    @foreach("n", lambda: iter(range(3)))
    def eval_n(n):
        return True

    known = [
        (summary.status, summary.missing)
        for summary in (
            run(eval_n, "e", storage, samples=samples, progress=False) for samples in (3, 4, 2)
        )
    ]

    assert known == [("incomplete", None), ("complete", 0), ("complete", 0)]


def test_the_time_is_that_of_the_runs_since_the_last_fresh_one(storage):
    """What no longer counts took no time."""

    @foreach("n", range(2))
    def eval_n(n):
        return True

    run(eval_n, "e", storage=str(storage), progress=False)
    run(eval_n, "e", storage=str(storage), progress=False, fresh=True)
    with closing(open_store(str(storage))) as store:
        name = store.evaluations("e")[0]
        durations = [each.duration for each in store.runs("e", name)]
        summary = summarise(store, "e", name)

    assert summary.runs == 2
    assert summary.duration == durations[1]


# ---------------------------------------------------------------------------- bounds


def test_bounds_of_an_accuracy_hold_whatever_the_failures_were(storage):
    """Two of three answers right and one failure: between 2/4 and 3/4."""
    summary = record(storage, "e", {"exact": [True, True, False, None]})

    assert summary.scores["exact"]["accuracy"].value == 2 / 3
    assert summary.bounds == {"exact": {"accuracy": (2 / 4, 3 / 4)}}


def test_bounds_without_failures_are_the_value(storage):
    """Where nothing failed, nothing is in doubt."""
    summary = record(storage, "e", {"exact": [True, False]})

    assert summary.bounds["exact"]["accuracy"] == (0.5, 0.5)


def test_repeats_that_failed_count_within_their_row(storage):
    """Row means of [1, ?] and [0, 0]: between (1/2 + 0)/2 and (1 + 0)/2."""
    summary = record(storage, "e", {"exact": [[True, None], [False, False]]})

    assert summary.scores["exact"]["accuracy"].value == 0.5
    assert summary.bounds["exact"]["accuracy"] == (0.25, 0.5)


def test_a_row_of_which_every_repeat_failed_counts_in_the_bounds(storage):
    """It has no place in the estimate, and is all in doubt."""
    summary = record(storage, "e", {"exact": [[True, True], [None, None]]})

    assert summary.scores["exact"]["accuracy"].value == 1.0
    assert summary.bounds["exact"]["accuracy"] == (0.5, 1.0)


def test_bounds_of_pass_at_k_fill_the_repeats(storage):
    """pass@2 of [1, ?] is known to be 1; of [0, ?] it is anything."""
    summary = record(storage, "e", {"exact": [[True, None], [False, None]]}, metrics=("pass@2",))

    assert summary.bounds["exact"]["pass@2"] == (0.5, 1.0)


def test_bounds_that_have_no_number_are_left_out(storage):
    """pass@3 of two repeats does not exist, whatever failed."""
    summary = record(storage, "e", {"exact": [[True, None], [False, True]]}, metrics=("pass@3",))

    assert summary.bounds == {}


@pytest.mark.parametrize("metric", ["mean", "median", "std"])
def test_numbers_of_no_known_range_have_no_bounds(storage, metric):
    """Nobody knows what the best answer would have been worth."""
    summary = record(storage, "e", {"score": [0.5, 0.25, None]}, metrics=(metric,))

    assert summary.bounds == {}


def test_partial_credit_has_bounds_where_it_is_an_accuracy(storage):
    """An accuracy is a share of 1, also of answers that are half right."""
    summary = record(storage, "e", {"score": [0.5, 1.0, None]})

    assert summary.bounds["score"]["accuracy"] == (0.5, 2.5 / 3)


def test_nan_has_no_bounds(storage):
    """With a NaN among the scores every figure is NaN."""
    summary = record(storage, "e", {"exact": [True, float("nan"), None]})

    assert summary.bounds == {}
    assert summary.scores["exact"]["accuracy"].value != summary.scores["exact"]["accuracy"].value


# --------------------------------------------------------------------------- repeats


def test_repeats_are_reduced_before_rows_are_counted(storage):
    """Asking two questions five times does not make ten questions."""
    five = [[True] * 5, [False] * 5]
    summary = record(storage, "e", {"exact": five})

    estimate = summary.scores["exact"]["accuracy"]
    assert (estimate.value, estimate.n, summary.repeats) == (0.5, 2, 5)
    assert estimate == metrics.accuracy.estimate(five)


# ---------------------------------------------------------------------------- groups


def test_the_column_that_cluster_names_clusters_the_errors(storage):
    """
    Groups that agree inside count as one observation each: with two groups of five equal rows
    the standard error is that of two values, sqrt(2) * 0.5 / sqrt(2) = 0.5.
    """
    values = [True] * 5 + [False] * 5
    clustered = record(storage, "a", {"exact": values}, groups=["x"] * 5 + ["y"] * 5)
    plain = record(storage, "b", {"exact": values})

    assert clustered.groups == 2
    assert clustered.scores["exact"]["accuracy"].stderr == pytest.approx(0.5)
    assert plain.groups is None
    assert plain.scores["exact"]["accuracy"].stderr == pytest.approx((0.25 / 9) ** 0.5)


def test_a_row_without_a_group_is_on_its_own(storage):
    """None is no group that rows could share; and 1 is not "1"."""
    summary = record(
        storage, "e", {"exact": [True, False, True, False]}, groups=[None, None, 1, "1"]
    )

    assert summary.groups == 4


def test_a_figure_is_held_to_what_rows_with_too_few_repeats_can_make_of_it(storage):
    """Of three rows one failed twice; two passed once, so they pass whatever their others were."""
    asked = Counter()

    @ForEach(repeats=2, retries=0)("n", range(3))
    def eval_n(n):
        asked[n] += 1
        if n and asked[n] == 2:
            raise LookupError
        return Score("s", n > 0, ("pass@2",))

    found = run(eval_n, "e", storage, progress=False).scores["s"]["pass@2"]

    assert found.value == pytest.approx(2 / 3)
    assert found.method.endswith("held to its bounds")


def test_a_column_clusters_nothing_by_its_name(tmp_path, monkeypatch, capsys):
    """What relied on `group` is told once what to write; a cluster must be a column."""
    monkeypatch.chdir(tmp_path)
    Path("eval_n.py").write_text(
        "from doteval import foreach\n"
        "@foreach('group,n', [('x', n) for n in range(4)])\n"
        "def eval_n(group, n):\n    return n > 1\n"
    )
    command = ["run", "eval_n.py", "--experiment", "e", "--storage", "s.db"]

    told = [(main(command), capsys.readouterr().out)[1] for _ in range(2)]

    assert ["write ForEach(cluster='group')" in " ".join(each.split()) for each in told] == [
        True,
        False,
    ]
    assert "1 cluster" not in told[0]
    with pytest.raises(UsageError, match=r"cluster='doc'\): expected one of the columns: a, b"):
        ForEach(cluster="doc")("a,b", [])


def test_stored_rows_are_clustered_when_their_evaluation_is(storage):
    """Nothing runs again; and the store has what clusters them as a column."""
    rows = [("x", 1), ("x", 2), ("y", 3), (None, 4)]

    def eval_n(doc, n):
        return n > 1

    run(foreach("doc,n", rows)(eval_n), "e", storage, progress=False)
    summary = run(ForEach(cluster="doc")("doc,n", rows)(eval_n), "e", storage, progress=False)

    assert (summary.groups, summary.scored) == (3, 4)
    run(ForEach(cluster="doc")("doc,n", rows)(eval_n), "new", storage, progress=False)
    with closing(sqlite3.connect(storage)) as db:
        found = [each for (each,) in db.execute("SELECT cluster FROM records ORDER BY id")]
    assert found == [None] * 4 + ["x", "x", "y", None]


def test_runs_of_before_keep_the_clusters_of_their_column_named_group(storage):
    """Their headers do not say what clusters."""
    record(storage, "a", {"exact": [True] * 4}, groups=["x", "x", "y", "y"])
    with closing(sqlite3.connect(storage)) as db, db:
        db.execute("UPDATE runs SET header = json_remove(header, '$.cluster')")

    store = open_store(storage)
    (name,) = store.evaluations("a")
    assert summarise(store, "a", name).groups == 2
    store.close()


# --------------------------------------------------------------------------- metrics


def test_a_metric_that_nobody_knows_is_told_and_the_others_are_shown(storage, monkeypatch):
    """Stored scores outlive the program that defined their metrics."""
    summary = record(storage, "e", {"exact": [True, False]}, metrics=("accuracy", "nobodys"))

    assert list(summary.scores["exact"]) == ["accuracy"]
    assert summary.unknown[0].startswith("exact.nobodys: ")


def test_a_metric_that_fails_is_told_and_the_others_are_shown(storage):
    """Somebody else's function does not take the summary with it."""

    @metrics.metric(name="divides_by_zero")
    def divides_by_zero(values):
        return 1 / 0

    summary = record(storage, "e", {"exact": [True, False]}, metrics=("divides_by_zero", "mean"))

    assert list(summary.scores["exact"]) == ["mean"]
    assert "ZeroDivisionError" in summary.unknown[0]


def test_rows_that_were_counted_say_more_than_the_length_of_their_dataset(tmp_path):
    """`num_rows` may be of all splits; samples leave the dataset's end unseen."""

    class Split:
        num_rows = 4

        def __iter__(self):
            return iter([1, 2])

    def eval_split(n):
        return True

    made = foreach("n", Split())(eval_split)
    sampled = run(made, "e", tmp_path / "x.db", samples=1, progress=False)
    whole = run(made, "e", tmp_path / "x.db", progress=False)

    assert (sampled.status, sampled.total, sampled.missing) == ("incomplete", 4, 3)
    assert (whole.status, whole.total, whole.missing) == ("complete", 2, 0)


def test_a_metric_that_needs_the_values_gets_them(storage):
    """A median can not be had from sums, nor the interval of a standard deviation."""
    values = [3, 1, 2, 5, 4, 9]
    scores = record(storage, "e", {"x": values}, metrics=("median", "std", "max")).scores["x"]

    assert scores["median"].value == 3.5
    assert scores["std"] == metrics.std.estimate([[value] for value in values])
    assert scores["std"].method == "bonett"
    assert scores["max"].value == 9


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_the_intervals_have_the_confidence_that_was_asked_for(storage, confidence):
    """Wilson's interval at this confidence, as metrics give it."""
    values = [True] * 7 + [False] * 3
    record(storage, "e", {"exact": values})
    with closing(open_store(str(storage))) as store:
        summary = summarise(store, "e", store.evaluations("e")[0], confidence=confidence)

    expected = metrics.accuracy.estimate([[value] for value in values], confidence=confidence)
    found = summary.scores["exact"]["accuracy"]
    assert summary.confidence == confidence
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


# ------------------------------------------------------------------------- plain data


def test_the_plain_data_of_a_summary_is_json(storage):
    """`show --json` prints it, bounds and coverage included."""
    summary = record(storage, "e", {"exact": [True, False, None]})
    told = json.loads(json.dumps(summary.to_dict()))

    assert told["bounds"] == {"exact": {"accuracy": [1 / 3, 2 / 3]}}
    assert told["coverage"] == 2 / 3
    assert (told["repeats"], told["groups"], told["confidence"]) == (1, None, 0.95)
    assert told["total"] == told["scored"] + told["failed"] + told["missing"]
    assert told["success_rate"] == summary.success == 2 / 3
    assert told["rows_per_second"] == summary.rate


def test_a_notebook_shows_counts_and_scores(storage):
    """`_repr_html_` is what Jupyter asks for: what was counted, and how sure the scores are."""
    summary = record(storage, "e", {"exact": [True, False, None, True]})
    shown = summary._repr_html_()

    assert "eval_x</b> · e · complete · 3 of 4 scored · 1 failed</div>" in shown
    assert "<td>exact</td><td>accuracy</td><td>67%</td><td>9–99%</td><td>3</td>" in shown


def test_a_notebook_shows_what_is_unknown_as_unknown(storage):
    """No total while the end of the dataset is unknown, no interval for one number, no table of
    nothing, and why a run ended."""
    whole = record(storage, "e", {"exact": [2.5]}, metrics=("mean",))
    bare = replace(whole, scores={}, total=None, error="the disk is full")

    assert "<td>2.5</td><td>-</td><td>1</td>" in whole._repr_html_()
    assert bare._repr_html_().endswith("· 1 scored</div><div>the disk is full</div>")


def test_what_a_notebook_shows_can_not_run(storage):
    """Names come from anybody: markup is shown as text, controls as escapes, and length is cut."""
    hostile = "<img src=x onerror=alert(1)>\x1b[2J\u202e" + "x" * 200
    whole = record(storage, "e", {hostile: [True]})
    shown = replace(
        whole, experiment=hostile, evaluation=hostile, status=hostile, error=hostile * 9
    )._repr_html_()

    assert shown.count("&lt;img src=x onerror=alert(1)&gt;") == 6
    assert not {"<img", "\x1b", "\u202e"} & set(re.findall("<img|[\x1b\u202e]", shown))
    assert set(re.findall(r"</?(\w+)", shown)) == {"div", "b", "table", "tr", "th", "td"}
    assert len(shown) < 2_000


def test_an_evaluation_that_is_not_there_is_not_found(storage):
    """Nothing is summed up that does not exist."""
    record(storage, "e", {"exact": [True]})

    with closing(open_store(str(storage))) as store, pytest.raises(NotFound, match="eval_y"):
        summarise(store, "e", "eval_y")
