"""
Where and when a run happens: names, the time, and the state of the code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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


def evaluation_name(evaluation: Evaluation | BoundEvaluation, place: Place) -> Named:
    """How an evaluation is named outside pytest: by its file, its class and its name."""
    owner = evaluation.__qualname__.rpartition(".")[0].rpartition("<locals>")[2].strip(".")
    name = f"{owner}.{evaluation.__name__}" if owner else evaluation.__name__
    return named(evaluation.file, name, place)


def version() -> str:
    """The version of this package, under whatever name it was copied."""
    return str(sys.modules[(__package__ or "").rpartition(".")[0]].__version__)


def commit_of(folder: Path) -> str | None:
    """The git commit that is checked out, read from its files; None outside a repository."""
    for parent in (folder, *folder.parents):
        git = parent / ".git"
        try:
            if git.is_file():  # a worktree or a submodule
                git = parent / git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
            elif not git.is_dir():
                continue
            head = (git / "HEAD").read_text(encoding="ascii").strip()
            if not head.startswith("ref: "):
                return head
            name = head[5:]
            common = git / "commondir"
            if common.exists():
                git = git / common.read_text(encoding="utf-8").strip()
            loose = git / name
            if loose.exists():
                return loose.read_text(encoding="ascii").strip()
            for line in (git / "packed-refs").read_text(encoding="utf-8").splitlines():
                if line.endswith(f" {name}"):
                    return line.partition(" ")[0]
            return None  # a repository without a commit
        except (OSError, ValueError):
            return None  # unreadable: the commit is a courtesy, not a promise
    return None
