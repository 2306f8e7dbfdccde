"""What the real clients raise is read right, with their own retries off and on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from doteval.concurrency.evidence import Outcome
from doteval.concurrency.reading import Reading, read
from doteval.concurrency.retry import as_policy

from .calls import (
    call_aiohttp,
    call_anthropic,
    call_httpx,
    call_openai,
    call_openai_sync,
    call_requests,
)
from .conftest import DROP, Answer, Endpoint

CONGESTION, TROUBLE, IGNORED = Outcome.CONGESTION, Outcome.TROUBLE, Outcome.IGNORED
NOTHING = Reading(IGNORED, None)

BY_HAND = [call_openai, call_openai_sync, call_anthropic, call_httpx, call_aiohttp, call_requests]
every_client = pytest.mark.parametrize("call", BY_HAND, ids=lambda call: call.__name__)
every_sdk = pytest.mark.parametrize("call", [call_openai, call_openai_sync, call_anthropic])


def failure(call: Callable[..., Any], url: str, timeout: float = 5.0, retries: int = 0) -> Any:
    """The exception that a call ends with."""
    with pytest.raises(Exception) as caught:
        call(url, timeout, retries)
    return caught.value


def always(answer: Answer | str) -> Callable[[Endpoint], Answer | str]:
    return lambda endpoint: answer


@every_client
def test_a_key_with_a_line_break_is_no_trouble_of_the_endpoint(call, endpoint):
    """A key read from a file with its newline fails at once, and not after ten minutes."""
    with pytest.raises(Exception) as caught:
        call(endpoint.url, 5.0, 0, "secret\n")

    assert read(caught.value, time.time()) == NOTHING
    assert endpoint.requests == 0


@every_client
def test_an_address_without_a_scheme_is_no_trouble_of_the_endpoint(call):
    """A mistake in the base URL fails at once."""
    assert read(failure(call, "127.0.0.1:1"), time.time()) == NOTHING


# --------------------------------------------------------------------- own retries on


@every_sdk
@pytest.mark.parametrize(
    ("status", "expected"),
    [(429, CONGESTION), (529, CONGESTION), (503, CONGESTION), (500, TROUBLE)],
)
def test_retries_inside_the_client_change_nothing_of_the_reading(call, endpoint, status, expected):
    """Two retries of its own, then the last answer."""
    endpoint.behave = always(Answer(status, {"retry-after-ms": "1", "retry-after": "1"}))

    reading = read(failure(call, endpoint.url, retries=2), time.time())

    assert reading == Reading(expected, 0.001)
    assert endpoint.requests == 3


@every_sdk
def test_a_retry_inside_the_client_may_succeed_unseen(call, endpoint):
    """What the client hides is no error here; only its latency shows."""
    endpoint.behave = lambda endpoint: (
        Answer(429, {"retry-after-ms": "1"}) if endpoint.requests == 1 else Answer()
    )

    assert call(endpoint.url, 5.0, 2) == "42"
    assert endpoint.requests == 2


def test_retries_inside_urllib3_are_seen_through(endpoint):
    """requests with a Retry adapter ends in a RetryError that has no answer any more."""
    requests = pytest.importorskip("requests")
    from urllib3.util import Retry as Urllib3Retry

    endpoint.behave = always(Answer(429))
    again = Urllib3Retry(2, status_forcelist=[429], allowed_methods=None, backoff_factor=0)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=again))
        with pytest.raises(requests.exceptions.RetryError) as caught:
            session.post(endpoint.url, json={})

    assert read(caught.value, time.time()) == Reading(CONGESTION, None)
    assert endpoint.requests == 3


# -------------------------------------------------------------- errors within a stream


def test_an_overload_in_the_middle_of_anthropics_stream(endpoint):
    """The status line said 200 long before the error came."""
    event = '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
    endpoint.behave = always(Answer(text=f"event: error\ndata: {event}\n\n"))
    with pytest.raises(Exception) as caught:
        call_anthropic(endpoint.url, 5.0, 0, stream=True)

    assert read(caught.value, time.time()) == Reading(CONGESTION, None)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("rate_limit_exceeded", CONGESTION),
        ("server_error", TROUBLE),
        ("insufficient_quota", IGNORED),
    ],
)
def test_an_error_in_the_middle_of_openais_stream(endpoint, code, expected):
    """There the exception has a code and no status at all."""
    event = f'{{"error": {{"message": "no", "type": "x", "code": "{code}"}}}}'
    endpoint.behave = always(Answer(text=f"data: {event}\n\n"))
    with pytest.raises(Exception) as caught:
        call_openai(endpoint.url, 5.0, 0, stream=True)

    assert read(caught.value, time.time()).outcome is expected


# ----------------------------------------------------------------------- other clients


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "ThrottlingException", CONGESTION),
        (400, "ThrottlingException", CONGESTION),
        (400, "ValidationException", IGNORED),
        (503, "ServiceUnavailableException", TROUBLE),
        (500, "InternalServerException", TROUBLE),
    ],
)
def test_bedrock_through_botocore(endpoint, status, code, expected):
    """The code in the error decides, then the status."""
    session = pytest.importorskip("botocore.session").get_session()
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
    endpoint.behave = always(Answer(status, {"x-amzn-ErrorType": code}, {"message": "no"}))
    client = session.create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=endpoint.url,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=config,
    )
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.invoke_model(modelId="m", body=b"{}")
    client.close()

    assert read(caught.value, time.time()) == Reading(expected, None)


def test_bedrock_without_a_connection(endpoint):
    """botocore's own classes for it are known by their names."""
    session = pytest.importorskip("botocore.session").get_session()
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
    endpoint.behave = always(DROP)
    client = session.create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=endpoint.url,
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=config,
    )
    with pytest.raises(Exception) as caught:
        client.invoke_model(modelId="m", body=b"{}")
    client.close()

    assert read(caught.value, time.time()) == Reading(TROUBLE, None)


def test_gemini_names_the_time_in_the_body(endpoint):
    """Google's client has code, status and details, and Google's answer no Retry-After."""
    genai = pytest.importorskip("google.genai")
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "no", "details": [info]}
    endpoint.behave = always(Answer(429, {}, {"error": error}))
    client = genai.Client(
        api_key="k",
        http_options=genai.types.HttpOptions(
            base_url=endpoint.url, retry_options=genai.types.HttpRetryOptions(attempts=1)
        ),
    )
    with pytest.raises(genai.errors.APIError) as caught:
        client.models.generate_content(model="m", contents="6 x 7?")
    client.close()

    assert read(caught.value, time.time()) == Reading(CONGESTION, 26.0)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("RESOURCE_EXHAUSTED", CONGESTION),
        ("UNAVAILABLE", TROUBLE),
        ("DEADLINE_EXCEEDED", TROUBLE),
        ("INVALID_ARGUMENT", IGNORED),
    ],
)
def test_grpc_is_read_by_the_name_of_its_code(code, expected):
    """An RpcError has no status; its code() is a method."""
    grpc = pytest.importorskip("grpc")
    from concurrent.futures import ThreadPoolExecutor

    class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc,name-defined]
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: context.abort(getattr(grpc.StatusCode, code), "no")
            )

    server = grpc.server(ThreadPoolExecutor(1), handlers=(Refusing(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with (
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary("/model/ask")(b"6 x 7?", timeout=5)
    server.stop(0).wait()

    assert read(caught.value, time.time()) == Reading(expected, None)


# --------------------------------------------------------------------------- tenacity


def test_tenacity_gives_up_with_the_last_error_as_its_cause():
    """A RetryError is read through to what it is about."""
    tenacity = pytest.importorskip("tenacity")
    _, wrap = as_policy(tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(2)))

    async def attempt() -> None:
        raise TimeoutError

    with pytest.raises(tenacity.RetryError) as caught:
        asyncio.run(wrap(attempt)())

    assert read(caught.value, time.time()) == Reading(TROUBLE, None)


def test_tenacitys_two_kinds_are_told_apart():
    """Each would silently fail with the other kind of function."""
    tenacity = pytest.importorskip("tenacity")
    _, waiting = as_policy(tenacity.AsyncRetrying())
    _, calling = as_policy(tenacity.Retrying())

    async def waits() -> None: ...

    def calls() -> str:
        return "called"

    assert calling(calls)() == "called"
    with pytest.raises(ValueError, match=r"retries=Retrying\(\.\.\.\) does not await"):
        calling(waits)
    with pytest.raises(ValueError, match=r"retries=AsyncRetrying\(\.\.\.\) awaits"):
        waiting(calls)
