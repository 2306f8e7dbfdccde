"""
What doteval does for a row, counted instead of timed: a regression shows on any machine.

`python -m tests.benchmarks` measures what this work costs. The limits here are what was counted,
and a little more; they are meant to fail when a row begins to cost another task, transaction or
module, and to be raised on purpose.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import doteval
from doteval import ForEach, Result, Score, run, run_async
from doteval.concurrency import Adaptive, AsyncSequential, Batch, Sequential, SlidingWindow
from tests.storage.made import a_run, a_store, an_entry

PACKAGE = str(Path(doteval.__file__).parent)
ROWS = 1_000


def rows():
    return ((f"What is {n} + {n}?", str(2 * n)) for n in range(ROWS))


async def judge(question, answer):
    return Result(Score("right", True, ("accuracy",)), model_response=answer)


def judge_plainly(question, answer):
    return Result(Score("right", True, ("accuracy",)), model_response=answer)


def evaluation(function, strategy):
    return ForEach(concurrency=strategy)("question,answer", rows)(function)


def run_counted(function, strategy, path):
    """Run, and tell how many tasks the event loop was given."""
    tasks = []

    def count(loop, coroutine, **options):
        tasks.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def main():
        asyncio.get_running_loop().set_task_factory(count)
        await run_async(evaluation(function, strategy), "e", path, progress=False)
        return len(tasks)

    return asyncio.run(main())


def called(function, strategy, path):
    """Run, and count the calls of doteval's functions, by file and name, on the loop's thread."""
    calls = Counter()

    def count(frame, event, argument):
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(PACKAGE):
            calls[file, frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        run(evaluation(function, strategy), "e", path, progress=False)
    finally:
        sys.setprofile(None)
    home = len(PACKAGE) + 1
    return Counter({(file[home:], name): times for (file, name), times in calls.items()})


# ------------------------------------------------------------------------------- rows


OF_THE_RUN = 1  # a task, so that a run that is cancelled repeatedly still ends in order


@pytest.mark.parametrize(
    "strategy", [SlidingWindow(100), SlidingWindow(1), Batch(50), Adaptive(), AsyncSequential()]
)
def test_a_row_takes_one_task(strategy, tmp_path):
    """Nothing polls or watches beside the rows; the run itself is one more, however many."""
    tasks = run_counted(judge, strategy, tmp_path / "r.db")

    assert tasks == ROWS + OF_THE_RUN


def test_a_plain_function_in_the_calling_thread_takes_no_task(tmp_path):
    """It has ended when its call returns."""
    tasks = run_counted(judge_plainly, Sequential(), tmp_path / "r.db")

    assert tasks == OF_THE_RUN


@pytest.mark.parametrize(
    ("function", "strategy", "most"),
    [(judge, SlidingWindow(100), 25), (judge_plainly, Sequential(), 27)],
)
def test_a_row_takes_few_calls(function, strategy, most, tmp_path):
    """Python functions of doteval that are called on the loop's thread for each row."""
    calls = called(function, strategy, tmp_path / "r.db")

    assert calls.total() / ROWS < most


def test_the_drawing_names_what_a_row_calls(tmp_path):
    """docs/explanation/design.md shows the way of a row, function by function."""
    calls = called(judge, SlidingWindow(100), tmp_path / "r.db")
    page = Path(PACKAGE).parent / "docs" / "explanation" / "design.md"
    drawn = [line for line in page.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    own = {("record.py", "__init__"), ("concurrency/executors.py", "on_loop")}  # of the function;
    # and where tasks begin within the call that makes them, each is shown the loop
    often = {place for place, times in calls.items() if times > ROWS / 2} - own

    assert often > {("running/rows.py", "_met"), ("running/sink.py", "finished")}
    for file, name in often:
        shown = "Row" if name == "__init__" else name
        assert any(f"`{file}`" in line and re.search(rf"\b{shown}`", line) for line in drawn), name


# ------------------------------------------------------------------------------- disk


def test_rows_share_transactions(tmp_path):
    """What returns while the disk is busy becomes durable together."""
    run(evaluation(judge, SlidingWindow(100)), "e", tmp_path / "r.db", progress=False)
    with sqlite3.connect(tmp_path / "r.db") as db:
        commits = db.execute("SELECT revision FROM evaluations").fetchone()[0]
    db.close()

    assert commits < ROWS / 4


class Counted(sqlite3.Connection):
    """A connection that counts its statements, and notes the types of values that it is given."""

    statements = 0
    types = frozenset()

    def execute(self, statement, values=()):
        self.statements += 1
        self.types = self.types | {*map(type, values)}
        return super().execute(statement, values)


@pytest.fixture
def counted(tmp_path):
    """What adding so many records takes of a connection, when one with their score is there."""
    store = a_store(tmp_path / "r.db", connection=Counted)
    number = store.begin(a_run())
    store.add(number, [an_entry("first")])

    def add(count):
        store.database._db.statements, store.database._db.types = 0, frozenset()
        store.add(number, [an_entry(str(n)) for n in range(count)])
        return store.database._db

    yield add
    store.close()


OF_A_COMMIT = len(["BEGIN", "max(id)", "sums of scores", "sums and revision", "COMMIT"])
TABLES = 3


@pytest.mark.parametrize(("records", "each"), [(1, 1), (512, 1), (1_000, 6)])
def test_a_commit_takes_few_statements(counted, records, each):
    """At each one the interpreter's lock is given up, and a busy loop keeps it for 5 ms."""
    assert counted(records).statements <= TABLES * each + OF_A_COMMIT


def test_what_a_commit_gives_to_sqlite_needs_no_adapter(counted):
    """sqlite3 seeks one for each None, bool and bytes, which takes longer than to write it."""
    assert counted(10).types <= {int, float, str, bytearray}


def test_a_small_row_takes_few_bytes(tmp_path):
    """The row, the answer and a score, with the indices; 40 bytes of it are the texts."""
    path = tmp_path / "r.db"

    run(evaluation(judge, SlidingWindow(100)), "e", path, progress=False)

    assert path.stat().st_size / ROWS < 320


# ------------------------------------------------------------------------------ start


def loaded_by(code, before="pass"):
    """The modules that `code` loads in a process that has done `before`."""
    script = (
        f"import sys, json\n{before}\nbefore = set(sys.modules)\n{code}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return set(json.loads(done.stdout))


def test_importing_doteval_loads_nothing_else():
    """Its names are loaded when they are asked for."""
    assert loaded_by("import doteval") <= {"doteval", "__future__"}


def test_the_tutorials_imports_load_little_beside_asyncio():
    """No statistics, no digests, no paths, no store before something runs."""
    loaded = loaded_by(
        "from doteval import ForEach, Result\n"
        "from doteval.evaluators import exact_match\n"
        "from doteval.concurrency import SlidingWindow",
        before="import asyncio, dataclasses, json, queue, re, typing",
    )

    assert {name for name in loaded if not name.startswith("doteval")} <= {"__future__"}
    assert (
        len(loaded) <= 22
    )  # no controller and no loop: a strategy is its parameters until it runs
    assert not {f"doteval.{name}" for name in ("metrics", "keys", "storage", "runner")} & loaded


@pytest.mark.parametrize(
    ("command", "rooms"),
    [("list", 56), ("show e", 58), ("gate e right>=0.5", 66), ("compare e e2", 64)],
)
def test_a_look_at_a_store_loads_few_rooms(command, rooms, tmp_path):
    """Most of what a look costs is loading: neither a loop, nor shutil and bz2 for a help."""
    for experiment in ("e", "e2"):
        run(evaluation(judge_plainly, Sequential()), experiment, tmp_path / "r.db", progress=False)
    words = [*command.split(), "--storage", str(tmp_path / "r.db")]
    loaded = loaded_by(
        f"import io\nout, sys.stdout = sys.stdout, io.StringIO()\n"
        f"from doteval.cli import main\nassert main({words}) in (0, 1)\nsys.stdout = out",
        before="import argparse, dataclasses, json, pathlib, sqlite3, threading",
    )

    assert len([name for name in loaded if name.startswith("doteval")]) <= rooms
    assert not {"asyncio", "ssl", "socket", "shutil", "hashlib"} & loaded


def test_an_idle_plugin_loads_little_beside_pytest():
    """Neither asyncio nor a database, and of doteval what reads options."""
    loaded = loaded_by("import doteval.pytest_plugin", before="import pytest")

    assert {name for name in loaded if not name.startswith("doteval")} <= {
        "__future__",
        "_contextvars",
        "contextvars",
    }
    assert len(loaded) <= 12
