"""Where a build server reads the log, no command of a run's data stands in it."""

from __future__ import annotations

import re

import pytest

from doteval import Result, Score, foreach, run
from doteval.cli import main

HOSTILE = (
    "fine\n::set-output name=a::b\n ::add-mask::a\n##vso[task.x]1 ##[error]"
    " section_start:1:a\r\x1b[0K"
)
COMMAND = re.compile(r"^\s*::[\w-]+.*::|##\w*\[|section_start:\d+:\w+\r", re.MULTILINE)
FILE = f"""
from doteval import Result, Score, foreach

@foreach("text", [{HOSTILE!r}, "x"])
def eval_x(text):
    if text == "x":
        raise ValueError({HOSTILE!r})
    return Result(Score("right", False), prompt=text, model_response=text, metadata={{text: text}})
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    @foreach("text", [HOSTILE, "x"])
    def eval_x(text):
        if text == "x":
            raise ValueError(HOSTILE)
        score = Score("right", False, metadata={"why": HOSTILE})
        return Result(score, prompt=text, model_response=text, metadata={text: text})

    for name in ("a", "b"):
        run(eval_x, name, "s.db", progress=False)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "show a", "show a --full", "show a --errors", "show a --json", "list", "list --json",
        "export a -o -", "export a -o - --format csv", "export a -o - --format markdown", "doctor",
        "export a -o - --format json", "compare a b", "compare a b --json", "gate a right>=0.5",
    ],
)  # fmt: skip
def test_no_command_prints_one(folder, capfd, command):
    main([*command.split(), *([] if command == "doctor" else ["--storage", "s.db"])])

    out, err = capfd.readouterr()
    assert out + err
    assert COMMAND.findall(out + err) == []


def test_a_run_prints_none(folder, capfd):
    """Nor does what it says of failures."""
    (folder / "eval_x.py").write_text(FILE)

    assert main(["run", "eval_x.py", "--experiment", "c", "--storage", "s.db"]) == 1

    out, err = capfd.readouterr()
    assert "ValueError" in err
    assert COMMAND.findall(out + err) == []


def test_a_session_of_pytest_prints_none(pytester, monkeypatch):
    """In its section, its summary and its report of failures."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    pytester.makepyfile(eval_x=FILE)

    result = pytester.runpytest_inprocess("eval_x.py", "--experiment", "c", "-ra", "-vv")

    told = result.stdout.str() + result.stderr.str()
    assert "ValueError" in told
    assert COMMAND.findall(told) == []
