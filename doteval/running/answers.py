"""
The stored answers of an experiment as a dataset: what `rescore` runs over.

    records of OLD ─▶ Answers ─▶ Rows ─▶ a function of their columns, prompt, answer … ─▶ NEW

The rows are known by what they are known by in OLD, so the two can be compared.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from ..concurrency.notes import note
from ..errors import DatasetError, NotFound, RowError, UsageError
from ..evaluation import Evaluation, ForEach
from ..keys import digest_of
from ..outcomes import outcome_of
from ..record import LIVE, NO_USAGE, Failure, Record, Result, Score, Stored
from ..reporting.views import one_of, short_name
from ..storage import Place, open_store
from ..text import safe, similar
from .options import Options

Value = TypeVar("Value")
_PAGE = 500  # records read at a time
RESULT = ("prompt", "model_response", "metadata", "usage", "scores")  # beside the row's columns


class Edit(NamedTuple):
    """
    A score that somebody has put right.

    Attributes:
        score: its name. value: what it is. notes: what else the file says, such as who and why.
    """

    score: str
    value: bool | int | float | str
    notes: Mapping[str, str]


class Answered(NamedTuple):
    """
    A stored record, to be scored once more.

    Attributes:
        record: as it is stored. digest: of the other columns, where the row has an id.
        names: of the parameters that the function has of it.
        edits: of its scores.
        origin: the experiment that it is of.
        bare: the name of a score that the function returns as a bare bool or number.
    """

    record: Record
    digest: bytes | None
    names: tuple[str, ...]
    edits: Sequence[Edit]
    origin: str
    bare: str

    def score(self, function: Callable[..., Any], /, **row: Any) -> Any:
        """
        What the function makes of it and of its row; what was asked and answered is kept with it.

        Raises:
            RowError: there is nothing to score.
        """
        result = self._result()
        note(
            prompt=result.prompt,
            model_response=result.model_response,
            metadata=result.metadata or None,
        )
        of_result = {name: getattr(result, name) for name in RESULT}
        of_result["metadata"] = dict(result.metadata or {})
        of_result["usage"] = result.usage or NO_USAGE
        given = {**of_result, **row}
        missing = [name for name in self.names if name not in given]
        if missing:
            raise RowError(f"the row of {self.origin!r} has no column {missing[0]!r}")
        value = function(**{name: given[name] for name in self.names})
        return self._later(value) if hasattr(value, "__await__") else self._named(value)

    def _result(self) -> Result:
        outcome = self.record.outcome
        result = outcome.result if isinstance(outcome, Failure) else outcome
        answered = result is not None and result.model_response is not None
        if isinstance(outcome, Failure) and not answered and not self.edits:
            said = f"no answer in {self.origin!r}: {outcome.type}: {outcome.message}"
            error = RowError(said)
            error.is_news = False  # and costs nothing
            raise error
        if "model_response" in self.names and not answered:
            raise RowError(
                f"no answer in {self.origin!r}: its evaluation returned no model_response="
            )
        return result or Result()

    async def _later(self, value: Any) -> Any:
        return self._named(await value)

    def _named(self, value: Any) -> Any:
        if isinstance(value, bool):
            value = Score(self.bare, value, ("accuracy",))
        elif isinstance(value, (int, float)):
            value = Score(self.bare, value)
        return self._edited(value) if self.edits else value

    def _edited(self, value: Any) -> Any:
        """The outcome with the scores that somebody has put right, beside what was computed."""
        outcome = outcome_of(value, self.bare) if value is not None else Result()
        if isinstance(outcome, Failure):
            return value
        scores = {score.name: score for score in outcome.scores if isinstance(score, Score)}
        for edit in self.edits:
            before = scores.get(edit.score)
            metrics = ("accuracy",) if isinstance(edit.value, bool) else ("mean",)
            computed = None if before is None else before.value
            scores[edit.score] = Score(
                edit.score,
                edit.value,
                metrics if before is None else before.metrics,
                {
                    **((before.metadata if before is not None else None) or {}),
                    "edited": {"computed": computed, **edit.notes},
                },
                None if before is None else before.expected,
            )
        result = Result(*scores.values())
        for name in ("prompt", "model_response", "metadata", "usage"):
            setattr(result, name, getattr(outcome, name))
        return result


def as_stored(scores: Sequence[Score]) -> Result | None:
    """The scores that a record has; what is rescored by where there are only edits."""
    return Result(*scores) if scores else None


class Answers:
    """
    The records of an evaluation of an experiment that count, as a dataset.

    Args:
        place: of the store.
        experiment: its name.
        evaluation: of it; None: the only one.
        edits: by the key of the row and its repeat.

    Attributes:
        name: of the evaluation.
        columns: of its rows. bare: the name of a score that a function returns as a bare value.
        header: what a run over them says in its header.

    Raises:
        NotFound: there is no such experiment or evaluation, or it has no records.
        UsageError: it has several evaluations, and none was named.
        StoreError: the store is not there, or can not be read.
    """

    def __init__(self, place: Place, experiment: str, evaluation: str | None) -> None:
        store: Any = open_store(place, create=False)
        try:
            names = store.evaluations(experiment)
            if evaluation is None and len(names) > 1:
                raise UsageError(
                    f"experiment {experiment!r} has several evaluations; name one of them: "
                    f"{', '.join(names)}"
                )
            if not names:
                raise NotFound(f"experiment {experiment!r} has no evaluation")
            self.name = names[0] if evaluation is None else one_of(names, evaluation, experiment)
            runs = store.runs(experiment, self.name)
            first = next(iter(store.records(experiment, self.name)), None)
            tally = store.tally(experiment, self.name)
            self.total = store.total_of(experiment, self.name)
        finally:
            store.close()
        if first is None:
            raise NotFound(f"{self.name} of experiment {experiment!r} has no records yet")
        last = runs[-1].header if runs else {}
        self._place = place
        self.experiment = experiment
        self.columns = tuple(first.row)
        self.repeats: int = max(tally.repeats, 1)
        self.count: int = tally.scored + tally.failed
        self.scores = tuple(tally.scores)
        self.header: dict[str, Any] = {
            "columns": list(last.get("columns") or self.columns),
            "cluster": last.get("cluster"),
            "rescored": {"from": experiment, "run": runs[-1].uid if runs else None, "edits": 0},
        }
        self.edits: Mapping[tuple[bytes, int], Sequence[Edit]] = {}
        self.names: tuple[str, ...] = ()
        self.bare = ""
        self._look: Callable[..., Any]

    def __len__(self) -> int:
        return math.ceil(self.count / self.repeats)

    def scored(
        self,
        function: Callable[..., Any] | None,
        edit: str | os.PathLike[str] | None,
        foreach: ForEach | None,
        options: Options,
        into: str,
    ) -> tuple[Evaluation[..., Any], Options]:
        """
        An evaluation of these, and what is asked of its run: see `rescore`.

        Raises:
            UsageError: something of it makes no sense.
        """
        if into == self.experiment:
            raise UsageError(f"into={into!r}: its scores are there already; give another name")
        if function is None and edit is None:
            raise UsageError("give a function to score by, or a file of edits, or both")
        evaluation = self._scored_by(as_stored if function is None else function, foreach)
        if edit is not None:
            self._edit(edit, adds=function is not None)
        declared = {"rescored": self.experiment}
        if self.edits:
            told = digest_of((sorted(map(repr, self.edits.items())),)).hex()[:8]
            declared["edits"] = f"{self.header['rescored']['edits']} ({told})"
        return evaluation, replace(options, params={**options.params, **declared})

    def _scored_by(
        self, function: Callable[..., Any], foreach: ForEach | None
    ) -> Evaluation[..., Any]:
        """By a function of some of their columns and of `RESULT`."""
        if not callable(function) or isinstance(function, Evaluation):
            raise UsageError(
                f"rescore() takes a plain function of columns and of {', '.join(RESULT)}; got "
                f"{safe(repr(function), 80)}"
            )
        known = {*self.columns, *RESULT}
        self.names = tuple(name for name in signature(function).parameters if name in known)
        if not self.names:
            raise UsageError(
                f"{getattr(function, '__name__', 'the function')}() has no parameter that an "
                f"answer of {self.experiment!r} has; there are: "
                f"{', '.join([*self.columns, *RESULT])}"
            )
        evaluation = (foreach or ForEach())(",".join(self.names), self)(function)
        evaluation.__name__ = short_name(self.name).partition("[")[0]
        # One score stands for the other, so that they can be compared.
        self.bare = self.scores[0] if len(self.scores) == 1 else evaluation.__name__
        evaluation.repeats = self.repeats
        evaluation.cluster = self.header["cluster"]
        return evaluation

    # ------------------------------------------------------------------------ reading

    def bind(self, look: Callable[..., Any]) -> None:
        """
        Args:
            look: awaits what a function of the store returns, where the store's connection lives.
        """
        self._look = look

    async def __aiter__(self) -> AsyncIterator[Answered]:
        pages = await self._look(self._pages)
        while page := await self._look(lambda store: next(pages, ())):
            for each in page:
                yield each

    def _pages(self, store: Any) -> Iterator[list[Answered]]:
        records = store.records(self.experiment, self.name)
        of = store.stored_of(self.experiment, self.name)
        stored = (each for each in of if each.state == LIVE)
        while page := list(islice(records, _PAGE)):
            yield [self._answered(record, stored) for record in page]

    def _answered(self, record: Record, stored: Iterator[Stored]) -> Answered:
        known = next(stored, None)
        if known is None or known.key != record.key:
            raise DatasetError(
                f"experiment {self.experiment!r} has changed while it was read; the same command "
                "goes on"
            )
        edits = self.edits.get((record.key, record.repeat), ())
        return Answered(record, known.digest, self.names, edits, self.experiment, self.bare)

    # -------------------------------------------------------------------------- edits

    def _edit(self, path: str | os.PathLike[str], adds: bool) -> None:
        """
        Take corrections from a CSV file: `key` or `id` of a row, `score`, `value`, and where rows
        have several, its `repeat`, from 0. Other columns are kept beside the correction.

        Args:
            adds: whether a score may be new; else it is one that the experiment has.

        Raises:
            UsageError: the file can not be read, or a line of it fits no row; names the line.
        """
        store: Any = open_store(self._place, create=False)
        try:
            there = {
                (record.key, record.repeat): _values(record)
                for record in store.records(self.experiment, self.name)
            }
        finally:
            store.close()
        edits: dict[tuple[bytes, int], list[Edit]] = {}
        for number, line in _lines(path):
            try:
                row, edit = self._read(line, there, adds)
            except ValueError as error:
                raise UsageError(f"{os.fspath(path)}, line {number}: {error}") from None
            edits.setdefault(row, []).append(edit)
        self.edits = edits
        self.header["rescored"]["edits"] = sum(map(len, edits.values()))

    def _read(
        self,
        line: dict[str, str],
        there: Mapping[tuple[bytes, int], Mapping[str, Any]],
        adds: bool,
    ) -> tuple[tuple[bytes, int], Edit]:
        key, id, score = line.pop("key", ""), line.pop("id", ""), line.pop("score", "")
        value, repeat = line.pop("value", ""), line.pop("repeat", "") or "0"
        if not repeat.isdecimal():
            raise ValueError(f"repeat {repeat!r:.40}: expected a number from 0")
        which = f"key {key!r:.60}" if key else f"id {id!r:.60}"
        of = [bytes.fromhex(key)] if key else [digest_of(("id", each)) for each in _ids(id)]
        row = next(((each, int(repeat)) for each in of if (each, int(repeat)) in there), None)
        if row is None:
            raise ValueError(f"{self.experiment!r} has no row with {which} and repeat {repeat}")
        if not score or not (adds or score in self.scores):
            raise ValueError(
                f"{self.experiment!r} has no score {score!r:.60}"
                + similar(score, list(self.scores), list(self.scores), cutoff=0.5)
            )
        notes = {name: each for name, each in line.items() if name and each}
        return row, Edit(score, _value(value, there[row].get(score)), notes)


def _values(record: Record) -> dict[str, Any]:
    scores = () if isinstance(record.outcome, Failure) else record.outcome.scores
    return {score.name: score.value for score in scores if isinstance(score, Score)}


def _value(said: str, before: Any) -> bool | int | float | str:
    """A value of the kind that the score has; of one that has none, of the kind that it looks."""
    truth = {"true": True, "false": False}.get(said.lower())
    if isinstance(before, bool) and truth is None:
        truth = {"1": True, "0": False}.get(said)
        if truth is None:
            raise ValueError(f"value {said!r:.60}: expected true or false")
    if truth is not None and (before is None or isinstance(before, bool)):
        return truth
    if isinstance(before, str) or not said:
        return said
    try:
        return int(said) if said.removeprefix("-").isdecimal() else float(said)
    except ValueError:
        if before is None:
            return said
        raise ValueError(f"value {said!r:.60}: expected a number") from None


def _ids(said: str) -> list[Any]:
    """What an id may be that a CSV file tells as a text."""
    return [said, *([int(said)] if said.removeprefix("-").isdecimal() else [])]


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = {*(reader.fieldnames or ())}
            if not ({"score", "value"} <= names and names & {"key", "id"}):
                raise UsageError(
                    f"{os.fspath(path)}: expected a header with score, value, and key or id; got "
                    f"{safe(', '.join(map(str, reader.fieldnames or ())), 200) or 'nothing'}"
                )
            for line in reader:
                cells = {name: cell for name, cell in line.items() if isinstance(cell, str)}
                yield reader.line_num, {name: cell.strip() for name, cell in cells.items()}
    except OSError as error:
        raise UsageError(f"{os.fspath(path)} can not be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{os.fspath(path)} is no CSV in UTF-8: {error}") from error
