"""
A metric, and what it makes of the values of many scores: a figure, and how sure that is.

It sees rows, not records: the repeats of a row are reduced to one value before rows are counted,
since asking one question five times does not make five questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from .errors import PluginError, UsageError
from .plugins import Registry
from .statistics import intervals

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


class Moments(NamedTuple):
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
        partial: whether some scores, or all, may lack what was expected.
        beside: other scores whose values are, row by row, taken together with those of its own.
    """

    def __init__(
        self,
        name: str,
        compute: Callable[[list[Any]], Any],
        estimator: Estimator | None = None,
        from_moments: FromMoments | None = None,
        factory: Callable[..., Any] | None = None,
        sees: str = "values",
        partial: bool = False,
        beside: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.beside = beside
        self._partial = partial or sees != "pairs"
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
            metric_of(self._factory(**options), f"{self.name}({said})", self.sees),
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
            return self._of_pairs(rows, groups, confidence, seed, span)
        if any(value != value for row in rows for value in row):
            return not_a_number(len(rows))
        return self._estimator(rows, groups, confidence, seed, span)

    def _of_pairs(
        self, rows: Sequence[Any], groups: Groups, confidence: float, seed: int, span: Span
    ) -> Estimate:
        """As `estimate`, of rows of (value, expected); repeats of a row are drawn together."""
        if any(value != value for row in rows for value, _ in row):
            return not_a_number(len(rows))
        if self.lacks(rows):
            return Estimate(None, 0, method=NOTHING_EXPECTED)
        if not self._is_resampled:
            return self._estimator(rows, groups, confidence, seed, span)
        whole, once = Metric(self.name, self.over), [[row] for row in rows]
        return whole.resampled(once, groups, confidence, seed)

    def lacks(self, rows: Iterable[Sequence[Any]]) -> bool:
        """Whether it needs what was expected, and a score has nothing of the kind."""
        return not self._partial and any(expected is None for row in rows for _, expected in row)

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
        from .statistics import resampling  # here, as most metrics need none

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
        method = how.format(found.resamples) + clustered_by(groups)
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


def not_a_number(n: int) -> Estimate:
    return Estimate(math.nan, n, math.nan, math.nan, math.nan, "NaN among the values")


def clustered_by(groups: Groups) -> str:
    return "" if groups is None else f", {len(set(groups))} clusters"


def _units(groups: Groups) -> str:
    return "rows" if groups is None else "clusters"


def span_name(span: tuple[float, float]) -> str:
    """ "0..1": how a range is written among the names of metrics."""
    return f"{span[0]:g}..{span[1]:g}"


# --- of a function ----------------------------------------------------------------------------


def metric_of(function: Any, name: str, sees: str = "values") -> Metric:
    if isinstance(function, Metric):
        estimator = None if function._is_resampled else function._estimator
        return Metric(name, function.compute, estimator, function._from_moments, sees=function.sees)
    if not callable(function):
        raise PluginError(f"the metric {name!r} is {type(function).__name__}, not a function")
    if not _is_factory(function):
        return Metric(name, function, sees=sees)
    made = metric_of(function(), name, sees)
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
