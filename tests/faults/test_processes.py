"""Two processes and one evaluation: the second is refused before it pays for anything."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from .test_kills import lines, wait_for

pytestmark = pytest.mark.long


def test_the_second_process_is_refused_with_the_number_of_the_first(path, start):
    """And when the first is killed, the next one goes on at once."""
    first = start("-m", "faults.worker", path, "sequential", 100, 100_000)
    wait_for(first, f"{path}.told", 5)
    second = start("-m", "faults.worker", path, "sequential", 100, 100_000)
    out, err = second.communicate(timeout=30)

    assert out == ""
    assert f"is being run by process {first.pid}; wait for it" in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("doteval.errors.Busy: ")
    first.kill()
    first.communicate()
    asked = lines(f"{path}.asked")
    assert len(asked) == len(set(asked))

    third = start("-m", "faults.worker", path, "sequential", 100, 100_000)
    wait_for(third, f"{path}.asked", len(asked) + 5)
    assert third.poll() is None


def test_a_worker_of_a_pool_that_outlives_its_parent_holds_no_lock(path, start):
    """Nor does it keep the evaluation from being resumed."""
    code = f"""
import multiprocessing, os, time
from doteval import foreach, run

@foreach("n", range(1000))
def eval_forked(n):
    if n == 3:
        if os.fork() == 0:
            with open("number", "w") as file:
                file.write(str(os.getpid()))
            os.rename("number", "orphan")
            time.sleep(600)
        while not os.path.exists("orphan"):
            time.sleep(0.001)
        os.kill(os.getpid(), 9)
    return True

run(eval_forked, "forked", {str(path)!r}, progress=False)
"""
    parent = start("-c", code)
    parent.wait(timeout=60)
    orphan = int(Path(path.parent, "orphan").read_text())
    try:
        again = start("-c", code.replace("n == 3", "n == -1"))
        deadline = time.monotonic() + 60
        while again.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)

        assert again.returncode == 0, again.stderr.read()
    finally:
        os.kill(orphan, 9)
