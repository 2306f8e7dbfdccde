"""
`doteval delete`: an experiment and all its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DamageError
from ..views.figures import plural
from .call import FAILED, YES, Answer, Call, command, option

if TYPE_CHECKING:
    from ..storage import Store


@command(
    "delete an experiment and all its records",
    "doteval delete baseline          # asks first\ndoteval delete baseline --yes",
    option("experiment", metavar="NAME", help="name of the experiment"),
    YES,
)
def run(call: Call) -> Answer:
    """The experiment is gone."""
    name, store = call.options.experiment, call.store()
    found = held(store, name)
    if not call.confirmed(f"delete {name!r}: {found}?"):
        return Answer(["nothing was deleted"], FAILED)
    store.delete(name)
    return Answer([call.terminal.shown(f"deleted {name!r}: {found}")])


def held(store: Store, experiment: str) -> str:
    """ "2 evaluations, 46 records"."""
    try:
        evaluations = store.evaluations(experiment)
        tallies = [store.tally(experiment, name) for name in evaluations]
    except DamageError:
        return "it is damaged, and what it holds can not be counted"
    records = sum(each.scored + each.failed + each.stale + each.superseded for each in tallies)
    return f"{plural(len(evaluations), 'evaluation')}, {plural(records, 'record')}"
