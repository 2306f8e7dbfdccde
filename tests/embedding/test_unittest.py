"""docs/examples/test_tickets.py: evaluations among the tests of the standard library's unittest."""

from __future__ import annotations

import os
import re
import subprocess
import sys


def test_evaluations_run_in_a_suite_of_unittest(examples):
    """Without pytest, and without a warning: nothing is left open."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "unittest", "test_tickets"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\.{4}\n-+\nRan 4 tests in [\d.]+s\n\nOK\n", done.stderr)
    assert done.stdout == ""
    assert not (examples / ".doteval").exists()  # the store was in memory
