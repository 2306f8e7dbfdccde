"""
Where and when a run happens: names, the time, and the state of the code.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..evaluation import BoundEvaluation, Evaluation
from ..storage import Named, Place, named


class Clock(NamedTuple):
    """
    The time of a run.

    Attributes:
        now: tells the moment, in seconds on the event loop's clock.
        began: the moment when the run began.
        epoch: turns a moment into Unix seconds.
    """

    now: Callable[[], float]
    began: float
    epoch: float

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self.now() - self.began


def evaluation_name(evaluation: Evaluation[..., Any] | BoundEvaluation, place: Place) -> Named:
    """How an evaluation is named outside pytest: by its file, its class and its name."""
    owner = evaluation.__qualname__.rpartition(".")[0].rpartition("<locals>")[2].strip(".")
    name = f"{owner}.{evaluation.__name__}" if owner else evaluation.__name__
    return named(evaluation.file, name, place)


def version() -> str:
    """The version of this package, under whatever name it was copied."""
    return str(sys.modules[(__package__ or "").rpartition(".")[0]].__version__)


class Checkout:
    """
    What git has checked out in a folder. Git itself looks at the files while the run goes on: it
    takes longer than the run of a row.
    """

    def __init__(self, folder: Path) -> None:
        self._commit, self._branch = _head_of(folder)
        self._clean: bool | None = None
        self._git: subprocess.Popen[bytes] | None = None
        if self._commit is None:
            return
        try:  # whoever only looks starts no monitor of files, and writes no index
            self._git = subprocess.Popen(
                ["git", "-c", "core.fsmonitor=false", "status", "--porcelain", "-uno"],
                cwd=folder,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            pass  # no git

    def told(self) -> dict[str, Any]:
        """
        `commit`, `branch`, and whether the files that git follows are `clean`, that is without
        changes; each None where it is not known, as outside a repository or before `wait`.
        """
        return {"commit": self._commit, "branch": self._branch, "clean": self._clean}

    def wait(self, patience: float) -> None:
        """Let git look for at most so many seconds more."""
        if self._git is None:
            return
        git, self._git = self._git, None
        try:
            changes = git.communicate(timeout=patience)[0]
            self._clean = None if git.returncode else not changes
        except subprocess.TimeoutExpired:  # a repository too large to be looked through
            git.kill()
            git.communicate()


def _head_of(folder: Path) -> tuple[str | None, str | None]:
    """The commit and the branch, read from git's files."""
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        try:
            if git.is_file():  # a worktree or a submodule
                git = parent / git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
            elif not git.is_dir():
                continue
            head = (git / "HEAD").read_text(encoding="ascii").strip()
            if not head.startswith("ref: "):
                return head, None
            name = head[5:]
            branch = name.removeprefix("refs/heads/")
            common = git / "commondir"
            if common.exists():
                git = git / common.read_text(encoding="utf-8").strip()
            loose = git / name
            if loose.exists():
                return loose.read_text(encoding="ascii").strip(), branch
            for line in (git / "packed-refs").read_text(encoding="utf-8").splitlines():
                if line.endswith(f" {name}"):
                    return line.partition(" ")[0], branch
            return None, branch  # a repository without a commit
        except (OSError, ValueError):
            return None, None  # unreadable: the commit is a courtesy, not a promise
    return None, None
