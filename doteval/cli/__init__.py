"""The command line: `doteval` and `python -m doteval`."""

from .call import Call, Command
from .parser import NAMES, named, parsed
from .program import main

__all__ = ["NAMES", "Call", "Command", "main", "named", "parsed"]
