"""
A run: rows from the dataset through the strategy into the store, and a Summary at the end.

    dataset ─rows▶ Flow ─items▶ Loop ─finished▶ Flow ─entries▶ Writer ─durable▶ Flow ─▶ listeners

A record counts once it is durable: until then no figure, listener or summary knows it. What has
returned and is not yet durable is the backlog; it is bounded, and nothing new starts while it
is too large or too old.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from ..budget import Budget
from ..concurrency.executors import Elsewhere, Journey, Threads, check_travel
from ..concurrency.loop import GRACE, Item, Loop
from ..concurrency.reading import Reading
from ..concurrency.retry import Retry
from ..concurrency.strategies import as_mapping, belief, history, summary_of
from ..datasets import binder
from ..errors import DatasetError, DotevalError, ExecutorError, ResultError, RowError, UsageError
from ..evaluation import BoundEvaluation, Evaluation, altered, failure_of, outcome_of
from ..keys import Identities, shard_of
from ..records import ATOMS, LIVE, NO_USAGE, STALE, Attempt, Failure, Record, Run, Usage
from ..redaction import safe_without, secrets_of
from ..reporting.figures import HEADER as FIGURES
from ..reporting.progress import Snapshot
from ..reporting.summary import Summary, own_figures, summarise
from ..statistics.intervals import as_float
from ..storage import NAMING, Grouped, Inline, Place, Store, Writer, open_store
from ..storage.encoding import Entry, dump, encode, row_dumper
from ..usage import read_usage
from .copies import on_copies
from .driver import if_abandoned
from .environment import commit_of, version
from .version import version_of

_FEW = 20  # rows with scores before a figure that none of them told is missed
_BACKLOG = 1_000  # rows that may have returned without being durable
_OLDEST = 0.1  # seconds that the oldest of them may wait before nothing new starts
_TICK = 0.1  # seconds between two snapshots for whoever shows progress


# The evaluations that this process has run, by store, experiment and name, while they are alive.
_ran: WeakValueDictionary[tuple[str, str, str], Evaluation] = WeakValueDictionary()


def _is_variant(one: Evaluation | None, other: Evaluation) -> bool:
    return one is not None and one.is_variant_of(other)


class RowItem(Item):
    """A row on its way: the item of the loop, and what identifies and describes the row."""

    __slots__ = ("key", "digest", "position", "repeat", "row", "text")

    def __init__(
        self,
        call: Callable[[], Any],
        inline: bool,
        key: bytes,
        digest: bytes | None,
        position: int,
        repeat: int,
        row: Mapping[str, Any],
        text: str,
    ) -> None:
        super().__init__(call, inline)
        self.key = key
        self.digest = digest
        self.position = position
        self.repeat = repeat
        self.row = row
        self.text = text  # the row as JSON, from before the function could change it


class Flow:
    """
    One run of one evaluation.

    Args:
        evaluation: what to run.
        name: of the evaluation in the store.
        experiment: name to store it under.
        place: of the store.
        resources: values of the function's other parameters.
        samples: only the first so many rows of the dataset; None: all.
        fresh: supersede what earlier runs recorded.
        listener: called with a Snapshot about ten times a second.
        on_record: called with each Record, once it is durable.
        on_limit: called with each change of the adaptive limit, as plain data.
        fatal: exceptions that end the run wherever they are raised.
        budget: what the run may use up; None: anything.
        shard: (i, n): only the rows whose key falls into part i of n, from 0; None: all.
        formerly: names that an earlier version may have stored the evaluation under.

    Attributes:
        done, skipped: records made durable by this run; rows it found finished.
        errors: failures of this run by type.
        first_error: the exception behind this run's first failure.
        notes: sentences for whoever reads the result.
        status: of the run, as stored.
    """

    def __init__(
        self,
        evaluation: Evaluation | BoundEvaluation,
        *,
        name: str,
        experiment: str,
        place: Place,
        resources: Mapping[str, Any],
        samples: int | None = None,
        fresh: bool = False,
        listener: Callable[[Snapshot], object] | None = None,
        on_record: Callable[[Record], object] | None = None,
        on_limit: Callable[[Mapping[str, Any]], object] | None = None,
        fatal: tuple[type[BaseException], ...] = (KeyboardInterrupt,),
        budget: Budget | None = None,
        shard: tuple[int, int] | None = None,
        formerly: tuple[str, ...] = (),
        params: Mapping[str, Any] | None = None,
        keep_config: bool = False,
        reached: Iterable[Callable[..., Any]] = (),
    ) -> None:
        self._bound = evaluation
        self.evaluation = evaluation if isinstance(evaluation, Evaluation) else evaluation.__func__
        self.name = name
        self._formerly = formerly
        self.experiment = experiment
        self.place = place
        self._resources = _checked(self.evaluation, resources)
        self._samples = _sample_size(samples)
        self._fresh = fresh
        self._listener = listener
        self._on_record = on_record
        self._on_limit = on_limit
        self._fatal = fatal
        self._budget = budget
        self._shard = shard
        self._version = version_of(evaluation, params or {}, reached)
        self._keep_config = keep_config
        self._part = "" if shard is None else f"{shard[0] + 1}/{shard[1]}"
        self._secrets = secrets_of(os.environ)
        self._bind = binder(self.evaluation.columns)
        self._dump_row = row_dumper(self.evaluation.columns)

        self.done = 0
        self.skipped = 0
        self.errors: dict[str, int] = {}
        self.first_error: BaseException | None = None
        self.notes: list[str] = []
        self.status = "failed"  # should it never begin
        self._means: dict[str, list[float]] = {}
        self._unwritten: deque[float] = deque()  # when each of the backlog returned
        self._failures: dict[tuple[bytes, int], int] = {}  # ids of stored failures
        self._stored = 0
        self._rows = 0
        self._to_the_end = False
        self._limits_told = 0
        self._named: dict[int, int] = {}  # ids of what counts for rows with an id
        self._raised = False  # a listener has
        self._broken = False  # the store refused to write
        self._failure: BaseException | None = None  # what ends the run from outside the loop
        self._loop: Loop | None = None
        self._opened: Any = None  # the rows of the dataset, while they are read
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._tokens = self._cost = 0.0
        self._usage_told = False
        self._seen: set[str] = set()  # which figures any usage had
        self._stopped: str | None = None  # by the budget, and why

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
        self._began = self._last_durable = self._clock.time()
        self._epoch = time.time() - self._began  # turns the loop's clock into Unix seconds
        store = open_store(self.place)
        try:
            return await self._with(store)
        finally:
            for timer in (self._timer, self._deadline):
                if timer is not None:
                    timer.cancel()
            store.close()
            self._resources = {}  # whoever keeps the run, such as a traceback, keeps no model
            if self._loop is not None:
                self._loop.let_go()

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

    async def _with(self, store: Store) -> Summary:
        self._number = 0
        writer: Writer
        if store.inline:
            writer = Inline(self._write(store), self._durable)
        else:
            writer = Grouped(self._write(store), self._durable, self._break, self._prepared)
            store.on_prepared = writer.prepared
        if_abandoned(partial(_release, store, writer))
        try:
            former, before = self._before(store)
            run = self._header(store, before)
            begin = partial(store.begin, run, fresh=self._fresh, part=self._part)
            if former is not None:
                begin = partial(begin, formerly=former)
                self.notes.append(f"what an earlier version stored as {former} goes on")
            self._number = await writer.call(begin)
            self.status = "running"
            try:
                await self._through(store, writer)
            finally:
                await self._end(store, writer, run)
        finally:
            await writer.close()
        return summarise(store, self.experiment, self.name)

    def _write(self, store: Store) -> Callable[[list[Any]], None]:
        return lambda entries: store.add(self._number, entries)

    async def _through(self, store: Store, writer: Writer) -> None:
        """From the first row to the last durable record."""
        evaluation = self.evaluation
        identities = Identities(evaluation.columns)
        await self._remember(store, writer, identities)
        gate = evaluation.strategy.gate()
        threads: Threads | Elsewhere | None = evaluation.strategy.threads()
        if evaluation.executor is not None:
            threads = Elsewhere(evaluation.executor)
        pace, policy = evaluation.rate_limit, evaluation.policy
        wraps = None if isinstance(policy, Retry) else policy.wraps
        self._gate = gate
        self._pace = pace
        self._writer = writer
        self._loop = loop = Loop(
            self._items(identities),
            gate,
            policy=policy if isinstance(policy, Retry) else Retry(attempts=1),
            threads=threads,
            timeout=evaluation.timeout,
            wraps=wraps,
            openings=(self._backlog,) if pace is None else (self._backlog, pace.ready_at),
            on_start=None if pace is None else pace.take,
            on_failed=self._attempt_failed,
            fatal=(*self._fatal, ExecutorError),
            on_slow=self._slow,
        )
        self._tick()
        if self._budget is not None and self._budget.time is not None:
            self._deadline = self._clock.call_later(self._budget.time, self._check_budget)
        self.status = "interrupted"
        try:
            with evaluation.strategy.watching(loop, gate):
                try:
                    while batch := await loop.finished():
                        for item in batch:
                            self._finished(item)
                finally:
                    await loop.close()
        except Exception as error:  # the executor's, a listener's, the store's
            if not isinstance(error, self._fatal):  # such as pytest's exit: that interrupts
                self.status = "failed"
            raise
        finally:
            for item in loop.left():
                self._finished(item)
            if threads is not None:
                threads.close()
            await self._close_dataset()
            await writer.call(_nothing)  # everything that was put is durable now, if ever
        self._tell_limits()
        if self._failure is not None:
            self.status = "failed"
            raise self._failure
        if loop.source_error is not None:
            self.status = "incomplete"
            raise self._dataset_error(loop.source_error) from loop.source_error
        self.status = "stalled" if loop.stalled else "complete"
        if self._stopped is not None:
            self.status = "incomplete"
            self.notes.append(f"stopped: {self._stopped}; the same command resumes the run")
        if loop.stalled:
            patience = policy.patience if isinstance(policy, Retry) else 0.0
            self.notes.append(
                f"stalled: nothing succeeded for {patience:g} s, so the run gave up; "
                "the same command resumes it"
            )
        await self._settle(store, writer, identities)
        if self._to_the_end and self._rows == 0:
            self.status = "failed"
            raise DatasetError(
                f"the dataset of {evaluation.__name__} has no rows; an evaluation of nothing "
                "proves nothing, so this counts as a failure"
            )

    async def _close_dataset(self) -> None:
        """Who opens a dataset closes it, however the run ends."""
        rows, self._opened = self._opened, None
        try:
            await self.evaluation.source.close(rows)
        except Exception as error:  # the dataset is theirs, and so is whatever it raises
            said = safe_without(self._secrets, error, 500)
            self.notes.append(
                f"the dataset raised {type(error).__name__} when it was closed: {said}"
            )

    async def _remember(self, store: Store, writer: Writer, identities: Identities) -> None:
        """Learn what earlier runs finished."""
        after = 0
        while page := await writer.call(store.stored, self._number, after):
            for row in page:
                if row.failed:
                    self._failures[row.key, row.repeat] = row.id
                elif row.digest is not None and row.state == LIVE:
                    self._named[_number(row.key, row.repeat)] = row.id
                if row.digest is not None or not row.failed:
                    identities.remember(row.key, row.repeat, row.digest, not row.failed)
            self._stored += len(page)
            after = page[-1].id

    async def _settle(self, store: Store, writer: Writer, identities: Identities) -> None:
        """
        Tell which stored rows count: those of rows that came back, and not those of rows that
        have changed or, where the dataset was read to its end, are gone.
        """
        if self._to_the_end:
            await writer.call(store.total, self._number, self._rows * self.evaluation.repeats)
        if not self._stored:
            return
        live, stale, after = [], [], 0
        while page := await writer.call(store.stored, self._number, after):
            for row in page:
                if self._shard is not None and shard_of(row.key, self._shard[1]) != self._shard[0]:
                    continue  # another shard's to judge
                met = identities.met(row.key, row.digest)
                wanted = met and row.repeat < self.evaluation.repeats
                gone = self._to_the_end or identities.changed(row.key, row.digest)
                if wanted and row.state == STALE:
                    live.append(row.id)
                elif gone and not wanted and row.state == LIVE:
                    stale.append(row.id)
            after = page[-1].id
        for ids, state in ((live, LIVE), (stale, STALE)):
            if ids:
                await writer.call(store.mark, self._number, ids, state)
        if stale:
            self.notes.append(
                f"{len(stale)} stored {_plural(len(stale), 'record')} of rows that the dataset no "
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
        loop = self._loop
        changes = [
            {**as_mapping(change), "at": round(change.at - self._began, 3)}
            for change in (history(self._gate) if loop is not None else ())
        ]
        if len(changes) > 1:
            at, limit = round(self._clock.time() - self._began, 3), self._gate.limit
            words = f"at the end: {belief(self._gate)}"
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

    def _items(
        self, identities: Identities
    ) -> Iterable[Item | None] | AsyncGenerator[Item | None, None]:
        try:
            rows: Any = self.evaluation.source.open()
        except Exception as error:  # the dataset is theirs, and so is whatever it raises
            if isinstance(error, (DotevalError, *self._fatal)):
                raise
            raise self._dataset_error(error) from error
        self._opened = rows
        function = self._function()
        if hasattr(rows, "__anext__"):
            return self._from_async(rows, identities, function)
        return self._from(rows, identities, function)

    def _from(
        self, rows: Iterator[Any], identities: Identities, function: Callable[..., Any]
    ) -> Iterator[Item | None]:
        while self._samples is None or self._rows < self._samples:
            try:
                row = next(rows)
            except StopIteration:
                self._to_the_end = True
                return
            yield from self._of(row, identities, function)
        self._to_the_end = self._rows == self.evaluation.source.length()

    async def _from_async(
        self, rows: AsyncIterator[Any], identities: Identities, function: Callable[..., Any]
    ) -> AsyncGenerator[Item | None, None]:
        while self._samples is None or self._rows < self._samples:
            try:
                row = await rows.__anext__()
            except StopAsyncIteration:
                self._to_the_end = True
                return
            for item in self._of(row, identities, function):
                yield item
        self._to_the_end = self._rows == self.evaluation.source.length()

    def _of(
        self, row: Any, identities: Identities, function: Callable[..., Any]
    ) -> list[Item | None]:
        """The items of one row: one for each repeat that has no Result yet."""
        position = self._rows
        self._rows += 1
        inline = self.evaluation.is_async and self.evaluation.executor is None
        values: tuple[Any, ...] | None = None
        try:
            values = self._bind(row)
        except RowError as error:
            named = {"row": row}
            key, digest, finished = identities.meet_malformed(position, row)
            call: Callable[[], Any] = partial(_raise, RowError(f"row {position}: {error}"))
            inline = True
        else:
            named = dict(zip(self.evaluation.columns, values, strict=True))
            key, digest, finished = identities.meet(values)
            if ATOMS.issuperset(map(type, values)):
                call = partial(function, **named)
            else:
                call = partial(on_copies, function, named)
        if self._shard is not None and shard_of(key, self._shard[1]) != self._shard[0]:
            return [None]
        text = ""
        items: list[Item | None] = []
        for repeat in range(self.evaluation.repeats):
            if finished >> repeat & 1:
                self.skipped += 1
                items.append(None)
                continue
            text = text or (dump(named) if values is None else self._dump_row(values))
            items.append(RowItem(call, inline, key, digest, position, repeat, named, text))
        return items

    def _function(self) -> Callable[..., Any]:
        """The function with its resources, and its instance where it is a method."""
        function = self.evaluation.function
        if self.evaluation.executor is not None:
            for name, value in self._resources.items():
                check_travel(value, name)
            if isinstance(self._bound, BoundEvaluation):
                check_travel(self._bound.__self__, "self")
            function = Journey(function, self.evaluation)
        if isinstance(self._bound, BoundEvaluation):
            function = partial(function, self._bound.__self__)
        return partial(function, **self._resources) if self._resources else function

    # ---------------------------------------------------------------- records out

    def _finished(self, item: Item) -> None:
        """A row has its outcome: hand it to the writer."""
        assert isinstance(item, RowItem)
        usage = NO_USAGE
        try:
            if item.error is not None:
                outcome: Any = failure_of(item.error, self._secrets)
            else:
                outcome = outcome_of(item.value, self.evaluation.__name__, self._secrets)
            result = outcome.result if isinstance(outcome, Failure) else outcome
            if result is not None and result.usage is not None:
                usage, problem = read_usage(result.usage)
                if problem:
                    self._tell_usage(problem)
        except Exception as raised:  # what a row returns is theirs, and so is what that raises
            error = raised if isinstance(raised, ResultError) else self._unstorable(item, raised)
            item.error = error
            outcome = failure_of(error, self._secrets)
            if getattr(item.value, "scores", None) is not None:  # keep prompt and answer
                kept = altered(item.value, error=outcome.message)
                outcome = Failure(outcome.type, outcome.message, "", kept)
        if self.first_error is None and item.error is not None:
            self.first_error = item.error
        entry = self._entry(item, outcome, usage)
        if usage is not NO_USAGE:
            self._tokens += (usage.input_tokens or 0) + (usage.output_tokens or 0)
            self._cost += usage.cost or 0.0
            if usage.input_tokens is not None or usage.output_tokens is not None:
                self._seen.add("tokens")
            if usage.cost is not None:
                self._seen.add("cost")
        if self._pace is not None:
            spent = (usage.input_tokens or 0) + (usage.output_tokens or 0)
            self._pace.spent(spent, self._clock.time())
        self._unwritten.append(item.ended)
        self._writer.put(entry)

    def _entry(self, item: RowItem, outcome: Any, usage: Usage) -> Entry:
        record = Record(
            item.key, item.position, item.repeat, item.row, outcome, item.attempts,
            self._epoch + item.started, item.ended - item.started, item.waited, item.concurrency,
        )  # fmt: skip
        replaces = self._failures.pop((item.key, item.repeat), None) if self._failures else None
        if replaces is None and item.digest is not None:
            # It runs in spite of a result that counts: so its content has changed.
            replaces = self._named.pop(_number(item.key, item.repeat), None)
        try:
            return encode(record, item.text, item.digest, usage, replaces)
        except Exception as error:  # something in the Result raised while it was written down
            item.error = problem = self._unstorable(item, error)
            record = record._replace(outcome=failure_of(problem, self._secrets))
            return encode(record, item.text, item.digest, usage, replaces)

    def _tell_usage(self, problem: str) -> None:
        """Usage that can not be read fails no row; it is told once."""
        if not self._usage_told:
            self._usage_told = True
            self.notes.append(safe_without(self._secrets, problem, 300))

    def _unstorable(self, item: RowItem, error: Exception) -> ResultError:
        return ResultError(
            f"the result of row {item.position} can not be stored: "
            f"{type(error).__name__}: {safe_without(self._secrets, error, 500)}"
        )

    def _attempt_failed(self, item: Item, reading: Reading, final: bool) -> None:
        """Every failed attempt stands in the ledger."""
        assert isinstance(item, RowItem) and item.error is not None
        failure = failure_of(item.error, self._secrets)
        attempt = Attempt(
            item.key, item.repeat, item.attempts, self._epoch + item.started,
            item.ended - item.started, reading.outcome.name.lower(), failure.type,
            failure.message[:500],
        )  # fmt: skip
        self._unwritten.append(item.ended)
        self._writer.put(attempt)

    def _backlog(self, now: float) -> float:
        """An opening of the loop: closed while too much is waiting for the disk."""
        waiting = self._unwritten
        if waiting and (
            len(waiting) >= _BACKLOG or now - waiting[0] > _OLDEST or self._writer.preparing
        ):
            return float("inf")
        return now

    def _prepared(self) -> None:
        """The writer waits for nothing but the disk now."""
        assert self._loop is not None
        self._loop.wake()

    def _durable(self, entries: list[Entry | Attempt]) -> None:
        """These are on the disk: now they count."""
        unwritten, means = self._unwritten, self._means
        for entry in entries:
            unwritten.popleft()
            if isinstance(entry, Attempt):
                continue
            record = entry.record
            self.done += 1
            outcome = record.outcome
            if isinstance(outcome, Failure):
                self.errors[outcome.type] = self.errors.get(outcome.type, 0) + 1
            for score in entry.scores:
                mean = means.get(score.name)
                if mean is None:
                    mean = means[score.name] = [0, 0.0]
                mean[0] += 1
                try:
                    mean[1] += score.value
                except OverflowError:
                    mean[1] += as_float(score.value)
            if self._on_record is not None:
                self._tell(self._on_record, record)
        self._last_durable = self._clock.time()
        assert self._loop is not None
        self._check_budget()
        self._loop.wake()

    def _check_budget(self) -> None:
        """Start nothing new once the budget is spent."""
        if self._stopped is not None or self._loop is None:
            return
        failed = sum(self.errors.values())
        if self._budget is not None:
            elapsed = self._clock.time() - self._began
            self._stopped = self._budget.spent(elapsed, self._tokens, self._cost, failed, self.done)
        self._stopped = self._stopped or self._blind(self.done - failed)
        if self._stopped is not None:
            self._loop.stop()

    def _blind(self, scored: int) -> str | None:
        """Which limit can never bind because no row tells what it limits, once some have scores."""
        if scored < _FEW:
            return None
        limits = [
            ("budget of tokens", "tokens", self._budget and self._budget.tokens),
            ("budget of cost", "cost", self._budget and self._budget.cost),
            ("rate limit of tokens", "tokens", self._pace and self._pace.tokens),
        ]
        for what, figure, limit in limits:
            if limit is not None and figure not in self._seen:
                return (
                    f"there is a {what}, and none of the first {scored} rows told any {figure}; "
                    "return Result(usage=…), or leave the limit out"
                )
        return None

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
            self._tell(self._listener, self.snapshot())
        self._timer = self._clock.call_later(_TICK, self._tick)

    def _tell_limits(self) -> None:
        if self._on_limit is None:
            return
        changes = history(self._gate)
        for change in changes[self._limits_told :]:
            self._tell(self._on_limit, {**as_mapping(change), "at": change.at - self._began})
        self._limits_told = len(changes)

    def _tell(self, listener: Callable[[Any], object], news: Any) -> None:
        """Whatever a listener raises ends the run and comes out of it; nobody is called again."""
        if self._raised:
            return
        try:
            listener(news)
        except BaseException as error:
            self._raised = True
            if isinstance(error, StopIteration):  # which can not come out of a coroutine
                cause, error = error, RuntimeError(f"a listener raised StopIteration: {error}")
                error.__cause__ = cause
            self._fail(error)

    def snapshot(self) -> Snapshot:
        """The state of the run as progress shows it."""
        loop = self._loop
        assert loop is not None
        now = self._clock.time()
        length = self.evaluation.source.length()
        if self._to_the_end:
            length = self._rows
        elif self._samples is not None:
            length = self._samples if length is None else min(length, self._samples)
        return Snapshot(
            evaluation=self.evaluation.__name__,
            done=self.done,
            total=None if length is None else length * self.evaluation.repeats - self.skipped,
            skipped=self.skipped,
            failed=sum(self.errors.values()),
            in_flight=loop.in_flight,
            waiting=loop.waiting,
            limit=self._gate.limit,
            oldest=loop.oldest,
            elapsed=now - self._began,
            idle=now - self._last_durable,
            scores={name: total / n for name, (n, total) in self._means.items()},
            path=tuple(change.limit for change in history(self._gate)),
            belief=belief(self._gate),
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
        if self._rows == 0:
            return DatasetError(f"{raised} before its first row: {said}")
        return DatasetError(
            f"{raised} after {self._rows} {_plural(self._rows, 'row')}: {said}; what was finished "
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
        evaluation = self.evaluation
        source, length = evaluation.digest(), evaluation.source.length()
        header = {
            "doteval": version(),
            "python": ".".join(map(str, sys.version_info[:3])),
            "platform": sys.platform,
            "commit": commit_of(store.anchor),
            "strategy": summary_of(evaluation.strategy),
            "columns": list(evaluation.columns),
            "repeats": evaluation.repeats,
            "samples": self._samples,
            "total": None if length is None else length * evaluation.repeats,
            "fresh": self._fresh,
            "shard": self._part or None,
            "source": source,
            "code": dict(self._version.code),
            "config": dict(self._version.config),
            NAMING: "project",
        }
        if before and not self._fresh:
            changed = self._version.since(before[-1].header, source, self._keep_config)
            if changed is not None:
                self.notes.append(changed)
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


_OPTIONS = frozenset(  # of run(), which can not be passed to the function by themselves
    {
        *("evaluation", "experiment", "storage", "samples", "progress", "fresh", "budget"),
        *("shard", "on_record", "on_limit", "on_finish", "resources"),
    }
)


def _as_argument(name: str) -> str:
    return f"resources={{{name!r}: ...}}" if name in _OPTIONS else f"{name}=..."


def _sample_size(samples: int | None) -> int | None:
    if samples is None:
        return None
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise UsageError(f"samples={samples!r}: expected a whole number of rows, 1 or more")
    return samples


def _number(key: bytes, repeat: int) -> int:
    return int.from_bytes(key, "big") + repeat  # a third of the memory of a tuple of both


def _release(store: Store, writer: Writer) -> None:
    """What was finished is written, and the claim given back: the next run need not wait for it."""
    if writer.end(GRACE):
        store.close()


def _nothing() -> None:
    pass


def _raise(error: BaseException) -> None:
    raise error


def _plural(n: int, noun: str) -> str:
    return noun if n == 1 else f"{noun}s"
