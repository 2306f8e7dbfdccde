"""Where files, memory or threads run out: one sentence, no traceback of ours, no row is lost."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from doteval.cli import main
from doteval.cli.call import Command
from doteval.concurrency.evidence import Outcome
from doteval.concurrency.reading import MACHINE, read
from doteval.errors import StoreError
from doteval.record import failure_hint
from doteval.storage.database import Database
from doteval.storage.diagnosis import Exhausted
from doteval.storage.writer import Grouped
from tests.storage.made import a_run, a_store, an_entry

resource = pytest.importorskip("resource")
V = "f.py::v"
_REMEDY = "lower max_concurrency, share one client"


@contextmanager
def no_file_left() -> Iterator[list[int]]:
    """This process has as many files open as it may have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.open(os.devnull, os.O_RDONLY)
    os.close(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(64, highest + 16), before[1]))
    held: list[int] = []
    try:
        with pytest.raises(OSError, match="Too many open files"):  # noqa: PT012
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield held
    finally:
        for file in held:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_rows_are_stored_where_no_file_can_be_opened(tmp_path: Path) -> None:
    """The store has kept some for that, and reads and ends with them too."""
    with closing(a_store(tmp_path / "x.db")) as store:
        run = a_run()
        number = store.begin(run)
        with no_file_left():
            store.add(number, [an_entry("a")])
            store.end(number, run)
            found = store.tally("e", V).scored

    assert found == 1


def test_a_store_that_can_open_no_file_says_why(tmp_path: Path) -> None:
    """Others have taken what it had kept; the run hears of the limit, not of permissions."""
    path = tmp_path / "x.db"
    with closing(a_store(path, busy=0.01)) as store:
        number = store.begin(a_run())
        store.add(number, [an_entry("a")])
        store.database._spend()
        with no_file_left():
            store.database._save_up()  # which finds none
            with pytest.raises(Exhausted, match=f"too many files are open.*{_REMEDY}"):
                store.add(number, [an_entry("b")])
        store.add(number, [an_entry("b")])
        assert store.tally("e", V).scored == 2
    reader = Database(path, read_only=True)
    with closing(reader), no_file_left(), pytest.raises(Exhausted):
        reader.all("SELECT * FROM runs")


def test_no_file_left_is_too_many_calls_at_a_time() -> None:
    """Whatever a client makes of it; an endpoint has no part in it."""
    error: Exception = OSError(errno.EMFILE, "Too many open files")
    wrapped: Exception = type("ConnectError", (type("TransportError", (Exception,), {}),), {})()
    wrapped.__cause__ = error

    for each in (error, wrapped):
        found = read(each, 0.0)
        assert (found.outcome, found.blocks) == (Outcome.CONGESTION, MACHINE)
    assert _REMEDY in failure_hint("OSError", str(error))
    assert failure_hint("OSError", "no") == ""


_EVAL = """
import asyncio
from doteval import ForEach
from doteval.concurrency import Adaptive, SlidingWindow
kept = []
@ForEach(concurrency={strategy})("n", range(150))
async def eval_n(n):
    file = open("/dev/null")
    await asyncio.sleep(0.02)
    {close}
    return True
"""


def _run(folder: Path, strategy: str, close: str) -> subprocess.CompletedProcess[str]:
    (folder / "eval_n.py").write_text(_EVAL.format(strategy=strategy, close=close))
    return subprocess.run(
        [sys.executable, "-m", "doteval", "run", "eval_n.py", "--experiment", "x"],
        cwd=folder, capture_output=True, text=True, timeout=240,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    )  # fmt: skip


@pytest.mark.long
def test_a_window_above_the_limit_of_files_completes(tmp_path: Path) -> None:
    """What finds none waits for what has some."""
    done = _run(tmp_path, "SlidingWindow(120)", "file.close()")

    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    assert "150 of 150 scored" in done.stdout


@pytest.mark.long
def test_files_that_are_never_closed_end_the_run_with_the_remedy(tmp_path: Path) -> None:
    """The rows that returned are stored, the others are missing, and the same command resumes."""
    done = _run(tmp_path, "Adaptive()", "kept.append(file)")

    assert (done.returncode, done.stderr.count("Traceback")) == (1, 0)
    assert "stopped" in done.stdout and "0 failed" not in done.stdout
    assert "can open no file or socket" in done.stderr and _REMEDY in done.stderr


def test_a_commit_without_memory_is_told(tmp_path: Path) -> None:
    """Nothing of it is written, and nothing that was is lost."""

    class Full(sqlite3.Connection):
        def execute(self, query: str, *arguments: Any) -> sqlite3.Cursor:
            if query.startswith("INSERT INTO bodies"):
                raise MemoryError
            return super().execute(query, *arguments)

    with closing(a_store(tmp_path / "x.db", connection=Full)) as store:
        number = store.begin(a_run())
        with pytest.raises(StoreError, match="no memory left; lower max_concurrency"):
            store.add(number, [an_entry("a")])
        assert store.tally("e", V).scored == 0


def test_a_command_without_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no fault of ours, and no verdict."""

    def full(call: object) -> Any:
        raise MemoryError

    monkeypatch.setattr("doteval.cli.list.run", Command("list", "x", "", (), (), full))

    assert main(["list"]) == 4
    assert capsys.readouterr().err == "doteval: this process has no memory left; give it more\n"


def test_a_writer_without_a_thread_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first row."""

    def none(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def begun() -> None:
        Grouped(print, print, print, print)

    loop = asyncio.new_event_loop()
    monkeypatch.setattr(threading.Thread, "start", none)
    with pytest.raises(StoreError, match="gives no thread"):
        loop.run_until_complete(begun())
    loop.close()
