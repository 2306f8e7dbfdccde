"""
What is seen of a run while it goes on: its state, what it waits for, and what holds it up.
"""

from __future__ import annotations

from typing import Any

from ..concurrency.loop import Loop
from ..concurrency.row import Row
from ..evaluation import Evaluation
from ..reporting.progress import Snapshot, is_stalled, waits
from ..text import as_str, duration
from ..views.media import brief
from .environment import Clock
from .ledger import Ledger
from .options import Options
from .rows import Rows
from .sink import Sink
from .submissions import Submissions

_BLOCKED = 1.0  # seconds that the event loop may be blocked in all, unmentioned
_FEW = 10  # rows from which their pace is known
_TELL = 10.0  # seconds between two notes in the store of what is waited for
_OLD = 10.0  # seconds that an attempt takes before its row is named


class Monitor:
    """Looks at the parts of a run; changes none."""

    def __init__(
        self,
        evaluation: Evaluation[..., Any],
        options: Options,
        rows: Rows,
        sink: Sink,
        ledger: Ledger,
        clock: Clock,
        loop: Loop,
        submissions: Submissions | None,
    ) -> None:
        self._evaluation = evaluation
        self._options = options
        self._rows = rows
        self._sink = sink
        self._ledger = ledger
        self._clock = clock
        self._loop = loop
        self._submissions = submissions
        self._hint = ""
        self._said: str | None = None  # to the store, of what it waits for
        self._tells_at = clock.began + _TELL

    def hint(self) -> str:
        """What makes the rows wait for each other, and the remedy; once found it stays."""
        loop, evaluation, name = self._loop, self._evaluation, self._evaluation.__name__
        elapsed, done = self._clock.elapsed(), self._sink.done
        alone = evaluation.is_default and not evaluation.is_async and evaluation.executor is None
        alone = alone and not evaluation.size and evaluation.batch is None
        if self._hint:
            pass
        elif loop.blocked > max(_BLOCKED, elapsed / 4) and loop.schedule.gate.limit > 1:
            self._hint = (
                f"{name}() has blocked the event loop for {duration(loop.blocked)} of "
                f"{duration(elapsed)}, and all rows with it: await an asynchronous client, or "
                "`await asyncio.to_thread(...)`, or write a plain `def` with a strategy"
            )
        elif alone and done >= _FEW and elapsed > done:
            self._hint = (
                f"the rows of {name}(), a plain `def`, run one at a time, "
                f"{duration(elapsed / done)} each; ForEach(concurrency=SlidingWindow(8)) runs "
                "eight of them in threads"
            )
        return self._hint

    def look(self) -> Snapshot:
        """The state of the run; now and then the store hears what it waits for."""
        self.tell()
        return self.snapshot()

    def tell(self) -> None:
        """Now and then, what it waits for, to the store: for who looks from another terminal."""
        now = self._clock.now()
        if now < self._tells_at or self._ledger.place.path is None:
            return
        self._tells_at = now + _TELL
        said = f"it waits: {self.waits()}" if is_stalled(self.snapshot()) else None
        if said != self._said:
            self._said = said
            self._ledger.tell(said)

    def waits(self) -> str:
        """What it waits for; "" for nothing."""
        snapshot = self.snapshot()
        facts = waits(snapshot)
        if self._loop.oldest_row and snapshot.oldest_row and self._evaluation.timeout is None:
            facts.append("ForEach(timeout=...) ends an attempt that takes too long")
        return ", ".join(facts)

    def snapshot(self) -> Snapshot:
        """The state of the run as progress shows it."""
        evaluation, rows, sink = self._evaluation, self._rows, self._sink
        length = evaluation.source.length()
        if rows.to_the_end:
            length = rows.read
        elif (samples := self._options.samples) is not None:
            length = samples if length is None else min(length, samples)
        loop, schedule, oldest = self._loop, self._loop.schedule, self._loop.oldest
        row = loop.oldest_row if oldest is not None and oldest >= _OLD else None
        gate, waiting, called = schedule.gate, schedule.waiting, "" if row is None else _called(row)
        if self._submissions is not None:
            waiting += self._submissions.waiting
            sent = self._submissions.oldest
            if oldest is None and sent is not None:  # nothing is nearer
                oldest, called = self._clock.epoch + self._clock.now() - sent.since, sent.name
        due = schedule.next_at - self._clock.now() if schedule.waiting else None
        return Snapshot(
            evaluation=evaluation.__name__,
            done=sink.done,
            total=None if length is None else length * evaluation.repeats - rows.finished,
            skipped=rows.finished,
            failed=sum(sink.errors.values()),
            in_flight=schedule.in_flight,
            waiting=waiting,
            limit=gate.limit,
            oldest=oldest,
            elapsed=self._clock.elapsed(),
            idle=self._clock.now() - sink.durable_at,
            scores={name: str(mean) for name, mean in sink.means.items()},
            path=tuple(change.limit for change in gate.history),
            belief=gate.belief,
            trouble=sink.troubles.latest,
            due=None if due is None else max(due, 0.0),
            hint=self.hint(),
            oldest_row=called,
        )


def _called(row: Row) -> str:
    """A row for people: its position, and its id or the first words of it."""
    named = row.named or {}
    first = named.get("id", next(iter(named.values()), ""))
    words = brief(first if isinstance(first, (str, bytes, bytearray)) else as_str(first), 40)
    return f"row {row.position} ({words})" if words else f"row {row.position}"
