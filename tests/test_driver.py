"""The event loops that runs share, and what is left on them."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from doteval import foreach, run, run_async
from doteval.cli import main
from doteval.running.driver import _Helper, close
from doteval.storage.writer import Grouped, Inline

quiet = partial(run, storage="memory://", progress=False)


def counting():
    """An evaluation, and the loops that it has run on."""
    loops = []

    @foreach("n", [1, 2])
    async def eval_n(n):
        loops.append(asyncio.get_running_loop())
        return True

    return eval_n, loops


def test_the_runs_of_a_thread_share_an_event_loop():
    """A client that a module holds keeps its connections on the loop that it was first used on."""
    work, loops = counting()

    quiet(work)
    asyncio.run(asyncio.sleep(0))  # somebody else's loop, in between
    quiet(work)
    thread = threading.Thread(target=quiet, args=(work,))
    thread.start()
    thread.join()
    gc.collect()

    assert len(loops) == 6
    assert len({*map(id, loops[:4])}) == 1
    assert loops[4] is loops[5] is not loops[0]
    assert (loops[0].is_closed(), loops[4].is_closed()) == (False, True)


def test_the_runs_of_a_thread_share_an_event_loop_where_another_one_is_running():
    """As in a notebook: the runs of all cells."""
    work, loops = counting()

    async def cell():
        quiet(work)
        quiet(work)

    asyncio.run(cell())
    asyncio.run(cell())

    assert len({*map(id, loops)}) == 1


def test_the_evaluations_of_a_command_share_an_event_loop(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eval_loops.py").write_text(
        """
import asyncio
from doteval import foreach

lock = asyncio.Lock()
loops = set()

async def same(n):
    loops.add(asyncio.get_running_loop())
    async with lock:
        await asyncio.sleep(0)
    return len(loops) == 1

@foreach("n", range(20))
async def eval_first(n): return await same(n)

@foreach("n", range(20))
async def eval_second(n): return await same(n)
"""
    )

    assert main(["run", "eval_loops.py", "--experiment", "e"]) == 0
    for name in ("eval_first", "eval_second"):
        gate = f"{name}.accuracy >= 1"
        assert main(["gate", "e", gate, "--evaluation", name]) == 0


def test_a_plain_function_may_call_run():
    inner, loops = counting()

    @foreach("n", [1, 2])
    def eval_outer(n):
        return quiet(inner).scored == 2

    assert quiet(eval_outer).scored == 2
    assert len({*map(id, loops)}) == 1


ENDING = """
import asyncio, logging, os, sys, threading
from doteval import foreach, run

logging.getLogger("asyncio").setLevel("ERROR")  # that a step was slow is the machine's doing

async def watch():
    try:
        await asyncio.sleep(3600)
    finally:
        print("cleaned up", flush=True)

@foreach("n", [1])
async def eval_n(n):
    eval_n.left = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    return True

def go():
    run(eval_n, storage="memory://", progress=False)

async def cell():
    go()

{}
"""


@pytest.mark.parametrize(
    "how",
    [
        "go()",
        "asyncio.run(cell())",
        "thread = threading.Thread(target=go); thread.start(); thread.join()",
        "async def left(): yield 1\\n"
        "@foreach('n', [1])\\n"
        "async def eval_m(n):\\n"
        "    eval_m.walk = left()\\n"
        "    return await eval_m.walk.__anext__() == 1\\n"
        "go(); run(eval_m, storage='memory://', progress=False)",
        "go(); pid = os.fork()\\nif pid == 0:\\n    go(); os._exit(0)\\nos.waitpid(pid, 0); go()",
    ],
    ids=["script", "notebook", "thread", "generator", "fork"],
)
def test_a_kept_loop_ends_with_its_thread_and_with_what_is_left_on_it(how):
    """Tasks are cancelled, and clean up; nothing is told on stderr by a strict interpreter."""
    script = ENDING.format(how.replace("\\n", "\n"))
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", script],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.splitlines()) == {"cleaned up"}


def test_a_task_that_a_client_keeps_lives_on_from_run_to_run():
    """As those do that a client began at its first call."""
    client = {}

    async def keep(queue):
        while True:
            (await queue.get()).set_result(True)

    @foreach("n", [1, 2])
    async def eval_n(n):
        if not client:
            client["queue"] = asyncio.Queue()
            client["task"] = asyncio.ensure_future(keep(client["queue"]))
        call = asyncio.get_running_loop().create_future()
        client["queue"].put_nowait(call)
        return await call

    assert quiet(eval_n).scored == 2
    assert quiet(eval_n).scored == 2


def test_a_thread_that_is_stuck_is_left_alone():
    """A run that was interrupted twice may hold it for long; the next one takes another."""
    hold, began = threading.Event(), threading.Event()
    work, loops = counting()

    @foreach("n", [1])
    def eval_stuck(n):
        began.set()
        return hold.wait(30)

    async def cell(evaluation):
        quiet(evaluation)

    def interrupt():
        began.wait(30)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    loop = asyncio.new_event_loop()
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(cell(eval_stuck))
    loop.run_until_complete(cell(work))
    hold.set()
    loop.close()

    assert len(loops) == 2


def test_run_async_uses_the_loop_that_runs():
    work, loops = counting()

    async def cell():
        await run_async(work, storage="memory://", progress=False)
        return asyncio.get_running_loop()

    assert asyncio.run(cell()) is loops[0]


class APIConnectionError(Exception):
    """As openai and anthropic wrap what httpx raised."""


class Pool:
    """A pool with connections of a loop that is closed."""

    def __init__(self, dead):
        self.dead = dead

    def take(self):
        if self.dead:
            self.dead -= 1
            try:
                raise RuntimeError("Event loop is closed")
            except RuntimeError as error:
                raise APIConnectionError("Connection error.") from error


def test_connections_of_a_closed_loop_are_no_outage():
    """Each costs an attempt and no waiting, and the limit of Adaptive goes on growing."""
    pool, records = Pool(dead=12), []

    @foreach("n", range(100))
    async def eval_n(n):
        pool.take()
        return True

    quiet(eval_n, on_record=records.append)

    assert sum(record.attempts for record in records) == 112
    assert sum(record.failed for record in records) == 0
    assert max(record.waited for record in records) < 0.1


def test_what_comes_from_another_loop_says_so():
    """At the latest attempt, whoever wrapped it."""
    elsewhere = asyncio.new_event_loop()
    future = elsewhere.create_future()
    records = []

    @foreach("n", [1, 2])
    async def eval_n(n):
        if n == 1:
            Pool(dead=1).take()
        await future

    quiet(eval_n, on_record=records.append)
    elsewhere.close()

    told = {record.row["n"]: record for record in records}
    assert [told[n].outcome.type for n in (1, 2)] == ["APIConnectionError", "RuntimeError"]
    assert [told[n].attempts for n in (1, 2)] == [5, 1]
    for record in records:
        assert "was made on another event loop" in record.outcome.message


TWICE = """
import asyncio, signal, sys, threading
from doteval import ForEach, run
from doteval.concurrency import SlidingWindow

interrupted = []

@ForEach(concurrency=SlidingWindow(2))("n", range(4))
async def eval_n(n):
    if n != 2 or interrupted:
        return True
    try:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.sleep(3600)
    finally:
        interrupted.append(True)
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        await asyncio.sleep(3600)

def go():
    return run(eval_n, "e", sys.argv[1], progress=False)

try:
    go()
except KeyboardInterrupt:
    print("interrupted")
print([thread.name for thread in threading.enumerate() if "writer" in thread.name])
print(go().scored)
"""


def test_a_run_that_is_interrupted_twice_gives_back_its_claim_and_its_store(tmp_path):
    """What was finished is stored, and the same call resumes it in the same process."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", TWICE, str(tmp_path / "s.db")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("interrupted\n[]\n4\n", "")


def test_a_fork_has_loops_of_its_own(monkeypatch):
    """Their selectors would be shared with the parent, so it neither uses nor closes them."""
    work, loops = counting()

    def runs():
        quiet(work)
        with monkeypatch.context() as fork:
            fork.setattr(os, "getpid", lambda: -1)
            quiet(work)

    thread = threading.Thread(target=runs)
    thread.start()
    thread.join()
    gc.collect()
    parents, forks = loops[0], loops[2]

    assert parents is not forks
    assert not parents.is_closed()
    assert not forks.is_closed()  # for this process, it is the fork that is another
    parents.close()
    forks.close()


def test_a_loop_with_nothing_left_on_it_is_closed_without_running():
    """gevent lets go of what a greenlet kept where nothing can wait for anything."""

    class Unwaiting(asyncio.SelectorEventLoop):
        def run_forever(self):
            raise RuntimeError("nothing can wait here")

    loop = Unwaiting()
    close(loop)

    assert loop.is_closed()


def test_a_loop_that_runs_is_not_closed():
    """Where the interpreter ends while a thread is at work."""

    async def main():
        close(asyncio.get_running_loop())
        return asyncio.get_running_loop().is_closed()

    assert asyncio.run(main()) is False


def test_a_helper_that_is_at_work_ends_later():
    hold, helper = threading.Event(), _Helper()
    helper.begin(hold.wait)

    helper.end()
    hold.set()
    helper._thread.join(30)

    assert not helper._thread.is_alive()


def test_a_store_whose_writer_is_stuck_is_left_to_it():
    """To close the connection under a commit could lose what was finished; it closes it itself."""
    hold, closed = threading.Event(), threading.Event()

    async def main():
        writer = Grouped(lambda entries: hold.wait(30), id, id, id)
        writer.put("entry")
        writer.end(closed.set, 0.01)
        assert not closed.is_set()
        hold.set()
        assert closed.wait(30)

    asyncio.run(main())


def test_a_store_in_memory_is_closed_at_once():
    closed = []

    Inline(id, id).end(lambda: closed.append(True), 5.0)

    assert closed == [True]
