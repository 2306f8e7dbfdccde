"""The logs of other tools, as the lines that `doteval export` writes."""

from . import dotevals, inspect_ai, lm_eval, promptfoo
from .log import Answer, Part, lines, lines_of, registry

__all__ = [
    "Answer",
    "Part",
    "dotevals",
    "inspect_ai",
    "lines",
    "lines_of",
    "lm_eval",
    "promptfoo",
    "registry",
]
