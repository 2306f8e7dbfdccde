"""
`doteval rename`: another name for an experiment.
"""

from __future__ import annotations

from .call import Answer, Call, command, option
from .delete import held


@command(
    "give an experiment another name",
    "doteval rename 20250102_101500_1a2b3c4d baseline",
    option("old", metavar="OLD", help="name of the experiment"),
    option("new", metavar="NEW", help="its new name; no other experiment may have it"),
)
def run(call: Call) -> Answer:
    """The experiment has another name."""
    old, new = call.options.old, call.options.new
    store = call.store()
    found = held(store, old)
    store.rename(old, new)
    return Answer([call.terminal.shown(f"renamed {old!r} to {new!r}: {found}")])
