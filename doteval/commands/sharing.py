"""
Handing on what is stored: `report`, `export` and `import`.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import IO, TYPE_CHECKING

from .. import text
from ..errors import NotFound, UsageError
from .call import OK, Call, command, option, program, quoted
from .output import STDOUT, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..storage import Store

    Pieces = Callable[[Store, str], Iterator[str]]

_FORCE = option("--force", action="store_true", help="replace a file that is there, whatever it is")


@command(
    "report",
    "write an experiment as one HTML file to look at, send and keep",
    "doteval report baseline                                     # makes report.html\n"
    "doteval report reworded --baseline baseline -o reworded.html\n"
    "doteval report first second third -o all.html",
    option("experiments", metavar="NAME", nargs="+", help="names of the experiments to show"),
    option(
        "--baseline", metavar="NAME", help="the experiment to compare with; rows that changed show"
    ),
    option(
        "-o",
        "--output",
        metavar="FILE",
        default="report.html",
        help="where to write it, - for standard output (default: report.html); an older report "
        "there is replaced",
    ),
    _FORCE,
)
def report(call: Call) -> int:
    """A page with scores, pictures, errors and the records."""
    from ..storage.exchange import unchanged
    from ..views.page import MARK, report_page

    options = call.options
    experiments = list(dict.fromkeys(options.experiments))
    with call.store() as store:
        pieces = report_page(
            store, experiments, options.baseline, now=time.time(), version=_version()
        )
        read = experiments if options.baseline is None else [*experiments, options.baseline]
        whole = unchanged(store, read, pieces)
        size = write(whole, options.output, call.out, force=options.force, mark=MARK)
    if options.output != STDOUT:
        call.say(call.terminal.shown(f"wrote {options.output} ({_size(size)})"))
        call.hint("open it in a browser; it needs no network and may be sent as it is")
    return OK


FORMATS = ("jsonl", "csv", "json", "junit", "markdown")


@command(
    "export",
    "write an experiment for other programs, or to import it elsewhere",
    "doteval export baseline -o baseline.jsonl                   # everything; see import\n"
    "doteval export baseline --format csv -o baseline.csv\n"
    "doteval export baseline --format junit -o junit.xml\n"
    'doteval export baseline --format markdown >> "$GITHUB_STEP_SUMMARY"',
    option("experiment", metavar="NAME", help="name of the experiment"),
    option(
        "--format",
        choices=FORMATS,
        default="jsonl",
        help="jsonl: all that is stored, to the letter (default); csv: a line for each record; "
        "json: as `show --json --full`; junit: a case for each record; markdown: the summary",
    ),
    option(
        "-o",
        "--output",
        metavar="FILE",
        default=STDOUT,
        help="where to write it (default: -, standard output)",
    ),
    option("--force", action="store_true", help="replace a file that is there"),
)
def export(call: Call) -> int:
    """An experiment as a document."""
    from ..storage.exchange import unchanged

    options = call.options
    with call.store() as store:
        pieces = _pieces(options.format)(store, options.experiment)
        whole = unchanged(store, [options.experiment], pieces)
        size = write(whole, options.output, call.out, force=options.force)
    if options.output != STDOUT:
        call.say(call.terminal.shown(f"wrote {options.output} ({_size(size)})"))
    return OK


def _pieces(format: str) -> Pieces:
    if format == "jsonl":
        from ..storage.exchange import export_lines

        return lambda store, experiment: map(text.safe_json, export_lines(store, experiment))
    from ..reporting import documents

    found: Pieces = getattr(documents, f"{format}_pieces")
    return found


@command(
    "import",
    "store an experiment from a file that `export` wrote",
    "doteval import baseline.jsonl\ndoteval import baseline.jsonl --name theirs",
    option("file", metavar="FILE", help="what `export --format jsonl` wrote; - is standard input"),
    option("--name", metavar="NAME", help="for the experiment (default: the name that it had)"),
)
def import_(call: Call) -> int:
    """An experiment from another store."""
    from ..reporting.views import plural
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
    call.say(call.terminal.shown(f"imported {name!r}: {held}"))
    call.hint(f"to see it: {program()} show {quoted(name)}")
    return OK


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


def _version() -> str:
    package = sys.modules[(__package__ or "").rpartition(".")[0]]
    return str(vars(package).get("__version__", ""))


def _size(n: int) -> str:
    return f"{n / 1e6:,.1f} MB" if n >= 1e5 else f"{n / 1e3:,.1f} kB"
