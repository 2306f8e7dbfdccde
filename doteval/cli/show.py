"""
`doteval show`: what came out of an experiment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import text
from ..errors import UsageError
from ..quantities import count, parse_rows
from ..views.terminal import Piece, flow
from .call import (
    EVALUATION,
    LABELS,
    TABLE,
    Answer,
    Call,
    columns,
    command,
    flag,
    option,
    people_in,
    typed,
)
from .watch import WATCH, refuse, watch

if TYPE_CHECKING:
    from ..record import Record
    from ..storage import Store


def _position(said: str) -> int:
    found = count(said)
    if isinstance(found, int):
        return found
    raise UsageError("expected the number of a row, from 0, as `show --full` tells it")


@command(
    "show what came out of an experiment",
    "doteval show baseline\n"
    "doteval show baseline --errors            # the rows that failed, and why\n"
    "doteval show baseline --wrong --sample 5  # five wrong rows, drawn at random\n"
    "doteval show baseline --by difficulty     # where is it wrong?\n"
    "doteval show baseline --calls --row 3     # what was asked for this row, and answered\n"
    "doteval show baseline --full | less -R    # every record with its texts\n"
    "doteval show baseline --watch             # while it runs in another terminal\n"
    "doteval show baseline --evaluation eval_sums --concurrency\n"
    "doteval show baseline --noise             # what flips by itself, what more would buy\n"
    "doteval show baseline --json",
    option("experiment", metavar="NAME", help="name of the experiment"),
    EVALUATION,
    flag("--full", "every record: row, prompt, answer, scores, error"),
    flag("--errors", "the failed records, with what they said"),
    flag("--wrong", "the records with a wrong answer"),
    flag("--unread", "the records whose answer could not be read"),
    option("--row", metavar="N", type=typed(_position), help="the records of this row"),
    flag("--calls", "with each record the calls that are kept of it: what was asked and answered"),
    option(
        "--sample", metavar="N", type=typed(parse_rows), help="so many records, drawn at random"
    ),
    option(
        "--by",
        metavar="COLUMN[,COLUMN]",
        type=typed(columns),
        help="the scores for each value of these columns, and which differ from the others",
    ),
    flag("--concurrency", "how the limit of concurrency moved in the last run, and why"),
    LABELS,
    flag(
        "--noise",
        "what repeats tell: the spread between and within rows, flaky rows, what more buys",
    ),
    WATCH,
    forms=TABLE,
)
def run(call: Call) -> Answer:
    """What is stored of an experiment."""
    from ..reporting.documents import document

    options = call.options
    if options.watch:
        refuse(call, *_VIEWS, "calls", *_CHOICES)
        return watch(call, _blocks)
    chosen = [name for name in _CHOICES if _is_asked(getattr(options, name))]
    for view, show in (("by", _by), ("noise", _noise)):
        if getattr(options, view):
            others = [name for name in _VIEWS if name != view and getattr(options, name)]
            if beside := others + chosen:
                raise UsageError(
                    f"--{view} shows figures of all rows; it does not go with --{beside[0]}"
                )
            return show(call)
    wants_records = options.full or options.calls or bool(chosen)
    if options.form != "json" and not (wants_records or options.concurrency):
        return _blocks(call)[0]
    store = call.store()
    names = _selected(store, options.experiment, options.evaluation)
    read = partial(_read, call, store) if wants_records else None
    people = people_in(call)
    data = document(store, options.experiment, list(names), read, options.calls, people)
    if people is not None and read is None:  # else they are read while it is written
        people.check()
    lines = _concurrency if options.concurrency else _records
    return Answer(lines(call, store, names), data=data)


_VIEWS = ("full", "concurrency", "noise", "by", "labels")
_CHOICES = ("errors", "wrong", "unread", "row", "sample")  # of records


_LATE = 2_000  # calls of the store among which the nearest other one is looked for


def _is_asked(value: object) -> bool:
    return value is not None and value is not False  # row 0 is asked for


def _by(call: Call) -> Answer:
    """The figures of each evaluation by the values of columns."""
    from ..reporting.slices import slice_lines, slice_table, slices

    store, experiment, by = call.store(), call.options.experiment, call.options.by
    names = _selected(store, experiment, call.options.evaluation)
    found = {name: slices(store, experiment, name, by) for name in names}
    lines = [""]
    for name, called in names.items():
        lines += ["", call.terminal.paint(call.terminal.shown(called), "strong")]
        lines += slice_lines(found[name], call.terminal)
    data = {
        "experiment": experiment,
        "by": by,
        "evaluations": [
            {"evaluation": name, "slices": [each.to_dict() for each in found[name]]}
            for name in names
        ],
    }
    return Answer(lines[2:], data=data, table=slice_table(found))


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
    """A block for each evaluation, or a table of many; and whether one is running."""
    from ..reporting.experiments import Experiment, experiment_lines
    from ..reporting.overview import MANY, overview_lines, summary_table
    from ..reporting.summary import summarise
    from ..reporting.views import summary_lines

    experiment, terminal, store = call.options.experiment, call.terminal, call.store()
    names = _selected(store, experiment, call.options.evaluation)
    people = people_in(call)
    summaries = [summarise(store, experiment, name, people=people) for name in names]
    if people is not None:
        people.check()
    lines = experiment_lines(Experiment(experiment, summaries, 0.0), time.time(), terminal)
    if len(summaries) >= MANY:
        lines += ["", *overview_lines(summaries, terminal)]
        one = "show", experiment, "--evaluation", next(iter(names.values()))
        if hint := call.hint("one as a whole:", *one):
            lines += ["", *hint]
    else:
        for summary, name in zip(summaries, names.values(), strict=True):
            lines += ["", *summary_lines(summary, terminal, name)]
    if failed := sum(summary.failed for summary in summaries):
        rows = "row" if failed == 1 else f"{text.count(failed)} rows"
        lines += ["", *call.hint(f"the {rows} that failed:", "show", experiment, "--errors")]
    table = summary_table(summaries) if summaries else None
    return Answer(lines, table=table), any(summary.status == "running" for summary in summaries)


def _noise(call: Call) -> Answer:
    """What the repeats of each evaluation tell."""
    from ..reporting.noise import spread_lines, spreads

    store, experiment = call.store(), call.options.experiment
    names = _selected(store, experiment, call.options.evaluation)
    found = {name: spreads(store, (experiment, name)) for name in names}
    lines: list[str] = []
    for name, called in names.items():
        lines += [*[""] * bool(lines), call.terminal.paint(call.terminal.shown(called), "strong")]
        for spread in found[name]:
            lines += ["", *spread_lines(spread, call.terminal)]
        if not found[name]:
            once = store.tally(experiment, name).repeats < 2
            lines.append(f"  {_ASKED_ONCE if once else 'no score is true or false, or a number'}")
    told = [spread.to_dict() for each in found.values() for spread in each]
    return Answer(lines, data={"experiment": experiment, "noise": told})


_ASKED_ONCE = "every row was asked once; ForEach(repeats=3) asks it again"


def _concurrency(call: Call, store: Store, names: dict[str, str]) -> Iterator[str]:
    """The limit over the last run of each evaluation."""
    from ..reporting.details import limit_lines
    from ..reporting.summary import at_work

    for at, (name, called) in enumerate(names.items()):
        runs = store.runs(call.options.experiment, name)
        if not runs:  # of a store that is damaged, or was merged from none
            yield f"{call.terminal.shown(called)}: no run is known"
            continue
        run = at_work(runs)
        strategy = run.header.get("strategy", {}).get("name", "")
        facts = [
            Piece(call.terminal.shown(called), "strong"),
            Piece(call.terminal.shown(strategy)),
            Piece(f"last run {run.status}"),
            *([] if run.finished is None else [Piece(text.duration(run.duration))]),
        ]
        yield from [""] if at else []
        yield from flow(facts, call.terminal)
        yield from limit_lines(run, call.terminal)


def _records(call: Call, store: Store, names: dict[str, str]) -> Iterator[str]:
    """The records one by one, as they are read."""
    from ..reporting.details import call_lines, failure_lines, record_lines
    from ..reporting.documents import calls_of

    options, terminal = call.options, call.terminal
    is_brief = options.errors and not (options.full or options.calls)
    lines = failure_lines if is_brief else record_lines
    for at, (name, called) in enumerate(names.items()):
        yield from [""] if at else []
        yield terminal.paint(terminal.shown(called), "strong")
        none = True
        for record in _read(call, store, name):
            none = False
            told = ["", *lines(record, terminal)]
            if options.calls:
                made = calls_of(store, options.experiment, name, record)
                one: Any = store  # that has calls knows the latest ones
                late = one.late_requests(_LATE) if made and options.row is not None else ()
                told += call_lines(made, late, terminal)
            yield "\n".join(told)  # a million of them: one write each
        if none:
            yield _none(call)
        if options.errors:
            yield from _unfinished(call, store, name)


def _unfinished(call: Call, store: Store, name: str) -> Iterator[str]:
    """What a run that is not complete waits for, or ended with, and which attempts failed in it."""
    from collections import Counter

    from ..reporting.details import wrapped

    runs = store.runs(call.options.experiment, name)
    if not runs or runs[-1].status == "complete":  # of a damaged store there may be none
        return
    run = runs[-1]
    attempts = store.attempts(call.options.experiment, name)
    failed = Counter(each.error for each in attempts if each.started >= run.started)
    told = [f"the last run is {run.status}{'' if run.error is None else f': {run.error}'}"]
    if failed:
        each = (f"{count:,} {text.one_line(kind, 80)}" for kind, count in failed.most_common())
        told.append(f"its attempts that failed: {', '.join(each)}")
    yield ""
    for sentence in told:
        for line in wrapped(call.terminal, sentence, 2):
            yield f"  {call.terminal.paint(line, 'warn')}"


def _read(call: Call, store: Store, name: str) -> Iterator[Record]:
    """The records that are asked for, in their order; those drawn are the same at each call."""
    options = call.options
    failed = True if options.errors else False if options.wrong or options.unread else None
    records = store.records(options.experiment, name, failed=failed)
    if options.wrong:
        from ..reporting.details import WRONG, verdict

        records = (each for each in records if verdict(each) == WRONG and not _is_unread(each))
    if options.unread:
        records = filter(_is_unread, records)
    if options.row is not None:
        records = (record for record in records if record.position == options.row)
    if options.sample is None:
        return records
    from heapq import nsmallest

    drawn = nsmallest(options.sample, records, key=lambda each: (each.key[::-1], each.repeat))
    return iter(sorted(drawn, key=lambda each: (each.position, each.repeat)))


def _none(call: Call) -> str:
    options = call.options
    if options.wrong:
        return "  no answer is wrong"
    if options.unread:
        return "  no answer is unread"
    if options.errors:
        return "  no row failed"
    return "  no records" if options.row is None else f"  there is no row {options.row}"


def _is_unread(record: Record) -> bool:
    """Whether the answer could not be read by one of the scores."""
    scores = getattr(record.outcome, "scores", ())  # a failure has none
    return any(score.unread for score in scores)
