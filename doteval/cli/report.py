"""
`doteval report`: an experiment as a page.
"""

from __future__ import annotations

import time

from ..views.figures import size
from .call import LABELS, Answer, Call, command, flag, option, people_in
from .output import STDOUT, write
from .parser import version


@command(
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
    LABELS,
    flag("--force", "replace a file that is there, whatever it is"),
)
def run(call: Call) -> Answer:
    """A page with scores, pictures, errors and the records."""
    from ..storage.exchange import unchanged
    from ..views.page import MARK, report_page

    options = call.options
    experiments = list(dict.fromkeys(options.experiments))
    store = call.store()
    pieces = report_page(
        store,
        experiments,
        options.baseline,
        people=people_in(call),
        now=time.time(),
        version=version(),
    )
    read = experiments if options.baseline is None else [*experiments, options.baseline]
    whole = unchanged(store, read, pieces)
    written = write(whole, options.output, call.out, force=options.force, mark=MARK)
    if options.output == STDOUT:
        return Answer()
    said = call.terminal.shown(f"wrote {options.output} ({size(written)})")
    hint = call.hint("open it in a browser; it needs no network and may be sent as it is")
    return Answer([said, *hint])
