"""
What an exception says about the endpoint.

An exception is read by its structure: attributes, headers, class names, causes. No SDK is
imported, so a client that appears tomorrow is read as well, as long as it speaks HTTP or gRPC.
Everything an exception says is translated into one language first, the HTTP status code;
`RESOURCE_EXHAUSTED`, `ThrottlingException` and `rate_limit_error` are all 429. Then one table
decides:

    429, 529, 503 with Retry-After     CONGESTION   too many calls; fewer would have worked
    408, other 5xx, no connection      TROUBLE      nobody can say whether fewer would have
    everything else                    IGNORED      the call is wrong; the endpoint is not
"""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from ..errors import Congested
from .evidence import Outcome

LONGEST_RETRY_AFTER = 3600.0
"""
Seconds; a longer Retry-After is cut to this. A daily quota may well say "tomorrow", but an endpoint
that recovers earlier, or a header that is wrong, costs one refused call an hour this way.
"""

_LATEST = 366 * 86_400.0  # seconds; whoever asks for more time than a year means no time at all
_NO_MONEY = 402  # stands for "until somebody pays", whatever the status line says
_TOO_LARGE = 413  # stands for "this one call exceeds the whole limit": waiting makes no room for it
_LOST = 599  # stands for "no answer came": the number that some proxies and Tornado use for it
# What no endpoint says: this machine has no file or socket left; a proxy or an address was set
# wrong; the next attempt meets it again.
_FULL, _MISSET, _WRONG = _LOCAL = 600, 601, 602
_TOLD = 3  # members of a group whose words are told
_LINKS = 100  # exceptions looked at in one reading, against cycles and groups without end
_HEADERS = 500  # headers, or violations of a quota, looked at
_LONGEST_TEXT = 64  # characters; no header value or code that we know is longer
_LONGEST_BODY = 65_536  # characters or bytes that are looked through for an error code


def _by_word(table: dict[int, str]) -> dict[str, int]:
    return {word: status for status, words in table.items() for word in words.split()}


_CODES = _by_word(
    {
        # What services answer with 429 although no waiting heals it. OpenAI and the many that
        # imitate it; Anthropic; Moonshot; Alibaba; Volcengine; and Zhipu's numbers.
        _NO_MONEY: """
            insufficientquota billingnotactive billinghardlimitreached insufficientbalance
            contractspendlimitreached enforcedspendlimitreached
            exceededcurrentquotaerror arrearage allocationquotafreetieronly accountoverdueerror
            1110 1111 1112 1113 1121 1304 1309 1310
        """,
        401: "unauthenticated unauthorized authenticationerror invalidapikey",
        # Too many calls, also where the status line says 400 (AWS), 403 (Google) or, in the middle
        # of a stream, 200.
        429: """
            ratelimitexceeded userratelimitexceeded ratelimiterror ratelimited toomanyrequests
            resourceexhausted throttling throttlingexception throttledexception requestthrottled
            requestthrottledexception toomanyrequestsexception requestlimitexceeded
            bandwidthlimitexceeded provisionedthroughputexceededexception priorrequestnotcomplete
            ec2throttledexception slowdown
        """,
        529: "overloaded overloadederror",
        # The endpoint's own trouble.
        500: """
            apierror servererror internal internalerror internalfailure internalservererror
            internalserverexception dataloss
        """,
        503: "unavailable serviceunavailable serviceunavailableexception",
        504: """
            deadlineexceeded timeouterror requesttimeout requesttimeoutexception
            modeltimeoutexception
        """,
    }
)
"""The error codes of services, in small letters and without punctuation."""

_NAMES = _by_word(
    {
        # Builtin, asyncio, ssl and http.client; requests and urllib3; httpx and httpcore; aiohttp;
        # OpenAI, Anthropic and their relatives; botocore; Azure; websockets; anyio.
        _LOST: """
            ConnectionError TimeoutError gaierror IncompleteReadError SSLError IncompleteRead
            BadStatusLine Timeout ChunkedEncodingError NewConnectionError ProxyError
            TimeoutException TransportError NetworkError ProtocolError
            ClientConnectionError ClientPayloadError APIConnectionError HTTPClientError
            ServiceRequestError ServiceResponseError ConnectionClosedError
            EndOfStream BrokenResourceError ClosedResourceError
        """,
        401: "AuthenticationError Unauthenticated UnauthorizedError InvalidAPIKeyError",
        # Reported as lost connections too: a certificate nobody trusts, an address without
        # http://, a key with a line break in it.
        _WRONG: """
            SSLCertVerificationError CertificateError UnsupportedProtocol LocalProtocolError
            InvalidURL
        """,
    }
)
"""What classes are called, where no status stands beside the name."""

_ERRNOS = {
    getattr(errno, name): status
    for name, status in _by_word(
        {
            _LOST: """
                ECONNABORTED ECONNREFUSED ECONNRESET EHOSTDOWN EHOSTUNREACH ENETDOWN ENETRESET
                ENETUNREACH ENOTCONN EPIPE ESHUTDOWN ETIMEDOUT
            """,
            # It passes as soon as some calls have ended: so many at a time are too many.
            _FULL: "EADDRNOTAVAIL EMFILE ENFILE ENOBUFS",
        }
    ).items()
    if hasattr(errno, name)
}

# Names of classes that speak of money, such as dspy's LMBillingError.
_BILLING = re.compile(r"billing|payment|outofcredit|insufficient(balance|credit|fund|quota)", re.I)
_EMPTY = re.compile(  # in what an answer says: what only money, or another day, fills again
    r"insufficient (balance|credit|fund)|credit balance is too low|used all available credits"
    r"|free-models-per-day|daily free allocation|too many (tokens|requests) per day"
    r"|calls ?(/|per) ?month"
    r"|(daily|weekly|monthly) (\w+ )?limit|spend(ing)? limit",
    re.IGNORECASE,
)
# OpenAI and Groq have no code for it: "Request too large for gpt-4o ... Requested 45000".
_LARGE = re.compile("request too large", re.IGNORECASE)
_NO_TLS = re.compile(  # the other side speaks no TLS, or none of ours; clients pass on the text
    r"\[SSL: (WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|UNSUPPORTED_PROTOCOL"
    r"|TLSV1_ALERT_PROTOCOL_VERSION)\]"
)
# What a proxy answers: httpx's ProxyError, the OSError of http.client.
_REFUSED = re.compile(r"(Tunnel connection failed: )?4(?!08|29)\d\d\b")
_GAVE_UP = re.compile(r"too many (\d{3}) error responses")  # urllib3, after retries of its own

_STATUSES = ("status_code", "status")
_GROUP = "BaseExceptionGroup"  # a builtin only from 3.11 on

_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What an exception says about the endpoint. Two are equal where they say the same of capacity.

    Attributes:
        outcome: CONGESTION (too many calls), TROUBLE (5xx, no answer) or IGNORED (nothing).
        retry_after: seconds that the endpoint wants to be left alone, from 0 to
            `LONGEST_RETRY_AFTER`; None where it did not say.
        again: it says nothing about the endpoint, and the next attempt may succeed all the same.
        status: the HTTP status that it states, or else the one that stands for it; None: it says
            nothing that has one.
        blocks: ACCOUNT, SETTINGS or MACHINE, where every row meets it until somebody mends that;
            else "".
        asked: `retry_after` as it was said, up to a year.
    """

    outcome: Outcome
    retry_after: float | None
    again: bool = False
    status: int | None = field(default=None, compare=False)
    blocks: str = field(default="", compare=False)
    asked: float | None = field(default=None, compare=False)


ACCOUNT = "account"  # an unknown key, no credit, a quota that is used up
MACHINE = "machine"  # no file can be opened, as long as the calls in flight hold theirs
SETTINGS = "settings"  # a proxy that refuses, TLS with a port that speaks none


def read(error: BaseException, now: float) -> Reading:
    """
    Read an exception, and the exceptions it was raised from, as a statement on the endpoint.

    The outermost exception that says anything decides. An implicit context is followed too (a
    client's error is often wrapped without `from`), unless `from None` cut it off or the
    exception is a plain mistake: a TypeError in the handler of a 429 is a bug to be seen, not a
    reason to wait. A group is as curable as the worst of its members.

    Retry-After is taken from the headers (`retry-after-ms`, `x-ms-retry-after-ms`, then
    `retry-after` as seconds or as a date), from a `retry_after` attribute, or from Google's
    `RetryInfo`. A date is compared with the answer's own Date, so that a wrong clock here does
    no harm. `x-ratelimit-reset-*` is left alone on purpose: depending on the service it is a
    duration, seconds or milliseconds since 1970 or a date, and where it is a duration, it ends
    when the quota is whole again, not when the next call is welcome.

    Args:
        error: what an attempt raised. Its attributes may be anything, or raise.
        now: Unix seconds, for a Retry-After that is a date where the answer has no date itself.

    Returns:
        The reading. Never raises.

    Source: RFC 9110, sections 10.2.3 (Retry-After) and 15 (status codes); RFC 6585, section 4
        (429).
    """
    kept = _get(error, _KEPT)
    if isinstance(kept, Reading):
        return kept
    # The guards further down keep one bad attribute from hiding the good ones. This one is for
    # what no guard foresees, such as a number that raises when it is compared.
    reading: Reading | None = _call(lambda: _read(error, now, iter(range(_LINKS))))
    return _SAYS_NOTHING if reading is None else reading


_KEPT = "_doteval_reading"


def keep(error: BaseException, reading: Reading) -> None:
    """Let `read` tell this of an error that has lost what it was read by, on its way to us."""
    object.__setattr__(error, _KEPT, reading)  # whatever its class thinks of attributes


def _read(error: BaseException, now: float, budget: Iterator[int]) -> Reading:
    chain = list(_chain(error, budget))
    if any(_of_another_loop(link, _CLOSED) for link in chain):
        return Reading(Outcome.IGNORED, None, again=True)  # a dead connection of a pool: one less
    for place, link in enumerate(chain):
        members = members_of(link)
        if members:
            return _together(members, now, budget)
        status = _status(link)
        if status is None:
            continue
        rest = chain[place:]
        # Some wrappers call it a 500 of the endpoint that none was reached.
        if status in (_LOST, 500):
            here = {_local(other) for other in rest}
            status = next((each for each in _LOCAL if each in here), status)
        # A wrapper that lost the headers still holds the answer as its cause.
        hints = (_hint(other, now) for other in rest if _status(other) == status)
        reading = _judged(status, next((hint for hint in hints if hint is not None), None))
        return replace(reading, status=next(_stated(link), status))
    return _SAYS_NOTHING


_SAYS_NOTHING = Reading(Outcome.IGNORED, None)


_BLOCKING = {401: ACCOUNT, _NO_MONEY: ACCOUNT, 407: SETTINGS, _MISSET: SETTINGS, _FULL: MACHINE}


def _judged(status: int, asked: float | None) -> Reading:
    outcome = Outcome.IGNORED
    if status in (429, 529, _FULL) or (status == 503 and asked is not None):
        outcome = Outcome.CONGESTION
    elif status == 408 or 500 <= status <= _LOST:
        outcome = Outcome.TROUBLE
    cut = None if asked is None or outcome is Outcome.IGNORED else min(asked, LONGEST_RETRY_AFTER)
    asked = None if cut is None else asked
    return Reading(outcome, cut, status=status, blocks=_BLOCKING.get(status, ""), asked=asked)


_CLOSED = re.compile("Event loop is closed")
_ELSEWHERE = re.compile("Event loop is closed|(attached|bound) to a different (event )?loop")


def is_of_another_loop(error: BaseException) -> bool:
    """Whether it was raised because something was made on another event loop than it is used on."""
    chain = _chain(error, iter(range(_LINKS)))
    return bool(_call(lambda: any(_of_another_loop(link, _ELSEWHERE) for link in chain)))


def _of_another_loop(link: Exception, said: re.Pattern[str]) -> bool:
    """As asyncio says it; a client wraps that in an error of its own."""
    return type(link) is RuntimeError and said.search(str(_first(link.args))) is not None


def speaker(error: BaseException) -> BaseException:
    """
    The exception that tells what happened: the cause, where a library that retries gives up with
    an error of its own; the only member of a group; else the error itself.
    """
    for _ in range(_LINKS):
        alone = members_of(error)
        if _get(error, "last_attempt") is not None:  # tenacity's text is the address of a Future
            alone = (_get(error, "__cause__"),)
        if len(alone) != 1 or not isinstance(alone[0], BaseException):
            break
        error = alone[0]
    return error


def beneath(error: BaseException) -> list[BaseException]:
    """
    What an error only points to: the members of a group, as far as they can be told; or what a
    connection was lost by, of which most clients say no more than "Connection error."
    """
    chain = list(_chain(error, iter(range(_LINKS))))
    if any(_LOST in _kinds(link) for link in chain):
        return [*chain[-1:]]
    return [*members_of(error)[:_TOLD]]


# ----------------------------------------------------------------- from link to link


def _chain(error: BaseException, budget: Iterator[int]) -> Iterator[Exception]:
    """The exception and those it came from, outermost first, each once."""
    seen: set[int] = set()
    link: Any = error
    # KeyboardInterrupt, SystemExit and CancelledError speak of us, whatever they came from.
    while isinstance(link, Exception) and id(link) not in seen:
        if seen and next(budget, None) is None:
            return
        seen.add(id(link))
        yield link
        cause = _get(link, "__cause__")
        if cause is None and not _get(link, "__suppress_context__"):
            cause = None if isinstance(link, _MISTAKES) else _get(link, "__context__")
        link = cause


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """The members of an exception group, () for anything else."""
    members = _get(error, "exceptions") if _GROUP in _names(error) else None
    if not isinstance(members, (tuple, list)):
        return ()
    return tuple(member for member in members if isinstance(member, BaseException))


def _together(members: Iterable[BaseException], now: float, budget: Iterator[int]) -> Reading:
    """One reading for a group: IGNORED if any member is, else CONGESTION if any member is."""
    readings = []
    for member in members:
        if next(budget, None) is None:
            break
        readings.append(_read(member, now, budget))
    for worst in (Outcome.IGNORED, Outcome.CONGESTION, Outcome.TROUBLE):
        alike = [reading for reading in readings if reading.outcome is worst]
        if alike and worst is Outcome.IGNORED:
            return next((each for each in alike if each.blocks), alike[0])
        if alike:
            longest = max(readings, key=lambda each: each.asked or -1.0)
            return replace(alike[0], retry_after=longest.retry_after, asked=longest.asked)
    return _SAYS_NOTHING


def _local(link: Exception) -> int | None:
    """Why no endpoint was reached, where that lies on this side: one of `_LOCAL`."""
    names = _names(link)
    for said in _texts(link):
        if _NO_TLS.search(said) or (names & {"ProxyError", "OSError"} and _REFUSED.match(said)):
            return _MISSET
    if isinstance(_get(link, "__cause__"), (*_MISTAKES, UnicodeError)):
        return _WRONG
    return next((each for each in (_WRONG, _FULL) if each in _kinds(link)), None)


def _kinds(link: Exception) -> set[int]:
    """What the names of its classes stand for, and its errno."""
    kinds = {_NAMES[name] for name in _names(link) if name in _NAMES}
    if isinstance(link, OSError) and (number := _get(link, "errno")) in _ERRNOS:
        kinds.add(_ERRNOS[number])
    return kinds


# ------------------------------------------------------------------ what a link says


def _status(link: Exception) -> int | None:
    """The HTTP status that stands for what this exception says by itself; None: nothing."""
    if isinstance(link, Congested):
        return 429
    if _BILLING.search(type(link).__name__):
        return _NO_MONEY
    said = [*_stated(link)]
    for telling in (_NO_MONEY, _TOO_LARGE, 429, 529):  # what one statement settles
        if telling in said:
            return telling
    if said:
        return said[0]
    kinds = _kinds(link)
    for status in (_LOST, 401, _FULL):
        if status in kinds:
            return status
    if "ResponseError" in _names(link):
        gave_up = _GAVE_UP.search("".join(_texts(link)))
        return int(gave_up[1]) if gave_up else None
    return None


def _stated(link: Exception) -> Iterator[int]:
    """The statuses of errors that it states, the first as the endpoint said it."""
    for status in map(_meaning, _statements(link)):
        if status is not None and status >= 400:
            yield status


def _statements(link: Exception) -> Iterator[Any]:
    """Everything in which an exception may carry a status or an error code, statuses first."""
    response = _get(link, "response")
    statuses = [_get(thing, name) for thing in (link, response) for name in _STATUSES]
    # aiohttp has a status and, as a property that warns, the same as `code`.
    computed = isinstance(getattr(type(link), "code", None), property)
    if not (computed and any(map(_meaning, statuses))):
        code = _get(link, "code")
        statuses.append(_call(code) if callable(code) else code)  # gRPC: code() is a method
    statuses.append(_item(_item(response, "ResponseMetadata"), "HTTPStatusCode"))  # botocore
    yield from statuses
    yield _get(link, "type")
    yield _get(link, "error_code")
    # Words that resemble a code or a body tell only beside an error's status: models say them too.
    is_error = any((_meaning(each) or 0) >= 400 for each in statuses)
    texts = [*_texts(link)] if is_error else []
    for error in (*_errors(link), *(_error_in(_parsed(text)) for text in texts)):
        for name in ("code", "Code", "type", "status"):
            yield _item(error, name)
        yield _item(_item(error, "details"), "error_code")
        messages = (error, *(_item(error, name) for name in ("message", "Message")))
        texts += [each[:_LONGEST_BODY] for each in messages if isinstance(each, str)]
    yield _NO_MONEY if _is_of_a_day(link) else None
    for text in texts:
        yield _NO_MONEY if _EMPTY.search(text) else _TOO_LARGE if _LARGE.match(text) else None


def _errors(link: Exception) -> Iterator[Any]:
    """The error objects in the answer's body, as far as the client has them at hand."""
    response, notes = _get(link, "response"), _get(link, "__notes__")
    for body in (
        *(_get(link, name) for name in ("body", "details", "error")),
        _content(response),
        response if isinstance(response, dict) else None,  # botocore
        *(notes[:_LINKS] if isinstance(notes, list) else ()),
    ):
        yield _error_in(_parsed(body) if isinstance(body, (str, bytes)) else body)


def _error_in(body: Any) -> Any:
    body = _first(body) if isinstance(body, list) else body
    return next((each for each in (_item(body, "error"), _item(body, "Error")) if each), body)


def _is_of_a_day(link: Exception) -> bool:
    """Whether Google says that it is about a quota of a whole day."""
    for detail in _details(link, "QuotaFailure"):
        for violation in _some(_item(detail, "violations") or _get(detail, "violations")):
            if "PerDay" in str(_item(violation, "quotaId") or _get(violation, "quota_id")):
                return True
    return False


def _details(link: Exception, kind: str) -> Iterator[Any]:
    """Google's details of an error that are of this kind: of JSON, or messages of protobuf."""
    for details in (_get(link, "details"), *(_item(each, "details") for each in _errors(link))):
        for detail in details if isinstance(details, list) else ():
            name = _text(_item(detail, "@type")) or f"google.rpc.{type(detail).__name__}"
            if name.endswith(f"google.rpc.{kind}"):
                yield detail


def _content(response: Any) -> Any:
    """
    The body of an answer that has been read already, by httpx or requests.

    Their public attributes would start to read a stream, on the event loop's thread.
    """
    content = _get(response, "_content")
    return content if isinstance(content, bytes) else None


def _parsed(body: str | bytes) -> Any:
    """The first JSON object of a text; clients put the answer behind words of their own."""
    if len(body) > _LONGEST_BODY:
        return None
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        return json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except (ValueError, RecursionError):
        return None  # a page in HTML, or half a body: it has no code to offer


def _meaning(value: Any) -> int | None:
    """The status that a number, a text or an enum's member stands for; None: not known."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if 100 <= value <= 599 else _CODES.get(str(value))
    text = _text(value) or _text(_get(value, "name"))
    if re.fullmatch(r"[1-5][0-9][0-9]", text):
        return int(text)
    return _CODES.get(re.sub(r"[^a-z0-9]", "", text.lower()))


# ----------------------------------------------------------------------- retry-after


def _hint(link: Exception, now: float) -> float | None:
    """Seconds until the endpoint wants to be called again, None where it does not say."""
    response = _get(link, "response")
    for headers in (
        _get(link, "headers"),
        _get(response, "headers"),
        _item(_item(response, "ResponseMetadata"), "HTTPHeaders"),
    ):
        hint = _from_headers(headers, now)
        if hint is not None:
            return hint
    hint = _seconds(_get(link, "retry_after"))
    return _from_google(link) if hint is None else hint


def _from_headers(headers: Any, now: float) -> float | None:
    told = _headers(headers)
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        hint = _seconds(told.get(name), 1000.0)
        if hint is not None:
            return hint
    text = told.get("retry-after", "")
    hint = _seconds(text)
    if hint is not None:
        return hint
    due, answered = _date(text), _date(told.get("date", ""))
    if due is None:
        return None
    return _seconds(max(0.0, due - (now if answered is None else answered)))


def _from_google(link: Exception) -> float | None:
    """The delay of a google.rpc.RetryInfo: a protobuf duration, or such a text as "34.5s"."""
    for detail in _details(link, "RetryInfo"):
        text = _text(_item(detail, "retryDelay")).removesuffix("s")
        return _seconds(text or _get(_get(detail, "retry_delay"), "seconds"))
    return None


def _headers(headers: Any) -> dict[str, str]:
    """The headers of interest, by lower-case name; of several with one name the first counts."""
    items = _get(headers, "items")
    pairs = _call(items) if callable(items) else headers
    told: dict[str, str] = {}
    for pair in _some(pairs):
        if isinstance(pair, (tuple, list)) and len(pair) == 2:
            told.setdefault(_text(pair[0]).lower(), _text(_first(pair[1])))
    return told


def _seconds(value: Any, unit: float = 1.0) -> float | None:
    """A number, or a text with one, as seconds of a year at most; None where it makes no sense."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not 0 <= value < math.inf:  # NaN is neither
        return None
    return min(value, _LATEST * unit) / unit


def _date(text: str) -> float | None:
    """An HTTP date, in any of its three forms, as Unix seconds."""
    if not text:
        return None
    # Here and not above: email.utils pulls in 25 ms of imports, for a form that is rare.
    from email.utils import mktime_tz, parsedate_tz

    fields = parsedate_tz(text)
    try:
        return None if fields is None else float(mktime_tz(fields))
    except (ValueError, OverflowError):  # the 99th of November
        return None


# ------------------------------------------------- looking at things that may be hostile


def _get(thing: Any, name: str) -> Any:
    """An attribute, None if there is none or if reading it fails."""
    return _call(lambda: getattr(thing, name, None))


def _item(thing: Any, key: str) -> Any:
    """What a mapping holds for a key, None if it is no mapping or does not hold it."""
    return _call(lambda: thing[key])


def _call(function: Callable[[], Any]) -> Any:
    """
    What foreign code returns, None if it fails.

    A property of an exception can raise anything, SystemExit included, and that would take the
    place of the error that is being read. Only the user's own Ctrl-C passes.
    """
    try:
        return function()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None


def _some(values: Any) -> list[Any]:
    """The first of what can be iterated over; nothing of what can not."""
    return _call(lambda: list(islice(values, _HEADERS))) or []


def _first(value: Any) -> Any:
    """The first of several values, for headers and bodies that come as lists."""
    return (value[0] if value else None) if isinstance(value, (list, tuple)) else value


def _text(value: Any) -> str:
    """A short text as it is, bytes decoded, "" for anything else."""
    if isinstance(value, bytes):
        value = value[: _LONGEST_TEXT + 1].decode("latin-1")
    return value.strip() if isinstance(value, str) and len(value) <= _LONGEST_TEXT else ""


def _texts(link: Exception) -> Iterator[str]:
    """What was said when it was made."""
    for argument in _get(link, "args") or ():
        if isinstance(argument, str):
            yield argument[:_LONGEST_BODY]


def _names(link: BaseException) -> set[str]:
    """The names of the exception's class and of all its parents."""
    return {kind.__name__ for kind in type(link).__mro__}
