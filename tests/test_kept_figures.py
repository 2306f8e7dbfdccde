"""A metric that only the evaluation's file knows keeps its figure for who reads the store later."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doteval.metrics import Estimate
from doteval.record import Run
from doteval.reporting.figures import kept, recalled
from doteval.storage import open_store

FILE = """
from doteval import Score, foreach
from doteval.metrics import metric

@metric
def trimmed(values):
    inner = sorted(values)[1:-1]
    return sum(inner) / len(inner)

ROWS = [(f"q {n}", n) for n in range(20)]

@foreach("q,n", ROWS)
def eval_m(q, n):
    return Score("x", float(n), ("trimmed",))
"""
Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """Type a doteval command in a process of its own: exit code and what it said."""
    (tmp_path / "eval_m.py").write_text(FILE)

    def run(*arguments: str, storage: str = "one.db") -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "doteval", *arguments, "--storage", storage],
            cwd=tmp_path, capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
        return ended.returncode, ended.stdout + ended.stderr

    for name in ("a", "b"):
        assert run("run", "eval_m.py", "--experiment", name)[0] == 0
    return run


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["list"], "x trimmed (kept)"),
        (["show", "a"], "x.trimmed is as its run computed it: there is no metric 'trimmed'"),
        (["gate", "a", "x.trimmed >= 9.5"], "pass"),
        (["gate", "a", "x >= 9.5"], "as its run computed it"),
        (["compare", "a", "b"], "9.5"),
        (["report", "a", "-o", "-"], "as its run computed it"),
        (["export", "a", "--format", "markdown"], "`x trimmed (kept)` | **9.5**"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_who_does_not_know_the_metric_shows_the_figure_of_the_run(
    typed: Typed, command: list[str], said: str
) -> None:
    """With a mark that says so, in every command that shows figures."""
    code, told = typed(*command)

    assert code in (0, 3)  # nothing is inferred from it in `compare`
    assert said in told


def test_an_interval_is_kept_at_its_own_confidence(typed: Typed) -> None:
    """A gate that asks for another one is undecided, and says which there is."""
    assert typed("gate", "a", "x.trimmed >= 1 @ 95%")[0] == 0
    code, told = typed("gate", "a", "x.trimmed >= 1 @ 90%")

    assert code == 3
    assert "no interval" in told or "it kept that of 95%" in told


def test_json_has_the_figure_and_says_whose_it_is(typed: Typed) -> None:
    """In full, with its interval."""
    (shown,) = json.loads(typed("show", "a", "--json")[1])["evaluations"]

    estimate = shown["scores"]["x"]["trimmed"]
    assert (estimate["value"], estimate["n"]) == (9.5, 20)
    assert estimate["low"] < 9.5 < estimate["high"]
    assert estimate["method"].startswith("as its run computed it; bootstrap")
    assert [each.partition(" ")[0] for each in shown["kept_metrics"]] == ["x.trimmed"]
    assert shown["unknown_metrics"] == []


def test_a_figure_does_not_outlive_what_it_rests_on(typed: Typed, tmp_path: Path) -> None:
    """Once rows were added by who does not know the metric, it is unknown, and a gate says that."""
    store = open_store(tmp_path / "one.db")
    (name,) = store.evaluations("a")
    from doteval import Score
    from tests.stocked import recorded, stock

    stock(store, "a", [recorded(99, Score("x", 3.0, ("trimmed",)))], evaluation=name)
    store.close()

    code, told = typed("gate", "a", "x.trimmed >= 1")

    assert code == 1
    assert "x.trimmed: there is no metric 'trimmed'" in told
    assert "there is no score" not in told
    assert "x.trimmed: there is no metric" in typed("gate", "a", "x >= 1")[1]


def test_a_figure_travels_with_its_run(typed: Typed, tmp_path: Path) -> None:
    """Through export and import, rename and merge, as far as nothing is added to it."""
    assert typed("export", "a", "-o", "a.jsonl")[0] == 0
    assert typed("import", "a.jsonl", "--name", "c", storage="two.db")[0] == 0
    assert typed("rename", "c", "d", storage="two.db")[0] == 0
    merge: list[Any] = [sys.executable, "-m", "doteval", "merge", "all.db", "two.db", "one.db"]
    subprocess.run(merge, cwd=tmp_path, check=True, capture_output=True)

    for name in ("a", "d"):
        assert "x  trimmed  9.5" in typed("show", name, storage="all.db")[1]


def test_sums_are_compared_as_far_as_they_can_be() -> None:
    """To nine digits, since their last depend on the order; nothing and NaN are only themselves."""
    sums = {"n": 3, "trials": 3, "total": 0.1, "squares": None, "low": float("nan"), "high": 2}
    sums["nans"] = 0
    figure = kept("x", "own", Estimate(1.0, 3), 0.95, sums)
    run = Run("1", "e", "f", 0.0, None, 0.0, "complete", 1, {"figures": [figure]})

    def found(**changes: Any) -> bool:
        return recalled([run], "x", "own", 0.95, {**sums, **changes}) is not None

    assert found() and found(total=0.1 + 1e-12)
    assert not found(total=0.11) and not found(squares=1.0) and not found(low=1.0)


def test_a_resume_keeps_the_figure_of_all_rows(typed: Typed, tmp_path: Path) -> None:
    """The last run knows the metric, and computes it over what is stored then."""
    file = tmp_path / "eval_m.py"
    file.write_text(FILE.replace("range(20)", "range(2 * 20)"))
    assert typed("run", "eval_m.py", "--experiment", "a")[0] == 0

    assert "x  trimmed  19.5" in typed("show", "a")[1]
