"""
Figures that a run has kept, of metrics that only its evaluation's file, or a plugin, knows.

They stand in the run's header with the sums over the scores that they were computed from, and hold
as long as these sums do: in another store, after a merge, and not once a row has been added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isclose
from typing import Any

from ..metrics import Estimate
from ..record import Run
from ..views.figures import percentage

HEADER = "figures"  # where a run's header has them
UNTIL = "until"  # where it has what the run was to decide, and whether it has
KEPT = "as its run computed it"  # how their method begins
_SUMS = ("n", "trials", "total", "squares", "low", "high", "nans")  # of `Tally.scores`


def kept(
    score: str, metric: str, estimate: Estimate, confidence: float, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """
    A figure as a run's header keeps it.

    Args:
        facts: of the score, as in `Tally.scores`.
    """
    return {
        "score": score,
        "metric": metric,
        "estimate": estimate.to_dict(),
        "confidence": confidence,
        "of": {name: facts[name] for name in _SUMS},
    }


def recalled(
    runs: Iterable[Run], score: str, metric: str, confidence: float, facts: Mapping[str, Any]
) -> Estimate | None:
    """
    The figure that one of the runs has kept of the very scores that are stored now; None where
    there is none. Of another confidence it has no interval.
    """
    for run in runs:
        for each in run.header.get(HEADER, ()):
            if (each["score"], each["metric"]) == (score, metric) and _are_those(each["of"], facts):
                return _estimate(each, confidence)
    return None


def _are_those(of: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether these are the sums; their last digits depend on the order of adding up."""
    return all(_is_same(of.get(name), facts[name]) for name in _SUMS)


def _is_same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (one != one and other != other) or isclose(one, other, rel_tol=1e-9)


def _estimate(figure: Mapping[str, Any], confidence: float) -> Estimate:
    of = figure["estimate"]
    value, n, stderr, low, high = (of[name] for name in ("value", "n", "stderr", "low", "high"))
    method = f"{KEPT}; {of['method']}"
    if figure["confidence"] != confidence:
        low = high = None
        method = f"{KEPT}; no interval: it kept that of {percentage(figure['confidence'])}"
    return Estimate(value, n, stderr, low, high, method)
