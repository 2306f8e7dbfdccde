"""
A run: rows from the dataset through the strategy into the store, and a Summary at the end.

    dataset ─▶ Rows ─▶ Loop (Schedule decides) ─▶ attempt ─▶ Sink ─▶ Writer ─durable▶ listeners

Here they are tied together: what is opened, what ends it, and what is said about it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from ..concurrency.breaker import Breaker
from ..concurrency.executors import Elsewhere, Journey, Threads, check_travel
from ..concurrency.loop import GRACE, Loop
from ..concurrency.reading import Reading
from ..concurrency.row import Row
from ..concurrency.schedule import Schedule
from ..concurrency.strategies import as_mapping, summary_of
from ..errors import DatasetError, DotevalError, ExecutorError, UsageError
from ..evaluation import BoundEvaluation, Evaluation
from ..record import LIVE, STALE, Attempt, Record, Run, Stored
from ..redaction import safe_without, secrets_of
from ..reporting.figures import HEADER as FIGURES
from ..reporting.progress import Snapshot
from ..reporting.summary import Summary, own_figures, summarise
from ..storage import NAMING, Grouped, Inline, Named, Place, Store, Writer, open_store
from ..storage.encoding import Entry
from ..storage.writer import nothing
from ..text import duration
from .driver import if_abandoned
from .environment import commit_of, version
from .options import Options
from .rows import Rows
from .sink import Channel, Sink
from .version import version_of

_MOMENT = "%Y-%m-%d %H:%M"  # of the local time
_TICK = 0.1  # seconds between two snapshots for whoever shows progress


# The evaluations that this process has run, by store, experiment and name, while they are alive.
_ran: WeakValueDictionary[tuple[str, str, str], Evaluation] = WeakValueDictionary()


def _is_variant(one: Evaluation | None, other: Evaluation) -> bool:
    return one is not None and one.is_variant_of(other)


class Flow:
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

    Attributes:
        done, skipped: records made durable by this run; rows it found finished.
        errors: failures of this run by type.
        first_error: the exception behind this run's first failure.
        notes: sentences for whoever reads the result.
        status: of the run, as stored.
        cause: why nothing that it could do would have succeeded; None: it was not stopped.
    """

    def __init__(
        self,
        evaluation: Evaluation | BoundEvaluation,
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
    ) -> None:
        self._bound = evaluation
        self.evaluation = evaluation if isinstance(evaluation, Evaluation) else evaluation.__func__
        self._options = options
        self.name, self._formerly = name
        self.experiment = experiment
        self.place = place
        self._resources = _checked(self.evaluation, resources)
        self._listener = listener
        self._on_limit = on_limit
        self._fatal = fatal
        self._version = version_of(evaluation, options.params, reached)
        self._secrets = secrets_of(os.environ)

        self._rows = Rows(self.evaluation, options)
        self.notes: list[str] = []
        self._channel = Channel(self._fail)
        most, breaker = self.evaluation.fail_fast, None
        if most and not options.keep_going:
            breaker = Breaker(most, self._stop)
        self._breaker = breaker
        self._sink = Sink(
            self.evaluation, options.budget, on_record, self._channel, self.notes, breaker,
            self._secrets,
        )  # fmt: skip
        self.status = "failed"  # should it never begin
        self._limits_told = 0
        self._broken = False  # the store refused to write
        self._number = 0  # of the evaluation in its store
        self._store: Any = None  # while it is open
        self._failure: BaseException | None = None  # what ends the run from outside the loop
        self._loop: Loop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._spent: str | None = None  # what of the budget is used up
        self.cause: str | None = None

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
        return self._sink.first_error

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
        self._refuse_namesake()
        self._clock = asyncio.get_running_loop()
        self._began = self._clock.time()
        self._epoch = time.time() - self._began  # turns the loop's clock into Unix seconds
        writer: Writer
        if self.place.scheme == "memory":
            writer = Inline(self._write, self._durable)
        else:
            writer = Grouped(self._write, self._durable, self._break, self._prepared)
        if_abandoned(partial(writer.end, self._close_store, GRACE))
        self._writer = writer
        self._sink.begin(writer, self._clock.time, self._epoch)
        try:
            await self._with(writer)
            return await writer.call(summarise, self._store, self.experiment, self.name)
        finally:
            for timer in (self._timer, self._deadline):
                if timer is not None:
                    timer.cancel()
            self._resources = {}  # whoever keeps the run, such as a traceback, keeps no model
            await writer.close(self._close_store)
            if self._loop is not None:
                self._loop.let_go()

    # The store is opened, read, written and closed where the writer is: somebody else may hold it
    # for a minute, and the event loop does not wait for that.

    def _open_store(self) -> None:
        self._store = open_store(self.place)
        if isinstance(self._writer, Grouped):
            self._store.on_prepared = self._writer.prepared

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()

    def _write(self, entries: list[Any]) -> None:
        self._store.add(self._number, entries)

    def _refuse_namesake(self) -> None:
        """
        Two evaluations that a factory or a loop has made would be one in the store.

        Raises:
            UsageError: another evaluation of the same lines of code has this name. One whose code
                has changed, as in a notebook's cell that was edited, goes on as the same.
        """
        if self.place.path is None:
            return
        entry = str(self.place), self.experiment, self.name
        if _is_variant(_ran.get(entry), self.evaluation):
            gc.collect()  # one that nobody holds any more is no other: its factory was called again
        if _is_variant(_ran.get(entry), self.evaluation):
            raise UsageError(
                f"two different evaluations are called {self.name} in the experiment "
                f"{self.experiment!r}: rows of one would count as the other's; give each a name of "
                f"its own ({self.evaluation.__name__}.__name__ = ...), or another experiment"
            )
        _ran[entry] = self.evaluation

    async def _with(self, writer: Writer) -> None:
        await writer.call(self._open_store)
        store: Store = self._store
        former, before = await writer.call(self._before, store)
        run = self._header(store, before)
        part = "" if self._options.shard is None else str(self._options.shard)
        begin = partial(store.begin, run, fresh=self._options.fresh, part=part)
        if former is not None:
            begin = partial(begin, formerly=former)
            self.notes.append(f"what an earlier version stored as {former} goes on")
        self._number = await writer.call(begin)
        self.status = "running"
        try:
            await self._through(store, writer)
        finally:
            await self._end(store, writer, run)

    async def _through(self, store: Store, writer: Writer) -> None:
        """From the first row to the last durable record."""
        evaluation = self.evaluation
        rows = self._rows
        async for record in self._stored(store, writer):
            rows.remember(record)
            self._sink.resumed |= not record.failed
        gate = evaluation.strategy.gate()
        threads: Threads | Elsewhere | None = evaluation.strategy.threads()
        if evaluation.executor is not None:
            threads = Elsewhere(evaluation.executor)
        pace, policy, sink = evaluation.rate_limit, evaluation.policy, self._sink
        self._gate = gate
        self._open(rows)
        now = self._clock.time()
        schedule = Schedule(gate, now, policy=policy, pace=pace, openings=(sink.backlog,))
        self._schedule = schedule
        self._loop = loop = Loop(
            rows,
            schedule,
            sink.finished,
            threads=threads,
            timeout=evaluation.timeout,
            on_failed=self._attempt_failed,
            fatal=(*self._fatal, ExecutorError),
            on_slow=self._slow,
        )
        self._tick()
        budget = self._options.budget
        if budget is not None and budget.time is not None:
            self._deadline = self._clock.call_later(budget.time, self._check_budget)
        self.status = "interrupted"
        try:
            with evaluation.strategy.watching(loop, schedule):
                try:
                    while await loop.progress():
                        pass
                finally:
                    await loop.close()
        except Exception as error:  # the executor's, a listener's, the store's
            if not isinstance(error, self._fatal):  # such as pytest's exit: that interrupts
                self.status = "failed"
            raise
        finally:
            if threads is not None:
                threads.close()
            await self._close_dataset()
            await writer.call(nothing)  # everything that was put is durable now, if ever
        self._tell_limits()
        if self._failure is not None:
            self.status = "failed"
            raise self._failure
        if loop.source_error is not None:
            self.status = "incomplete"
            raise self._dataset_error(loop.source_error) from loop.source_error
        self.status = "stalled" if schedule.stalled else "complete"
        if self._spent is not None:
            self.status = "incomplete"
            self.notes.append(f"stopped: {self._spent}; the same command resumes the run")
        elif self.cause is not None and not schedule.stalled:
            self.status = "stopped"
        elif self.status == "complete" and self.done and not self._is_any_scored():
            self.status = "failed"
        if schedule.stalled:
            self.notes.append(
                f"stalled: nothing succeeded for {policy.patience:g} s, so the run gave up; "
                "the same command resumes it"
            )
        if rows.final:
            self.notes.append(
                f"{rows.final} stored {_plural(rows.final, 'row')} failed with final=True: not run "
                "again; a fresh run runs all rows"
            )
        await self._settle(store, writer)
        if rows.to_the_end and rows.read == 0:
            self.status = "failed"
            raise DatasetError(
                f"the dataset of {evaluation.__name__} has no rows; an evaluation of nothing "
                "proves nothing, so this counts as a failure"
            )

    def _is_any_scored(self) -> bool:
        """Whether any row has a result, of this run or of an earlier one."""
        return self.done > sum(self.errors.values()) or self.skipped > self.final

    async def _close_dataset(self) -> None:
        """Who opens a dataset closes it, however the run ends."""
        try:
            await self._rows.close()
        except Exception as error:  # the dataset is theirs, and so is whatever it raises
            said = safe_without(self._secrets, error, 500)
            self.notes.append(
                f"the dataset raised {type(error).__name__} when it was closed: {said}"
            )

    async def _stored(self, store: Store, writer: Writer) -> AsyncIterator[Stored]:
        """What earlier runs have left, a page at a time."""
        after = 0
        while page := await writer.call(store.stored, self._number, after):
            for record in page:
                yield record
            after = page[-1].id

    async def _settle(self, store: Store, writer: Writer) -> None:
        """
        Tell which stored rows count: those of rows that came back, and not those of rows that
        have changed or, where the dataset was read to its end, are gone.
        """
        rows = self._rows
        if rows.to_the_end:
            await writer.call(store.total, self._number, rows.read * self.evaluation.repeats)
        if not rows.stored:
            return
        changed: dict[int, list[int]] = {LIVE: [], STALE: []}
        async for record in self._stored(store, writer):
            state = rows.verdict(record)
            if state is not None:
                changed[state].append(record.id)
        for state, ids in changed.items():
            if ids:
                await writer.call(store.mark, self._number, ids, state)
        if stale := len(changed[STALE]):
            self.notes.append(
                f"{stale} stored {_plural(stale, 'record')} of rows that the dataset no "
                "longer has: stale, not counted"
            )

    async def _end(self, store: Store, writer: Writer, run: Run) -> None:
        """Close the run in the store, if the store still works."""
        if self._broken:
            return
        error = sys.exc_info()[1]
        interrupted = isinstance(error, (asyncio.CancelledError, KeyboardInterrupt))
        if self.status == "running":  # it did not come to its rows
            self.status = "interrupted" if interrupted else "failed"
        reason = None
        if error is not None and not interrupted:
            reason = safe_without(self._secrets, error, 1_000) or type(error).__name__
        elif self.status == "stopped":
            reason = f"{self.cause}; nothing more was started"
        elif self.status == "failed":
            reason = f"not one of {self.done} {_plural(self.done, 'row')} has a result"
        loop = self._loop
        changes = [
            {**as_mapping(change), "at": round(change.at - self._began, 3)}
            for change in (self._gate.history if loop is not None else ())
        ]
        if len(changes) > 1:
            at, limit = round(self._clock.time() - self._began, 3), self._gate.limit
            words = f"at the end: {self._gate.belief}"
            changes.append({"at": at, "limit": limit, "reason": words, "throughput": None})
        header = dict(run.header)
        closed = Run(
            run.uid, run.experiment, run.evaluation, run.started,
            finished=self._epoch + self._clock.time(),
            duration=self._clock.time() - self._began,
            status=self.status,
            pid=run.pid,
            header=header,
            history=tuple(changes),
            error=reason,
        )  # fmt: skip
        try:
            figures = await writer.call(own_figures, store, self.experiment, self.name)
            header.update({FIGURES: figures} if figures else {})
        finally:  # whatever prevents them, the run ends
            await writer.call(store.end, self._number, closed)

    # -------------------------------------------------------------------- rows in

    def _open(self, rows: Rows) -> None:
        try:
            rows.open(self._function(), self._wake)
        except Exception as error:  # the dataset is theirs, and so is whatever it raises
            if isinstance(error, (DotevalError, *self._fatal)):
                raise
            raise self._dataset_error(error) from error

    def _wake(self) -> None:
        assert self._loop is not None  # what wakes it begins after it
        self._loop.wake()

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

    # ---------------------------------------------------------------- records out

    def _prepared(self) -> None:
        """The writer waits for nothing but the disk now."""
        self._wake()

    def _durable(self, entries: list[Entry | Attempt]) -> None:
        self._sink.durable(entries)
        self._check_budget()
        self._wake()

    def _check_budget(self) -> None:
        """Start nothing new once the budget is spent."""
        if self._spent is None and self._loop is not None:
            self._spent = self._sink.enough(self._clock.time() - self._began)
            if self._spent is not None:
                self._loop.stop()

    def _attempt_failed(self, row: Row, reading: Reading, final: bool) -> None:
        self._sink.failed(row, reading, final)
        held = self._schedule.held
        if held and self._breaker is not None and self.cause is None:
            until = time.strftime(_MOMENT, time.localtime(time.time() + held))
            patience = self.evaluation.policy.patience
            said = self._sink.last_error
            self._breaker.held(duration(held), until, patience, said)

    def _stop(self, cause: str) -> None:
        """Start nothing new: it would not succeed. What is in flight may finish."""
        if self.cause is None:
            self.cause = cause
            assert self._loop is not None
            self._loop.stop()

    def _break(self, error: BaseException) -> None:
        """The store refused: stop at once; what is durable stays."""
        self._broken = True
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        assert self._loop is not None
        self._loop.fail(error)

    # --------------------------------------------------------------------- telling

    def interrupt(self) -> bool:
        """
        Whether the function or the dataset is running in the calling thread just now, which only
        an exception can interrupt. Should it swallow that, it was the last.
        """
        if self._loop is None or not self._loop.calling:
            return False
        self._loop.stop()
        return True

    def _tick(self) -> None:
        if self._listener is None and self._on_limit is None:
            return
        self._tell_limits()
        if self._listener is not None:
            self._channel.tell(self._listener, self.snapshot())
        self._timer = self._clock.call_later(_TICK, self._tick)

    def _tell_limits(self) -> None:
        if self._on_limit is None:
            return
        changes = self._gate.history
        for change in changes[self._limits_told :]:
            news = {**as_mapping(change), "at": change.at - self._began}
            self._channel.tell(self._on_limit, news)
        self._limits_told = len(changes)

    def snapshot(self) -> Snapshot:
        """The state of the run as progress shows it."""
        loop = self._loop
        assert loop is not None
        now = self._clock.time()
        length = self.evaluation.source.length()
        if self._rows.to_the_end:
            length = self._rows.read
        elif (samples := self._options.samples) is not None:
            length = samples if length is None else min(length, samples)
        return Snapshot(
            evaluation=self.evaluation.__name__,
            done=self.done,
            total=None if length is None else length * self.evaluation.repeats - self.skipped,
            skipped=self.skipped,
            failed=sum(self.errors.values()),
            in_flight=self._schedule.in_flight,
            waiting=self._schedule.waiting,
            limit=self._gate.limit,
            oldest=loop.oldest,
            elapsed=now - self._began,
            idle=now - self._sink.durable_at,
            scores={name: total / n for name, (n, total) in self._sink.means.items()},
            path=tuple(change.limit for change in self._gate.history),
            belief=self._gate.belief,
        )

    def _slow(self, seconds: float) -> None:
        self.notes.append(
            f"one step of the dataset took {seconds:.2g} s and blocked all rows in flight; "
            "prepare the rows before the run, or pass an async iterable"
        )

    def _dataset_error(self, error: BaseException) -> DatasetError:
        if isinstance(error, DatasetError):
            return error
        raised = f"the dataset of {self.evaluation.__name__} raised {type(error).__name__}"
        said = safe_without(self._secrets, error, 500)
        read = self._rows.read
        if read == 0:
            return DatasetError(f"{raised} before its first row: {said}")
        return DatasetError(
            f"{raised} after {read} {_plural(read, 'row')}: {said}; what was finished "
            "is stored, and the same command resumes it"
        )

    def _before(self, store: Store) -> tuple[str | None, list[Run]]:
        """
        The earlier runs of this evaluation, and the name that an earlier version stored them
        under, where that was another. What has been run since under that name is not ours.
        """
        try:
            for name in (self.name, *self._formerly):
                runs = store.runs(self.experiment, name)
                if name == self.name and runs:
                    return None, runs
                if runs and not any(NAMING in run.header for run in runs):
                    return name, runs
        except LookupError:
            pass  # it is a new experiment
        return None, []

    def _header(self, store: Store, before: list[Run]) -> Run:
        """What is worth knowing later about the environment of this run."""
        evaluation, options = self.evaluation, self._options
        source, length = evaluation.digest(), evaluation.source.length()
        header = {
            "doteval": version(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "platform": sys.platform,
            "commit": commit_of(store.anchor),
            "strategy": summary_of(evaluation.strategy),
            "columns": list(evaluation.columns),
            "repeats": evaluation.repeats,
            "cluster": evaluation.cluster,
            "samples": options.samples,
            "total": None if length is None else length * evaluation.repeats,
            "fresh": options.fresh,
            "shard": None if options.shard is None else str(options.shard),
            "source": source,
            "code": dict(self._version.code),
            "config": dict(self._version.config),
            NAMING: "project",
        }
        if before and not options.fresh:
            changed = self._version.since(before[-1].header, source, options.keep_config)
            if changed is not None:
                self.notes.append(changed)
        known = bool(before) and "cluster" in before[-1].header
        if "group" in evaluation.columns and evaluation.cluster is None and not known:
            self.notes.append(
                "a column named 'group' clusters no rows any more; where rows of a group are not "
                "independent, write ForEach(cluster='group')"
            )
        return Run(
            os.urandom(16).hex(), self.experiment, self.name, self._epoch + self._began, None,
            0.0, "running", os.getpid(), header,
        )  # fmt: skip


def _checked(evaluation: Evaluation, resources: Mapping[str, Any]) -> dict[str, Any]:
    parameters = evaluation.__signature__.parameters
    unknown = [name for name in resources if name not in parameters]
    if unknown:
        raise UsageError(
            f"{evaluation.__name__}() has no parameter {unknown[0]!r} to pass a value to; "
            f"its parameters beside the columns are: {', '.join(parameters) or 'none'}"
        )
    missing = [name for name in evaluation.resources if name not in resources]
    if missing:
        raise UsageError(
            f"{evaluation.__name__}() needs a value for {', '.join(map(repr, missing))}: pass it "
            f"as run(..., {_as_argument(missing[0])}), or run it under pytest, where it "
            "is a fixture"
        )
    return dict(resources)


_ARGUMENTS = frozenset(  # of run(), which can not be passed to the function by themselves
    {
        *("evaluation", "experiment", "storage", "progress", "on_record", "on_limit", "on_finish"),
        *("resources", *Options.__slots__),
    }
)


def _as_argument(name: str) -> str:
    return f"resources={{{name!r}: ...}}" if name in _ARGUMENTS else f"{name}=..."


def _plural(n: int, noun: str) -> str:
    return noun if n == 1 else f"{noun}s"
