"""
Changing what is stored: `rename` and `delete`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from ..reporting.tables import is_terminal
from .call import FAILED, OK, Call, command, option

if TYPE_CHECKING:
    from ..storage import Store


@command(
    "rename",
    "give an experiment another name",
    "doteval rename 20250102_101500_1a2b3c4d baseline",
    option("old", metavar="OLD", help="name of the experiment"),
    option("new", metavar="NEW", help="its new name; no other experiment may have it"),
)
def rename(call: Call) -> int:
    """Another name for an experiment."""
    old, new = call.options.old, call.options.new
    with call.store() as store:
        held = _held(store, old)
        store.rename(old, new)
    call.say(call.terminal.shown(f"renamed {old!r} to {new!r}: {held}"))
    return OK


@command(
    "delete",
    "delete an experiment and all its records",
    "doteval delete baseline          # asks first\ndoteval delete baseline --yes",
    option("experiment", metavar="NAME", help="name of the experiment"),
    option("--yes", "-y", action="store_true", help="do not ask; needed where nobody can answer"),
)
def delete(call: Call) -> int:
    """An experiment and all its records are gone."""
    name = call.options.experiment
    with call.store() as store:
        held = _held(store, name)
        if not call.options.yes and not confirmed(call, f"delete {name!r}: {held}?"):
            call.say("nothing was deleted")
            return FAILED
        store.delete(name)
    call.say(call.terminal.shown(f"deleted {name!r}: {held}"))
    return OK


def _held(store: Store, experiment: str) -> str:
    """ "2 evaluations, 46 records"."""
    from ..reporting.views import plural

    evaluations = store.evaluations(experiment)
    tallies = [store.tally(experiment, name) for name in evaluations]
    records = sum(each.scored + each.failed + each.stale + each.superseded for each in tallies)
    return f"{plural(len(evaluations), 'evaluation')}, {plural(records, 'record')}"


def confirmed(call: Call, question: str) -> bool:
    """
    What a person at a terminal answers; no answer is a no.

    Raises:
        UsageError: nobody is there to be asked.
    """
    import sys

    if not (is_terminal(sys.stdin) and is_terminal(call.out)):
        raise UsageError(f"{question} Nobody can be asked here: say --yes to do it")
    call.out.write(f"{call.terminal.shown(question)} [y/N] ")
    call.out.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        call.say("")
    return answer.strip().lower() in ("y", "yes")
