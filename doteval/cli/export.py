"""
`doteval export`: an experiment as a document for other programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import text
from ..views.figures import size
from .call import Answer, Call, command, flag, option
from .output import STDOUT, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..storage import Store

    Pieces = Callable[[Store, str], Iterator[str]]

FORMATS = ("jsonl", "csv", "json", "junit", "markdown")


@command(
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
    flag("--force", "replace a file that is there"),
)
def run(call: Call) -> Answer:
    """An experiment as a document."""
    from ..storage.exchange import unchanged

    options = call.options
    store = call.store()
    pieces = _pieces(options.format)(store, options.experiment)
    whole = unchanged(store, [options.experiment], pieces)
    written = write(whole, options.output, call.out, force=options.force)
    if options.output == STDOUT:
        return Answer()
    return Answer([call.terminal.shown(f"wrote {options.output} ({size(written)})")])


def _pieces(format: str) -> Pieces:
    if format == "jsonl":
        from ..storage.exchange import export_lines

        return lambda store, experiment: map(text.safe_json, export_lines(store, experiment))
    from ..reporting import documents

    found: Pieces = getattr(documents, f"{format}_pieces")
    return found
