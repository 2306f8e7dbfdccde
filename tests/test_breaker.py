"""A run that can not succeed ends early, and one that can goes on."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from doteval import ForEach, Result, Retry, foreach, run
from doteval.cli import main
from doteval.concurrency import Adaptive, Sequential, SlidingWindow
from doteval.errors import UsageError
from doteval.running import Execution, Options
from doteval.storage import Named, locate
from tests import virtual


class Refused(Exception):
    """An answer of a client, with whatever attributes it has."""

    def __init__(self, status_code, said="no", **attributes):
        super().__init__(said)
        self.status_code = status_code
        vars(self).update(attributes)


def unknown():
    return Refused(401, "Incorrect API key provided")


def flown(answer, rows=3_000, place="memory://", *, keep_going=False, strategy=None, **options):
    """
    A run on a virtual clock, of rows that take a second each.

    Args:
        answer: of a row's number, what it raises or returns.
    """
    calls = []
    options.setdefault("retries", Retry(patience=600))

    @ForEach(concurrency=strategy or SlidingWindow(10), **options)("n", range(rows))
    async def eval_n(n):
        calls.append(n)
        await asyncio.sleep(1)
        value = answer(n)
        if isinstance(value, BaseException):
            raise value
        return value

    flow = Execution(
        eval_n,
        Options(keep_going=keep_going),
        name=Named("n"),
        experiment="e",
        place=locate(place),
        resources={},
    )
    flow.summary = virtual.run(flow.run())
    return flow, len(calls)


# ------------------------------------------------------------------ what ends early


@pytest.mark.parametrize(
    ("answer", "calls", "said"),
    [
        (
            lambda n: unknown(),
            12,
            "the account was refused 3 times, .*Refused \\(401\\): Incorrect",
        ),
        (lambda n: Refused(429, code="insufficient_quota"), 12, "see to the key, the credit"),
        (lambda n: Refused(407), 12, "every call was refused here 3 times"),
        (
            lambda n: Refused(400, f"row {n}"),
            29,
            "the first 20 rows all failed in one way, Refused",
        ),
        (lambda n: None, 29, "ResultError: eval_n\\(\\) returned NoneType"),
        (lambda n: Result(error="empty answer"), 29, "in one way, error: empty answer"),
        (lambda n: {}["answer"], 29, "in one way, KeyError: 'answer'"),
        (lambda n: Refused(429, retry_after=90_000), 10, "pause of 25 h 00 min until 2023-11-15"),
    ],
)
def test_a_run_that_can_not_succeed_is_stopped(answer, calls, said):
    """What is in flight finishes, the other rows stay missing, and the run says why."""
    flow, called = flown(answer)

    assert called <= calls
    assert flow.status == "stopped"
    assert (flow.summary.status, flow.summary.scored) == ("stopped", 0)
    assert flow.summary.missing >= 2_900
    assert re.search(said, flow.summary.error)
    assert flow.summary.error.endswith("; nothing more was started")


def test_a_quota_that_is_used_up_after_good_rows_costs_a_few_calls():
    """Those in flight, and no more; a resume runs what is missing."""
    flow, called = flown(lambda n: True if n < 100 else Refused(429, code="insufficient_quota"))

    assert called <= 122
    assert (flow.status, flow.summary.scored) == ("stopped", 100)


def test_a_pause_beyond_the_patience_leaves_its_rows_missing():
    """Nobody has failed: the endpoint said when it is welcome again."""
    flow, called = flown(lambda n: Refused(429, headers={"Retry-After": "3601"}))

    assert (called, flow.summary.failed, flow.summary.missing) == (10, 0, 3_000)


@pytest.mark.parametrize("off", [{"fail_fast": None}, {"fail_fast": 0}, {"keep_going": True}])
def test_a_run_may_go_on_whatever_fails(off):
    """All of it: the same error, the account, and a pause that nobody waits for."""
    assert flown(lambda n: unknown(), 50, **off)[1] == 50
    flow, _ = flown(lambda n: Refused(429, headers={"Retry-After": "90000"}), 20, **off)
    assert flow.status == "stalled"


def test_so_many_rows_as_were_asked_for_end_it():
    assert flown(lambda n: ValueError("no"), 50, strategy=Sequential(), fail_fast=3)[1] == 3


@pytest.mark.parametrize("value", [-1, True, 2.5, "5"])
def test_what_is_no_number_of_rows_is_refused(value):
    with pytest.raises(UsageError, match=r"ForEach\(fail_fast=.*expected a whole number of rows"):
        ForEach(fail_fast=value)


# ------------------------------------------------------------------ what goes on


def mixed(seed, share=0.3):
    """A share of failures of all kinds, by chance."""
    chance = random.Random(seed)
    kinds = [
        lambda: Refused(400),
        lambda: Refused(500),
        lambda: Refused(429),
        lambda: Refused(401),
        lambda: ValueError("cannot parse"),
        lambda: TimeoutError(),
        lambda: Result(error="refused"),
    ]
    return lambda n: chance.choice(kinds)() if chance.random() < share else True


@pytest.mark.parametrize("strategy", [SlidingWindow(10), Adaptive()])
def test_mixed_failures_stop_no_run(strategy):
    """Three in ten, of seven kinds that a client knows; more seeds were tried by hand."""
    for seed in range(4):
        flow, _ = flown(mixed(seed), 300, strategy=strategy)
        assert (flow.status, flow.summary.missing) == ("complete", 0)


@pytest.mark.parametrize("strategy", [SlidingWindow(30), Adaptive()])
def test_an_outage_that_ends_stops_no_run(strategy):
    """From the beginning, and in the middle."""

    def answer(begin, n):
        return Refused(503) if 0 <= asyncio.get_running_loop().time() - begin < 300 else True

    for begin in (0, 20):
        flow, _ = flown(partial(answer, begin), 400, strategy=strategy)
        assert flow.status == "complete"
        assert flow.summary.failed < 10


def test_rows_that_are_refused_on_their_own_are_believed_less_and_less():
    """Where each row brings its own key, a refusal says nothing of the others."""
    flow, _ = flown(
        lambda n: unknown() if n % 5 in (1, 2) or 400 < n < 405 else True,
        500,
        strategy=Sequential(),
    )

    assert flow.status == "complete"


def test_rows_that_failed_before_do_not_end_a_resume(tmp_path):
    """Thirty rows are bad for good: the new ones behind them run all the same."""
    asked = []

    bad = set()

    def eval_n(n):
        asked.append(n)
        return 1 / (n not in bad)

    def resumed(rows, now_bad):
        bad.update(now_bad)
        asked.clear()
        return run(foreach("n", rows)(eval_n), "e", tmp_path / "r.db", progress=False)

    assert resumed(range(40), range(10, 40)).status == "complete"
    again = resumed(range(10, 100), range(10, 40))

    assert (again.status, again.scored, asked) == ("complete", 60, [*range(10, 100)])
    assert resumed(range(100, 200), range(100, 200)).status == "stopped"


def test_a_run_without_a_result_is_not_called_complete():
    """However few the rows are."""
    flow, _ = flown(lambda n: ValueError(n), 5)

    assert (flow.status, flow.summary.error) == ("failed", "not one of 5 rows has a result")
    assert flown(lambda n: ValueError(n) if n else True, 5)[0].status == "complete"


# ------------------------------------------------------------------ what it waits for


def test_a_run_that_waits_says_what_for():
    """The error, how often it came, when the next attempt is, and which row hangs."""

    seen = []

    @ForEach(concurrency=SlidingWindow(3))("id,text", [(f"q{n}", "") for n in range(9)])
    async def eval_n(id, text):
        await asyncio.sleep(100 if id == "q0" else 1)
        raise Refused(503, "overloaded")

    execution = Execution(
        eval_n,
        Options(),
        name=Named("n"),
        experiment="e",
        place=locate("memory://"),
        resources={},
        listener=seen.append,
    )

    async def interrupted():
        task = asyncio.ensure_future(execution.run())
        await asyncio.sleep(50)
        task.cancel()
        await asyncio.wait([task])

    virtual.run(interrupted())

    kinds = {each.trouble.kind for each in seen if each.trouble is not None}
    assert kinds == {"Refused (503)"}
    assert seen[-1].oldest_row == "row 0 (q0)"
    assert any(each.due for each in seen)
    assert re.fullmatch(
        r"\d waiting, next attempt in [\d.]+ \w+, last error Refused \(503\): overloaded "
        r"\(\d+ times\), oldest in flight row 0 \(q0\) for 50.0 s, ForEach\(timeout=...\) ends an "
        r"attempt that takes too long",
        execution.waited_for,
    )


CLOCK = []  # the virtual loop, for those who see no loop


def hinted(function, listener=None, size=0, **options):
    """The notes of a run of 40 rows on a virtual clock."""
    foreach = ForEach(**options)
    evaluation = foreach.batched("n", range(40), size=size) if size else foreach("n", range(40))
    execution = Execution(
        evaluation(function),
        Options(),
        name=Named("n"),
        experiment="e",
        place=locate("memory://"),
        resources={},
        listener=listener,
    )
    with virtual.virtual_loop() as loop:
        CLOCK[:] = [loop]
        loop.run_until_complete(execution.run())
    return execution.notes


async def blocking(n):
    await asyncio.sleep(0.1)
    asyncio.get_running_loop().now += 0.5
    return True


def slow(n):
    CLOCK[0].now += 2.0
    return [True] if isinstance(n, list) else True


def test_a_blocked_event_loop_is_told_with_the_remedy():
    """Where rows wait for each other; one at a time none does."""
    (note,) = hinted(blocking, concurrency=SlidingWindow(8))

    assert note.startswith("blocking() has blocked the event loop for ")
    assert "await asyncio.to_thread(...)" in note
    assert hinted(blocking, concurrency=SlidingWindow(1)) == []


def test_slow_rows_one_at_a_time_are_told_with_the_remedy():
    """Unless somebody chose that, or a call is for many of them."""
    (note,) = hinted(slow)

    assert note.startswith("the rows of slow(), a plain `def`, run one at a time, 2.00 s each; ")
    assert hinted(slow, concurrency=Sequential()) == []
    assert hinted(slow, size=1) == []


def test_who_watches_a_run_hears_the_hint_while_it_runs():
    """And is not told again at the end."""
    seen = []

    assert hinted(blocking, seen.append, concurrency=SlidingWindow(8)) == []
    hints = {each.hint for each in seen}
    assert len(hints) == 2 and "" in hints


WAITING = """
import asyncio
from doteval import ForEach
from doteval.concurrency import SlidingWindow

class Overloaded(Exception):
    status_code = 503

@ForEach(concurrency=SlidingWindow(2))("n", range(9))
async def eval_x(n):
    if n:
        raise Overloaded("come back later")
    return True
"""


def test_another_terminal_sees_what_a_run_waits_for(tmp_path, monkeypatch, capsys):
    """`show` and `show --errors`, while it runs, and when it was interrupted."""
    monkeypatch.chdir(tmp_path)
    Path("eval_x.py").write_text(WAITING)
    soon = (
        "from doteval.running import execution; execution._TELL = 0.1; "
        "from doteval.reporting import progress; progress._SOON = 0.1; "
        "import sys; from doteval.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", soon, "run", "eval_x.py", "--experiment", "e", "-qq"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        seen = ""
        until = time.monotonic() + 60
        while "it waits: " not in seen and time.monotonic() < until:
            time.sleep(0.1)
            main(["show", "e", "--errors"])
            seen = capsys.readouterr().out
    finally:
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)

    assert "the last run is running: it waits: " in seen
    assert "last error Overloaded (503): come back later (" in " ".join(seen.split())
    assert re.search(r"its attempts that failed: \d+ Overloaded", seen)
    assert "doteval: it waited: " in err
    assert main(["show", "e"]) == 0
    assert "it waited: " in capsys.readouterr().out


# ------------------------------------------------------------------ at the doors

EVAL = """
from doteval import foreach

class AuthenticationError(Exception):
    status_code = 401

@foreach("n", range(5000))
async def eval_x(n):
    raise AuthenticationError("Incorrect API key provided")
"""
CAUSE = (
    "stopped: the account was refused 3 times, with nothing that succeeded between: "
    "AuthenticationError (401): Incorrect API key provided; see to the key, the credit or the quota"
)


def test_the_command_line_says_why_it_stopped_and_how_to_insist(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("eval_x.py").write_text(EVAL)

    assert main(["run", "eval_x.py", "--experiment", "e"]) == 1

    out, err = capsys.readouterr()
    assert f"eval_x: {CAUSE}\n" in err
    assert "run eval_x.py --experiment e --keep-going\n" in out
    assert main(["show", "e"]) == 0
    assert "eval_x · stopped" in capsys.readouterr().out
    Path("eval_x.py").write_text(EVAL.replace("5000", "50"))
    assert main(["run", "eval_x.py", "--experiment", "e", "--keep-going"]) == 1
    assert "50 of 50 rows failed" in capsys.readouterr().err


def test_pytest_fails_the_item_with_the_cause(pytester):
    pytester.makepyfile(eval_x=EVAL.replace("5000", "50"))

    result = pytester.runpytest("eval_x.py", "--experiment", "e", "--eval-max-errors", "100%")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"*{CAUSE.replace('[', '[[]')}", "first: row 0: * (eval_x.py:8)", "*--eval-keep-going*"]
    )
    result = pytester.runpytest("eval_x.py", "--experiment", "e", "--eval-keep-going")
    result.stdout.fnmatch_lines(["*50 of 50 rows failed*", "*resume: *--eval-keep-going*"])
