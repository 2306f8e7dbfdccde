"""
What a store can add up about an evaluation: counts, times, tokens and the moments of its scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from math import nan
from typing import Any

from .encoding import load

Read = Callable[..., list[Any]]
# Durations sorted for the percentiles: 8 MB for a moment, and half a percentile of error at most.
_SAMPLE = 100_000


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
            rows, each the mean of its repeats, `n`, `total`, `squares`, `low`, `high` and `nans`.
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


def tally(read: Read, evaluation: int) -> Tally:
    """Add up an evaluation; `read(query, *arguments)` returns all rows of a query."""
    states = dict(
        read("SELECT state, count(*) FROM records WHERE evaluation = ? GROUP BY state", evaluation)
    )
    errors = dict(
        read(
            "SELECT error, count(*) FROM records "
            "WHERE evaluation = ? AND state = 0 AND error IS NOT NULL GROUP BY error",
            evaluation,
        )
    )
    failed = sum(errors.values())
    scored = states.get(0, 0) - failed
    # Latency is that of what was scored; of everything, where nothing was. Tokens are multiplied
    # because sums of integers overflow.
    latency = "CASE WHEN error IS NULL THEN duration END" if scored else "duration"
    (attempts, waited, input_tokens, output_tokens, cost, repeats, began, ended, mean, most) = read(
        "SELECT coalesce(sum(attempts), 0), coalesce(sum(waited), 0.0), sum(input_tokens * 1.0), "
        "sum(output_tokens * 1.0), sum(cost), coalesce(max(repeat), 0) + 1, min(started), "
        f"max(started + duration), avg({latency}), max({latency}) FROM records "
        "WHERE evaluation = ? AND state = 0",
        evaluation,
    )[0]
    p50, p95 = _quantiles(read, evaluation, scored, failed)
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
        scores=_scores(read, evaluation, repeats > 1),
        began=began,
        ended=ended,
    )


def _quantiles(
    read: Read, evaluation: int, scored: int, failed: int
) -> tuple[float | None, float | None]:
    """
    The median and the 95th percentile of the durations; of very many, those of a sample, chosen
    by a hash of their numbers because regular steps could meet regular rows.
    """
    n = scored or failed
    if n == 0:
        return None, None
    values = [
        value
        for (value,) in read(
            "SELECT duration FROM records WHERE evaluation = ? AND state = 0 "
            f"AND error IS {'' if scored else 'NOT'} NULL "
            "AND (id * 2654435761 & 4294967295) % ? = 0",
            evaluation,
            max(1, n // _SAMPLE),
        )
    ]
    values.sort()
    last = len(values) - 1
    return values[round(0.50 * last)], values[round(0.95 * last)]


def _scores(read: Read, evaluation: int, repeated: bool) -> dict[str, dict[str, Any]]:
    live = (
        "records JOIN scores ON record = records.id AND name = ? WHERE evaluation = ? AND state = 0"
    )
    # `value * 1.0` because sums of integers overflow; NaN is NULL, and so is its row's mean.
    rows = (
        f"(SELECT count(*) AS trials, min(boolean) AS boolean, CASE WHEN count(value) = count(*) "
        f"THEN avg(value) END AS value FROM {live} GROUP BY key)"
        if repeated
        else f"(SELECT 1 AS trials, boolean, value * 1.0 AS value FROM {live})"
    )
    found = {}
    for id, name, metrics in read(
        "SELECT id, name, metrics FROM score_names WHERE evaluation = ? ORDER BY id", evaluation
    ):
        n, trials, boolean, nans, total, squares, low, high = read(
            "SELECT count(*), sum(trials), min(boolean), sum(value IS NULL), sum(value), "
            f"sum(value * value), min(value), max(value) FROM {rows}",
            id,
            evaluation,
        )[0]
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
                "nans": nans,
            }
    return found
