"""
From values to estimates: what many scores of one name say together, and how sure that is.

A metric is found by its name, because stored scores hold only names. It sees rows, not records:
the repeats of a row are reduced to one value before rows are counted, since asking one question
five times does not make five questions.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import mul
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Union, overload

from .errors import NotFound, PluginError, UsageError
from .plugins import Registry
from .record import LABELS as LABELLED
from .statistics import distributions, intervals, resampling
from .statistics.clusters import clustered
from .statistics.labels import (
    Confusion,
    Forecast,
    auroc,
    brier,
    calibration_error,
    krippendorff_alpha,
    log_loss,
)
from .statistics.sequential import anytime
from .statistics.shares import bounded, exact
from .text import syntax_of

Rows = Sequence[Sequence[float]]
Groups = Union[Sequence[Hashable], None]
Span = Union[tuple[float, float], None]  # the smallest and largest value there can be

registry: Registry[Any] = Registry("metric", "metrics")


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    A figure and how sure it is.

    Attributes:
        value: None where there is no data for it; NaN where a score is NaN.
        n: rows that it rests on.
        stderr: standard error; None where the data can not tell, as with a single row.
        low, high: the confidence interval; None where there is none.
        method: how the interval was made, or why there is none.
        shaky: why the interval may hold the truth less often than it says; "" where it does not.
    """

    value: float | None
    n: int
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    shaky: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded."""
        return {
            "value": self.value,
            "n": self.n,
            "stderr": self.stderr,
            "low": self.low,
            "high": self.high,
            "method": self.method,
            "shaky": self.shaky,
        }


@dataclass(frozen=True, slots=True)
class Moments:
    """
    What a database can add up over the rows, one value a row, without handing them out.

    Attributes:
        n: rows.
        total, squares: sum of the values and of their squares.
        low, high: smallest and largest value; anything where n is 0.
        trials: how many true/false scores the values average, where rows were repeated and all
            scores are true or false; else None.
    """

    n: int
    total: float
    squares: float
    low: float
    high: float
    trials: int | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Moments:
        """The moments of values at hand, at least one."""
        squares = math.fsum(value * value for value in values)
        return cls(len(values), math.fsum(values), squares, min(values), max(values))


Estimator = Callable[[Rows, Groups, float, int, Span], Estimate]
FromMoments = Callable[[Moments, float, Span], Union[Estimate, None]]


# --- metrics -----------------------------------------------------------------------------------


class Metric:
    """
    One way to summarise many scores.

    It is its own factory: `accuracy`, `accuracy()` and "accuracy" are the same metric, and
    `accuracy([True, False])`, like `accuracy()([True, False])`, is 0.5.

    Args:
        name: what stored scores call it.
        compute: the figure, from the values of the rows.
        estimator: (rows, groups, confidence, seed, span) → Estimate. By default the interval
            comes from resampling the rows.
        from_moments: (moments, confidence, span) → Estimate, or None where the sums are not
            enough. None for a metric that needs every value.
        factory: makes `compute` anew from keyword arguments, where the metric has options.
        sees: what `compute` is given: "values", one a row; "pairs", the value and what was expected
            of each score; or "units", the values of each row's repeats.
    """

    def __init__(
        self,
        name: str,
        compute: Callable[[list[Any]], Any],
        estimator: Estimator | None = None,
        from_moments: FromMoments | None = None,
        factory: Callable[..., Any] | None = None,
        sees: str = "values",
    ) -> None:
        self.name = name
        self.sees = sees
        self.compute = compute
        self._from_moments = from_moments
        self._estimator = estimator or self.resampled
        self._is_resampled = estimator is None
        self._factory = factory
        self.__wrapped__ = factory or compute
        self.__doc__ = self.__wrapped__.__doc__

    def __repr__(self) -> str:
        return f"<metric {self.name}>"

    def __call__(self, *given: Any, **options: Any) -> Any:
        """
        The figure for the values of the rows; without them the metric itself, and with options
        one of its own, registered as `name(option=value)`.
        """
        if len(given) == 1 and not options and _are_values(given[0]):
            return self.compute(list(given[0]))
        if not given and not options:
            return self
        if self._factory is None:
            named = [*map(repr, given), *options]
            raise UsageError(f"the metric {self.name!r} has no options, got {', '.join(named)}")
        import inspect

        try:
            options = inspect.signature(self._factory).bind(*given, **options).arguments
        except TypeError as error:
            raise UsageError(f"the metric {self.name!r}: {error}") from error
        said = ", ".join(f"{option}={value!r}" for option, value in options.items())
        return registry.register(
            f"{self.name}({said})",
            _metric_of(self._factory(**options), f"{self.name}({said})", self.sees),
        )

    def estimate(
        self,
        rows: Rows,
        groups: Groups = None,
        *,
        confidence: float = 0.95,
        seed: int = 0,
        span: Span = None,
    ) -> Estimate:
        """
        The figure with its interval.

        Args:
            rows: the values of each row's repeats; a row without any does not count.
            groups: one entry a row, equal where rows belong together (same document, same user).
            confidence: of the interval, in (0, 1).
            seed: of the resampling, if there is any.
            span: the smallest and the largest value that there can be, where that is known.

        Returns:
            NaN throughout where a value is NaN.

        Raises:
            UsageError: the metric can not work on such values, or its function raised.
        """
        if groups is not None:
            if len(groups) != len(rows):
                raise UsageError(f"{len(groups)} groups for {len(rows)} rows: expected one each")
            groups = [group for row, group in zip(rows, groups, strict=True) if len(row)]
        rows = [row for row in rows if len(row)]
        if not rows:
            return Estimate(None, 0, method="no data")
        if self.sees != "values":
            return self._of_pairs(rows, groups, confidence, seed)
        if any(value != value for row in rows for value in row):
            return _not_a_number(len(rows))
        return self._estimator(rows, groups, confidence, seed, span)

    def _of_pairs(
        self, rows: Sequence[Any], groups: Groups, confidence: float, seed: int
    ) -> Estimate:
        """As `estimate`, of rows of (value, expected); repeats of a row are drawn together."""
        if any(value != value for row in rows for value, _ in row):
            return _not_a_number(len(rows))
        if not self._is_resampled:
            return self._estimator(rows, groups, confidence, seed, None)
        if self.lacks(rows):
            return Estimate(None, 0, method=NOTHING_EXPECTED)
        whole, once = Metric(self.name, self.over), [[row] for row in rows]
        return whole.resampled(once, groups, confidence, seed)

    def lacks(self, rows: Iterable[Sequence[Any]]) -> bool:
        """Whether it needs what was expected, and a score has nothing of the kind."""
        needed = self.sees == "pairs" and self._is_resampled
        return needed and any(expected is None for row in rows for _, expected in row)

    def over(self, rows: Iterable[Sequence[Any]]) -> Any:
        """The figure over rows of (value, expected) pairs, one for each repeat."""
        if self.sees == "pairs":
            return self.compute([pair for row in rows for pair in row])
        return self.compute([[value for value, _ in row] for row in rows])

    @property
    def takes_moments(self) -> bool:
        """Whether sums over the rows can be enough, so that the rows need not be read."""
        return self._from_moments is not None

    def from_moments(
        self, moments: Moments, *, confidence: float = 0.95, span: Span = None
    ) -> Estimate | None:
        """
        The figure from sums over the rows alone.

        Returns:
            None where it needs the rows: always, for a metric that does not take moments; else
            where the sums have lost the digits of the spread, or say too little of its shape.
        """
        return self._from_moments and self._from_moments(moments, confidence, span)

    def resampled(
        self, rows: Rows, groups: Groups, confidence: float, seed: int, span: Span = None
    ) -> Estimate:
        """As `estimate`, for rows with values, with the interval from resampling them."""
        values = reduced(rows)
        value, n = self._figure(values), len(values)
        if value is None:
            return Estimate(None, n, method="too few rows")
        independent = n if groups is None else len(set(groups))
        if independent < _FEWEST_RESAMPLED:
            few = f"no interval: fewer than {_FEWEST_RESAMPLED} {_units(groups)}"
            return Estimate(value, n, method=few)
        large = n > _RESAMPLED_ROWS
        resample = resampling.jackknife if large else resampling.bootstrap
        try:
            found = resample(self._figure, values, groups, seed=seed, confidence=confidence)
        except UsageError as error:
            return Estimate(value, n, method=f"no interval: on resampled rows {error}")
        if found is None:
            few = "undefined on many resamples"
            if groups is not None and large and independent < resampling.BLOCKS:
                few = "too few clusters"
            return Estimate(value, n, method=f"no interval: {few}")
        how = "normal, jackknife of {} blocks" if large else "bootstrap, {:,} resamples"
        # A point, but for rounding, says nothing about the spread of what was not seen.
        if found.high - found.low <= 1e-14 * max(abs(found.low), abs(found.high)):
            equal = all(each == values[0] for each in values)
            same = ALL_EQUAL if equal else "no interval: all resamples say the same"
            return Estimate(value, n, method=same)
        method = how.format(found.resamples) + _clustered(groups)
        few = "" if independent >= _FEW else f"{independent} {_units(groups)}"
        return Estimate(value, n, found.stderr, found.low, found.high, method, few)

    def _figure(self, values: list[Any]) -> float | None:
        """What the function says, checked: it may be somebody else's."""
        try:
            value = self.compute(values)
            return None if value is None else float(value)
        except Exception as error:  # told with the name of the metric; the others are still shown
            raise UsageError(
                f"the metric {self.name!r} failed on {len(values)} values: "
                f"{type(error).__name__}: {error}"
            ) from error


NOTHING_EXPECTED = "scores have no `expected` to be held against"


def _are_values(given: Any) -> bool:
    return isinstance(given, Iterable) and not isinstance(given, str)


_RESAMPLED_ROWS = 50_000  # above, resampling takes seconds and the normal interval fits as well
_FEWEST_RESAMPLED = 8  # of seven rows percentiles are much too narrow, whatever is done to them
_FEW = 20


def reduced(rows: Rows) -> list[Any]:
    """One value a row: the mean of its repeats; without repeats the value as it is."""
    return [row[0] if len(row) == 1 else intervals.mean_of(row) for row in rows]


# Nothing is known of the spread then, and a point would pass any gate: of a score that is 1 in 95 %
# of the rows, two in three samples of 8 rows are all 1. True and false have Wilson's interval,
# which needs no spread, and the median's ranks hold whatever the distribution.
ALL_EQUAL = "no interval: all values are the same"


def _not_a_number(n: int) -> Estimate:
    return Estimate(math.nan, n, math.nan, math.nan, math.nan, "NaN among the values")


def _clustered(groups: Groups) -> str:
    return "" if groups is None else f", {len(set(groups))} clusters"


def _units(groups: Groups) -> str:
    return "rows" if groups is None else "clusters"


# --- mean and proportions ----------------------------------------------------------------------

_MOST_BOUNDED = 20_000  # rows; above, Student's interval of shares is as good and takes no time
_MOST_SHAPED = 1_000  # rows that are read to know whether the mean of so many is near normal


def _estimate_mean(
    rows: Rows, groups: Groups, confidence: float, seed: int, span: Span
) -> Estimate:
    values = reduced(rows)
    n, mean = len(values), _mean_of(rows)
    outside = ""
    if span is not None:
        if span[0] <= min(values) and max(values) <= span[1]:
            return replace(_estimate_bounded(values, groups, confidence, span), value=mean)
        outside = f"values outside {span_name(span)}"
    if not math.isfinite(mean):
        return Estimate(mean, n, method="no interval: infinite values")
    spread = clustered(values, range(n) if groups is None else groups)
    if spread is None:
        one = "row" if groups is None else "cluster"
        return Estimate(mean, n, method=f"no interval: one {one}")
    if not spread.stderr:
        same = min(values) == max(values)
        return Estimate(
            mean, n, method=ALL_EQUAL if same else "no interval: all clusters are the same"
        )
    if spread.effective < _FEWEST_EFFECTIVE:
        return Estimate(mean, n, spread.stderr, method=_ONE_GROUP)
    low, high = intervals.t_interval(mean, spread.stderr, spread.df, confidence)
    shaky = outside or shakiness(values, groups)
    return Estimate(mean, n, spread.stderr, low, high, f"t{_clustered(groups)}", shaky)


def _mean_of(rows: Rows) -> float:
    """The mean of the rows' means; 7 of 10 in each of three rows are 21 of 30, which is 0.7."""
    repeats = len(rows[0])
    if repeats > 1 and all(len(row) == repeats for row in rows):
        return intervals.mean_of([value for row in rows for value in row])
    return intervals.mean_of(reduced(rows))


_FEWEST_EFFECTIVE = 1.5  # clusters; below, Student's interval covers 85 % where it says 95
_ONE_GROUP = "no interval: one cluster holds nearly all rows"


def shakiness(values: Sequence[float], groups: Groups = None) -> str:
    """
    Why Student's interval may hold the mean less often than it says; "" where it may not.

    Simulation says where that is: where the skewness of the values is above 0.3 times the root
    of their number (values with a long tail, or nearly all of them at one end of a scale) it holds
    the mean in less than 92 of 100 cases, down to a few of 100.
    """
    if groups is not None:
        totals = intervals.group_totals([value - intervals.mean_of(values) for value in values],
                                        groups)  # fmt: skip
        effective = effective_groups(groups)
        if effective < _FEW_EFFECTIVE:
            return f"{effective:.1f} clusters in effect"
        values = list(totals.values())
    n = len(values)
    if n < 5:
        return f"{n} rows"
    centre = intervals.mean_of(values)
    deviations = [value - centre for value in values]
    second = math.fsum(map(mul, deviations, deviations)) / n
    third = math.fsum(d * d * d for d in deviations) / n
    skewness = third / second**1.5 if second else math.inf
    return "skewed values" if abs(skewness) > 0.3 * math.sqrt(n) else ""


_FEW_EFFECTIVE = 10


def effective_groups(groups: Sequence[Hashable]) -> float:
    """As many groups of equal size would say as much."""
    sizes = Counter(groups).values()
    return len(groups) ** 2 / sum(size * size for size in sizes)


def _estimate_accuracy(
    rows: Rows, groups: Groups, confidence: float, seed: int, span: Span
) -> Estimate:
    """As the mean; what is not outside of 0 to 1 is a share."""
    shares = all(0 <= value <= 1 for row in rows for value in row)
    return _estimate_mean(rows, groups, confidence, seed, (0.0, 1.0) if shares else span)


def _estimate_bounded(
    values: Sequence[float], groups: Groups, confidence: float, span: tuple[float, float]
) -> Estimate:
    """The mean of values, one a row, from a known range."""
    n, mean = len(values), intervals.mean_of(values)
    whole = all(value in span for value in values)
    method = ("clopper-pearson" if whole and groups is None else "gaffke") + _clustered(groups)
    spread = clustered(values, range(n) if groups is None else groups)
    stderr = None if spread is None else spread.stderr
    if groups is not None:
        sizes = Counter(groups)
        totals = intervals.group_totals(values, groups)
        of_groups = [totals[group] / size for group, size in sizes.items()]
        few = effective_groups(groups)
        low, high = bounded(of_groups, list(sizes.values()), confidence=confidence, span=span)
        shaky = f"{few:.1f} clusters in effect" if few < _FEW_EFFECTIVE else ""
        return Estimate(mean, n, stderr, low, high, method, shaky)
    if n > _MOST_BOUNDED and not whole and stderr:
        low, high = intervals.t_interval(mean, stderr, n - 1, confidence)
        return Estimate(mean, n, stderr, max(low, span[0]), min(high, span[1]), "t")
    low, high = bounded(values, confidence=confidence, span=span)
    return Estimate(mean, n, stderr, low, high, method)


ANYTIME = "betting"


def at_any_time(
    metric: Metric, rows: Rows, groups: Groups, confidence: float, span: Span
) -> Estimate:
    """
    An estimate whose interval holds however often one looks, for a mean of a known range.

    Raises:
        UsageError: the metric can not work on such values.
    """
    found = metric.estimate(rows, groups, confidence=confidence, span=span)
    rows = [row for row in rows if len(row)]
    once = replace(found, stderr=None, low=None, high=None, shaky="")
    if found.low is None:
        return found
    if metric.name.startswith(("pass@", "pass^", "share(")):
        values = [value for row in rows if (value := metric.compute(list(row))) is not None]
    elif metric.name in ("accuracy", "mean"):
        values = reduced(rows)
    else:
        return replace(once, method=f"no interval: {metric.name} has none for any time")
    if metric.name != "mean" and all(0 <= value <= 1 for value in values):
        span = (0.0, 1.0)
    if span is None or min(values) < span[0] or max(values) > span[1]:
        return replace(once, method="no interval: the range of the values is not known")
    if groups is not None:
        return replace(once, method="no interval: clusters have none for any time")
    low, high = anytime(values, confidence=confidence, span=span)
    return replace(found, low=low, high=high, method=ANYTIME, shaky="")


def _mean_from_moments(moments: Moments, confidence: float, span: Span) -> Estimate | None:
    n, total = moments.n, moments.total
    if n == 0:
        return Estimate(None, 0, method="no data")
    if total != total:
        return _not_a_number(n)
    mean = total / n
    if span is not None and span[0] <= moments.low and moments.high <= span[1]:
        # Among 0..1 only 0 and 1 equal their squares.
        if span == (0, 1) and total == moments.squares:
            stderr = math.sqrt(mean * (1 - mean) / (n - 1)) if n > 1 else None
            low, high = exact(total, n, confidence)
            return Estimate(mean, n, stderr, low, high, "clopper-pearson")
        if n <= _MOST_BOUNDED:
            return None
        span_ends = span
    elif n > 1 and moments.low == moments.high:
        return Estimate(float(moments.low), n, method=ALL_EQUAL)
    elif n <= _MOST_SHAPED:
        return None
    else:
        span_ends = (-math.inf, math.inf)
    if not math.isfinite(mean):
        return None
    spread = _spread(moments)
    if not spread:
        return None
    stderr = spread / math.sqrt(n)
    low, high = intervals.t_interval(mean, stderr, n - 1, confidence)
    return Estimate(mean, n, stderr, max(low, span_ends[0]), min(high, span_ends[1]), "t")


def _spread(moments: Moments) -> float | None:
    """
    The standard deviation from the sums of at least two rows; None where they lost its digits.

    The subtraction cancels what mean and spread have in common: with values such as 1e9 ± 1
    nothing but rounding would be left.
    """
    n = moments.n
    if moments.low == moments.high:
        return 0.0
    deviations = moments.squares - moments.total * (moments.total / n)
    if not deviations > 1e-8 * moments.squares:
        return None
    return math.sqrt(deviations / (n - 1))


def _accuracy_from_moments(moments: Moments, confidence: float, span: Span) -> Estimate | None:
    """As the mean; None for fractions that may be averages of who knows how many trials."""
    shares = moments.n and moments.low >= 0 and moments.high <= 1
    return _mean_from_moments(moments, confidence, (0.0, 1.0) if shares else span)


def _mean(values: list[Any]) -> float | None:
    return intervals.mean_of(values) if values else None


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
            return _not_a_number(moments.n)
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
        found = _estimate_bounded(values, groups, confidence, (0.0, 1.0))
        if len(taken) == len(rows):
            return found
        left_out = f"{len(rows) - len(taken)} rows have fewer than {k} repeats"
        shaky = f"{found.shaky}, {left_out}" if found.shaky else left_out
        return replace(found, method=f"{found.method}; {left_out}", shaky=shaky)

    return Metric(name, compute, estimate)


# --- by name -----------------------------------------------------------------------------------

Metrics = Union[str, Metric, Callable[..., Any], Iterable[Union[str, Metric, Callable[..., Any]]]]

_PASS = re.compile(r"pass([@^])([1-9][0-9]{0,5})")
_SHARE = re.compile(r"share\((.+)\)", re.DOTALL)
_WITH_OPTIONS = re.compile(r"(\w+)\((\w+=.+)\)", re.DOTALL)


_END = r"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
_SPAN = re.compile(rf"{_END}\.\.{_END}")


def span_name(span: tuple[float, float]) -> str:
    """ "0..1": how a range is written among the names of metrics."""
    return f"{span[0]:g}..{span[1]:g}"


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
    if shared := _SHARE.fullmatch(name):
        return share(shared[1])
    try:
        thing = registry.get(name)
    except NotFound as error:
        if made := _with_options(name):
            return made
        raise NotFound(f"{error}, and pass@k and pass^k for any k, such as pass@3") from None
    return thing if isinstance(thing, Metric) else _metric_of(thing, name)


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
        if not (_PASS.fullmatch(given.name) or _SHARE.fullmatch(given.name)):  # found by form
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
    made = _metric_of(function, name, "pairs" if pairs else "values")
    return registry.register(name, made)


def _metric_of(function: Any, name: str, sees: str = "values") -> Metric:
    if isinstance(function, Metric):
        estimator = None if function._is_resampled else function._estimator
        return Metric(name, function.compute, estimator, function._from_moments, sees=function.sees)
    if not callable(function):
        raise PluginError(f"the metric {name!r} is {type(function).__name__}, not a function")
    if not _is_factory(function):
        return Metric(name, function, sees=sees)
    made = _metric_of(function(), name, sees)
    made._factory = made.__wrapped__ = function
    return made


def _is_factory(function: Callable[..., Any]) -> bool:
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin that does not tell: it takes values
        return False
    takers = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in takers and p.default is p.empty]
    takes_any = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    return not needed and not takes_any


# --- of what was said and what was expected ----------------------------------------------------


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
        return _estimate_bounded(values, groups, confidence, (0.0, 1.0))

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
LESS_IS_BETTER = ("brier", "log_loss", "ece")
alpha = Metric("krippendorff_alpha", _alpha, sees="units")

accuracy = Metric("accuracy", _mean, _estimate_accuracy, _accuracy_from_moments)
mean = Metric("mean", _mean, _estimate_mean, _mean_from_moments)
median = Metric("median", _median, _estimate_median)
std = Metric("std", _std, _estimate_std)
minimum = _extreme("min", min)
maximum = _extreme("max", max)

for _built_in in (accuracy, mean, median, std, minimum, maximum, *LABELS, *FORECASTS, alpha):
    registry.register(_built_in.name, _built_in)
