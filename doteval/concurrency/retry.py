"""
When a failed attempt is worth another one, and how long to wait before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import UsageError
from .evidence import Outcome
from .reading import Reading

Function = Callable[..., Any]
Wrapper = Callable[[Function], Function]


@dataclass(frozen=True, slots=True)
class Retry:
    """
    When a failed attempt is worth another one, and how long to wait before it.

    Only what the endpoint may recover from is tried again: congestion (429, 529, 503 with
    Retry-After), 5xx, 408, lost connections and timeouts. A 400, a wrong key or a TypeError is
    the same next time.

    Attributes:
        attempts: how often a row is started at most, from 1; 1 means that nothing is tried
            again. Congestion, and an outage in which nobody's attempt succeeds, use up none of
            them: these rows wait.
        patience: seconds without a single success of anybody, after which the waiting rows
            fail and the run ends as stalled. `float("inf")` waits for ever.
        first: seconds, the upper end of the first backoff.
        longest: seconds, the upper end of any backoff. A Retry-After may be longer.

    Raises:
        ValueError: a value that is no number or out of its range.
    """

    attempts: int = 5
    patience: float = 600.0
    first: float = 1.0
    longest: float = 60.0

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int):
            raise UsageError(
                f"Retry(attempts={self.attempts!r}): expected a whole number, 1 or more"
            )
        if self.attempts < 1:
            raise UsageError(
                f"Retry(attempts={self.attempts}): expected 1 or more; the first attempt counts, "
                f"so 1 means no retry"
            )
        for name in ("patience", "first", "longest"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            endless = name == "patience"
            if not number or not value >= 0 or not (endless or value < math.inf):
                raise UsageError(f"Retry({name}={value!r}): expected seconds, 0 or more")
        if self.first > self.longest:
            raise UsageError(
                f"Retry(first={self.first!r}, longest={self.longest!r}): the first backoff is "
                f"longer than the longest; raise longest or lower first"
            )

    def retryable(self, reading: Reading) -> bool:
        """Whether a row whose attempt ended like this may be tried again at all."""
        curable = reading.again or reading.outcome in (Outcome.CONGESTION, Outcome.TROUBLE)
        return self.attempts > 1 and curable

    def delay(self, failures: int, random: Callable[[], float]) -> float:
        """
        Seconds to wait after a failed attempt: exponential backoff with full jitter.

        Uniform between 0 and min(longest, first x 2^(failures - 1)), so that rows that failed
        together do not come back together.

        Args:
            failures: failed attempts of this row so far, from 1.
            random: returns a float in [0, 1), as `random.random` does.

        Raises:
            ValueError: failures is below 1.

        Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        if failures < 1:
            raise UsageError(f"delay(failures={failures!r}): expected 1 or more")
        doublings = min(failures - 1, 1000)  # 2.0 ** 1024 does not fit into a float
        return random() * min(self.longest, self.first * 2.0**doublings)


def as_policy(retries: Any) -> tuple[Retry, Wrapper | None]:
    """
    What `retries=` stands for.

    Args:
        retries: None for the default `Retry()`; a `Retry`; an int, the number of attempts *after*
            the first, as in most clients: `retries=3` is `Retry(attempts=4)`, `retries=0` never
            tries again; or another library's object with `wraps(function)`, such as tenacity's
            `AsyncRetrying(...)` and `Retrying(...)`.

    Returns:
        our policy, and what puts another library's retries around a function. That makes one long
        attempt of all of its own, which we do not try again.

    Raises:
        ValueError: anything else.
    """
    if retries is None:
        return Retry(), None
    if isinstance(retries, Retry):
        return retries, None
    if isinstance(retries, type):
        raise UsageError(
            f"retries={retries.__name__} is a class; pass an instance: {retries.__name__}(...)"
        )
    if isinstance(retries, int):
        if isinstance(retries, bool) or retries < 0:
            raise UsageError(f"retries={retries!r}: expected 0 or more; 0 means no retry")
        return Retry(attempts=retries + 1), None
    if callable(getattr(retries, "wraps", None)):
        return Retry(attempts=1), partial(_wrapped, retries)
    raise UsageError(
        f"retries={retries!r}: expected a whole number of retries (0 for none), Retry(...), or "
        f"an object with wraps(function), such as tenacity.AsyncRetrying(...)"
    )


def _wrapped(retries: Any, function: Function) -> Function:
    """
    The function with another library's retries around it.

    tenacity's Retrying takes the coroutine that an `async def` returns for a success and never
    tries again; its AsyncRetrying makes of a `def` a coroutine that nobody awaits. Neither says
    so.

    Raises:
        ValueError: its retries are for the other kind of function.
    """
    from inspect import iscoroutinefunction  # a slow import, for policies that are rare

    wrapped: Function = retries.wraps(function)
    name, waits = type(retries).__name__, iscoroutinefunction(wrapped)
    if waits == iscoroutinefunction(function):
        return wrapped
    raise UsageError(
        f"retries={name}(...) awaits, and {function.__name__}() is a plain `def`; pass the "
        f"synchronous kind, such as tenacity.Retrying(...)"
        if waits
        else f"retries={name}(...) does not await: the `async def` {function.__name__}() would be "
        f"tried once; pass the asynchronous kind, such as tenacity.AsyncRetrying(...)"
    )
