"""
Which of several records of one row counts, when stores are merged.

Nothing here depends on the order in which the stores come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..record import LIVE, STALE, SUPERSEDED, Run


class Row(NamedTuple):
    """
    What decides whether a record counts.

    Attributes:
        id: in OUT, the store that is merged into; None: it is not there yet.
        run: its number in OUT.
        state: LIVE, STALE or SUPERSEDED. failed: whether it has no scores.
        digest: of the other columns, where the row has an id.
        started: Unix seconds.
    """

    id: int | None
    run: int
    state: int
    failed: bool
    digest: bytes | None
    started: float


class Decision(NamedTuple):
    """
    What becomes of the records of a row.

    Attributes:
        states: by their ids in OUT; under None, of the source's record.
        conflict: whether two stores have a result of it.
    """

    states: Mapping[int | None, int]
    conflict: bool = False


class Rivals:
    """
    Decides for the rows of one evaluation of a source.

    Args:
        here, there: the runs of OUT and of the source.
        uids: of the runs, by their numbers in OUT.
    """

    def __init__(self, here: Iterable[Run], there: Iterable[Run], uids: Mapping[int, str]) -> None:
        self._fresh_here = _last_fresh(here)
        self._fresh_there = _last_fresh(there)
        self._uids = uids

    def decide(self, theirs: Row, mine: list[Row]) -> Decision:
        """
        What becomes of a record of the source, and of OUT's records of the same row and repeat.

        A result counts and not a failure; of two results the earlier, of two failures the later;
        of two contents of a row with an id the later; and what was run anew (`--fresh`) in place
        of what was there before.
        """
        for each in mine:
            if each.run == theirs.run:
                return Decision(_followed(theirs, each, mine))
        if theirs.state == SUPERSEDED:
            return Decision({None: SUPERSEDED})
        states: dict[int | None, int] = {}
        best, state, conflict = theirs, theirs.state, False
        for twin in mine:
            if twin.state != SUPERSEDED and twin.digest == theirs.digest:
                wins, conflict = self._is_better(theirs, twin)
                best, other = (theirs, twin) if wins else (twin, theirs)
                state = min(theirs.state, twin.state)  # it counts if either did
                states[other.id] = SUPERSEDED
        for other in mine:
            if state == other.state == LIVE and other.digest != theirs.digest:
                if self._is_newer(best, other):  # the row was changed in between
                    states[other.id] = _outdated(other)
                else:
                    state = _outdated(best)
        return Decision({**states, best.id: state}, conflict)

    def _is_better(self, theirs: Row, mine: Row) -> tuple[bool, bool]:
        """Whether the source's record counts, and not OUT's; and whether that is a conflict."""
        anew = self._anew(theirs, mine)
        if anew is not None:
            return anew, False
        later = self._is_later(theirs, mine)
        if theirs.failed or mine.failed:
            return (later if theirs.failed == mine.failed else mine.failed), False
        return not later, theirs.state == mine.state == LIVE

    def _is_newer(self, best: Row, mine: Row) -> bool:
        """Whether a record is of the newer content of its row."""
        anew = self._anew(best, mine) if best.id is None else None
        return self._is_later(best, mine) if anew is None else anew

    def _anew(self, theirs: Row, mine: Row) -> bool | None:
        """Whether the source began anew after OUT's record was made; False: OUT after theirs."""
        if theirs.started >= self._fresh_there > mine.started:
            return True
        return False if mine.started >= self._fresh_here > theirs.started else None

    def _is_later(self, one: Row, other: Row) -> bool:
        uids = self._uids
        return (one.started, uids[one.run]) > (other.started, uids[other.run])


def _last_fresh(runs: Iterable[Run]) -> float:
    """When a run began anew for the last time; 0.0: never."""
    return max((run.started for run in runs if run.header.get("fresh")), default=0.0)


def _followed(theirs: Row, same: Row, mine: list[Row]) -> dict[int | None, int]:
    """A record that was merged before: what the source has found out about it since."""
    if theirs.state == same.state or same.state == SUPERSEDED:
        return {}
    if theirs.state == LIVE and any(each.state == LIVE for each in mine):
        return {}
    return {same.id: theirs.state}


def _outdated(row: Row) -> int:
    """As when a row is changed: a result counts again when the row is as it was."""
    return SUPERSEDED if row.failed else STALE
