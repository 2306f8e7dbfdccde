"""
Metrics of what was said against what was expected: labels, probabilities, and repeats of a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .errors import UsageError
from .estimates import Estimate, Groups, Metric, Span
from .means import estimate_bounded
from .statistics import intervals
from .statistics.labels import (
    Confusion,
    Forecast,
    auroc,
    brier,
    calibration_error,
    krippendorff_alpha,
    log_loss,
)

_SHARE = re.compile(r"share\((.+)\)", re.DOTALL)
LESS_IS_BETTER = ("brier", "log_loss", "ece")


def _of_labels(name: str, figure: Callable[[Confusion], float | None]) -> Metric:
    def compute(pairs: list[Any]) -> float | None:
        return figure(Confusion.of(pairs))

    return Metric(name, compute, sees="pairs")


def _of_forecasts(
    name: str, figure: Callable[[list[Forecast]], float | None], probable: bool = True
) -> Metric:
    """Of numbers and whether it happened; of probabilities, unless only their order counts."""

    def compute(pairs: list[Any]) -> float | None:
        for value, happened in pairs:
            if happened not in (0, 1):
                raise UsageError(
                    f"{name} needs an `expected` of true or false, not {happened!r:.40}"
                )
            if probable and not 0 <= value <= 1:
                raise UsageError(f"{name} needs probabilities from 0 to 1, not {value!r:.40}")
        return figure(pairs)

    return Metric(name, compute, sees="pairs")


def share(label: str) -> Metric:
    """How often scores are this label; the repeats of a row are its share of them."""

    def compute(pairs: list[Any]) -> float | None:
        return intervals.mean_of([value == label for value, _ in pairs]) if pairs else None

    def estimate(rows: Any, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
        values = [compute(row) or 0.0 for row in rows]
        return estimate_bounded(values, groups, confidence, (0.0, 1.0))

    return Metric(share_name(label), compute, estimate, sees="pairs")


def share_name(label: str) -> str:
    return f"share({label})"


def is_share(name: str) -> bool:
    return _SHARE.fullmatch(name) is not None


def _alpha(units: list[Any]) -> float | None:
    labels = any(isinstance(value, (str, bool)) for unit in units for value in unit)
    return krippendorff_alpha(units, "nominal" if labels else "interval")


# As in scikit-learn; `statistics.labels` says what each is where a label is missing.


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
    _of_forecasts("auroc", auroc, probable=False),
    _of_forecasts("brier", brier),
    _of_forecasts("log_loss", log_loss),
    _of_forecasts("ece", calibration_error),
)
alpha = Metric("krippendorff_alpha", _alpha, sees="units")
