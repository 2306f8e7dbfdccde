"""
A model endpoint on this machine that refuses, fails and hangs on request.

The real SDKs talk to it, each test as far as its SDK is installed.
"""

from __future__ import annotations

import email.utils
import gc
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    """
    One answer of the endpoint.

    Attributes:
        status: of HTTP.
        headers: besides Content-Type, Content-Length and Date.
        body: sent as JSON; None: what a model would answer, for the API of the request's path.
        text: sent as it is, instead of the body.
        delay: seconds before it is sent.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    text: str | None = None
    delay: float = 0.0


DROP = "drop"  # close the connection without a word
HANG = "hang"  # say nothing until the client has gone or the server is closed
Behaviour = Callable[["Endpoint"], "Answer | str"]


def http_date(seconds_ahead: float) -> str:
    """An HTTP date that lies so many seconds ahead."""
    return email.utils.formatdate(time.time() + seconds_ahead, usegmt=True)


class Endpoint:
    """
    The server, and what it has seen.

    Attributes:
        url: of its root.
        behave: called at each request, with the endpoint; returns an Answer, DROP or HANG.
        requests: how many came in.
        arrivals: when they came in, and with which status they were answered: (seconds on the
            monotonic clock, status), in the order of their answers.
        serving: requests between their arrival and their answer, this one included.
    """

    def __init__(self) -> None:
        self.behave: Behaviour = lambda endpoint: Answer()
        self.requests = 0
        self.serving = 0
        self.arrivals: list[tuple[float, int]] = []
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.endpoint = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop, and let go of the clients that still wait."""
        self.closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together

    def do_POST(self) -> None:
        endpoint: Endpoint = self.server.endpoint  # type: ignore[attr-defined]
        arrived = time.monotonic()
        with endpoint.lock:
            endpoint.requests += 1
            endpoint.serving += 1
            answer = endpoint.behave(endpoint)
        try:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if isinstance(answer, str):
                if answer == HANG:
                    endpoint.closed.wait(30)
                self.close_connection = True
            else:
                endpoint.closed.wait(answer.delay)
                self._send(answer)
        except ConnectionError:
            self.close_connection = True  # the client did not want to wait
        finally:
            with endpoint.lock:
                endpoint.serving -= 1
                status = 0 if isinstance(answer, str) else answer.status
                endpoint.arrivals.append((arrived, status))

    do_GET = do_POST

    def _send(self, answer: Answer) -> None:
        body = answer.body
        if body is None:
            body = _success(self.path) if answer.status == 200 else {"error": {"message": "no"}}
        content = (json.dumps(body) if answer.text is None else answer.text).encode()
        self.send_response(answer.status, "as asked")
        kind = "application/json" if answer.text is None else "text/event-stream"
        for name, value in {"Content-Type": kind, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on stderr."""


def _success(path: str) -> Any:
    """What the API at this path answers when all is well."""
    if path.endswith("/messages"):
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "42"}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 1},
        }
    if ":generateContent" in path:
        content = {"role": "model", "parts": [{"text": "42"}]}
        return {
            "candidates": [{"content": content, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 1},
        }
    if path.endswith("/responses"):
        part = {"type": "output_text", "text": "42", "annotations": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 0,
            "model": "m",
            "status": "completed",
            "output": [{**message, "content": [part]}],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
        }
    if path.endswith("/v2/chat"):  # Cohere's
        message = {"role": "assistant", "content": [{"type": "text", "text": "42"}]}
        return {"id": "1", "finish_reason": "COMPLETE", "message": message}
    if path.endswith("/api/chat"):  # Ollama's
        return {"model": "m", "done": True, "message": {"role": "assistant", "content": "42"}}
    if path.endswith("/converse"):
        return {
            "output": {"message": {"role": "assistant", "content": [{"text": "42"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
            "metrics": {"latencyMs": 1},
        }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "42"},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }


@pytest.fixture(autouse=True)
def _without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM fetches prices when it is loaded."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A fresh endpoint that answers everything with success until it is told otherwise."""
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture(autouse=True)
def _let_go(request: pytest.FixtureRequest) -> Iterator[None]:
    """What clients keep open for later is let go where warnings of it are expected."""
    yield
    if request.node.get_closest_marker("filterwarnings"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()
