"""One process holds a thousand rows in flight, and ten thousand where it is asked to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.in_flight import ROOT

MANY = pytest.mark.skipif(
    "DOTEVAL_TEN_THOUSAND" not in os.environ,
    reason="takes half a minute and 10,200 open files: set DOTEVAL_TEN_THOUSAND=1",
)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("wanted", "seconds"), [(1_000, 0.2), pytest.param(10_000, 5.0, marks=MANY)]
)
def test_so_many_rows_are_in_flight_at_the_same_time(wanted, seconds):
    """
    A server that answers nobody before so many ask sees all of them, each has its own answer, and
    a row in flight with its connection costs a few kilobytes.
    """
    command = [sys.executable, "-m", "tests.cluster.in_flight", str(wanted), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    print(seen)  # the figures, for `pytest -s`
    if "skipped" in seen:
        pytest.skip(seen["skipped"])

    assert (seen["at_once"], seen["opened"]) == (wanted, wanted)
    assert (seen["scored"], seen["right"]) == (2 * wanted, 1.0)
    assert seen["memory_mb"] * 1e6 < 30_000 * wanted
    assert seen["lag_p99"] < 2  # a loop that is busy, not one that is stuck
