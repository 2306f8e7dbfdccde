"""
How many attempts may be in flight at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .evidence import Outcome


class Gate:
    """
    One attempt at a time; what follows is what a gate may know better. Times are seconds.

    Attributes:
        counts: whether it wants to hear of each start and of each success.
    """

    counts = False

    @property
    def limit(self) -> int:
        """Attempts that may be in flight now."""
        return 1

    @property
    def history(self) -> Sequence[Any]:
        """How the limit moved, as changes with their reasons."""
        return ()

    @property
    def belief(self) -> str:
        """What it takes the endpoint for, in words."""
        return ""

    def room(self, in_flight: int) -> int:
        """How many more attempts may start."""
        return self.limit - in_flight

    def ready_at(self, now: float) -> float:
        """When the next attempt may start; not after `now`: at once."""
        return now

    def started(self, now: float) -> int:
        """An attempt starts. Returns a token for `ended`."""
        return 0

    def ended(
        self, token: int, now: float, outcome: Outcome, retry_after: float | None = None
    ) -> bool:
        """
        The attempt of this token ended.

        Returns:
            whether a Retry-After that came with it holds back every start, not only its row. A
            gate that can not tell congestion from chance says so.
        """
        return True


class Window(Gate):
    """A gate of fixed width."""

    def __init__(self, width: int) -> None:
        self._width = width

    @property
    def limit(self) -> int:
        return self._width

    def room(self, in_flight: int) -> int:
        return self._width - in_flight


class Batches(Window):
    """A gate that opens for a whole group, and again when all of the group have ended."""

    counts = True
    _left = 0

    def room(self, in_flight: int) -> int:
        if in_flight == 0:
            self._left = self._width
        return self._left

    def started(self, now: float) -> int:
        self._left -= 1
        return 0
