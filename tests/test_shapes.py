"""Odd shapes of what is stored cost in proportion: four times as much, four times the work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType

import pytest

from doteval import Score
from doteval.cli import main
from doteval.storage import open_store, schema
from tests.stocked import recorded, right, stock

_COMMANDS = (
    "list", "show a", "show a --full", "show a --errors", "export a --format csv",
    "export a --format jsonl", "export a --format junit", "report a -o -", "doctor",
    "gate a exact.accuracy>=0", "prune --keep 0 --yes", "rename a b", "delete b --yes",
)  # fmt: skip


def evaluations(path: Path, n: int) -> None:
    with closing(open_store(path)) as store:
        for at in range(n):
            stock(store, "a", [right(0)], evaluation=f"eval_x.py::eval_{at}")


def scores(path: Path, n: int) -> None:
    metrics = ("accuracy", "median")  # of which one needs more than sums
    rows = [
        recorded(row, *[Score(f"s{at}", (row + at) % 2 == 0, metrics) for at in range(n)])
        for row in range(4)
    ]
    with closing(open_store(path)) as store:
        stock(store, "a", rows)


def failures(path: Path, n: int) -> None:
    with closing(open_store(path)) as store:
        stock(store, "a", [recorded(at, type=f"Error{at % 7}") for at in range(n)])


@pytest.mark.parametrize(("shape", "few"), [(evaluations, 25), (scores, 60), (failures, 250)])
def test_nothing_is_quadratic(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    shape: Callable[[Path, int], None],
    few: int,
) -> None:
    """Neither in calls of functions nor in steps of SQLite's machine."""
    counted = {"calls": 0, "steps": 0}

    def step() -> None:
        counted["steps"] += 1

    def called(frame: FrameType, event: str, argument: object) -> None:
        counted["calls"] += event == "call"

    monkeypatch.setattr(schema, "_nothing", step)  # the handler, which is called so often:
    monkeypatch.setattr(schema, "_STEPS", 100)

    def cost(path: Path, command: str) -> dict[str, int]:
        counted.update(calls=0, steps=0)
        before = sys.getprofile()
        sys.setprofile(called)
        try:
            main([*command.split(), "--storage", str(path)])
        finally:
            sys.setprofile(before)
        capsys.readouterr()
        return dict(counted)

    little, much = tmp_path / "little.db", tmp_path / "much.db"
    shape(little, few)
    shape(much, 4 * few)
    for command in _COMMANDS:
        once, four = cost(little, command), cost(much, command)
        assert four["calls"] <= 4.4 * once["calls"], command
        assert four["steps"] <= 4.4 * once["steps"] + 20, command
