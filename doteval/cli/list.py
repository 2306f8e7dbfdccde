"""
`doteval list`: the experiments.
"""

from __future__ import annotations

import time

from .call import TABLE, Answer, Call, NoStore, command, program, quoted
from .watch import WATCH, refuse, watch


@command(
    "list the experiments, the latest at the end",
    "doteval list\ndoteval list --watch\ndoteval list --json",
    WATCH,
    forms=TABLE,
)
def run(call: Call) -> Answer:
    """A table of the experiments, or how to make the first."""
    if call.options.watch:
        refuse(call)
        return watch(call, _listed)
    return _listed(call)[0]


def _listed(call: Call) -> tuple[Answer, bool]:
    """The answer, and whether something in it is running."""
    from ..reader import experiments as read
    from ..reporting.summary import of_versions
    from ..reporting.views import experiment_table
    from ..views.terminal import Piece, flow

    try:
        experiments = read(call.store())
    except NoStore:
        experiments = []  # told below, like a store without experiments
    table = experiment_table(experiments, time.time(), call.terminal.unicode)
    lines = [table.text(call.terminal)]
    for each in experiments:
        mixed = max((len(summary.versions) for summary in each.summaries), default=0)
        if mixed:
            said = f"{each.name!r} {of_versions(mixed)}: {program()} show {quoted(each.name)}"
            words = [Piece(word, "warn") for word in call.terminal.shown(said).split()]
            lines += flow(words, call.terminal, between=" ")
    if not experiments:
        lines = [
            "There are no experiments here yet. To make one:",
            f"  {program()} run FILE --experiment NAME",
            "  pytest FILE --experiment NAME",
            f"Looked into {call.terminal.shown(call.place())}; --storage PATH looks elsewhere.",
        ]
    data = {"experiments": [each.to_dict() for each in experiments]}
    is_running = any(each.status == "running" for each in experiments)
    return Answer(lines, data=data, table=table), is_running
