"""
When the next attempt may start: the limits a user knows of, and the pause an endpoint asked for.

Moments are seconds on the caller's clock (the loop's `time()`); nothing here reads a clock or
waits.
"""

from __future__ import annotations

import math
import re
import threading

from ..errors import UsageError

_EXAMPLES = '"500/min", "10/s", "90000 tokens/min" or "500/min and 90000 tokens/min"'

_MARGIN = 1e-6
"""
Starts are this much farther apart than the arithmetic says. A millionth of the rate buys that no
sum of rounded floats puts one start too many into a window.
"""

_JUMP = 10.0
"""
Seconds; a moment earlier than the last one by more than this is another clock, not a thread that
was late. Virtual clocks start at 0 each time.
"""

_LATE = 0.02
"""
Seconds, and at least a hundredth of the window: how much a start that comes late (timers are
coarse, loops are busy) may be made up for by the next ones, where the user chose no burst.
"""

_TOKEN_SLACK = 0.1
"""
The share of a window's tokens that may be used at once after a pause. Usage is reported in lumps,
a call's tokens at a time; without slack every single report would stop the starts.
"""


class RateLimit:
    """
    At most so many starts, or tokens, per so many seconds, for everything that shares the object.

        LIMIT = RateLimit(requests=500, tokens=90_000, per=60)
        LIMIT = RateLimit.parse("500/min and 90000 tokens/min")

    Give one object to several evaluations of the same endpoint and they stay below the limit
    together, from one thread or several. Each attempt counts, retries too. Processes (xdist's
    workers) do not share: give each its part.

    Requests are spaced by the generic cell rate algorithm: starts are `per / requests` seconds
    apart on average, and what a pause left unused may be made up for at once, up to `burst`
    starts. Tokens are known only afterwards: they are charged when an attempt reports its usage,
    and while the account is overdrawn nothing starts. So the tokens of the attempts in flight
    come on top of the limit once.

    Args:
        requests: starts per window; None: not limited.
        tokens: tokens per window, input and output together; None: not limited.
        per: the window, seconds.
        burst: how many starts may come at once after a pause, from 1. The default is about one
            in a hundred requests, with the rate lowered by as much, so that no window of `per`
            seconds ever sees more than `requests` starts. A burst of your own leaves the rate as
            it is: the first window may then see `requests + burst - 1`.

    Raises:
        ValueError: a value that is no number or out of its range, or nothing to limit.

    Source: ITU-T Recommendation I.371 (2004), annex A (GCRA, virtual scheduling).
    """

    __slots__ = (
        "_due",
        "_interval",
        "_last",
        "_lock",
        "_paid",
        "burst",
        "per",
        "requests",
        "tokens",
    )

    def __init__(
        self,
        requests: float | None = None,
        tokens: float | None = None,
        per: float = 60.0,
        burst: int | None = None,
    ) -> None:
        if requests is None and tokens is None:
            raise UsageError("RateLimit() limits nothing: give requests=, tokens= or both")
        for name, value in (("requests", requests), ("tokens", tokens), ("per", per)):
            if value is not None and not (_is_number(value) and 0 < value < math.inf):
                raise UsageError(f"RateLimit({name}={value!r}): expected a number above 0")
        if burst is not None and (not isinstance(burst, int) or isinstance(burst, bool)):
            raise UsageError(f"RateLimit(burst={burst!r}): expected a whole number, 1 or more")
        if burst is not None and burst < 1:
            raise UsageError(f"RateLimit(burst={burst}): expected 1 or more; 1 means no burst")
        if burst is not None and requests is None:
            raise UsageError(f"RateLimit(burst={burst}): a burst needs requests= as well")
        self.requests = requests
        self.tokens = tokens
        self.per = float(per)
        if requests is None:
            self.burst = 1
            self._interval = 0.0
        elif burst is None:
            # The busiest window has `burst` starts at once and one per interval behind them.
            late = min(max(_LATE / per, 0.01), 0.5)
            self.burst = 1 + int(late * (requests - 1))
            self._interval = per / (requests - self.burst + 1) * (1 + _MARGIN)
        else:
            self.burst = burst
            self._interval = per / requests * (1 + _MARGIN)
        self._due = -math.inf  # GCRA's theoretical arrival time: when an even flow has its next
        self._paid = -math.inf  # when the tokens used so far will have been earned
        self._last = -math.inf  # the latest moment that anybody told us
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, text: str) -> RateLimit:
        """
        A limit from a text.

        One or two parts, joined by "and" or a comma and a blank; each a number ("500", "90_000",
        "90k", "2M"), "requests" (may be left out) or "tokens", and "/" or "per" with s, min, h
        or day, written out or not. "500 rpm" and "90k tpm" are understood as well.

        Raises:
            ValueError: the text is no such limit, or its parts speak of different windows.
        """
        from ..quantities import parse_rate  # here: most evaluations load none

        if not isinstance(text, str):
            raise UsageError(f"rate_limit={text!r}: expected a text such as {_EXAMPLES}")
        found: dict[str, float] = {}
        windows = set()
        for part in re.split(r",\s+|\s+and\s+", " ".join(text.lower().split())):
            try:
                rate = parse_rate(part)
            except UsageError as error:
                raise UsageError(f"rate_limit={text!r}: {error}") from None
            if rate is None:
                raise UsageError(f"rate_limit={text!r}: expected a limit such as {_EXAMPLES}")
            kind, number, window = rate
            if kind in found:
                raise UsageError(f"rate_limit={text!r} limits {kind} twice; say it once")
            found[kind] = number
            windows.add(window)
        if len(windows) > 1:
            raise UsageError(
                f"rate_limit={text!r} speaks of two windows; use one unit for both parts"
            )
        return cls(found.get("requests"), found.get("tokens"), windows.pop())

    def ready_at(self, now: float) -> float:
        """
        The earliest moment at which an attempt may start; `now` or earlier means at once.

        Only a look: nothing is reserved, so whoever waited looks again before it starts.
        """
        with self._lock:
            shift = self._shift(now)
            ready = max(self._due - (self.burst - 1) * self._interval, self._paid) + shift
        return max(ready, now)

    def take(self, now: float) -> None:
        """An attempt starts now; it counts whether it was allowed to or not."""
        with self._lock:
            self._follow(now)
            if self._interval:
                self._due = max(self._due, now) + self._interval

    def spent(self, tokens: int, now: float) -> None:
        """
        An attempt used tokens: input and output together.

        Raises:
            ValueError: tokens is negative or no number.
        """
        if not _is_number(tokens) or not 0 <= tokens < math.inf:
            raise UsageError(f"spent(tokens={tokens!r}): expected a number of tokens, 0 or more")
        if self.tokens is None:
            return
        with self._lock:
            self._follow(now)
            slack = _TOKEN_SLACK * self.per
            self._paid = max(self._paid, now - slack) + tokens * self.per / self.tokens

    def _shift(self, now: float) -> float:
        """What turns the stored moments into the caller's clock."""
        return now - self._last if now < self._last - _JUMP else 0.0

    def _follow(self, now: float) -> None:
        """Take over the caller's clock; what is owed stays owed."""
        shift = self._shift(now)
        self._due += shift
        self._paid += shift
        self._last = now if shift else max(self._last, now)

    def __repr__(self) -> str:
        given = {"requests": self.requests, "tokens": self.tokens, "per": self.per}
        parts = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"RateLimit({', '.join(parts)}, burst={self.burst})"


def as_rate_limit(rate_limit: str | RateLimit | None) -> RateLimit | None:
    """
    The limit that `rate_limit=` stands for.

    A text makes a limit of its own: evaluations that are to share one must be given the same
    object.

    Raises:
        ValueError: it is neither None, a RateLimit nor a text that `RateLimit.parse` reads.
    """
    if rate_limit is None or isinstance(rate_limit, RateLimit):
        return rate_limit
    if isinstance(rate_limit, str):
        return RateLimit.parse(rate_limit)
    raise UsageError(
        f"rate_limit={rate_limit!r}: expected a RateLimit(requests=..., per=...) or a text such "
        f"as {_EXAMPLES}"
    )


class Hold:
    """
    The pause that an endpoint asked for with Retry-After; it holds back every start, not one row.

    Attributes:
        until: the moment at which starts are welcome again.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = -math.inf

    def extend(self, now: float, retry_after: float) -> None:
        """
        The endpoint asked at `now` for `retry_after` seconds. The later end of two pauses counts.

        Args:
            retry_after: seconds; `retry.read` has bounded it.

        Raises:
            ValueError: retry_after is negative or not finite; that would end no pause, or never.
        """
        if not 0 <= retry_after < math.inf:
            raise UsageError(f"extend(retry_after={retry_after!r}): expected seconds, 0 or more")
        self.until = max(self.until, now + retry_after)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
