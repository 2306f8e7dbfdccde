"""
`doteval import`: an experiment from a document.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from ..errors import NotFound, UsageError
from ..views.figures import plural
from .call import Answer, Call, command, option
from .output import STDOUT


@command(
    "store an experiment from a file that `export` or another tool wrote",
    "doteval import baseline.jsonl\ndoteval import baseline.jsonl --name theirs\n"
    "doteval import logs/facts.eval                              # of Inspect; see `plugins`",
    option(
        "file",
        metavar="FILE",
        help="what `export --format jsonl` wrote, or a log of dotevals, Inspect, lm-eval, "
        "promptfoo, pydantic-evals, DeepEval or OpenAI evals; - is standard input",
    ),
    option("--name", metavar="NAME", help="for the experiment (default: the name that it had)"),
)
def run(call: Call) -> Answer:
    """An experiment from another store or tool."""
    from ..storage import open_store
    from ..storage.exchange import import_lines

    options = call.options
    with _opened(options.file) as lines:
        store = open_store(call.place(), create=True)
        try:
            name, amount = import_lines(store, lines, options.name)
        finally:
            store.close()
    held = "nothing new"
    if amount.runs or amount.records:
        held = f"{plural(amount.evaluations, 'evaluation')}, {plural(amount.records, 'record')}"
    said = call.terminal.shown(f"imported {name!r}: {held}")
    return Answer([said, *call.hint("to see it:", "show", name)])


def _opened(name: str) -> AbstractContextManager[Iterable[bytes]]:
    """
    The file to read.

    Raises:
        NotFound: there is none.
        UsageError: it can not be read.
    """
    from ..importers import lines_of

    if name == STDOUT:
        return nullcontext(sys.stdin.buffer)
    try:
        told = lines_of(Path(name))
        return open(name, "rb") if told is None else nullcontext(told)
    except FileNotFoundError:
        raise NotFound(f"there is no file {name}") from None
    except OSError as error:
        raise UsageError(f"{name} can not be read: {error.strerror}") from error
