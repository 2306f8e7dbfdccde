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


def checkout_of(folder: Path) -> dict[str, Any]:
    """
    What git has checked out there: `commit`, `branch`, and whether the files that git follows are
    `clean`, that is without changes; each None where it is not known, as outside a repository.
    """
    commit, branch = _head_of(folder)
    clean = None if commit is None else _is_clean(folder)
    return {"commit": commit, "branch": branch, "clean": clean}


def _is_clean(folder: Path) -> bool | None:
    """As git says; whoever only looks starts no monitor of files."""
    asked = ["git", "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no"]
    try:
        told = subprocess.run(
            asked,
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # who looks writes no index
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST_LOOK,
        )
    except (OSError, subprocess.SubprocessError):
        return None  # no git, or a repository too large to be looked through
    return None if told.returncode else not told.stdout


_LONGEST_LOOK = 5.0  # seconds that a run waits for git


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
