"""
The five strategies: how many attempts are in flight at a time.

A strategy is its parameters; each execution has a state of its own. One object may therefore
serve several evaluations, one after the other or at the same time, and none of them learns
from, or waits for, another.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from inspect import iscoroutinefunction
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .executors import Threads
from .gates import Batches, Gate, Window

if TYPE_CHECKING:  # to name a strategy is cheap: what an execution needs is loaded by the first
    from .limit import Change
    from .loop import Loop
    from .row import Row
    from .schedule import Schedule

Task = Callable[[], Any]
_ENOUGH = 64  # results that nobody has taken, from which nothing new starts


class _Watched:
    """What `get_stats` tells: the executions under way, and the figures of the last."""

    under_way: tuple[tuple[Loop, Schedule], ...] = ()
    last: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Strategy:
    """
    What the five have in common. To use one alone, for tasks of your own:

        async for result in SlidingWindow(10).execute(tasks):
            ...
    """

    _watched: _Watched = field(default_factory=_Watched, init=False, repr=False, compare=False)

    def gate(self) -> Gate:
        """A fresh gate for one execution; here, of one attempt at a time."""
        return Window(1)

    def threads(self) -> Threads | None:
        """Where an execution runs plain functions; None: in the calling thread."""
        return Threads(self._most())

    def _most(self) -> int:
        """The most attempts that are ever in flight."""
        return self.gate().limit

    def parameters(self) -> dict[str, Any]:
        """The arguments this strategy was made with, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    @contextmanager
    def watching(self, loop: Loop, schedule: Schedule) -> Iterator[None]:
        """Meanwhile, `get_stats` tells about this execution. Only its figures are kept."""
        watched, execution = self._watched, (loop, schedule)
        watched.under_way = (*watched.under_way, execution)
        try:
            yield
        finally:
            watched.under_way = tuple(each for each in watched.under_way if each is not execution)
            watched.last = _figures(loop, schedule)

    async def execute(
        self, tasks: Iterable[Task], progress_callback: Callable[[Any], object] | None = None
    ) -> AsyncIterator[Any]:
        """
        Run tasks and yield their results as they finish.

        Args:
            tasks: zero-argument callables, plain or async; taken lazily, may be endless.
            progress_callback: called with each result before it is yielded.

        Raises:
            BaseException: what a task raised, that very object, after the other tasks in
                flight were cancelled and have ended. Leaving the loop early cancels them too.
            TypeError: something among the tasks is not callable.
        """
        from .loop import Loop
        from .schedule import Schedule

        finished: deque[Row] = deque()
        gate, threads = self.gate(), self.threads()
        enough = max(gate.limit, _ENOUGH)

        def backlog(now: float) -> float:
            return now if len(finished) <= enough else inf

        now = asyncio.get_running_loop().time()
        schedule = Schedule(gate, now, openings=(backlog,))
        loop = Loop(_rows(tasks), schedule, finished.append, threads=threads)
        with self.watching(loop, schedule):
            try:
                while await loop.progress():
                    while finished:
                        row = finished.popleft()
                        if row.error is not None:
                            continue  # progress() raises it when the results before it are out
                        if progress_callback is not None:
                            progress_callback(row.value)
                        yield row.value
                if loop.source_error is not None:
                    raise loop.source_error
            finally:
                await loop.close()
                if threads is not None:
                    threads.close()

    def get_stats(self) -> dict[str, Any]:
        """
        Figures of the current execution, or of the last one.

        Returns:
            `completed`, `failed`, `in_flight`, `waiting` (counts), `current_concurrency` (the
            limit), `elapsed` (seconds), `throughput` (completed per second, None before the
            first) and `adaptation_history` (a list of `at`, `limit`, `reason`, `throughput`).
        """
        if self._watched.under_way:
            return _figures(*self._watched.under_way[-1])
        if (last := self._watched.last) is not None:
            return {**last, "adaptation_history": list(last["adaptation_history"])}
        return {
            "completed": 0,
            "failed": 0,
            "in_flight": 0,
            "waiting": 0,
            "current_concurrency": self.gate().limit,
            "elapsed": 0.0,
            "throughput": None,
            "adaptation_history": [],
        }


def _figures(loop: Loop, schedule: Schedule) -> dict[str, Any]:
    elapsed, completed = loop.elapsed, schedule.completed
    return {
        "completed": completed,
        "failed": schedule.failures,
        "in_flight": schedule.in_flight,
        "waiting": schedule.waiting,
        "current_concurrency": schedule.gate.limit,
        "elapsed": elapsed,
        "throughput": completed / elapsed if completed and elapsed > 0 else None,
        "adaptation_history": [as_mapping(change) for change in schedule.gate.history],
    }


def as_mapping(change: Change) -> dict[str, Any]:
    """A change of the limit as plain data."""
    return {
        "at": change.at,
        "limit": change.limit,
        "reason": change.reason,
        "throughput": change.throughput,
    }


def _rows(tasks: Iterable[Task]) -> Iterable[Row]:
    from .row import Row

    for index, task in enumerate(tasks):
        if not callable(task):
            raise TypeError(
                f"execute() takes zero-argument callables; task {index} is of type "
                f"{type(task).__name__}"
                + ("; pass the function, not its call" if hasattr(task, "__await__") else "")
            )
        yield Row(task, iscoroutinefunction(task))


class Sequential(Strategy):  # no fields, so Strategy's methods do: a dataclass takes 0.4 ms
    """
    One at a time, in the order of the dataset. A plain function runs in the calling thread,
    where a debugger works.
    """

    def threads(self) -> Threads | None:
        return None


class AsyncSequential(Strategy):
    """
    One at a time, in the order of the dataset, while the event loop stays alive: a plain
    function runs in a thread.
    """


@dataclass(frozen=True)
class Batch(Strategy):
    """
    Groups: a group starts together, and the next one when all of it has ended.

    Args:
        batch_size: rows in a group, 1 or more.

    Raises:
        ValueError: batch_size is not a whole number of 1 or more.
    """

    batch_size: int = 100

    def __post_init__(self) -> None:
        _count(self, "batch_size")

    def gate(self) -> Gate:
        return Batches(self.batch_size)


@dataclass(frozen=True)
class SlidingWindow(Strategy):
    """
    Always the same number in flight: when one ends, the next one starts.

    Args:
        max_concurrency: attempts in flight, 1 or more.

    Raises:
        ValueError: max_concurrency is not a whole number of 1 or more.
    """

    max_concurrency: int = 10

    def __post_init__(self) -> None:
        _count(self, "max_concurrency")

    def gate(self) -> Gate:
        return Window(self.max_concurrency)


@dataclass(frozen=True)
class Adaptive(Strategy):
    """
    Finds the number of attempts in flight at which the endpoint is fastest, and follows it.

    Args:
        initial_concurrency: where it starts.
        min_concurrency, max_concurrency: it never leaves this range.
        adaptation_interval: seconds between two decisions; start-up may be quicker.
        increase_threshold: the limit may grow while throughput is above this share of what
            the present level is known for; in 0..1.
        decrease_threshold: it shrinks when throughput falls below this share; not above
            increase_threshold.
        error_backoff_factor: what a congested endpoint's limit is multiplied with, in (0, 1).

    Raises:
        ValueError: a parameter is out of its range; the message names it.
    """

    initial_concurrency: int = 5
    min_concurrency: int = 1
    max_concurrency: int = 100
    adaptation_interval: float = 2.0
    increase_threshold: float = 0.98
    decrease_threshold: float = 0.90
    error_backoff_factor: float = 0.7

    def __post_init__(self) -> None:
        for name, value in self.parameters().items():
            if name.endswith("_concurrency"):
                _count(self, name)
            elif not _is_number(value):
                raise UsageError(f"Adaptive({name}={value!r}): expected a finite number")
        least, first, most = self.min_concurrency, self.initial_concurrency, self.max_concurrency
        if not least <= first <= most:
            raise UsageError(
                "Adaptive() needs min_concurrency <= initial_concurrency <= max_concurrency, "
                f"not {least} <= {first} <= {most}"
            )
        if not self.adaptation_interval > 0:
            raise UsageError(
                f"Adaptive(adaptation_interval={self.adaptation_interval!r}): expected seconds "
                "above 0"
            )
        if not 0 <= self.decrease_threshold <= self.increase_threshold <= 1:
            raise UsageError(
                "Adaptive() needs 0 <= decrease_threshold <= increase_threshold <= 1, not "
                f"{self.decrease_threshold} and {self.increase_threshold}"
            )
        if not 0 < self.error_backoff_factor < 1:
            raise UsageError(
                f"Adaptive(error_backoff_factor={self.error_backoff_factor!r}): expected a factor "
                "between 0 and 1, exclusive"
            )

    def gate(self) -> Gate:
        from .adaptive import AdaptiveGate

        return AdaptiveGate(**self.parameters())

    def _most(self) -> int:
        return self.max_concurrency


def _count(strategy: Strategy, name: str) -> None:
    value = getattr(strategy, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(
            f"{type(strategy).__name__}({name}={value!r}): expected a whole number of 1 or more"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def as_strategy(value: object, plain: bool) -> Strategy:
    """
    What `concurrency=` was given, or the default: Sequential for a plain function, Adaptive
    for an async one.

    Raises:
        UsageError: it is not a strategy.
    """
    if value is None:
        return Sequential() if plain else Adaptive()
    if isinstance(value, Strategy):
        return value
    hint = f"; write {value.__name__}()" if isinstance(value, type) else ""
    if isinstance(value, int):
        hint = f"; write SlidingWindow({value})"
    raise UsageError(
        f"concurrency={value!r}: expected a strategy such as SlidingWindow(10) or Adaptive(){hint}"
    )


def summary_of(strategy: Strategy) -> Mapping[str, Any]:
    """The strategy's name and parameters, as a run's header keeps them."""
    return {"name": type(strategy).__name__, **strategy.parameters()}
