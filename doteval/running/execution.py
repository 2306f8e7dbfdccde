"""
A run: rows from the dataset through the strategy into the store, and a Summary at the end.

    dataset ─▶ Rows ─▶ Loop (Schedule decides) ─▶ attempt ─▶ Sink ─▶ Writer ─durable▶ listeners

Here they are tied together: what ends a run, and what is said about it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ..concurrency.executors import Elsewhere, Journey, Threads, check_travel
from ..concurrency.loop import Loop
from ..concurrency.reading import Reading
from ..concurrency.row import Row
from ..concurrency.schedule import Schedule
from ..concurrency.strategies import as_mapping
from ..errors import DatasetError, DotevalError, ExecutorError
from ..evaluation import BoundEvaluation, Evaluation
from ..record import Attempt, Call, Record
from ..redaction import safe_without, secrets_of
from ..reporting.figures import UNTIL
from ..reporting.progress import Snapshot
from ..reporting.summary import CALLS, Summary
from ..storage import Named, Place
from ..storage.entries import Entry
from ..storage.writer import Writer, nothing
from ..views.figures import plural
from .answers import Answers
from .batches import Groups
from .channel import Channel
from .environment import Clock
from .ledger import Ledger
from .monitor import Monitor
from .options import Options, resources_for
from .rows import Rows
from .sink import Sink
from .submissions import Submissions
from .troubles import Troubles
from .until import ByKey, Until
from .version import version_of


class Execution:
    """
    One run of one evaluation.

    Args:
        evaluation: what to run.
        options: what is asked of the run.
        name: of the evaluation in the store.
        experiment: name to store it under.
        place: of the store.
        resources: values of the function's other parameters.
        listener: called with a Snapshot about ten times a second.
        on_record: called with each Record, once it is durable.
        on_limit: called with each change of the adaptive limit, as plain data.
        fatal: exceptions that end the run wherever they are raised.
        reached: functions that it depends on beside its own, such as fixtures.
        answers: of another experiment, where these are its dataset; see `Answers.scored`.

    Attributes:
        ledger: where it stands in the store.
        done, skipped: records made durable by this run; rows it found finished.
        errors: failures of this run by type.
        first_error: the exception behind this run's first failure.
        notes: sentences for whoever reads the result.
        status: of the run, as stored.
        cause: why nothing that it could do would have succeeded; None: it was not stopped.
        until: what it is to decide; None: nothing.
        waited_for: what it waited for when it ended, interrupted or not; "" for nothing.
    """

    def __init__(
        self,
        evaluation: Evaluation[..., Any] | BoundEvaluation,
        options: Options,
        *,
        name: Named,
        experiment: str,
        place: Place,
        resources: Mapping[str, Any],
        listener: Callable[[Snapshot], object] | None = None,
        on_record: Callable[[Record], object] | None = None,
        on_limit: Callable[[Mapping[str, Any]], object] | None = None,
        fatal: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
        reached: Iterable[Callable[..., Any]] = (),
        answers: Answers | None = None,
    ) -> None:
        self._bound = evaluation
        self.evaluation = evaluation if isinstance(evaluation, Evaluation) else evaluation.__func__
        self._options = options
        self._answers = answers
        self._resources = resources_for(self.evaluation, resources)
        self._fatal = fatal
        made_by = version_of(evaluation, options.params, reached)
        self.ledger = Ledger(place, experiment, name, made_by)
        self.notes: list[str] = []
        self.status = "failed"  # should it never begin
        self._rows = Rows(self.evaluation, options)
        self._channel = Channel(listener, on_record, on_limit, self._fail)
        most = 0 if options.keep_going else self.evaluation.fail_fast
        troubles = Troubles(most, self._stop)
        self._sink = Sink(
            self.evaluation,
            options.budget,
            troubles,
            self._channel,
            self.notes,
            secrets_of(os.environ),
        )
        self._spent: str | None = None  # what of the budget is used up
        self.cause: str | None = None
        self.until: Until | None = None
        if options.until is not None and options.until.concerns(self.ledger.name):
            self.until = Until(options.until, self.evaluation, options)
        self.waited_for = ""
        self._submissions: Submissions | None = None
        self._loop: Loop | None = None

    @property
    def done(self) -> int:
        """Records that this run has made durable."""
        return self._sink.done

    @property
    def errors(self) -> Mapping[str, int]:
        """Failures of this run by type."""
        return self._sink.errors

    @property
    def first_error(self) -> BaseException | None:
        """The exception behind this run's first failure."""
        return self._sink.troubles.first

    @property
    def skipped(self) -> int:
        """Rows that are stored and do not run again."""
        return self._rows.finished

    @property
    def final(self) -> int:
        """Of these, the ones that have failed for good."""
        return self._rows.final

    # ----------------------------------------------------------------------- whole

    async def run(self) -> Summary:
        """
        Run what has no successful Result yet.

        Raises:
            Busy: another run is working on this evaluation.
            StoreError: the store can not be read or written; what was durable stays.
            DatasetError: the dataset raised or has no rows; the rows before it are kept.
            ExecutorError: the executor can not run any row.
        """
        ledger = self.ledger
        ledger.refuse_namesake(self.evaluation)
        now = asyncio.get_running_loop().time
        began = now()
        self._clock = Clock(now, began, time.time() - began)
        writer = ledger.writer(self._durable, self._fail, self._wake)
        self._sink.begin(writer, self._clock)
        try:
            at = self._clock.epoch + began
            if self._answers is not None:
                self._answers.bind(ledger.look)
            beside = self._beside()
            self.notes.extend(await ledger.begin(self.evaluation, self._options, at, beside))
            self._sink.shelf, self._sink.keeps_calls = ledger.shelf, ledger.keeps_calls
            self.status = "running"
            try:
                await self._through(writer)
            finally:
                await self._end()
            return replace(await ledger.summary(), notes=tuple(self.notes))
        finally:
            self._channel.close()
            self._resources = {}  # whoever keeps the run, such as a traceback, keeps no model
            await ledger.close()
            if self._loop is not None:
                self._loop.let_go()

    async def _through(self, writer: Writer) -> None:
        """From the first row to the last durable record."""
        async for record in self.ledger.stored():
            self._rows.known.remember(record)
            self._sink.troubles.resumed |= not record.failed
        if self.until is not None:
            await self.ledger.read(self.until.recall)
        function = self._function()
        if self.evaluation.batch is not None:
            self._submissions = Submissions(
                self._rows, function, self.evaluation, self.ledger, self._wake, self._fail
            )
            await self._submissions.recall()
        self._open(function)
        strategy, executor = self.evaluation.strategy, self.evaluation.executor
        threads = strategy.threads() if executor is None else Elsewhere(executor)
        loop = self._loop = self._loop_with(threads, function)
        self._monitor = Monitor(
            self.evaluation, self._options, self._rows, self._sink, self.ledger, self._clock, loop,
            self._submissions,
        )  # fmt: skip
        self._channel.open(self._clock, self._schedule.gate, self._monitor.look)
        budget, call_later = self._options.budget, asyncio.get_running_loop().call_later
        deadline = None
        if budget is not None and budget.time is not None:
            deadline = call_later(budget.time, self._check_budget)
        self.status = "interrupted"
        try:
            with strategy.watching(loop, self._schedule):
                try:
                    while await loop.progress():
                        pass
                finally:
                    self.waited_for = self._monitor.waits()
                    await loop.close()
        except Exception as error:  # the executor's, a listener's, the store's
            if not isinstance(error, self._fatal):  # such as pytest's exit: that interrupts
                self.status = "failed"
            raise
        finally:
            if deadline is not None:
                deadline.cancel()
            if threads is not None:
                threads.close()
            await self._close_dataset()
            await writer.call(nothing)  # everything that was put is durable now, if ever
        self._channel.tell_limits()
        self._conclude(loop)
        stale = await self.ledger.settle(self._rows, self.evaluation.repeats)
        if stale:
            self.notes.append(
                f"{plural(stale, 'stored record')} of rows that the dataset no "
                "longer has: stale, not counted"
            )
        if self._rows.to_the_end and self._rows.read == 0:
            self.status = "failed"
            raise DatasetError(
                f"the dataset of {self.evaluation.__name__} has no rows; an evaluation of nothing "
                "proves nothing, so this counts as a failure"
            )

    def _loop_with(self, threads: Threads | Elsewhere | None, function: Callable[..., Any]) -> Loop:
        evaluation, sink = self.evaluation, self._sink
        self._schedule = Schedule(
            evaluation.strategy.gate(),
            self._clock.now(),
            policy=evaluation.policy,
            pace=evaluation.rate_limit,
            openings=(sink.backlog,),
        )
        source: Iterator[Row | None] = self._submissions or self._rows
        finish: Callable[[Row], object] = sink.finished
        failed, dropped = self._attempt_failed, sink.dropped
        if self.until is not None:
            source, finish = ByKey(self._rows, self.until), partial(_decide, sink, self.until)
        if evaluation.size:
            schedule = self._schedule
            groups = Groups(source, function, evaluation, schedule, finish, failed, dropped)
            source, finish = groups, groups.finished
            failed, dropped = groups.failed, groups.dropped
        return Loop(
            source,
            self._schedule,
            finish,
            threads=threads,
            timeout=evaluation.timeout,
            on_failed=failed,
            on_dropped=dropped,
            fatal=(*self._fatal, ExecutorError),
            on_slow=self._slow,
        )

    def _conclude(self, loop: Loop) -> None:
        """How it went, now that nothing runs any more; raises what has ended it."""
        if loop.error is not None:
            self.status = "failed"
            raise loop.error
        if loop.source_error is not None:
            self.status = "incomplete"
            raise self._dataset_error(loop.source_error) from loop.source_error
        self.status = "stalled" if self._schedule.stalled else "complete"
        self.waited_for = "" if self._submissions is None else self._submissions.told()
        if self._spent is not None:
            self.status = "incomplete"
            self.notes.append(f"stopped: {self._spent}; the same command resumes the run")
        elif self.cause is not None and not self._schedule.stalled:
            self.status = "stopped"
        elif self.waited_for and not self._schedule.stalled:
            self.status = "incomplete"
            self.notes.append(f"stopped: {self.waited_for}; the same command collects")
        elif self.status == "complete" and self.done and not self._is_any_scored():
            self.status = "failed"
        if self._schedule.stalled:
            trouble = self._sink.troubles.latest
            assert trouble is not None
            self.notes.append(
                f"stalled: nothing succeeded for {self.evaluation.policy.patience:g} s, so the run "
                f"gave up; last error {trouble.kind}: {trouble.said} ({trouble.times:,} times); "
                "the same command resumes it"
            )
        hint = self._monitor.hint()
        if hint and not self._channel.listened:  # else it was told while it ran
            self.notes.append(hint)
        self.notes += self._rows.told()

    async def _end(self) -> None:
        """Close the run in the store."""
        error = sys.exc_info()[1]
        interrupted = isinstance(error, (asyncio.CancelledError, KeyboardInterrupt))
        if self.status == "running":  # it did not come to its rows
            self.status = "interrupted" if interrupted else "failed"
        reason = None
        if error is not None and not interrupted:
            reason = safe_without(self._sink.secrets, error, 1_000) or type(error).__name__
        elif self.waited_for and (interrupted or self.status == "incomplete"):
            reason = f"it waited: {self.waited_for}"
        elif self.status == "stopped":
            reason = f"{self.cause}; nothing more was started"
        elif self.status == "failed":
            reason = f"not one of {plural(self.done, 'row')} has a result"
        clock, changes = self._clock, []
        if self._loop is not None:
            gate = self._schedule.gate
            for change in gate.history:
                changes.append({**as_mapping(change), "at": round(change.at - clock.began, 3)})
            if len(changes) > 1:
                at, words = round(clock.elapsed(), 3), f"at the end: {gate.belief}"
                end = {"at": at, "limit": gate.limit, "reason": words, "throughput": None}
                changes.append(end)
        await self.ledger.end(self.status, clock.elapsed(), tuple(changes), reason, self._beside())

    def _beside(self) -> dict[str, Any]:
        """What the header has beside what each run's has."""
        made, served = self._sink.made, self._sink.served
        calls = {CALLS: {"made": made, "served": served}} if made or served else {}
        until = {} if self.until is None else {UNTIL: self.until.to_dict()}
        return {**calls, **until, **({} if self._answers is None else self._answers.header)}

    # -------------------------------------------------------------------- the dataset

    def _open(self, function: Callable[..., Any]) -> None:
        try:
            plain = self._submissions is None and not self.evaluation.size
            called = function if plain else dict  # which gets the row with others, or a reply
            self._rows.open(called, self._wake, self.ledger.shelf)
        except Exception as error:  # the dataset is theirs, and so is whatever it raises
            if isinstance(error, (DotevalError, *self._fatal)):
                raise
            raise self._dataset_error(error) from error

    def _is_any_scored(self) -> bool:
        """Whether any row has a result, of this run or of an earlier one."""
        return self.done > sum(self.errors.values()) or self.skipped > self.final

    async def _close_dataset(self) -> None:
        """Who opens a dataset closes it, however the run ends."""
        if self._submissions is not None:
            await self._submissions.close()
        try:
            await self._rows.close()
        except Exception as error:  # the dataset is theirs, and so is whatever it raises
            said = safe_without(self._sink.secrets, error, 500)
            self.notes.append(
                f"the dataset raised {type(error).__name__} when it was closed: {said}"
            )

    def _function(self) -> Callable[..., Any]:
        """The function with its resources, and its instance where it is a method."""
        function: Any = self.evaluation.attempt
        if self.evaluation.executor is not None:
            for name, value in self._resources.items():
                check_travel(value, name)
            if isinstance(self._bound, BoundEvaluation):
                check_travel(self._bound.__self__, "self")
            function = Journey(self.evaluation.function, self.evaluation)
        if isinstance(self._bound, BoundEvaluation):
            function = partial(function, self._bound.__self__)
        return partial(function, **self._resources) if self._resources else function

    def _slow(self, seconds: float) -> None:
        self.notes.append(
            f"one step of the dataset took {seconds:.2g} s and blocked all rows in flight; "
            "prepare the rows before the run, or pass an async iterable"
        )

    def _dataset_error(self, error: BaseException) -> DatasetError:
        if isinstance(error, DatasetError):
            return error
        raised = f"the dataset of {self.evaluation.__name__} raised {type(error).__name__}"
        said = safe_without(self._sink.secrets, error, 500)
        read = self._rows.read
        if read == 0:
            return DatasetError(f"{raised} before its first row: {said}")
        return DatasetError(
            f"{raised} after {plural(read, 'row')}: {said}; what was finished "
            "is stored, and the same command resumes it"
        )

    # ---------------------------------------------------------------- meanwhile

    def _wake(self) -> None:
        assert self._loop is not None  # what wakes it begins after it
        self._loop.wake()

    def _durable(self, entries: list[Entry | Attempt | Call]) -> None:
        self._sink.durable(entries)
        self._check_budget()
        self._wake()

    def _check_budget(self) -> None:
        """Start nothing new once the budget is spent."""
        if self._spent is None and self._loop is not None:
            failed = sum(self.errors.values())
            self._spent = self._sink.spending.enough(self._clock.elapsed(), failed, self.done)
            if self._spent is not None:
                self._loop.stop()

    def _attempt_failed(self, row: Row, reading: Reading, final: bool) -> None:
        self._sink.failed(row, reading, final)
        self._monitor.tell()
        if self._schedule.held and self.cause is None:
            self._sink.troubles.held(self._schedule.held, self.evaluation.policy.patience)

    def _stop(self, cause: str) -> None:
        """Start nothing new: it would not succeed. What is in flight may finish."""
        self.cause = self.cause or cause
        assert self._loop is not None
        self._loop.stop()

    def _fail(self, error: BaseException) -> None:
        """A listener raised, or the store refused: stop at once."""
        assert self._loop is not None
        self._loop.fail(error)

    def interrupt(self) -> bool:
        """
        Whether the function or the dataset is running in the calling thread just now, which only
        an exception can interrupt. Should it swallow that, it was the last.
        """
        if self._loop is None or not self._loop.calling:
            return False
        self._loop.stop()
        return True


def _decide(sink: Sink, until: Until, row: Row) -> None:
    """
    Before it is durable, so that no more rows start than were in flight: whatever keeps it from the
    disk ends the run.
    """
    until.finished(row.key, sink.finished(row))
