"""
Runs through both doors, pytest and `doteval run`, killed and interrupted as processes.

DOTEVAL_KILLS=25 kills as often; the suite does it a few times.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import pytest

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("DOTEVAL_KILLS", "3"))
SEED = int(os.environ.get("DOTEVAL_SEED", random.randrange(1_000_000)))
ROWS, IN_FLIGHT, BACKLOG = 400, 8, 1_000

FILE = f"""
import asyncio, time
from doteval import ForEach, Result
from doteval.concurrency import SlidingWindow

def paid(n):
    with open("paid.txt", "a") as out:
        out.write(f"{{n}}\\n")

@ForEach(concurrency=SlidingWindow({IN_FLIGHT}))("n", range({ROWS}))
async def eval_async(n):
    paid(n)
    await asyncio.sleep(0.01)
    return Result(True, prompt="x" * 1000)

@ForEach()("n", range({ROWS}))
def eval_swallowing(n):
    paid(n)
    try:
        time.sleep(60)
    except:
        return False

@ForEach(concurrency=SlidingWindow({IN_FLIGHT}))("n", range({ROWS}))
async def eval_deaf(n):
    paid(n)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""

DOORS = {
    "pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider", "eval_doors.py::{}"],
    "doteval run": ["-m", "doteval", "run", "eval_doors.py::{}"],
}
doors = pytest.mark.parametrize("door", DOORS)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "eval_doors.py").write_text(FILE)
    return tmp_path


@pytest.fixture
def start(folder):
    """Starts a run through a door in a process of its own; none is left behind."""
    processes = []

    def started(door, name="eval_async"):
        arguments = [part.format(name) for part in DOORS[door]]
        process = subprocess.Popen(
            [sys.executable, *arguments, "--experiment", "e", "--storage", "results.db"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def paid(folder):
    try:
        return (folder / "paid.txt").read_text().split()
    except FileNotFoundError:
        return []


def wait_until_paid(folder, process, count):
    while process.poll() is None and len(paid(folder)) < count:
        time.sleep(0.005)


def stored(folder):
    """How often each row has a live result; the file is whole."""
    if not (folder / "results.db").exists():
        return Counter()
    db = sqlite3.connect(folder / "results.db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone():
            return Counter()
        rows = db.execute("SELECT position FROM records WHERE state = 0 AND error IS NULL")
        return Counter(position for (position,) in rows)
    finally:
        db.close()


@doors
def test_kill_9_loses_nothing_and_pays_little_twice(folder, start, door):
    chance = random.Random(f"{SEED} {door}")
    print(f"DOTEVAL_SEED={SEED}")
    kills, before = 0, Counter()
    for _ in range(KILLS):
        process = start(door)
        wait_until_paid(folder, process, len(paid(folder)) + chance.randrange(1, 120))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        now = stored(folder)
        assert set(before) <= set(now)
        assert set(now.values()) <= {1}
        before = now

    process = start(door)
    out, _ = process.communicate(timeout=120)

    assert process.returncode == 0, out
    assert stored(folder) == Counter(range(ROWS))
    assert len(paid(folder)) - ROWS <= kills * (IN_FLIGHT + BACKLOG)


EXIT_CODES = {
    ("pytest", signal.SIGINT): 2,
    ("pytest", signal.SIGTERM): 2,
    ("doteval run", signal.SIGINT): 130,
    ("doteval run", signal.SIGTERM): 143,
}


@doors
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_one_signal_drains_and_tells_how_to_resume(folder, start, door, number):
    """What had finished is stored, and the run ends long before its rows would."""
    process = start(door)
    wait_until_paid(folder, process, 60)
    began = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    took = time.monotonic() - began

    assert process.returncode == EXIT_CODES[door, number], out
    assert took < 5  # under a second where nobody else uses the machine
    kept = stored(folder)
    assert len(kept) >= len(paid(folder)) - 2 * IN_FLIGHT
    assert "--experiment e" in out
    assert "Traceback" not in out

    again = start(door)
    again.communicate(timeout=120)

    assert again.returncode == 0
    assert stored(folder) == Counter(range(ROWS))
    assert len(paid(folder)) <= ROWS + IN_FLIGHT


@doors
def test_rows_that_ignore_their_cancellation_hold_up_the_end_for_the_grace_period(
    folder, start, door
):
    process = start(door, "eval_deaf")
    wait_until_paid(folder, process, IN_FLIGHT)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == EXIT_CODES[door, signal.SIGINT], out
    assert 4 < time.monotonic() - began < 25
    assert "Task was destroyed" not in out


@doors
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_function_that_swallows_the_interrupt_is_the_last(folder, start, door, number):
    """As one with a bare `except:` does; its row has an answer, and no other row is begun."""
    process = start(door, "eval_swallowing")
    wait_until_paid(folder, process, 1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)

    assert process.returncode == EXIT_CODES[door, number], out
    assert paid(folder) == ["0"]
    assert stored(folder) == Counter([0])


@doors
def test_a_second_signal_ends_it_at_once(folder, start, door):
    process = start(door, "eval_deaf")
    wait_until_paid(folder, process, IN_FLIGHT)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # a person's second press; the first has been taken by then
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert process.returncode != 0
    assert time.monotonic() - began < 4
    assert "Task was destroyed" not in out


def test_what_pytest_began_the_command_line_finishes(folder, start):
    """Both doors give an evaluation the same name."""
    process = start("pytest")
    wait_until_paid(folder, process, 60)
    process.kill()
    process.communicate()
    process = start("doteval run")
    process.communicate(timeout=120)

    assert process.returncode == 0
    assert stored(folder) == Counter(range(ROWS))
    assert len(paid(folder)) < 2 * ROWS
