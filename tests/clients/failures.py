"""
What an endpoint does when it fails, and how that has to be read whatever client tells it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from doteval.concurrency.reading import read
from doteval.outcomes import failure_of
from doteval.text import one_line

from .conftest import DROP, HANG, Answer, Endpoint, http_date

NO_CREDIT = {"code": "insufficient_quota", "type": "insufficient_quota", "message": "no credit"}
DAY = {"code": 429, "type": "rate_limit", "message": "Rate limit exceeded: free-models-per-day"}
OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}


class Failure(NamedTuple):
    """
    Attributes:
        answer: what the endpoint does; None: nobody listens there.
        read: the outcome, what it blocks, and the seconds that it asks for, as in a table.
        timeout: seconds of the client.
        scheme: of the address.
    """

    answer: Answer | str | None
    read: str
    timeout: float = 5.0
    scheme: str = "http"


FAILURES = {
    "429": Failure(Answer(429), "congestion"),
    "429, Retry-After: 7": Failure(Answer(429, {"Retry-After": "7"}), "congestion 7 s"),
    "429, a date": Failure(Answer(429, {"Retry-After": http_date(0)}), "congestion 0 s"),
    "429, in ms": Failure(
        Answer(429, {"retry-after-ms": "3000", "retry-after": "2"}), "congestion 3 s"
    ),
    "429, no credit": Failure(Answer(429, {}, {"error": NO_CREDIT}), "ignored, account"),
    "429, of a day": Failure(Answer(429, {}, {"error": DAY}), "ignored, account"),
    "503": Failure(Answer(503), "trouble"),
    "503, Retry-After: 7": Failure(Answer(503, {"Retry-After": "7"}), "congestion 7 s"),
    "529": Failure(Answer(529, {}, {"type": "error", "error": OVERLOADED}), "congestion"),
    "500": Failure(Answer(500), "trouble"),
    "dropped": Failure(DROP, "trouble"),
    "hangs": Failure(HANG, "trouble", timeout=0.3),
    "refused": Failure(None, "trouble"),
    "400": Failure(Answer(400), "ignored"),
    "401": Failure(Answer(401), "ignored, account"),
    "403": Failure(Answer(403), "ignored"),
    "404": Failure(Answer(404), "ignored"),
    "407": Failure(Answer(407), "ignored, settings"),
    "no TLS": Failure(Answer(), "ignored, settings", scheme="https"),
}

# What a client keeps to itself: the body of the answer, or what in it is no error of its own API;
# its headers; why it has no connection.
NO_BODY = dict.fromkeys(("429, no credit", "429, of a day"), "congestion")
NO_HEADERS = {
    **dict.fromkeys(("429, Retry-After: 7", "429, a date", "429, in ms"), "congestion"),
    "503, Retry-After: 7": "trouble",
}
KEPT_BACK = {
    "aiohttp": NO_BODY,
    "urllib": NO_BODY,
    "botocore": NO_BODY,
    "requests-urllib3": NO_BODY | NO_HEADERS,
    "ollama": NO_HEADERS | {"no TLS": "trouble"},
    "dspy": {"429, in ms": "congestion 2 s"},
}


def reading(
    call: Callable[..., Any],
    failure: Failure,
    endpoint: Endpoint,
    told: Callable[[str], object] = str,
) -> str:
    """How the exception of a client is read, as in a table; `told` gets what is stored of it."""
    url = endpoint.url.replace("http:", f"{failure.scheme}:")
    if failure.answer is None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    else:
        endpoint.behave = lambda endpoint: failure.answer  # type: ignore[assignment, return-value]
    try:
        return f"answered {call(url, failure.timeout, 0)!r}"
    except Exception as error:  # whatever a client raises
        found, stored = read(error, time.time()), failure_of(error, ())
        told(f"{stored.type}: {one_line(stored.message, 200)}")
    after = "" if found.retry_after is None else f" {round(found.retry_after)} s"
    return f"{found.outcome.value}{after}" + (f", {found.blocks}" if found.blocks else "")
