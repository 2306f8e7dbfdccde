"""
An evaluation behind HTTP: a request runs it, and a client that goes away stops it.

    pip install fastapi uvicorn
    cd docs/examples && uvicorn web_service:app --timeout-graceful-shutdown 10

    curl -X POST 'localhost:8000/runs/first-look?samples=20'
"""

import asyncio
from typing import Any

from eval_tickets import eval_tickets
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from doteval import run_async
from doteval.errors import Busy

app = FastAPI()


@app.post("/runs/{experiment}")
async def run(experiment: str, request: Request, samples: int | None = None) -> dict[str, Any]:
    """Run, and answer with the summary. The same experiment again goes on where it was."""
    running = asyncio.create_task(
        run_async(eval_tickets, experiment, samples=samples, progress=False)
    )
    leaving = asyncio.create_task(gone(request))
    try:
        await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return running.result().to_dict() if running.done() else {}
    finally:
        # Finished; or the client has gone; or the server stops, and cancels this function.
        running.cancel()
        leaving.cancel()
        await asyncio.wait({running, leaving})


async def gone(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.1)


@app.exception_handler(Busy)
async def busy(request: Request, error: Exception) -> JSONResponse:
    """Somebody else is running the same experiment; the message says who."""
    return JSONResponse({"detail": str(error)}, status_code=409)
