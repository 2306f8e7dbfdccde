"""Type checkers pass what people write, and find what they mistype: mypy and pyright."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WRONG = [
    number
    for number, line in enumerate((HERE / "wrong.py").read_text("utf-8").splitlines(), 1)
    if line.endswith("# wrong")
]

pytestmark = pytest.mark.long


def mypy(file: str) -> list[str]:
    pytest.importorskip("mypy", reason="mypy is not installed")
    return [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10", file]


def pyright(file: str) -> list[str]:
    """The build of it that a package carries whole; the other fetches itself when it is used."""
    if shutil.which("basedpyright") is None:
        pytest.skip("basedpyright is not installed")
    return ["basedpyright", "--pythonpath", sys.executable, file]


@pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda checker: checker.__name__)
@pytest.mark.parametrize(("file", "lines"), [("right.py", []), ("wrong.py", WRONG)])
def test_a_type_checker_finds_what_is_wrong_and_nothing_else(checker, file, lines):
    """A call's parameters, keywords of run, evaluators, metrics, options, and what comes back."""
    command = checker(str(HERE / file))
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout

    found = re.findall(rf"{re.escape(file)}:(\d+):(?:\d+:? -)? error", told)
    assert sorted({int(number) for number in found}) == lines, told
