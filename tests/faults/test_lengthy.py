"""
What takes longer than the suite has time for: clocks that jump, processes that stand still, many
writers, kills in the middle of what looks after a store.

DOTEVAL_KILLS=25 kills as often; DOTEVAL_WRITERS=32 and DOTEVAL_ROWS=1000000 are those of
docs/explanation/durability.md.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from doteval import Score
from doteval.cli import main
from doteval.storage import open_store
from tests.stocked import recorded, stock

from .test_kills import KILLS, SEED, lines, stored, wait_for

pytestmark = [pytest.mark.long, pytest.mark.skipif(os.name == "nt", reason="needs signals")]
WRITERS = int(os.environ.get("DOTEVAL_WRITERS", "6"))
ROWS = int(os.environ.get("DOTEVAL_ROWS", "20_000"))

POOLED = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from doteval import ForEach
from doteval.concurrency import SlidingWindow

@ForEach(concurrency=SlidingWindow(4), executor=partial(ProcessPoolExecutor, 2))
    ("number", [f"{n}" for n in range(200)])
def eval_work(number):
    with open("asked", "a") as file:
        file.write(f"{number}\\n")
    time.sleep(0.002)
    return True
""".replace(")\n    (", ")(")


def test_a_run_in_processes_is_killed(tmp_path, path, start):
    """What is in flight is paid again, and nothing else; no worker stays."""
    print(f"DOTEVAL_SEED={SEED}")
    chance = random.Random(f"{SEED} pooled")
    (tmp_path / "eval_work.py").write_text(POOLED)
    run = (
        "-m",
        "doteval",
        "run",
        "eval_work.py",
        "--experiment",
        "kills",
        "--storage",
        path,
        "-qq",
    )
    kills, before = 0, 0
    for _ in range(KILLS):
        process = start(*run)
        wait_for(process, "asked", len(lines("asked")) + 1 + chance.randrange(60))
        process.kill()
        process.communicate()  # ends with the last of its workers, which have its streams
        kills += process.returncode == -9
        found = stored(path)
        assert set(found.values()) <= {1} and sum(found.values()) >= before
        before = sum(found.values())

    assert start(*run).wait(timeout=120) == 0
    assert sum(stored(path).values()) == 200
    # 4 in flight, and what the writer had not yet made durable within 100 ms
    assert len(lines("asked")) - 200 <= kills * (4 + 100)


def _stocked(path, name, rows=3_000):
    with closing(open_store(path)) as store:
        for fresh in (False, True):
            stock(
                store, name, fresh=fresh, evaluation="f.py::eval_n",
                records=[recorded(n, Score("right", n % 2 == 0), model_response="x" * 500)
                         for n in range(rows)],
            )  # fmt: skip


def _kept(path):
    """What a store holds, by experiment: live and superseded records; it is whole."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {
            name: db.execute(
                "SELECT ifnull(sum(state = 0), 0), ifnull(sum(state = 2), 0) FROM records "
                "JOIN evaluations ON evaluations.id = evaluation WHERE experiment = ?", (id,),
            ).fetchone()
            for id, name in db.execute("SELECT id, name FROM experiments").fetchall()
        }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "done"),
    [
        ("prune --keep 0 --yes", {"a": (3_000, 0), "b": (3_000, 0)}),
        ("prune --keep 0 --yes --vacuum", {"a": (3_000, 0), "b": (3_000, 0)}),
        ("delete a --yes", {"b": (3_000, 3_000)}),
        ("rename a z", {"z": (3_000, 3_000), "b": (3_000, 3_000)}),
        ("import IN --name c", None),
        ("merge OUT STORE", None),
        ("export a -o FILE --format jsonl", None),
        ("report a -o FILE", None),
        ("doctor --fix", None),
    ],
)
def test_a_command_is_killed(tmp_path, path, start, command, done):
    """Nothing that counts is lost, and the same command once more ends as if nothing had been."""
    print(f"DOTEVAL_SEED={SEED}")
    chance = random.Random(f"{SEED} {command}")
    good = tmp_path / "good.db"
    for name in "ab":
        _stocked(good, name)
    if command.startswith("doctor"):
        with closing(sqlite3.connect(good)) as db, db:
            db.execute("UPDATE records SET waited = 'x' WHERE id = 1")
    lined = tmp_path / "in.jsonl"
    main(["export", "a", "--format", "jsonl", "-o", str(lined), "--storage", str(good)])
    merges = command.startswith("merge")
    words = [
        {"IN": str(lined), "OUT": "out.db", "STORE": str(path), "FILE": "out.txt"}.get(word, word)
        for word in command.split()
    ] + ([] if merges else ["--storage", str(path)])

    def laid() -> None:
        for left in tmp_path.glob("o*"):
            left.unlink()
        for left in tmp_path.glob("results.db*"):
            left.unlink()
        path.write_bytes(good.read_bytes())

    def run() -> subprocess.Popen[str]:
        return start("-m", "doteval", *words)

    laid()
    began = time.monotonic()
    assert run().wait() == 0
    took = time.monotonic() - began
    whole = _kept(tmp_path / "out.db" if merges else path)
    exported = (tmp_path / "out.txt").read_bytes() if words[0] == "export" else b""
    assert done is None or whole == done
    hit = tried = 0
    while hit < KILLS and tried < 4 * KILLS:
        laid()
        process = run()
        time.sleep(took * (0.3 + 0.7 * chance.random()))
        process.kill()
        process.communicate()
        tried += 1
        if process.returncode == -9:
            hit += 1
        else:  # it was faster than the one before, which a busy machine had held up
            took *= 0.8

        between = _kept(path)
        assert sum(live for live, _ in between.values()) in (
            {6_000, 3_000} if command.startswith("delete") else {6_000, *range(6_000, 9_001)}
        )
        code = 1 if words[0] in ("rename", "delete") and "a" not in between else 0
        if words[0] == "export" and (tmp_path / "out.txt").exists():
            assert (tmp_path / "out.txt").read_bytes() == exported  # all of it, and then killed
            code = 2  # which is not overwritten without being told so
        assert run().wait() == code
        assert _kept(tmp_path / "out.db" if merges else path) == whole
        assert not [*tmp_path.glob(".out.txt.*.part")]
    print(f"{command}: {hit} of {tried} killed")
    assert hit == KILLS


CLOCK = """
import sys, time
began, real = time.monotonic(), time.time
time.time = lambda: real() + (float(sys.argv[2]) if time.monotonic() > began + 1 else 0.0)
import asyncio
from doteval import ForEach, run
from doteval.concurrency import Adaptive

class Busy(Exception):
    status_code, headers = 429, {"retry-after": "0.2"}

seen = set()
@ForEach(concurrency=Adaptive(adaptation_interval=0.1), timeout=5)("n", range(400))
async def eval_n(n):
    await asyncio.sleep(0.02)
    if n % 40 == 7 and n not in seen:
        seen.add(n)
        raise Busy
    return True

summary = run(eval_n, "clock", sys.argv[1], progress=False)
print(summary.status, summary.scored, summary.failed, round(summary.duration), summary.attempts)
"""


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_the_clock_jumps_by_an_hour(path, start, seconds):
    """Nothing waits for it, ends for it, or takes so long for it."""
    process = start("-c", CLOCK, path, seconds)
    out, err = process.communicate(timeout=60)

    status, scored, failed, duration, attempts = out.split()
    assert (status, scored, failed) == ("complete", "400", "0"), err
    assert int(duration) < 30 and int(attempts) == 410
    with closing(open_store(path)) as store:
        (name,) = store.evaluations("clock")
        assert all(0 <= each.duration < 5 for each in store.records("clock", name))


STILL = """
import asyncio, os, sys
from doteval import ForEach, Retry, run
from doteval.concurrency import SlidingWindow
asked = os.open("asked", os.O_APPEND | os.O_CREAT | os.O_WRONLY)

@ForEach(concurrency=SlidingWindow(5), timeout=1, retries=Retry(patience=2))("n", range(60))
async def eval_n(n):
    os.write(asked, f"{n}\\n".encode())
    await asyncio.sleep(0.1)
    return True

summary = run(eval_n, "still", sys.argv[1], progress=False)
print(summary.status, summary.scored, summary.failed)
"""


def test_a_process_stands_still_beyond_patience_and_timeout(path, start):
    """As on a laptop that was closed: what was in flight is tried again, and nothing has failed."""
    process = start("-c", STILL, path)
    wait_for(process, "asked", 10)
    process.send_signal(signal.SIGSTOP)
    time.sleep(5)
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)

    assert out.split() == ["complete", "60", "0"], err
    assert len(lines("asked")) - 60 <= 5


WRITER = """
import sys
from doteval import foreach, run

@foreach("n", range(200))
def eval_n(n):
    return True

eval_n.__name__ = f"eval_{sys.argv[2]}"
print(run(eval_n, "many", sys.argv[1], progress=False).scored)
"""


def test_many_processes_write_one_store(path, start):
    """Each its own evaluation; each gets its turn."""
    processes = [start("-c", WRITER, path, n) for n in range(WRITERS)]
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert out.strip() == "200", err

    assert main(["doctor", "--storage", str(path)]) == 0
    with closing(open_store(path)) as store:
        assert len(store.evaluations("many")) == WRITERS


LARGE = """
import sys, time
from doteval import foreach, run

@foreach("n", lambda: range(int(sys.argv[2])))
async def eval_n(n):
    return n % 2 == 0

began = time.monotonic()
summary = run(eval_n, "large", sys.argv[1], progress=False)
import resource
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(summary.scored, round(time.monotonic() - began), most)
"""


def test_very_many_rows_go_in_and_come_out(path, start, capsys):
    """Killed in the middle, resumed, listed, looked at by the doctor."""
    process = start("-c", LARGE, path, ROWS)
    while process.poll() is None and (not path.exists() or path.stat().st_size < 50 * ROWS):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    out, err = start("-c", LARGE, path, ROWS).communicate()
    print("rows, seconds, MB:", out)

    assert out.split()[0] == f"{ROWS}", err
    for command in ("list", "doctor"):
        began = time.monotonic()
        assert main([command, "--storage", str(path)]) == 0
        print(command, round(time.monotonic() - began, 2), "s")


KERNEL = """
import asyncio
from doteval import ForEach, run
from doteval.concurrency import SlidingWindow

@ForEach(concurrency=SlidingWindow(4))("n", range(300))
async def eval_n(n):
    with open("asked", "a") as file:
        file.write(f"{n}\\n")
    await asyncio.sleep(0.01)
    return True

summary = run(eval_n, "kernel", "results.db", progress=False)
print(summary.scored)
"""


def test_the_kernel_of_a_notebook_is_killed(tmp_path, path, monkeypatch):
    """The cell, run again in a new kernel, goes on."""
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    before = 0
    for _ in range(KILLS):
        kernel, client = manager.start_new_kernel(cwd=str(tmp_path))
        client.execute(KERNEL)
        until = time.monotonic() + 60
        while len(lines("asked")) < before + 40 and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(kernel.provisioner.pid, signal.SIGKILL)
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
        before = len(lines("asked"))
    kernel, client = manager.start_new_kernel(cwd=str(tmp_path))
    try:
        assert client.execute_interactive(KERNEL, timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)

    with closing(open_store(path)) as store:
        (name,) = store.evaluations("kernel")
        assert store.tally("kernel", name).scored == 300
        assert len(store.runs("kernel", name)) == KILLS + 1
    assert len(lines("asked")) - 300 <= KILLS * (4 + 50)


def test_every_statement_of_a_migration_is_killed(tmp_path):
    """The store is of the earlier version, or of this one; the next who opens it migrates it."""
    from doteval.storage.schema import VERSION, connect
    from tests.storage.test_migration import laid, version_of

    class Killed(sqlite3.Connection):
        left = 0

        def execute(self, sql, *arguments):
            Killed.left -= 1
            if not Killed.left:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().execute(sql, *arguments)

    n, between = 0, set()
    while True:
        n += 1
        path = laid(tmp_path / f"{n}.db")
        pid = os.fork()
        if not pid:
            Killed.left = n
            connect(path, connection=Killed)
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        between.add(version_of(path))
        connect(path).close()
        assert version_of(path) == VERSION
        if not killed:
            break
    print(f"{n - 1} statements")
    assert n > 30 and between == {1, VERSION}
