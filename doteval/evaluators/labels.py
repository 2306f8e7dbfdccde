"""
Evaluators of one label out of a few.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ..errors import UsageError
from ..record import EMPTY, Score
from .answers import plain, said, text_of
from .making import brief

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

    Case, blanks around, reasoning in blocks, TeX, Markdown, tags and quotes do not count; "Label:
    refusal" and "refusal." are read where refusal is one of the labels.

    `f1_macro`, `precision_weighted`, `recall_micro`, `balanced_accuracy`, `mcc`, `kappa` and the
    like are metrics of such scores, beside `accuracy`.

    Args:
        labels: those that there are; an answer that is none of them counts as "(other)", which is
            never right, and is `unread`. None: any answer is a label.
        metrics: one or several, as in `evaluator`.

    Raises:
        UsageError: expected is no text, or not among the labels.
    """
    from ..metrics import names_of

    known = None if labels is None else {_bare(label): label for label in labels}
    if not isinstance(expected, str) or (known is not None and _bare(expected) not in known):
        among = "" if labels is None else f" among {', '.join(map(repr, labels))}"
        raise UsageError(f"classify(): expected a label{among}, got {expected!r}")
    text = text_of(answer) or ""
    truth = _bare(expected)
    label = _label(text, known)
    summaries = metrics if metrics is METRICS else names_of(metrics)
    wanted = truth if known is None else known[truth]
    if label != OTHER:
        return Score(name or "classify", label, summaries, expected=wanted)
    problem = f"it is none of {', '.join(labels or ())}" if text.strip() else EMPTY
    told = {**brief({"result": answer}), "problem": problem}
    return Score(name or "classify", OTHER, summaries, told, wanted, unread=True)


_NAMED = re.compile(
    r"(?:the\s)?(?:(?:correct|final|predicted)\s)?(?:label|class|category|answer|intent|sentiment)"
    r"(?:\sis:?|\s?[:=])\s",
    re.IGNORECASE,
)


def _label(text: str, known: Mapping[str, str] | None) -> str:
    """Which label a text is, as it stands or out of its dress; OTHER for none."""
    bare = plain(said(text)).strip()
    if known is None:
        return _bare(said(text)) or OTHER
    for each in (text, bare, bare.rstrip("."), _NAMED.sub("", bare, count=1).rstrip(".")):
        if _bare(each) in known:
            return known[_bare(each)]
    return OTHER


def _bare(label: str) -> str:
    return label.strip().casefold()
