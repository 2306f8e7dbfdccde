"""Two runs that reach one evaluation although the lock should keep them apart."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import pytest

from .test_kills import lines, stored

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(os.name == "nt", reason="needs what POSIX says of files"),
]
ROWS = 60
SLOWLY = """
import os, sys, time
from doteval import foreach, run
store = sys.argv[1]
asked = os.open(sys.argv[2], os.O_APPEND | os.O_CREAT | os.O_WRONLY)

@foreach("number", [f"{n}" for n in range(int(sys.argv[3]))])
def eval_slow(number):
    os.write(asked, f"{number}\\n".encode())
    time.sleep(0.02)
    return True

summary = run(eval_slow, "kills", store, progress=False)
print(summary.status, summary.scored, summary.total)
"""


@pytest.fixture
def slow(tmp_path, start):
    """Starts a run of an evaluation in a process of its own."""
    script = tmp_path / "eval_slow.py"
    script.write_text(SLOWLY)

    def slow(store, *before):
        if before:
            process = subprocess.Popen(
                [*before, sys.executable, script, store, tmp_path / "asked", f"{ROWS}"],
                cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            return process
        return start(script, store, tmp_path / "asked", ROWS)

    return slow


def begun(tmp_path, rows=10):
    """Wait until so many rows were paid for."""
    asked = tmp_path / "asked"
    deadline = time.monotonic() + 60
    while not asked.exists() or len(lines(asked)) < rows:
        assert time.monotonic() < deadline, "it never began"
        time.sleep(0.01)


def none(path):
    return path


def symlink(path):
    link = path.with_name("link.db")
    link.symlink_to(path)
    return link


def hard_link(path):
    link = path.with_name("other.db")
    os.link(path, link)
    return link


def without_lock(path):
    path.with_name(path.name + ".lock").unlink()
    return path


@pytest.mark.parametrize("reached_by", [none, symlink, hard_link, without_lock])
def test_of_two_runs_of_an_evaluation_one_ends_and_no_row_counts_twice(
    path, tmp_path, slow, reached_by
):
    """Either the second is refused, or it takes over, and the first one says so."""
    first = slow(path)
    begun(tmp_path)
    second = slow(reached_by(path))
    ends = [process.communicate(timeout=120) for process in (first, second)]

    codes = [first.returncode, second.returncode]
    assert codes.count(0) == 1
    whole, stopped = ends[codes.index(0)], ends[codes.index(1)]
    assert whole[0].split() == ["complete", f"{ROWS}", f"{ROWS}"]
    told = (
        f"is being run by process {first.pid}",
        f"process {second.pid} has taken this evaluation over",
        "its lock file was deleted or replaced",
    )
    assert any(reason in stopped[1].splitlines()[-1] for reason in told)
    assert Counter(stored(path)) == Counter(f"{n}" for n in range(ROWS))
    assert len(lines(tmp_path / "asked")) <= ROWS + 10  # what was in flight, and its backlog


def test_two_namespaces_with_equal_process_numbers_exclude_each_other(path, tmp_path, slow):
    """As containers have them; a lock is the kernel's, and asks for no number."""
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may make no namespaces")
    first = slow(path, *alone)
    begun(tmp_path)
    second = slow(path, *alone)
    ends = [process.communicate(timeout=120) for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 1]
    assert "is being run by process 1" in ends[1][1]
    assert Counter(stored(path)) == Counter(f"{n}" for n in range(ROWS))
    assert len(lines(tmp_path / "asked")) == ROWS


@pytest.mark.parametrize("how", ["copied over it", "put in its place"])
def test_a_run_whose_store_goes_back_ends(path, tmp_path, slow, how):
    """A backup, or a snapshot with the lock file: what was stored since is lost, and is told."""
    backup = tmp_path / "snapshot"
    backup.mkdir()
    process = slow(path)
    begun(tmp_path)
    with sqlite3.connect(path) as db, sqlite3.connect(backup / path.name) as copy:
        db.backup(copy)
    db.close()
    copy.close()
    (backup / f"{path.name}.lock").touch()
    begun(tmp_path, 30)
    for file in backup.iterdir():
        if how == "copied over it":
            shutil.copyfile(file, path.with_name(file.name))
        else:
            os.replace(file, path.with_name(file.name))
    out, err = process.communicate(timeout=120)

    if process.returncode:
        assert out == ""
        assert "StoreError: the store " in err.splitlines()[-1]
        assert len(lines(tmp_path / "asked")) < ROWS
    else:  # copied in the midst of a commit, which then wrote all that was lost once more
        assert how == "copied over it"
        assert Counter(stored(path)) == Counter(f"{n}" for n in range(ROWS))
