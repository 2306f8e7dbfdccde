"""
What becomes of rows that have finished: judged, handed to the writer, counted, and told.

    row ──finished▶ entry ──put▶ Writer ──durable▶ counts, budget ──▶ listeners

A record counts once it is durable: until then no figure, listener or summary knows it. What has
returned and is not yet durable is the backlog; it is bounded, and nothing new starts while it
is too large or too old.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..budget import Budget, Spending
from ..concurrency.notes import Noted
from ..concurrency.reading import Reading
from ..concurrency.row import Row
from ..errors import ResultError, RowError
from ..evaluation import Evaluation
from ..outcomes import altered, failure_of, outcome_of
from ..record import NO_USAGE, Attempt, Call, Failure, Outcome, Record, Result, Usage
from ..redaction import redact, safe_without
from ..replay import Log, Shelf
from ..reporting.progress import Mean
from ..storage.encoding import cluster_of
from ..storage.entries import Entry, encode
from ..storage.writer import Writer
from ..usage import read_usage
from .channel import Channel
from .environment import Clock
from .troubles import Troubles

_ERROR = 4  # of the columns of an Entry
_BACKLOG = 1_000  # rows that may have returned without being durable
_OLDEST = 0.1  # seconds that the oldest of them may wait before nothing new starts


class Sink:
    """
    Args:
        evaluation: whose rows these are.
        budget: what the run may use up; None: anything.
        troubles: hears of what fails.
        channel: leads to who listens.
        notes: sentences for whoever reads the result; some are added.
        secrets: values that must not be stored, see `redaction.secrets_of`.

    Attributes:
        done: records that are durable. errors: failures among them by type.
        means: by score, what it is so far.
        durable_at: when a record was last made durable.
        spending: what rows have used. troubles: what fails.
        secrets: the same.
        made, served: of the calls that rows asked to be kept.
        shelf: where rows look for the calls that they would make; None: nowhere.
        keeps_calls: whether the store can keep any.
    """

    def __init__(
        self,
        evaluation: Evaluation[..., Any],
        budget: Budget | None,
        troubles: Troubles,
        channel: Channel,
        notes: list[str],
        secrets: tuple[str, ...],
    ) -> None:
        self.done = 0
        self.errors: dict[str, int] = {}
        self.means: dict[str, Mean] = {}
        self.durable_at = 0.0
        self.made = self.served = 0
        self.shelf: Shelf | None = None
        self.keeps_calls = True
        self._evaluation = evaluation
        self.spending = Spending(budget, evaluation.rate_limit)
        self.troubles = troubles
        self._channel = channel
        self._notes = notes
        self.secrets = secrets
        self._cluster = evaluation.cluster
        self._unwritten: deque[float] = deque()  # when each of the backlog returned
        self._usage_told = self._calls_told = False

    def begin(self, writer: Writer, clock: Clock) -> None:
        """The run begins."""
        self._writer, self._clock = writer, clock
        self.durable_at = clock.began

    # ------------------------------------------------------------------------ in

    def finished(self, row: Row) -> Outcome:
        """A row has finished: hand what came of it to the writer, and return that."""
        noted, usage, charged = row.noted, NO_USAGE, NO_USAGE
        log = None if noted is None or noted.calls is None else self._keep_calls(row, noted)
        try:
            if row.error is not None:
                outcome: Outcome = failure_of(row.error, self.secrets)
            else:
                outcome = outcome_of(row.value, self._evaluation.__name__, self.secrets)
        except Exception as raised:  # what a row returns is theirs, and so is what that raises
            error = raised if isinstance(raised, ResultError) else self._unstorable(row, raised)
            row.error = error
            outcome = failure_of(error, self.secrets)
            if getattr(row.value, "scores", None) is not None:  # keep prompt and answer
                kept = altered(row.value, error=outcome.message)
                outcome = Failure(outcome.type, outcome.message, "", kept)
        if noted is not None and (noted or noted.earlier is not None):
            outcome = completed(outcome, noted, isinstance(row.error, RowError))
            self._tell_usage(noted.get("problem", ""))
            charged = read_usage([each.charged for each in (noted, *noted.before())])[0]
        result = outcome.result if isinstance(outcome, Failure) else outcome
        if result is not None and result.usage is not None:
            usage = self._usage_of(result)
        spared = 0.0 if log is None else log.spared()  # by calls that were served
        try:
            entry = self._entry(row, outcome, usage, spared)
        except Exception as raised:  # something in the Result raised while it was written down
            row.error = problem = self._unstorable(row, raised)
            outcome = failure_of(problem, self.secrets)
            entry = self._entry(row, outcome, usage, spared)
        if usage is not NO_USAGE or self.spending.is_paced:
            self.spending.add(usage, _is_paid(log), self._clock.now(), charged)
        self._unwritten.append(row.ended)
        self._writer.put(entry)
        if row.error is not None or self.troubles.tense:
            self.troubles.finished(row, outcome)
        return outcome

    def _entry(self, row: Row, outcome: Outcome, usage: Usage, spared: float) -> Entry:
        """
        Args:
            spared: seconds that calls took which were served, so that the latency is the model's.
        """
        began = self._clock.epoch + row.started
        duration = max(0.0, row.ended - row.started + spared)  # lookups side by side overlap
        record = cluster = None
        if self._cluster is not None:
            cluster = cluster_of(row.named.get(self._cluster))
        if self._channel.on_record is not None:
            record = Record(
                row.key, row.position, row.repeat, row.named, outcome, row.attempts, began,
                duration, row.waited, row.concurrency,
            )  # fmt: skip
        return encode(row, outcome, usage, began, duration, cluster, record)

    def failed(self, row: Row, reading: Reading, final: bool) -> None:
        """Every failed attempt stands in the ledger."""
        assert row.error is not None
        if not final and row.noted is not None:  # else `finished` sees to it
            noted = row.noted
            log = None if noted.calls is None else self._keep_calls(row, noted)
            if "usage" in noted:
                noted.charged = read_usage(noted["usage"])[0]
                self.spending.add(noted.charged, _is_paid(log), self._clock.now())
        failure = failure_of(row.error, self.secrets)
        attempt = Attempt(
            row.key, row.repeat, row.attempts, self._clock.epoch + row.started,
            row.ended - row.started, reading.outcome.name.lower(), failure.type,
            failure.message[:500],
        )  # fmt: skip
        self._unwritten.append(row.ended)
        self._writer.put(attempt)
        self.troubles.failed(row, failure, reading)

    def dropped(self, row: Row) -> None:
        """An attempt was cancelled with the run: what it has paid for is kept."""
        if row.noted is not None and row.noted.calls is not None:
            self._keep_calls(row, row.noted)

    def _keep_calls(self, row: Row, noted: Noted) -> Log:
        """Hand the calls of the last attempt to the writer, before what came of them."""
        log: Log = noted.calls
        noted.calls = None
        for made in log.kept if self.keeps_calls else ():
            told = redact(made.request, self.secrets)
            call = made._replace(key=row.key, repeat=row.repeat, request=told)
            self._writer.put(call)
            if self.shelf is not None:
                self.shelf.coming[call.digest, call.repeat, call.number, call.key] = call
        if log.kept and not self.keeps_calls:
            log.problem = "calls are not kept: the store can keep none"
        self.made += log.made
        self.served += len(log.served)
        if log.problem and not self._calls_told:
            self._calls_told = True
            self._notes.append(safe_without(self.secrets, log.problem, 500))
        return log

    def _usage_of(self, result: Result) -> Usage:
        """What was used. What of it can not be read fails no row; it is told once."""
        try:
            usage, problem = read_usage(result.usage)
        except Exception as error:  # the client's object is theirs, and so is what it raises
            usage, problem = NO_USAGE, f"usage can not be read: {type(error).__name__}: {error}"
        self._tell_usage(problem)
        return usage

    def _tell_usage(self, problem: str) -> None:
        if problem and not self._usage_told:
            self._usage_told = True
            self._notes.append(safe_without(self.secrets, problem, 300))

    def _unstorable(self, row: Row, error: Exception) -> ResultError:
        return ResultError(
            f"the result of row {row.position} can not be stored: "
            f"{type(error).__name__}: {safe_without(self.secrets, error, 500)}"
        )

    def backlog(self, now: float) -> float:
        """An opening of the loop: closed while too much is waiting for the disk."""
        waiting = self._unwritten
        if waiting and (
            len(waiting) >= _BACKLOG or now - waiting[0] > _OLDEST or self._writer.preparing
        ):
            return math.inf
        return now

    # ----------------------------------------------------------------------- out

    def durable(self, entries: list[Entry | Attempt | Call]) -> None:
        """These are on the disk: now they count."""
        unwritten, means, now = self._unwritten, self.means, self._clock.now()
        come: dict[str, list[float]] = {}
        for entry in entries:
            if isinstance(entry, Call):
                if self.shelf is not None:
                    known = entry.digest, entry.repeat, entry.number, entry.key
                    self.shelf.coming.pop(known, None)
                continue
            unwritten.popleft()
            if isinstance(entry, Attempt):
                continue
            self.done += 1
            error = entry.columns[_ERROR]
            if error is not None:
                self.errors[error] = self.errors.get(error, 0) + 1
            for score in entry.scores:
                value = score.value
                if isinstance(value, str):
                    if score.expected is None:
                        continue  # a label that nothing was expected of has no mean
                    value = score.number
                values = come.get(score.name)
                if values is None:
                    values = come[score.name] = []
                    if score.name not in means:
                        means[score.name] = Mean(next(iter(score.metrics), ""))
                values.append(value)
            if entry.record is not None and self._channel.on_record is not None:
                self._channel.tell(self._channel.on_record, entry.record)
            self.durable_at = now
        for name, values in come.items():
            means[name].add(values)


def _is_paid(log: Log | None) -> bool:
    """Whether anything of what an attempt used was paid for in this run."""
    return log is None or log.made > 0 or not log.served


def completed(outcome: Outcome, noted: Noted, adds: bool) -> Outcome:
    """
    What came of a row, and what its attempts have noted where its Result says nothing itself.

    Of a Failure whose last attempt noted nothing, what the latest before it did.

    Args:
        adds: what the outcome itself has used comes on top of what was noted, in place of telling
            the same again.
    """
    last = noted
    if isinstance(outcome, Failure):
        result = outcome.result or Result(error=outcome.message)
        last = noted or noted.earlier or noted
    else:
        result = outcome
    used = [] if result.usage is None else [result.usage]
    if adds or not used:
        used += noted.get("usage", ())
    used += (each for attempt in noted.before() for each in attempt.get("usage", ()))
    changes: dict[str, Any] = {"usage": used} if used else {}
    for name in ("prompt", "model_response"):
        if getattr(result, name) is None and name in last:
            changes[name] = last[name]
    own = result.metadata or {}
    if "metadata" in last and isinstance(own, Mapping):
        changes["metadata"] = {**last["metadata"], **own}
    result = altered(result, **changes)
    return replace(outcome, result=result) if isinstance(outcome, Failure) else result
