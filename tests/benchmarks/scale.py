"""Scale: ten thousand rows in flight, and the bookkeeping of the adaptive limit."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator

from doteval import run_async
from doteval.concurrency import Adaptive, SlidingWindow

from .figures import ROOT, Figure, Size
from .work import evaluation, rows_of

_PATIENCE = 60.0  # seconds that the server waits for all of them to be there


def figures(size: Size) -> Iterator[Figure]:
    wanted = _openable(size.rows(10_000))
    seconds, seen = _all_at_once(size, wanted)
    yield Figure(
        f"a window of {wanted:,} on a server that answers when all are there", seen, wanted, "rows",
        least=True, detail=f"{seconds:.1f} s in all",
    )  # fmt: skip

    n = size.rows(200_000)
    adaptive, fixed = (
        min(_bookkeeping(gate(), n) for _ in range(size.rounds))
        for gate in (Adaptive(100, max_concurrency=200).gate, SlidingWindow(100).gate)
    )
    yield Figure(
        "Adaptive's bookkeeping, a completion", adaptive * 1e6, 5, "µs",
        detail=f"a fixed window {fixed * 1e6:.2f} µs",
    )  # fmt: skip


def _openable(wanted: int) -> int:
    """How many connections the system lets one process have, at most `wanted`."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + 100:
        soft = min(wanted + 100, hard) if hard != resource.RLIM_INFINITY else wanted + 100
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, soft - 100)


def _all_at_once(size: Size, wanted: int) -> tuple[float, int]:
    """Seconds for rows that are answered when all of them wait, and how many did."""
    command = [sys.executable, "-m", __name__, str(wanted)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())

        async def ask(question: str, answer: str) -> bool:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"{question}\n".encode())
            right = await reader.readline() == b"yes\n"
            writer.close()
            return right

        began = time.perf_counter()
        work = evaluation(rows_of(wanted), ask, wanted)
        store = str(size.folder / "scale.db")
        summary = asyncio.run(run_async(work, "benchmark", store, progress=False))
        seconds = time.perf_counter() - began
        seen = json.loads(server.stdout.readline())
    assert summary.failed == 0, f"{summary.failed} rows failed"
    return seconds, seen


def _bookkeeping(gate: object, n: int) -> float:
    """Seconds a completion: an end, the next start and the questions before it."""
    now, step = 0.0, 0.0005
    tokens = [gate.started(now) for _ in range(100)]
    from doteval.concurrency.evidence import Outcome

    success = Outcome.SUCCESS
    began = time.perf_counter()
    for index in range(n):
        now += step
        gate.ended(tokens[index % 100], now, success)
        gate.room(99)
        gate.ready_at(now)
        tokens[index % 100] = gate.started(now)
    return (time.perf_counter() - began) / n


async def _serve(wanted: int) -> None:
    """Answer when so many have asked; print the port, and later how many asked at once."""
    everybody = asyncio.Event()
    waiting = most = answered = 0
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal waiting, most, answered
        await reader.readline()
        waiting += 1
        most = max(most, waiting)
        if waiting == wanted:
            everybody.set()
        await everybody.wait()
        writer.write(b"yes\n")
        await writer.drain()
        writer.close()
        waiting -= 1
        answered += 1
        if answered == wanted:
            over.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=wanted)
    asyncio.get_running_loop().call_later(_PATIENCE, everybody.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    print(most, flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1])
    _openable(count)
    asyncio.run(_serve(count))
