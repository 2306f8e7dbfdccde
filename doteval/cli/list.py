"""
`doteval list`: the experiments.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import NotFound
from .call import STORE, TABLE, Answer, Call, NoStore, command, flag, program, several
from .watch import WATCH, refuse, watch

if TYPE_CHECKING:
    from ..reporting.experiments import Experiment


@command(
    "list the experiments, the latest at the end",
    "doteval list\n"
    "doteval list --watch\n"
    "doteval list --trend                      # how each evaluation moved\n"
    "doteval list --tag prompt=v2\n"
    "doteval list --json",
    WATCH,
    several(
        "--tag",
        "NAME[=VALUE]",
        "only the experiments that have this tag, with this value",
        dest="tags",
    ),
    flag("--trend", "for each evaluation how its first score moved from experiment to experiment"),
    forms=TABLE,
)
def run(call: Call) -> Answer:
    """A table of the experiments, or how to make the first."""
    if call.options.watch:
        refuse(call, "trend")
        return watch(call, _listed)
    answer = _listed(call)[0]
    for each in answer.data.get("experiments", ()):
        if "damaged" in each:
            call.complain(f"experiment {each['experiment']!r}: {each['damaged']}")
            answer = answer._replace(code=STORE)
    return answer


def _listed(call: Call) -> tuple[Answer, bool]:
    """The answer, and whether something in it is running."""
    from ..reader import experiments as read
    from ..reporting.experiments import experiment_table
    from ..reporting.summary import of_versions

    try:
        experiments = read(call.store())
    except NoStore:
        experiments = []  # told below, like a store without experiments
    asked = call.options.tags
    found = [each for each in experiments if all(_has(each, tag) for tag in asked)]
    if asked and experiments and not found:
        known = dict.fromkeys(tag for each in experiments for tag in each.tags)
        said = f"the tags that there are: {', '.join(known)}" if known else "none has a tag"
        raise NotFound(f"no experiment has {' and '.join(asked)}; {said}")
    experiments = found
    if call.options.trend and experiments:
        return _trend(call, experiments), False
    table = experiment_table(experiments, time.time(), call.terminal.unicode)
    lines = table.lines(call.terminal)
    for each in experiments:
        mixed = max((len(summary.versions) for summary in each.summaries), default=0)
        if mixed:
            said = f"{each.name!r} {of_versions(mixed)}:"
            lines += call.advice(said, "show", each.name, style="warn")
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


def _trend(call: Call, experiments: list[Experiment]) -> Answer:
    from ..reporting.overview import trend_table, trends

    found = trends(experiments)
    table = trend_table(found, call.terminal.unicode)
    lines = table.lines(call.terminal)
    if not found:
        lines = ["No evaluation has scores in two experiments yet."]
    return Answer(lines, data={"trends": [each.to_dict() for each in found]}, table=table)


def _has(experiment: Experiment, tag: str) -> bool:
    name, equals, value = tag.partition("=")
    said = experiment.tags.get(name.strip())
    return said is not None and (not equals or said == value.strip())
