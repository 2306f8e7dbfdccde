"""
What failures say: the latest for whoever waits, and all of it for what ends a run that can not
succeed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from ..concurrency.breaker import Breaker
from ..concurrency.reading import Reading
from ..concurrency.row import Row
from ..errors import RowError
from ..record import Failure, Outcome
from ..reporting.progress import Trouble
from ..text import duration, one_line
from ..views.media import brief

_LAST_STATUS = 598  # of HTTP; what stands for no answer at all is none
_MOMENT = "%Y-%m-%d %H:%M"  # of the local time


class Troubles:
    """
    Args:
        most: rows at the beginning that all fail in one way, and end the run; 0: nothing ends it.
        stop: called with the cause, once.

    Attributes:
        tense: whether it is news that a row succeeds, so that not each has to be told.
        resumed: whether an earlier run has left results.
        first: the exception behind the first row that failed.
    """

    def __init__(self, most: int, stop: Callable[[str], object]) -> None:
        self.tense = most > 0
        self.resumed = False
        self.first: BaseException | None = None
        self._breaker = Breaker(most, stop) if most else None
        self._kinds: Counter[str] = Counter()  # of errors of attempts
        self._latest: Trouble | None = None
        self._since = 0  # attempts that have failed since the last success
        self._last: tuple[BaseException | None, float] | None = None  # failed, and its start

    @property
    def latest(self) -> Trouble | None:
        """What the latest failed attempt said; None: none has failed."""
        return None if self._latest is None else self._latest._replace(since=self._since)

    def failed(self, row: Row, failure: Failure, reading: Reading) -> None:
        """An attempt has failed. One that was for several rows is told with each, and is one."""
        if (row.error, row.started) == self._last:
            return
        self._last = row.error, row.started
        kind, said = _kind(failure, reading.status), brief(failure.message, 200)
        self._kinds[kind] += 1
        self._since += 1
        self.tense = True
        self._latest = Trouble(kind, said, self._kinds[kind], self._since)
        if self._breaker is not None and reading.blocks:
            self._breaker.blocked(reading.blocks, f"{kind}: {said}", row.ended)

    def finished(self, row: Row, outcome: Outcome) -> None:
        """A row has finished."""
        if row.error is None:
            self._since = 0
        elif self.first is None:
            self.first = row.error
        breaker = self._breaker
        if breaker is None or not breaker.tense:
            self.tense = self._since > 0
        elif not isinstance(outcome, Failure):
            breaker.succeeded(row.started)
            self.tense = False
        elif self._is_news(row):
            status, blocks = None, False
            if row.reading is not None:
                status, blocks = row.reading.status, bool(row.reading.blocks)
            way = (outcome.type, _place(row.error) or outcome.message if status is None else status)
            said = f"{_kind(outcome, status)}: {brief(outcome.message, 200)}"
            breaker.failed(way, said, row.started, blocks)

    def _is_news(self, row: Row) -> bool:
        """Whether that it failed says anything about rows to come: not where it failed before."""
        if isinstance(row.error, RowError) and not row.error.is_news:
            return False
        return row.replaces is None or not self.resumed

    def held(self, seconds: float, patience: float) -> None:
        """The endpoint asks to be left alone for so many seconds, more than anybody waits."""
        assert self._latest is not None
        if self._breaker is not None:
            until = time.strftime(_MOMENT, time.localtime(time.time() + seconds))
            said = f"{self._latest.kind}: {self._latest.said}"
            self._breaker.held(duration(seconds), until, patience, said)


def _kind(failure: Failure, status: int | None) -> str:
    """The type of an error, and its status: "AuthenticationError (401)"."""
    known = "" if status is None or status > _LAST_STATUS else f" ({status})"
    return f"{one_line(failure.type, 80)}{known}"


def _place(error: BaseException | None) -> tuple[str, int] | None:
    """Where in the code it was raised; None: nobody knows, as of one from another process."""
    place = None
    trace = None if error is None else error.__traceback__
    while trace is not None:
        place = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next
    return place
