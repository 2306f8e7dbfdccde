"""Whole runs with the real SDKs, against an endpoint that refuses, fails and hangs."""

from __future__ import annotations

import asyncio
import time

import pytest

import doteval
from doteval import ForEach, Result, Retry
from doteval.concurrency import Adaptive, SlidingWindow

from .conftest import DROP, Answer, Endpoint

ROWS = [(f"question {number}", "42") for number in range(40)]
SOON = {"retry-after-ms": "100", "retry-after": "1"}
QUICK = Retry(first=0.05, longest=0.5, patience=20)


class OpenAI:
    """A model behind the openai package."""

    def __init__(self, url: str, retries: int) -> None:
        openai = pytest.importorskip("openai")
        self.client = openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=retries)

    async def __call__(self, question: str) -> str:
        messages = [{"role": "user", "content": question}]
        answer = await self.client.chat.completions.create(model="m", messages=messages)
        return answer.choices[0].message.content

    async def close(self) -> None:
        await self.client.close()


class Anthropic:
    """A model behind the anthropic package."""

    def __init__(self, url: str, retries: int) -> None:
        anthropic = pytest.importorskip("anthropic")
        self.client = anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=retries)

    async def __call__(self, question: str) -> str:
        messages = [{"role": "user", "content": question}]
        answer = await self.client.messages.create(model="m", max_tokens=9, messages=messages)
        return answer.content[0].text

    async def close(self) -> None:
        await self.client.close()


class Httpx:
    """A model behind plain httpx."""

    def __init__(self, url: str, retries: int) -> None:
        httpx = pytest.importorskip("httpx")
        self.client = httpx.AsyncClient(base_url=url)

    async def __call__(self, question: str) -> str:
        answer = await self.client.post("/chat/completions", json={"question": question})
        answer.raise_for_status()
        return answer.json()["choices"][0]["message"]["content"]

    async def close(self) -> None:
        await self.client.aclose()


class Aiohttp:
    """A model behind plain aiohttp."""

    def __init__(self, url: str, retries: int) -> None:
        aiohttp = pytest.importorskip("aiohttp")
        self.url = url + "/chat/completions"
        self.client = aiohttp.ClientSession()

    async def __call__(self, question: str) -> str:
        async with self.client.post(self.url, json={"question": question}) as answer:
            answer.raise_for_status()
            return (await answer.json())["choices"][0]["message"]["content"]

    async def close(self) -> None:
        await self.client.close()


every_model = pytest.mark.parametrize("kind", [OpenAI, Anthropic, Httpx, Aiohttp])


def run(kind, endpoint: Endpoint, foreach: ForEach, rows=ROWS, retries: int = 0):
    """The Summary and the records of one run."""
    records = []

    @foreach("question,answer", rows)
    async def eval_model(question, answer, model):
        text = await model(question)
        return Result(text == answer, prompt=question, model_response=text)

    async def main():
        model = kind(endpoint.url, retries)
        try:
            return await doteval.run_async(
                eval_model, storage="memory://", progress=records.append, model=model
            )
        finally:
            await model.close()

    return asyncio.run(main()), records


def statuses(endpoint: Endpoint) -> list[int]:
    return [status for _, status in endpoint.arrivals]


@pytest.mark.parametrize(
    ("kind", "retries"),
    [(OpenAI, 0), (OpenAI, 2), (Anthropic, 0), (Anthropic, 2), (Httpx, 0), (Aiohttp, 0)],
)
@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {}), (429, SOON), (503, SOON), (529, {})],
    ids=["429", "429-retry-after", "503-retry-after", "529"],
)
def test_every_row_finishes_at_an_endpoint_that_takes_three_at_once(
    kind, endpoint, retries, status, headers
):
    """Nobody has to set a limit: what is refused is called again until it is answered."""
    endpoint.behave = lambda endpoint: (
        Answer(status, headers) if endpoint.serving > 3 else Answer(delay=0.02)
    )

    summary, records = run(kind, endpoint, ForEach(Adaptive(), retries=QUICK), retries=retries)

    assert (summary.total, summary.scored, summary.failed) == (40, 40, 0)
    assert statuses(endpoint).count(200) == 40
    assert status in statuses(endpoint)
    if not retries:
        assert sum(record.attempts for record in records) == endpoint.requests


def test_every_row_of_a_plain_function_finishes(endpoint):
    """A `def` with the blocking client, on threads."""
    openai = pytest.importorskip("openai")
    endpoint.behave = lambda endpoint: (
        Answer(429, SOON) if endpoint.serving > 3 else Answer(delay=0.02)
    )

    @ForEach(Adaptive(), retries=QUICK)("question,answer", ROWS)
    def eval_model(question, answer, client):
        messages = [{"role": "user", "content": question}]
        answered = client.chat.completions.create(model="m", messages=messages)
        return answered.choices[0].message.content == answer

    with openai.OpenAI(api_key="k", base_url=endpoint.url, max_retries=0) as client:
        summary = doteval.run(eval_model, storage="memory://", progress=False, client=client)

    assert (summary.scored, summary.failed) == (40, 0)
    assert 429 in statuses(endpoint)


@every_model
def test_retry_after_holds_back_the_whole_endpoint(kind, endpoint):
    """One row is refused, and nobody calls before the time has come."""
    refused = []

    def behave(endpoint):
        if endpoint.requests == 12:
            refused.append(time.monotonic())
            return Answer(429, {"retry-after-ms": "1000"})
        return Answer(delay=0.02)

    endpoint.behave = behave

    summary, records = run(kind, endpoint, ForEach(SlidingWindow(4), retries=QUICK))

    since = [at - refused[0] for at, _ in endpoint.arrivals]
    assert [moment for moment in since if 0.4 < moment < 0.98] == []  # what was on its way arrives
    assert summary.scored == 40
    assert sum(record.waited > 0.9 for record in records) >= 1
    assert max(record.duration for record in records) < 0.9  # waiting is no latency


@every_model
@pytest.mark.parametrize("behaviour", [DROP, Answer(500), Answer(503), Answer(408)])
def test_isolated_trouble_is_tried_again(kind, endpoint, behaviour):
    """Every tenth call fails; all rows finish."""
    endpoint.behave = lambda endpoint: (
        behaviour if endpoint.requests % 10 == 0 else Answer(delay=0.01)
    )

    summary, _ = run(kind, endpoint, ForEach(SlidingWindow(4), retries=QUICK))

    assert (summary.scored, summary.failed) == (40, 0)


@every_model
def test_a_call_that_is_wrong_is_made_once(kind, endpoint):
    """A 400 is the same next time; the other rows are not touched by it."""
    endpoint.behave = lambda endpoint: Answer(400 if endpoint.requests == 3 else 200)

    summary, records = run(kind, endpoint, ForEach(SlidingWindow(4), retries=QUICK))

    assert (summary.scored, summary.failed) == (39, 1)
    assert [record.attempts for record in records if record.failed] == [1]
    assert endpoint.requests == 40


@pytest.mark.parametrize("kind", [OpenAI, Httpx])
def test_an_empty_account_ends_soon(kind, endpoint):
    """Rows fail with the endpoint's words, instead of waiting until patience is over."""
    error = {"message": "no money", "type": "insufficient_quota", "code": "insufficient_quota"}
    endpoint.behave = lambda endpoint: Answer(429, {}, {"error": error})

    summary, _ = run(kind, endpoint, ForEach(), rows=ROWS[:5])

    assert (summary.scored, summary.failed) == (0, 5)
    assert endpoint.requests == 5


@every_model
def test_retries_by_tenacity_see_the_same_errors(kind, endpoint):
    """tenacity makes the attempts, and every row finishes."""
    tenacity = pytest.importorskip("tenacity")
    policy = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(8), wait=tenacity.wait_random(0, 0.05)
    )
    endpoint.behave = lambda endpoint: Answer(429 if endpoint.requests % 5 == 0 else 200)

    summary, _ = run(kind, endpoint, ForEach(SlidingWindow(4), retries=policy))

    assert (summary.scored, summary.failed) == (40, 0)
    assert statuses(endpoint).count(200) == 40


@every_model
@pytest.mark.parametrize("where", ["script", "notebook"])
def test_a_client_that_a_module_holds_serves_every_run(kind, where, endpoint):
    """Its connections belong to the loop of the first run, which the others share."""
    pytest.importorskip(kind.__name__.lower())
    models, records = [], []

    @ForEach(concurrency=SlidingWindow(10))("question,answer", ROWS)
    async def eval_held(question, answer):
        if not models:
            models.append(kind(endpoint.url, 0))
        return await models[0](question) == answer

    @ForEach()("n", [1])
    async def eval_close(n):
        await models[0].close()
        return True

    async def cell():
        every_run()

    def every_run():
        for evaluation in (eval_held, eval_held, eval_held, eval_close):
            doteval.run(evaluation, storage="memory://", progress=False, on_record=records.append)

    if where == "script":
        every_run()
    else:
        asyncio.run(cell())

    assert len(records) == 3 * len(ROWS) + 1
    assert {(record.failed, record.attempts) for record in records} == {(False, 1)}
