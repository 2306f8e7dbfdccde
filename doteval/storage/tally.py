"""
What a store adds up about an evaluation: counts, times, tokens and the moments of its scores.

Each commit adds its scored records to the sums that stand in `evaluations` and `score_names`, so
nothing is added up at a look. Failures are added up at a look, from an index of their own: they
come and go. Where scored records go, or rows have repeats (a row is the mean of its values), the
sums are no longer those of today's revision; then a look adds up everything, and keeps it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp, isclose, log, nan, sqrt
from operator import add, mul
from typing import Any, NamedTuple

from ..errors import DamageError
from ..record import STALE, SUPERSEDED
from .columns import SUM, WHOLE
from .database import Database, by_column
from .encoding import dump, load, load_metrics, storable

_EXACT = 2_000  # records up to which percentiles are those of all durations
_STEPS = 50  # bins of durations for each power of e: a bin's middle is within 1 % of what is in it
_SHORTEST, _LONGEST = 1e-9, 1e12  # seconds

# What is added up of records, in this order; integers as floats, whose sums do not overflow.
_TOTALS = (
    "count(*), coalesce(sum(attempts), 0), coalesce(sum(waited), 0.0), sum(input_tokens * 1.0), "
    "sum(output_tokens * 1.0), sum(cost), coalesce(max(repeat), 0) + 1, min(started), "
    "max(started + duration), coalesce(sum(duration), 0.0), max(duration)"
)
# Beside these, the extremes of what is added up: SQL takes a text for 0, and orders it above all
# numbers.
_ADDED = "attempts, waited, input_tokens, output_tokens, cost, repeat, started, duration"
_EXTREMES = ", ".join(f"{of}({name})" for of in ("min", "max") for name in _ADDED.split(", "))
NOTHING: dict[str, Any] = {
    "records": 0,
    "attempts": 0,
    "waited": 0.0,  # seconds
    "input_tokens": None,  # None: nobody reported any
    "output_tokens": None,
    "cost": None,
    "repeats": 1,  # the most of a row
    "began": None,  # Unix seconds
    "ended": None,
    "latency": 0.0,  # seconds, of all records together
    "slowest": None,
}
_BINS = "bins"  # beside these: how many records have a duration of which bin
_HOW = {"repeats": max, "began": min, "ended": max, "slowest": max}  # the others: add

# The same of a score, as columns of `score_names`.
_SUMS = "n, trials, boolean, total, squares, low, high, nans, unread, empty, differing"
_LOWER, _HIGHER = ("boolean", "low"), ("high",)
_ADD = "ON CONFLICT (evaluation, name) DO UPDATE SET metrics = excluded.metrics, " + ", ".join(
    f"{name} = coalesce(min({name}, excluded.{name}), {name}, excluded.{name})"
    if name in _LOWER
    else f"{name} = coalesce(max({name}, excluded.{name}), {name}, excluded.{name})"
    if name in _HIGHER
    else f"{name} = {name} + excluded.{name}"
    for name in _SUMS.split(", ")
)
_ODD = (  # a value that is none, see columns; of AND and OR, SQLite evaluates both sides
    "typeof(boolean) <> 'integer' OR boolean & -16 OR CASE typeof(value) "
    "WHEN 'text' THEN boolean & 1 OR value = '' OR ltrim(value, '-') GLOB '*[^0-9]*' "
    "WHEN 'blob' THEN 1 ELSE boolean & 1 AND value <> 0 AND value <> 1 END"
)
_VALUES = (
    f"SELECT scores.name AS name, {_ODD} AS odd, 1 AS trials, boolean & 1 AS boolean, "
    "value * 1.0 AS value, "
    "boolean >> 1 & 1 AS unread, boolean >> 2 & 1 AS empty, boolean >> 3 & 1 AS differing "
)
_MEANS = (  # NaN is NULL, and so is its row's mean
    f"SELECT scores.name AS name, max({_ODD}) AS odd, count(*) AS trials, "
    "min(boolean & 1) AS boolean, "
    "CASE WHEN count(value) = count(*) THEN avg(value) END AS value, "
    "sum(boolean >> 1 & 1) AS unread, sum(boolean >> 2 & 1) AS empty, "
    "sum(boolean >> 3 & 1) AS differing "
)
_MOMENTS = (
    "SELECT count(*), sum(trials), min(boolean), "
    "CASE WHEN count(value) THEN sum(value) ELSE 0.0 END, coalesce(sum(value * value), 0.0), "
    "min(value), max(value), count(*) - count(value), sum(unread), sum(empty), sum(differing), "
    "max(odd), name FROM ({rows} FROM records JOIN scores ON record = records.id "
    "WHERE evaluation = ? AND state = 0 {group}) GROUP BY name"
)
_SCORED = "FROM records WHERE evaluation = ? AND state = 0 AND error IS NULL"
_FAILED = (
    "FROM records INDEXED BY records_failed "
    "WHERE evaluation = ? AND state = 0 AND error IS NOT NULL"
)


class Tally(NamedTuple):
    """
    Aggregates of one evaluation.

    Attributes:
        scored, failed: live records with scores, and without.
        stale, superseded: records that no longer count.
        errors: failures by type of error.
        attempts: started for the live records.
        duration: `mean`, `p50`, `p95` and `most` of the live records' last attempts, seconds; the
            percentiles of more than 2,000 are within 1 %.
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


# --- at a commit ------------------------------------------------------------------------------


def added(told: str | None, columns: Sequence[Sequence[Any]]) -> tuple[str, bool]:
    """
    The sums of an evaluation with more records, and whether these are of all of them, so that
    those of its scores hold as well: not where rows have repeats.

    Args:
        told: what was added up so far.
        columns: of records with scores, as RECORD_COLUMNS has them.
    """
    before = _read(told)
    _, _, repeat, _, _, attempts, started, duration, waited, _, *usage, _ = columns
    reported = [[float(each) for each in of if each is not None] for of in usage]
    more = (
        len(repeat), sum(attempts), sum(waited), *(sum(of) if of else None for of in reported),
        max(repeat) + 1, min(started), max(map(add, started, duration)), sum(duration),
        max(duration),
    )  # fmt: skip
    after = _together(before or NOTHING, dict(zip(NOTHING, more, strict=True)))
    bins = Counter(before[_BINS] if before else {}) + _binned(duration)
    return dump({**after, _BINS: bins}), before is not None and after["repeats"] == 1


def _read(told: str | None) -> dict[str, Any] | None:
    """Sums as they are kept; None: what stands there are none."""
    found = load(told) if told else {**NOTHING, _BINS: {}}
    return found if _is_whole(found) else None


def _is_whole(found: Any) -> bool:
    """Whether they are sums; some that stand in a file may be anything."""
    if not isinstance(found, dict) or found.keys() != {*NOTHING, _BINS}:
        return False
    bins = found[_BINS]
    return (
        all(
            SUM.takes((value,)) or (value is None and NOTHING[name] is None)
            for name, value in found.items()
            if name != _BINS
        )
        and type(found["records"]) is type(found["repeats"]) is int
        and isinstance(bins, dict)
        and all(each.lstrip("-").isdecimal() and len(each) < 6 for each in bins)
        and WHOLE.takes(bins.values())
    )


def _binned(durations: Sequence[float]) -> Counter[str]:
    bounded = [
        each if _SHORTEST < each < _LONGEST else min(_LONGEST, max(_SHORTEST, each))  # NaN too
        for each in durations
    ]
    return Counter({str(bin): n for bin, n in Counter(map(_bin, map(log, bounded))).items()})


def _bin(logarithm: float) -> int:
    return round(logarithm * _STEPS)


def add_scores(
    db: Database, evaluation: int, given: Mapping[str, tuple[Sequence[str], list[tuple[Any, int]]]]
) -> None:
    """
    Add to the sums of scores, inside `writing()`; names that are new come with their first.

    Args:
        given: the names of the metrics and the values, as `value_to` makes them, by score.
    """
    rows = [
        (evaluation, storable(name), dump(list(metrics)), *_moments(values))
        for name, (metrics, values) in given.items()
    ]
    db.insert("score_names", f"evaluation, name, metrics, {_SUMS}", by_column(rows), conflict=_ADD)


def _moments(values: list[tuple[Any, int]]) -> tuple[Any, ...]:
    marks = Counter(mark for _, mark in values)
    # NaN, which is neither equal to itself nor in any sum; texts are integers beyond 63 bits.
    numbers = [float(value) for value, _ in values if value == value]
    return (
        len(values), len(values), min(mark & 1 for mark in marks),
        sum(numbers), sum(map(mul, numbers, numbers)),
        min(numbers, default=None), max(numbers, default=None), len(values) - len(numbers),
        *(sum(n for mark, n in marks.items() if mark >> bit & 1) for bit in (1, 2, 3)),
    )  # fmt: skip


def _together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two sums as one."""
    found: dict[str, Any] = {}
    for name in NOTHING:
        pair = [each for each in (one[name], other[name]) if each is not None]
        found[name] = _HOW.get(name, add)(*pair) if len(pair) == 2 else pair[0] if pair else None
    return found


# --- at a look --------------------------------------------------------------------------------


def tally(db: Database, evaluation: int, *, keeping: int = _EXACT) -> Tally:
    """
    What is added up of an evaluation.

    Args:
        keeping: where it had to be added up anew, it is kept for the next look if there are more
            scored records than this: for fewer, that would take longer than a commit.
    """
    with db.reading():
        revision, scored = _kept(db, evaluation)
        anew = None
        if scored is None:
            scored, anew = _anew(db, evaluation)
        names = _names(db, evaluation)
        if anew is not None and not anew.keys() <= {id for id, *_ in names}:
            raise db.damaged("a score has no name")
        failures = _failures(db, evaluation)
        stale, superseded = (
            db.all(f"SELECT count(*) FROM records WHERE evaluation = ? AND state = {state}",
                   evaluation)[0][0]
            for state in (STALE, SUPERSEDED)
        )  # fmt: skip
        failed: Mapping[str, Any] = NOTHING
        for sums in failures.values():
            failed = _together(failed, sums)
        # Latency is that of what was scored; of everything, where nothing was.
        of = scored if scored["records"] else failed
        duration = _latency(db, evaluation, of, _FAILED if of is failed else _SCORED)
    if anew is not None and scored["records"] > keeping:
        _keep(db, evaluation, revision, scored, anew)
    sums = _together(scored, failed)
    errors = sorted(
        ((error, of["records"]) for error, of in failures.items()),
        key=lambda pair: (-pair[1], pair[0]),
    )
    return Tally(
        scored=scored["records"],
        failed=failed["records"],
        stale=stale,
        superseded=superseded,
        errors=dict(errors),
        attempts=sums["attempts"],
        duration=duration,
        waited=sums["waited"],
        input_tokens=None if sums["input_tokens"] is None else int(sums["input_tokens"]),
        output_tokens=None if sums["output_tokens"] is None else int(sums["output_tokens"]),
        cost=sums["cost"],
        repeats=sums["repeats"],
        scores={
            name: _facts(db, name, metrics, kept if anew is None else anew[id])
            for id, name, metrics, *kept in names
            if (kept[0] if anew is None else id in anew)
        },
        began=sums["began"],
        ended=sums["ended"],
    )


def _failures(db: Database, evaluation: int) -> dict[str, dict[str, Any]]:
    """The sums of failures, by the type of the error."""
    found = {
        error: _summed(db, sums)
        for error, *sums in db.all(
            f"SELECT error, {_TOTALS}, {_EXTREMES} {_FAILED} GROUP BY error", evaluation
        )
    }
    db.check("error", [(error,) for error in found])
    return found


def _latency(
    db: Database, evaluation: int, sums: Mapping[str, Any], where: str
) -> dict[str, float | None]:
    """What is known of the durations of records, of which these are the sums."""
    if sums["records"] <= _EXACT or _BINS not in sums:
        rows = db.rows("duration", f"{where} ORDER BY duration", evaluation)
        durations = [(each, 1) for (each,) in rows]
    else:
        bins = sorted((int(bin), count) for bin, count in sums[_BINS].items())
        durations = [(exp(bin / _STEPS), count) for bin, count in bins]
    return {
        "mean": sums["latency"] / sums["records"] if sums["records"] else None,
        "p50": _quantile(durations, 0.50),
        "p95": _quantile(durations, 0.95),
        "most": sums["slowest"],
    }


def _kept(db: Database, evaluation: int) -> tuple[int, dict[str, Any] | None]:
    """The revision of an evaluation, and its sums; None: they are of another one, or are none."""
    revision, summed, told = db.rows(
        "revision, summed, sums", "FROM evaluations WHERE id = ?", evaluation
    )[0]
    return revision, _read(told) if revision == (summed or 0) else None


def _names(db: Database, evaluation: int) -> list[Any]:
    """The number, the name, the metrics and the sums of each score."""
    select = f"id, name, metrics, {_SUMS.replace('total', 'score_names.total')}"
    rest = "FROM score_names WHERE evaluation = ? ORDER BY id"
    return [
        (id, name, load_metrics(metrics), *sums)
        for id, name, metrics, *sums in db.rows(select, rest, evaluation)
    ]


def _facts(
    db: Database, name: str, metrics: tuple[str, ...], sums: Sequence[Any]
) -> dict[str, Any]:
    facts = dict(zip(_SUMS.split(", "), sums, strict=True))
    total = nan if facts["total"] is None else facts["total"]  # such as inf - inf
    if not facts["nans"] <= facts["n"] <= facts["trials"] or (
        facts["boolean"] and not 0 <= total <= facts["n"]
    ):
        raise db.damaged(f"the sums of score {name!r} can not be sums")
    return {**facts, "metrics": list(metrics), "boolean": bool(facts["boolean"]), "total": total}


def _summed(db: Database, row: Sequence[Any]) -> dict[str, Any]:
    """What is added up, if it was numbers."""
    sums, extremes = row[: len(NOTHING)], row[len(NOTHING) :]
    if sums[0]:
        half = len(extremes) // 2
        db.check(_ADDED, [extremes[:half], extremes[half:]])
    return dict(zip(NOTHING, sums, strict=True))


def _quantile(values: Sequence[tuple[float, int]], at: float) -> float | None:
    """The value below which so large a part is, of values in order and how often each is there."""
    left = round(at * (sum(count for _, count in values) - 1))
    for value, count in values:
        left -= count
        if left < 0:
            return value
    return None


_NO_SCORES = (0, 0, 1, 0.0, 0.0, None, None, 0, 0, 0, 0)  # of `_SUMS`
_ROUNDED = 1e-6  # by how much sums of the same numbers may differ, of their size
_Anew = dict[int, tuple[Any, ...]]  # the sums of scores, by the numbers of their names


def _anew(db: Database, evaluation: int) -> tuple[dict[str, Any], _Anew]:
    """The sums over all records."""
    sums = _summed(db, db.all(f"SELECT {_TOTALS}, {_EXTREMES} {_SCORED}", evaluation)[0])
    durations = [each for (each,) in db.all(f"SELECT duration {_SCORED}", evaluation)]
    repeated = sums["repeats"] > 1
    query = _MOMENTS.format(
        rows=_MEANS if repeated else _VALUES,
        group="GROUP BY scores.name, key" if repeated else "",
    )
    found = {}
    for *moments, odd, name in db.all(query, evaluation):
        if odd:
            raise db.damaged("a value of a score is no number")
        found[name] = tuple(moments)
    return {**sums, _BINS: _binned(durations)}, found


def differing(db: Database, evaluation: int) -> str | None:
    """
    What is wrong with the sums of an evaluation, which are added up anew; None: nothing.

    Raises:
        StoreError: what they are of can not be read.
    """
    try:
        with db.reading():
            kept = _kept(db, evaluation)[1]
            names = _names(db, evaluation)
            sums, scores = _anew(db, evaluation)
    except DamageError as error:
        return str(error)
    if kept is None:
        return None
    pairs = [(kept[name], sums[name], 0.0) for name in NOTHING]
    for id, _, _, *told in names:
        found = scores.get(id, _NO_SCORES)
        most = sqrt(max(0.0, found[0] * (found[4] or 0.0)))  # by Cauchy and Schwarz, of a sum
        pairs += [
            (one, other, _ROUNDED * most if name == "total" else 0.0)
            for name, one, other in zip(_SUMS.split(", "), told, found, strict=True)
        ]
    if all(_is_near(*pair) for pair in pairs):
        return None
    return "the sums of an evaluation are not those of its records"


def _is_near(one: float | None, other: float | None, most: float) -> bool:
    """Whether two sums are of the same numbers, in whichever order these were added."""
    if one is None or other is None:
        return one is other
    return one == other or isclose(one, other, rel_tol=_ROUNDED, abs_tol=most)


def _keep(
    db: Database, evaluation: int, revision: int, sums: Mapping[str, Any], scores: _Anew
) -> None:
    """
    Keep what was added up, if nothing has changed since and it can be written at once; else the
    next look adds up again.
    """

    def write(connection: sqlite3.Connection) -> None:
        now = connection.execute(
            "UPDATE evaluations SET sums = ?, summed = revision WHERE id = ? AND revision = ?",
            (dump(sums), evaluation, revision),
        )
        if now.rowcount:
            clear(connection, evaluation)
            columns = ", ".join(f"{name} = ?" for name in _SUMS.split(", "))
            connection.executemany(
                f"UPDATE score_names SET {columns} WHERE id = ?",
                [(*moments, id) for id, moments in scores.items()],
            )

    db.at_once(write)


def clear(connection: sqlite3.Connection, evaluation: int) -> None:
    """No record has any score."""
    connection.execute(
        "UPDATE score_names SET n = 0, trials = 0, boolean = 1, total = 0.0, squares = 0.0, "
        "low = NULL, high = NULL, nans = 0, unread = 0, empty = 0, differing = 0 "
        "WHERE evaluation = ?",
        (evaluation,),
    )
