"""
For authors of plugins: the checks that a store must pass::

    import pytest
    from doteval.testing import STORE_CHECKS

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_my_store(check, tmp_path):
        check(lambda: MyStore(tmp_path))

Each check is a function of a callable that opens a store, the same one at each call unless the
store is `inline`: in memory, and gone with its object. Of a plugin's `Backend` (see
`storage.backend`) doteval makes all that a store does, and asks that. A check raises
AssertionError with what was expected, and needs no pytest.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Union

from .concurrency.row import Row
from .errors import Busy, NotFound
from .keys import shard_of
from .record import LIVE, STALE, SUPERSEDED, Attempt, Failure, Result, Run, Score
from .storage.backend import BackedStore, Backend
from .storage.encoding import dump
from .storage.entries import Entry, encode
from .storage.sqlite import SqliteStore
from .usage import usage_of

Open = Callable[[], Union[SqliteStore, Backend]]
_EVALUATION = "eval_x.py::eval_x"
_BEGAN = 1_700_000_000.0  # Unix seconds


# --- what the checks are made of ---------------------------------------------------------------


def _run(experiment: str = "e", evaluation: str = _EVALUATION, **header: Any) -> Run:
    return Run(
        os.urandom(16).hex(), experiment, evaluation, _BEGAN, None, 0.0, "running", os.getpid(),
        header,
    )  # fmt: skip


def _ended(run: Run, status: str = "complete", error: str | None = None) -> Run:
    return Run(
        run.uid, run.experiment, run.evaluation, run.started, _BEGAN + 2.5, 2.5, status, run.pid,
        run.header, ({"at": 0.0, "limit": 2, "reason": "start", "throughput": None},), error,
    )  # fmt: skip


def _key(number: int) -> bytes:
    return number.to_bytes(8, "big") * 2


def _entry(
    key: int,
    outcome: Result | Failure | None = None,
    *,
    repeat: int = 0,
    digest: bytes | None = None,
    replaces: int | None = None,
    duration: float = 0.5,
) -> Entry:
    named = {"n": key}
    row = Row(dict, True, _key(key), digest, key, repeat, named, dump(named))
    row.attempts, row.waited, row.concurrency = 1, 0.25, 3
    row.replaces = replaces
    outcome = outcome or Result(Score("right", key % 2 == 0, ("accuracy",)))
    usage = outcome.usage if isinstance(outcome, Result) else None
    return encode(row, outcome, usage_of(usage), _BEGAN + key, duration)


@contextmanager
def _opened(open: Open) -> Iterator[SqliteStore]:
    found = open()
    store = found if isinstance(found, SqliteStore) else BackedStore(found, Path.cwd())
    try:
        yield store
    finally:
        store.close()


def _fill(store: SqliteStore, entries: Iterable[Entry | Attempt], **options: Any) -> Run:
    """A whole run that adds these entries."""
    run = _run(**options)
    number = store.begin(run)
    store.add(number, list(entries))
    store.end(number, _ended(run))
    return run


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {found!r}")


@contextmanager
def _raises(kind: type[Exception], what: str) -> Iterator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{what}: expected {kind.__name__}")


# --- the checks ----------------------------------------------------------------------------------


def an_empty_store_holds_nothing(open: Open) -> None:
    """It lists no experiments, and says so of a name that is asked for."""
    with _opened(open) as store:
        _same(store.experiments(), [], "experiments of a new store")
        with _raises(NotFound, "evaluations of an unknown experiment"):
            store.evaluations("nobody")


def records_come_back_as_they_were(open: Open) -> None:
    """Rows, prompts, answers, scores, times and failures, in the order of their writing."""
    result = Result(
        Score("a", True, ("accuracy",), {"why": "x"}),
        Score("b", 0.5),
        prompt=["what?"],
        model_response={"text": "that"},
        metadata={"seed": 3},
        usage={"input_tokens": 5, "output_tokens": 7, "cost": 0.5},
    )
    failure = Failure("ValueError", "no", "Traceback …", None)
    with _opened(open) as store:
        _fill(store, [_entry(1, result), _entry(2, failure)])
        one, two = store.records("e", _EVALUATION)
        (failed,) = store.records("e", _EVALUATION, failed=True)
        (scored,) = store.records("e", _EVALUATION, failed=False)
    assert isinstance(one.outcome, Result)
    _same(one.outcome.scores, result.scores, "scores")
    _same((one.outcome.prompt, one.outcome.model_response), (["what?"], {"text": "that"}), "texts")
    _same(one.outcome.metadata, {"seed": 3}, "metadata")
    _same(
        (one.key, one.position, one.repeat, dict(one.row), one.attempts, one.started),
        (_key(1), 1, 0, {"n": 1}, 1, _BEGAN + 1),
        "identity",
    )
    _same((one.duration, one.waited, one.concurrency), (0.5, 0.25, 3), "times")
    _same(two.outcome, failure, "the failure")
    _same((failed.key, scored.key), (two.key, one.key), "records by whether they failed")


def odd_values_survive(open: Open) -> None:
    """NaN, infinities, integers beyond 64 bits, lone surrogates, NUL, long texts."""
    odd = [float("nan"), float("inf"), -float("inf"), 2**70, -(2**70), 1, 1.0, True, False]
    text = "\x00 \ud800 \x1b[31m \u202e 😀" + "x" * 100_000
    with _opened(open) as store:
        _fill(
            store,
            [_entry(n, Result(Score("v", value), prompt=text)) for n, value in enumerate(odd)],
        )
        found = list(store.records("e", _EVALUATION))
    for value, record in zip(odd, found, strict=True):
        assert isinstance(record.outcome, Result)
        (score,) = record.outcome.scores
        assert isinstance(score, Score)
        same = math.isnan(score.number) if value != value else score.value == value
        _same((same, type(score.value)), (True, type(value)), f"a score of {value!r}")
        _same(record.outcome.prompt, text, "a text")


def a_run_is_told_from_start_to_end(open: Open) -> None:
    """Its header, status, times, history and error."""
    with _opened(open) as store:
        run = _run(strategy={"name": "Sequential"})
        number = store.begin(run)
        (before,) = store.runs("e")
        ended = replace(run, header={"figures": []})  # what has come to its header
        store.end(number, _ended(ended, "incomplete", "the dataset raised"))
        (after,) = store.runs("e", _EVALUATION)
    _same((before.status, before.finished), ("running", None), "a run that works")
    _same(dict(after.header), {"strategy": {"name": "Sequential"}, "figures": []}, "its header")
    _same(
        (after.uid, after.status, after.finished, after.duration, after.error),
        (run.uid, "incomplete", _BEGAN + 2.5, 2.5, "the dataset raised"),
        "its end",
    )
    _same([change["limit"] for change in after.history], [2], "its history")


def one_run_at_a_time(open: Open) -> None:
    """A second run of an evaluation is refused while the first works; another evaluation is not."""
    with _opened(open) as store:
        run, other = _run(), _run(evaluation="eval_y.py::eval_y")
        number = store.begin(run)
        with _raises(Busy, "a second run of the same evaluation"):
            store.begin(_run())
        store.end(store.begin(other), _ended(other))
        store.end(number, _ended(run))
        again = _run()
        store.end(store.begin(again), _ended(again))


def what_was_added_outlives_its_object(open: Open) -> None:
    """
    As soon as `add` has returned, another object sees it, and refuses another run; when the first
    one is gone without a word, all of it is there and a run may begin.
    """
    with _opened(open) as store:
        if store.inline:
            return
        number = store.begin(_run())
        store.add(number, [_entry(1)])
        with _opened(open) as other:
            _same([name for name, _ in other.experiments()], ["e"], "what another object sees")
            seen = len(list(other.records("e", _EVALUATION)))
            with _raises(Busy, "a second run of the same evaluation through another object"):
                other.begin(_run())
        store.add(number, [_entry(2)])
    with _opened(open) as store:
        kept = len(list(store.records("e", _EVALUATION)))
        run = _run()
        store.end(store.begin(run), _ended(run))
    _same((seen, kept), (1, 2), "records that another object sees, and a later one")


def shards_are_run_side_by_side(open: Open) -> None:
    """Each once, all of one number, and none beside a run of all rows."""
    with _opened(open) as store:
        one, two = _run(), _run()
        first = store.begin(one, part="1/2")
        second = store.begin(two, part="2/2")
        for part in ("1/2", "1/3", ""):
            with _raises(Busy, f"part {part!r} while 1/2 and 2/2 are being run"):
                store.begin(_run(), part=part)
        store.add(first, [_entry(1)])
        store.add(second, [_entry(2)])
        store.end(first, _ended(one))
        store.end(second, _ended(two))
        scored = sum(1 for _ in store.records("e", _EVALUATION))
    _same(scored, 2, "records of both")


def a_resume_sees_what_is_stored(open: Open) -> None:
    """By pages: identity, whether it failed, and state."""
    entries = [_entry(n, digest=b"d" * 8 if n == 3 else None) for n in range(1, 24)]
    with _opened(open) as store:
        _fill(store, [*entries, _entry(24, Failure("E", "no"))])
        run = _run()
        number = store.begin(run)
        found, after = [], 0
        while page := store.stored(number, after, limit=10):
            _same(len(page) <= 10, True, "a page of at most ten")
            found += page
            after = page[-1].id
        store.end(number, _ended(run))
    _same([row.key for row in found], [_key(n) for n in range(1, 25)], "keys in order")
    _same([row.failed for row in found], [False] * 23 + [True], "which failed")
    _same(found[2].digest, b"d" * 8, "a digest")
    _same({row.state for row in found}, {LIVE}, "states")


def a_replaced_failure_stays_in_the_ledger(open: Open) -> None:
    """It gives way only when its replacement is written, and is kept as superseded."""
    with _opened(open) as store:
        _fill(store, [_entry(1, Failure("E", "no"))])
        run = _run()
        number = store.begin(run)
        (old,) = store.stored(number)
        store.add(number, [_entry(1, replaces=old.id)])
        store.end(number, _ended(run))
        (live,) = store.records("e", _EVALUATION)
        (superseded,) = store.records("e", _EVALUATION, state=SUPERSEDED)
    _same((live.failed, superseded.failed), (False, True), "the live and the superseded record")


def stale_records_count_no_more(open: Open) -> None:
    """Until they are marked live again."""
    with _opened(open) as store:
        _fill(store, [_entry(1), _entry(2)])
        run = _run()
        number = store.begin(run)
        first, _ = store.stored(number)
        store.mark(number, [first.id], STALE)
        stale = [record.state for record in store.stored(number)]
        counted = sum(1 for _ in store.records("e", _EVALUATION))
        store.mark(number, [first.id], LIVE)
        live = sum(1 for _ in store.records("e", _EVALUATION))
        store.end(number, _ended(run))
    _same((stale, counted, live), ([STALE, LIVE], 1, 2), "with a stale record, and all live")


def a_fresh_run_supersedes_what_was_there(open: Open) -> None:
    with _opened(open) as store:
        _fill(store, [_entry(1), _entry(2)])
        run = _run()
        number = store.begin(run, fresh=True)
        page = store.stored(number)
        store.end(number, _ended(run))
        live = list(store.records("e", _EVALUATION))
        superseded = sum(1 for _ in store.records("e", _EVALUATION, state=SUPERSEDED))
    _same((page, live, superseded), ([], [], 2), "what a fresh run finds, and leaves")


def a_fresh_shard_supersedes_its_own_rows(open: Open) -> None:
    """And leaves those of the other shards, by `keys.shard_of`."""
    others = [_key(n) for n in range(1, 9) if shard_of(_key(n), 3) != 0]
    with _opened(open) as store:
        _fill(store, [_entry(n) for n in range(1, 9)])
        run = _run()
        store.end(store.begin(run, fresh=True, part="1/3"), _ended(run))
        left = [record.key for record in store.records("e", _EVALUATION)]
    _same(left, others, "what is left of the other shards")


def what_is_no_record_is_kept(open: Open) -> None:
    """Failed attempts, and how many records there are when all have come."""
    attempt = Attempt(b"k" * 16, 0, 2, _BEGAN, 0.5, "congestion", "RateLimitError", "slow down")
    with _opened(open) as store:
        run = _run()
        number = store.begin(run)
        store.add(number, [attempt, _entry(1)])
        _same(store.total_of("e", _EVALUATION), None, "a total nobody has told")
        store.total(number, 42)
        store.end(number, _ended(run))
        found = store.attempts("e", _EVALUATION), store.total_of("e", _EVALUATION)
    _same(found, ([attempt], 42), "the ledger and the total")


def experiments_and_evaluations_do_not_mix(open: Open) -> None:
    """Of one name in two experiments, and of two names in one."""
    attempt = Attempt(b"k" * 16, 0, 1, _BEGAN, 0.5, "trouble", "OSError", "no")
    with _opened(open) as store:
        _fill(store, [attempt, _entry(1)])
        _fill(store, [_entry(2)], experiment="f")
        _fill(store, [_entry(3)], evaluation="eval_y.py::eval_y")
        names = sorted(store.evaluations("e")), store.evaluations("f")
        keys = [record.key for record in store.records("e", _EVALUATION)]
        attempts = store.attempts("f", _EVALUATION)
        runs = len(store.runs("e")), len(store.runs("e", _EVALUATION))
    _same(names, ([_EVALUATION, "eval_y.py::eval_y"], [_EVALUATION]), "names")
    _same(keys, [_key(1)], "records of the first")
    _same((attempts, runs), ([], (2, 1)), "attempts of the second, and runs of the first")


def experiments_are_deleted(open: Open) -> None:
    with _opened(open) as store:
        _fill(store, [_entry(1)], experiment="../a'; --")
        _fill(store, [_entry(1), _entry(2)], experiment="b")
        _same(store.delete("b"), 2, "how many records went")
        with _raises(NotFound, "deleting what is not there"):
            store.delete("b")
        _same([name for name, _ in store.experiments()], ["../a'; --"], "what is left")
        _same(len(list(store.records("../a'; --", _EVALUATION))), 1, "its records")


def what_runs_can_not_be_deleted(open: Open) -> None:
    with _opened(open) as store:
        run = _run()
        number = store.begin(run)
        with _raises(Busy, "deleting a running experiment"):
            store.delete("e")
        store.end(number, _ended(run))


def records_can_be_read_while_a_run_writes(open: Open) -> None:
    """A reader that stops between two records holds nobody up."""
    with _opened(open) as store:
        run = _run()
        number = store.begin(run)
        store.add(number, [_entry(n) for n in range(600)])
        records = store.records("e", _EVALUATION)
        next(records)
        before = time.monotonic()
        store.add(number, [_entry(n) for n in range(600, 700)])
        _same(time.monotonic() - before < 10, True, "writing while a reader waits")
        _same(sum(1 for _ in records) >= 599, True, "what the reader saw of the first records")
        store.end(number, _ended(run))


STORE_CHECKS: tuple[Callable[[Open], None], ...] = (
    an_empty_store_holds_nothing,
    records_come_back_as_they_were,
    odd_values_survive,
    a_run_is_told_from_start_to_end,
    one_run_at_a_time,
    what_was_added_outlives_its_object,
    shards_are_run_side_by_side,
    a_resume_sees_what_is_stored,
    a_replaced_failure_stays_in_the_ledger,
    stale_records_count_no_more,
    a_fresh_run_supersedes_what_was_there,
    a_fresh_shard_supersedes_its_own_rows,
    what_is_no_record_is_kept,
    experiments_and_evaluations_do_not_mix,
    experiments_are_deleted,
    what_runs_can_not_be_deleted,
    records_can_be_read_while_a_run_writes,
)
"""What a store must do; each takes a callable that opens it."""
