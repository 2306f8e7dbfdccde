"""
Batches of a provider: rows are submitted together, and their replies collected later, by whichever
run is there.

    rows ─▶ Submissions ─▶ intent ─▶ submit ─▶ ticket ─▶ collect ─▶ rows with replies ─▶ Loop
                             │ durable           │ durable

Each step is in the store before the next one begins, so that a run that is killed, at any moment,
submits nothing twice. What is scored is a row like any other, whose call has its reply.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from ..concurrency.attempts import GRACE
from ..concurrency.evidence import Outcome
from ..concurrency.executors import Threads
from ..concurrency.reading import read
from ..concurrency.row import Row
from ..errors import RowError, UsageError
from ..evaluation import REPLY, Evaluation
from ..record import SUBMITTED, Call
from ..redaction import safe_error
from ..text import one_line
from ..views.figures import plural
from .batches import Holding
from .ledger import Ledger
from .rows import raising

_INTENT, _TICKET, _OVER = range(3)  # what is kept of a submission, in this order
_ROWS = 10_000  # of a batch that says no size of its own
_FIRST, _LONGEST = 1.0, 60.0  # seconds between two looks, which are longer each time by a half
_AT_ONCE = 4  # plain calls of the provider at a time
_SHOWN, _LONG = 3, 60  # tickets that a sentence names, and characters of each

Rowid = tuple[bytes, int]  # key and repeat


class Submission:
    """
    Rows that are submitted together.

    Attributes:
        key: tells it apart, for a provider that can tell whether it has it: 32 hex digits.
        rows: what they are known by, in their order.
        members: those that wait for a reply, by their number in that order.
        ticket: what it is collected by, plain data; None: there is none yet.
        is_sent: whether the provider may have it although there is no ticket.
        since: when it was submitted, Unix seconds.
    """

    def __init__(self, key: str, rows: Sequence[Rowid], since: float, is_sent: bool) -> None:
        self.key, self.rows, self.since, self.is_sent = key, rows, since, is_sent
        self.members: dict[int, Row] = {}
        self.ticket: Any = None

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Submission:
        """One that nobody has yet."""
        made = cls(os.urandom(16).hex(), [(row.key, row.repeat) for row in rows], 0.0, False)
        made.members.update(enumerate(rows))
        return made

    @property
    def is_whole(self) -> bool:
        """Whether all of its rows are there, so that the very same can be submitted again."""
        return len(self.members) == len(self.rows)

    @property
    def name(self) -> str:
        """For people."""
        return f"batch {self.key if self.ticket is None else one_line(self.ticket, _LONG)}"


class Submissions(Holding):
    """
    Rows whose replies have come.

    Args:
        rows: see Holding; what they return is submitted.
        function: takes a row and its reply by names.
        evaluation: of it, with the `batch` of a provider.
        ledger: where submissions are kept.
        wake: called when there is more to take.
        fail: called with what ends the run, such as a store that can not be written.

    Raises:
        UsageError: the store can keep no submissions, or nothing may be paid for.
    """

    def __init__(
        self,
        rows: Iterator[Row | None],
        function: Callable[..., Any],
        evaluation: Evaluation[..., Any],
        ledger: Ledger,
        wake: Callable[[], object],
        fail: Callable[[BaseException], object],
    ) -> None:
        if not ledger.keeps_calls:
            raise UsageError("batch=: this store can keep no tickets; take one in a SQLite file")
        if ledger.shelf is not None and ledger.shelf.strict:
            raise UsageError('calls="replay" does not go with batch=, which submits what is new')
        super().__init__(rows, self._join, self._go_on, lambda: bool(self._open))
        self._function, self._ledger = function, ledger
        self._batch, self._policy = evaluation.batch, evaluation.policy
        self._find = getattr(self._batch, "find", None)
        self._is_idempotent = bool(getattr(self._batch, "idempotent", False))
        self._size = getattr(self._batch, "size", _ROWS)
        self._wake, self._fail = wake, fail
        self._loop = asyncio.get_running_loop()
        wait = getattr(self._batch, "wait", None)
        self._until = math.inf if wait is None else self._loop.time() + wait
        self._threads = Threads(_AT_ONCE)
        self._owner: dict[Rowid, tuple[Submission, int]] = {}  # of rows that were submitted before
        self._group: list[Row] = []  # that is not full
        self._recalled: dict[Submission, None] = {}  # that are gone on with when all rows are there
        self._open: dict[Submission, asyncio.Task[None] | None] = {}  # that are worked on
        self._left: list[Submission] = []  # that this run does not wait for any more

    async def recall(self) -> None:
        """Read what earlier runs have submitted."""
        known: dict[str, Submission] = {}
        for call in await self._ledger.kept(SUBMITTED):
            key = call.digest.hex()
            if call.number == _INTENT:
                told = json.loads(call.request)["rows"]
                rows: Sequence[Rowid] = [(bytes.fromhex(each), repeat) for each, repeat in told]
                made = known[key] = Submission(key, rows, call.started, True)
                self._owner.update((row, (made, at)) for at, row in enumerate(rows))
            elif call.number == _TICKET:
                known[key].ticket = json.loads(call.response)
            else:
                rows = known[key].rows
                for at in json.loads(call.response) or range(len(rows)):
                    if self._owner.get(rows[at]) == (known[key], at):
                        del self._owner[rows[at]]

    # ------------------------------------------------------------------ rows that come

    def _join(self, row: Row) -> None:
        owner = self._owner.pop((row.key, row.repeat), None)
        if owner is None:
            self._group.append(row)
            if len(self._group) >= self._size:
                self._begin([])
        else:
            submission, at = owner
            submission.members[at] = row
            self._recalled[submission] = None

    def _go_on(self) -> None:
        self._begin([*self._recalled])
        self._recalled.clear()

    def _begin(self, begun: list[Submission]) -> None:
        """Go on with what was submitted before, and submit the group."""
        if self._group:
            begun.append(Submission.of(self._group))
            self._group = []
        self._open.update(dict.fromkeys(begun))
        # The source is asked out of sight of the event loop, where no task may be made.
        self._loop.call_soon(self._start, begun)

    def _start(self, begun: list[Submission]) -> None:
        for submission in begun:
            self._open[submission] = self._loop.create_task(self._deliver(submission))

    @property
    def waiting(self) -> int:
        """Rows that wait for their reply."""
        return sum(len(each.members) for each in self._unfinished())

    def _unfinished(self) -> list[Submission]:
        return [*self._recalled, *self._open, *self._left]

    @property
    def oldest(self) -> Submission | None:
        """That is waited for, and was submitted first; None: there is none."""
        sent = [each for each in self._unfinished() if each.since]
        return min(sent, key=lambda each: each.since, default=None)

    def told(self) -> str:
        """What is still to be collected when the run has ended; "" for nothing."""
        left = self._unfinished()
        if not left:
            return ""
        names = ", ".join(each.name for each in left[:_SHOWN])
        more = f" and {len(left) - _SHOWN} more" * (len(left) > _SHOWN)
        rows = plural(self.waiting, "row")
        return f"{rows} wait for their reply in {names}{more}"

    async def close(self) -> None:
        """End what is under way; what is just being submitted gets a moment to keep its ticket."""
        self._until = -math.inf
        tasks = {each: task for each, task in self._open.items() if task is not None}
        for submission, task in tasks.items():
            if submission.ticket is not None:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks.values(), timeout=GRACE)
        for task in tasks.values():
            task.cancel()
        self._threads.close()

    # ------------------------------------------------------------------ one submission

    async def _deliver(self, submission: Submission) -> None:
        """From wherever it stands to the replies of its rows."""
        sent, problem = submission, ""
        replies: Mapping[int, Any] | None = {}
        try:
            try:
                sent = await self._send(submission)
                replies = await self._collect(sent)
            except RowError as error:
                problem = str(error)
            if replies is None:
                self._left.append(sent)
            else:
                for at, row in sent.members.items():
                    row.call = self._answered(row, replies.get(at), sent, problem)
                self._ready.extend(sent.members.values())
            del self._open[submission]
            self._wake()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the store's, or an interruption: no task may keep it
            self._fail(error)

    def _answered(self, row: Row, reply: Any, sent: Submission, problem: str) -> Callable[..., Any]:
        """The call of a row whose reply has come; or that has none, for a problem of all."""
        if reply is not None and not isinstance(reply, Exception):
            return partial(_scored, self._function, row.call, reply)
        lacks = f"no reply came back for this row in {sent.name}"
        said = lacks if reply is None else f"{_told(reply)} (in {sent.name})"
        error = RowError(problem or f"{said}; a later run submits it again")
        error.is_news = bool(problem)  # else the other replies are there
        return raising(error)

    async def _send(self, submission: Submission) -> Submission:
        """
        Submit it, if it has not been, or what is left of it in its place.

        Returns:
            the one that has a ticket.

        Raises:
            RowError: it is not, or nobody knows.
        """
        if submission.ticket is not None:
            return submission
        if not submission.is_sent:
            await self._keep(submission, _INTENT)
        failures, ticket = 0, await self._found(submission)
        if ticket is None and not submission.is_whole:  # rows of it are gone: it will never be
            await self._keep(submission, _OVER)
            return await self._send(Submission.of([*submission.members.values()]))
        while ticket is None:
            submission.since = time.time()
            try:
                rows = [row.call(**row.named) for _, row in sorted(submission.members.items())]
                given = await self._call(self._batch.submit, rows, submission.key)
                submission.is_sent = True  # whatever its ticket is like
                ticket = _ticket(given)
            except Exception as error:  # theirs, whatever it is
                failures += 1
                await self._refused(submission, error, failures)
                ticket = await self._found(submission)
        await self._keep(submission, _TICKET, ticket)
        submission.ticket = ticket  # which is durable now
        return submission

    async def _found(self, submission: Submission) -> Any:
        """
        The ticket, if the provider has it already; None: it is to be submitted.

        Raises:
            RowError: nobody can know.
        """
        if not submission.is_sent:
            return None
        if self._find is not None:
            return await self._patiently("find", self._find, submission.key)
        if self._is_idempotent and submission.is_whole:
            return None  # it is the same, however often
        why = "neither find() nor `idempotent` can tell"
        if self._is_idempotent:
            why = "some of its rows have changed or are gone, so it can not be repeated"
        raise RowError(
            f"it is not known whether batch {submission.key} was submitted at "
            f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(submission.since))}: the run "
            f"ended within submit(), and {why}. Give the class find(key), which returns its "
            "ticket, or None where the provider does not have it"
        )

    async def _refused(self, submission: Submission, error: Exception, failures: int) -> None:
        """
        After submit() has raised: wait before it is tried again.

        Raises:
            RowError: it is not tried again in this run.
        """
        reading = read(error, time.time())
        submission.is_sent |= reading.outcome is Outcome.TROUBLE  # its answer may have been lost
        if self._policy.retryable(reading) and failures < self._policy.attempts:
            pause = self._policy.delay(failures, lambda: 1.0)
            await asyncio.sleep(max(pause, min(reading.asked or 0.0, self._policy.patience)))
            return
        if not submission.is_sent and self._find is None and not self._is_idempotent:
            await self._keep(submission, _OVER)
        raise RowError(f"submit() raised {_told(error)}")

    async def _collect(self, submission: Submission) -> Mapping[int, Any] | None:
        """
        The replies by the numbers of their rows; None: this run waits no longer.

        Raises:
            RowError: collect() does not work; it is asked again by the next run.
        """
        pause, collect = _FIRST, self._batch.collect
        while (found := await self._patiently("collect", collect, submission.ticket)) is None:
            if self._loop.time() + pause > self._until:
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST)
        replies = _by_number(found, len(submission.rows))
        lacking = [
            at
            for at in range(len(submission.rows))
            if isinstance(replies.get(at), (Exception, type(None)))
        ]
        if lacking:  # a later run submits these again
            await self._keep(submission, _OVER, lacking)
        return replies

    async def _patiently(self, name: str, function: Callable[[Any], Any], argument: Any) -> Any:
        """What a function returns that changes nothing, so that it can be asked again."""
        since, failures = self._loop.time(), 0
        while True:
            try:
                return await self._call(function, argument)
            except Exception as error:  # theirs, whatever it is
                reading = read(error, time.time())
                failures += 1
                waited = self._loop.time() - since
                if not self._policy.retryable(reading) or waited >= self._policy.patience:
                    raise RowError(
                        f"{name}() raised {_told(error)}; the batch stays as it is, "
                        "and the same command asks for it again"
                    ) from error
                await asyncio.sleep(self._policy.delay(failures, lambda: 1.0))

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if iscoroutinefunction(function):
            return await function(*arguments)
        error, value = await self._threads.call(partial(function, *arguments))
        if error is not None:
            raise error
        return await value if hasattr(value, "__await__") else value

    async def _keep(self, submission: Submission, step: int, said: Any = None) -> None:
        """Write a step down: it is durable when this returns."""
        request: dict[str, Any] = {"function": f"{type(self._batch).__name__}.submit"}
        if step == _INTENT:
            request["rows"] = [(key.hex(), repeat) for key, repeat in submission.rows]
        await self._ledger.keep(
            Call(
                SUBMITTED, 0, bytes.fromhex(submission.key), step, time.time(), 0.0,
                json.dumps(request), json.dumps(said),
            )
        )  # fmt: skip


def _scored(
    function: Callable[..., Any], named: Callable[..., Any], reply: Any, /, **row: Any
) -> Any:
    """What a function makes of a row and its reply."""
    return function(**named(**row), **{REPLY: reply})


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {safe_error(error, 500)}"


def _ticket(given: Any) -> Any:
    """
    A ticket as it comes back from the store.

    Raises:
        UsageError: it is none.
    """
    try:
        ticket = json.loads(json.dumps(given))
    except (TypeError, ValueError) as error:
        raise UsageError(f"its ticket is no plain data, such as a text: {error}") from error
    if ticket is None:
        raise UsageError("it returned None; expected a ticket that collect() takes, such as an id")
    return ticket


def _by_number(found: Any, count: int) -> Mapping[int, Any]:
    """
    Replies by the numbers of their rows.

    Raises:
        RowError: they can not be matched to the rows.
    """
    replies, odd = dict[Any, Any](), type(found).__name__
    if isinstance(found, Mapping):
        for number, reply in found.items():
            is_text = isinstance(number, str) and number.isdecimal()
            replies[int(number) if is_text else number] = reply
        strange = [each for each in replies if each not in range(count)]
        odd = f"a reply to row {strange[0]!r:.80}" if strange else ""
    elif isinstance(found, (list, tuple)):
        replies = dict(enumerate(found))
        odd = "" if len(found) == count else f"{len(found)} replies"
    if odd:
        raise RowError(
            f"collect() returned {odd} for {count} rows; expected one for each in their order, or "
            "a mapping by their numbers, from 0; the batch stays as it is, and the same command "
            "collects it again"
        )
    return replies
