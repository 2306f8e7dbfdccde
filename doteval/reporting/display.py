"""
The state of a running evaluation, shown while it changes.

Progress is any callable that receives a `Snapshot`. The runner calls it about ten times a second,
also while nothing finishes, else a run that is stuck could not say so. `Live` draws one line again
and again on a terminal, `Notebook` below a cell; `Heartbeat` writes a plain line now and then where
nobody looks at once; `progress_on` picks the one that suits a stream.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain, repeat
from threading import RLock
from typing import Any, TextIO

from .. import text
from ..views.terminal import Terminal, is_terminal, terminal
from .progress import Snapshot, heartbeat, is_stalled, line


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
