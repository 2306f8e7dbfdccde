"""
The plain data that travels through doteval: what a function returns, and what happened to a row.

Everything here is immutable, knows no storage and holds no callables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple, Union

EMPTY = "the answer is empty"  # the `problem` of an unread score that had nothing to read
DIFFERING = "types differ"  # how the `problem` begins where an answer could not be equal
FINAL = "final error"  # the type of a Failure that does not run again; no class has a blank in it
# Types whose values never change and hold nothing.
ATOMS = frozenset({str, int, float, bool, type(None), bytes})


@dataclass(frozen=True, slots=True)
class Score:
    """
    One judgement of one row.

    Attributes:
        name: what was judged, usually the name of the evaluator.
        value: True or False, a number, or a label, which is a text. NaN is allowed and never
            passes a gate.
        metrics: the names of the metrics that summarise scores of this name.
        metadata: what is worth keeping of how the value came about; JSON-like, or None.
        expected: a label or a truth to hold the value against; None where the value says it all.
        unread: whether the answer could not be read. The value is then that of a wrong answer, and
            the row is counted apart; the metadata say as `problem` why.

    A score stands for true or false in an `if` where its value does, or where a label is held
    against the one that is expected; there is no telling what a number should stand for, so that
    raises TypeError.
    """

    name: str
    value: bool | int | float | str
    metrics: tuple[str, ...] = ("mean",)
    metadata: Mapping[str, Any] | None = None
    expected: Any = None
    unread: bool = False

    @property
    def number(self) -> bool | int | float:
        """The value; of a label, whether it is the expected one, and NaN where none is."""
        if not isinstance(self.value, str):
            return self.value
        return nan if self.expected is None else self.value == self.expected

    def __bool__(self) -> bool:
        number = self.number
        if number is True or number is False:
            return number
        raise TypeError(
            f"the score {self.name!r} is {self.value!r:.80}, neither true nor false; write what "
            "you mean, such as score.value > 0.5"
        )


LABELS = "(labels)"  # stands among the names of the metrics of a score whose values are labels


def of_labels(metrics: tuple[str, ...], expected: bool) -> tuple[str, ...]:
    """
    The names of metrics as a score keeps them whose value is a label.

    Args:
        metrics: those that were given; of none but the default, which is for numbers, those that
            suit a label that is `expected` to be another; without one there are its shares alone.
    """
    if metrics == ("mean",):
        metrics = ("accuracy", "f1_macro") if expected else ()
    return metrics if LABELS in metrics else (*metrics, LABELS)


class Usage(NamedTuple):
    """
    What one call consumed.

    Attributes:
        input_tokens, output_tokens: counts, None where the endpoint did not report them. They are
            totals, which include what was cached and what was reasoning.
        cost: in whatever currency the caller counts, None where unknown.
        cached_tokens: those of the input that were read from a cache.
        reasoning_tokens: those of the output that were reasoning.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


NO_USAGE = Usage()


class Result:
    """
    What an evaluation function returns for one row.

    Args:
        scores: `Score` objects, or one list of them. A bare bool or number is a score that is
            named after the evaluation function.
        prompt: what the model was asked; any JSON-like value.
        model_response: what it answered; any JSON-like value.
        error: a text. The row then counts as failed, keeps prompt, answer and usage, is not
            tried again within the run, and runs again on resume, unless it is `final`.
        metadata: a mapping of what else is worth keeping.
        usage: a mapping with `input_tokens`, `output_tokens` and optionally `cost`, the usage or
            the whole response of any client, or a list of these, which is added up.
        final: True: the row with this `error` does not run again on resume either, such as one that
            the model refuses to answer. Without `error` it says nothing.

    Raises:
        TypeError: something among the scores is not a score, or anywhere in the arguments an
            awaitable was not awaited.
    """

    __slots__ = ("scores", "prompt", "model_response", "error", "metadata", "usage", "final")

    scores: tuple[Score | bool | int | float, ...]
    prompt: Any
    model_response: Any
    error: str | None
    metadata: Mapping[str, Any] | None
    usage: Any
    final: bool

    def __init__(
        self,
        *scores: Score | bool | int | float | Iterable[Score],
        prompt: Any = None,
        model_response: Any = None,
        error: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        usage: Any = None,
        final: bool = False,
    ) -> None:
        flat: tuple[Any, ...] = scores
        if len(scores) == 1 and isinstance(scores[0], (list, tuple)):
            flat = tuple(scores[0])
        for score in flat:
            if isinstance(score, Score):
                notes = score.metadata
                if type(score.value) not in ATOMS or not (
                    notes is None
                    or (type(notes) is dict and ATOMS.issuperset(map(type, notes.values())))
                ):  # seldom: what is asked of every row is asked without a call
                    refuse_awaitable(
                        f"Result() takes in the score {score.name!r}", score.value, notes
                    )
            elif not isinstance(score, (bool, int, float)):
                refuse_awaitable("Result() takes in scores (Score, bool or a number)", score)
                raise TypeError(
                    f"Result() takes scores (Score, bool or a number), not "
                    f"{type(score).__name__}; pass texts as prompt= or model_response="
                )
        for name, value in (
            ("prompt=", prompt),
            ("model_response=", model_response),
            ("error=", error),
            ("metadata=", metadata),
            ("usage=", usage),
        ):
            if type(value) not in ATOMS:  # as nearly always
                refuse_awaitable(f"Result() takes in {name}", value)
        self.scores = flat
        self.prompt = prompt
        self.model_response = model_response
        self.error = error
        self.metadata = metadata
        self.usage = usage
        if final is not False and final is not True:
            raise TypeError(f"Result(final={final!r:.80}): expected True or False")
        self.final = final

    def __repr__(self) -> str:
        parts = [repr(score) for score in self.scores]
        for name in self.__slots__[1:]:
            value = getattr(self, name)
            if value is not None and value is not False:
                parts.append(f"{name}={value!r}")
        return f"Result({', '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Result):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it holds whatever the caller put in


_CONTAINERS = (list, tuple, set, frozenset, Mapping)


def refuse_awaitable(place: str, *values: Any) -> None:
    """
    Look for what nobody has awaited in what is to be kept; its text would be stored instead.

    Args:
        place: what takes the values, for the message, such as "Result() takes in prompt=".

    Raises:
        TypeError: there is such a thing; the message names the place.
    """
    left, seen = list(values), set()
    while left:
        value = left.pop()
        kind = type(value)
        if kind in ATOMS or id(value) in seen:
            continue
        if hasattr(kind, "__await__"):
            raise TypeError(
                f"{place} what was awaited, not {kind.__name__}; was an `await` forgotten?"
            )
        if isinstance(value, _CONTAINERS):
            seen.add(id(value))  # it may contain itself
            left += value.values() if isinstance(value, Mapping) else value


@dataclass(frozen=True, slots=True)
class Failure:
    """
    Why a row has no scores.

    Attributes:
        type: name of the exception's class; "error" where the function returned `error=`, "final
            error" where that was `final`.
        message: what it said.
        traceback: formatted, without local variables; "" where there is none.
        result: prompt, answer, metadata and usage, where the function returned them with `error=`
            or has noted them; else None.
    """

    type: str
    message: str
    traceback: str = ""
    result: Result | None = None


Outcome = Union[Result, Failure]


class Record(NamedTuple):
    """
    What happened to one row. A named tuple, because one is made for every row: a frozen
    dataclass of ten fields takes four times as long.

    Attributes:
        key: the row's identity (16 bytes).
        position: of the row in the dataset as this run read it, from 0.
        repeat: which of the evaluation's repeats, from 0.
        row: the values by column.
        outcome: a Result with at least one Score and unique names, or a Failure.
        attempts: how often the function was started for this row in this run, from 1.
        started: when the last attempt began, Unix seconds.
        duration: of the last attempt, seconds.
        waited: seconds between the first attempt's start and the end that were spent waiting
            (backoff, Retry-After, rate limits), not in the function.
        concurrency: attempts in flight when the last one began, itself included.
        evaluation: its name, where `records()` yields it; elsewhere "", as it is known there.
    """

    key: bytes
    position: int
    repeat: int
    row: Mapping[str, Any]
    outcome: Outcome
    attempts: int
    started: float
    duration: float
    waited: float
    concurrency: int
    evaluation: str = ""

    @property
    def failed(self) -> bool:
        """Whether the row has no scores."""
        return isinstance(self.outcome, Failure)

    def to_dict(self) -> dict[str, Any]:
        """
        Flat data, such as a line of a data frame: `row.NAME`, `score.NAME` and `metadata.NAME` for
        each of them, the usage figure by figure, None for what there is none of.
        """
        outcome = self.outcome
        failure = outcome if isinstance(outcome, Failure) else None
        result = outcome.result if isinstance(outcome, Failure) else outcome
        usage = NO_USAGE if result is None or result.usage is None else result.usage
        return {
            "evaluation": self.evaluation,
            "key": self.key.hex(),
            "position": self.position,
            "repeat": self.repeat,
            **{f"row.{name}": value for name, value in self.row.items()},
            **{
                f"score.{score.name}": score.value
                for score in (result.scores if result is not None else ())
                if isinstance(score, Score)
            },
            "error": None if failure is None else failure.type,
            "message": None if failure is None else failure.message,
            "prompt": None if result is None else result.prompt,
            "model_response": None if result is None else result.model_response,
            **{
                f"metadata.{name}": value
                for name, value in ((result.metadata if result is not None else None) or {}).items()
            },
            **(usage._asdict() if isinstance(usage, Usage) else {}),
            "attempts": self.attempts,
            "started": self.started,
            "duration": self.duration,
            "waited": self.waited,
            "concurrency": self.concurrency,
        }


LIVE, STALE, SUPERSEDED = 0, 1, 2  # what a stored record counts for; see Stored.state


class Attempt(NamedTuple):
    """
    A failed attempt at a row, as the ledger keeps it.

    Attributes:
        key, repeat: of the row.
        number: of the attempt within its run, from 1.
        started: Unix seconds. duration: seconds.
        outcome: what it said about the endpoint: "congestion", "trouble" or "ignored".
        error: name of the exception's class. message: what it said.
    """

    key: bytes
    repeat: int
    number: int
    started: float
    duration: float
    outcome: str
    error: str
    message: str


class Call(NamedTuple):
    """
    A call that a row has asked to be kept, see `replayable`.

    Attributes:
        key, repeat: of the row.
        digest: of what was asked: function, scope and arguments (16 bytes).
        number: how many calls of this digest its attempt had made before it.
        started: Unix seconds. duration: seconds.
        request: JSON: `function`, `scope`, `arguments` by name, and the `digests` of these.
        response: JSON.
    """

    key: bytes
    repeat: int
    digest: bytes
    number: int
    started: float
    duration: float
    request: str
    response: str


SUBMITTED = b"doteval batches."  # the key of calls that are a provider's batches, of no row


class Stored(NamedTuple):
    """
    What a store knows of a row, without its texts.

    Attributes:
        id: of the record in its store; nothing that leaves the store refers to it.
        key, digest, repeat: the row's identity.
        failed: whether it has no scores.
        state: LIVE; STALE, the dataset no longer has the row; SUPERSEDED by a later record.
        final: whether it failed and does not run again.
    """

    id: int
    key: bytes
    digest: bytes | None
    repeat: int
    failed: bool
    state: int
    final: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """
    One process working on an evaluation of an experiment.

    Attributes:
        uid: 128 random bits, hex.
        experiment, evaluation: what it worked on.
        started, finished: Unix seconds; finished is None while it works, or after a crash.
        duration: seconds on a monotonic clock.
        status: "running", "complete", "incomplete", "interrupted", "stalled", "stopped" or
            "failed".
        pid: of its process.
        header: versions, git commit, strategy and its parameters, source digest, ...
        history: how the limit of concurrency moved: `at`, `limit`, `reason`, `throughput`.
        error: why it did not complete, or what it waits for; None where it did, or does not.
    """

    uid: str
    experiment: str
    evaluation: str
    started: float
    finished: float | None
    duration: float
    status: str
    pid: int
    header: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...] = ()
    error: str | None = None


def new_name() -> str:
    """A name for an experiment that was given none: the local time and eight random digits."""
    import os  # only here: the rest of this room is plain data
    import time

    return f"{time.strftime('%Y%m%d_%H%M%S')}_{os.urandom(4).hex()}"


def failure_hint(kind: str, message: str = "") -> str:
    """What to add to a failure of this type, where that helps; "" for nothing."""
    if kind == "AssertionError":  # for those who are used to tests
        return "; return the comparison instead of asserting it: a wrong answer is a score"
    return f"; {FILES_REMEDY}" if "Too many open files" in message else ""


FILES_REMEDY = (
    "lower max_concurrency, share one client instead of making one for each row, or raise the "
    "limit (`ulimit -n`)"
)
