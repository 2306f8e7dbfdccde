"""
Records as data inside a page: what its table shows of each, and the texts behind it, in bounds.

Every text is made harmless as it is shown elsewhere, and JSON that stands inside a <script> holds
no `<`, `>` or `&`: no text can end its element, open a comment or become a reference.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import text
from ..records import Failure, Record, Result, Score, Usage

RIGHT, WRONG, FAILED, SCORED = range(4)  # verdicts on a record
SAME, WORSE, BETTER = range(3)  # what became of a record of the baseline

_PREVIEW = 110  # characters of the row and of the answer in the table
_FLOOR = 600  # characters of texts that every record gets, however many there are
_LONGEST_FACT = 100  # characters; facts are never left out
_LONGEST_BEFORE = 4_000  # characters of the answer of a baseline
_TOGETHER = 200  # records in one script element,
_TOGETHER_TEXT = 2**20  # or as many as have so many characters


def verdict(record: Record) -> int:
    """
    What a record came to.

    Returns:
        FAILED; WRONG: one of its true or false scores is false, or one that counts for an accuracy
        is 0; RIGHT: it has such scores and all are true; SCORED: it has numbers only.
    """
    outcome = record.outcome
    if isinstance(outcome, Failure):
        return FAILED
    found = SCORED
    for score in outcome.scores:
        assert isinstance(score, Score)
        if isinstance(score.value, bool) or "accuracy" in score.metrics:
            if not score.value:
                return WRONG
            found = RIGHT
    return found


class Verdicts:
    """
    The verdicts on the records of a baseline, in 8 bytes each.

    Args:
        records: of one evaluation.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        found = array("Q", (tag_of(each) | verdict(each) for each in records))
        self._found = array("Q", sorted(found))

    def change(self, record: Record) -> int:
        """Whether a record is worse or better than it was there; SAME where it was not there."""
        tag, now = tag_of(record), verdict(record)
        at = bisect_left(self._found, tag)
        if at == len(self._found) or self._found[at] & ~3 != tag:
            return SAME
        before = self._found[at] & 3
        if (before == RIGHT) == (now == RIGHT) or SCORED in (before, now):
            return SAME
        return BETTER if now == RIGHT else WORSE


def tag_of(record: Record) -> int:
    """62 bits of the record's identity, with room for a verdict in the lowest two."""
    number = int.from_bytes(record.key[:8], "big") + record.repeat * 0x9E3779B97F4A7C15
    return number & 0xFFFF_FFFF_FFFF_FFFC


# --- texts ------------------------------------------------------------------------------------


class Texts:
    """
    Cuts the texts of records so that all of them stay within a bound.

    Each record is sure of a little; what the others leave, whoever comes first may use.

    Args:
        records: how many there will be, at most.
        most: characters of all texts together.
        longest: characters of one text.

    Attributes:
        cut: how many texts were cut.
    """

    def __init__(self, records: int, most: int, longest: int) -> None:
        self._floor = min(_FLOOR, most // max(records, 1))
        self._spare = most - self._floor * records
        self._longest = longest
        self.cut = 0

    def of(self, record: Record, before: str | None = None) -> list[list[Any]]:
        """
        What there is to read of a record: [kind, label, text, characters that were cut].

        The kinds: "r" a value of the row, "p" prompt, "a" answer, "b" answer of the baseline, "m"
        metadata, "e" error, "t" traceback, "f" a short fact.

        Args:
            before: what the baseline answered.
        """
        left = self._floor + max(self._spare, 0)
        told = []
        parts = list(_parts(record))
        if before is not None:
            last = max(at for at, (kind, _, _) in enumerate(parts) if kind in "erpa")
            parts.insert(last + 1, ("b", "answer of the baseline", before))
        for kind, label, value in parts:
            most = _LONGEST_FACT if kind == "f" else min(self._longest, left)
            shown, more = _shown(value, most)
            left -= len(shown)
            told.append([kind, text.safe(label, 100), shown, more])
            self.cut += more > 0
        self._spare = left  # what it did not need of its own share is there for others
        return told


def _shown(value: Any, most: int) -> tuple[str, int]:
    """A value as a text of at most so many characters, and how many were cut."""
    whole = as_text(value)
    most = max(most, 0)
    kept = whole[:most]
    return text.safe(kept, newlines=True), len(whole) - len(kept)


def as_text(value: object) -> str:
    """A text as it is, anything else as JSON over several lines."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _parts(record: Record) -> Iterator[tuple[str, str, Any]]:
    outcome = record.outcome
    result = outcome.result if isinstance(outcome, Failure) else outcome
    if isinstance(outcome, Failure):
        # First: it is what one looks for, and it must not fall victim to the bound.
        yield "e", outcome.type, outcome.message
    for name, value in record.row.items():
        yield "r", f"row: {name}", value
    if result is not None:
        yield from _said("p", "prompt", result.prompt)
        yield from _said("a", "answer", result.model_response)
    if isinstance(outcome, Failure) and outcome.traceback:
        yield "t", "traceback", outcome.traceback
    if result is not None:
        if result.metadata:
            yield "m", "metadata", result.metadata
        yield from _notes(result)
        if isinstance(result.usage, Usage):
            yield from _usage(result.usage)
    yield from _facts(record)


def _said(kind: str, label: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    """A prompt or an answer; the messages of a conversation one by one."""
    if value is None:
        return
    if isinstance(value, list) and value and all(map(_is_message, value)):
        for message in value:
            yield kind, f"{label}: {message['role']}", message["content"]
    else:
        yield kind, label, value


def _is_message(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() == {"role", "content"}
        and isinstance(value["role"], str)
    )


def _notes(result: Result) -> Iterator[tuple[str, str, Any]]:
    for score in result.scores:
        if isinstance(score, Score) and score.metadata:
            yield "m", f"about {score.name}", score.metadata


def _usage(usage: Usage) -> Iterator[tuple[str, str, str]]:
    if usage.input_tokens is not None or usage.output_tokens is not None:
        counts = (text.count(usage.input_tokens), text.count(usage.output_tokens))
        yield "f", "tokens in, out", ", ".join(counts)
    if usage.cost is not None:
        yield "f", "cost", f"{usage.cost:.4g}"


def _facts(record: Record) -> Iterator[tuple[str, str, str]]:
    if record.attempts > 1:
        yield "f", "attempts", text.count(record.attempts)
    if record.waited > 0:
        yield "f", "waiting", text.duration(record.waited)
    yield "f", "in flight", text.count(record.concurrency)


# --- rows of the table ------------------------------------------------------------------------


def row_of(
    record: Record, evaluation: int, change: int, scores: Sequence[str]
) -> list[Any]:  # fmt: skip
    """
    A record as a row of the table; the script's constants name the places.

    Args:
        evaluation: its number.
        change: against the baseline.
        scores: names of the columns.
    """
    outcome = record.outcome
    values: dict[str, Any] = {}
    if isinstance(outcome, Failure):
        answer = f"{outcome.type}: {outcome.message[:_PREVIEW]}"
    else:
        values = {each.name: _figure(each.value) for each in outcome.scores}  # type: ignore[union-attr]
        answer = outcome.model_response
    return [
        evaluation,
        record.position,
        record.repeat,
        verdict(record),
        change,
        round(record.duration, 4) if abs(record.duration) < 1e12 else None,
        record.attempts,
        [values.get(name) for name in scores],
        preview(_row_text(record.row)),
        "" if answer is None else preview(_start(answer)),
    ]


def answer_of(record: Record) -> str:
    """What a record answered, or why it failed, as a text; its beginning."""
    outcome = record.outcome
    if isinstance(outcome, Failure):
        return f"{outcome.type}: {outcome.message}"[:_LONGEST_BEFORE]
    answer = outcome.model_response
    return "" if answer is None else as_text(answer)[:_LONGEST_BEFORE]


def _figure(value: Any) -> Any:
    """A score as JSON knows it; what a script can not count with is a text."""
    if isinstance(value, bool):
        return value
    if value != value:
        return "NaN"
    if isinstance(value, int):
        return value if abs(value) < 2**53 else f"{value:,}" if abs(value) < 10**30 else "huge"
    return value if abs(value) < float("inf") else "∞" if value > 0 else "-∞"


def _row_text(row: Mapping[str, Any]) -> str:
    if len(row) == 1:
        return _start(next(iter(row.values())))
    return " · ".join(_start(value) for value in list(row.values())[:20])


def _start(value: Any) -> str:
    """The beginning of a value: an answer of 10 MB costs no more than a short one."""
    if isinstance(value, str):
        return value[: 4 * _PREVIEW]
    return json.dumps(value, ensure_ascii=False, default=str)[: 4 * _PREVIEW]


def preview(value: str) -> str:
    """The beginning of a text on one line."""
    return text.safe(" ".join(value[: 4 * _PREVIEW].split()), _PREVIEW)


# --- JSON inside HTML -------------------------------------------------------------------------

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def inline_json(value: Any) -> str:
    """Plain data as JSON that can stand inside a <script> element."""
    told = _encode(value)
    return told.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


class Chunks:
    """Gathers rows and their texts into pairs of script elements of moderate size."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._texts: list[str] = []
        self._size = 0

    def add(self, row: list[Any], texts: list[list[Any]]) -> str:
        """Take a record; the elements that are full with it, or nothing."""
        self._rows.append(inline_json(row))
        self._texts.append(inline_json(texts))
        self._size += len(self._texts[-1])
        full = len(self._rows) >= _TOGETHER or self._size >= _TOGETHER_TEXT
        return self.rest() if full else ""

    def rest(self) -> str:
        """The elements of what was gathered."""
        if not self._rows:
            return ""
        told = (
            f'<script type="application/json" class="rows">[{",".join(self._rows)}]</script>\n'
            f'<script type="application/json" class="texts">[{",".join(self._texts)}]</script>\n'
        )
        self.__init__()  # type: ignore[misc]  # empty again
        return told
