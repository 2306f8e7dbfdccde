"""
The state of a running evaluation, in one line.

`line` is drawn again and again on a terminal, and `heartbeat` is written now and then in a log.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from .. import text
from ..statistics.intervals import as_float
from ..views.figures import is_share, limit_path, plural, score_figure
from ..views.terminal import Terminal

_STALL = 60.0  # seconds without anything finishing, after which the line says so
_MEAN = 5  # columns of a mean, so that what stands behind it stays: "87.5%"
_SOON = 5.0  # the same where attempts fail, one after the other
_IN_A_ROW = 3  # so many of them


class Mean:
    """
    A score so far: how many there are, their sum and that of their squares.

    Args:
        metric: the first one of the score, which says whether it is a share.
    """

    __slots__ = ("_metric", "_n", "_squares", "_sum")

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._n, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, values: Sequence[float]) -> None:
        """Some more."""
        try:
            floats = [*map(float, values)]  # nearly always, and one call less for each row
        except OverflowError:
            floats = [*map(as_float, values)]
        self._n += len(floats)
        self._sum += sum(floats)
        self._squares += sum([value * value for value in floats])

    def __str__(self) -> str:
        """The mean, with the digits that so many rows support."""
        mean = self._sum / self._n
        # Two more rows of either kind, as Agresti & Coull (1998) have it: four rows that are all
        # right are not sure. Of numbers the spread; it says how many digits there are, no more.
        near = (self._sum + 2) / (self._n + 4)
        spread = near * (1 - near) if is_share(self._metric) else self._squares / self._n - mean**2
        width = 4 * math.sqrt(spread / self._n) if 0 < spread < math.inf else None
        return score_figure(self._metric, mean, width)


class Trouble(NamedTuple):
    """
    What the latest failed attempt said.

    Attributes:
        kind: the type of its error, and the status where it has one: "RateLimitError (429)".
        said: its message, on one line.
        times: attempts of this run that failed so.
        since: attempts that have failed, in whatever way, since the last success.
    """

    kind: str
    said: str
    times: int
    since: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    The state of a running evaluation at one moment.

    Attributes:
        evaluation: its short name.
        done: rows that this run has finished and stored, failed ones included.
        total: rows that this run has to do; None while the end of the dataset is unknown.
        skipped: rows that were stored before this run.
        failed: of `done`, those without scores.
        in_flight: attempts that are running.
        waiting: rows that wait for another attempt.
        limit: how many attempts may run at once, now.
        oldest: seconds that the oldest attempt in flight has been running; None if there is none.
        elapsed: seconds since the run began.
        idle: seconds since a row last finished, or since the run began.
        scores: the mean so far by score name, as it is shown.
        path: the limits that Adaptive has gone through, such as (2, 4, 8); () otherwise.
        belief: what Adaptive takes the endpoint for, in words; "" otherwise.
        trouble: what the latest failed attempt said; None: none has failed.
        due: seconds until a waiting row is tried again; None: none waits, or nobody knows.
        oldest_row: which row the oldest attempt is for, such as "row 17 (What is ...)"; "" where
            it is not old.
        hint: what would make the run faster, a sentence, to be told once; "" for nothing.
    """

    evaluation: str
    done: int
    total: int | None
    skipped: int
    failed: int
    in_flight: int
    waiting: int
    limit: int
    oldest: float | None
    elapsed: float
    idle: float
    scores: Mapping[str, str]
    path: tuple[int, ...] = ()
    belief: str = ""
    trouble: Trouble | None = None
    due: float | None = None
    oldest_row: str = ""
    hint: str = ""


# --- one line on a terminal ------------------------------------------------------------------

# From so many columns on, the line has its long form and its short one; below there is the count,
# and what is wrong. The width alone decides, so that a line keeps its form for a whole run.
_LONG, _SHORT = 100, 60
_HEAD = ("name", "bar", "count")  # parted by a blank, all others by " · "
_LEAST = 8  # columns of a reason that still say something
_PATH_SHOWN = 4  # of the limits that Adaptive went through, the most recent


def line(snapshot: Snapshot, terminal: Terminal, rate: float | None = None) -> str:
    """
    The state of an evaluation in one line that fits the terminal, without a line end.

    Its fields stand where they are for a whole run: what grows has its room from the beginning, and
    what comes and goes stands at the end. While nothing finishes, the reason takes the room of all
    that stands behind the errors. The first that does not fit ends the line. The last column stays
    free, as some terminals wrap when it is written.

    Args:
        rate: rows per second lately; None takes the average of the run.
    """
    width = sys.maxsize if terminal.width is None else terminal.width
    rate = _rate(snapshot) if rate is None else rate
    if width >= _SHORT:
        fields = _fields(snapshot, terminal, rate, width >= _LONG)
    else:
        fields = _count_only(snapshot, rate, width - 1, terminal)
    between = " · " if terminal.unicode else " | "
    shown, used = "", 0
    for key, field in fields:
        apart = "" if not shown else " " if key in _HEAD else between
        room = width - 1 - used - len(apart)
        if key == "why" and room >= _LEAST:  # a part of it is better than nothing
            field = text.fit(field, room, mark=terminal.mark)
        used += len(apart) + text.display_width(field)
        if used >= width:
            break
        shown += apart + _painted(field, key, terminal)
    return shown


def _fields(
    snapshot: Snapshot, terminal: Terminal, rate: float | None, long: bool
) -> Iterator[tuple[str, str]]:
    """The long form or the short one, what matters most first."""
    name = terminal.shown(snapshot.evaluation, 40)
    yield "name", text.fit(name, 24 if long else 12, mark=terminal.mark)
    gap = 0
    if snapshot.total:
        gap = len(f"{snapshot.total:,}") - len(f"{snapshot.done:,}")
        if long:
            share = min(snapshot.done / snapshot.total, 1.0)
            yield "bar", _bar(share, 16, terminal.unicode)
    yield "count", " " * gap + _counts(snapshot)[0]
    noun = "err" if not long else "error" if snapshot.failed == 1 else "errors"
    yield (
        "errors" if snapshot.failed else "none",
        f"{snapshot.failed:>3,} {noun}".ljust(10 if long else 7),
    )
    if is_stalled(snapshot):  # in the room of the rate and the time
        yield "stall", _stall(snapshot, long).rjust(26 if long else 22)
        why = _why(snapshot, terminal)
        if why:
            yield "why", why
            return
    else:
        known = text.NOTHING if rate is None else text.rate(rate, "rows" if long else "")
        yield "rate", known.rjust(11 if long else 7)
        yield "time", _time(snapshot, rate).rjust(12)
    if not long and snapshot.scores:
        yield "scores", _scores(snapshot.scores, terminal, 1, _MEAN)
    yield "flight", _flight(snapshot)
    behind = [("waiting", f"{snapshot.waiting:,} waiting")] if snapshot.waiting else []
    if long and snapshot.scores:  # which stay, so what comes and goes stands behind them
        scores = ("scores", _scores(snapshot.scores, terminal, 3, _MEAN))
        behind.insert(len(behind) if is_stalled(snapshot) else 0, scores)
    yield from behind
    path = _path(snapshot, terminal.unicode)
    if path:
        yield "path", path
    if snapshot.skipped:
        yield "stored", f"{snapshot.skipped:,} stored before"


def _count_only(
    snapshot: Snapshot, rate: float | None, room: int, terminal: Terminal
) -> Iterator[tuple[str, str]]:
    counts = _counts(snapshot)
    shown = next((each for each in counts if len(each) <= room), counts[0])
    yield "count", text.fit(shown, max(room, 0), mark="")
    if is_stalled(snapshot):
        idle = f"idle {_clock(snapshot.idle)}"
        due = "" if snapshot.due is None else f"next in {_clock(snapshot.due)}"
        yield "stall", "stalled" if room < 30 else due or idle
        why = _why(snapshot, terminal)
        if why:
            yield "why", why
            return
    if snapshot.failed:
        yield "errors", f"{snapshot.failed:,} err"
    yield "time", _time(snapshot, rate)


def _painted(shown: str, key: str, terminal: Terminal) -> str:
    if not terminal.color:
        return shown
    if key == "bar":
        filled = len(shown.rstrip(" ─-]"))
        return terminal.paint(shown[:filled], "accent") + terminal.paint(shown[filled:], "dim")
    return terminal.paint(shown, _PAINTS.get(key, ""))


_PAINTS = {
    "name": "strong", "errors": "bad", "stall": "warn", "waiting": "warn", "why": "warn",
    "none": "dim", "flight": "dim", "path": "dim", "stored": "dim",
}  # fmt: skip


def _bar(share: float, width: int, unicode: bool) -> str:
    if not unicode:
        filled = int(share * (width - 2))
        return f"[{'#' * filled}{'-' * (width - 2 - filled)}]"
    halves = int(share * 2 * width)
    filled, half = divmod(halves, 2)
    return f"{'━' * filled}{'╸' * half}{'─' * (width - filled - half)}"


def _counts(snapshot: Snapshot) -> list[str]:
    """How many rows are done, and in fewer characters."""
    if snapshot.total is None:
        return [plural(snapshot.done, "row"), f"{snapshot.done:,}"]
    share = snapshot.done / snapshot.total if snapshot.total else 1.0
    return [f"{snapshot.done:,}/{snapshot.total:,}", text.percent(share)]


def _rate(snapshot: Snapshot) -> float | None:
    """Rows per second on average; None while there is nothing to tell."""
    return snapshot.done / snapshot.elapsed if snapshot.done and snapshot.elapsed > 0 else None


def _left(snapshot: Snapshot, rate: float | None) -> float | None:
    """
    Seconds until the end at this rate; None where nobody can know. A row that waits is not over
    before it is tried, and what is in flight may take as long again as it has taken.
    """
    if not rate or snapshot.total is None or snapshot.done >= snapshot.total:
        return None
    left = (snapshot.total - snapshot.done) / rate
    return max(left, snapshot.oldest or 0.0, snapshot.due or 0.0)


def _time(snapshot: Snapshot, rate: float | None) -> str:
    left = _left(snapshot, rate)
    return f"{_clock(snapshot.elapsed)} elapsed" if left is None else f"ETA {_clock(left)}"


def _clock(seconds: float) -> str:
    """ "3:12", "2:05:00": shorter than `text.duration`, and of a steady width."""
    if not seconds < 360_000:  # 100 hours, or NaN
        return text.duration(seconds)
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def is_stalled(snapshot: Snapshot) -> bool:
    """Whether there is work and none of it finished for a minute, or where all fails for less."""
    trouble = snapshot.trouble
    if trouble is not None and trouble.since >= _IN_A_ROW and snapshot.waiting:
        return snapshot.idle >= _SOON
    return snapshot.idle >= _STALL and bool(snapshot.in_flight or snapshot.waiting)


def _stall(snapshot: Snapshot, long: bool) -> str:
    idle = f"idle {_clock(snapshot.idle)}"
    if snapshot.due is not None:
        return f"{idle}, next {'in ' if long else ''}{_clock(snapshot.due)}"
    return idle if snapshot.oldest is None else f"{idle}, oldest {_clock(snapshot.oldest)}"


def _why(snapshot: Snapshot, terminal: Terminal) -> str:
    """What nothing finishes for, in few words; "" where it is not known."""
    trouble, facts = snapshot.trouble, []
    if trouble is not None and snapshot.waiting:
        times = f" {'×' if terminal.unicode else 'x'}{trouble.times:,}" * (trouble.times > 1)
        facts = [terminal.shown(trouble.kind, 60) + times, f"{snapshot.waiting:,} waiting"]
    if snapshot.oldest_row:
        facts.append(terminal.shown(snapshot.oldest_row, 60))
    return ", ".join(facts)


def _scores(scores: Mapping[str, str], terminal: Terminal, most: int, wide: int = 0) -> str:
    """The first ones."""
    return ", ".join(
        f"{terminal.shown(name, 20)} {mean.rjust(wide)}"
        for name, mean in islice(scores.items(), most)
    )


def _flight(snapshot: Snapshot) -> str:
    """Attempts in flight of how many may be."""
    return f"{snapshot.in_flight:,}/{snapshot.limit:,} in flight"


def _path(snapshot: Snapshot, unicode: bool) -> str:
    """How Adaptive's limit came where it is, and what it believes; "" where it has not moved."""
    steps = limit_path(snapshot.path, _PATH_SHOWN, unicode)
    if len(steps) < 2:
        return ""
    return "; ".join(filter(None, (" ".join(steps), snapshot.belief)))


# --- a line now and then in a log ------------------------------------------------------------


def heartbeat(snapshot: Snapshot) -> str:
    """
    The state of an evaluation in a plain line for a log, without a line end.

    All of it is told, whatever its length; beside names it is ASCII.
    """
    facts = [_done(snapshot)]
    if snapshot.failed:
        facts.append(plural(snapshot.failed, "error"))
    rate = _rate(snapshot)
    if is_stalled(snapshot):
        facts.append(f"nothing finished for {text.duration(snapshot.idle)}")
        if snapshot.oldest is not None and not snapshot.oldest_row:
            facts.append(f"oldest row {text.duration(snapshot.oldest)}")
    elif rate is not None:
        facts.append(text.rate(rate, "rows"))
    left = _left(snapshot, rate)
    if left is not None and not is_stalled(snapshot):
        facts.append(f"ETA {text.duration(left)}")
    if snapshot.scores:
        facts.append(_scores(snapshot.scores, _LOG, 3))
    path = _path(snapshot, unicode=False)
    facts.append(_flight(snapshot) + (f" ({path})" if path else ""))
    facts += waits(snapshot)
    facts.append(f"{text.duration(snapshot.elapsed)} elapsed")
    return f"{text.safe(snapshot.evaluation)}: {', '.join(facts)}"


def waits(snapshot: Snapshot) -> list[str]:
    """What a run waits for, as sentences for a log; [] where nothing waits for long."""
    facts, trouble, oldest = [], snapshot.trouble, snapshot.oldest
    if snapshot.waiting:
        facts.append(f"{snapshot.waiting:,} waiting")
        if snapshot.due is not None:
            facts.append(f"next attempt in {text.duration(snapshot.due)}")
    if trouble is not None and (snapshot.waiting or is_stalled(snapshot)):
        times = "once" if trouble.times == 1 else f"{trouble.times:,} times"
        said = text.encodable(text.safe(f"{trouble.kind}: {trouble.said}"), "ascii")
        facts.append(f"last error {said} ({times})")
    if snapshot.oldest_row and oldest is not None:
        row = text.encodable(text.safe(snapshot.oldest_row), "ascii")
        facts.append(f"oldest in flight {row} for {text.duration(oldest)}")
    return facts


_LOG = Terminal(unicode=False)


def _done(snapshot: Snapshot) -> str:
    stored = f" + {snapshot.skipped:,} stored before" if snapshot.skipped else ""
    if not snapshot.total:
        return f"{plural(snapshot.done, 'row')}{stored}"
    share = text.percent(snapshot.done / snapshot.total)
    return f"{snapshot.done:,}/{plural(snapshot.total, 'row')} ({share}){stored}"
