"""
What repeats tell of an evaluation: how much of the spread is between its rows and how much within
them, which rows are flaky, and what more rows or repeats would buy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import text
from ..record import Record
from ..statistics.noise import Noise, noise
from ..storage import Store
from ..views.figures import change, figure, percentage, plural
from ..views.media import as_text
from ..views.table import Cell, Table
from ..views.terminal import Piece, Terminal, flow
from .values import Rows, Values

_MOST_FLAKY = 10  # rows shown; `--json` has all


@dataclass(frozen=True, slots=True)
class Spread:
    """
    The noise of one score.

    Attributes:
        evaluation, score: names.
        metric: of the score, in whose unit it is shown.
        noise: the parts of the spread.
        rows: how many there are, whether asked several times or not.
        cost: of one record; None where nobody told any.
        flaky: of each row whose repeats are not all the same its position, the row, and the values
            of its repeats; those that are most in doubt first.
        confidence: of the intervals.
    """

    evaluation: str
    score: str
    metric: str
    noise: Noise
    rows: int
    cost: float | None
    flaky: tuple[tuple[int, Any, tuple[float, ...]], ...]
    confidence: float

    @property
    def within(self) -> float:
        """The part of the variance of the mean, as it was asked, that repeats make; 0 to 1."""
        of_repeats = self.noise.within / self.noise.repeats
        whole = of_repeats + self.noise.between
        return of_repeats / whole if whole else 0.0

    def plans(self) -> list[dict[str, Any]]:
        """What so many rows and repeats would buy: half the width of the interval, and the cost."""
        now = round(self.noise.repeats)
        return [
            {
                "rows": self.rows * times,
                "repeats": repeats,
                "records": self.rows * times * repeats,
                "half_width": self.noise.half_width(self.rows * times, repeats, self.confidence),
                "cost": None if self.cost is None else self.cost * self.rows * times * repeats,
            }
            for times in (1, 2, 4)
            for repeats in sorted({1, 2, 4, 8, now})
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval show --noise --json` prints."""
        return {
            "evaluation": self.evaluation,
            "score": self.score,
            **{name: getattr(self.noise, name) for name in self.noise.__slots__},
            "of_repeats": self.within,
            "plans": self.plans(),
            "flaky_rows": [
                {"position": position, "row": dict(row), "values": list(values)}
                for position, row, values in self.flaky
            ],
        }


def spreads(store: Store, evaluation: tuple[str, str], confidence: float = 0.95) -> list[Spread]:
    """
    The noise of each score of an evaluation, by (experiment, name), that was asked several times.

    Raises:
        NotFound: there is no such experiment or evaluation.
    """
    tally = store.tally(*evaluation)
    if tally.repeats < 2:
        return []
    values = Values(store, *evaluation, store.runs(*evaluation))
    found = {name: values.of(name) for name, facts in tally.scores.items() if not facts["nans"]}
    known = {name: parts for name, rows in found.items() if (parts := noise([*rows.values()]))}
    flaky = {name: _doubtful(found[name]) for name in known}
    records = _first_of(store, evaluation, {key for keys in flaky.values() for key in keys})
    each = None if tally.cost is None else tally.cost / max(1, tally.scored + tally.failed)
    return [
        Spread(
            evaluation[1],
            name,
            "accuracy" if tally.scores[name]["boolean"] else "mean",
            parts,
            len(found[name]),
            each,
            tuple(
                (records[key].position, records[key].row, tuple(found[name][key]))
                for key in flaky[name]
                if key in records
            ),
            confidence,
        )
        for name, parts in known.items()
    ]


def is_flaky(values: Sequence[Any]) -> bool:
    """Whether the repeats of a row are not all the same; NaN is the same as NaN."""
    first = values[0]
    return any(each != first and (each == each or first == first) for each in values)


def _doubtful(rows: Rows) -> list[bytes]:
    """The flaky rows, those first whose repeats differ most."""

    def spread(key: bytes) -> float:
        mean = sum(rows[key]) / len(rows[key])
        return -sum((value - mean) ** 2 for value in rows[key]) / len(rows[key])

    return sorted(filter(lambda key: is_flaky(rows[key]), rows), key=spread)


def _first_of(store: Store, evaluation: tuple[str, str], keys: set[bytes]) -> dict[bytes, Record]:
    """A record of each of these rows."""
    found: dict[bytes, Record] = {}
    for record in store.records(*evaluation, failed=False) if keys else ():
        if record.key in keys:
            found.setdefault(record.key, record)
    return found


def plan_table(spread: Spread) -> Table:
    """What more rows or repeats would buy."""
    rows = [
        (
            plan["rows"],
            plan["repeats"],
            plan["records"],
            Cell(half := plan["half_width"], shown=f"±{change(spread.metric, half, 2 * half)[1:]}"),
            Cell(
                plan["cost"], shown=text.NOTHING if plan["cost"] is None else figure(plan["cost"])
            ),
        )
        for plan in spread.plans()
    ]
    sure = f"{percentage(spread.confidence)} CI"
    return Table(("rows", "repeats", "records", sure, "cost"), rows)


def spread_lines(spread: Spread, terminal: Terminal) -> Iterator[str]:
    """A block for a score."""
    parts = spread.noise
    yield from flow(
        [
            Piece(terminal.shown(spread.score), "strong"),
            Piece(plural(spread.rows, "row")),
            Piece(f"{parts.repeats:.3g} repeats"),
        ],
        terminal,
    )
    facts = [
        Piece(f"variance {figure(parts.between)} between rows, {figure(parts.within)} within"),
        Piece(f"of the interval repeats make {text.percent(spread.within)}"),
    ]
    yield from flow(facts, terminal, "  ", 2)
    style = "warn" if parts.flaky else "good"
    facts = [
        Piece(
            f"{plural(parts.flaky, 'row')} flaky ({text.percent(parts.flaky / parts.rows)})", style
        )
    ]
    if parts.flips is not None:
        flips = figure(round(parts.flips * spread.rows, 1))
        facts.append(Piece(f"between two runs of an unchanged model {flips} rows would flip"))
    yield from flow(facts, terminal, "  ", 2)
    yield from plan_table(spread).lines(terminal, 2)
    for position, row, values in spread.flaky[:_MOST_FLAKY]:
        named = [f"{k}={as_text(v, limit=200)}" for k, v in row.items()]
        yield from flow(
            [
                Piece(f"row {position}"),
                Piece(_told(values, spread.metric), "warn"),
                Piece(terminal.shown(", ".join(named), 200)),
            ],
            terminal,
            "  ",
            2,
        )
    more = len(spread.flaky) - _MOST_FLAKY
    if more > 0:
        yield terminal.paint(f"  and {plural(more, 'other row')}", "dim")


def _told(values: tuple[float, ...], metric: str) -> str:
    if metric == "accuracy":
        return f"{sum(values):.0f} of {len(values)} right"
    return f"{figure(min(values))} to {figure(max(values))}"
