"""Records put into a store as they are, for the tests of what reads them or hands them on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from doteval.keys import digest_of
from doteval.record import Attempt, Failure, Record, Result, Run, Score, Usage
from doteval.storage import Store
from tests.storage.made import entry_of

EVALUATION = "tests/eval_x.py::eval_x"
BEGAN = 1_760_000_000.0  # Unix seconds

# What models, datasets and clients may answer, and a page, a terminal or a spreadsheet must bear.
HOSTILE = (
    "<script>window.hurt = 1</script>",
    "</script><img src=x onerror='window.hurt = 1'>",
    "<!-- <script> -->",
    "]]> &lt;b&gt; &amp; \"quoted\" 'too'",
    "abc\u202egnp.exe\u2069",
    "\x1b[2J\x1b]0;title\x07\x00",
    "lone \ud800 surrogate",
    '=HYPERLINK("http://x","y")',
    "line\u2028separator\ufffe",
    "pipe | `code` **bold** @everyone $x$",
)


def recorded(position: int, *scores: Score, **changes: Any) -> Record:
    """
    A record of row `position`; without scores, a failure.

    Args:
        changes: fields of the record; those of its Result or Failure too.
    """
    row = changes.pop("row", {"question": f"question {position}", "answer": str(position)})
    told = {
        name: changes.pop(name)
        for name in ("prompt", "model_response", "metadata", "usage", "error")
        if name in changes
    }
    outcome: Any
    if scores:
        outcome = Result(*scores, **told)
    else:
        failure = {
            name: changes.pop(name) for name in ("type", "message", "traceback") if name in changes
        }
        failure = {"type": "ValueError", "message": "no", **failure}
        outcome = Failure(**failure, result=Result(**told) if told else None)
    plain = Record(
        digest_of(tuple(map(str, row.values()))), position, 0, row, outcome, 1,
        BEGAN + position, 0.5, 0.0, 2,
    )  # fmt: skip
    return plain._replace(**changes)


def right(position: int, **changes: Any) -> Record:
    """A record whose score is True."""
    return recorded(position, Score("exact", True, ("accuracy",)), **changes)


def wrong(position: int, **changes: Any) -> Record:
    """A record whose score is False."""
    return recorded(position, Score("exact", False, ("accuracy",)), **changes)


def stock(
    store: Store,
    experiment: str,
    records: Iterable[Record],
    *,
    evaluation: str = EVALUATION,
    attempts: Sequence[Attempt] = (),
    total: int | None = None,
    fresh: bool = False,
    part: str = "",
    header: Mapping[str, Any] | None = None,
    ended: Mapping[str, Any] | None = None,
    digest: bytes | None = None,
    replaces: int | None = None,
    began: float = BEGAN,
) -> None:
    """
    Put records into a store, as one run.

    Args:
        ended: fields of the run at its end; by default it was complete after 100 seconds.
        digest, replaces: of all the records.
    """
    head = {"columns": ["question", "answer"], "fresh": fresh, **(header or {})}
    run = Run(os.urandom(16).hex(), experiment, evaluation, began, None, 0.0, "running", 1, head)
    number = store.begin(run, fresh=fresh, part=part)
    entries: list[Any] = []
    for each in records:
        outcome = each.outcome
        result = outcome.result if isinstance(outcome, Failure) else outcome
        usage = result.usage if result is not None and result.usage is not None else Usage()
        entries.append(entry_of(each, digest=digest, usage=usage, replaces=replaces))
    store.add(number, [*entries, *attempts])
    if total is not None:
        store.total(number, total)
    finish = {"finished": began + 100, "duration": 100.0, "status": "complete", **(ended or {})}
    store.end(number, replace(run, **finish))
