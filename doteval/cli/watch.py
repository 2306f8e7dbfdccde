"""
Drawing something again and again: `--watch` of `list` and `show`.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TextIO

from ..errors import UsageError
from ..text import display_width
from ..views.terminal import terminal
from .call import Answer, Call, flag

WATCH = flag(
    "--watch", "draw it again, once a second, until nothing has been running for 10 seconds"
)
_AT_MOST = 0.2  # of the time may go into looking at the store: there is a run to be left alone
_CALM = 10.0  # seconds: between two evaluations nothing runs, for as long as a fixture takes
_FEWEST_LINES = 24  # of a terminal that does not know
_HEAD = 2  # lines that stay where others have no room: without them a table has no titles


def refuse(call: Call, *options: str) -> None:
    """
    Raises:
        UsageError: `--watch` was given with one of these options, or with a form such as JSON.
    """
    given = [name for name in options if getattr(call.options, name)]
    for name in [*given, *filter(None, [call.options.form])]:
        raise UsageError(f"--watch shows figures as they change; it does not go with --{name}")


def watch(
    call: Call,
    frame: Callable[[Call], tuple[Answer, bool]],
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """
    Draw something again and again, at most once a second, until nothing runs any more or Ctrl-C.

    Args:
        frame: the answer to the call that it is given, and whether something is running.
        pause: waits so many seconds.
        clock: seconds, from any beginning.

    Raises:
        UsageError: the output is no terminal that can be drawn on.
    """
    if not call.terminal.live:
        raise UsageError("--watch draws on a terminal, and the output is none; leave --watch away")
    shown: list[str] = []
    drawn, width = 0, call.terminal.width
    until = -math.inf  # when it is over, unless something is seen running before
    try:
        while True:
            began = clock()
            window = terminal(call.out, os.environ, call.options.color)
            with ExitStack() as stack:
                answer, is_running = frame(replace(call, terminal=window, stack=stack))
                lines = list(answer.lines)
            if is_running:
                until = began + _CALM
            goes_on = began < until
            rows = [_rows(line, window.width) for line in lines]
            over = sum(rows) - height(call.out) + 1
            while goes_on and over > 0:  # what is higher than the window could not be drawn over
                at = min(_HEAD, len(rows) - 1)
                over -= rows.pop(at)
                del lines[at]
            # Where the window was resized, nobody knows how many lines ours are by now.
            back = f"\x1b[{drawn}A" if drawn and window.width == width else ""
            clear = "\x1b[H\x1b[2J" if window.width != width else f"\r{back}\x1b[J"
            if lines != shown or window.width != width:
                call.out.write(clear + "".join(f"{line}\n" for line in lines))
                call.out.flush()
            if not goes_on:
                return Answer()
            shown, drawn, width = lines, sum(rows), window.width
            pause(max(1.0, (clock() - began) * (1 / _AT_MOST - 1)))
    except KeyboardInterrupt:
        call.out.write("\r\x1b[J")  # the terminal has written ^C
        return Answer()


_STYLE = r"\x1b\[[0-9;]*m"


def _rows(line: str, width: int | None) -> int:
    """The rows of the screen that a line takes: a name that is never cut may make it too wide."""
    taken = display_width(re.sub(_STYLE, "", line))
    return max(-(-taken // width), 1) if width else 1


def height(stream: TextIO) -> int:
    """The lines of a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).lines or _FEWEST_LINES
    except (OSError, ValueError):  # a stand-in without a descriptor
        return _FEWEST_LINES
