"""docs/examples/tickets.ipynb, executed by a real kernel."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from .conftest import EXAMPLES

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def nbclient():
    pytest.importorskip("ipykernel")
    return pytest.importorskip("nbclient")


@pytest.fixture
def kernel(nbclient, examples, monkeypatch):
    """Executes a notebook in the folder of the examples; a client of nbclient."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("IPYTHONDIR", str(examples / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")

    def make(notebook):
        return nbclient.NotebookClient(
            notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": examples}}
        )

    return make


def outputs(cell, kind):
    """What a cell showed of one kind, such as "text/html"."""
    return [each["data"][kind] for each in cell.outputs if kind in each.get("data", {})]


@pytest.mark.skipif(not EXAMPLES.exists(), reason="not a checkout of the project")
def test_the_notebook_is_kept_without_its_outputs():
    """So that a difference between two versions is one of the text."""
    notebook = json.loads((EXAMPLES / "tickets.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]

    assert len(cells) >= 4
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    assert {cell["execution_count"] for cell in cells} == {None}


def test_the_notebook_runs_from_top_to_bottom(kernel, examples):
    """`run` inside Jupyter's running loop, `await run_async`, and a Summary that shows itself."""
    import nbformat

    client = kernel(nbformat.read("tickets.ipynb", as_version=4))
    client.execute()
    cells = {cell.id: cell for cell in client.nb.cells}
    streams = [
        each for cell in cells.values() for each in cell.get("outputs", ()) if "name" in each
    ]

    assert "12 of 120 scored" in outputs(cells["some"], "text/html")[0]
    assert "<td>exact_match</td><td>accuracy</td>" in outputs(cells["some"], "text/html")[0]
    assert "24 of 120 scored" in outputs(cells["more"], "text/html")[0]
    assert "of 12, 95% CI" in cells["figures"].outputs[0]["text"]
    assert [each["name"] for each in streams] == ["stdout"]
    assert (examples / ".doteval" / "results.db").exists()


WATCHED = """
import asyncio
from doteval import ForEach, run
from doteval.concurrency import SlidingWindow

@ForEach(concurrency=SlidingWindow(2))("n", range(40))
async def eval_n(n):
    await asyncio.sleep(0.05)
    return True

{call}
"""


@pytest.mark.parametrize(
    "call", ["run(eval_n, 'w')", "import doteval\nawait doteval.run_async(eval_n, 'w')"]
)
def test_a_run_shows_its_progress_below_the_cell(kernel, call):
    """One line that is drawn again in its place, and gone at the end."""
    from nbformat.v4 import new_code_cell, new_notebook

    seen = []
    cell = new_code_cell(WATCHED.format(call=call))
    client = kernel(new_notebook(cells=[cell]))
    process = client.process_message

    def look(message, *rest):
        if "data" in message["content"]:
            seen.append((message["msg_type"], message["content"]["data"]["text/plain"]))
        return process(message, *rest)

    client.process_message = look
    client.execute()
    drawn = [said for kind, said in seen if kind == "update_display_data"]

    assert seen[0][0] == "display_data" and seen[0][1].startswith("eval_n ")
    assert any("/40" in said and "in flight" in said for said in drawn)
    assert drawn[-1] == ""


INTERRUPTED = """
import asyncio, os, signal
from doteval import ForEach, run
from doteval.concurrency import SlidingWindow

begun = []

@ForEach(concurrency=SlidingWindow(2))("n", range(1_000))
async def eval_n(n):
    begun.append(n)
    if n == 20:
        os.kill(os.getpid(), signal.SIGINT)  # what the button sends to the kernel
    await asyncio.sleep(0.01)
    return True

run(eval_n, "interrupted", progress=False)
"""
AFTER = """
count = len(begun)
await asyncio.sleep(0.2)
count, len(begun)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_the_stop_button_stops_a_run(kernel):
    """Rows cost money: when the cell is interrupted no more of them are begun."""
    from nbformat.v4 import new_code_cell, new_notebook

    cell, after = new_code_cell(INTERRUPTED), new_code_cell(AFTER)
    cell.metadata["tags"] = ["raises-exception"]
    client = kernel(new_notebook(cells=[cell, after]))
    client.execute()
    begun, later = eval(outputs(after, "text/plain")[0])

    assert cell.outputs[-1]["ename"] == "KeyboardInterrupt"
    assert begun == later
