"""
A figure with its limit, and how to take one on a machine that does other things too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import doteval

ROOT = Path(doteval.__file__).resolve().parent.parent


@dataclass(frozen=True)
class Size:
    """
    How much to measure.

    Attributes:
        rounds: turns that are taken for each thing that is compared.
        scale: what numbers of rows are multiplied with.
        million: whether to measure with a million records too, which takes minutes.
        folder: where stores are made; it decides which disk is measured.
    """

    rounds: int
    scale: float
    million: bool
    folder: Path

    def rows(self, full: int) -> int:
        """So many rows, or fewer in a quick look."""
        return max(100, int(full * self.scale))


@dataclass(frozen=True)
class Figure:
    """
    One line of the table.

    Attributes:
        name: what was measured.
        reached: the amount. limit: what it should stay below, or reach.
        unit: of both; "x" for a ratio.
        least: whether the limit is to be reached, not kept.
        detail: the absolute amounts behind a ratio.
    """

    name: str
    reached: float
    limit: float
    unit: str = "x"
    least: bool = False
    detail: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the limit is kept; a figure that is not a number keeps none."""
        return self.reached >= self.limit if self.least else self.reached <= self.limit


def of_children() -> float:
    """Seconds of work that processes started by this one have done; waiting is not counted."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_turns(
    rounds: int,
    *functions: Callable[[int], object],
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """
    Seconds of each function's calls, called in turns with the number of the round.

    The order is reversed from round to round, so that none of them is always the first.
    """
    taken: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds):
        pairs = list(zip(functions, taken, strict=True))
        for function, times in pairs if turn % 2 == 0 else reversed(pairs):
            began = clock()
            function(turn)
            times.append(clock() - began)
    return taken


class Failed(Exception):
    """A process ended with an error; holds what it said last."""


def python(*arguments: str, cwd: Path | None = None, **environment: str) -> str:
    """What a fresh interpreter prints; modules are compiled once, as for everybody."""
    ours = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
        env={**os.environ, **ours, **environment},
    )
    if done.returncode:
        raise Failed((done.stderr or done.stdout)[-2_000:])
    return done.stdout


def report_of(module: str, *arguments: str, cwd: Path | None = None) -> Any:
    """The last line that a module prints in a process of its own, read as JSON."""
    return json.loads(python("-m", module, *arguments, cwd=cwd).splitlines()[-1])


def peak() -> float:
    """The most memory this process ever held, in MB (10**6 bytes)."""
    try:  # since exec; getrusage on Linux also remembers the process that forked this one
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6
