"""
A tutorial on concurrency, command by command, as somebody would type it.

`data/eval_concurrency_strategies.py` is the file that its reader ends up with, as it was given: it
is not adapted to doteval, doteval runs it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parent / "data" / "eval_concurrency_strategies.py"

# The commands of the tutorial by experiment: the evaluation, and its number of rows. The longest
# stand first, because they are run side by side.
RUNS = {
    "sequential_comparison": ("eval_sequential_strategy", 12),
    "sequential_demo": ("eval_sequential", 8),
    "batch_demo": ("eval_batch", 8),
    "sliding_demo": ("eval_sliding_window_demo", 8),
    "adaptive_demo": ("eval_adaptive_learning", 16),
    "sliding_baseline": ("eval_sliding_window", 16),
    "adaptive_comparison": ("eval_adaptive_strategy", 12),
    "batch_4_comparison": ("eval_batch_4_strategy", 12),
    "sliding_4_comparison": ("eval_sliding_4_strategy", 12),
}


@dataclass(frozen=True)
class Done:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the tutorial's file."""
    made = tmp_path_factory.mktemp("tutorial")
    shutil.copy(FILE, made)
    return made


@pytest.fixture(scope="module")
def outputs(folder: Path, commands_on_path: Mapping[str, str]) -> Mapping[str, Done]:
    """Every run of the tutorial, three at a time."""
    commands = [
        f"pytest eval_concurrency_strategies.py::{evaluation} --experiment {experiment}"
        for experiment, (evaluation, _) in RUNS.items()
    ]
    with ThreadPoolExecutor(3) as pool:
        done = pool.map(lambda command: typed(command, folder, commands_on_path), commands)
        return dict(zip(RUNS, done, strict=True))


def typed(command: str, folder: Path, environment: Mapping[str, str]) -> Done:
    """A command as a shell runs it."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def shown(folder: Path, outputs: Mapping[str, Done], commands_on_path: Mapping[str, str]) -> Any:
    """The summary that `doteval show --json` prints of an experiment, by its name."""

    def show(experiment: str) -> Any:
        done = typed(f"doteval show {experiment} --json", folder, commands_on_path)
        assert done.code == 0, done.err
        (summary,) = json.loads(done.out)["evaluations"]
        return summary

    return show


def latencies(rows: int) -> list[float]:
    """Seconds that the tutorial's model takes for each of its first rows."""
    namespace: dict[str, Any] = {}
    source = FILE.read_text(encoding="utf-8")
    found = re.search(r"^sentiment_data = .*?^\] \* 2", source, re.MULTILINE | re.DOTALL)
    assert found is not None
    exec(found[0], namespace)
    return [0.3 + 0.2 * len(text) / 100 for text, _ in namespace["sentiment_data"][:rows]]


@pytest.mark.parametrize("experiment", RUNS)
def test_each_command_runs_its_evaluation(
    experiment: str, outputs: Mapping[str, Done], shown: Any
) -> None:
    """It passes, every row is scored, and the end of the output says what came out."""
    evaluation, rows = RUNS[experiment]
    done = outputs[experiment]
    summary = shown(experiment)

    assert done.code == 0, done.out + done.err
    assert "1 passed" in done.out
    assert f"{evaluation} · complete" in done.out
    assert f"{rows} of {rows} scored" in done.out
    assert (summary["total"], summary["scored"], summary["failed"]) == (rows, rows, 0)
    assert summary["evaluation"] == f"eval_concurrency_strategies.py::{evaluation}"
    assert summary["scores"]["exact_match"]["accuracy"]["value"] == 1.0


@pytest.mark.parametrize("four_at_a_time", ["batch_demo", "sliding_demo"])
def test_one_at_a_time_takes_three_times_as_long_as_four_at_a_time(
    folder: Path, commands_on_path: Mapping[str, str], shown: Any, four_at_a_time: str
) -> None:
    """On the same eight rows, by the times that doteval shows; once more where others were busy."""
    sequential = shown("sequential_demo")["duration"]
    four = shown(four_at_a_time)["duration"]

    if sequential <= 3 * four:
        again = f"{four_at_a_time}_again"
        file = f"eval_concurrency_strategies.py::{RUNS[four_at_a_time][0]}"
        typed(f"pytest {file} --experiment {again}", folder, commands_on_path)
        four = min(four, shown(again)["duration"])

    assert sequential >= sum(latencies(8))
    assert sequential > 3 * four


def test_the_adaptive_limit_is_seen_to_rise(outputs: Mapping[str, Done], shown: Any) -> None:
    """The output has its path, and the run is clearly faster than a window of two."""
    window_of_two = sum(latencies(16)) / 2

    assert re.search(r"\b2 → 4 → \d", outputs["adaptive_demo"].out)
    assert shown("adaptive_demo")["limits"][:2] == [2, 4]
    assert shown("adaptive_demo")["duration"] < 0.8 * window_of_two


def test_the_guide_runs_as_a_test(folder: Path, commands_on_path: Mapping[str, str]) -> None:
    """A plain test in a file of evaluations is a test like any other."""
    command = "pytest eval_concurrency_strategies.py::test_strategy_guide -s"

    done = typed(command, folder, commands_on_path)

    assert done.code == 0, done.out
    assert "Concurrency Strategy Guide" in done.out
    assert "1 passed" in done.out


def test_the_whole_file_is_collected_once(
    folder: Path, commands_on_path: Mapping[str, str]
) -> None:
    """Nine evaluations, those made in a loop under their new names, and one test."""
    command = "pytest eval_concurrency_strategies.py --collect-only -q"

    done = typed(command, folder, commands_on_path)

    collected = set(re.findall(r"::(\w+)$", done.out, re.MULTILINE))
    assert collected == {name for name, _ in RUNS.values()} | {"test_strategy_guide"}


def test_list_has_every_experiment(
    folder: Path, outputs: Mapping[str, Done], commands_on_path: Mapping[str, str]
) -> None:
    """Each with its status, its rows and its score."""
    done = typed("doteval list", folder, commands_on_path)

    assert done.code == 0, done.err
    lines = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    for experiment, (_, rows) in RUNS.items():
        assert f"{rows}/{rows}" in lines[experiment]
        assert "exact_match" in lines[experiment]
        assert "100%" in lines[experiment]


@pytest.mark.parametrize("experiment", RUNS)
def test_show_tells_timing_and_success(
    experiment: str,
    folder: Path,
    outputs: Mapping[str, Done],
    commands_on_path: Mapping[str, str],
) -> None:
    """Duration, rows per second, latencies, success rate, scores and the strategy."""
    done = typed(f"doteval show {experiment}", folder, commands_on_path)

    assert done.code == 0, done.err
    for figure in (
        r"\d s",
        r"\d rows/s",
        r"latency p50 \d+ ms, p95 \d+ ms",
        r"100% answered",
        r"exact_match +accuracy +100%",
        r"strategy +\w+\(",
    ):
        assert re.search(figure, done.out), done.out


def test_a_default_of_the_function_is_no_column(
    folder: Path, outputs: Mapping[str, Done], commands_on_path: Mapping[str, str]
) -> None:
    """The evaluations made in a loop keep what the loop had, each its own."""
    done = typed("doteval show batch_4_comparison --full", folder, commands_on_path)

    assert done.code == 0, done.err
    assert "[batch_4] This movie is absolu..." in done.out
