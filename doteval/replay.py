"""
Calls that rows ask to be kept, and that are served from what was kept: `replayable`.

    ask(…) ─▶ digest of what is asked ─▶ known? ─yes▶ the response that was kept
                                           └─no─▶ the function ─▶ Log of the attempt ─▶ the store

A call is known by the function's name, the scope and the arguments, by the repeat of the row, and
by how many such calls its attempt has made before: repeats are not served one answer, and an
agent's third call is not its first.
"""

from __future__ import annotations

import inspect
import json
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial, wraps
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from .cassette import kept, nearest, packed, unpacked
from .concurrency.notes import ATTEMPT, Noted
from .errors import DatasetError, Missed, UsageError
from .keys import digest_of
from .record import Call
from .text import safe

if TYPE_CHECKING:
    from concurrent.futures import Future

Function = TypeVar("Function", bound=Callable[..., Any])
LIVE, REUSE, REPLAY = MODES = ("live", "reuse", "replay")
_ADVICE = "wrap a function that takes plain values and makes of them what it needs"
_LATE = 2_000  # calls among which the nearest one to a miss is looked for
_LOCK = threading.Lock()  # threads of one row may call at once


class Served(NamedTuple):
    """When a call was made whose response was served, Unix seconds, and how long it took."""

    started: float
    duration: float


class Log:
    """
    The calls of one attempt.

    Attributes:
        kept: calls that were made, and are to be stored; without key and repeat of their row.
        served: those that were answered with what was kept.
        looked: seconds that serving them took.
        made: how many were made.
        problem: why a response could not be kept; "" for nothing.
        numbers: which are taken, of each digest.
    """

    def __init__(self) -> None:
        self.kept: list[Call] = []
        self.served: list[Served] = []
        self.looked = 0.0
        self.made = 0
        self.problem = ""
        self.numbers: dict[bytes, set[int]] = {}

    def number(self, digest: bytes) -> int:
        """
        How many such calls came before this one: the first number that is free, as is that of a
        call that raised, or whose response is not kept. So a function that tries again asks for the
        same, whenever it is run.
        """
        with _LOCK:
            taken = self.numbers.setdefault(digest, set())
            number = next(each for each in range(len(taken) + 1) if each not in taken)
            taken.add(number)
        return number

    def spared(self) -> float:
        """
        Seconds that the calls took which were served, where they overlapped once, less those that
        serving them took.
        """
        total = until = 0.0
        for started, duration in sorted(self.served):
            total += max(0.0, started + duration - max(started, until))
            until = max(until, started + duration)
        return total - self.looked


def log_of(noted: Noted) -> Log:
    """The log of an attempt, which begins with its first call."""
    log: Log = noted.__dict__.setdefault("calls", Log())
    return log


class Shelf:
    """
    Where the rows of a run look for what was kept.

    Args:
        mode: "reuse" or "replay".
        store: has `known_call` and `late_requests`.
        look: calls them where the store's connection lives, and returns a future.
        experiment: the only one whose calls are served; None: all of the store.

    Attributes:
        strict: whether a call that is not there raises.
        where: is looked, for a sentence.
        coming: calls of this run that are not durable yet, by what they are known by.

    Raises:
        UsageError: the store keeps no calls.
        NotFound: there is no such experiment.
    """

    def __init__(
        self, mode: str, store: Any, look: Callable[..., Future[Any]], experiment: str | None
    ) -> None:
        if not store.keeps_calls:
            raise UsageError(f"calls={mode!r}: {store} keeps no calls")
        if experiment is not None:
            store.evaluations(experiment)  # it must exist
        self._store, self._look, self._experiment = store, look, experiment
        self.strict = mode == REPLAY
        self.coming: dict[tuple[bytes, int, int, bytes], Call] = {}
        self.where = "the store" if experiment is None else f"experiment {experiment!r}"

    def find(self, digest: bytes, repeat: int, number: int, key: bytes) -> Future[Call | None]:
        """The call that is known of what is asked; None: there is none."""
        return self._look(self._find, (digest, repeat, number, key))

    def _find(self, of: tuple[bytes, int, int, bytes]) -> Call | None:
        found: Call | None = self._store.known_call(*of, self._experiment)
        return self.coming.get(of, found)  # of an attempt before, if there was one just now

    def late(self) -> Future[Sequence[tuple[bytes, str]]]:
        """The latest calls: the key of the row, and the request."""
        return self._look(self._store.late_requests, _LATE, self._experiment)

    def serve(self, key: bytes, repeat: int, call: Callable[..., Any], /, **row: Any) -> Any:
        """Make one attempt at a row; its calls are looked for here."""
        _SERVICE.set(_Service(self, key, repeat))
        return call(**row)


class _Service(NamedTuple):
    shelf: Shelf
    key: bytes
    repeat: int


_SERVICE: ContextVar[_Service | None] = ContextVar("doteval_calls", default=None)


def replayable(
    function: Function,
    scope: str = "",
    keep: Callable[[Any], object] | None = None,
    dump: Callable[[Any], Any] | None = None,
    load: Callable[[Any], Any] | None = None,
) -> Function:
    """
    A function whose calls are kept with the record of the row that makes them.

        ask = replayable(client.chat.completions.create)

    What is known is served with `run(calls="reuse")`; with `calls="replay"` whatever is not known
    raises, so that nothing is paid. By default every call is made, and kept. Outside of a row it is
    the function alone. What raises is never kept.

    Args:
        function: plain or asynchronous, such as a client's method. A call is known by its name and
            arguments, by the repeat of the row, and by how many such calls came before in the row.
        scope: tells apart what name and arguments do not: the endpoint, a version of the model.
        keep: takes a response, and tells whether to keep it; None: every one is kept.
        dump: makes of a response what JSON can hold. None: responses are made of plain values,
            lists, tuples, mappings and bytes, or are models such as pydantic's, as those of most
            clients are. What can not be kept is told, and returned all the same.
        load: makes a response of what `dump` has made; both are given, or neither.

    Raises:
        UsageError: it is no function, or one that yields its response piece by piece: wrap one that
            gathers it.
    """
    asked = _Asked(function, scope, keep, dump, load)

    @wraps(function)
    def ask(*arguments: Any, **named: Any) -> Any:
        asking = asked.begin(arguments, named)
        if asking is None:
            return function(*arguments, **named)
        if asking.service is not None:
            found = asking.looked_up().result()
            if found is not None:
                return asking.serve(found)
            if asking.service.shelf.strict:
                raise asking.missed(asking.service.shelf.late().result())
        try:
            response = function(*arguments, **named)
        except BaseException:
            asking.release()
            raise
        if hasattr(type(response), "__await__"):
            return asking.awaited(response)
        return asking.made(response)

    @wraps(function)
    async def ask_later(*arguments: Any, **named: Any) -> Any:
        from asyncio import wrap_future

        asking = asked.begin(arguments, named)
        if asking is None:
            return await function(*arguments, **named)
        if asking.service is not None:
            found = await wrap_future(asking.looked_up())
            if found is not None:
                return asking.response(found)
            if asking.service.shelf.strict:
                raise asking.missed(await wrap_future(asking.service.shelf.late()))
        return await asking.awaited(function(*arguments, **named))

    return cast(Function, ask_later if asked.is_async else ask)


class _Asked:
    """
    A function whose calls are kept.

    Attributes:
        is_async: whether it is known to return an awaitable.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        scope: str,
        keep: Callable[[Any], object] | None,
        dump: Callable[[Any], Any] | None,
        load: Callable[[Any], Any] | None,
    ) -> None:
        if not callable(function):
            raise UsageError(f"replayable({safe(repr(function), 80)}): expected a function")
        if (dump is None) != (load is None):
            raise UsageError("replayable(dump=..., load=...): give both, or neither")
        if not isinstance(scope, str):
            raise UsageError(f"replayable(scope={safe(repr(scope), 80)}): expected a text")
        self.scope, self.keep, self.dump, self.load = scope, keep, dump, load
        self._given: tuple[Any, ...] = ()
        self._named: dict[str, Any] = {}
        while isinstance(function, partial):
            self._given = (*function.args, *self._given)
            self._named = {**function.keywords, **self._named}
            function = function.func
        inner = inspect.unwrap(function)
        if not inspect.isroutine(inner) and not isinstance(inner, type):
            inner = type(inner).__call__  # an object that is called
        if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
            raise UsageError(
                f"replayable(): {_name(function)}() yields its response piece by piece, which can "
                "not be kept; wrap a function that gathers the pieces and returns them"
            )
        self.is_async = inspect.iscoroutinefunction(inner)
        self.name = _name(function)
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # one in C may have none
            self._signature = None

    def begin(self, given: tuple[Any, ...], named: dict[str, Any]) -> _Asking | None:
        """
        What is asked, in a row; None: this is no row.

        Raises:
            UsageError: an argument has no form that is the same in another process.
        """
        noted = ATTEMPT.get()
        if noted is None:
            return None
        return _Asking(self, self._by_name(given, named), log_of(noted))

    def _by_name(self, given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, however they were passed."""
        given, named = (*self._given, *given), {**self._named, **named}
        try:
            if self._signature is None:
                raise TypeError
            arguments = self._signature.bind(*given, **named).arguments
        except TypeError:  # which the function will tell
            return {**{str(at): value for at, value in enumerate(given)}, **named}
        for name, parameter in self._signature.parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD and name in arguments:
                arguments.update(arguments.pop(name))
        # OpenAI's and Anthropic's clients take these for arguments that are left out.
        return {
            name: value
            for name, value in arguments.items()
            if type(value).__name__ not in ("NotGiven", "Omit")
        }


class _Asking:
    """One call of a row."""

    def __init__(self, asked: _Asked, arguments: dict[str, Any], log: Log) -> None:
        from .storage.encoding import dump  # loaded by whoever runs, and by nobody else

        self._asked, self._log = asked, log
        try:
            digests = {
                name: digest_of((arguments[name],), (name,), _ADVICE, whole=f"{asked.name}()").hex()
                for name in sorted(arguments)
            }
        except DatasetError as error:
            raise UsageError(str(error)) from None
        # As it is now: the function, or the row, may change what was passed.
        self._told = dump(
            {
                "function": asked.name,
                "scope": asked.scope,
                "arguments": arguments,
                "digests": digests,
            }
        )
        known = ascii((asked.name, asked.scope, list(digests.items())))
        self._digest = blake2b(known.encode(), digest_size=16).digest()
        self._number = log.number(self._digest)
        self.service = _SERVICE.get()
        self._started, self._clock = time.time(), time.perf_counter()

    # ------------------------------------------------------------------- serving

    def looked_up(self) -> Future[Call | None]:
        """What is known of it."""
        assert self.service is not None
        shelf, key, repeat = self.service
        return shelf.find(self._digest, repeat, self._number, key)

    def serve(self, found: Call) -> Any:
        """The response that was kept; of a plain function that returned an awaitable, likewise."""
        response = self.response(found)
        return _ready(response) if json.loads(found.request).get("awaited") else response

    def response(self, found: Call) -> Any:
        """
        The response that was kept.

        Raises:
            Missed: it can not be made again; says what is needed.
        """
        plain = unpacked(json.loads(found.response))
        response = plain if self._asked.load is None else self._asked.load(plain)
        self._log.served.append(Served(found.started, found.duration))
        self._log.looked += time.perf_counter() - self._clock
        return response

    def missed(self, late: Sequence[tuple[bytes, str]]) -> Missed:
        """What to raise: nothing is known of it, and what the nearest known call differs in."""
        assert self.service is not None
        shelf, key, repeat = self.service
        name = self._asked.name
        head = f'calls="replay": this call of {name}() is not kept in {shelf.where}'
        found = nearest(self._told, key, late)
        if found is None:
            return Missed(f"{head}, and no other of it; run once without calls= to keep them")
        if found:
            return Missed(f"{head}; the nearest one that is differs in {'; '.join(found)}")
        return Missed(
            f"{head} for repeat {repeat} of a row as the call number {self._number + 1} of its "
            "kind, though the same was asked elsewhere"
        )

    # -------------------------------------------------------------------- keeping

    def made(self, response: Any, awaited: bool = False) -> Any:
        """Keep what the function has returned, if it can be; and return it, for it was paid for."""
        duration = time.perf_counter() - self._clock
        asked, log = self._asked, self._log
        log.made += 1
        if asked.keep is not None and not asked.keep(response):
            self.release()
            return response
        try:
            if asked.dump is None:
                text = kept(response)
            else:
                text = json.dumps(packed(asked.dump(response), asked.name))
        except Exception as error:  # a client's own object may do whatever it likes
            self.release()
            log.problem = (
                f"responses of {asked.name}() are not kept: {error}; "
                "pass dump= and load= to replayable(), or wrap a function that returns plain data"
            )
            return response
        told = f'{self._told[:-1]}, "awaited": true}}' if awaited else self._told
        log.kept.append(
            Call(b"", 0, self._digest, self._number, self._started, duration, told, text)
        )
        return response

    async def awaited(self, response: Any) -> Any:
        """As `made`, of what is still to come."""
        try:
            come = await response
        except BaseException:
            self.release()
            raise
        return self.made(come, not self._asked.is_async)

    def release(self) -> None:
        """Nothing is kept of this call: the next one of its kind has its number."""
        self._log.numbers[self._digest].discard(self._number)


async def _ready(response: Any) -> Any:
    return response


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))
