"""
What may stand in a column.

SQLite's columns have affinities and no types, and a store may come from anywhere or have been
damaged: whoever reads rows has them checked here, a column at a time, and goes on with values of
which it knows the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..record import LIVE, STALE, SUPERSEDED

STATUSES = ("running", "complete", "incomplete", "interrupted", "stalled", "stopped", "failed")
OUTCOMES = ("congestion", "trouble", "ignored")
MOST = 2**63  # of a whole number, which a column holds in 64 bits, and of any other
FEW = 2**31  # of what is added up in 64 bits
REPEATS = 2**24  # of a row: `keys` has a bit for each
KEY, DIGEST = 16, 8  # bytes; see `keys.Identities.meet`


class Kind(NamedTuple):
    """
    The values that a column may hold.

    Attributes:
        said: what they are, as "expected …".
        types: theirs.
        low, high: the least and the most of numbers; None: any.
        fits: what else must be so of each; None: nothing.
    """

    said: str
    types: tuple[type, ...]
    low: float | None = None
    high: float | None = None
    fits: Callable[[Any], bool] | None = None

    def optional(self) -> Kind:
        """The same, or nothing."""
        fits = self.fits
        return self._replace(
            said=f"{self.said}, or NULL",
            types=(*self.types, type(None)),
            fits=None if fits is None else lambda value: value is None or fits(value),
        )

    def takes(self, values: Iterable[Any]) -> bool:
        """Whether all of these may stand there."""
        types = {*map(type, values)}
        if not types <= {*self.types}:
            return False
        if self.low is not None and self.high is not None:
            if type(None) in types:
                values = [value for value in values if value is not None]
            if types != {type(None)} and types:
                return bool(self.low <= min(values) and max(values) <= self.high)
        return self.fits is None or all(self.fits(value) for value in values)


def _is_value(value: Any) -> bool:
    """Whether it is what `entries.value_to` makes; a text is an integer beyond 63 bits."""
    return not isinstance(value, str) or (len(value) < 5_000 and value.lstrip("-").isdecimal())


TEXT = Kind("a text", (str,))
WHOLE = Kind("a whole number, 0 or more", (int,), 0, MOST - 1)
COUNT = Kind("a whole number, 0 or more, of a sensible size", (int,), 0, FEW - 1)
NUMBER = Kind("a number of a sensible size", (int, float), -MOST, MOST)
SPENT = Kind("a number, 0 or more, of a sensible size", (int, float), 0, MOST)
SUM = Kind("a sum of such numbers", (int, float), -(2.0**127), 2.0**127)
FIGURE = Kind("a number", (int, float))
_ONE_OF = "one of: {}"

# By the column's name, where that is enough, else by that of the table as well.
KINDS = {
    **dict.fromkeys(
        ("id", "evaluation", "run", "record", "position", "concurrency",
         "revision", "scores.name", "n", "trials", "nans", "unread", "empty", "differing"),
        WHOLE,
    ),
    "experiment": Kind("a whole number", (int,), -MOST, MOST - 1),  # see deletion
    **dict.fromkeys(("attempts", "number"), COUNT),
    "repeat": COUNT._replace(high=REPEATS - 1),
    **dict.fromkeys(
        ("name", "uid", "part", "header", "metrics", "body", "attempts.error", "message", "request",
         "response"),
        TEXT,
    ),
    **dict.fromkeys(("created", "started", "duration", "waited"), NUMBER),
    **dict.fromkeys(("history", "error", "cluster", "sums"), TEXT.optional()),
    **dict.fromkeys(("input_tokens", "output_tokens", "cost"), SPENT.optional()),
    **dict.fromkeys(("low", "high", "score_names.total", "squares"), FIGURE.optional()),
    "bodies.body": Kind("anything", (str, bytes, int, float, type(None))),  # for who counts them
    "finished": NUMBER.optional(),
    "total": WHOLE.optional(),
    "pid": Kind("a whole number", (int,)),
    "summed": Kind("a whole number", (int, type(None))),
    "key": Kind(f"{KEY} bytes", (bytes,), fits=lambda key: len(key) == KEY),
    "digest": Kind(f"{DIGEST} bytes", (bytes,), fits=lambda of: len(of) == DIGEST).optional(),
    "calls.digest": Kind(f"{KEY} bytes", (bytes,), fits=lambda of: len(of) == KEY),
    "state": Kind("live, stale or superseded", (int,), min(LIVE, STALE, SUPERSEDED), SUPERSEDED),
    "status": Kind(_ONE_OF.format(", ".join(STATUSES)), (str,), fits=STATUSES.__contains__),
    "outcome": Kind(_ONE_OF.format(", ".join(OUTCOMES)), (str,), fits=OUTCOMES.__contains__),
    "value": Kind("a number", (int, float, str, type(None)), fits=_is_value),
    "scores.boolean": Kind("a mark of a score", (int,), 0, 15),
    "boolean": Kind("0 or 1", (int,), 0, 1),
}  # fmt: skip

_known: dict[str, tuple[tuple[str, Kind], ...]] = {}


def kinds(select: str) -> tuple[tuple[str, Kind], ...]:
    """The names and the kinds of the columns that a query selects, such as "runs.id, name"."""
    found = _known.get(select)
    if found is None:
        names = [name.strip() for name in select.split(",")]
        found = _known[select] = tuple(
            (name, KINDS.get(name) or KINDS[name.rpartition(".")[2]]) for name in names
        )
    return found


def odd_in(select: str, rows: Sequence[Sequence[Any]]) -> str | None:
    """What is wrong with the first value that does not belong where it stands; None: nothing."""
    for (name, kind), values in zip(kinds(select), zip(*rows, strict=True), strict=False):
        if not kind.takes(values):
            odd = next(value for value in values if not kind.takes((value,)))
            return f"{name} is {odd!r:.40}, expected {kind.said}"
    return None
