"""
When nothing succeeds at all: spaced attempts until something does.

One failure changes nothing, two in a row pause growth, a whole window of them is an outage.
"""

from __future__ import annotations

STREAK = 5  # failures without a success, and at least a whole window of them: an outage
PAUSING = 2  # failures in a row that pause growth
FIRST, FACTOR, LAST = 1.0, 1.5, 5.0  # seconds between attempts in an outage


class Outage:
    """
    Whether there is one, and what it interrupted.

    Attributes:
        active: whether nothing succeeds at present.
        gap: seconds between two attempts while it lasts.
        level: the limit to go back to.
    """

    def __init__(self) -> None:
        self.active, self.gap, self.level = False, FIRST, 0
        self._streak = 0  # failures since the last success

    @property
    def pauses(self) -> bool:
        """Whether this is no time to grow."""
        return self._streak >= PAUSING

    def failed(self, limit: int) -> bool:
        """One more failure at this limit. Whether that is the beginning of an outage."""
        self._streak += 1
        if self.active:
            self.gap = min(LAST, self.gap * FACTOR)
        return not self.active and self._streak >= max(STREAK, limit)

    def begin(self, level: int) -> None:
        """Nothing succeeds; afterwards back to this level."""
        self.active, self.gap, self.level = True, FIRST, level

    def succeeded(self) -> None:
        """The row of failures is broken, which is not yet the end of an outage."""
        self._streak = 0

    def recover(self, limit: int, lowest: int) -> int:
        """The limit after a success: half of the old level with the first, then all of it."""
        half = max(lowest, self.level // 2)
        if limit < half:
            return half
        self.active = False
        return self.level

    def __repr__(self) -> str:
        state = f"active, then back to {self.level}" if self.active else "none"
        return f"Outage({state}, {self._streak} failures in a row)"
