"""
When a run can not succeed: what every row meets ends it, before it costs any more.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..record import FILES_REMEDY
from .reading import ACCOUNT, MACHINE, SETTINGS

_REFUSALS = 3  # times that all are refused, without a success of any, before that is believed


class Breaker:
    """
    Hears how attempts and rows end, and tells why nothing more should start.

    What is a row's own never trips it: one success ends the beginning, and each time that
    something succeeds after all seemed to be refused, it takes one refusal more to believe that.

    Args:
        most: rows at the beginning that all fail in one way, and end the run.
        trip: called with the cause, once.

    Attributes:
        tense: whether a success would change anything, so that not each has to be told.
    """

    def __init__(self, most: int, trip: Callable[[str], object]) -> None:
        self.tense = True
        self._most = most
        self._trip = trip
        self._way: object = None
        self._alike = 0  # rows that failed in this way
        self._blocked, self._blocked_at = 0, math.inf  # refusals of everybody in a row
        self._needed = _REFUSALS

    def succeeded(self, started: float) -> None:
        """An attempt that started at this moment returned something that counts."""
        self._most, self.tense = 0, False
        self._let_through(started)

    def _let_through(self, started: float) -> None:
        """Not everybody is refused."""
        if self._blocked and started >= self._blocked_at:
            self._needed += 1
        self._blocked = 0

    def failed(self, way: object, said: str, started: float, blocks: bool) -> None:
        """
        A row has failed for good.

        Args:
            way: equal for rows that failed in one way.
            said: what the error was, for people.
            started: when its last attempt did.
            blocks: whether `blocked` was told of it; any other end shows that it got further.
        """
        if not blocks:
            self._let_through(started)
        self._way = self._way or way
        self._alike += 1
        if way != self._way:
            self._most = 0
        elif self._alike == self._most:
            self._trip(f"the first {self._most} rows all failed in one way, {said}")

    def blocked(self, by: str, said: str, now: float) -> None:
        """
        An attempt met what every row will meet.

        Args:
            by: as `Reading.blocks`.
        """
        self.tense, self._blocked_at = True, now
        self._blocked += 1
        if self._blocked == self._needed:
            what, mend = _MENDED[by]
            times = f"{self._blocked} times, with nothing that succeeded between"
            self._trip(f"{what} {times}: {said}; {mend}")

    def held(self, seconds: str, until: str, patience: float, said: str) -> None:
        """
        The endpoint asks to be left alone for longer than anybody waits.

        Args:
            seconds: how long that is, until: when it is over; both for people.
            patience: seconds.
        """
        self._trip(
            f"the endpoint asks for a pause of {seconds} until {until}, more than the patience of "
            f"{patience:g} s: {said}"
        )


_MENDED = {
    ACCOUNT: ("the account was refused", "see to the key, the credit or the quota"),
    SETTINGS: ("every call was refused here", "see to the proxy and the address"),
    MACHINE: ("this process can open no file or socket, tried", FILES_REMEDY),
}
