"""
What a run may use up before it stops by itself: time, tokens, money, failures.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import quantities
from .concurrency.pace import RateLimit
from .errors import UsageError
from .record import NO_USAGE, Usage

_EXAMPLE = "time=30m,tokens=2M,cost=5,errors=5%"
_FEW = 20  # outcomes before a share of failures means anything, or a figure is missed


@dataclass(frozen=True, slots=True)
class Budget:
    """
    Limits of one run. Where one is reached, nothing new starts, what is in flight finishes, and
    the same command resumes the run.

    Attributes:
        time: seconds.
        tokens: input and output together, of the records of this run.
        cost: as `usage` counts it, of the records of this run.
        errors: failed records.
        share: of failed records, in 0..1; judged from 20 records on.
        said: as it was typed.
    """

    time: float | None = None
    tokens: float | None = None
    cost: float | None = None
    errors: float | None = None
    share: float | None = None
    said: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.said

    @classmethod
    def parse(cls, text: str) -> Budget:
        """
        Read a budget such as "time=30m,tokens=2M,cost=5,errors=5%".

        Times end in s, m, h or d; counts may end in k, M or G; errors are a count or a share.

        Raises:
            UsageError: a part can not be understood; names it and shows an example.
        """
        found: dict[str, float] = {}
        for part in text.split(","):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or name not in ("time", "tokens", "cost", "errors"):
                raise UsageError(
                    f"{part.strip()!r} is no limit of time, tokens, cost or errors; write for "
                    f"example {_EXAMPLE}"
                )
            key = "share" if name == "errors" and value.endswith("%") else name
            if key in found:
                raise UsageError(f"{name} is limited twice")
            found[key] = _amount(key, value)
        return cls(**found, said=text)

    def spent(
        self, elapsed: float, tokens: float, cost: float, failed: int, done: int
    ) -> str | None:
        """Which limit is reached, as a sentence; None: none is."""
        if self.time is not None and elapsed >= self.time:
            return f"the time of {self.time:g} s is used up"
        if self.tokens is not None and tokens >= self.tokens:
            return f"{tokens:,.0f} of {self.tokens:,.0f} tokens are used up"
        if self.cost is not None and cost >= self.cost:
            return f"a cost of {cost:g} has reached the limit of {self.cost:g}"
        if self.errors is not None and failed > self.errors:
            return f"{failed} rows have failed, more than {self.errors:g}"
        if self.share is not None and done >= _FEW and quantities.exceeds(failed, done, self.share):
            return f"{failed} of {done} rows have failed, more than {100 * self.share:g}%"
        return None


class Spending:
    """
    What a run has used up, beside what it may.

    Args:
        budget: its limits; None: it has none.
        pace: a rate limit that the tokens count for.

    Attributes:
        is_paced: whether there is such a rate limit.
    """

    def __init__(self, budget: Budget | None, pace: RateLimit | None) -> None:
        self.is_paced = pace is not None
        self._budget = budget or Budget()
        self._pace = pace
        self._tokens = self._cost = 0.0
        self._seen: set[str] = set()  # which figures any usage had

    def add(self, usage: Usage, is_paid: bool, now: float, already: Usage = NO_USAGE) -> None:
        """
        A row, or an attempt at one that failed, has used this.

        Args:
            is_paid: whether anything of it was paid for in this run.
            now: on the clock of the rate limit.
            already: the part of it that was added when earlier attempts failed.
        """
        tokens = _tokens(usage) - _tokens(already)
        if is_paid:
            self._tokens += tokens
            self._cost += (usage.cost or 0.0) - (already.cost or 0.0)
        if usage.input_tokens is not None or usage.output_tokens is not None:
            self._seen.add("tokens")
        if usage.cost is not None:
            self._seen.add("cost")
        if self._pace is not None and is_paid:
            self._pace.spent(tokens, now)

    def enough(self, elapsed: float, failed: int, done: int) -> str | None:
        """
        Why nothing new should start; None: the budget lasts.

        Args:
            elapsed: seconds since the run began.
            failed, done: rows, of which the former are a part.
        """
        spent = self._budget.spent(elapsed, self._tokens, self._cost, failed, done)
        return spent or self._blind(done - failed)

    def _blind(self, scored: int) -> str | None:
        """Which limit can never bind because no row tells what it limits, once some have scores."""
        if scored < _FEW:
            return None
        limits = (
            ("budget of tokens", "tokens", self._budget.tokens),
            ("budget of cost", "cost", self._budget.cost),
            ("rate limit of tokens", "tokens", self._pace and self._pace.tokens),
        )
        for what, figure, limit in limits:
            if limit is not None and figure not in self._seen:
                return (
                    f"there is a {what}, and none of the first {scored} rows told any {figure}; "
                    "return Result(usage=…), or leave the limit out"
                )
        return None


def _tokens(usage: Usage) -> int:
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)


def as_budget(budget: str | Budget | None) -> Budget | None:
    """
    What `budget=` stands for.

    Raises:
        UsageError: it is neither None, a Budget nor a text that `Budget.parse` reads.
    """
    if budget is None or isinstance(budget, Budget):
        return budget
    if isinstance(budget, str):
        return quantities.read(Budget.parse, budget, "budget")
    raise UsageError(f"budget={budget!r}: expected a Budget or a text such as {_EXAMPLE!r}")


def _amount(key: str, value: str) -> float:
    if key == "time":
        found, kind = quantities.seconds(value), "a time such as 90s, 30m or 2h"
    else:
        found = quantities.share(value) if key == "share" else quantities.count(value)
        kind = "a number such as 5, 2k or 5%"
    if found is None or (key == "share" and found > 1):
        raise UsageError(f"{value!r} is not {kind}")
    return found
