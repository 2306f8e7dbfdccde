"""
Rows on loky, Ray and mpi4py: a worker is killed, and what a row noted comes back with its end.

The optional environments `cluster` and `engines` have them; elsewhere these tests are skipped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from doteval import ForEach, run
from doteval.concurrency import SlidingWindow
from doteval.reader import records
from doteval.storage import open_store
from tests.cluster import travellers

ROOT = Path(__file__).parents[2]

# They leave sockets and processes to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def loky():
    return pytest.importorskip("loky").get_reusable_executor


@pytest.fixture
def ray():
    """The executor of the page, on a Ray of this machine."""
    ray = pytest.importorskip("ray")
    page = (ROOT / "docs/how-to/embed-in-a-harness.md").read_text("utf-8")
    found = re.search(r'```python title="ray_executor.py"\n(.*?)```', page, re.DOTALL)
    names: dict = {}
    exec(found[1], names)
    path = {"PYTHONPATH": str(ROOT)}
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": path}
    )
    yield names["RayExecutor"]
    ray.shutdown()


def prompts(store):
    """What the rows noted, those that failed too."""
    stored = [each.outcome for each in records("e", storage=store)]
    return {getattr(each, "result", each).prompt for each in stored}


def responses(store):
    """Of the calls that rows have kept."""
    with closing(open_store(store)) as opened:
        (name,) = opened.evaluations("e")
        return {call.response for _, call in opened.calls("e", name)}


ANSWERS = {f'"answer {n}"' for n in range(20)}


@pytest.mark.parametrize("engine", ["loky", "ray"])
def test_a_killed_worker_costs_no_row_and_what_rows_noted_comes_back(engine, request, tmp_path):
    """Of the rows that failed as well; nothing is stored twice."""
    store = str(tmp_path / "results.db")
    work = ForEach(
        executor=request.getfixturevalue(engine), concurrency=SlidingWindow(4), retries=0
    )("n", range(20))(travellers.eval_noted)

    summary = run(work, "e", store, progress=False, folder=str(tmp_path))

    assert (tmp_path / "died").exists()
    assert (summary.scored, dict(summary.errors)) == (19, {"ValueError": 1})
    assert summary.usage["input_tokens"] == 60
    assert prompts(store) == {f"ask {n}" for n in range(20)}
    assert responses(store) == ANSWERS


SCRIPT = """
import sys
from mpi4py.futures import MPIPoolExecutor
from doteval import ForEach, run
from tests.cluster import travellers

if __name__ == "__main__":
    work = ForEach(executor=MPIPoolExecutor, retries=0)("n", range(20))(travellers.eval_noted)
    run(work, "e", "results.db", progress=False, folder=".")
"""


def test_rows_run_on_mpi_and_resume_where_a_process_died(tmp_path, monkeypatch):
    """MPI ends all when one has died; the same command goes on."""
    pytest.importorskip("mpi4py")
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:/usr/bin")
    if mpiexec is None:
        pytest.skip("there is no mpiexec")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", "script.py"]

    first = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)

    assert first.returncode != 0
    assert second.returncode == 0, second.stderr
    assert prompts(str(tmp_path / "results.db")) == {f"ask {n}" for n in range(20)}
    assert responses(str(tmp_path / "results.db")) == ANSWERS
