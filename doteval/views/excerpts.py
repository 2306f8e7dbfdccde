"""
Records as plain data of a bounded size: what a table shows of each, and the texts behind it.

Every text is made harmless as it is shown elsewhere. Texts are cut, never what counts: verdicts,
scores and times are whole.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import text
from ..record import Failure, Record, Result, Score, Usage
from ..reporting.details import verdict
from ..statistics.intervals import as_float
from .media import as_text, blobs, named, written

Part = tuple[str, str, Any]  # of what there is to read of a record: kind, label, value

_PREVIEW = 110  # characters of the row, of what was expected and of the answer in the table
_SHORT = 16  # characters of the longest value of a column that has a cell of its own,
_CELLS = 2  # of which there are at most so many
_NAMES = 50  # columns of a dataset that are looked at for that
_SLICES = 24  # values of a column; of more, each is few rows
_FLOOR = 600  # characters of texts that every record gets, however many there are
_LONGEST_FACT = 100  # characters; facts are never left out
_NOTE = 40  # characters; a longer text that a score noted is shown as a text, not as JSON
_CUT_BY_EVALUATORS = 1_000  # characters that evaluators keep of an argument


def _scores(outcome: Result | Failure) -> Iterator[Score]:
    """What is stored are Scores; a failure has none that count."""
    if isinstance(outcome, Result):
        yield from (each for each in outcome.scores if isinstance(each, Score))


class Verdicts:
    """
    The verdicts on the records of a baseline, in 8 bytes each.

    Args:
        records: of one evaluation.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        found = array("Q", (tag_of(each) | verdict(each) for each in records))
        self._found = array("Q", sorted(found))

    def differ(self, record: Record) -> bool:
        """Whether a record came to something else there; what was not there does not differ."""
        tag = tag_of(record)
        at = bisect_left(self._found, tag)
        if at == len(self._found) or self._found[at] & ~3 != tag:
            return False
        return self._found[at] & 3 != verdict(record)


def tag_of(record: Record) -> int:
    """62 bits of the record's identity, with room for a verdict in the lowest two."""
    number = int.from_bytes(record.key[:8], "big") + record.repeat * 0x9E3779B97F4A7C15
    return number & 0xFFFF_FFFF_FFFF_FFFC


# --- rows of the table ------------------------------------------------------------------------


class Columns:
    """Which columns of the rows are short enough for cells of their own."""

    def __init__(self) -> None:
        self._longest: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._records = 0

    def add(self, record: Record) -> None:
        """Look at a row."""
        self._records += 1
        expected = [value for _, value in expected_of(record)]
        for name, value in record.row.items():
            if name not in self._longest:
                if len(self._longest) == _NAMES:
                    continue
                self._longest[name] = self._seen[name] = 0
            size = len(value) if isinstance(value, str) else _size(value)
            if value not in expected:  # what every record expects stands in a cell already
                self._seen[name] += 1
            self._longest[name] = max(self._longest[name], size)

    def short(self) -> list[str]:
        """Their names, at most two; never all columns, and none that most rows lack."""
        own = [name for name, seen in self._seen.items() if 2 * seen > self._records]
        short = [name for name in own if self._longest[name] <= _SHORT]
        return short[len(short) == len(own) :][:_CELLS]


class Slices:
    """
    The values of columns that many rows share, and of each the mean of the scores there; in memory
    that does not grow with the records.
    """

    def __init__(self) -> None:
        self._sums: dict[str, dict[Any, dict[str, list[float]]] | None] = {}

    def add(self, record: Record) -> None:
        """Count a record that has scores."""
        if isinstance(record.outcome, Failure):
            return
        numbers = [(each.name, as_float(each.number)) for each in _scores(record.outcome)]
        for column, value in record.row.items():
            of = self._sums.get(column, None if len(self._sums) >= _NAMES else {})
            if of is None:
                continue
            self._sums[column] = of
            cell = _cell(value)
            if cell not in of and (len(of) == _SLICES or len(str(cell)) > _SHORT):
                self._sums[column] = None  # it tells rows apart, and not slices
                continue
            sums = of.setdefault(cell, {})
            for name, number in numbers:
                if number == number:
                    n, total = sums.get(name, (0, 0.0))
                    sums[name] = [n + 1, total + number]

    def to_dict(self) -> dict[str, Any]:
        """
        By column, each value with the number of records and the mean of each score; without columns
        that tell each record from the others.
        """
        return {
            column: [
                [value, {name: [n, total / n] for name, (n, total) in sums.items()}]
                for value, sums in of.items()
            ]
            for column, of in self._sums.items()
            if of is not None
            and len(of) > 1
            and any(n > 1 for sums in of.values() for n, _ in sums.values())
        }


def _size(value: Any) -> int:
    if value is None or isinstance(value, (bool, float)):
        return 0
    return value.bit_length() // 4 if isinstance(value, int) else _SHORT + 1


def row_of(
    record: Record, evaluation: int, scores: Sequence[str], cells: Sequence[str]
) -> list[Any]:
    """
    A record as a row of the table; the page's script names the places.

    Args:
        evaluation: its number.
        scores: names of those that are kept.
        cells: columns that have a cell of their own.
    """
    expected = [value for _, value in expected_of(record)]
    rest = [
        value for name, value in record.row.items() if name not in cells and value not in expected
    ]
    return [
        evaluation,
        record.position,
        record.repeat,
        verdict(record),
        round(record.duration, 6) if abs(record.duration) < 1e12 else None,
        record.attempts,
        values_of(record, scores),
        preview(" · ".join(_start(value) for value in rest[:20])),
        [_cell(record.row.get(name, "")) for name in cells],
        preview(" · ".join(map(_start, expected[:20]))),
        preview(answer_of(record)),
        int(any(score.unread for score in _scores(record.outcome))),
    ]


def values_of(record: Record, names: Sequence[str]) -> list[Any]:
    """The values of these scores, as JSON knows them; None where there is none."""
    values = {each.name: figure(each.value) for each in _scores(record.outcome)}
    return [values.get(name) for name in names]


def answer_of(record: Record) -> str:
    """What a record answered, or why it failed: the beginning of that."""
    outcome = record.outcome
    if isinstance(outcome, Failure):
        return _start(f"{outcome.type}: {outcome.message}")
    return "" if outcome.model_response is None else _start(outcome.model_response)


def expected_of(record: Record) -> list[tuple[str, Any]]:
    """(label, value) of what the scores held the answer against; equal ones once."""
    found: list[tuple[str, Any]] = []
    for score in _scores(record.outcome):
        value = score.expected
        if value is None and score.metadata:
            value = score.metadata.get("expected")
        if value is not None and all(value != other for _, other in found):
            found.append((f"expected by {score.name}" if found else "expected", value))
    return found


def figure(value: Any) -> Any:
    """A score as JSON knows it; what a script can not count with is a text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text.safe(value, _PREVIEW)
    if value != value:
        return "NaN"
    if isinstance(value, int):
        return value if abs(value) < 2**53 else f"{value:,}" if abs(value) < 10**30 else "huge"
    return value if abs(value) < float("inf") else "∞" if value > 0 else "-∞"


def _cell(value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return figure(value) if is_number else preview(_start(value))


def _start(value: Any) -> str:
    """The beginning of a value: an answer of 10 MB costs no more than a short one."""
    return as_text(value, limit=4 * _PREVIEW)


def preview(value: str) -> str:
    """The beginning of a text on one line."""
    return text.safe(" ".join(value[: 4 * _PREVIEW].split()), _PREVIEW)


# --- texts ------------------------------------------------------------------------------------


class Texts:
    """
    Cuts the texts of records so that all of them stay within a bound.

    Each record is sure of a little; what the others leave, whoever comes first may use.

    Args:
        records: how many there will be, at most.
        most: characters of all texts together; images may have as many again.
        longest: characters of one text.

    Attributes:
        cut: how many texts were cut.
    """

    def __init__(self, records: int, most: int, longest: int) -> None:
        self._floor = min(_FLOOR, most // max(records, 1))
        self._spare = most - self._floor * records
        self._longest = longest
        self._images = most
        self.cut = 0

    def of(self, parts: Iterable[Part]) -> list[list[Any]]:
        """What is shown of a record's parts: [kind, label, text, characters that were cut]."""
        left = self._floor + max(self._spare, 0)
        told = []
        for kind, label, value in parts:
            whole, images = self._images_in(written(value, 2))
            most = max(_LONGEST_FACT if kind == FACT else min(self._longest, left), 0)
            shown = text.safe(whole[:most], newlines=True)
            left -= len(shown)
            more = max(len(whole) - most, 0)
            self.cut += more > 0
            name = text.safe(label, 100)
            told.append([kind, name, shown, more])
            told += [[IMAGE, name, image, 0] for image in images]
        self._spare = left  # what it did not need of its own share is there for others
        return told

    def _images_in(self, whole: str) -> tuple[str, list[str]]:
        """The text with a note in place of bytes, and the images as `data:` addresses."""
        images = []
        for blob in blobs(whole):
            if blob.base64 and len(blob.base64) <= self._images:
                self._images -= len(blob.base64)
                images.append(f"data:image/{blob.kind};base64,{blob.base64}")
        return named(whole), images


# Kinds of parts; those of a conversation's messages are capitals, and their label is the role.
ERROR, EXPECTED, ANSWER, PROMPT, ROW, REASONING, METADATA, TRACEBACK, FACT = "exaprjmtf"
IMAGE = "i"  # a `data:` address, behind the part that it was found in


def parts_of(record: Record) -> Iterator[Part]:
    """
    All that there is to read of a record.

    What one looks for comes first: the others fall victim to a bound before it.
    """
    outcome = record.outcome
    result = outcome.result if isinstance(outcome, Failure) else outcome
    if isinstance(outcome, Failure):
        yield ERROR, outcome.type, outcome.message
    for label, value in expected_of(record):
        yield EXPECTED, label, value
    if result is not None:
        yield from _said(ANSWER, "answer", result.model_response)
        yield from _said(PROMPT, "prompt", result.prompt)
    for name, value in record.row.items():
        yield ROW, name, value
    if isinstance(outcome, Failure) and outcome.traceback:
        yield TRACEBACK, "traceback", outcome.traceback
    if result is not None:
        for score in _scores(result):
            yield from _notes(score, result.model_response)
        if result.metadata:
            yield METADATA, "metadata", result.metadata
        if isinstance(result.usage, Usage):
            yield from _usage(result.usage)
    yield from _facts(record)


def answer_parts(record: Record) -> Iterator[Part]:
    """What a record answered, or why it failed."""
    kinds = (ERROR, ANSWER, ANSWER.upper())
    return (part for part in parts_of(record) if part[0] in kinds)


def _said(kind: str, label: str, value: Any) -> Iterator[Part]:
    """A prompt or an answer; the messages of a conversation one by one."""
    if value is None:
        return
    if isinstance(value, list) and value and all(map(_is_message, value)):
        for message in value:
            yield kind.upper(), message["role"], _content(message)
    else:
        yield kind, label, value


def _is_message(value: object) -> bool:
    return (
        isinstance(value, Mapping) and isinstance(value.get("role"), str) and len(value.keys()) > 1
    )


def _content(message: Mapping[str, Any]) -> str:
    """The texts and pictures of a message below each other, and what else it holds as JSON."""
    content = message.get("content")
    others = {key: value for key, value in message.items() if key not in ("role", "content")}
    blocks = content if isinstance(content, list) else [content]
    told = [_block(block) for block in (*blocks, others) if block is not None and block != {}]
    return "\n\n".join(told)


def _block(block: object) -> str:
    """Of a text the text, of one picture the picture, whatever a client wraps it in."""
    if isinstance(block, Mapping) and isinstance(block.get("text"), str):
        return str(block["text"])
    whole = written(block)
    pictures = [each for each in blobs(whole) if each.base64] if isinstance(block, Mapping) else []
    return whole[pictures[0].start : pictures[0].end] if len(pictures) == 1 else whole


def _notes(score: Score, answer: Any) -> Iterator[Part]:
    """What a score noted, without what stands elsewhere: long texts as such, the rest as JSON."""
    rest = {}
    for name, value in (score.metadata or {}).items():
        if name == "expected" or (name == "result" and _repeats(value, answer)):
            continue
        is_long = isinstance(value, str) and (len(value) > _NOTE or "\n" in value)
        if is_long or (name == "problem" and score.unread):  # why it was not read
            yield REASONING, f"{score.name}: {name}", value
        else:
            rest[name] = value
    if rest:
        yield METADATA, f"about {score.name}", rest


def _repeats(kept: Any, answer: Any) -> bool:
    """Whether what an evaluator kept of its argument is the answer, or the beginning of it."""
    if isinstance(kept, str) and isinstance(answer, str) and len(answer) > _CUT_BY_EVALUATORS:
        return kept[:_CUT_BY_EVALUATORS] == answer[:_CUT_BY_EVALUATORS]
    return bool(kept == answer)


def _usage(usage: Usage) -> Iterator[Part]:
    if usage.input_tokens is not None or usage.output_tokens is not None:
        counts = (text.count(usage.input_tokens), text.count(usage.output_tokens))
        yield FACT, "tokens in, out", ", ".join(counts)
    if usage.cost is not None:
        yield FACT, "cost", f"{usage.cost:.4g}"


def _facts(record: Record) -> Iterator[Part]:
    if record.attempts > 1:
        yield FACT, "attempts", text.count(record.attempts)
    if record.waited > 0:
        yield FACT, "waiting", text.duration(record.waited)
    yield FACT, "in flight", text.count(record.concurrency)
