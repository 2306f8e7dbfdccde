"""
Bins for the pictures of a page: what was in flight and finished over time, and latencies.

Records go in one at a time, into memory that does not grow with their number; plain numbers come
out. The page draws them.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..record import Record, Run

_MOST_BINS, _LEAST_BINS = 150, 24  # stretches of time in a picture,
_IN_BIN = 12  # of so many records each, where there are few
_MOST_PAUSES = 50
_FINE = 100  # bins a decade of latency that are counted; shown in groups
_GROUPS = (1, 2, 4, 5, 10, 20, 25, 50, 100)
_BARS = 32  # in a histogram, at most
_EVERY = 8  # bars between two labels; closer ones would overlap where three pictures share a line
_SHORTEST, _DECADES = -5, 11  # 10 µs to 10^6 s; what is beyond counts at the edge


# --- over time --------------------------------------------------------------------------------


class _Stretch(NamedTuple):
    """A time without a pause in which at least one run worked: Unix seconds, seconds before it."""

    began: float
    ended: float
    offset: float


class Timeline:
    """
    In flight and finished over the time in which runs worked; the pauses between them are left out.

    Args:
        runs: whose time it is, oldest first.
        records: how many there are, about: a picture of few records is coarse.
        ended: Unix seconds of the last record's end, for runs that died without a word.
    """

    def __init__(self, runs: Sequence[Run], records: int, ended: float | None = None) -> None:
        self.runs = runs
        self._bins = min(max(records // _IN_BIN, _LEAST_BINS), _MOST_BINS)
        self._stretches = _stretches(runs, ended)
        last = self._stretches[-1] if self._stretches else _Stretch(0.0, 0.0, 0.0)
        self.seconds = last.offset + last.ended - last.began
        self._begins = [each.began for each in self._stretches]
        self._in_flight = array("d", bytes(8 * (self._bins + 1)))  # its differences, bin by bin
        self._finished = array("d", bytes(8 * self._bins))
        self._failed = array("d", bytes(8 * self._bins))

    def add(self, record: Record) -> None:
        """Count the last attempt of a record."""
        if not self.seconds > 0:
            return
        ended = self.at(record.started + record.duration)
        first = self._bin(ended)
        self._finished[first] += 1
        if record.failed:
            self._failed[first] += 1
        began = max(min(self.at(record.started), ended), 0.0)
        # What covers a bin as a whole adds one; the two ends add the part that they cover.
        size = self.seconds / self._bins
        low, high = min(began / size, self._bins), min(ended / size, self._bins)
        at, last = min(int(low), self._bins - 1), min(int(high), self._bins - 1)
        if at == last:
            self._put(at, high - low)
            return
        self._put(at, at + 1 - low)
        self._in_flight[at + 1] += 1
        self._in_flight[last] -= 1
        self._put(last, high - last)

    def _put(self, at: int, part: float) -> None:
        self._in_flight[at] += part
        self._in_flight[at + 1] -= part

    def at(self, moment: float) -> float:
        """Seconds of work before a moment in Unix seconds."""
        index = max(bisect_right(self._begins, moment) - 1, 0)
        stretch = self._stretches[index]
        inside = min(max(moment - stretch.began, 0.0), stretch.ended - stretch.began)
        return stretch.offset + inside

    def _bin(self, seconds: float) -> int:
        return min(int(seconds / self.seconds * self._bins), self._bins - 1)

    @property
    def in_flight(self) -> list[float]:
        """Mean number of last attempts in flight, by bin."""
        level, levels = 0.0, []
        for change in self._in_flight[: self._bins]:
            level += change
            levels.append(max(level, 0.0))
        return levels

    @property
    def per_second(self) -> list[float]:
        """Records finished per second, by bin."""
        return [n * self._bins / self.seconds for n in self._finished]

    @property
    def failures(self) -> list[float]:
        """Records failed per second, by bin."""
        return [n * self._bins / self.seconds for n in self._failed]

    def limits(self) -> list[list[tuple[float, float]]]:
        """How the limit of each run moved, as (seconds of work, limit); no line without moves."""
        lines = []
        for run in self.runs:
            line = [
                (self.at(run.started + float(change["at"])), float(change["limit"]))
                for change in run.history
            ]
            if line:
                lines.append([*line, (self.at(_end_of(run, self._stretches)), line[-1][1])])
        return lines

    def pauses(self) -> list[float]:
        """Where one stretch of work follows another, in seconds of work."""
        return [each.offset for each in self._stretches[1:]]

    def to_dict(self) -> dict[str, Any] | None:
        """Plain data; None where no run took any time."""
        if not self.seconds > 0:
            return None
        return {
            "seconds": self.seconds,
            "in_flight": self.in_flight,
            "per_second": self.per_second,
            "failures": self.failures,
            "limits": self.limits(),
            "pauses": self.pauses()[:_MOST_PAUSES],
        }


def _end_of(run: Run, stretches: Sequence[_Stretch]) -> float:
    if run.finished is not None:
        return run.finished
    return max((each.ended for each in stretches if each.began <= run.started), default=run.started)


def _stretches(runs: Sequence[Run], ended: float | None) -> list[_Stretch]:
    """The union of the times of the runs, without the pauses between them."""
    spans = []
    for run in runs:
        end = run.finished
        if end is None:  # it works, or died: as far as its records go
            end = max(run.started, ended or run.started)
        spans.append((run.started, max(end, run.started)))
    merged: list[list[float]] = []
    for began, end in sorted(spans):
        if merged and began <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([began, end])
    found, offset = [], 0.0
    for began, end in merged:
        found.append(_Stretch(began, end, offset))
        offset += end - began
    return found


# --- latencies --------------------------------------------------------------------------------


class Histogram:
    """Latencies in fine logarithmic bins, so that one pass suffices whatever they are."""

    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * _FINE * _DECADES))

    def add(self, seconds: float) -> None:
        """Count a latency; what is shorter than 10 µs counts as that."""
        self._counts[self._bin(seconds)] += 1

    def _bin(self, seconds: float) -> int:
        if not seconds > 10**_SHORTEST:
            return 0
        last = len(self._counts) - 1
        return int(min((math.log10(seconds) - _SHORTEST) * _FINE, last))

    def bars(self) -> tuple[list[int], list[float]]:
        """
        What to show: counts, and the edges between them in seconds (one more than counts).

        At most 32 bars, as fine as that allows; their number is a multiple of 8.
        """
        used = [index for index, n in enumerate(self._counts) if n]
        if not used:
            return [], []
        group = next(n for n in _GROUPS if used[-1] // n - used[0] // n < _BARS)
        first, last = _padded(used[0] // group, used[-1] // group)
        counts = [
            sum(self._counts[max(index, 0) * group : max(index + 1, 0) * group])
            for index in range(first, last + 1)
        ]
        edges = [10 ** (index * group / _FINE + _SHORTEST) for index in range(first, last + 2)]
        return counts, edges

    def to_dict(self) -> dict[str, Any] | None:
        """Plain data; None where nothing was counted."""
        counts, edges = self.bars()
        return {"counts": counts, "edges": edges, "every": _EVERY} if counts else None


def _padded(first: int, last: int) -> tuple[int, int]:
    """Whole groups of bars between labels, at least two, with the data in their middle."""
    wanted = max(-(-(last - first + 1) // _EVERY), 2) * _EVERY
    spare = wanted - (last - first + 1)
    return first - spare // 2, last + spare - spare // 2
