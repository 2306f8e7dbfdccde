"""Disks that are full, files that go away, and others who keep the store to themselves."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest

from doteval import ForEach, Result, Score, run
from doteval.concurrency import Batch
from doteval.errors import StoreError
from doteval.storage.sqlite import SqliteStore

from .test_kills import lines, stored

pytestmark = pytest.mark.long

LIMITED = """
import resource, runpy, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv[0] = "worker"
runpy.run_module("faults.worker", run_name="__main__")
"""


@pytest.mark.skipif(os.name == "nt", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize(
    ("strategy", "size", "rows", "limit"),
    [
        ("batch", 100, 4_000, 600_000),
        ("window", 64_000, 300, 12_000_000),
        ("sequential", 100, 4_000, 600_000),
    ],
)
def test_a_full_disk_ends_the_run_with_one_message(path, start, strategy, size, rows, limit):
    """What was told to be stored is stored; with room again, the same command goes on."""
    arguments = path, strategy, size, rows
    out, err = start("-c", LIMITED, limit, *arguments).communicate(timeout=60)

    assert out == ""
    assert err.splitlines()[-1].startswith("doteval.errors.StoreError: the store ")
    assert "check the disk and its quota" in err.splitlines()[-1]
    told = set(lines(f"{path}.told"))
    assert 0 < len(told) < rows
    found = stored(path)
    assert told <= set(found)

    out, err = start("-m", "faults.worker", path, strategy, size, rows).communicate(timeout=120)
    assert out.split() == ["complete", f"{rows}", f"{rows}"], err


def quiet(evaluation, store, **options):
    return run(evaluation, "e", store, progress=False, **options)


def at_the_fifth(do):
    """A listener that does something when the fifth record is durable."""
    seen = []

    def on_record(record):
        seen.append(record)
        if len(seen) == 5:
            do()

    return on_record


def evaluation(rows=tuple(f"{n}" for n in range(40))):
    @ForEach(concurrency=Batch(2))("text", rows)
    async def eval_text(text):
        return True

    return eval_text


def test_a_store_that_is_deleted_under_a_run_ends_it(path):
    """Going on would pay for answers that nobody will find."""
    with pytest.raises(StoreError, match="was deleted or replaced while it was in use"):
        quiet(evaluation(), path, on_record=at_the_fifth(path.unlink))


def test_a_store_that_is_replaced_under_a_run_ends_it(path, tmp_path):
    """By a backup, say. The file that is there now stays as it is."""
    other = tmp_path / "other.db"
    quiet(evaluation(["only"]), other)
    before = other.read_bytes()

    with pytest.raises(StoreError, match="was deleted or replaced while it was in use"):
        quiet(evaluation(), path, on_record=at_the_fifth(lambda: os.replace(other, path)))

    assert path.read_bytes() == before


def test_a_folder_that_is_deleted_under_a_run_ends_it(tmp_path, monkeypatch):
    """`git clean -xfd` does that."""
    import shutil

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".doteval"

    with pytest.raises(StoreError, match="was deleted or replaced while it was in use"):
        quiet(evaluation(), None, on_record=at_the_fifth(lambda: shutil.rmtree(folder)))

    assert quiet(evaluation(), None).scored == 40


def impatient(schemes, busy):
    """Registers stores that wait only so long for others."""
    schemes.register(
        "impatient",
        lambda rest, anchor, create: SqliteStore(Path(rest), anchor, create, busy=busy),
    )


def test_a_lock_that_is_held_too_long_ends_the_run(path, schemes):
    """With a message that says who is to blame, and nothing durable lost."""
    impatient(schemes, busy=0.05)
    holder = []
    told = []

    def hold():
        holder.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        holder[0].execute("BEGIN IMMEDIATE")

    listener = at_the_fifth(hold)

    def on_record(record):
        told.append(record.row["text"])
        listener(record)

    with pytest.raises(StoreError, match="another process keeps it locked"):
        quiet(evaluation(), f"impatient://{path}", on_record=on_record)
    holder[0].close()

    store = SqliteStore(path, path.parent)
    (name,) = store.evaluations("e")
    assert {record.row["text"] for record in store.records("e", name)} >= set(told)
    store.close()
    assert quiet(evaluation(), path).scored == 40


def test_a_lock_that_is_held_for_a_while_is_waited_for(path):
    """Another run's large commit, or somebody's backup."""
    holder = []

    def hold():
        holder.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        holder[0].execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, lambda: holder[0].execute("COMMIT")).start()

    assert quiet(evaluation(), path, on_record=at_the_fifth(hold)).scored == 40
    holder[0].close()


def test_a_reader_that_pages_slowly_does_not_hold_up_a_run(path):
    """It reads on whenever a record becomes durable, and the run never waits for it."""
    quiet(evaluation([f"old {n}" for n in range(600)]), path)
    store = SqliteStore(path, path.parent)
    (name,) = store.evaluations("e")
    reader = store.records("e", name)
    read = []

    def on_record(record):
        read.append(next(reader).row["text"])

    summary = quiet(evaluation(), path, on_record=on_record)

    assert read == [f"old {n}" for n in range(40)]
    assert (summary.scored, summary.stale) == (40, 600)
    rest = [record.row["text"] for record in reader]
    assert rest[:460] == [f"old {n}" for n in range(40, 500)]  # the page; after it, what is live
    assert sorted(rest[460:]) == sorted(f"{n}" for n in range(40))
    store.close()


def test_hostile_values_do_not_end_a_run(path):
    """Whatever a model or a dataset comes up with is data."""
    hostile = [
        "\ud800", "\0", "\x1b[2J", "<script>", "=cmd()", "x" * 1_000_000, 2**70, float("nan"),
        {"a": [float("inf"), b"\xff", {1, 2}]}, [[[[]]]], 10**5_000, {(1, 2): 3},
    ]  # fmt: skip

    @ForEach(concurrency=Batch(4))("value", [(value,) for value in hostile])
    async def eval_hostile(value):
        return Result(
            Score("s", float("nan")), prompt=value, model_response=[value], metadata={"v": value}
        )

    summary = quiet(eval_hostile, path)

    assert (summary.scored, summary.failed, summary.total) == (12, 0, 12)
    store = SqliteStore(path, path.parent)
    (name,) = store.evaluations("e")
    prompts = {record.position: record.outcome.prompt for record in store.records("e", name)}
    assert [prompts[n] for n in range(7)] == hostile[:7]
    store.close()
    assert quiet(eval_hostile, path).runs == 2
