"""
What evaluations show on pytest's terminal: a line while one runs, and what came out of all at the
end.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ..errors import DotevalError
from ..metrics import Estimate
from ..reporting.display import Heartbeat, printing_above, progress_on
from ..reporting.overview import MANY, overview_lines
from ..reporting.progress import Snapshot
from ..reporting.summary import Summary, summarise
from ..reporting.views import STATUS_STYLES, short_names, summary_lines
from ..storage import Place, open_store
from ..text import safe
from ..views.terminal import Piece, Terminal, flow, terminal
from .options import Options


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


# --- the section at the end ---------------------------------------------------------------------


def told_lines(
    told: Mapping[str, str],
    terminal: Terminal,
    place: Place,
    options: Options,
    arguments: list[str],
) -> Iterator[str]:
    """
    A block for each evaluation, and how to go on where some were interrupted.

    Args:
        told: the entries of evaluations (see `Call.entry`) by their node ids.
        terminal: where they are shown.
        place: of the store.
        options: of the session, its experiment named.
        arguments: of the session's command line.
    """
    entries = [json.loads(entry) for entry in told.values()]
    names = short_names([entry["name"] for entry in entries])
    where = str(place) if place.path is None else _from_here(place.path)
    experiment = terminal.paint(terminal.shown(options.experiment), "strong")
    yield f"experiment {experiment} in {terminal.shown(where)}"
    summaries = [(entry, _summary(entry, place)) for entry in entries]
    known = [(entry.get("notes", ()), summary) for entry, summary in summaries if summary]
    if len(known) >= MANY:
        yield ""
        notes, shown = zip(*known, strict=True)
        yield from overview_lines(shown, terminal, notes)
    for entry, summary in summaries:
        name, status = names[entry["name"]], entry["status"]
        if summary is None:
            head = Piece(terminal.shown(name), "strong")
            state = Piece(status, STATUS_STYLES.get(status, ""))
            yield from ("", *flow([head, state], terminal))
        elif len(known) < MANY:
            yield ""
            yield from summary_lines(summary, terminal, name, entry.get("notes", ()))
    for gate in options.gates:
        if not any(gate.concerns(entry["name"]) for entry in entries):
            said = terminal.shown(f"gate {gate.text}: about no evaluation of this session")
            yield ""
            yield terminal.paint(said, "warn")
    if any(entry["status"] in ("interrupted", "running") for entry in entries):
        again = [each for each in arguments if each != "--fresh"]
        if not options.named:
            again += ["--experiment", options.experiment]
        yield ""
        yield f"resume: {terminal.shown(command(again))}"


def _summary(entry: dict[str, Any], place: Place) -> Summary | None:
    """The summary that came with a report; of an item that could not report, what is stored."""
    packed = entry.get("summary")
    if packed is not None:
        return _unpacked(packed)
    return None if "notes" in entry else stored(place, entry["experiment"], entry["name"])


def _unpacked(packed: dict[str, Any]) -> Summary:
    """A Summary that was made plain data with `asdict`."""
    scores = {
        name: {metric: Estimate(**estimate) for metric, estimate in by_metric.items()}
        for name, by_metric in packed["scores"].items()
    }
    return Summary(**{**packed, "scores": scores})


def _from_here(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def stored(place: Place, experiment: str, name: str) -> Summary | None:
    """What is stored of an evaluation that could not tell itself; None where nothing is."""
    if place.path is None or not place.path.exists():
        return None
    try:
        store = open_store(place)
        try:
            return summarise(store, experiment, name)
        finally:
            store.close()
    except DotevalError:  # told already: it is why the run has ended
        return None


def command(arguments: list[str]) -> str:
    """A command of pytest's, to be pasted into a shell."""
    program = "pytest"
    if os.path.basename(sys.argv[0]) == "__main__.py":
        program = f"{os.path.basename(sys.executable or 'python')} -m pytest"
    return safe(f"{program} {shlex.join(arguments)}")
