"""Reading exceptions, and the policy for the attempts after a failed one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import enum
import errno
import http.client
import http.server
import json
import random
import socket
import ssl
import sys
import threading
import urllib.error
import urllib.request
from http import HTTPStatus
from types import SimpleNamespace

import pytest

from doteval.concurrency.evidence import Outcome
from doteval.concurrency.reading import (
    ACCOUNT,
    LONGEST_RETRY_AFTER,
    MACHINE,
    SETTINGS,
    Reading,
    read,
    speaker,
)
from doteval.concurrency.retry import Retry, as_policy
from doteval.errors import Congested, RowError, StoreError
from doteval.outcomes import failure_of

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
NOTHING = Reading(Outcome.IGNORED, None)
CONGESTION, TROUBLE, IGNORED = Outcome.CONGESTION, Outcome.TROUBLE, Outcome.IGNORED


class Says(Exception):
    """An exception of a client nobody has heard of, with whatever attributes it likes."""

    def __init__(self, **attributes):
        super().__init__("said")
        for name, value in attributes.items():
            setattr(self, name, value)


def said(text, **attributes):
    """One that holds what the endpoint answered in its own text only."""
    error = Says(**attributes)
    error.args = (text,)
    return error


def response(status_code=None, headers=None, body=None):
    """An answer as requests and httpx hold one whose body has been read."""
    content = json.dumps(body).encode() if body is not None else b"<html>"
    return SimpleNamespace(status_code=status_code, headers=headers or {}, _content=content)


def raised(outer, cause=None, context=None, suppress=False):
    """The exception as it arrives after `raise outer from cause` in the handler of `context`."""
    outer.__context__ = context if context is not None else cause
    if cause is not None or suppress:
        outer.__cause__ = cause
    return outer


def named(name, *parents):
    """An exception of a class with this name, as only some client defines it."""
    return type(name, parents or (Exception,), {})("said")


def proxy(answer):
    """What httpx raises where a proxy refuses."""
    return type("ProxyError", (type("TransportError", (Exception,), {}),), {})(answer)


def plain_port(reason):
    """What the ssl module raises where the other side speaks no TLS, or another one."""
    return ssl.SSLError(1, f"[SSL: {reason}] {reason.lower().replace('_', ' ')} (_ssl.c:1006)")


def outcome(error):
    return read(error, NOW).outcome


def hint(error):
    return read(error, NOW).retry_after


# -------------------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, IGNORED),
        (302, IGNORED),
        (400, IGNORED),
        (401, IGNORED),
        (402, IGNORED),
        (403, IGNORED),
        (404, IGNORED),
        (408, TROUBLE),
        (409, IGNORED),
        (413, IGNORED),
        (422, IGNORED),
        (429, CONGESTION),
        (500, TROUBLE),
        (502, TROUBLE),
        (503, TROUBLE),
        (504, TROUBLE),
        (520, TROUBLE),
        (529, CONGESTION),
        (599, TROUBLE),
    ],
)
def test_a_status_tells_what_happened(status, expected):
    """Too many calls, the endpoint's own trouble, or a call that is wrong."""
    assert outcome(Says(status_code=status)) is expected


@pytest.mark.parametrize(
    "error",
    [
        Says(status_code=429),
        Says(status=429),
        Says(code=429),
        Says(code=HTTPStatus.TOO_MANY_REQUESTS),
        Says(response=response(429)),
        Says(response=SimpleNamespace(status=429)),
        Says(response={"ResponseMetadata": {"HTTPStatusCode": 429}}),
        Says(status="429"),
        Says(code="429"),
        Says(status="RESOURCE_EXHAUSTED", code=429),
    ],
)
def test_a_status_is_found_wherever_clients_keep_it(error):
    """On the exception, on its answer, as a number or as a text of three digits."""
    assert outcome(error) is CONGESTION


@pytest.mark.parametrize(
    "error",
    [
        Says(code=True),
        Says(code=1006),  # a WebSocket's
        Says(code=42),
        Says(code=-429),
        Says(code=429.0),
        Says(code="42901"),  # PostgreSQL's states have five characters
        Says(code="4 29"),
        Says(code="no such word"),
        Says(status="failed"),
        Says(status_code=None),
        Says(code="9" * 100_000),
        Says(response="429"),
        Says(errno=429),
        Says(exceptions=[TimeoutError()]),
        ValueError("429 Too Many Requests"),
        OSError(errno.ENOENT, "no such file"),
        OSError("no number"),
        PermissionError(),
        BlockingIOError(),
        StoreError("disk full"),
        RowError("row 3"),
        SystemExit(429),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        StopIteration(429),
    ],
)
def test_what_only_resembles_a_status_says_nothing(error):
    """Exit codes, numbers of other protocols and texts about statuses are no statuses."""
    assert read(error, NOW) == NOTHING


def test_a_computed_code_is_left_alone_where_the_status_is_known():
    """aiohttp warns whoever looks at its `code`, and has `status`."""
    looks = []

    class Deprecated(Exception):
        status = 429

        @property
        def code(self):
            looks.append("looked")
            return 429

    class Computed(Deprecated):
        status = None

    assert outcome(Deprecated()) is CONGESTION
    assert looks == []
    assert outcome(Computed()) is CONGESTION
    assert looks


def test_a_503_with_retry_after_is_congestion():
    """A server that knows when it will be back is busy; one that does not is in trouble."""
    assert read(Says(status_code=503, headers={"Retry-After": "7"}), NOW) == Reading(
        CONGESTION, 7.0
    )


def test_trouble_may_name_a_time_too():
    """Other 5xx keep their Retry-After."""
    assert read(Says(status_code=500, headers={"Retry-After": "7"}), NOW) == Reading(TROUBLE, 7.0)


def test_an_ignored_error_names_no_time():
    """A 404 with a Retry-After is still a 404."""
    assert read(Says(status_code=404, headers={"Retry-After": "7"}), NOW) == NOTHING


def test_our_own_signal_is_congestion():
    """`raise doteval.congested(...)` is for clients that swallow the answer."""
    assert read(Congested(), NOW) == Reading(CONGESTION, None)
    assert read(Congested(2.5), NOW) == Reading(CONGESTION, 2.5)


# ------------------------------------------------------------------------ error codes


@pytest.mark.parametrize(
    "code",
    [
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "SlowDown",
        "RequestThrottled",
    ],
)
def test_aws_throttles_under_other_statuses(code):
    """botocore's Error.Code decides, whatever the status says."""
    error = Says(
        response={
            "Error": {"Code": code, "Message": "Rate exceeded"},
            "ResponseMetadata": {"HTTPStatusCode": 400, "HTTPHeaders": {"retry-after": "3"}},
        }
    )

    assert read(error, NOW) == Reading(CONGESTION, 3.0)


def test_other_aws_codes_leave_the_status_alone():
    """A ValidationException is a 400."""
    metadata = {"HTTPStatusCode": 400}
    error = Says(response={"Error": {"Code": "ValidationException"}, "ResponseMetadata": metadata})

    assert outcome(error) is IGNORED


class GrpcCode(enum.Enum):
    """As grpc.StatusCode is made."""

    RESOURCE_EXHAUSTED = (8, "resource exhausted")
    UNAVAILABLE = (14, "unavailable")
    DEADLINE_EXCEEDED = (4, "deadline exceeded")
    INTERNAL = (13, "internal")
    INVALID_ARGUMENT = (3, "invalid argument")
    UNKNOWN = (2, "unknown")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (GrpcCode.RESOURCE_EXHAUSTED, CONGESTION),
        (GrpcCode.UNAVAILABLE, TROUBLE),
        (GrpcCode.DEADLINE_EXCEEDED, TROUBLE),
        (GrpcCode.INTERNAL, TROUBLE),
        (GrpcCode.INVALID_ARGUMENT, IGNORED),
        (GrpcCode.UNKNOWN, IGNORED),
    ],
)
def test_a_grpc_code_is_read_by_its_name(code, expected):
    """`code()` is a method there; some libraries keep the member itself."""
    assert outcome(Says(code=lambda: code)) is expected
    assert outcome(Says(status=code)) is expected


@pytest.mark.parametrize(
    "error",
    [
        Says(status_code=429, code="insufficient_quota", body={"code": "insufficient_quota"}),
        Says(status_code=429, type="insufficient_quota"),
        Says(status_code=429, body={"error": {"type": "exceeded_current_quota_error"}}),
        Says(status_code=429, error_code="enforced_spend_limit_reached"),
        Says(
            status_code=429,
            body={
                "error": {
                    "type": "rate_limit_error",
                    "details": {"error_code": "contract_spend_limit_reached"},
                }
            },
        ),
        Says(response=response(429, body={"error": {"code": "insufficient_quota"}})),
        Says(status_code=429, body='{"error": {"code": "billing_not_active"}}'),
        Says(status_code=429, body={"error": {"code": "1113", "message": "Please recharge."}}),
        Says(status_code=429, body={"error": {"code": 1113}}),
        Says(status_code=429, body={"error": {"message": "Insufficient balance, top up first"}}),
        Says(status_code=403, code="AccountOverdueError"),
        Says(status_code=403, code="AllocationQuota.FreeTierOnly"),
        Says(status_code=429, error={"code": "insufficient_quota"}),
        Says(status_code=429, body={"error": {"code": "1310", "message": "exhausted"}}),
        Says(status_code=400, body={"error": {"message": "Your credit balance is too low to ..."}}),
        Says(status_code=429, body={"error": "you have reached your weekly usage limit"}),
        said('Provider - {"error": {"code": "insufficient_quota"}}. Handle it.', status_code=429),
        said("Suspended: the monthly spending limit was reached", status_code=412),
        Says(
            response={
                "Error": {"Code": "ThrottlingException", "Message": "Too many tokens per day"}
            }
        ),
        raised(named("LMBillingError", type("LMRateLimitError", (Exception,), {}))),
        raised(named("LMBillingError"), Says(status_code=429)),
        raised(named("OutOfCreditsError"), Says(status_code=429)),
    ],
)
def test_a_429_about_money_is_no_congestion(error):
    """No waiting heals an empty account: the row fails at once, with the endpoint's words."""
    assert read(error, NOW) == NOTHING


@pytest.mark.parametrize(
    "body",
    [
        {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "message": "You exceeded your current quota, please check your plan and billing.",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [
                        {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}
                    ],
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31s"},
            ],
        },
        {"code": 429, "message": "Rate limit exceeded: free-models-per-day. Add 10 credits"},
        {"message": "You are using a Trial key, which is limited to 1000 API calls / month."},
        {"message": "you have used up your daily free allocation of 10,000 neurons"},
    ],
)
def test_a_quota_of_a_day_or_a_month_is_no_congestion(body):
    """It ends at midnight or with the month: no patience of a run is that long."""
    assert read(Says(code=429, details={"error": body}), NOW) == NOTHING
    assert read(Says(response=response(429, body={"error": body})), NOW) == NOTHING


def test_a_quota_of_a_minute_is_congestion_although_its_message_speaks_of_billing():
    """Gemini says the same sentence for a minute's quota as for a day's."""
    violations = [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31s"},
    ]
    error = {
        "message": "You exceeded your current quota, please check billing.",
        "details": details,
    }

    assert read(Says(code=429, details={"error": error}), NOW) == Reading(CONGESTION, 31.0)


def test_messages_of_protobuf_are_read_as_their_json():
    """google.api_core keeps the details of an error as they came by gRPC."""

    class RetryInfo:
        retry_delay = SimpleNamespace(seconds=26)

    class QuotaFailure:
        violations = (SimpleNamespace(quota_id="GenerateRequestsPerDayPerProject"),)

    assert read(Says(code=429, details=[RetryInfo()]), NOW) == Reading(CONGESTION, 26.0)
    assert read(Says(code=429, details=[RetryInfo(), QuotaFailure()]), NOW) == NOTHING


@pytest.mark.parametrize("status", [429, 413])
def test_a_call_that_exceeds_the_whole_limit_is_no_congestion(status):
    """OpenAI says 429 and Groq 413, both with the code of a rate limit; only the text tells."""
    large = {"code": "rate_limit_exceeded", "message": "Request too large for m: Limit 1, ..."}
    usual = {"code": "rate_limit_exceeded", "message": "Rate limit reached for m: Limit 9, ..."}

    assert read(Says(status_code=status, body=large), NOW) == NOTHING
    assert outcome(Says(status_code=429, body=usual)) is CONGESTION


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Says(status_code=200, body={"error": {"type": "overloaded_error"}}), CONGESTION),
        (Says(status_code=200, body={"error": {"type": "rate_limit_error"}}), CONGESTION),
        (Says(status_code=200, body={"error": {"type": "api_error"}}), TROUBLE),
        (Says(status_code=200, body={"error": {"type": "invalid_request_error"}}), IGNORED),
        (Says(code="rate_limit_exceeded", body={}), CONGESTION),
        (Says(type="server_error"), TROUBLE),
        (Says(response=response(403, body={"error": {"status": "rateLimitExceeded"}})), CONGESTION),
        (Says(code=429, details=[{"error": {"status": "RESOURCE_EXHAUSTED"}}]), CONGESTION),
    ],
)
def test_the_body_is_read_where_the_status_line_can_not_tell(error, expected):
    """An error in the middle of a stream arrives under status 200."""
    assert outcome(error) is expected


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Bad gateway</html>",
        b"",
        b"{" * 60_000,
        b"[" * 60_000,
        b'{"error": "text"}',
        b'{"error": null}',
        b"[]",
        b"[1]",
        b'"insufficient_quota"',
        b"\xff\xfe",
        b'{"error": {"code": "insufficient_quota"}}' + b" " * 70_000,
    ],
)
def test_a_body_without_a_code_changes_nothing(body):
    """Pages of HTML, halves of bodies, and bodies too long to be an error's."""
    error = Says(response=SimpleNamespace(status_code=429, headers={}, _content=body))

    assert read(error, NOW) == Reading(CONGESTION, None)


@pytest.mark.parametrize(
    "text", ['{"error": {"code": 500}}', "your credit balance is too low", "Request too large"]
)
def test_words_without_a_status_say_nothing(text):
    """What a model has answered may look like anything, and stands in the errors of parsers."""
    assert read(ValueError(text), NOW) == NOTHING
    assert read(said(text, status_code=200), NOW) == NOTHING


def test_a_body_that_has_not_been_read_is_not_read_now():
    """Reading a stream on the event loop's thread would block every other row."""

    class Streaming:
        status_code = 429
        headers = {}
        _content = False  # as requests has it before the body is read

        @property
        def text(self):
            raise AssertionError("the body was read")

        content = text

    assert outcome(Says(response=Streaming())) is CONGESTION


# ------------------------------------------------------------------- lost connections


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError(),
        ConnectionResetError(),
        ConnectionRefusedError(),
        BrokenPipeError(),
        TimeoutError(),
        asyncio.TimeoutError(),  # another class on 3.10
        concurrent.futures.TimeoutError(),
        socket.gaierror(socket.EAI_AGAIN, "try again"),
        ssl.SSLError("record layer failure"),
        ssl.SSLEOFError(),
        OSError(errno.ENETUNREACH, "unreachable"),
        http.client.IncompleteRead(b""),
        http.client.RemoteDisconnected(),
        asyncio.IncompleteReadError(b"", 5),
        urllib.error.URLError(TimeoutError()),
        named("APIConnectionError"),
        named("ClientPayloadError"),
        type("ReadTimeout", (type("TransportError", (Exception,), {}),), {})(),
    ],
)
def test_no_answer_is_trouble(error):
    """Builtins by their class, clients' own by the names of their classes, others by errno."""
    if isinstance(error, urllib.error.URLError):
        raised(error, context=error.reason)

    assert read(error, NOW) == Reading(TROUBLE, None)


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLCertVerificationError("self-signed"),
        named("LocalProtocolError", type("TransportError", (Exception,), {})),
        raised(named("APIConnectionError"), named("UnsupportedProtocol", ConnectionError)),
        raised(
            named("APIConnectionError"),
            context=raised(named("ConnectError", ConnectionError), ssl.SSLCertVerificationError()),
        ),
        raised(named("APIConnectionError"), TypeError("header value must be str")),
        raised(named("APIConnectionError"), UnicodeEncodeError("ascii", "ключ", 0, 1, "no")),
        raised(named("APIConnectionError"), proxy("407 Proxy Authentication Required")),
        raised(
            named("ProxyError", ConnectionError),
            context=OSError("Tunnel connection failed: 403 Forbidden"),
        ),
        raised(named("ClientConnectorError", OSError), plain_port("WRONG_VERSION_NUMBER")),
        raised(named("ConnectError", ConnectionError), context=plain_port("HTTP_REQUEST")),
        type("NetworkError", (Exception,), {})(plain_port("WRONG_VERSION_NUMBER").args[1]),
        raised(
            type("InternalServerError", (Exception,), {"status_code": 500})("no connection"),
            context=plain_port("WRONG_VERSION_NUMBER"),
        ),
    ],
)
def test_what_the_next_attempt_meets_again_is_not_tried_again(error):
    """A certificate, an address without http:// or a broken key is no lost connection."""
    assert read(error, NOW) == NOTHING


@pytest.mark.parametrize("answer", ["503 Service Unavailable", "429 Too Many Requests", "down"])
def test_a_proxy_in_trouble_may_recover(answer):
    """Only what a proxy refuses for good is a setting."""
    assert read(proxy(answer), NOW) == Reading(TROUBLE, None)


def test_a_note_may_hold_the_answers_body():
    """Clients that lose the answer add it as a note, since Python 3.11."""
    noted = raised(named("APIConnectionError"))
    noted.__notes__ = ["while asking", '{"error": {"code": "insufficient_quota"}}', 7]

    assert read(noted, NOW) == NOTHING


def test_a_key_error_before_a_connection_is_not_its_cause():
    """`except KeyError: connect()` makes the KeyError the context of what connect raises."""
    error = raised(ConnectionRefusedError(), context=KeyError("pool"))

    assert outcome(error) is TROUBLE


def test_retries_hidden_in_urllib3_are_read():
    """After its own retries urllib3 keeps of the answer nothing but a sentence."""
    last = raised(
        named("MaxRetryError"),
        type("ResponseError", (Exception,), {})("too many 429 error responses"),
    )

    assert outcome(raised(named("RetryError", OSError), context=last)) is CONGESTION
    assert outcome(type("ResponseError", (Exception,), {})("too many redirects")) is IGNORED


def test_urllib_is_read(tmp_path):
    """The standard library's HTTPError has code, headers and no response."""
    headers = http.client.HTTPMessage()
    headers["Retry-After"] = "11"
    error = urllib.error.HTTPError("http://localhost", 429, "Too Many Requests", headers, None)

    assert read(error, NOW) == Reading(CONGESTION, 11.0)
    error.close()


# -------------------------------------------------------------------- causes and groups


def test_a_cause_is_read():
    """A wrapper that says nothing itself hides nothing."""
    assert outcome(raised(RuntimeError("call failed"), Says(status_code=429))) is CONGESTION


def test_a_context_is_read():
    """Many wrappers are raised without `from`."""
    error = raised(ValueError("call failed"), context=Says(status_code=500))

    assert outcome(error) is TROUBLE


def test_from_none_is_respected():
    """Who writes `from None` says that the other exception is not the reason."""
    error = raised(ValueError("my own"), context=Says(status_code=429), suppress=True)

    assert read(error, NOW) == NOTHING


def test_a_mistake_in_a_handler_stays_a_mistake():
    """A TypeError while a 429 was handled is a bug to be seen, not a reason to wait."""
    assert read(raised(TypeError(), context=Says(status_code=429)), NOW) == NOTHING
    assert outcome(raised(TypeError(), Says(status_code=429))) is CONGESTION  # said on purpose


def test_the_outermost_statement_decides():
    """A 400 that was raised while a 429 was handled is a 400."""
    error = raised(Says(status_code=400), context=Says(status_code=429))

    assert read(error, NOW) == NOTHING


def test_headers_lost_by_a_wrapper_are_found_at_its_cause():
    """LiteLLM and others rebuild the error, and the answer stays with the original."""
    original = Says(status_code=503, headers={"Retry-After": "9"})
    error = raised(Says(status_code=503), context=original)

    assert read(error, NOW) == Reading(CONGESTION, 9.0)


def test_headers_of_another_answer_do_not_count():
    """The Retry-After of an earlier 429 says nothing about this 500."""
    earlier = Says(status_code=429, headers={"Retry-After": "9"})

    assert read(raised(Says(status_code=500), context=earlier), NOW) == Reading(TROUBLE, None)


def test_circles_end():
    """Two exceptions that name each other as their cause are each read once."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one

    assert read(one, NOW) == NOTHING


def test_chains_without_end_end():
    """A hundred links are enough to look at."""
    error = Says(status_code=429)
    for number in range(200):
        error = raised(ValueError(str(number)), error)

    assert read(error, NOW) == NOTHING


def test_files_that_ran_out_are_told_from_a_500_of_a_wrapper():
    """LiteLLM calls it an InternalServerError that no connection could be made."""
    error = raised(Says(status_code=500), OSError(errno.EMFILE, "Too many open files"))

    assert read(error, NOW).blocks == MACHINE


class BaseExceptionGroup310(Exception):
    """As the backport for 3.10 makes its groups: a class of that name, with `exceptions`."""

    def __init__(self, message, exceptions):
        super().__init__(message)
        self.exceptions = tuple(exceptions)


BaseExceptionGroup310.__name__ = "BaseExceptionGroup"
GROUPS = [BaseExceptionGroup310]
if sys.version_info >= (3, 11):
    GROUPS.append(ExceptionGroup)  # noqa: F821


@pytest.mark.parametrize(
    ("error", "blocks"),
    [
        (Says(status_code=401), ACCOUNT),
        (Says(status_code=402), ACCOUNT),
        (Says(status_code=429, body={"error": {"code": "insufficient_quota"}}), ACCOUNT),
        (Says(body={"type": "error", "error": {"type": "authentication_error"}}), ACCOUNT),
        (named("AuthenticationError"), ACCOUNT),
        (named("LMBillingError"), ACCOUNT),
        (raised(RuntimeError("no answer"), Says(status_code=401)), ACCOUNT),
        (Says(status_code=407), SETTINGS),
        (raised(named("APIConnectionError"), proxy("407 Proxy Authentication Required")), SETTINGS),
        (raised(named("ConnectError", ConnectionError), plain_port("HTTP_REQUEST")), SETTINGS),
        (Says(status_code=400), ""),
        (Says(status_code=403), ""),
        (Says(status_code=429), ""),
        (named("UnsupportedProtocol", ConnectionError), ""),
        (KeyError("answer"), ""),
    ],
)
def test_what_blocks_every_row_is_told_from_what_is_a_rows(error, blocks):
    """An account, or settings of this machine: until somebody mends them no row gets through."""
    assert read(error, NOW).blocks == blocks


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_blocks_where_a_member_does(group):
    unknown, day = Says(status_code=401), Says(status_code=429, retry_after=86_400)

    assert read(group("", [KeyError(), unknown]), NOW).blocks == ACCOUNT
    assert read(group("", [Says(status_code=429), day, TimeoutError()]), NOW).asked == 86_400


def test_the_status_is_told_as_it_was_stated():
    """And not as what stands for it in our table, unless there is none."""
    quota = {"error": {"code": "insufficient_quota"}}

    assert read(Says(status_code=429, body=quota), NOW).status == 429
    assert read(named("LMBillingError"), NOW).status == 402


def test_a_pause_is_known_as_it_was_asked_for():
    """What is obeyed of it is cut, what is told is not."""
    reading = read(Says(status_code=429, headers={"Retry-After": "86400"}), NOW)

    assert (reading.status, reading.asked, reading.retry_after) == (429, 86_400, 3_600)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_as_curable_as_its_worst_member(group):
    """One member that is a mistake makes the next attempt fail as well."""
    slow, busy, wrong = TimeoutError(), Says(status_code=429, retry_after=4), TypeError()
    busier = Says(status_code=429, retry_after=8)

    assert read(group("", [slow, slow]), NOW) == Reading(TROUBLE, None)
    assert read(group("", [slow, busy, busier]), NOW) == Reading(CONGESTION, 8.0)
    assert read(group("", [slow, busy, wrong]), NOW) == NOTHING
    assert read(group("", [group("", [busy]), slow]), NOW) == Reading(CONGESTION, 4.0)
    assert read(raised(RuntimeError(), group("", [busy])), NOW) == Reading(CONGESTION, 4.0)


def test_a_cancelled_member_speaks_of_us():
    """What was cancelled says nothing about the endpoint, and the group can not be trusted."""
    error = BaseExceptionGroup310("", [Says(status_code=429), asyncio.CancelledError()])

    assert read(error, NOW) == NOTHING


def test_large_and_endless_groups_end():
    """A hundred exceptions are looked at; a group inside itself says nothing."""
    many = BaseExceptionGroup310("", [Says(status_code=429) for _ in range(10_000)])
    endless = BaseExceptionGroup310("", [])
    endless.exceptions = (endless, endless)

    assert outcome(many) is CONGESTION
    assert read(endless, NOW) == NOTHING
    assert read(BaseExceptionGroup310("", []), NOW) == NOTHING
    endless.exceptions = (endless,)
    assert speaker(endless) is endless


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_told_by_its_members(group):
    """Of one alone, as a TaskGroup raises it, nothing else is worth telling."""
    wrong, late = ValueError("no number"), TimeoutError("late")

    alone = failure_of(group("unhandled errors", [group("in a group", [wrong])]), ())
    both = failure_of(group("unhandled errors", [wrong, late, late, wrong]), ())

    assert (alone.type, alone.message) == ("ValueError", "no number")
    assert both.type == group.__name__
    assert both.message.endswith(" (ValueError: no number) (TimeoutError: late)")


def test_a_lost_connection_is_told_with_its_cause():
    """Most clients say no more than "Connection error."."""
    ours = named("APIConnectionError")
    bare = raised(ours, raised(named("ConnectError"), ConnectionRefusedError(111, "refused")))

    assert failure_of(bare, ()).message == "said (ConnectionRefusedError: [Errno 111] refused)"
    assert failure_of(ConnectionError("refused"), ()).message == "refused"
    assert failure_of(raised(ValueError("no answer"), KeyError("x")), ()).message == "no answer"


def test_no_address_of_an_object_is_told():
    """It is another one in each row, so that equal errors would look different."""
    error = ValueError("<ssl.SSLContext object at 0x7fbe3afdc0e0> refused, at 0x1 or 0xffff")

    assert failure_of(error, ()).message == "<ssl.SSLContext object> refused, at 0x1 or 0xffff"


# ------------------------------------------------------------------------ retry-after


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "5"}, 5.0),
        ({"retry-after": "0"}, 0.0),
        ({"RETRY-AFTER": " 1.5 "}, 1.5),
        ({b"Retry-After": b"5"}, 5.0),
        ({"Retry-After": ["5", "6"]}, 5.0),
        ({"Retry-After": []}, None),
        ([("X-Other", "1"), ("Retry-After", "5")], 5.0),
        ([(b"retry-after", b"5"), (b"retry-after", b"6")], 5.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:50:07 GMT"}, 30.0),
        ({"Retry-After": "Sunday, 06-Nov-94 08:50:07 GMT"}, 30.0),
        ({"Retry-After": "Sun Nov  6 08:50:07 1994"}, 30.0),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:07 GMT"}, 0.0),
        ({"Retry-After": "Wed, 06 Nov 2094 08:49:07 GMT"}, LONGEST_RETRY_AFTER),
        ({"Retry-After": "Sun, 06 Nov 99999 08:49:07 GMT"}, None),
        ({"Retry-After": "604800"}, LONGEST_RETRY_AFTER),
        ({"retry-after-ms": "1e300"}, LONGEST_RETRY_AFTER),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "5" * 10_000}, None),
        ({"Retry-After": None}, None),
        ({"Retry-After": 5}, None),
        ({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset": "784111787"}, None),
        ({}, None),
        (None, None),
        ("Retry-After: 5", None),
        (5, None),
        ([("Retry-After",), 7, "ab"], None),
    ],
)
def test_retry_after_is_read_in_its_forms(headers, expected):
    """Seconds, milliseconds and dates, in any container; nonsense counts as not said."""
    assert read(Says(status_code=429, headers=headers), NOW) == Reading(CONGESTION, expected)


def test_headers_of_the_standard_library_are_read():
    """An HTTPMessage is no mapping, and has items() all the same."""
    headers = http.client.HTTPMessage()
    headers["Retry-After"] = "5"

    assert hint(Says(response=response(429, headers))) == 5.0


def test_a_date_is_compared_with_the_date_of_the_answer():
    """A clock that is an hour wrong here makes no wait of an hour."""
    headers = {
        "Date": "Sun, 06 Nov 1994 07:49:37 GMT",
        "Retry-After": "Sun, 06 Nov 1994 07:49:47 GMT",
    }

    assert hint(Says(status_code=429, headers=headers)) == 10.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3.0),
        (0.5, 0.5),
        ("7", 7.0),
        (10**400, LONGEST_RETRY_AFTER),
        (None, None),
        (True, None),
        (-1, None),
        (float("nan"), None),
        ([3], None),
        ("", None),
    ],
    ids=lambda value: str(value)[:9],
)
def test_an_attribute_may_name_the_time(value, expected):
    """Clients that hide the headers often have `retry_after`."""
    assert hint(Says(status_code=429, retry_after=value)) == expected


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.Help"}], None),
        (
            [
                {"@type": "type.googleapis.com/google.rpc.Help"},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"},
            ],
            34.5,
        ),
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo"}], None),
        ("text", None),
    ],
)
def test_google_names_the_time_in_the_body(details, expected):
    """Gemini sends no Retry-After; a RetryInfo in the error's details takes its place."""
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}

    assert read(Says(code=429, details=body), NOW) == Reading(CONGESTION, expected)
    assert read(Says(response=response(429, body=body)), NOW) == Reading(CONGESTION, expected)


# -------------------------------------------------------------------------- hostility


class Hostile(Exception):
    """Every attribute raises, even what has no business in an attribute."""

    def __getattribute__(self, name):
        raise SystemExit(f"no {name}")


class HostileResponse:
    """The headers raise, and the status can still be read."""

    status_code = 429

    @property
    def headers(self):
        raise asyncio.CancelledError


class Unfriendly(int):
    """A number that can not be compared."""

    def __ge__(self, other):
        raise RuntimeError

    __le__ = __gt__ = __lt__ = __ge__


class Headers:
    """A container that fails halfway."""

    def items(self):
        yield "Retry-After", "5"
        raise RuntimeError


class Masked(Exception):
    """Lies about its class, loudly."""

    @property
    def __class__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Hostile, NOTHING),
        (Masked, NOTHING),
        (lambda: Says(status_code=Unfriendly(429)), NOTHING),
        (lambda: Says(response=HostileResponse()), Reading(CONGESTION, None)),
        (lambda: Says(status_code=429, headers=Headers()), Reading(CONGESTION, None)),
        (lambda: Says(status_code=429, headers=iter(int, 1)), Reading(CONGESTION, None)),
        (lambda: Says(code=lambda: 1 / 0), NOTHING),
        (lambda: Says(code=lambda needed: 429), NOTHING),
    ],
)
def test_reading_never_raises(make, expected):
    """The exception of the row must not be replaced by one of reading it."""
    error = make()  # pytest itself could not look at some of them

    assert read(error, NOW) == expected


def test_ctrl_c_while_reading_is_the_users():
    """Everything else that foreign code raises is kept back."""

    class Interrupted(Exception):
        @property
        def status_code(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(Interrupted(), NOW)


def test_anything_can_be_read():
    """Random attributes of random kinds: a reading comes back, and its time is within bounds."""
    dice = random.Random(3)
    values = [None, True, 0, 429, 503, -1, 1e9, float("nan"), "429", "SlowDown", b"x", b"{}", {}]
    values += [[], [1], {"error": {"code": "slow_down"}}, {"Retry-After": "5"}, object(), print]
    values += [lambda: 429, response(503, {"Retry-After": "1"}), HostileResponse(), iter(()), type]
    names = ["status_code", "status", "code", "response", "headers", "body", "details", "type"]
    names += ["retry_after", "error_code", "errno", "exceptions", "args"]
    for _ in range(3000):
        error = Says()
        for name in dice.sample(names, dice.randrange(len(names))):
            value = dice.choice(values)
            if name != "args" or isinstance(value, (list, dict)):
                setattr(error, name, value)

        reading = read(error, NOW)

        assert reading.outcome in (CONGESTION, TROUBLE, IGNORED)
        assert reading.retry_after is None or 0 <= reading.retry_after <= LONGEST_RETRY_AFTER


# ----------------------------------------------------------------- a real conversation


class Answers(http.server.BaseHTTPRequestHandler):
    """/429 is answered with 429, and so on; /reset closes the connection."""

    def do_GET(self):
        status = int(self.path[1:] or 0)
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Retry-After", "2")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        """Say nothing on stderr."""


@pytest.fixture
def server():
    """The address of a server on this machine."""
    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{http_server.server_port}"
    http_server.shutdown()
    thread.join()
    http_server.server_close()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/429", Reading(CONGESTION, 2.0)),
        ("/503", Reading(CONGESTION, 2.0)),
        ("/529", Reading(CONGESTION, 2.0)),
        ("/500", Reading(TROUBLE, 2.0)),
        ("/404", NOTHING),
        ("/", Reading(TROUBLE, None)),
    ],
)
def test_urllib_meets_a_server(server, path, expected):
    """The one client that is always there, against a real answer."""
    with pytest.raises(OSError) as caught:
        urllib.request.urlopen(server + path, timeout=5)

    assert read(caught.value, NOW) == expected
    if isinstance(caught.value, urllib.error.HTTPError):
        caught.value.close()


def test_urllib_meets_nobody():
    """A refused connection is trouble."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)

    assert read(caught.value, NOW) == Reading(TROUBLE, None)


# ------------------------------------------------------------------------- the policy


def test_the_defaults_are_those_of_the_documentation():
    """Five attempts, ten minutes of patience, one second first, one minute at most."""
    assert Retry() == Retry(attempts=5, patience=600.0, first=1.0, longest=60.0)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"attempts": 0}, "1 means no retry"),
        ({"attempts": -1}, "1 means no retry"),
        ({"attempts": True}, "expected a whole number"),
        ({"attempts": 2.0}, "expected a whole number"),
        ({"attempts": None}, "expected a whole number"),
        ({"patience": -1}, r"patience=-1.*expected seconds"),
        ({"patience": float("nan")}, "patience=nan"),
        ({"patience": "600"}, "patience='600'"),
        ({"first": True}, "first=True"),
        ({"first": float("inf")}, "first=inf"),
        ({"longest": float("inf")}, "longest=inf"),
        ({"longest": None}, "longest=None"),
        ({"first": 5, "longest": 2}, "raise longest or lower first"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options, complaint):
    """At construction, with the argument and what was given."""
    with pytest.raises(ValueError, match=complaint):
        Retry(**options)


def test_endless_patience_is_allowed():
    """A night's run may wait for ever."""
    assert Retry(patience=float("inf")).patience == float("inf")


@pytest.mark.parametrize(
    ("outcome", "again"),
    [(CONGESTION, True), (TROUBLE, True), (IGNORED, False), (Outcome.SUCCESS, False)],
)
def test_only_what_may_heal_is_tried_again(outcome, again):
    """A call that is wrong stays wrong."""
    assert Retry().retryable(Reading(outcome, None)) is again


def test_one_attempt_means_no_retry_of_anything():
    """Who wants no retries gets none, under congestion either."""
    assert not Retry(attempts=1).retryable(Reading(CONGESTION, 1.0))


def test_the_backoff_doubles_up_to_the_longest():
    """The upper ends are 1, 2, 4 ... 60 seconds."""
    policy = Retry()

    ends = [policy.delay(failures, lambda: 1.0) for failures in range(1, 9)]

    assert ends == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_the_backoff_has_full_jitter():
    """Any delay between nothing and the upper end is as likely as any other."""
    dice = random.Random(1).random
    delays = sorted(Retry().delay(4, dice) for _ in range(4000))

    assert 0 <= delays[0] < 0.1
    assert 7.9 < delays[-1] < 8
    assert delays[2000] == pytest.approx(4.0, abs=0.3)


def test_the_backoff_of_a_patient_row_stays_finite():
    """A row that waits for days fails more than a thousand times."""
    assert Retry().delay(10**6, lambda: 1.0) == 60.0


def test_a_delay_before_the_first_failure_makes_no_sense():
    """Failures count from 1."""
    with pytest.raises(ValueError, match="failures=0"):
        Retry().delay(0, random.random)


class Wrapper:
    """As tenacity's objects look from here."""

    def wraps(self, function):
        return function


def test_retries_are_given_in_several_ways():
    """None, a number of retries, or a Retry."""
    policy = Retry(attempts=2)

    assert as_policy(None) == (Retry(), None)
    assert as_policy(0) == (Retry(attempts=1), None)
    assert as_policy(3) == (Retry(attempts=4), None)
    assert as_policy(policy) == (policy, None)


def test_what_another_library_retries_is_one_attempt_of_ours():
    """Its object is put around the function, once."""
    policy, wrap = as_policy(Wrapper())

    assert policy == Retry(attempts=1)
    assert wrap(print) is print


@pytest.mark.parametrize(
    ("retries", "complaint"),
    [
        (-1, "0 means no retry"),
        (True, "0 means no retry"),
        (False, "0 means no retry"),
        (2.5, "expected a whole number of retries"),
        ("3", "expected a whole number of retries"),
        (Wrapper, r"is a class; pass an instance: Wrapper\(\.\.\.\)"),
        (Retry, r"is a class; pass an instance: Retry\(\.\.\.\)"),
        (print, "tenacity.AsyncRetrying"),
    ],
)
def test_retries_that_are_none_of_these_are_refused(retries, complaint):
    """The message says what would have worked."""
    with pytest.raises(ValueError, match=complaint):
        as_policy(retries)


class Awaiting:
    """As tenacity's AsyncRetrying: whatever it wraps becomes a coroutine function."""

    def wraps(self, function):
        async def wrapped():
            return await function()

        return wrapped


class Calling:
    """As tenacity's Retrying: whatever it wraps becomes a plain function."""

    def wraps(self, function):
        return lambda: function()


@pytest.mark.parametrize(
    ("policy", "asynchronous", "complaint"),
    [(Calling(), True, "AsyncRetrying"), (Awaiting(), False, r"tenacity.Retrying\(")],
)
def test_a_policy_for_the_other_kind_is_refused(policy, asynchronous, complaint):
    """tenacity would silently not retry, or hand back a coroutine as the answer."""

    async def waits(): ...

    def calls(): ...

    _, wrap = as_policy(policy)

    with pytest.raises(ValueError, match=complaint):
        wrap(waits if asynchronous else calls)
