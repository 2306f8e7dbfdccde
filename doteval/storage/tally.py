"""
What a store can add up about an evaluation: counts, times, tokens and the moments of its scores.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import nan
from typing import Any

from .database import Database
from .encoding import load

# Durations sorted for the percentiles: 8 MB for a moment, and half a percentile of error at most.
_SAMPLE = 100_000
_LONG = 100_000  # records that take long enough to be worth connections and threads
_RECENT = 1_000  # records, the latest, that tell whether rows have repeats

Query = tuple[Any, ...]  # a statement and its arguments
_LIVE = "FROM records WHERE evaluation = ? AND state = 0"
# Tokens and scores are multiplied because sums of integers overflow.
_TOTALS = (
    "SELECT coalesce(sum(attempts), 0), coalesce(sum(waited), 0.0), sum(input_tokens * 1.0), "
    "sum(output_tokens * 1.0), sum(cost), coalesce(max(repeat), 0) + 1, min(started), "
    f"max(started + duration), avg({{latency}}), max({{latency}}) {_LIVE}"
)
_MOMENTS = (
    "SELECT count(*), {trials}, min(boolean), count(value), sum(value), sum(value * value), "
    "min(value), max(value), sum(unread), sum(empty), sum(differing) FROM ({rows})"
)
_VALUES = (
    "SELECT boolean & 1 AS boolean, value * 1.0 AS value, boolean >> 1 & 1 AS unread, "
    "boolean >> 2 & 1 AS empty, boolean >> 3 & 1 AS differing FROM "
)
_SCORES = (
    "records JOIN scores ON record = records.id AND name = ? WHERE evaluation = ? AND state = 0"
)
# NaN is NULL, and so is its row's mean.
_MEANS = (
    "SELECT count(*) AS trials, min(boolean & 1) AS boolean, sum(boolean >> 1 & 1) AS unread, "
    "sum(boolean >> 2 & 1) AS empty, sum(boolean >> 3 & 1) AS differing, "
    f"CASE WHEN count(value) = count(*) THEN avg(value) END AS value FROM {_SCORES} GROUP BY key"
)


@dataclass(frozen=True, slots=True)
class Tally:
    """
    Aggregates of one evaluation.

    Attributes:
        scored, failed: live records with scores, and without.
        stale, superseded: records that no longer count.
        errors: failures by type of error.
        attempts: started for the live records.
        duration: `mean`, `p50`, `p95` and `most` of the live records' last attempts, seconds; the
            percentiles of more than 200,000 are those of a sample of 100,000 or more.
        waited: seconds spent waiting, over all live records.
        input_tokens, output_tokens, cost: sums; None where no record reported any.
        repeats: the most records that one row has.
        scores: by name: `metrics` (names), `boolean`, `trials` (how many values), and over the
            rows, each the mean of its repeats, `n`, `total`, `squares`, `low`, `high` and `nans`;
            and how many values are `unread`, `empty`, and `differing` in type from the expected.
        began, ended: Unix seconds of the first start and the last end of a live record.
    """

    scored: int
    failed: int
    stale: int
    superseded: int
    errors: dict[str, int]
    attempts: int
    duration: dict[str, float | None]
    waited: float
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    repeats: int
    scores: dict[str, dict[str, Any]]
    began: float | None
    ended: float | None

    def as_mapping(self) -> dict[str, Any]:
        """The tally as plain data."""
        return asdict(self)

    @classmethod
    def of(cls, mapping: dict[str, Any]) -> Tally | None:
        """The tally of `as_mapping`; None where another version of doteval wrote it."""
        if mapping.keys() != {field.name for field in fields(cls)}:
            return None
        return cls(**mapping)


def tally(db: Database, evaluation: int) -> Tally:
    """Add up an evaluation, inside `reading()`."""
    states = dict(
        db.all(
            "SELECT state, count(*) FROM records WHERE evaluation = ? GROUP BY state", evaluation
        )
    )
    errors = dict(
        db.all(f"SELECT error, count(*) {_LIVE} AND error IS NOT NULL GROUP BY error", evaluation)
    )
    names = db.all(
        "SELECT id, name, metrics FROM score_names WHERE evaluation = ? ORDER BY id", evaluation
    )
    live, failed = states.get(0, 0), sum(errors.values())
    scored = live - failed
    # Latency is that of what was scored; of everything, where nothing was.
    latency = "CASE WHEN error IS NULL THEN duration END" if scored else "duration"
    guess = _repeated(db, evaluation)
    totals, *moments, durations = db.several(
        (_TOTALS.format(latency=latency), evaluation),
        *_moments(db, evaluation, states, names, guess),
        _durations(evaluation, scored, failed),
        side_by_side=live >= _LONG,
    )
    (attempts, waited, input_tokens, output_tokens, cost, repeats, began, ended, mean, most) = (
        totals[0]
    )
    if guess != (repeats > 1):
        moments = db.several(*_moments(db, evaluation, states, names, not guess))
    p50, p95 = _quantiles(durations)
    return Tally(
        scored=scored,
        failed=failed,
        stale=states.get(1, 0),
        superseded=states.get(2, 0),
        errors=dict(sorted(errors.items(), key=lambda pair: (-pair[1], pair[0]))),
        attempts=attempts,
        duration={"mean": mean, "p50": p50, "p95": p95, "most": most},
        waited=waited,
        input_tokens=None if input_tokens is None else int(input_tokens),
        output_tokens=None if output_tokens is None else int(output_tokens),
        cost=cost,
        repeats=repeats,
        scores=_scores(names, moments),
        began=began,
        ended=ended,
    )


def _repeated(db: Database, evaluation: int) -> bool:
    """Whether rows have repeats, as far as the latest records tell."""
    latest = f"SELECT repeat {_LIVE} ORDER BY id DESC LIMIT {_RECENT}"
    return bool(db.all(f"SELECT max(repeat) FROM ({latest})", evaluation)[0][0])


def _durations(evaluation: int, scored: int, failed: int) -> Query:
    """
    Asks for the durations; of very many for a sample, chosen by a hash of their numbers because
    regular steps could meet regular rows.
    """
    return (
        f"SELECT duration {_LIVE} AND error IS {'' if scored else 'NOT'} NULL "
        "AND (id * 2654435761 & 4294967295) % ? = 0",
        evaluation,
        max(1, (scored or failed) // _SAMPLE),
    )


def _quantiles(durations: list[Any]) -> tuple[float | None, float | None]:
    """The median and the 95th percentile."""
    if not durations:
        return None, None
    values = sorted(value for (value,) in durations)
    last = len(values) - 1
    return values[round(0.50 * last)], values[round(0.95 * last)]


def _moments(
    db: Database, evaluation: int, states: dict[int, int], names: list[Any], repeated: bool
) -> list[Query]:
    """Asks for the moments of each score."""
    rows, of = _MEANS if repeated else _VALUES + _SCORES, [evaluation]
    if not repeated and states.keys() == {0}:
        # All records are live, and a name is of one evaluation: no record need be asked, unless
        # so many of others lie between that this would take longer.
        first, last = db.all(
            f"SELECT (SELECT min(id) {_LIVE}), (SELECT max(id) {_LIVE})", evaluation, evaluation
        )[0]
        if last - first < 2 * states[0]:
            rows, of = f"{_VALUES}scores WHERE name = ? AND record BETWEEN ? AND ?", [first, last]
    sums = _MOMENTS.format(rows=rows, trials="sum(trials)" if repeated else "count(*)")
    return [(sums, id, *of) for id, _, _ in names]


def _scores(names: list[Any], moments: list[list[Any]]) -> dict[str, dict[str, Any]]:
    found = {}
    for (_, name, metrics), added in zip(names, moments, strict=True):
        n, trials, boolean, numbers, total, squares, low, high, *read = added[0]
        if n:
            found[name] = {
                "metrics": load(metrics),
                "boolean": bool(boolean),
                "trials": trials,
                "n": n,
                "total": nan if total is None else total,  # such as inf - inf
                "squares": squares,
                "low": low,
                "high": high,
                "nans": n - numbers,
                **dict(zip(("unread", "empty", "differing"), read, strict=True)),
            }
    return found
