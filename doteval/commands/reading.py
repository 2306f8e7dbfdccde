"""
Looking at what is stored: `list` and `show`.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO, cast

from ..errors import UsageError
from ..reporting.tables import terminal
from ..text import display_width
from .call import OK, Call, NoStore, as_json, command, option, program, quoted

if TYPE_CHECKING:
    from subprocess import Popen

    from ..records import Record
    from ..reporting.views import Listed
    from ..storage import Store

_WATCH = option(
    "--watch",
    action="store_true",
    help="draw it again, once a second, until nothing has been running for 10 seconds",
)
_NO_PAGER = option(
    "--no-pager", action="store_true", help="never through $PAGER, however long it is"
)
_JSON = option("--json", action="store_true", help="print JSON, with figures that are not rounded")


@command(
    "list",
    "list the experiments, the latest at the end",
    "doteval list\ndoteval list --watch\ndoteval list --json",
    _WATCH,
    _NO_PAGER,
    _JSON,
)
def list_experiments(call: Call) -> int:
    """A table of the experiments, or how to make the first."""
    if call.options.watch:
        _plain(call, "json")
        return watch(call, _list)
    with paged(call) as pages:
        _list(pages)
    return OK


def _plain(call: Call, *options: str) -> None:
    """
    Raises:
        UsageError: `--watch` was given with one of these options.
    """
    for name in options:
        if getattr(call.options, name):
            raise UsageError(f"--watch shows figures as they change; it does not go with --{name}")


def _list(call: Call) -> bool:
    """Print the table; whether something in it is running."""
    from ..reporting.views import experiment_table

    listed: list[Listed] = []
    try:
        with call.store() as store:
            listed = _listed(store)
    except NoStore:
        pass  # told below, like a store without experiments
    if call.options.json:
        call.say(as_json({"experiments": [each.to_dict() for each in listed]}))
    elif listed:
        call.say(experiment_table(listed, call.terminal, time.time()))
    else:
        call.say(
            "There are no experiments here yet. To make one:",
            f"  {program()} run FILE --experiment NAME",
            "  pytest FILE --experiment NAME",
            f"Looked into {call.terminal.shown(call.place())}; --storage PATH looks elsewhere.",
        )
    return any(each.status == "running" for each in listed)


def _listed(store: Store) -> list[Listed]:
    """The experiments; at the end the one where something happened last."""
    from ..reporting.summary import summarise
    from ..reporting.views import Listed

    listed = [
        Listed(name, [summarise(store, name, each) for each in store.evaluations(name)], created)
        for name, created in store.experiments()
    ]
    return sorted(listed, key=lambda each: each.when)


@command(
    "show",
    "show what came out of an experiment",
    "doteval show baseline\n"
    "doteval show baseline --errors            # the rows that failed, and why\n"
    "doteval show baseline --unread            # whose answer could not be read\n"
    "doteval show baseline --full              # every record with its texts\n"
    "doteval show baseline --watch             # while it runs in another terminal\n"
    "doteval show baseline --evaluation eval_sums --concurrency\n"
    "doteval show baseline --json",
    option("experiment", metavar="NAME", help="name of the experiment"),
    option(
        "--evaluation",
        metavar="NAME",
        help="only this one; its short name will do where it is the only one of that name",
    ),
    option("--full", action="store_true", help="every record: row, prompt, answer, scores, error"),
    option("--errors", action="store_true", help="the failed records, with what they said"),
    option("--unread", action="store_true", help="the records whose answer could not be read"),
    option(
        "--concurrency",
        action="store_true",
        help="how the limit of concurrency moved in the last run, and why",
    ),
    _WATCH,
    _NO_PAGER,
    _JSON,
)
def show(call: Call) -> int:
    """What is stored of an experiment."""
    if call.options.watch:
        _plain(call, "full", "errors", "unread", "concurrency", "json")
        return watch(call, _show)
    with paged(call) as pages:
        _show(pages)
    return OK


def _show(call: Call) -> bool:
    """Print what was asked for; whether an evaluation is running."""
    options = call.options
    with call.store() as store:
        names = _selected(store, options.experiment, options.evaluation)
        if options.json:
            _json(call, store, names)
        elif options.concurrency:
            _concurrency(call, store, names)
        elif options.errors or options.full or options.unread:
            _records(call, store, names)
        else:
            return _blocks(call, store, names)
    return False


def _selected(store: Store, experiment: str, wanted: str | None) -> dict[str, str]:
    """
    The evaluations that are asked for, and what to call each.

    Raises:
        NotFound: there is no such experiment or evaluation.
        UsageError: several evaluations have the short name.
    """
    from ..reporting.views import one_of, short_names

    called = short_names(store.evaluations(experiment))
    if wanted is None:
        return called
    name = one_of(list(called), wanted, experiment)
    return {name: called[name]}


def _blocks(call: Call, store: Store, names: dict[str, str]) -> bool:
    """A block for each evaluation, below a line about the experiment; whether one is running."""
    from ..reporting.summary import summarise
    from ..reporting.views import Listed, Piece, flow, plural, summary_lines
    from ..text import count, when

    experiment, terminal = call.options.experiment, call.terminal
    summaries = [summarise(store, experiment, name) for name in names]
    facts = [
        Piece(terminal.shown(experiment), "strong"),
        Piece(plural(len(summaries), "evaluation")),
        Piece(plural(sum(each.runs for each in summaries), "run")),
        Piece(when(Listed(experiment, summaries, 0.0).when, time.time())),
    ]
    call.show(flow(facts, terminal))
    for summary, name in zip(summaries, names.values(), strict=True):
        call.say("")
        call.show(summary_lines(summary, terminal, name))
    failed = sum(summary.failed for summary in summaries)
    if failed:
        call.say("")
        rows = "the row that failed" if failed == 1 else f"the {count(failed)} rows that failed"
        call.hint(f"{rows}: {program()} show {quoted(experiment)} --errors")
    return any(summary.status == "running" for summary in summaries)


def _concurrency(call: Call, store: Store, names: dict[str, str]) -> None:
    """The limit over the last run of each evaluation."""
    from ..reporting.details import limit_lines
    from ..reporting.summary import at_work
    from ..reporting.views import Piece, flow
    from ..text import duration

    for at, (name, called) in enumerate(names.items()):
        run = at_work(store.runs(call.options.experiment, name))
        strategy = run.header.get("strategy", {}).get("name", "")
        facts = [
            Piece(call.terminal.shown(called), "strong"),
            Piece(call.terminal.shown(strategy)),
            Piece(f"last run {run.status}"),
            *([] if run.finished is None else [Piece(duration(run.duration))]),
        ]
        call.show([""] if at else [])
        call.show(flow(facts, call.terminal))
        call.show(limit_lines(run, call.terminal))


def _records(call: Call, store: Store, names: dict[str, str]) -> None:
    """The records one by one, as they are read."""
    from ..reporting.details import failure_lines, record_lines

    lines = failure_lines if call.options.errors and not call.options.full else record_lines
    for at, (name, called) in enumerate(names.items()):
        call.show([""] if at else [])
        call.say(call.terminal.paint(call.terminal.shown(called), "strong"))
        none = True
        for record in _read(call, store, name):
            none = False
            call.say("", *lines(record, call.terminal))
        if none:
            call.say(_none(call))


def _read(call: Call, store: Store, name: str) -> Iterator[Record]:
    failed = True if call.options.errors else None
    records = store.records(call.options.experiment, name, failed=failed)
    return filter(_is_unread, records) if call.options.unread else records


def _none(call: Call) -> str:
    if call.options.unread:
        return "  every answer could be read"
    return "  no row failed" if call.options.errors else "  no records"


def _is_unread(record: Record) -> bool:
    """Whether the answer could not be read by one of the scores."""
    scores = getattr(record.outcome, "scores", ())  # a failure has none
    return any(score.unread for score in scores)


def _json(call: Call, store: Store, names: dict[str, str]) -> None:
    """`{"experiment", "runs", "evaluations"}`; records are written as they are read."""
    from dataclasses import asdict

    from ..reporting.summary import summarise

    experiment = call.options.experiment
    runs = [asdict(run) for run in store.runs(experiment) if run.evaluation in names]
    call.say(
        f'{{"experiment": {as_json(experiment)},', f'"runs": {as_json(runs)},', '"evaluations": ['
    )
    for at, name in enumerate(names):
        told = as_json(summarise(store, experiment, name).to_dict())
        call.show([","] if at else [])
        if call.options.full or call.options.errors or call.options.unread:
            call.say(f'{told[:-2]},\n  "records": [')
            call.show(_json_records(_read(call, store, name)))
            told = "  ]\n}"
        call.say(told)
    call.say("]}")


def _json_records(records: Iterable[Record]) -> Iterator[str]:
    """A line for each record; JSON wants to know of the last one that it is."""
    from ..reporting.details import record_dict

    line = None
    for record in records:
        if line is not None:
            yield f"{line},"
        line = f"    {as_json(record_dict(record), indent=None)}"
    if line is not None:
        yield line


# --- a piece of the terminal ------------------------------------------------------------------

_AT_MOST = 0.2  # of the time may go into looking at the store: there is a run to be left alone
_CALM = 10.0  # seconds: between two evaluations nothing runs, for as long as a fixture takes
_FEWEST_LINES = 24  # of a terminal that does not know
_HEAD = 2  # lines that stay where others have no room: without them a table has no titles


def watch(
    call: Call,
    frame: Callable[[Call], bool],
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """
    Draw something again and again, at most once a second, until nothing runs any more or Ctrl-C.

    Args:
        frame: prints to the call that it is given, and returns whether something is running.
        pause: waits so many seconds.
        clock: seconds, from any beginning.

    Raises:
        UsageError: the output is no terminal that can be drawn on.
    """
    if not call.terminal.live:
        raise UsageError("--watch draws on a terminal, and the output is none; leave --watch away")
    from io import StringIO  # only here

    shown: list[str] = []
    drawn, width = 0, call.terminal.width
    until = -math.inf  # when it is over, unless something is seen running before
    try:
        while True:
            began = clock()
            window = terminal(call.out, os.environ, call.options.color)
            page = StringIO()
            if frame(replace(call, out=page, terminal=window)):
                until = began + _CALM
            goes_on = began < until
            lines = page.getvalue().splitlines()
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
                return OK
            shown, drawn, width = lines, sum(rows), window.width
            pause(max(1.0, (clock() - began) * (1 / _AT_MOST - 1)))
    except KeyboardInterrupt:
        call.out.write("\r\x1b[J")  # the terminal has written ^C
        return OK


_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def _rows(line: str, width: int | None) -> int:
    """The rows of the screen that a line takes: a name that is never cut may make it too wide."""
    taken = display_width(_STYLE.sub("", line))
    return max(-(-taken // width), 1) if width else 1


def height(stream: TextIO) -> int:
    """The lines of a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).lines or _FEWEST_LINES
    except (OSError, ValueError):  # a stand-in without a descriptor
        return _FEWEST_LINES


# --- a pager ----------------------------------------------------------------------------------


@contextmanager
def paged(call: Call) -> Iterator[Call]:
    """
    A call whose answer goes through a pager where it is longer than the terminal is high.

    The pager is `$PAGER`, else `less`, where there is one. Whoever leaves it early ends the block.
    """
    pager = _pager() if call.terminal.live and not call.options.no_pager else []
    if not pager:
        yield call
        return
    stream = _Paged(call, pager)
    try:
        yield replace(call, out=cast(TextIO, stream))
    except BrokenPipeError:
        pass  # seen enough
    finally:
        stream.close()


def _pager() -> list[str]:
    """The pager's command; empty where there is none."""
    from shlex import split
    from shutil import which

    asked = os.environ.get("PAGER")
    command = split(asked) if asked is not None else ["less"]
    return command if command and command != ["cat"] and which(command[0]) else []


class _Paged:
    """A stream that holds back as many lines as the terminal shows, then starts the pager."""

    def __init__(self, call: Call, command: list[str]) -> None:
        self._call = call
        self._command = command
        self._room = height(call.out) - 1  # the prompt needs a line
        self._held: list[str] | None = []
        self._process: Popen[str] | None = None

    def write(self, chars: str) -> int:
        if self._held is None:
            return self._to_pager(chars)
        self._held.append(chars)
        self._room -= chars.count("\n")
        if self._room < 0:
            self._to_pager(self._take())
        return len(chars)

    def _take(self) -> str:
        held, self._held = "".join(self._held or ()), None
        return held

    def _to_pager(self, chars: str) -> int:
        if self._process is None:
            from subprocess import PIPE, Popen  # only for long output

            self._call.out.flush()
            self._process = Popen(
                self._command,
                stdin=PIPE,
                # Colours, no pager for what fits, and what was read stays on the screen.
                env={"LESS": "FRX", **os.environ},
                text=True,
                encoding=self._call.terminal.encoding,
                errors="backslashreplace",
            )
        pipe: Any = self._process.stdin
        return int(pipe.write(chars))

    def close(self) -> None:
        """Print what was short, or wait for the reader of what was long."""
        if self._process is None:
            self._call.out.write(self._take())
            return
        while True:
            try:
                self._process.communicate()
                return
            except KeyboardInterrupt:
                continue  # it is the pager's: it ends a search, not the reading
