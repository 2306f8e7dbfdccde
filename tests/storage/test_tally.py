from __future__ import annotations

import math
import random
import sqlite3
from collections import Counter, defaultdict
from itertools import groupby
from operator import itemgetter

import pytest

from doteval.errors import DamageError
from doteval.record import EMPTY, LIVE, STALE, Result, Score, Usage
from doteval.storage.sqlite import SqliteStore
from doteval.storage.tally import _keep

from .made import a_failure, a_run, a_store, an_entry, key_of

V = "f.py::v"


@pytest.fixture
def store(tmp_path):
    store = SqliteStore(None, tmp_path)
    yield store
    store.close()


def naive(records, repeated):
    """What the tally says, computed from the records themselves."""
    scored = [record for record in records if not record.failed]
    durations = sorted(record.duration for record in scored or records)
    values = defaultdict(lambda: defaultdict(list))
    for record in scored:
        for score in record.outcome.scores:
            values[score.name][record.key].append(float(score.value))
    rows = {
        name: [math.fsum(of) / len(of) for of in by_key.values()] for name, by_key in values.items()
    }
    return {
        "scored": len(scored),
        "failed": len(records) - len(scored),
        "errors": dict(Counter(record.outcome.type for record in records if record.failed)),
        "attempts": sum(record.attempts for record in records),
        "waited": pytest.approx(sum(record.waited for record in records)),
        "mean": pytest.approx(math.fsum(durations) / len(durations)),
        "p50": durations[round(0.5 * (len(durations) - 1))],
        "p95": durations[round(0.95 * (len(durations) - 1))],
        "most": durations[-1],
        "began": min(record.started for record in records),
        "ended": max(record.started + record.duration for record in records),
        "scores": {
            name: {
                "n": len(of),
                "trials": sum(map(len, values[name].values())),
                "total": pytest.approx(math.fsum(of)),
                "squares": pytest.approx(math.fsum(value * value for value in of)),
                "low": pytest.approx(min(of)),
                "high": pytest.approx(max(of)),
                "nans": 0,
                "unread": 0,
                "empty": 0,
                "differing": 0,
            }
            for name, of in rows.items()
        },
    }


def flat(tally):
    return {
        "scored": tally.scored,
        "failed": tally.failed,
        "errors": tally.errors,
        "attempts": tally.attempts,
        "waited": tally.waited,
        **tally.duration,
        "began": tally.began,
        "ended": tally.ended,
        "scores": {
            name: {key: facts[key] for key in facts if key not in ("metrics", "boolean")}
            for name, facts in tally.scores.items()
        },
    }


@pytest.mark.parametrize("others", [0, 1, 3], ids=["alone", "mixed", "sparse"])
@pytest.mark.parametrize("stale", [0, 5], ids=["live", "stale"])
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_it_adds_up_what_a_loop_over_the_records_adds_up(store, seed, repeats, stale, others):
    """For any mixture of results, failures, scores, repeats, states and neighbours."""
    chance = random.Random(seed)
    number = store.begin(a_run())
    neighbours = [store.begin(a_run(evaluation=f"other {n}")) for n in range(others)]
    added = []
    for position in range(60):
        for repeat in range(repeats):
            outcome = Result(
                Score("accuracy", chance.random() < 0.7, ("accuracy",)),
                *([Score("length", chance.choice([3, 0.25, -7, 1e6]))] * chance.choice([0, 1])),
            )
            if chance.random() < 0.2:
                outcome = a_failure(chance.choice(["KeyError", "Timeout"]))
            times = {
                "attempts": chance.randint(1, 5),
                "started": chance.random() * 100,
                "duration": chance.random(),
                "waited": chance.random(),
            }
            entry = an_entry(position, outcome, repeat=repeat, position=position, **times)
            added.append((number, entry))
            for other in neighbours:
                added.append((other, an_entry(position, outcome, repeat=repeat)))
    for of, entries in groupby(added, key=itemgetter(0)):
        store.add(of, [entry for _, entry in entries])
    store.mark(number, chance.sample(range(1, 60), stale), STALE)
    live = list(store.records("e", V))
    left = len(list(store.records("e", V, state=STALE)))

    tally = store.tally("e", V)

    assert flat(tally) == naive(live, repeats > 1)
    assert tally.stale == left
    assert tally.repeats == max(record.repeat for record in live) + 1


def test_an_evaluation_without_records_has_nothing(store):
    """And no figure is invented for it."""
    store.begin(a_run())

    tally = store.tally("e", V)

    assert (tally.scored, tally.failed, tally.attempts, tally.waited) == (0, 0, 0, 0.0)
    assert tally.duration == {"mean": None, "p50": None, "p95": None, "most": None}
    assert (tally.began, tally.ended, tally.scores, tally.errors) == (None, None, {}, {})
    assert (tally.input_tokens, tally.output_tokens, tally.cost) == (None, None, None)


def test_latency_is_that_of_the_scored_where_there_are_any(store):
    """A call that is refused at once says nothing about how long an answer takes."""
    number = store.begin(a_run())
    store.add(number, [an_entry("a", a_failure(), duration=9.0)])
    failures = store.tally("e", V)
    store.add(number, [an_entry("b", duration=2.0)])

    assert failures.duration["most"] == 9.0
    assert store.tally("e", V).duration["most"] == 2.0


def test_tokens_are_summed_where_somebody_reported_any(store):
    """Nothing reported is not zero."""
    number = store.begin(a_run())
    store.add(number, [an_entry("a", usage=Usage(10, None, None))])
    store.add(number, [an_entry("b", usage=Usage(5, 7, None)), an_entry("c")])

    tally = store.tally("e", V)

    assert (tally.input_tokens, tally.output_tokens, tally.cost) == (15, 7, None)


def test_the_most_frequent_error_comes_first(store):
    """Whoever reads one line reads the one that matters."""
    number = store.begin(a_run())
    kinds = ["B", "A", "C", "C"]
    store.add(number, [an_entry(n, a_failure(kind)) for n, kind in enumerate(kinds)])

    assert list(store.tally("e", V).errors.items()) == [("C", 2), ("A", 1), ("B", 1)]


def facts_of(store, *values, repeats=1):
    number = store.begin(a_run())
    store.add(
        number,
        [
            an_entry(
                n // repeats,
                Result(value if isinstance(value, Score) else Score("s", value)),
                repeat=n % repeats,
            )
            for n, value in enumerate(values)
        ],
    )
    return store.tally("e", V).scores["s"]


def test_integers_that_overflow_are_summed_as_floats(store):
    """SQLite's own sum of integers would raise."""
    facts = facts_of(store, 2**62, 2**62, 2**62, 2**70)

    assert facts["total"] == float(3 * 2**62 + 2**70)
    assert facts["high"] == float(2**70)


def test_scores_that_are_nan_are_counted(store):
    """They are in n, and in no sum."""
    facts = facts_of(store, float("nan"), 1.0, float("nan"))

    assert (facts["n"], facts["nans"], facts["total"]) == (3, 2, 1.0)


def test_a_row_with_a_repeat_that_is_nan_is_nan(store):
    """The mean of what is left would hide it."""
    facts = facts_of(store, 1.0, float("nan"), 1.0, 0.0, repeats=2)

    assert (facts["n"], facts["trials"], facts["nans"], facts["total"]) == (2, 4, 1, 0.5)


@pytest.mark.parametrize("repeats", [1, 2])
def test_infinities_are_summed(store, repeats):
    """They are scores, if odd ones."""
    facts = facts_of(store, math.inf, 1.0, repeats=repeats)

    assert facts["total"] == math.inf
    assert facts["high"] == math.inf


def test_infinities_that_cancel_each_other_leave_no_number(store):
    """Their sum is NaN, which SQLite makes NULL of."""
    facts = facts_of(store, math.inf, -math.inf)

    assert math.isnan(facts["total"])
    assert (facts["low"], facts["high"], facts["nans"]) == (-math.inf, math.inf, 0)


def test_how_answers_were_read_is_added_up(store):
    """Unread, empty, of another type: each on its own, and none makes a number of a bool."""
    of_another = {"problem": "types differ: text and number"}
    facts = facts_of(
        store,
        True,
        Score("s", False, unread=True),
        Score("s", False, unread=True, metadata={"problem": EMPTY}),
        Score("s", False, unread=True, metadata={"problem": EMPTY}),
        Score("s", False, metadata=of_another),
    )

    assert (facts["unread"], facts["empty"], facts["differing"]) == (1, 2, 1)
    assert (facts["n"], facts["total"], facts["boolean"]) == (5, 1.0, True)


def test_true_and_false_are_told_from_numbers(store):
    """Only where all values are."""
    assert facts_of(store, True, False)["boolean"]
    number = store.begin(a_run("other"))
    store.add(
        number, [an_entry("a", Result(Score("s", True))), an_entry("b", Result(Score("s", 1)))]
    )
    assert not store.tally("other", V).scores["s"]["boolean"]


def test_a_score_that_no_live_record_has_is_left_out(store):
    """Its name is still known to the store."""
    number = store.begin(a_run())
    store.add(
        number, [an_entry("a", Result(Score("old", 1))), an_entry("b", Result(Score("s", 1)))]
    )
    store.mark(number, [1], STALE)

    assert list(store.tally("e", V).scores) == ["s"]


def test_the_last_metrics_of_a_score_count(store):
    """Who adds a metric to an evaluation sees it for the stored rows too."""
    number = store.begin(a_run())
    store.add(number, [an_entry("a", Result(Score("s", 1, ("mean",))))])
    store.end(number, a_run(status="complete"))
    number = store.begin(a_run())
    store.add(number, [an_entry("b", Result(Score("s", 1, ("mean", "std"))))])

    assert store.tally("e", V).scores["s"]["metrics"] == ["mean", "std"]


def test_keys_are_what_tells_rows_from_repeats(store):
    """Two rows at one position are two."""
    number = store.begin(a_run())
    store.add(number, [an_entry("a", Result(Score("s", 1))), an_entry("b", Result(Score("s", 0)))])
    store.add(number, [an_entry("a", Result(Score("s", 1)), repeat=1)])

    facts = store.tally("e", V).scores["s"]

    assert (facts["n"], facts["trials"], facts["total"]) == (2, 3, 1.0)
    assert [key for key, _ in store.values("e", V, "s")] == [key_of("a"), key_of("b"), key_of("a")]


def test_tokens_of_any_number_are_summed(store):
    """Sums of integers beyond 63 bits would be an error of SQLite's."""
    number = store.begin(a_run())
    store.add(number, [an_entry(n, usage=Usage(2**62, 1, 0.0)) for n in range(4)])

    tally = store.tally("e", V)

    assert (tally.input_tokens, tally.output_tokens) == (2**64, 4)
    assert type(tally.output_tokens) is int


@pytest.mark.parametrize("ended", [False, True], ids=["at the commits", "anew"])
def test_percentiles_of_very_many_durations_are_within_one_percent(store, ended):
    """Their logarithms are counted, and none of them is read."""
    number = store.begin(a_run())
    for n in range(0, 6_000, 500):
        store.add(number, [an_entry(k, duration=k / 6_000) for k in range(n, n + 500)])
    if ended:
        store.mark(number, [1], STALE)

    found = store.tally("e", V).duration

    assert found["p50"] == pytest.approx(0.50, rel=0.011)
    assert found["p95"] == pytest.approx(0.95, rel=0.011)
    assert found["most"] == 5_999 / 6_000
    assert found["mean"] == pytest.approx(0.49991667, rel=0.001)


def test_sums_of_what_has_changed_since_are_not_kept(store):
    """Another process added a record between the look and its end."""
    number = store.begin(a_run())
    store.add(number, [an_entry("a")])
    store.mark(number, [], STALE)
    before = store.tally("e", V)

    _keep(store.database, 1, -7, {}, {})

    assert store.tally("e", V) == before


@pytest.mark.parametrize("seed", range(60))
def test_sums_are_those_of_the_rows_whatever_is_done(store, seed):
    """Retries, failures that are replaced, changed rows, repeats, marks, fresh runs, resumes."""
    chance = random.Random(seed)
    number = store.begin(a_run())
    for key in range(chance.randint(1, 12)):
        there = store.stored(number)
        act = chance.choice(["add", "add", "replace", "mark", "run", "fresh"])
        if act == "mark" and there:
            ids = [each.id for each in chance.choices(there, k=chance.randint(0, 3))]
            store.mark(number, ids, chance.choice([LIVE, STALE]))
        elif act in ("run", "fresh"):
            store.end(number, a_run(status="complete"))
            number = store.begin(a_run(), fresh=act == "fresh")
        elif act in ("add", "replace"):
            value = chance.choice([True, False, -3, 2**65, 0.25, math.nan, 1e9, -7.5])
            score = Score(chance.choice("st"), value, unread=chance.random() < 0.5)
            outcome = chance.choice([a_failure(), Result(score)])
            old = chance.choice(there).id if there and act == "replace" else None
            usage = Usage(chance.choice([None, 3]), None, 0.5)
            entry = an_entry(
                f"{key}", outcome, repeat=chance.choice([0, 0, 0, 1]),
                usage=usage, waited=0.25, replaces=old,
            )  # fmt: skip
            store.add(number, [entry])
    before = store.tally("e", V)
    with store.database.writing() as db:
        db.execute("UPDATE evaluations SET summed = -1")

    assert repr(before) == repr(store.tally("e", V))


def test_sums_that_can_not_be_are_damage(path):
    """More true answers than there are: no figure is shown of them."""
    store = a_store(path)
    number = store.begin(a_run())
    store.add(number, [an_entry("a")])
    store.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE score_names SET total = 7")
    db.commit()
    db.close()

    store = a_store(path)
    with pytest.raises(DamageError, match="can not be sums"):
        store.tally("e", store.evaluations("e")[0])
    store.close()
