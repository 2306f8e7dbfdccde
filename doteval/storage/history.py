"""
What earlier runs left, for who only looks: nothing is made, locked or written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..records import LIVE, STALE, Run, Stored
from .claims import Claims
from .database import Database
from .encoding import load, storable

_PAGE = 5_000  # records at a time
_RECENT = 20  # runs that are looked at
_OF = "evaluations JOIN experiments ON experiments.id = experiment"


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


class History:
    """
    A store in a file, looked at.

    Args:
        path: of the file, which exists and is not empty.

    Raises:
        StoreError: it can not be read, is not a store, or is newer than this doteval.
    """

    def __init__(self, path: Path) -> None:
        self._db = Database(path)
        self._claims = Claims(path.with_name(path.name + ".lock"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def stored(self, experiment: str, evaluation: str) -> Iterator[Stored]:
        """The live and stale records of an evaluation; none where there is no such evaluation."""
        one = (
            "SELECT id, key, digest, repeat, error, state FROM records "
            "WHERE id > ? AND evaluation = ? AND state = {}"
        )
        query = f"{one.format(LIVE)} UNION ALL {one.format(STALE)} ORDER BY id LIMIT ?"
        for number in self._numbers(experiment, evaluation):
            last = 0
            while page := self._db.all(query, last, number, last, number, _PAGE):
                last = page[-1][0]
                for id, key, digest, repeat, error, state in page:
                    yield Stored(id, key, digest, repeat, error is not None, state)

    def last_header(self, experiment: str, evaluation: str) -> Mapping[str, Any] | None:
        """The header of the last run of an evaluation; None where there was none."""
        found = self._db.all(
            f"SELECT header FROM {_OF} JOIN runs ON evaluation = evaluations.id "
            "WHERE experiments.name = ? AND evaluations.name = ? ORDER BY runs.id DESC LIMIT 1",
            storable(experiment), storable(evaluation),
        )  # fmt: skip
        header: Mapping[str, Any] | None = load(found[0][0]) if found else None
        return header

    def running(self, experiment: str, evaluation: str) -> int | None:
        """The process that is running an evaluation now, any part of it; None: nobody is."""
        for number in self._numbers(experiment, evaluation):
            for pid, part in self._db.all(
                "SELECT pid, part FROM runs WHERE evaluation = ? AND status = 'running'", number
            ):
                run = Run("", storable(experiment), storable(evaluation), 0, None, 0, "", pid, {})
                if self._claims.is_running(run, part):
                    return int(pid)
        return None

    def earlier(self, evaluation: str) -> list[Earlier]:
        """What the last runs of an evaluation took that have ended, in any experiment."""
        found = []
        counts: dict[int, dict[int, tuple[Any, ...]]] = {}
        for id, number, experiment, started, duration, header in self._db.all(
            "SELECT runs.id, evaluations.id, experiments.name, started, duration, header "
            f"FROM {_OF} JOIN runs ON evaluation = evaluations.id "
            "WHERE evaluations.name = ? AND finished IS NOT NULL ORDER BY started DESC LIMIT ?",
            storable(evaluation), _RECENT,
        ):  # fmt: skip
            if number not in counts:
                counts[number] = self._counts(number)
            if id in counts[number]:
                taken = counts[number][id]
                found.append(Earlier(experiment, started, duration, load(header), *taken))
        return found

    def _counts(self, number: int) -> dict[int, tuple[Any, ...]]:
        rows = self._db.all(
            "SELECT run, count(*), sum(error IS NOT NULL), sum(input_tokens), sum(output_tokens), "
            "sum(cost) FROM records WHERE evaluation = ? GROUP BY run",
            number,
        )
        return {run: tuple(sums) for run, *sums in rows}

    def _numbers(self, experiment: str, evaluation: str) -> list[int]:
        rows = self._db.all(
            f"SELECT evaluations.id FROM {_OF} WHERE experiments.name = ? AND evaluations.name = ?",
            storable(experiment), storable(evaluation),
        )  # fmt: skip
        return [number for (number,) in rows]
