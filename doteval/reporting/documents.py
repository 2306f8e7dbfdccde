"""
An experiment as a document for other programs: CSV, JSON, JUnit's XML, Markdown.

Each is a function that yields pieces of text while it reads the store, so that millions of records
are no problem. Texts are made harmless for where they are opened; who needs them to the letter
takes JSON Lines, which `storage.exchange` writes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import Any

from .. import text
from ..record import NO_USAGE, Call, Failure, Record, Result, Score, Usage
from ..storage import Store
from ..storage.encoding import load
from ..text import together
from ..views.figures import plural
from ..views.json import json_pieces as pieces_of
from ..views.media import as_text
from ..views.table import code, csv_cell
from .details import WRONG, record_dict, row_label, verdict
from .overview import summary_table
from .people import Labels
from .summary import Summary, summarise
from .views import short_name

# --- CSV --------------------------------------------------------------------------------------

_FIRST = ("evaluation", "position", "repeat", "verdict")
_VERDICTS = ("right", "wrong", "failed", "scored")
_LAST = (
    "unread",
    "error",
    "message",
    "prompt",
    "model_response",
    "metadata",
    "attempts",
    "started",
    "duration",
    "waited",
    "concurrency",
    "input_tokens",
    "output_tokens",
    "cost",
    "other",
)


def csv_pieces(store: Store, experiment: str) -> Iterator[str]:
    """
    A line for each live record, under a header.

    `row.NAME` are the columns of the datasets and `score.NAME` the scores, of all evaluations;
    `unread` names the scores that could not read the answer, and `other` has what a row holds
    beside these columns, as JSON. Text that a spreadsheet could take for a formula has an
    apostrophe before it, and controls are escaped.

    Raises:
        NotFound: there is no such experiment.
    """
    evaluations = store.evaluations(experiment)
    columns = _row_columns(store, experiment, evaluations)
    scores = list(
        dict.fromkeys(name for each in evaluations for name in store.tally(experiment, each).scores)
    )
    names = (*_FIRST, *(f"score.{name}" for name in scores), *(f"row.{name}" for name in columns))
    yield ",".join(map(csv_cell, (*names, *_LAST))) + "\n"
    for evaluation in evaluations:
        called = csv_cell(evaluation)
        yield from together(
            _csv_line(record, called, scores, columns)
            for record in store.records(experiment, evaluation)
        )


def _row_columns(store: Store, experiment: str, evaluations: Sequence[str]) -> list[str]:
    """The columns of the datasets as the runs noted them, and those of each first record."""
    found: dict[str, None] = {}
    for evaluation in evaluations:
        for run in store.runs(experiment, evaluation):
            found.update(dict.fromkeys(map(str, run.header.get("columns", ()))))
        for record in store.records(experiment, evaluation):
            found.update(dict.fromkeys(record.row))
            break
    return list(found)


def _csv_line(
    record: Record, evaluation: str, scores: Sequence[str], columns: Sequence[str]
) -> str:
    outcome = record.outcome
    error = message = None
    result: Result | None
    values: dict[str, Any] = {}
    unread = ""
    if isinstance(outcome, Failure):
        result, error, message = outcome.result, outcome.type, outcome.message
    else:
        result = outcome
        made: Sequence[Score] = outcome.scores  # type: ignore[assignment]
        values = {each.name: each.value for each in made}
        unread = " ".join([each.name for each in made if each.unread])
    row = dict(record.row)
    cells = [values.get(name) for name in scores]
    cells += [row.pop(name, None) for name in columns]
    cells += [unread or None, error, message]
    usage = NO_USAGE
    if result is None:
        cells += [None, None, None]
    else:
        cells += [result.prompt, result.model_response, result.metadata]
        if isinstance(result.usage, Usage):
            usage = result.usage
    cells += [record.attempts, record.started, record.duration, record.waited, record.concurrency]
    cells += [usage.input_tokens, usage.output_tokens, usage.cost, row or None]
    head = f"{evaluation},{record.position},{record.repeat},{_VERDICTS[verdict(record)]},"
    return head + ",".join(map(csv_cell, cells)) + "\n"


# --- JSON -------------------------------------------------------------------------------------


def json_pieces(store: Store, experiment: str) -> Iterator[str]:
    """
    One document, `{"experiment", "runs", "evaluations"}`, as `show --json --full` prints it.

    Each evaluation is its summary with its live records.

    Raises:
        NotFound: there is no such experiment.
    """
    names, read = store.evaluations(experiment), partial(store.records, experiment)
    yield from pieces_of(document(store, experiment, names, read))


def document(
    store: Store,
    experiment: str,
    evaluations: Sequence[str],
    read: Callable[[str], Iterator[Record]] | None = None,
    calls: bool = False,
    people: Labels | None = None,
) -> dict[str, Any]:
    """
    An experiment as plain data.

    Args:
        evaluations: of it, those to tell of.
        read: the records of an evaluation; then each evaluation has some, which are read as the
            document is written. None: there are summaries alone.
        calls: whether each record has the calls that are kept of it.
        people: what people said of some rows.
    """
    runs = [asdict(run) for run in store.runs(experiment) if run.evaluation in evaluations]
    told: Iterable[dict[str, Any]] = (
        summarise(store, experiment, name, people=people).to_dict() for name in evaluations
    )
    if read is None:
        told = list(told)
    else:
        told = (
            {**each, "records": map(partial(_told, store, experiment, name, calls), read(name))}
            for name, each in zip(evaluations, told, strict=True)
        )
    return {"experiment": experiment, "runs": runs, "evaluations": told}


def _told(
    store: Store, experiment: str, evaluation: str, calls: bool, record: Record
) -> dict[str, Any]:
    told = record_dict(record)
    if calls:
        told["calls"] = [
            {
                "request": load(call.request),
                "response": load(call.response),
                "number": call.number,
                "started": call.started,
                "duration": call.duration,
            }
            for call in calls_of(store, experiment, evaluation, record)
        ]
    return told


def calls_of(store: Any, experiment: str, evaluation: str, record: Record) -> list[Call]:
    """The calls that a store has kept of a record; [] where it keeps none."""
    found = store.calls(experiment, evaluation, record.key)
    return [call for _, call in found if call.repeat == record.repeat]


# --- JUnit ------------------------------------------------------------------------------------

_LONGEST = 4_000  # characters of a text in a case
_NO_XML = re.compile("[\ufffe\uffff]")  # characters that XML 1.0 can not hold, beside controls


def junit_pieces(store: Store, experiment: str) -> Iterator[str]:
    """
    A suite for each evaluation and a case for each live record: an error where it failed, a failure
    where it is wrong.

    Reads the records twice, because a suite begins with its counts.

    Raises:
        NotFound: there is no such experiment.
    """
    yield '<?xml version="1.0" encoding="utf-8"?>\n'
    yield f"<testsuites name={_attribute(experiment)}>\n"
    for evaluation in store.evaluations(experiment):
        tally = store.tally(experiment, evaluation)
        wrong = sum(verdict(each) == WRONG for each in store.records(experiment, evaluation))
        runs = store.runs(experiment, evaluation)
        yield (
            f'<testsuite name={_attribute(evaluation)} tests="{tally.scored + tally.failed}" '
            f'failures="{wrong}" errors="{tally.failed}" skipped="0" '
            f'time="{sum(run.duration for run in runs):.3f}"{_timestamp(tally.began)}>\n'
        )
        classname, name = _test_names(evaluation)
        records = store.records(experiment, evaluation)
        yield from together(_case(record, classname, name) for record in records)
        yield "</testsuite>\n"
    yield "</testsuites>\n"


def _timestamp(seconds: float | None) -> str:
    import time

    if seconds is None:
        return ""
    try:
        return f' timestamp="{time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))}"'
    except (OverflowError, ValueError, OSError):
        return ""


def _test_names(evaluation: str) -> tuple[str, str]:
    """As pytest's own: "tests/eval_x.py::eval_y[gpt]" is in class tests.eval_x."""
    name = short_name(evaluation)
    file = evaluation[: -len(name)].removesuffix("::").removesuffix(".py")
    return file.replace("/", "."), name


def _case(record: Record, classname: str, name: str) -> str:
    called = f"{name} {_which(record)}"
    seconds = record.duration if math.isfinite(record.duration) else 0.0
    head = (
        f"<testcase classname={_attribute(classname)} name={_attribute(called)} "
        f'time="{seconds:.3f}"'
    )
    outcome = record.outcome
    if isinstance(outcome, Failure):
        told = as_text(outcome.traceback or outcome.message)[-_LONGEST:]
        kind, said = "error", as_text(outcome.message, limit=_LONGEST + 1)
        head += f"><error type={_attribute(outcome.type)} message={_attribute(said)}>"
    elif verdict(record) == WRONG:
        kind, told = "failure", ""
        scores = (each for each in outcome.scores if isinstance(each, Score))
        said = ", ".join(f"{each.name} is {each.value}" for each in scores)
        head += f"><failure message={_attribute(said)}>"
    else:
        return f"{head}/>\n"
    body = _xml("\n".join(chain([told] if told else [], _context(record))))
    return f"{head}{body}</{kind}></testcase>\n"


def _which(record: Record) -> str:
    return f"row {record.position}" + (f" repeat {record.repeat}" if record.repeat else "")


def _context(record: Record) -> Iterator[str]:
    """The row, the prompt and the answer, each in brief."""
    outcome = record.outcome
    result = outcome.result if isinstance(outcome, Failure) else outcome
    parts = [(row_label(name), value) for name, value in list(record.row.items())[:20]]
    if result is not None:
        parts += [("prompt", result.prompt), ("answer", result.model_response)]
    for name, value in parts:
        if value is not None:
            yield f"{name}: {as_text(value, 2, _LONGEST)}"


def _attribute(value: str) -> str:
    shown = _xml(value[:_LONGEST]).replace('"', "&quot;")
    return '"' + shown.replace("\n", "&#10;").replace("\t", "&#9;") + '"'


def _xml(value: str) -> str:
    shown = text.safe(value, newlines=True)
    shown = _NO_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- Markdown ---------------------------------------------------------------------------------

_EVALUATIONS = 200  # in a table: GitHub takes 1 MiB a step
_SCORES = 10  # of an evaluation
_FAILED = 10  # rows that are shown


def markdown_pieces(store: Store, experiment: str) -> Iterator[str]:
    """
    A summary for people: scores, counts, and some of the rows that failed. Small, so that it fits
    where GitHub shows it. Whatever comes from the experiment stands in code.

    Raises:
        NotFound: there is no such experiment.
    """
    names = store.evaluations(experiment)
    summaries = [summarise(store, experiment, each) for each in names[:_EVALUATIONS]]
    yield f"### {code(experiment)}\n\n"
    if not summaries:
        yield "No evaluations.\n"
        return
    yield from summary_table(summaries, _SCORES).markdown()
    if len(names) > len(summaries):
        yield f"\nand {plural(len(names) - len(summaries), 'more evaluation')}\n"
    yield from _markdown_failures(store, experiment, summaries)


def _markdown_failures(
    store: Store, experiment: str, summaries: Sequence[Summary]
) -> Iterator[str]:
    failed = sum(summary.failed for summary in summaries)
    if not failed:
        return
    yield f"\n<details><summary>{plural(failed, 'row')} failed</summary>\n\n"
    shown = 0
    for summary in summaries:
        if not summary.failed or shown >= _FAILED:
            continue
        for record in store.records(experiment, summary.evaluation, failed=True):
            if shown >= _FAILED:
                break
            shown += 1
            assert isinstance(record.outcome, Failure)
            name = f"{short_name(summary.evaluation)} {_which(record)}"
            said = as_text(f"{record.outcome.type}: {record.outcome.message}")
            yield f"- {code(name)} {code(said)}\n"
    if failed > shown:
        yield f"- and {plural(failed - shown, 'other')}\n"
    yield "\n</details>\n"
