"""
Comparing to scores: each evaluator looks at one answer and returns one `Score`.

They run once a row, so what they need is worked out beforehand, and what is rarely needed (a
parser, a schema library) is imported where it is used. A wrong answer is a score; a mistake in the
evaluation raises, so that it can never look like an answer.
"""

from __future__ import annotations

from typing import Any

from ..errors import NotFound
from .calls import ast_evaluation
from .choices import choice_match
from .judge import YES_OR_NO, Judge, judge
from .labels import classify
from .making import brief, evaluator, registry
from .numbers import numeric_match
from .structure import valid_json
from .texts import contains, exact_match, f1, one_of, regex_match, similarity

__all__ = [
    "YES_OR_NO",
    "Judge",
    "ast_evaluation",
    "brief",
    "choice_match",
    "classify",
    "contains",
    "evaluator",
    "exact_match",
    "f1",
    "judge",
    "numeric_match",
    "one_of",
    "regex_match",
    "registry",
    "similarity",
    "valid_json",
]

for _built_in in (
    exact_match,
    numeric_match,
    valid_json,
    ast_evaluation,
    contains,
    regex_match,
    one_of,
    similarity,
    f1,
    choice_match,
    classify,
):
    registry.register(_built_in.__name__, _built_in)


def __getattr__(name: str) -> Any:
    """Evaluators of installed packages: `from doteval.evaluators import theirs`."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return registry.get(name)
    except NotFound as error:
        raise AttributeError(str(error)) from None
