"""
What earlier runs took: from which a plan foretells what the next one will.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .database import Database
from .encoding import load_header, storable

_RECENT = 20  # runs that are looked at


@dataclass(frozen=True, slots=True)
class Earlier:
    """
    What an earlier run of an evaluation took.

    Attributes:
        experiment: its name.
        started: Unix seconds. duration: seconds.
        header: of the run.
        records: how many it made. failed: how many of them without scores.
        input_tokens, output_tokens, cost: sums; None where nothing was reported.
    """

    experiment: str
    started: float
    duration: float
    header: Mapping[str, Any]
    records: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None


def runs_before(db: Database, evaluation: str) -> list[Earlier]:
    """What the last runs of an evaluation took that have ended, in any experiment."""
    found = []
    counts: dict[int, dict[int, tuple[Any, ...]]] = {}
    for id, number, experiment, started, duration, header in db.rows(
        "runs.id, evaluations.id, experiments.name, started, duration, header",
        "FROM evaluations JOIN experiments ON experiments.id = experiment "
        "JOIN runs ON evaluation = evaluations.id "
        "WHERE evaluations.name = ? AND finished IS NOT NULL ORDER BY started DESC LIMIT ?",
        storable(evaluation), _RECENT,
    ):  # fmt: skip
        if number not in counts:
            counts[number] = _counts(db, number)
        if id in counts[number]:
            taken = counts[number][id]
            found.append(Earlier(experiment, started, duration, load_header(header), *taken))
    return found


def _counts(db: Database, number: int) -> dict[int, tuple[Any, ...]]:
    rows = db.all(
        "SELECT run, count(*), sum(error IS NOT NULL), sum(input_tokens), sum(output_tokens), "
        "sum(cost) FROM records WHERE evaluation = ? GROUP BY run",
        number,
    )
    db.check("run, n, n, input_tokens, output_tokens, cost", rows)
    return {run: tuple(sums) for run, *sums in rows}
