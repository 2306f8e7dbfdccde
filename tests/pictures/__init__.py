"""
The pictures of the documentation, made from real runs: `python -m tests.pictures` draws them anew.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"

# Two models: one reads a ticket to its end, the other gives up after a few words.
_EVALUATION = """
from doteval import Result, foreach
from doteval.evaluators import exact_match
from eval_tickets import model as endpoint
from eval_tickets import tickets

words = {"small": 9, "large": 99}


@foreach("ticket,team", tickets)
async def eval_models(ticket, team, model):
    answer = await endpoint.classify(" ".join(ticket.split()[: words[model]]))
    return Result(exact_match(answer, team), prompt=ticket, model_response=answer)
"""

WIDTH = 96  # columns of the terminal
# In the order in which they are typed: the name of the picture, "" for none, and the command.
COMMANDS = (
    ("run", "python3 -m doteval run docs/examples/eval_tickets.py --experiment first-look"),
    ("", "doteval run docs/examples/eval_models.py --experiment large -P model=large"),
    ("", "doteval run docs/examples/eval_models.py --experiment small -P model=small"),
    ("list", "doteval list"),
    ("show", "doteval show small --by team"),
    ("compare", "doteval compare large small"),
    ("pytest", "pytest -q docs/examples/eval_tickets.py --experiment nightly"),
    ("", "doteval report small --baseline large"),
)


def prepared(folder: Path) -> Path:
    """The folder, with the examples as in a clone, an evaluation more, and a store."""
    examples = folder / "docs" / "examples"
    examples.mkdir(parents=True)
    for name in ("local_model.py", "tickets.csv", "eval_tickets.py"):
        shutil.copy(ROOT / "docs" / "examples" / name, examples)
    (examples / "eval_models.py").write_text(_EVALUATION, encoding="utf-8")
    (folder / ".doteval").mkdir()
    return folder


def steady(text: str) -> str:
    """What a run prints, without what differs from run to run: times, and what depends on them."""
    text = re.sub(r"(?m)^ *(limit|time) .*$", r"\1", text)
    text = re.sub(r"just now|\d+ (s|min) ago|[\d.]+ ?(ms|s)\b", "#", text)
    return re.sub(r"[─\s]+", " ", text).strip()
