"""
Evaluators of one label out of a few.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..errors import UsageError
from ..record import Score
from .answers import text_of

METRICS = ("accuracy", "f1_macro")
OTHER = "(other)"  # what is none of the labels


def classify(
    answer: str | None,
    expected: str,
    *,
    labels: Collection[str] | None = None,
    metrics: Any = METRICS,
    name: str | None = None,
) -> Score:
    """
    The label that an answer is, held against the expected one.

    Case and blanks around do not count. `f1_macro`, `precision_weighted`, `recall_micro`,
    `balanced_accuracy`, `mcc`, `kappa` and the like are metrics of such scores, beside `accuracy`.

    Args:
        labels: those that there are; an answer that is none of them counts as "(other)", which is
            never right. None: any answer is a label.
        metrics: one or several, as in `evaluator`.

    Raises:
        UsageError: expected is no text, or not among the labels.
    """
    from ..metrics import names_of

    known = None if labels is None else {_bare(label): label for label in labels}
    if not isinstance(expected, str) or (known is not None and _bare(expected) not in known):
        among = "" if labels is None else f" among {', '.join(map(repr, labels))}"
        raise UsageError(f"classify(): expected a label{among}, got {expected!r}")
    said = _bare(text_of(answer) or "")
    truth = _bare(expected)
    label = (said or OTHER) if known is None else known.get(said, OTHER)
    summaries = metrics if metrics is METRICS else names_of(metrics)
    wanted = truth if known is None else known[truth]
    return Score(name or "classify", label, summaries, expected=wanted)


def _bare(label: str) -> str:
    return label.strip().casefold()
