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
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ..concurrency.ahead import NotYet
from ..concurrency.attempts import GRACE
from ..concurrency.evidence import Outcome
from ..concurrency.executors import Threads
from ..concurrency.reading import read
from ..concurrency.row import Row
from ..errors import RowError, UsageError
from ..evaluation import REPLY, Evaluation
from ..record import SUBMITTED, Call
from ..redaction import safe_error
from ..views.figures import plural
from .ledger import Ledger
from .rows import is_malformed, raising

_INTENT, _TICKET, _OVER = range(3)  # what is kept of a submission, in this order
_ROWS = 10_000  # of a batch that says no size of its own
_FIRST, _LONGEST = 1.0, 60.0  # seconds between two looks, which are longer each time by a half
_AT_ONCE = 4  # plain calls of the provider at a time
_SHOWN = 3  # tickets that a sentence names

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

    @property
    def is_whole(self) -> bool:
        """Whether all of its rows are there, so that the very same can be submitted again."""
        return len(self.members) == len(self.rows)

    @property
    def name(self) -> str:
        """For people."""
        return f"batch {self.key if self.ticket is None else self.ticket}"


def _made_of(rows: Sequence[Row]) -> Submission:
    made = Submission(os.urandom(16).hex(), [(row.key, row.repeat) for row in rows], 0.0, False)
    made.members.update(enumerate(rows))
    return made


class Submissions:
    """
    An iterator of rows whose replies have come; None: a row was taken, and waits for its reply.

    Args:
        rows: whose calls return the row as it is to be submitted, by names.
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
        self._rows, self._function, self._ledger = rows, function, ledger
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
        self._recalled: set[Submission] = set()  # that are gone on with when all rows have come
        self._open: dict[Submission, asyncio.Task[None] | None] = {}  # that are worked on
        self._sending: set[Submission] = set()  # of these, which have no ticket yet
        self._left: list[Submission] = []  # that this run does not wait for any more
        self._ready: deque[Row] = deque()
        self._end: Exception | None = None  # what the rows have raised at their end

    async def recall(self) -> None:
        """Read what earlier runs have submitted."""
        known: dict[str, Submission] = {}
        for call in await self._ledger.kept(SUBMITTED):
            key = call.digest.hex()
            if call.number == _INTENT:
                told = json.loads(call.request)["arguments"]["rows"]
                rows = [(bytes.fromhex(each), repeat) for each, repeat in told]
                made = known[key] = Submission(key, rows, call.started, True)
                self._owner.update((row, (made, at)) for at, row in enumerate(rows))
            elif call.number == _TICKET:
                known[key].ticket = json.loads(call.response)
            else:
                for at in json.loads(call.response):
                    if self._owner.get(known[key].rows[at]) == (known[key], at):
                        del self._owner[known[key].rows[at]]

    # -------------------------------------------------------------------- as a source

    def __iter__(self) -> Submissions:
        return self

    def __next__(self) -> Row | None:
        """
        Raises:
            NotYet: replies are waited for, or an asynchronous dataset works on its next row.
            Exception: whatever the dataset raises, after the replies to all that came before it.
        """
        if self._ready:
            return self._ready.popleft()
        if self._end is None:
            try:
                row = next(self._rows)
            except NotYet:
                raise
            except Exception as error:  # theirs, or the end: first what came before it
                self._end = error
                self._begin(self._group)
                self._group = []
            else:
                if row is None or is_malformed(row):
                    return row
                self._meet(row)
                return None
        if self._open:
            raise NotYet
        raise self._end

    def _meet(self, row: Row) -> None:
        owner = self._owner.pop((row.key, row.repeat), None)
        if owner is None:
            self._group.append(row)
            if len(self._group) >= self._size:
                self._begin(self._group)
                self._group = []
        else:
            submission, at = owner
            submission.members[at] = row
            self._recalled.add(submission)

    def _begin(self, group: list[Row]) -> None:
        """Submit a group; once all rows have come, go on with what was submitted before, too."""
        begun = [_made_of(group)] if group else []
        if self._end is not None:
            begun += self._recalled
            self._recalled = set()
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
        """End what is under way; who is just being given a ticket gets a moment to keep it."""
        tasks = {each: task for each, task in self._open.items() if task is not None}
        for submission, task in tasks.items():
            if submission not in self._sending:
                task.cancel()
        if tasks:
            await asyncio.wait(tasks.values(), timeout=GRACE)
        for task in tasks.values():
            task.cancel()
        self._threads.close()

    # ------------------------------------------------------------------ one submission

    async def _deliver(self, submission: Submission) -> None:
        """From wherever it stands to the replies of its rows."""
        replies: Mapping[int, Any] | None = {}
        problem = ""
        try:
            try:
                await self._send(submission)
                replies = await self._collect(submission)
            except RowError as error:
                problem = str(error)
            if replies is None:
                self._left.append(submission)
            else:
                for at, row in submission.members.items():
                    row.call = self._answered(row, replies.get(at), submission.name, problem)
                self._ready.extend(submission.members.values())
            del self._open[submission]
            self._wake()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # the store's, or an interruption: no task may keep it
            self._fail(error)

    def _answered(self, row: Row, reply: Any, name: str, problem: str) -> Callable[..., Any]:
        """The call of a row whose reply has come; or that has none, for a problem of all."""
        if reply is not None and not isinstance(reply, Exception):
            return partial(_scored, self._function, row.call, reply)
        lacks = f"no reply came back for this row in {name}"
        said = lacks if reply is None else f"{_told(reply)} (in {name})"
        error = RowError(problem or f"{said}; a later run submits it again")
        error.is_news = bool(problem)  # else the other replies are there
        return raising(error)

    async def _send(self, submission: Submission) -> None:
        """
        Submit it, if it has not been.

        Raises:
            RowError: it is not, or nobody knows.
        """
        if submission.ticket is not None:
            return
        self._sending.add(submission)
        try:
            if not submission.is_sent:
                await self._keep(submission, _INTENT)
            failures = 0
            while not await self._is_found(submission):
                submission.since = time.time()
                try:
                    rows = [row.call(**row.named) for _, row in sorted(submission.members.items())]
                    submission.ticket = _ticket(
                        await self._call(self._batch.submit, rows, submission.key)
                    )
                except Exception as error:  # theirs, whatever it is
                    failures += 1
                    await self._refused(submission, error, failures)
            await self._keep(submission, _TICKET)
        finally:
            self._sending.discard(submission)

    async def _is_found(self, submission: Submission) -> bool:
        """
        Whether the provider has it already.

        Raises:
            RowError: nobody can know.
        """
        if submission.ticket is not None or not submission.is_sent:
            return submission.ticket is not None
        if self._find is not None:
            submission.ticket = await self._patiently(self._find, submission.key)
            if submission.ticket is None and not submission.is_whole:
                await self._keep(submission, _OVER, range(len(submission.rows)))
                anew = _made_of([*submission.members.values()])
                submission.key, submission.rows = anew.key, anew.rows
                submission.members = anew.members
                await self._keep(submission, _INTENT)
            return submission.ticket is not None
        if self._is_idempotent and submission.is_whole:
            return False  # it is the same, however often
        why = "" if self._is_idempotent else ", and neither find() nor `idempotent` can tell"
        if self._is_idempotent:
            why = ", and some of its rows have changed or are gone, so it can not be repeated"
        raise RowError(
            f"it is not known whether batch {submission.key} was submitted at "
            f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(submission.since))}: the run "
            f"ended within submit(){why}. Give the class find(key), which returns its ticket, or "
            "None where the provider does not have it"
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
            await self._keep(submission, _OVER, range(len(submission.rows)))
        raise RowError(f"submit() raised {_told(error)}")

    async def _collect(self, submission: Submission) -> Mapping[int, Any] | None:
        """
        The replies by the numbers of their rows; None: this run waits no longer.

        Raises:
            RowError: collect() does not work; it is asked again by the next run.
        """
        pause = _FIRST
        while (found := await self._patiently(self._batch.collect, submission.ticket)) is None:
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

    async def _patiently(self, function: Callable[[Any], Any], argument: Any) -> Any:
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
                        f"{function.__name__}() raised {_told(error)}; the batch stays as it is, "
                        "and the same command asks for it again"
                    ) from error
                await asyncio.sleep(self._policy.delay(failures, lambda: 1.0))

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if asyncio.iscoroutinefunction(function):
            return await function(*arguments)
        error, value = await self._threads.call(partial(function, *arguments))
        if error is not None:
            raise error
        return value

    async def _keep(self, submission: Submission, step: int, lacking: Sequence[int] = ()) -> None:
        """Write a step down: it is durable when this returns."""
        told: dict[str, Any] = {}
        if step == _INTENT:
            told = {"rows": [(key.hex(), repeat) for key, repeat in submission.rows]}
        name = f"{type(self._batch).__name__}.{'collect' if step == _OVER else 'submit'}"
        request = {"function": name, "scope": "", "arguments": told, "digests": {}}
        response = submission.ticket if step == _TICKET else [*lacking]
        await self._ledger.keep(
            Call(
                SUBMITTED, 0, bytes.fromhex(submission.key), step, time.time(), 0.0,
                json.dumps(request), json.dumps(response),
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
    stays = "the batch stays as it is, and the same command collects it again"
    if isinstance(found, Mapping):
        replies = {}
        for number, reply in found.items():
            at = int(number) if isinstance(number, str) and number.isdecimal() else number
            if type(at) is not int or not 0 <= at < count:
                raise RowError(
                    f"collect() returned a reply to row {number!r:.80}; expected numbers of the "
                    f"{count} rows that were submitted, from 0; {stays}"
                )
            replies[at] = reply
        return replies
    if isinstance(found, (list, tuple)) and len(found) == count:
        return dict(enumerate(found))
    what = f"{len(found)} replies" if isinstance(found, (list, tuple)) else type(found).__name__
    raise RowError(
        f"collect() returned {what} for {count} rows; expected one for each in their order, or a "
        f"mapping by their numbers, from 0; {stays}"
    )
