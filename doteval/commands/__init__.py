"""The commands of the command line: each is one function, and has its line in the table."""

from __future__ import annotations

from .call import Call, Command
from .changing import delete, rename
from .judging import compare, gate
from .keeping import merge, prune
from .listing import datasets, plugins
from .mending import doctor
from .reading import list_experiments, show
from .running import run
from .sharing import export, import_, report

# In the order of the help.
COMMANDS = {
    each.name: each
    for each in (
        list_experiments, show, compare, gate, report, export, import_, run, merge, rename, delete,
        prune, datasets, plugins, doctor,
    )
}  # fmt: skip

__all__ = ["COMMANDS", "Call", "Command"]
