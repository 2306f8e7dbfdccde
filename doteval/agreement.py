"""
Metrics of what was said against what was expected: labels, probabilities, and repeats of a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .estimates import Estimate, Groups, Metric, Span
from .means import estimate_bounded, estimate_mean
from .statistics import intervals

if TYPE_CHECKING:
    from .statistics.labels import Confusion

# `statistics.labels` and `correction` are loaded by the scores that need them, which few have.

_SHARE = re.compile(r"share\((.*)\)", re.DOTALL)
_BESIDE = re.compile(r"krippendorff_alpha\((.+)\)", re.DOTALL)
LESS_IS_BETTER = ("brier", "log_loss", "ece")


def _of_labels(name: str, figure: Callable[[Confusion], float | None]) -> Metric:
    def compute(pairs: list[Any]) -> float | None:
        from .statistics.labels import Confusion

        return figure(Confusion.of(pairs))

    return Metric(name, compute, sees="pairs")


def _of_forecasts(
    name: str,
    probable: bool = True,
    estimate: Callable[..., Estimate] | None = None,
    figure: str = "",
) -> Metric:
    """
    Of numbers and whether it happened.

    Args:
        figure: its name in `statistics.labels`; "" where that is the metric's.
        probable: whether they have to be probabilities; else only their order counts.
        estimate: of the mean of what each row comes to, where the figure is one.
    """

    def compute(pairs: list[Any]) -> float | None:
        from .statistics import labels

        for value, happened in pairs:
            if happened not in (0, 1):
                raise UsageError(
                    f"{name} needs an `expected` of true or false, not {happened!r:.40}"
                )
            if probable and not 0 <= value <= 1:
                raise UsageError(f"{name} needs probabilities from 0 to 1, not {value!r:.40}")
        found: float | None = getattr(labels, figure or name)(pairs)
        return found

    def of_rows(rows: Any, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
        assert estimate is not None
        return estimate([[compute(row)] for row in rows], groups, confidence, seed, span)

    return Metric(name, compute, of_rows if estimate else None, sees="pairs")


def _of_squares(rows: Any, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
    return estimate_mean(rows, groups, confidence, seed, (0.0, 1.0))


def _of_logarithms(rows: Any, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
    return estimate_mean(rows, groups, confidence, seed, None)


def share(label: str) -> Metric:
    """How often scores are this label; the repeats of a row are its share of them."""

    def compute(pairs: list[Any]) -> float | None:
        return intervals.mean_of([value == label for value, _ in pairs]) if pairs else None

    def estimate(rows: Any, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
        values = [compute(row) or 0.0 for row in rows]
        return estimate_bounded(values, groups, confidence, (0.0, 1.0))

    return Metric(share_name(label), compute, estimate, sees="pairs", partial=True)


def share_name(label: str) -> str:
    return f"share({label})"


def is_share(name: str) -> bool:
    return _SHARE.fullmatch(name) is not None


def alpha_beside(name: str) -> Metric | None:
    """The metric of a name such as "krippendorff_alpha(judge_b, judge_c)"; None of any other."""
    found = _BESIDE.fullmatch(name)
    if found is None:
        return None
    beside = tuple(each.strip() for each in found[1].split(","))
    return Metric(name, _alpha, sees="units", beside=beside)


def _alpha(units: list[Any]) -> float | None:
    from .statistics.labels import krippendorff_alpha

    named = any(isinstance(value, (str, bool)) for unit in units for value in unit)
    return krippendorff_alpha(units, "nominal" if named else "interval")


# As in scikit-learn; `statistics.labels` says what each is where a label is missing.


# --- a judge, and what people say of some rows ---------------------------------------------------


def _corrected(rows: Any, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
    from .statistics.correction import corrected

    judged, human = _judged(rows)
    known = [(y, f) for y, f in zip(human, judged, strict=True) if y is not None]
    others = [f for y, f in zip(human, judged, strict=True) if y is None]
    if not known:
        return Estimate(None, 0, method=_NO_LABELS)
    if not others:
        return _human(rows, groups, confidence, seed, span)
    found = corrected([y for y, _ in known], [f for _, f in known], others,
                      confidence=confidence, span=span)  # fmt: skip
    if found is None:
        few = f"too few different labels of people, {len(known)}"
        return Estimate(None, len(rows), method=few)
    method = f"PPI++, {len(known):,} labels of people"
    if groups is not None:
        none = "no interval: rows that belong together have none"
        return Estimate(found.value, len(rows), method=f"{none}; {method}")
    few = "" if len(known) >= _FEW_LABELS else f"{len(known)} labels of people"
    return Estimate(found.value, len(rows), found.stderr, found.low, found.high, method, few)


def _human(rows: Any, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
    _, human = _judged(rows)
    return _of_labelled([[y] for y in human if y is not None], human, groups, confidence, span)


def _agreement(rows: Any, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
    known = [[value == y for value, y in row if y is not None] for row in rows]
    shares = [[intervals.mean_of(row)] for row in known if row]
    of = [row or None for row in known]
    return _of_labelled(shares, of, groups, confidence, (0.0, 1.0))


def _of_labelled(
    found: list[list[float]], of: list[Any], groups: Groups, confidence: float, span: Span
) -> Estimate:
    """The mean over the rows that people have judged."""
    if not found:
        return Estimate(None, 0, method=_NO_LABELS)
    if groups is not None:
        groups = [group for group, each in zip(groups, of, strict=True) if each is not None]
    return estimate_mean(found, groups, confidence, 0, span)


def _judged(rows: Any) -> tuple[list[float], list[float | None]]:
    """Of each row what the judge said, and what people said or None."""
    if any(isinstance(value, str) for row in rows for value, _ in row):
        raise UsageError("a judge of labels is held against people by `agreement` alone")
    human = [[float(y) for _, y in row if y is not None] for row in rows]
    return (
        [intervals.mean_of([value for value, _ in row]) for row in rows],
        [intervals.mean_of(row) if row else None for row in human],
    )


def _alone(name: str, estimate: Any) -> Metric:
    def compute(pairs: list[Any]) -> float | None:
        value: float | None = estimate([[pair] for pair in pairs], None, 0.95, 0, None).value
        return value

    return Metric(name, compute, estimate, sees="pairs", partial=True)


_NO_LABELS = "no row has a label of people"
_FEW_LABELS = 30  # below, the interval holds the truth in 90 to 93 of 100 cases
JUDGED = ("human", "corrected", "agreement")  # of a judge beside its own figure
PEOPLE = tuple(map(_alone, JUDGED, (_human, _corrected, _agreement)))


# --- all of them ---------------------------------------------------------------------------------

LABELS = (
    *(
        _of_labels(f"{figure}_{how}", lambda of, figure=figure, how=how: of.average(figure, how))  # type: ignore[misc]
        for figure in ("precision", "recall", "f1")
        for how in ("macro", "micro", "weighted")
    ),
    _of_labels("balanced_accuracy", lambda of: of.balanced_accuracy),
    _of_labels("mcc", lambda of: of.mcc),
    _of_labels("kappa", lambda of: of.kappa),
)
FORECASTS = (
    _of_forecasts("auroc", probable=False),
    _of_forecasts("brier", estimate=_of_squares),
    _of_forecasts("log_loss", estimate=_of_logarithms),
    _of_forecasts("ece", figure="calibration_error"),
)
alpha = Metric("krippendorff_alpha", _alpha, sees="units")
