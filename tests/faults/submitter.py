"""
Runs that are killed at random moments, one after the other, in processes that are forked here.

    python -m faults.submitter URL STORE MODE KILLS SEED

Each evaluates 12 rows in batches of 3 until it is done; then comes the next experiment. It prints
how many were killed, how many experiments were completed, and what was wrong, as JSON.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

from doteval import foreach, run

ROWS = 12


class Provider:
    """
    The provider's client, which tells the server its process, so that it may end it.

    Args:
        mode: "find": it can be asked what it has; "repeat": equal keys are one batch.
    """

    size = 3

    def __init__(self, url, mode):
        self._url = urlsplit(url)
        self.idempotent = mode == "repeat"
        self.find = self._find if mode == "find" else None

    def _ask(self, method, path, asked=None):
        connection = HTTPConnection(self._url.netloc, timeout=30)
        body = None if asked is None else json.dumps(asked)
        connection.request(method, path, body, {"X-Pid": str(os.getpid())})
        try:
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def submit(self, rows, key):
        return self._ask("POST", "/batches", {"key": key, "rows": [row["text"] for row in rows]})

    def _find(self, key):
        return self._ask("GET", f"/find/{key}")

    def collect(self, ticket):
        return self._ask("GET", f"/batches/{ticket}")


def one_life(url, store, mode, experiment):
    """A run that is to be killed."""
    data = [f"{experiment} {n}" for n in range(ROWS)]

    @foreach("text", data, batch=Provider(url, mode))
    def eval_work(text, reply):
        return reply == text.upper()

    eval_work.__name__ = "eval_work"
    summary = run(eval_work, experiment, store, progress=False)
    return 0 if summary.scored == ROWS and summary.failed == 0 else 3


def main(url, store, mode, kills, seed):
    """See above."""
    chance, killed, done, wrong, usual, over = random.Random(seed), 0, 0, [], 0.5, False
    while not over and not wrong:
        experiment, began = f"{mode}{done}", time.perf_counter()
        child = os.fork()
        if child == 0:
            os._exit(one_life(url, store, mode, experiment))
        moment = began + chance.random() * 1.2 * usual if killed < kills else math.inf
        ended = status = 0
        while not ended and time.perf_counter() < moment:
            time.sleep(0.001)
            ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.WEXITSTATUS(status) == 0:
            done += 1
            over = killed >= kills
            usual = 0.8 * usual + 0.2 * (time.perf_counter() - began)
        else:
            wrong.append(f"{experiment}: {os.WEXITSTATUS(status)}")
    print(json.dumps({"killed": killed, "done": done, "wrong": wrong}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
