"""A document appears whole or not at all, and what a killed command left is taken away."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doteval.cli import output
from doteval.cli.output import write

pytest.importorskip("fcntl")
_LEFT = (
    "import os, sys; from doteval.cli.output import write; write({}, 'x.html', sys.stdout, force=0)"
)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_what_a_killed_command_left_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next that writes there; what has another name is another one's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".y.html.0a1b2c3d.part").touch()
    (tmp_path / ".x.html.mine.part").touch()
    killed = "(os.kill(os.getpid(), 9) or '' for _ in 'a')"
    subprocess.run([sys.executable, "-c", _LEFT.format(killed)])
    assert len(names(tmp_path)) == 3

    write(["b"], "x.html", io.StringIO(), force=False)

    assert names(tmp_path) == [".x.html.mine.part", ".y.html.0a1b2c3d.part", "x.html"]


def test_what_another_command_is_writing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both end well; the later one counts."""
    monkeypatch.chdir(tmp_path)

    def pieces() -> Iterator[str]:
        yield "first"
        write(["second"], "x.html", io.StringIO(), force=False)
        assert (tmp_path / "x.html").read_text() == "second"

    write(pieces(), "x.html", io.StringIO(), force=True)

    assert names(tmp_path) == ["x.html"]
    assert (tmp_path / "x.html").read_text() == "first"


def test_a_file_that_is_taken_for_one_that_was_left_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock another command may look at it."""
    looks = iter([False, True])
    monkeypatch.setattr(output, "_is_free", lambda handle: next(looks))

    path, handle = output._beside(tmp_path, ".x.")
    os.close(handle)

    assert len(names(tmp_path)) == 2 and path.exists()


def test_a_file_system_without_locks_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could tell what is in use."""
    left = tmp_path / ".x.html.0a1b2c3d.part"
    left.touch()

    def refused(handle: int) -> bool:
        raise OSError("no locks available")

    monkeypatch.setattr(output, "_is_free", refused)
    monkeypatch.chdir(tmp_path)
    write(["a"], "x.html", io.StringIO(), force=False)

    assert names(tmp_path) == [left.name, "x.html"]
