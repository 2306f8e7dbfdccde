"""
The state of a running evaluation, in one line.

Progress is any callable that receives a `Snapshot`. The runner calls it about ten times a second,
also while nothing finishes, else a run that is stuck could not say so. `Live` draws one line again
and again on a terminal; `Heartbeat` writes a plain line now and then where nobody looks at once;
`progress_on` picks the one that suits a stream.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, islice, repeat
from threading import RLock
from typing import Any, NamedTuple, TextIO

from .. import text
from ..statistics.intervals import as_float
from ..views.figures import is_share, limit_path, plural, score_figure
from ..views.terminal import Terminal, is_terminal, terminal

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


class Heartbeat:
    """
    Progress for logs: a plain line after 10 seconds, then after 30, after 60, then every 5 minutes.

    Gaps of time rather than tenths of the rows: they bound the lines of a long run and still show
    that a slow one is alive (a tenth of 100,000 rows may take hours). When nothing has finished
    for a minute it says so once, at once. A run shorter than 10 seconds prints nothing.

    Args:
        write: takes a line with its line end. Should it raise OSError or ValueError (a closed
            pipe), nothing more is written.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = _Voice(write)
        self._evaluation: str | None = None
        self._elapsed = 0.0
        self._due = 0.0
        self._gaps: Iterator[float] = iter(())
        self._stalled = False
        self._hint = ""  # that was told

    def __call__(self, snapshot: Snapshot) -> None:
        """Write a line if one is due."""
        if snapshot.evaluation != self._evaluation or snapshot.elapsed < self._elapsed:
            self._begin(snapshot)
        self._elapsed = snapshot.elapsed
        if snapshot.hint != self._hint:
            self._hint = snapshot.hint
            self._write(f"{text.safe(snapshot.hint)}\n")
        stalled = is_stalled(snapshot)
        news = stalled and not self._stalled
        self._stalled = stalled
        if (snapshot.elapsed < self._due and not news) or snapshot.done == snapshot.total:
            return  # at the very end the summary says it all
        self._due = snapshot.elapsed + next(self._gaps)
        self._write(f"{heartbeat(snapshot)}\n")

    def _begin(self, snapshot: Snapshot) -> None:
        self._evaluation = snapshot.evaluation
        self._gaps = chain((30.0, 60.0), repeat(300.0))
        self._due = 10.0
        self._stalled = False
        self._hint = ""

    def clear(self) -> None:
        """There is nothing to clear: lines of a log stay."""

    def close(self) -> None:
        """Write nothing more."""
        self._write.fall_silent()


class _Voice:
    """
    A `write` that falls silent for good when what it writes to is gone.

    Progress is no reason to lose an evaluation that costs hours: a closed pipe, a closed file and
    a character that the stream can not encode end the progress, not the run.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._silent = False

    def __call__(self, chars: str) -> None:
        if self._silent:
            return
        try:
            self._write(chars)
        except (OSError, ValueError):
            self._silent = True

    def fall_silent(self) -> None:
        self._silent = True


# --- one line drawn again and again ----------------------------------------------------------

_DRAWS = 10  # a second at most; more often nobody can read
# The cursor rests at the start of the line: when the window is made narrower, most terminals wrap
# what they show, and everything from the cursor on is then ours, on however many lines.
_REST = "\r"
_ERASE = "\r\x1b[J"
# An unfinished line of the user's is not broken up unless it stays unfinished for so many seconds.
_PATIENCE = 1.0


class Live:
    """
    Progress for a terminal: one line, drawn at most 10 times a second, erased at the end.

    What user code prints while the line stands: through `printing_above` it appears above the line,
    whole, and the line comes back at once, within its draws a second. An unfinished line
    (`print(end="")`) keeps the place for a second after its last character, then the line moves
    below it. What does not go through `sys.stdout` or `sys.stderr` (subprocesses, C libraries, log
    handlers made earlier) is written over the start of the line: of a whole line of text the end
    may be followed by a piece of ours, and an unfinished one is erased by the next draw. The cursor
    must stand at the start of a line when the first snapshot comes.

    Args:
        write: takes the characters to draw, and shows them at once. Should it raise OSError or
            ValueError, nothing more is drawn.
        terminal: asked at each draw, so that the line fits after the window was resized.
        clock: seconds, from any beginning.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        terminal: Callable[[], Terminal],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = _Voice(write)
        self._terminal = terminal
        self._clock = clock
        self._pace = _Pace()
        self._draws: deque[float] = deque(maxlen=_DRAWS)  # when the latest ones were made
        self._latest = ""
        self._shown = False
        self._hints = {""}  # that were told
        self._broken_off: float | None = None  # when the user's line was left unfinished
        # Rows print from threads. Re-entrant: a signal handler may print in the middle of a draw.
        self._lock = RLock()

    def __call__(self, snapshot: Snapshot) -> None:
        """Draw the line if it is time. Never waits: without the lock or the time, it returns."""
        now = self._clock()
        if self._draws and now - self._draws[-1] < 1 / _DRAWS:
            return
        if not self._may_draw(now) or not self._lock.acquire(blocking=False):
            return
        try:
            if self._broken_off is None or now - self._broken_off >= _PATIENCE:
                if snapshot.hint not in self._hints:
                    self._hints.add(snapshot.hint)
                    self._erase()
                    self._write(f"{self._terminal().shown(snapshot.hint)}\n")
                self._latest = line(snapshot, self._terminal(), self._pace(snapshot))
                self._draw(now)
        finally:
            self._lock.release()

    def clear(self) -> None:
        """Erase the line; the next snapshot draws it again."""
        with self._lock:
            self._erase()
            self._latest = ""

    def close(self) -> None:
        """Erase the line and draw nothing more."""
        self.clear()
        self._write.fall_silent()

    @contextmanager
    def making_way(self, chars: str) -> Iterator[None]:
        """Take the line away while somebody writes these characters to the same terminal."""
        with self._lock:
            self._erase()
            yield
            if not chars:
                return
            now = self._clock()
            self._broken_off = None if chars.endswith("\n") else now
            if self._latest and self._broken_off is None and self._may_draw(now):
                self._draw(now)

    def _may_draw(self, now: float) -> bool:
        return len(self._draws) < _DRAWS or now - self._draws[0] >= 1

    def _draw(self, now: float) -> None:
        fresh = "" if self._broken_off is None else "\n"
        self._write(f"{fresh}{_ERASE}{self._latest}{_REST}")
        self._draws.append(now)
        self._shown, self._broken_off = True, None

    def _erase(self) -> None:
        if self._shown:
            self._write(_ERASE)
        self._shown = False


class Notebook:
    """
    Progress below the cell of a notebook: one line, drawn at most twice a second, gone at the end.

    Args:
        display: IPython's `display`.
        clock: seconds, from any beginning.
    """

    def __init__(
        self, display: Callable[..., Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._display = display
        self._clock = clock
        self._pace = _Pace()
        self._handle: Any = None
        self._drawn = -math.inf
        self._hints: list[str] = []

    def __call__(self, snapshot: Snapshot) -> None:
        """Draw the line if it is time."""
        pace, now = self._pace(snapshot), self._clock()
        if now - self._drawn < _BESIDE:
            return
        if snapshot.hint and snapshot.hint not in self._hints:
            self._hints.append(snapshot.hint)
        self._drawn = now
        self._show("\n".join([line(snapshot, _CELL, pace), *self._hints]))

    def clear(self) -> None:
        """Empty the place; the next snapshot draws the line again."""
        if self._handle is not None:
            self._show("\n".join(self._hints))

    def close(self) -> None:
        """Draw nothing more; hints stay."""
        self.clear()
        self._drawn = math.inf

    def _show(self, said: str) -> None:
        data = {"text/plain": said}
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


_BESIDE = 0.5  # seconds between two draws, each of which is a message to a browser
_CELL = Terminal(width=120)


def notebook(clock: Callable[[], float] = time.monotonic) -> Notebook | None:
    """The progress of a notebook; None where this process is no kernel of one."""
    ipython, display = sys.modules.get("IPython"), sys.modules.get("IPython.display")
    if ipython is None or display is None:
        return None
    is_kernel = getattr(ipython.get_ipython(), "kernel", None) is not None
    return Notebook(display.display, clock) if is_kernel else None


class _Pace:
    """
    Rows per second lately: over the latter half of the run, and at most the last two minutes.

    The average of the whole run is wrong for long after a slow start, as Adaptive's is; a fixed
    short window jumps with strategies that finish in bursts.
    """

    def __init__(self) -> None:
        self._evaluation: str | None = None
        self._points: deque[tuple[float, int]] = deque(maxlen=64)  # two minutes, every 2 seconds

    def __call__(self, snapshot: Snapshot) -> float | None:
        """None while there is too little to tell; the average is then the better guess."""
        points = self._points
        if snapshot.evaluation != self._evaluation or (points and snapshot.elapsed < points[-1][0]):
            self._evaluation = snapshot.evaluation
            points.clear()
        now = snapshot.elapsed
        if not points or now - points[-1][0] >= 2:
            points.append((now, snapshot.done))
        since = now - min(now / 2, 120.0)
        start, done = next((point for point in points if point[0] >= since), (now, snapshot.done))
        return (snapshot.done - done) / (now - start) if now - start >= 2 else None


class _Above:
    """A text stream whose output appears above the live lines."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, chars: str) -> int:
        with ExitStack() as stack:
            for live in tuple(_lives):
                stack.enter_context(live.making_way(chars))
            written = self.stream.write(chars)
            self.stream.flush()  # else the end of the text would follow the next draw
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def printing_above(progress: object) -> Iterator[None]:
    """
    Meanwhile, what is printed to `sys.stdout` and `sys.stderr` appears above the live line.

    For a door that owns the process, such as the command line. Only streams that are terminals are
    stood in for, and nothing happens unless progress is a `Live`. `print(file=sys.__stdout__)`,
    `sys.stdout.buffer` and what took hold of the streams earlier go past it.
    """
    if not isinstance(progress, Live):
        yield
        return
    with _changing:
        if not _lives:
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if is_terminal(stream):
                    _above[name] = _Above(stream)
                    setattr(sys, name, _above[name])
        _lives.append(progress)
    try:
        yield
    finally:
        with _changing:
            _lives.remove(progress)
            while _above and not _lives:
                name, ours = _above.popitem()
                if getattr(sys, name) is ours:  # else user code has put its own there
                    setattr(sys, name, ours.stream)


# One stand-in for each stream, however many runs overlap: the last of them takes it away.
_lives: list[Live] = []
_above: dict[str, _Above] = {}
_changing = RLock()


def progress_on(
    stream: TextIO,
    environ: Mapping[str, str],
    color: str = "auto",
    clock: Callable[[], float] = time.monotonic,
) -> Live | Heartbeat:
    """
    The progress that suits a stream: a live line where a line can be drawn again, else heartbeats.

    Args:
        stream, environ, color: as for `terminal`.
        clock: seconds, from any beginning.

    Raises:
        ValueError: color is none of "auto", "always", "never".
    """
    described = terminal(stream, environ, color)
    has_room = _room(stream)

    def write(chars: str) -> None:
        if has_room():
            stream.write(text.encodable(chars, described.encoding))
            stream.flush()

    if described.live:
        return Live(write, lambda: terminal(stream, environ, color), clock)
    return Heartbeat(write)


def _room(stream: TextIO) -> Callable[[], bool]:
    """
    Whether writing would return at once.

    A terminal stopped with Ctrl-S, or a pipe that nobody reads, would otherwise stop the loop and
    with it every row. True where it can not be asked.
    """
    import select  # only where something is shown

    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except (AttributeError, OSError, ValueError):  # Windows; a stand-in without a descriptor
        return lambda: True
    return lambda: bool(poll.poll(0))
