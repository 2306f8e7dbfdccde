"""
One file of evaluations of every kind ends the same under every combination of plugins for pytest.

Each combination runs as a process of its own. Where a plugin is not installed, its combinations
are skipped; the optional environment `matrix` has all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from doteval.reporting.summary import Summary, summarise
from doteval.storage import locate, open_store

from .evaluations import EXPECTED, RIGHT

# By combination: the modules that it needs, its arguments, lines of its configuration.
COMBINATIONS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "none": ([], [], []),
    "asyncio, strict": (["pytest_asyncio"], [], ["asyncio_mode = strict"]),
    "asyncio, auto": (["pytest_asyncio"], [], ["asyncio_mode = auto"]),
    "anyio": (["anyio"], [], []),
    "anyio, auto": (["anyio"], [], ["anyio_mode = auto"]),
    "xdist": (["xdist"], ["-n", "2"], []),
    "xdist, by file": (["xdist"], ["-n", "2", "--dist", "loadfile"], []),
    "timeout": (["pytest_timeout"], ["--timeout=60"], []),
    "timeout, thread": (
        ["pytest_timeout"],
        ["--timeout=60", "--timeout-method=thread"],
        [],
    ),
    "randomly": (["pytest_randomly"], ["-p", "randomly", "-p", "no:xdist"], []),
    "rerunfailures": (["pytest_rerunfailures"], ["--reruns", "1"], []),
    "all": (
        ["pytest_asyncio", "anyio", "xdist", "pytest_timeout", "pytest_randomly"],
        ["-n", "2", "--timeout=60"],
        ["asyncio_mode = auto"],
    ),
}
PLUGINS = {  # names by which pytest loads them, by module
    "pytest_asyncio": "asyncio",
    "anyio": "anyio",
    "xdist": "xdist",
    "pytest_timeout": "timeout",
    "pytest_randomly": "randomly",
    "pytest_rerunfailures": "rerunfailures",
}

# What else stands in the session where a plugin for async tests is there.
NEIGHBOURS = {
    "pytest_asyncio": """
import asyncio
import pytest
import pytest_asyncio
from doteval import foreach

@pytest_asyncio.fixture
async def loop():
    yield asyncio.get_running_loop()

@pytest.mark.asyncio
async def test_async(loop):
    assert loop is asyncio.get_running_loop()

@foreach("a", [1])
async def eval_beside(a, loop):
    assert loop is asyncio.get_running_loop()
    return True
""",
    "anyio": """
import anyio
import pytest
from doteval import foreach

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture
async def value(anyio_backend):
    await anyio.sleep(0)
    yield 1

@pytest.mark.anyio
async def test_async(value):
    await anyio.sleep(0)
    assert value == 1

@foreach("a", [1])
async def eval_beside(a, value):
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0)
    return value == 1
""",
}


class Session:
    """A folder with the file of evaluations, run under one combination."""

    def __init__(self, folder: Path, combination: str) -> None:
        self.folder = folder
        modules, self._arguments, lines = COMBINATIONS[combination]
        for module in modules:
            pytest.importorskip(module, reason=f"the combination needs {module}")
        if "pytest_asyncio" in modules:
            lines = [*lines, "asyncio_default_fixture_loop_scope = function"]
        self._others = [f"-pno:{name}" for module, name in PLUGINS.items() if module not in modules]
        folder.joinpath("pytest.ini").write_text("\n".join(["[pytest]", *lines]), "utf-8")
        source = Path(__file__).with_name("evaluations.py").read_text("utf-8")
        folder.joinpath("eval_matrix.py").write_text(source, "utf-8")
        self.neighbours: dict[str, str] = {}
        for module in modules:
            if module in NEIGHBOURS:
                self.neighbours = dict.fromkeys(["test_async", "eval_beside"], "passed")
                neighbour = folder.joinpath(f"test_{PLUGINS[module]}.py")
                neighbour.write_text(NEIGHBOURS[module], "utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", *self._others, *self._arguments, *arguments,
             "--experiment", "x", "--junitxml", "outcomes.xml"],
            cwd=self.folder, capture_output=True, text=True, encoding="utf-8", timeout=120,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip

    def outcomes(self) -> dict[str, str]:
        """How each item ended, by its name."""
        root = ElementTree.parse(self.folder / "outcomes.xml").getroot()
        found: dict[str, str] = {}
        for case in root.iter("testcase"):
            ended = [child.tag for child in case if child.tag in _ENDS]
            name = case.get("name", "")
            found[name] = max([found.get(name, "passed"), *map(_ENDS.__getitem__, ended)],
                              key=["passed", "skipped", "failed", "error"].index)  # fmt: skip
        return found

    def summary(self, name: str) -> Summary:
        store = open_store(locate(self.folder / ".doteval" / "results.db"))
        try:
            return summarise(store, "x", f"eval_matrix.py::{name}")
        finally:
            store.close()


_ENDS = {"skipped": "skipped", "failure": "failed", "error": "error"}


@pytest.fixture(params=COMBINATIONS)
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Session:
    return Session(tmp_path, request.param)


def test_every_kind_ends_as_expected(session: Session) -> None:
    """Beside tests that the plugins run, and once more when the experiment is resumed."""
    result = session.run()
    first = session.outcomes()
    again = session.run()
    second = session.outcomes()

    assert first == second == {**EXPECTED, **session.neighbours}, result.stdout + result.stderr
    assert "experiment x in" in again.stdout
    assert "nothing to do: 4 rows stored before" in again.stdout
    for name in ("eval_async", "eval_generator_fixture", "eval_parameters[2-b]"):
        summary = session.summary(name)
        (metric,) = summary.scores["exact_match"].values()
        assert (summary.status, summary.scored, metric.value) == ("complete", 4, RIGHT / 4)
    errors = session.summary("eval_errors")
    assert (errors.scored, errors.errors) == (3, {"LookupError": 1})
    log = session.folder.joinpath("eval_matrix.log").read_text("utf-8").split("\n")
    assert log.count("generated opens") == log.count("generated closes") >= 2
    assert log.count("shared opens") == log.count("shared closes") >= 2


def test_the_first_failure_can_end_the_session(session: Session) -> None:
    """With -x; a later session resumes what has not run."""
    stopped = session.run("-x")
    before = session.outcomes()
    session.run()

    assert stopped.returncode in (1, 2)  # pytest-xdist has another opinion
    assert set(before.values()) & {"failed", "error"}
    assert session.outcomes() == {**EXPECTED, **session.neighbours}


# ------------------------------------------------------------------- what single plugins do


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_timeout_ends_the_item(tmp_path: Path, kind: str) -> None:
    """Wherever the alarm goes off; what was finished is kept."""
    session = Session(tmp_path, "timeout")
    pause = "time.sleep(60)" if kind == "def" else "await asyncio.sleep(60)"
    tmp_path.joinpath("eval_matrix.py").write_text(f"""
import asyncio, time
from doteval import ForEach
from doteval.concurrency import Sequential

@ForEach(concurrency=Sequential())("a", range(9))
{kind} eval_long(a):
    if a == 2:
        {pause}
    return True
""")

    result = session.run("--timeout=1")

    assert result.returncode == 1
    assert "Timeout (>1.0s) from pytest-timeout." in result.stdout
    assert session.summary("eval_long").scored == 2


def test_a_repeated_item_resumes(tmp_path: Path) -> None:
    """Also when the session began with --fresh: rows that have a result are not paid twice."""
    session = Session(tmp_path, "rerunfailures")
    tmp_path.joinpath("eval_matrix.py").write_text("""
from pathlib import Path
from doteval import foreach

@foreach("a", [1, 2, 3])
def eval_flaky(a):
    calls = Path("calls")
    before = calls.read_text() if calls.exists() else ""
    calls.write_text(before + str(a))
    if a == 2 and "2" not in before:
        raise LookupError
    return True
""")

    result = session.run("--reruns", "2", "--fresh")

    assert result.returncode == 0
    assert "1 passed, 1 rerun" in result.stdout
    assert tmp_path.joinpath("calls").read_text() == "1232"


def test_workers_share_an_experiment_without_a_name(tmp_path: Path) -> None:
    """The controller makes it and prints it, with what the workers have told, once."""
    session = Session(tmp_path, "xdist")

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-k", "shared", *session._others],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip

    lines = result.stdout.splitlines()
    assert result.returncode == 0
    assert sum(line.startswith("experiment 2") for line in lines) == 1
    assert sum(line.startswith("eval_shared_") for line in lines) == 2


def test_a_worker_that_dies_leaves_what_it_had_finished(tmp_path: Path) -> None:
    """The summary shows it as interrupted, with the rows that are stored."""
    session = Session(tmp_path, "xdist")
    tmp_path.joinpath("eval_matrix.py").write_text("""
import os, time
from doteval import ForEach
from doteval.concurrency import Sequential

@ForEach(concurrency=Sequential())("a", range(4))
async def eval_crash(a):
    import asyncio
    await asyncio.sleep(0.2)
    if a == 3:
        os._exit(7)
    return True
""")

    result = session.run()

    assert "eval_crash · " in result.stdout
    assert "3 of 4 scored" in result.stdout
    assert "resume: pytest" in result.stdout or "resume: python -m pytest" in result.stdout
