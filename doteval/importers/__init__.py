"""The logs of other tools, as the lines that `doteval export` writes."""

from . import (
    deepeval,
    dotevals,
    inspect_ai,
    lm_eval,
    openai_evals,
    promptfoo,
    pydantic_evals,
)
from .log import Answer, Part, lines, lines_of, registry

__all__ = [
    "Answer",
    "Part",
    "deepeval",
    "dotevals",
    "inspect_ai",
    "lines",
    "lines_of",
    "lm_eval",
    "openai_evals",
    "promptfoo",
    "pydantic_evals",
    "registry",
]
