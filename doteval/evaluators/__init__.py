"""
Comparing to scores: each evaluator looks at one answer and returns one `Score`.

They run once a row, so what they need is worked out beforehand, and what is rarely needed (a
parser, a schema library) is imported where it is used. A wrong answer is a score; a mistake in the
evaluation raises, so that it can never look like an answer.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import NotFound
from .making import brief, evaluator, registry

if TYPE_CHECKING:
    from .calls import ast_evaluation
    from .choices import choice_match
    from .judges import YES_OR_NO, Judge, judge
    from .labels import classify
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


def __getattr__(name: str) -> Any:
    """
    A room is loaded when an evaluator of it is first asked for; so are evaluators of installed
    packages: `from doteval.evaluators import theirs`.
    """
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        if name in ("YES_OR_NO", "Judge", "judge"):
            value = getattr(import_module(".judges", __name__), name)
        else:
            value = registry.get(name)
    except NotFound as error:
        raise AttributeError(str(error)) from None
    if name in __all__:
        globals()[name] = value
    return value
