"""Evaluations whose rows run in other processes; a module, because a worker imports it by name."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from functools import wraps
from pathlib import Path

from doteval import ForEach, Result, Score, note, replayable
from doteval.concurrency import SlidingWindow

SPAWN = multiprocessing.get_context("spawn")


def pool(workers=2):
    return ProcessPoolExecutor(workers, mp_context=SPAWN)


elsewhere = ForEach(concurrency=SlidingWindow(4), executor=pool)


@elsewhere.batched("n", range(5), size=2)
def eval_together(n):
    note(model_response=[str(each) for each in n])
    return [each < 10 for each in n]


@elsewhere("n", range(6))
def eval_plain(n):
    return Result(Score("pid", os.getpid()), prompt=str(n))


@elsewhere("n", range(6))
async def eval_async(n):
    await asyncio.sleep(0)
    return Score("pid", os.getpid())


@elsewhere("n", [1, 2, 3])
def eval_raises(n):
    if n == 1:
        raise ValueError("one")
    if n == 2:
        raise SystemExit(2)
    return Result(True, metadata={"thread": threading.Lock()})


@elsewhere("n,folder", [(n, "") for n in range(8)])
def eval_dies_once(n, folder, marks):
    if n == 3 and not Path(marks, "died").exists():
        Path(marks, "died").touch()
        os._exit(9)
    return True


def dies_at_3(n, mark):
    if n == 3 and not Path(mark).exists():
        Path(mark).touch()
        os._exit(9)
    return True


def on_a_visit(module):
    """A function that says it is of another module."""

    def eval_guest(n):
        return True

    eval_guest.__module__, eval_guest.__qualname__ = module, "eval_guest"
    return eval_guest


class Busy(Exception):
    """As httpx raises it: it can be pickled, and not be made again."""

    def __init__(self, *, status_code):
        super().__init__("busy")
        self.status_code, self.retry_after = status_code, 0


def refused_once(n, folder):
    """Fails the first time, with an error behind that of a wrapper."""
    if not Path(folder, "refused").exists():
        Path(folder, "refused").touch()
        raise RuntimeError("no answer") from Busy(status_code=429)
    if not Path(folder, "again").exists():
        Path(folder, "again").touch()
        raise Busy(status_code=503)
    return True


class Blocking:
    """A retry object of another library, for plain functions, as tenacity's Retrying."""

    def wraps(self, function):
        def attempts(**row):
            try:
                return function(**row)
            except ConnectionError:
                return function(**row)

        return attempts


class Awaiting:
    """One for coroutines, as tenacity's AsyncRetrying."""

    def wraps(self, function):
        async def attempts(**row):
            try:
                return await function(**row)
            except ConnectionError:
                return await function(**row)

        return attempts


def better_the_second_time(n, marks):
    with Path(marks, str(n)).open("a+") as file:
        file.write(".")
        file.seek(0)
        if file.read() == ".":
            raise ConnectionError
    return True


@ForEach(executor=pool, retries=Blocking())("n", range(4))
def eval_retried(n, marks):
    return better_the_second_time(n, marks)


@ForEach(executor=pool, retries=Awaiting())("n", range(4))
async def eval_also_async(n, marks):
    return better_the_second_time(n, marks)


@elsewhere("n", [0])
def eval_always_dies(n):
    os._exit(9)


@elsewhere("n", [1])
def eval_with_client(n, client):
    return True


class Suite:
    offset = 10

    @elsewhere("n", [1, 2])
    def eval_method(self, n):
        return n + self.offset


def top_level(n):
    return threading.current_thread() is not threading.main_thread()


def logged(function):
    @wraps(function)
    def inner(*arguments, **named):
        return function(*arguments, **named)

    return inner


def nested():
    def inner(n):
        return True

    return inner


def on_any_thread(n):
    return True


def eval_length(messages):
    messages.append(0)
    return len(messages)


@elsewhere("n", range(3))
async def eval_notes(n):
    note(prompt=f"{n}?", usage={"input_tokens": 10})
    await asyncio.sleep(0)
    note(model_response="yes", metadata={"client": threading.Lock()} if n == 2 else None)
    if n:
        raise ValueError(n)
    return True


def answered(prompt):
    return [prompt, os.getpid()]


asks = replayable(answered)


@elsewhere("prompt", ["a", "b"])
def eval_asks_elsewhere(prompt):
    return asks(prompt)[0] == prompt
