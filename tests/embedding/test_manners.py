"""A guest in somebody's process: it changes nothing that is not its own."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading

import pytest

from doteval import ForEach, Retry, foreach, run, run_async
from doteval.concurrency import Adaptive, SlidingWindow

from .work import ours

# A process of its own, so that nothing but doteval can have changed what is compared.
SCRIPT = """
import asyncio, atexit, gc, json, locale, logging, os, random, signal, socket, sys, threading
import warnings, weakref

# Its one callback at the exit closes what a thread keeps for its runs; others have one as well.
weakref.finalize(json.loads, int)

async def model(question):
    await asyncio.sleep(0)
    if question == 3:
        raise ValueError("no answer")
    return question

def state():
    return {
        "signals": [id(signal.getsignal(each)) for each in sorted(signal.valid_signals())],
        "handlers": [repr(each) for each in logging.getLogger().handlers],
        "level": logging.getLogger().level,
        "loggers": sorted(name for name in logging.root.manager.loggerDict if "doteval" in name),
        "asyncio debug": logging.getLogger("asyncio").level,
        "warnings": repr(warnings.filters),
        "showwarning": repr(warnings.showwarning),
        "hooks": [id(each) for each in (sys.excepthook, sys.unraisablehook, threading.excepthook)],
        "streams": [id(each) for each in (sys.stdin, sys.stdout, sys.stderr)],
        "tracing": [sys.gettrace(), sys.getprofile()],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "recursion": sys.getrecursionlimit(),
        "switching": sys.getswitchinterval(),
        "garbage": [gc.isenabled(), gc.get_threshold()],
        "locale": locale.setlocale(locale.LC_ALL),
        "timeout": socket.getdefaulttimeout(),
        "mask": os.umask(os.umask(0o22) or 0o22),
        "task factory": repr(asyncio.get_running_loop().get_task_factory()),
        "exception handler": repr(asyncio.get_running_loop().get_exception_handler()),
        "slow callbacks": asyncio.get_running_loop().slow_callback_duration,
        "random": hash(random.getstate()),
        "atexit": atexit._ncallbacks(),
    }

async def main():
    os.umask(0o22)
    asyncio.get_running_loop().set_debug(False)
    before, during = state(), []
    from doteval import ForEach, run, run_async
    from doteval.concurrency import Adaptive, SlidingWindow

    def watch(record):
        during.append(state())

    for strategy in (Adaptive(), SlidingWindow(3)):
        evaluation = ForEach(concurrency=strategy, retries=0)("question", range(10))(model)
        await run_async(evaluation, "e", "results.db", fresh=True, progress=False, on_record=watch)
        run(evaluation, "in a thread", "results.db", fresh=True, progress=False)
    after = state()
    print(json.dumps({
        name: [str(before[name]), str(other[name])]
        for other in (*during, after) for name in before if before[name] != other[name]
    }))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="compares what Windows has differently")
def test_a_run_changes_nothing_of_the_process_around_it(tmp_path):
    """Signals, logging, warnings, hooks, streams, environment, paths, the loop's settings."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {}


def test_a_retry_leaves_the_random_numbers_of_the_program_alone(tmp_path):
    """Who has seeded `random` gets the same numbers with a run in between."""
    tries = []

    @ForEach(retries=Retry(first=0.001))("n", [1])
    async def eval_n(n):
        tries.append(n)
        if len(tries) == 1:
            raise ConnectionError
        return True

    random.seed(1)
    expected = random.random()
    random.seed(1)
    summary = run(eval_n, "e", tmp_path / "s.db", progress=False)

    assert (summary.scored, len(tries)) == (1, 2)
    assert random.random() == expected


def test_a_run_logs_and_prints_nothing(tmp_path, caplog, capfd):
    """Where progress is not wanted; failures are in the Summary, not in somebody's log."""

    @ForEach(retries=0)("n", range(5))
    async def eval_n(n):
        return 1 / n

    with caplog.at_level(0):
        summary = run(eval_n, "e", tmp_path / "results.db", progress=False)

    assert dict(summary.errors) == {"ZeroDivisionError": 1}
    assert [each for each in caplog.records if each.name != "asyncio"] == []
    assert capfd.readouterr() == ("", "")


def test_runs_share_a_loop_and_a_store(tmp_path):
    """Side by side, each with its own strategy: none knows of the others."""
    most = {}

    def make(name, limit):
        flying = 0

        async def function(n):
            nonlocal flying
            flying += 1
            most[name] = max(most.get(name, 0), flying)
            await asyncio.sleep(0.001)
            flying -= 1
            return n % 2

        evaluation = ForEach(concurrency=SlidingWindow(limit))("n", range(50))(function)
        evaluation.__name__ = name
        return evaluation

    async def main():
        return await asyncio.gather(
            *(
                run_async(make(f"eval_{limit}", limit), "e", tmp_path / "s.db", progress=False)
                for limit in (1, 3, 10)
            )
        )

    summaries = asyncio.run(main())

    assert [each.scored for each in summaries] == [50, 50, 50]
    assert most == {"eval_1": 1, "eval_3": 3, "eval_10": 10}


def test_runs_in_threads_do_not_meet(tmp_path):
    """Each thread has its own loop; a web server's pool is such threads."""
    scored = []

    def work(name):
        async def function(n):
            await asyncio.sleep(0.001)
            return True

        evaluation = foreach("n", range(30))(function)
        evaluation.__name__ = name
        scored.append(run(evaluation, "e", tmp_path / "s.db", progress=False).scored)

    threads = [threading.Thread(target=work, args=(f"eval_{n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (scored, ours()) == ([30] * 4, [])


def test_listeners_hear_of_everything_and_may_be_methods(tmp_path):
    """`on_record`, `on_limit`, `on_finish`: what a dashboard needs, without a class to inherit."""

    class Dashboard:
        def __init__(self):
            self.records, self.limits, self.summaries = [], [], []

    shown = Dashboard()

    @ForEach(concurrency=Adaptive(2, adaptation_interval=0.01, max_concurrency=8))("n", range(400))
    async def eval_n(n):
        await asyncio.sleep(0.001)
        return True

    summary = run(
        eval_n,
        "e",
        tmp_path / "s.db",
        progress=False,
        on_record=shown.records.append,
        on_limit=shown.limits.append,
        on_finish=shown.summaries.append,
    )

    assert len(shown.records) == 400
    assert shown.limits[0]["limit"] == 2 and len(shown.limits) > 1
    assert json.loads(json.dumps(shown.limits)) == shown.limits
    assert shown.summaries == [summary]


def test_a_strategy_alone_is_a_part_of_another_harness():
    """`execute` needs no dataset and no store, and lets the loop do other things meanwhile."""

    async def main():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick())
        strategy = SlidingWindow(4)

        async def call(n):
            await asyncio.sleep(0.001)
            return n * n

        tasks = (lambda n=n: call(n) for n in range(40))
        squares = [each async for each in strategy.execute(tasks)]
        ticking.cancel()
        return squares, ticks, strategy.get_stats()

    squares, ticks, stats = asyncio.run(main())

    assert sorted(squares) == [n * n for n in range(40)]
    assert ticks > 10
    assert (stats["completed"], stats["in_flight"], ours()) == (40, 0, [])
