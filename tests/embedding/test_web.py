"""docs/examples/web_service.py: run_async inside the loop of a web server."""

from __future__ import annotations

import asyncio
import importlib
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

from doteval.storage import open_store

fastapi = pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")
uvicorn = pytest.importorskip("uvicorn")

PATIENCE = 30.0  # seconds to wait for what happens in the server's thread


@pytest.fixture
def app(examples):
    """The application of the example."""
    return importlib.import_module("web_service").app


def state(folder):
    """Status of the only run, and how many records are stored; None before there is a run."""
    path = folder / ".doteval" / "results.db"
    if not path.exists():
        return None, 0
    with closing(open_store(str(path))) as store:
        if not store.experiments():
            return None, 0
        (run,) = store.runs("e")
        return run.status, len(list(store.records("e", run.evaluation)))


def until(condition):
    """Wait for something that happens in another thread."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


class Server:
    """The application under a real server on the loopback interface."""

    def __init__(self, app):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listening],))
        self._thread.start()

    def stop(self):
        """As a signal would; returns when it has stopped."""
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        self._listening.close()
        assert not self._thread.is_alive()


@pytest.fixture
def server(app):
    server = Server(app)
    yield server
    server.stop()


@contextmanager
def asking(port):
    """A connection that has asked for a run and waits for its answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /runs/e HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        yield


def test_a_request_runs_an_evaluation(app, examples):
    """In the loop of the application; the answer is the summary, and the next one is at once."""

    async def main():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            first = await client.post("/runs/e", params={"samples": 4})
            again = await client.post("/runs/e", params={"samples": 4})
            return first, again

    first, again = asyncio.run(main())

    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["scored"], again.json()["scored"]) == (4, 4)
    assert again.json()["attempts"] == first.json()["attempts"]


def test_two_requests_for_one_experiment_exclude_each_other(app):
    """The second is told who is at work, and the first is not disturbed."""

    async def main():
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            asked = (client.post("/runs/e", params={"samples": 4}) for _ in range(2))
            return await asyncio.gather(*asked)

    answers = sorted(asyncio.run(main()), key=lambda answer: answer.status_code)

    assert [answer.status_code for answer in answers] == [200, 409]
    assert "is being run by" in answers[1].json()["detail"]


def test_a_client_that_goes_away_stops_its_run(server, examples):
    """What was finished is kept, and the next request goes on from there."""
    with asking(server.port):
        until(lambda: state(examples)[1])
    until(lambda: state(examples)[0] == "interrupted")

    assert 0 < state(examples)[1] < 120


def test_a_server_that_stops_ends_its_runs_in_order(server, examples):
    """When its grace period is over it cancels what is left; finished rows are durable."""
    with asking(server.port):
        until(lambda: state(examples)[1])
        server.stop()
    status, kept = state(examples)

    assert status == "interrupted"
    assert 0 < kept < 120
