"""
`doteval import`: an experiment from a document.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import IO

from ..errors import NotFound, UsageError
from .call import Answer, Call, command, option, program, quoted
from .output import STDOUT


@command(
    "store an experiment from a file that `export` wrote",
    "doteval import baseline.jsonl\ndoteval import baseline.jsonl --name theirs",
    option("file", metavar="FILE", help="what `export --format jsonl` wrote; - is standard input"),
    option("--name", metavar="NAME", help="for the experiment (default: the name that it had)"),
)
def run(call: Call) -> Answer:
    """An experiment from another store: the whole of it, or nothing."""
    from ..storage import open_store
    from ..storage.exchange import import_lines
    from ..views.figures import plural

    options = call.options
    with _opened(options.file) as lines:
        store = open_store(call.place(), create=True)
        try:
            name, amount = import_lines(store, lines, options.name)
        finally:
            store.close()
    held = f"{plural(amount.evaluations, 'evaluation')}, {plural(amount.records, 'record')}"
    said = call.terminal.shown(f"imported {name!r}: {held}")
    return Answer([said, *call.hint(f"to see it: {program()} show {quoted(name)}")])


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    """
    The file to read.

    Raises:
        NotFound: there is none.
        UsageError: it can not be read.
    """
    if name == STDOUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return open(name, "rb")
    except FileNotFoundError:
        raise NotFound(f"there is no file {name}") from None
    except OSError as error:
        raise UsageError(f"{name} can not be read: {error.strerror}") from error
