"""
Evaluations of every kind, as a user may write them in one file beside plain tests.

`test_matrix.py` copies this file as `eval_matrix.py` and runs it under each combination of plugins
for pytest. Its name keeps it from being collected where it stands. EXPECTED says how each ends.
"""

import asyncio
from contextvars import ContextVar
from pathlib import Path

import pytest

from doteval import ForEach, Result, foreach
from doteval.concurrency import AsyncSequential, Batch, SlidingWindow
from doteval.evaluators import exact_match

EXPECTED = {
    "eval_plain": "passed",
    "eval_async": "passed",
    "eval_strategy[sequential]": "passed",
    "eval_strategy[batch]": "passed",
    "eval_strategy[window]": "passed",
    "eval_plain_fixture": "passed",
    "eval_async_fixture": "passed",
    "eval_generator_fixture": "passed",
    "eval_shared_first": "passed",
    "eval_shared_second": "passed",
    "eval_session": "passed",
    "eval_parameters[1-a]": "passed",
    "eval_parameters[1-b]": "passed",
    "eval_parameters[2-a]": "passed",
    "eval_parameters[2-b]": "passed",
    "eval_fixture_parameters[x]": "passed",
    "eval_fixture_parameters[y]": "passed",
    "eval_through_plain": "passed",
    "eval_context": "passed",
    "eval_scope_across_yield": "passed",
    "eval_method": "passed",
    "eval_errors": "failed",
    "eval_skip_in_row": "failed",
    "eval_skipped": "skipped",
    "eval_skipped_by_fixture": "skipped",
    "eval_expected_to_fail": "skipped",  # xfail, in the words of JUnit
    "eval_teardown": "error",
    "eval_missing": "error",
    "eval_empty": "failed",
    "test_plain": "passed",
}
RIGHT = 3  # of four rows

ROWS = [("a", "a"), ("b", "b"), ("c", "c"), ("d", "?")]
who = ContextVar("who", default="nobody")


def told(*words):
    """Keep a line of what happened, beside this file."""
    with Path(__file__).with_suffix(".log").open("a", encoding="utf-8") as log:
        log.write(" ".join(words) + "\n")


class Client:
    """One that works on the loop only on which it was made, as real ones do."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.is_open = True

    async def ask(self, question):
        assert self.is_open
        assert asyncio.get_running_loop() is self.loop
        await asyncio.sleep(0)
        return question

    async def close(self):
        assert asyncio.get_running_loop() is self.loop
        self.is_open = False


# ------------------------------------------------------------------------------ fixtures


@pytest.fixture
def plain():
    return lambda question: question


@pytest.fixture
async def awaited():
    await asyncio.sleep(0)
    return Client()


@pytest.fixture
async def generated(awaited):
    told("generated opens")
    yield awaited
    await awaited.close()
    told("generated closes")


@pytest.fixture(scope="module")
async def shared():
    client = Client()
    told("shared opens")
    yield client
    await client.close()
    told("shared closes")


@pytest.fixture(scope="session")
async def for_all():
    client = Client()
    yield client
    await client.close()


@pytest.fixture(params=["x", "y"])
async def variant(request):
    return request.param


@pytest.fixture
def through_plain(request):
    return request.getfixturevalue("awaited")


@pytest.fixture
async def in_context():
    who.set("fixture")
    yield
    assert who.get() == "fixture"


@pytest.fixture
async def timed():
    task = asyncio.current_task()
    yield
    assert asyncio.current_task() is task


@pytest.fixture
async def skipping():
    pytest.skip("no key")


@pytest.fixture
async def lost():
    yield
    raise OSError("connection lost")


# --------------------------------------------------------------------------- evaluations


@foreach("question,answer", ROWS)
def eval_plain(question, answer):
    return exact_match(question, answer)


@foreach("question,answer", ROWS)
async def eval_async(question, answer):
    await asyncio.sleep(0)
    return Result(exact_match(question, answer), prompt=question, model_response=answer)


STRATEGIES = {
    "sequential": AsyncSequential(),
    "batch": Batch(batch_size=2),
    "window": SlidingWindow(max_concurrency=2),
}
for _name, _strategy in STRATEGIES.items():

    @ForEach(concurrency=_strategy)("question,answer", ROWS)
    async def eval_strategy(question, answer, awaited):
        return exact_match(await awaited.ask(question), answer)

    eval_strategy.__name__ = f"eval_strategy[{_name}]"
    globals()[f"eval_strategy[{_name}]"] = eval_strategy
del eval_strategy


@foreach("question,answer", ROWS)
def eval_plain_fixture(question, answer, plain):
    return exact_match(plain(question), answer)


@foreach("question,answer", ROWS)
async def eval_async_fixture(question, answer, awaited):
    return exact_match(await awaited.ask(question), answer)


@foreach("question,answer", ROWS)
async def eval_generator_fixture(question, answer, generated):
    return exact_match(await generated.ask(question), answer)


@foreach("question,answer", ROWS)
async def eval_shared_first(question, answer, shared):
    return exact_match(await shared.ask(question), answer)


@foreach("question,answer", ROWS)
async def eval_shared_second(question, answer, shared):
    return exact_match(await shared.ask(question), answer)


@foreach("question,answer", ROWS)
async def eval_session(question, answer, for_all):
    return exact_match(await for_all.ask(question), answer)


@pytest.mark.parametrize("letter", ["a", "b"])
@foreach("question,answer", ROWS)
@pytest.mark.parametrize("number", [1, 2])
def eval_parameters(question, answer, letter, number):
    assert letter in "ab" and number in (1, 2)
    return exact_match(question, answer)


@foreach("question,answer", ROWS)
def eval_fixture_parameters(question, answer, variant):
    assert variant in "xy"
    return exact_match(question, answer)


@foreach("question,answer", ROWS)
async def eval_through_plain(question, answer, through_plain):
    return exact_match(await through_plain.ask(question), answer)


@pytest.mark.usefixtures("in_context")
@foreach("question,answer", ROWS)
async def eval_context(question, answer):
    assert who.get() == "fixture"
    return exact_match(question, answer)


@foreach("question,answer", ROWS)
async def eval_scope_across_yield(question, answer, timed):
    return exact_match(question, answer)


class TestMethods:
    @pytest.fixture(autouse=True)
    async def prepare(self):
        self.client = Client()
        yield
        await self.client.close()

    @foreach("question,answer", ROWS)
    async def eval_method(self, question, answer):
        return exact_match(await self.client.ask(question), answer)


@foreach("question,answer", ROWS)
def eval_errors(question, answer):
    if answer == "?":
        raise LookupError(question)
    return exact_match(question, answer)


@foreach("question,answer", ROWS)
def eval_skip_in_row(question, answer):
    if answer == "?":
        pytest.skip("no answer")
    return exact_match(question, answer)


@pytest.mark.skip(reason="not now")
@foreach("question,answer", ROWS)
def eval_skipped(question, answer):
    raise AssertionError


@foreach("question,answer", ROWS)
def eval_skipped_by_fixture(question, answer, skipping):
    raise AssertionError


@pytest.mark.xfail(reason="known")
@foreach("question,answer", ROWS)
def eval_expected_to_fail(question, answer):
    raise LookupError(question)


@foreach("question,answer", ROWS)
def eval_teardown(question, answer, lost):
    return exact_match(question, answer)


@foreach("question,answer", ROWS)
def eval_missing(question, answer, nowhere):
    raise AssertionError


@foreach("question,answer", [])
def eval_empty(question, answer):
    raise AssertionError


def test_plain(plain):
    assert plain("a") == "a"
