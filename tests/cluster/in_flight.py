"""
So many rows in flight in one process, against a server in another one.

    python -m tests.cluster.in_flight ROWS_IN_FLIGHT [SECONDS]

The server answers nobody until so many ask at the same time; from then on each answer takes
SECONDS. Prints one line of JSON: what was seen, or why this machine can not.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from doteval import ForEach, Result, run_async
from doteval.concurrency import SlidingWindow
from doteval.evaluators import exact_match

SPARE = 200  # connections more than rows, and files that a process has open besides
ROOT = Path(__file__).parent.parent.parent
PATIENCE = 90.0  # seconds that the server waits for all of them before it answers all the same
BEAT = 0.01  # seconds between two looks at the clock of the loop


def room_for(connections: int) -> int:
    """How many files this process may have open, after asking for all that it can get."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


# ------------------------------------------------------------------------------- the server


async def serve(wanted: int, seconds: float) -> None:
    """Print the port; at the end of the input, print how many asked at the same time."""
    everybody = asyncio.Event()
    asking = most = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asking, most
        while question := await reader.readline():
            asking += 1
            most = max(most, asking)
            if most >= wanted:
                everybody.set()
            await everybody.wait()
            await asyncio.sleep(seconds)
            asking -= 1
            writer.write(question.upper())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=wanted)
    loop = asyncio.get_running_loop()
    loop.call_later(PATIENCE, everybody.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(most, flush=True)


# ------------------------------------------------------------------------------- the client


class Client:
    """Raw streams: a connection for each row in flight, used again when its row has ended."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.opened = 0

    async def ask(self, question: str) -> str:
        if self._idle:
            connection = self._idle.pop()
        else:
            self.opened += 1
            connection = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = connection
        writer.write(f"{question}\n".encode())
        answer = (await reader.readline()).decode().strip()
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


def memory() -> tuple[float, ...]:
    """Megabytes (10**6 bytes) that this process holds now, and the most that it ever held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = dict(line.split(":", 1) for line in status.splitlines())
    return tuple(int(found[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))


async def late(lags: list[float]) -> None:
    """Note for ever by how many seconds the loop is late."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + BEAT
        await asyncio.sleep(BEAT)
        lags.append(loop.time() - due)


async def measure(port: int, wanted: int, store: str) -> dict[str, float]:
    """Run twice as many rows as may be in flight, and look at what that takes."""
    client = Client(port)
    rows = [(f"question {n}", f"QUESTION {n}") for n in range(2 * wanted)]

    @ForEach(concurrency=SlidingWindow(wanted), retries=0)("question,expected", rows)
    async def eval_shouting(question: str, expected: str) -> Result:
        answer = await client.ask(question)
        return Result(exact_match(answer, expected), prompt=question, model_response=answer)

    lags: list[float] = []
    watch = asyncio.create_task(late(lags))
    before, _ = memory()
    began, cpu = time.perf_counter(), time.process_time()
    summary = await run_async(eval_shouting, "in flight", store, progress=False)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    watch.cancel()
    client.close()
    lags.sort()
    return {
        "rows": len(rows),
        "scored": summary.scored,
        "right": summary.scores["exact_match"]["accuracy"].value or 0.0,
        "opened": client.opened,
        "seconds": seconds,
        "cpu": cpu,
        "memory_mb": memory()[1] - before,
        "lag_p50": lags[len(lags) // 2],
        "lag_p99": lags[int(len(lags) * 0.99)],
        "lag_most": lags[-1],
    }


def main(wanted: int, seconds: float) -> dict[str, float | str]:
    allowed = room_for(wanted)
    if allowed < wanted + SPARE:
        return {"skipped": f"{allowed} open files allowed, {wanted + SPARE} needed"}
    command = [sys.executable, "-m", "tests.cluster.in_flight", "serve", str(wanted), str(seconds)]
    with (
        TemporaryDirectory() as folder,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdin is not None and server.stdout is not None
        port = int(server.stdout.readline())
        seen = asyncio.run(measure(port, wanted, f"{folder}/results.db"))
        server.stdin.close()
        return {"at_once": int(server.stdout.readline()), **seen}


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        room_for(int(sys.argv[2]))
        asyncio.run(serve(int(sys.argv[2]), float(sys.argv[3])))
    else:
        print(json.dumps(main(int(sys.argv[1]), float((*sys.argv, "0.5")[2]))))
