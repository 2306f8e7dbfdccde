"""
kill -9 of runs that submit batches to a provider: nothing is submitted twice, and nothing lost.

DOTEVAL_SUBMIT_KILLS=1000 kills as often; the suite does it a few times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from doteval.storage import open_store

from .submitter import ROWS

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forked"),
]

KILLS = int(os.environ.get("DOTEVAL_SUBMIT_KILLS", "20"))
SEED = int(os.environ.get("DOTEVAL_SEED", random.randrange(1_000_000)))


class Provider(BaseHTTPRequestHandler):
    """
    Takes batches, one request after the other, and counts the rows of each. Now and then it ends
    whoever submits, just before it has made the batch or just after.
    """

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server, key = self.server, asked["key"]
        fate = server.chance.random()
        if fate < 0.1:
            return self.end()
        if not (server.repeats and key in server.batches):
            server.batches[key] = asked["rows"]
            server.rows.update(asked["rows"])
        if fate < 0.2:
            return self.end()
        self.reply(key)

    def do_GET(self):
        server, (_, kind, key) = self.server, self.path.split("/")
        if kind == "find":
            self.reply(key if key in server.batches else None)
        elif server.chance.random() < 0.05:
            self.reply(None)  # it is not ready
        else:
            self.reply([text.upper() for text in server.batches[key]])

    def end(self):
        self.server.ended += 1
        try:
            os.kill(int(self.headers["X-Pid"]), signal.SIGKILL)
        except ProcessLookupError:
            pass  # somebody else was faster

    def reply(self, content):
        data = json.dumps(content).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # who asked was killed

    def log_message(self, *told):
        pass


@pytest.fixture
def provider():
    """A server of this process, which outlives those that are killed."""
    server = HTTPServer(("127.0.0.1", 0), Provider)
    server.batches, server.rows, server.ended = {}, Counter(), 0
    server.chance = random.Random(SEED)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("mode", ["find", "repeat"])
def test_kill_9_submits_nothing_twice_and_loses_nothing(mode, provider, path, start):
    """Whether the provider can be asked for a key, or takes equal keys for one batch."""
    print(f"DOTEVAL_SEED={SEED}")
    provider.repeats = mode == "repeat"
    url = f"http://127.0.0.1:{provider.server_port}"

    process = start("-m", "faults.submitter", url, path, mode, KILLS // 2, SEED)
    out, err = process.communicate(timeout=60 + 2 * KILLS)
    found = json.loads(out.splitlines()[-1])
    print(found, provider.ended)

    assert found["wrong"] == [] and found["killed"] >= KILLS // 2, err
    texts = {f"{mode}{done} {n}" for done in range(found["done"]) for n in range(ROWS)}
    assert provider.rows == Counter(dict.fromkeys(texts, 1))  # each was submitted once
    store = open_store(path, create=False)
    for done in range(found["done"]):
        [name] = store.evaluations(f"{mode}{done}")
        scored = [each.row["text"] for each in store.records(f"{mode}{done}", name)]
        assert sorted(scored) == sorted(f"{mode}{done} {n}" for n in range(ROWS))
    store.close()
