"""
The rate that an endpoint accepts, learnt from its refusals: starts per second.

The pace follows CUBIC's curve (Ha, Rhee and Xu, 2008; botocore's adaptive mode uses it for the
same purpose): from just below the rate that was accepted up to it, flat there, then beyond it.
"""

from __future__ import annotations

import math

PROOF = 8  # attempts accepted between two refusals that make their rate known
BELOW = 0.97  # pace after a refusal, as a share of the rate that was accepted
PLATEAU = 40.0  # accepted attempts until the pace is back at that rate; then it probes beyond
PATIENCE = 5.0  # a refusal that costs a hold of h seconds is risked once in 10·h seconds
LONGEST = 60.0  # seconds of a hold that are believed here; the loop obeys all of them
OVERSHOT = 1.2  # pace at a refusal over what was accepted: an overflowing bucket hid the rest
RATE_GONE = 3.0  # pace over the known rate from which on the old rate means nothing


class LearnedRate:
    """
    How many attempts may start in a second.

    Attributes:
        pace: starts per second; None: no rate limit is known.
        rate: that was accepted, which the pace follows; meaningless without a pace.
    """

    def __init__(self) -> None:
        self.pace: float | None = None
        self.rate = 0.0
        self._count = 0  # accepted since the last refusal
        self._known = 0  # attempts that the rate is known by
        self._plateau, self._width = PLATEAU, 1.0 - BELOW

    @property
    def gap(self) -> float:
        """Seconds between two starts; 0 where no rate limit is known."""
        return 1.0 / self.pace if self.pace is not None else 0.0

    @property
    def beyond(self) -> bool:
        """Whether more is tried than is known to be accepted."""
        return self.pace is not None and self.pace > self.rate

    @property
    def known(self) -> bool:
        """Whether the rate is known well enough to say what it does not explain."""
        return self._known >= 5 * PLATEAU

    def forget(self) -> None:
        """There is no rate limit."""
        self.pace = None

    def refused(self, accepted: int, elapsed: float, hold: float, held: float) -> None:
        """
        What was accepted between two refusals is the rate.

        During a long hold a small bucket runs over, so the rate is between that and what was
        accepted outside the hold: their geometric mean.

        Args:
            accepted: attempts between the two refusals, 1 or more.
            elapsed: seconds between their starts.
            hold, held: the pause that this refusal and the one before it asked for, seconds.
        """
        rate = accepted / elapsed
        if accepted >= PROOF and 0.2 * elapsed < held < elapsed:
            rate = math.sqrt(rate * accepted / (elapsed - held))
        if self.pace is None:
            self._known = 0
        else:
            if accepted >= PROOF and self.pace > OVERSHOT * rate:
                rate = math.sqrt(rate * self.pace)
            weight = accepted / (accepted + 5.0)  # few say little
            rate = self.rate ** (1.0 - weight) * rate**weight
        self.rate, self._count, self.pace = rate, 0, BELOW * rate
        # The less the rate was known, the sooner and the wider more is tried; but rarely where
        # a refusal costs a long hold.
        self._known += accepted
        self._plateau = max(
            min(PLATEAU, 4.0 + 0.5 * self._known), PATIENCE * min(hold, LONGEST) * rate
        )
        self._width = max(1.0 - BELOW, min(0.5, 1.0 / max(1, self._known)))

    def accepted(self) -> int:
        """One more was accepted: go on along the curve. How many since the last refusal."""
        self._count += 1
        x = self._count / self._plateau - 1.0
        pace = self.rate * (1.0 + (self._width if x > 0 else 1.0 - BELOW) * x**3)
        self.pace = pace if pace <= RATE_GONE * self.rate else None
        return self._count

    def __repr__(self) -> str:
        if self.pace is None:
            return "LearnedRate(none)"
        return f"LearnedRate({self.pace:.3g}/s, {self.rate:.3g}/s known by {self._known})"
