"""
Progress on pytest's terminal, past its capturing and below its own line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..reporting.progress import Snapshot
    from ..views.terminal import Terminal


class Screen:
    """
    Where the progress of evaluations is shown.

    Pytest's line for an item stays unfinished until the item ends. The live line stands below it;
    when it goes, the cursor returns to where pytest left it.

    Args:
        config: of pytest, its plugins configured.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        self._progress: Any = None

    @property
    def _reporter(self) -> Any:
        return self._config.pluginmanager.getplugin("terminalreporter")

    def _uncaptured(self) -> AbstractContextManager[object]:
        """Meanwhile, what is written to the standard streams reaches the terminal."""
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if capture is None:
            return nullcontext()
        context: AbstractContextManager[object] = capture.global_and_fixture_disabled()
        return context

    def terminal(self) -> Terminal:
        """What the terminal can show."""
        from ..views.terminal import terminal

        with self._uncaptured():
            return terminal(sys.stdout, os.environ, self._color)

    @property
    def _color(self) -> str:
        return "always" if self._reporter.hasmarkup else "never"  # pytest has decided

    @property
    def listener(self) -> Callable[[Snapshot], object] | None:
        """
        What to call with snapshots of the evaluation that runs.

        None where nobody would see it: under -q, and in the workers of pytest-xdist.
        """
        is_worker = hasattr(self._config, "workerinput")
        is_quiet = self._config.getoption("verbose", 0) < 0
        return None if is_quiet or is_worker or self._reporter is None else self._show

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the progress of one evaluation: live, or in a line now and then."""
        from ..reporting.progress import Heartbeat, printing_above, progress_on

        if self.listener is None:
            yield
            return
        if not self.terminal().live:
            self._progress = Heartbeat(self._write_line)
            yield
            return
        with self._uncaptured():
            below: Any = _Below(sys.stdout, self._config, self.terminal)
            self._progress = progress_on(below, os.environ, self._color)
        try:
            with printing_above(self._progress):
                yield
        finally:
            with self._uncaptured():
                self._progress.close()
                below.go_back()

    def _show(self, snapshot: Snapshot) -> None:
        with self._uncaptured():
            self._progress(snapshot)

    def _write_line(self, line: str) -> None:
        self._reporter.write_line(line.rstrip("\n"), flush=True)

    def fall_silent(self) -> None:
        """Show nothing more of this evaluation: a debugger has the terminal now."""
        if self._progress is not None:
            self._progress.close()


class _Below:
    """The terminal, for a line below the one that pytest has not finished."""

    def __init__(self, stream: Any, config: Any, terminal: Callable[[], Terminal]) -> None:
        self._stream = stream
        self._terminal = terminal
        self._reporter = config.pluginmanager.getplugin("terminalreporter")
        self._writer = config.get_terminal_writer()
        self._before: tuple[object, int] | None = None
        # Where user code prints, nobody knows where the cursor stands when the item has ended.
        self._can_return = config.getoption("capture", "no") != "no"

    def write(self, chars: str) -> None:
        """Write; the first time, on a new line."""
        if self._before is None:
            self._before = self._position()
            chars = "\n" + chars if self._before[1] else chars
        self._stream.write(chars)

    def _position(self) -> tuple[object, int]:
        return self._reporter.currentfspath, self._writer.width_of_current_line

    def go_back(self) -> None:
        """Return to the end of pytest's line, unless something has been written since."""
        if not self._can_return or self._before is None or self._before != self._position():
            return
        width = self._terminal().width
        column = self._before[1] % width if width else 0
        if column:
            self._stream.write(f"\x1b[A\x1b[{column}C")
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
