"""Evaluations whose rows run on a cluster's workers, which import this module by its name."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from doteval import Score, note, replayable


def eval_plain(n):
    return Score("pid", os.getpid())


async def eval_async(n):
    await asyncio.sleep(0)
    return Score("pid", os.getpid())


def eval_raises(n):
    if n == 1:
        raise ValueError("one")
    if n == 2:
        raise SystemExit(2)
    return True


def eval_dies_once(n, folder):
    begun(n, folder)
    if n == 5 and not Path(folder, "died").exists():
        Path(folder, "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return True


@replayable
def asked(n):
    return f"answer {n}"


def eval_noted(n, folder):
    """Dies once at row 5, and fails at row 7 for good."""
    note(prompt=f"ask {n}", usage={"input_tokens": 3}, model_response=asked(n))
    if n == 5 and not Path(folder, "died").exists():
        Path(folder, "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if n == 7:
        raise ValueError("seven")
    return True


def eval_always_dies(n):
    if n == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return True


def eval_counted(n, folder):
    begun(n, folder)
    return True


def eval_better_the_second_time(n, folder):
    begun(n, folder)
    if len(Path(folder, f"row-{n}").read_text()) == 1:
        raise ConnectionError("the first time")
    return True


def eval_slow(n, folder, seconds):
    begun(n, folder)
    time.sleep(seconds)  # what a plain function does on a worker: nobody can interrupt it
    return True


def begun(n, folder):
    """Leave a mark that this row was begun."""
    with Path(folder, f"row-{n}").open("a") as file:
        file.write(".")
