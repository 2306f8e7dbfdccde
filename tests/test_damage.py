"""A store that can not be read is told as that, by every command: no other figure is shown."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from doteval import Score
from doteval.cli import main
from doteval.storage import open_store
from tests.stocked import recorded, stock

STORE = 4  # exit code: the store can not be read


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """
    A store of two experiments whose table of scores has become noise after its sums were kept;
    one of the metrics needs more than sums.
    """
    path = tmp_path / "results.db"
    with closing(open_store(path)) as store:
        for name in ("a", "b"):
            stock(
                store, name,
                [recorded(n, Score("right", n % 2 == 0, ("accuracy",)),
                          Score("len", float(n), ("median",))) for n in range(2_000)],
            )  # fmt: skip
    for name in ("a", "b"):
        main(["show", name, "--storage", str(path)])  # keeps the sums
    with closing(sqlite3.connect(path)) as db:
        (size,) = db.execute("PRAGMA page_size").fetchone()
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'scores'").fetchone()
    with open(path, "r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xaa" * size)
    return path


@pytest.mark.parametrize(
    "typed",
    [
        ["list"],
        ["show", "a"],
        ["gate", "a", "right.accuracy >= 0"],
        ["gate", "a", "right.accuracy >= baseline(b)"],
        ["compare", "a", "b"],
        ["report", "a", "-o", "-"],
        ["export", "a", "--format", "markdown"],
    ],
    ids=" ".join,
)
def test_damage_is_never_another_figure(
    damaged: Path, capsys: pytest.CaptureFixture[str], typed: list[str]
) -> None:
    """Exit code 4 and one line that says so, not a metric less or a gate that failed."""
    capsys.readouterr()

    assert main([*typed, "--storage", str(damaged)]) == STORE
    assert "the file is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed",
    [["list"], ["list", "--json"], ["doctor"], ["prune", "--keep", "0", "--yes"], ["show", "a"]],
    ids=" ".join,
)
def test_who_reads_an_empty_file_leaves_it_empty(tmp_path: Path, typed: list[str]) -> None:
    """A store is made by who writes one; nothing stands beside it either."""
    path = tmp_path / "empty.db"
    path.touch(0o644)

    assert main([*typed, "--storage", str(path)]) == (1 if typed[0] == "show" else 0) or (
        typed == ["doctor"]  # its mode is worth a note
    )
    assert path.stat().st_size == 0
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["empty.db"]


def test_a_merge_leaves_the_stores_that_it_reads_as_they_are(tmp_path: Path) -> None:
    """An empty one too."""
    one, empty = tmp_path / "one.db", tmp_path / "empty.db"
    empty.touch()
    with closing(open_store(one)) as store:
        stock(store, "a", [recorded(0)])
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}

    assert main(["merge", str(tmp_path / "out.db"), str(one), str(empty)]) == 0

    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert not {f"{each.name}-journal" for each in (one, empty)} & {
        each.name for each in tmp_path.iterdir() if each.name not in before
    }
