"""
`doteval show`: what came out of an experiment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from .call import EVALUATION, TABLE, Answer, Call, command, option, program, quoted
from .watch import WATCH, refuse, watch

if TYPE_CHECKING:
    from ..record import Record
    from ..storage import Store


@command(
    "show what came out of an experiment",
    "doteval show baseline\n"
    "doteval show baseline --errors            # the rows that failed, and why\n"
    "doteval show baseline --unread            # whose answer could not be read\n"
    "doteval show baseline --full | less -R    # every record with its texts\n"
    "doteval show baseline --watch             # while it runs in another terminal\n"
    "doteval show baseline --evaluation eval_sums --concurrency\n"
    "doteval show baseline --json",
    option("experiment", metavar="NAME", help="name of the experiment"),
    EVALUATION,
    option("--full", action="store_true", help="every record: row, prompt, answer, scores, error"),
    option("--errors", action="store_true", help="the failed records, with what they said"),
    option("--unread", action="store_true", help="the records whose answer could not be read"),
    option(
        "--concurrency",
        action="store_true",
        help="how the limit of concurrency moved in the last run, and why",
    ),
    WATCH,
    forms=TABLE,
)
def run(call: Call) -> Answer:
    """What is stored of an experiment."""
    from ..reporting.documents import document

    options = call.options
    if options.watch:
        refuse(call, "full", "errors", "unread", "concurrency")
        return watch(call, _blocks)
    wants_records = options.full or options.errors or options.unread
    if options.form != "json" and not (wants_records or options.concurrency):
        return _blocks(call)[0]
    store = call.store()
    names = _selected(store, options.experiment, options.evaluation)
    read = partial(_read, call, store) if wants_records else None
    data = document(store, options.experiment, list(names), read)
    lines = _concurrency if options.concurrency else _records
    return Answer(lines(call, store, names), data=data)


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


def _blocks(call: Call) -> tuple[Answer, bool]:
    """A block for each evaluation, below a line about the experiment; whether one is running."""
    from ..reporting.documents import summary_table
    from ..reporting.summary import summarise
    from ..reporting.views import Experiment, summary_lines
    from ..text import count, when
    from ..views.figures import plural
    from ..views.terminal import Piece, flow

    experiment, terminal, store = call.options.experiment, call.terminal, call.store()
    names = _selected(store, experiment, call.options.evaluation)
    summaries = [summarise(store, experiment, name) for name in names]
    facts = [
        Piece(terminal.shown(experiment), "strong"),
        Piece(plural(len(summaries), "evaluation")),
        Piece(plural(sum(each.runs for each in summaries), "run")),
        Piece(when(Experiment(experiment, summaries, 0.0).when, time.time())),
    ]
    lines = flow(facts, terminal)
    for summary, name in zip(summaries, names.values(), strict=True):
        lines += ["", *summary_lines(summary, terminal, name)]
    failed = sum(summary.failed for summary in summaries)
    if failed:
        rows = "the row that failed" if failed == 1 else f"the {count(failed)} rows that failed"
        lines += ["", *call.hint(f"{rows}: {program()} show {quoted(experiment)} --errors")]
    table = summary_table(summaries) if summaries else None
    return Answer(lines, table=table), any(summary.status == "running" for summary in summaries)


def _concurrency(call: Call, store: Store, names: dict[str, str]) -> Iterator[str]:
    """The limit over the last run of each evaluation."""
    from ..reporting.details import limit_lines
    from ..reporting.summary import at_work
    from ..text import duration
    from ..views.terminal import Piece, flow

    for at, (name, called) in enumerate(names.items()):
        run = at_work(store.runs(call.options.experiment, name))
        strategy = run.header.get("strategy", {}).get("name", "")
        facts = [
            Piece(call.terminal.shown(called), "strong"),
            Piece(call.terminal.shown(strategy)),
            Piece(f"last run {run.status}"),
            *([] if run.finished is None else [Piece(duration(run.duration))]),
        ]
        yield from [""] if at else []
        yield from flow(facts, call.terminal)
        yield from limit_lines(run, call.terminal)


def _records(call: Call, store: Store, names: dict[str, str]) -> Iterator[str]:
    """The records one by one, as they are read."""
    from ..reporting.details import failure_lines, record_lines

    lines = failure_lines if call.options.errors and not call.options.full else record_lines
    for at, (name, called) in enumerate(names.items()):
        yield from [""] if at else []
        yield call.terminal.paint(call.terminal.shown(called), "strong")
        none = True
        for record in _read(call, store, name):
            none = False
            yield ""
            yield from lines(record, call.terminal)
        if none:
            yield _none(call)


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
