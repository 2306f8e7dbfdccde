"""
Metrics by their names: what many scores of one name say together, and how sure that is.

A metric is found by its name, because stored scores hold only names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import mul
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Union, overload

from .agreement import (
    FORECASTS,
    JUDGED,
    LABELS,
    LESS_IS_BETTER,
    PEOPLE,
    alpha,
    is_share,
    share,
    share_name,
)
from .errors import NotFound, UsageError
from .estimates import (
    NOTHING_EXPECTED,
    Estimate,
    Groups,
    Metric,
    Moments,
    Rows,
    Span,
    metric_of,
    not_a_number,
    reduced,
    registry,
    span_name,
)
from .means import (
    ANYTIME,
    accuracy_from_moments,
    at_any_time,
    estimate_accuracy,
    estimate_bounded,
    estimate_mean,
    mean_from_moments,
    mean_or_none,
)
from .record import LABELS as LABELLED
from .statistics import distributions, intervals
from .text import syntax_of

__all__ = [
    "ANYTIME",
    "JUDGED",
    "LESS_IS_BETTER",
    "NOTHING_EXPECTED",
    "Estimate",
    "Groups",
    "Metric",
    "Metrics",
    "Moments",
    "Rows",
    "Span",
    "accuracy",
    "at_any_time",
    "declared",
    "find",
    "is_share",
    "maximum",
    "mean",
    "median",
    "metric",
    "minimum",
    "names_of",
    "pass_at_k",
    "pass_hat_k",
    "registry",
    "share",
    "share_name",
    "span_name",
    "std",
]

# --- the rest of the built-in ones -------------------------------------------------------------


def _median(values: list[Any]) -> float | None:
    ordered, n = sorted(values), len(values)
    if n == 0:
        return None
    return float(ordered[n // 2] if n % 2 else (ordered[n // 2 - 1] + ordered[n // 2]) / 2)


def _estimate_median(
    rows: Rows, groups: Groups, confidence: float, seed: int, span: Span
) -> Estimate:
    if groups is not None:
        return median.resampled(rows, groups, confidence, seed)
    ordered = sorted(reduced(rows))
    value, n = _median(ordered), len(ordered)
    found = intervals.median_interval(ordered, confidence)
    if found is None:
        return Estimate(value, n, method="no interval: too few rows")
    low, high = map(float, found)
    # McKean & Schrader (1984), Comm. Stat. B 13, p. 751.
    stderr = (high - low) / (2 * distributions.quantile_for(confidence))
    return Estimate(value, n, stderr, low, high, "ranks")


def _std(values: list[Any]) -> float | None:
    """The standard deviation that the sample suggests for where it came from (n - 1)."""
    if len(values) < 2:
        return None
    centre = intervals.mean_of(values)
    deviations = [value - centre for value in values]
    scale = max(map(abs, deviations)) or 1.0  # squares of very small ones would be 0
    return scale * math.sqrt(_deviations([value / scale for value in deviations]))


def _deviations(centred: Sequence[float]) -> float:
    """The variance of values around about 0; what they are off it is taken out again."""
    n, off = len(centred), math.fsum(centred)
    around = math.fsum(map(mul, centred, centred)) - off * off / n
    return 0.0 if around < 0 else around / (n - 1)  # a NaN stays one


def _estimate_std(rows: Rows, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
    if groups is not None:
        return std.resampled(rows, groups, confidence, seed)
    values = reduced(rows)
    value, n = _std(values), len(values)
    found = None if value is None else intervals.std_interval(values, confidence)
    if found is None:
        return Estimate(value, n, method="no interval: too few different rows")
    stderr, (low, high) = found
    return Estimate(value, n, stderr, low, high, "bonett")


def _extreme(name: str, pick: Callable[[list[Any]], Any]) -> Metric:
    """
    The smallest or largest value. It has no interval: the bootstrap is wrong for extremes (Bickel
    & Freedman 1981, Ann. Stat. 9, p. 1196), and nothing is known of what was not seen.
    """
    method = "no interval: an extreme"

    def compute(values: list[Any]) -> Any:
        return pick(values) if values else None

    def estimate(rows: Rows, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
        return Estimate(float(pick(reduced(rows))), len(rows), method=method)

    def from_moments(moments: Moments, confidence: float, span: Span) -> Estimate:
        if moments.n == 0:
            return Estimate(None, 0, method="no data")
        if moments.total != moments.total:
            return not_a_number(moments.n)
        return Estimate(float(getattr(moments, attribute)), moments.n, method=method)

    attribute = {"min": "low", "max": "high"}[name]
    return Metric(name, compute, estimate, from_moments)


def pass_at_k(k: int) -> Metric:
    """
    The chance that at least one of k answers to a row is right, from n >= k repeats of it.

    Source: Chen et al. (2021), Evaluating Large Language Models Trained on Code, eq. 1: without
    bias it is 1 - C(n - c, k) / C(n, k) for c right answers among n.
    """
    return _of_repeats("pass@", k, lambda n, c: 1 - math.comb(n - c, k) / math.comb(n, k))


def pass_hat_k(k: int) -> Metric:
    """
    The chance that all of k answers to a row are right, from n >= k repeats of it.

    Source: Yao et al. (2024), τ-bench, eq. 1: without bias it is C(c, k) / C(n, k).
    """
    return _of_repeats("pass^", k, lambda n, c: math.comb(c, k) / math.comb(n, k))


def _of_repeats(prefix: str, k: int, chance: Callable[[int, int], float]) -> Metric:
    name = f"{prefix}{k}"
    if type(k) is not int or k < 1:
        raise UsageError(f"{prefix}k: expected a whole number k of 1 or more, not {k!r}")

    def compute(values: list[Any]) -> float | None:
        """For the repeats of one row."""
        if not all(value in (0, 1) for value in values):
            raise UsageError(f"{name} needs scores that are true or false")
        return chance(len(values), sum(map(bool, values))) if len(values) >= k else None

    def estimate(rows: Rows, groups: Groups, confidence: float, seed: int, span: Span) -> Estimate:
        most = max(map(len, rows))
        enough = [len(row) >= k for row in rows]
        if not any(enough):
            return Estimate(None, 0, method=f"needs {k} repeats; rows have at most {most}")
        if groups is not None:
            groups = [group for group, good in zip(groups, enough, strict=True) if good]
        taken = [row for row, good in zip(rows, enough, strict=True) if good]
        values = [value for row in taken if (value := compute(list(row))) is not None]
        found = estimate_bounded(values, groups, confidence, (0.0, 1.0))
        if len(taken) == len(rows):
            return found
        left_out = f"{len(rows) - len(taken)} rows have fewer than {k} repeats"
        shaky = f"{found.shaky}, {left_out}" if found.shaky else left_out
        return replace(found, method=f"{found.method}; {left_out}", shaky=shaky)

    return Metric(name, compute, estimate)


# --- by name -----------------------------------------------------------------------------------

Metrics = Union[str, Metric, Callable[..., Any], Iterable[Union[str, Metric, Callable[..., Any]]]]

_PASS = re.compile(r"pass([@^])([1-9][0-9]{0,5})")
_WITH_OPTIONS = re.compile(r"(\w+)\((\w+=.+)\)", re.DOTALL)


_END = r"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
_SPAN = re.compile(rf"{_END}\.\.{_END}")


def declared(names: Iterable[str]) -> tuple[tuple[str, ...], Span]:
    """
    What the names that a score keeps mean: its metrics, and its range where one is among them.

    An evaluator whose scores can only lie between 0 and 1 says so with "0..1" beside the names of
    its metrics. Intervals of means know then what was not seen.
    """
    names = tuple(names)
    span = next((found for name in names if (found := _SPAN.fullmatch(name))), None)
    return (
        tuple(name for name in names if name != LABELLED and not _SPAN.fullmatch(name)),
        None if span is None else (float(span[1]), float(span[2])),
    )


def find(name: str) -> Metric:
    """
    The metric that stored scores call by this name, plugins included.

    Raises:
        NotFound: nobody offers it; the message has the known names.
        PluginError: a package offers it and it can not be loaded.
    """
    repeated = _PASS.fullmatch(name)
    if repeated:
        return (pass_at_k if repeated[1] == "@" else pass_hat_k)(int(repeated[2]))
    if is_share(name):
        return share(name[len("share(") : -1])
    try:
        thing = registry.get(name)
    except NotFound as error:
        if made := _with_options(name):
            return made
        raise NotFound(f"{error}, and pass@k and pass^k for any k, such as pass@3") from None
    return thing if isinstance(thing, Metric) else metric_of(thing, name)


def _with_options(name: str) -> Metric | None:
    """The metric of a name such as "threshold(least=0.8)", made anew; None where it is none."""
    found = _WITH_OPTIONS.fullmatch(name)
    if found is None:
        return None
    import ast

    try:
        call = syntax_of(name, "eval").body
        options = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError, AttributeError):  # it is no call, or not of plain values
        return None
    made = find(found[1])(**options)
    return made if isinstance(made, Metric) else None


def names_of(metrics: Metrics) -> tuple[str, ...]:
    """
    The names that a score keeps of the metrics that somebody gave, one or several.

    Raises:
        NotFound: nobody offers a name.
        UsageError: there is none, or something is no metric.
    """
    one = isinstance(metrics, str) or callable(metrics)
    given: Iterable[Any] = [metrics] if one else metrics  # type: ignore[assignment]
    if not isinstance(given, Iterable):
        raise UsageError(f"metrics={metrics!r}: expected a metric, its name, or a list of them")
    names = tuple(dict.fromkeys(map(_name_of, given)))
    if not declared(names)[0]:
        raise UsageError("metrics: expected at least one; leave it out for the default")
    return names


def _name_of(given: Any) -> str:
    if isinstance(given, str):
        return _range_of(given) if _SPAN.fullmatch(given) else find(given).name
    if isinstance(given, Metric):
        if not (_PASS.fullmatch(given.name) or is_share(given.name)):  # found by form
            registry.register(given.name, given)
        return given.name
    if callable(given):
        return metric(given).name
    raise UsageError(f"metrics: {given!r} is no metric; expected one, its name, or a function")


def _range_of(name: str) -> str:
    low, high = map(float, name.split(".."))
    if low >= high:
        raise UsageError(f"metrics: {name!r} is an empty range; write the smaller number first")
    return name


if TYPE_CHECKING:
    P = ParamSpec("P")

    class OwnMetric(Metric, Generic[P]):
        """What `metric` makes of a function: a factory takes its options, each takes values."""

        @overload
        def __call__(self, values: Sequence[Any], /) -> Any: ...
        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Metric: ...
        def __call__(self, *given: Any, **options: Any) -> Any: ...


@overload
def metric(function: Callable[P, Any], /) -> OwnMetric[P]: ...


@overload
def metric(
    *, name: str | None = None, pairs: bool = False
) -> Callable[[Callable[P, Any]], OwnMetric[P]]: ...


def metric(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, pairs: bool = False
) -> Any:
    """
    Make a metric of a function that takes the list of values, one a row, and returns a number.

    ::

        @metric
        def share_above_half(values):
            return sum(value > 0.5 for value in values) / len(values)

    With `pairs=True` it takes (value, expected) of each score instead, those of all repeats.

    A function that needs no arguments is taken for a factory that returns such a function, as
    in dotevals: with `def at_least(share=0.5)`, `at_least(0.8)` is a metric with that option. The
    metric is registered under the function's name, or `name`, for this process;
    stored scores hold only the name, so what several programs use belongs in a package with an
    entry point.

    Raises:
        UsageError: it can not be called or has no name, or another metric has the name.
    """
    if function is None:
        return lambda decorated: _registered(decorated, name, pairs)
    return _registered(function, name, pairs)


def _registered(function: Any, name: str | None, pairs: bool) -> Metric:
    if not callable(function):
        raise UsageError(f"metric() takes a function of a list of values, not {function!r}")
    name = name or getattr(function, "__name__", "")
    if not name or name == "<lambda>":
        raise UsageError(f"a metric is found by its name, and {function!r} has none; write a def")
    made = metric_of(function, name, "pairs" if pairs else "values")
    return registry.register(name, made)


accuracy = Metric("accuracy", mean_or_none, estimate_accuracy, accuracy_from_moments)
mean = Metric("mean", mean_or_none, estimate_mean, mean_from_moments)
median = Metric("median", _median, _estimate_median)
std = Metric("std", _std, _estimate_std)
minimum = _extreme("min", min)
maximum = _extreme("max", max)

for _built_in in (
    accuracy,
    mean,
    median,
    std,
    minimum,
    maximum,
    *LABELS,
    *FORECASTS,
    *PEOPLE,
    alpha,
):
    registry.register(_built_in.name, _built_in)
