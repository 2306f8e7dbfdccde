"""
What a run may use up before it stops by itself: time, tokens, money, failures.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .errors import UsageError

_TIMES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_EXAMPLE = "time=30m,tokens=2M,cost=5,errors=5%"
_FEW = 20  # outcomes before a share of failures means anything


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
    """

    time: float | None = None
    tokens: float | None = None
    cost: float | None = None
    errors: float | None = None
    share: float | None = None

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
                    f"budget {text!r}: {part.strip()!r} is no limit of time, tokens, cost or "
                    f"errors; write for example {_EXAMPLE}"
                )
            key = "share" if name == "errors" and value.endswith("%") else name
            if key in found:
                raise UsageError(f"budget {text!r}: {name} is limited twice")
            found[key] = _amount(text, key, value)
        return cls(**found)

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
        if self.share is not None and done >= _FEW and failed > self.share * done:
            return f"{failed} of {done} rows have failed, more than {100 * self.share:g}%"
        return None


def as_budget(budget: str | Budget | None) -> Budget | None:
    """
    What `budget=` stands for.

    Raises:
        UsageError: it is neither None, a Budget nor a text that `Budget.parse` reads.
    """
    if budget is None or isinstance(budget, Budget):
        return budget
    if isinstance(budget, str):
        return Budget.parse(budget)
    raise UsageError(f"budget={budget!r}: expected a Budget or a text such as {_EXAMPLE!r}")


def _amount(text: str, key: str, value: str) -> float:
    units, top = (_COUNTS, math.inf)
    if key == "time":
        units = _TIMES
    elif key == "share":
        value, units, top = value[:-1], {"": 0.01}, 100.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]?)", value)
    unit = match[2].lower() if match else "?"
    if not match or unit not in units or float(match[1]) > top:
        kind = "a time such as 90s, 30m or 2h" if key == "time" else "a number such as 5, 2k or 5%"
        raise UsageError(f"budget {text!r}: {value!r} is not {kind}")
    return float(match[1]) * units[unit]
