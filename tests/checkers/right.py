"""What people write. Type checkers find nothing wrong in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from doteval import (
    Evaluation,
    ForEach,
    Result,
    Score,
    Summary,
    compare,
    foreach,
    records,
    run,
    run_async,
)  # fmt: skip
from doteval.concurrency import Adaptive, AsyncSequential, SlidingWindow
from doteval.evaluators import (
    Judge,
    choice_match,
    contains,
    evaluator,
    exact_match,
    f1,
    numeric_match,
    valid_json,
)  # fmt: skip
from doteval.metrics import accuracy, metric

ROWS = [("2 + 2", "4"), ("3 + 3", "6")]


class Client:
    async def ask(self, question: str) -> str:
        return str(eval(question))


@foreach("question,answer", ROWS)
def eval_plain(question: str, answer: str) -> bool:
    return str(eval(question)) == answer


@ForEach(concurrency=SlidingWindow(5), timeout=30, retries=2, rate_limit="500/min", repeats=2)(
    "question,answer", ROWS, tags="source"
)
async def eval_client(question: str, answer: str, client: Client) -> Result:
    said = await client.ask(question)
    return Result(
        exact_match(said, answer, strip=True),
        numeric_match(said, answer, tolerance=0.1, name="close"),
        is_short(said),
        is_short(said, name="brevity"),
        await is_kind(said, said),
        prompt=question,
        model_response=said,
        usage={"input_tokens": 3},
    )


def numbers() -> Iterator[dict[str, object]]:
    yield {"n": 1}


@foreach("n", numbers)
def eval_scores(n: int) -> list[Score]:
    return [choice_match("B", "B"), contains("x", "x"), f1("a b", "a"), valid_json("{}")]


@pytest.mark.parametrize("model", ["small", "large"])
@foreach("question,answer", Path("rows.jsonl"))
def eval_file(question: str, answer: str, model: str) -> float:
    return float(len(question + answer + model))


class TestKept:
    @foreach("n", [1, 2])
    def eval_method(self, n: int) -> bool:
        return n > 1


@evaluator
def is_short(text: str, longest: int = 20) -> bool:
    return len(text) <= longest


@evaluator(metrics=["mean", "0..1"], name="kindness")
async def is_kind(text: str, expected: str) -> float:
    await asyncio.sleep(0)
    return float(text == expected)


@metric
def share_above_half(values: Sequence[float]) -> float:
    return sum(value > 0.5 for value in values) / len(values)


@metric
def at_least(share: float = 0.5) -> object:
    return lambda values: sum(value >= share for value in values) / len(values)


polite = Judge(lambda question: "Verdict: yes", "Is it polite? {result}", scale={"yes": 1, "no": 0})


def report() -> None:
    right: bool = eval_plain("2 + 2", "4")
    one: Result = asyncio.run(eval_client("2 + 2", "4", Client()))
    kept: Evaluation[[str, str], bool] = eval_plain
    score: Score = is_short("text", longest=5)
    summary: Summary = run(
        kept, "name", storage="memory://", samples=10, progress=False, fresh=True,
        budget="time=30m", params={"model": "large"}, tags={"prompt": "v2"}, note="first",
    )  # fmt: skip
    value = summary.scores["exact_match"]["accuracy"].value
    again = run(eval_client, resources={"client": Client()})
    asyncio.run(run_async(eval_client, "name", resources={"client": Client()}))
    names = [record.evaluation for record in records("name", where=lambda each: each.failed)]
    print(right, one, score, value, again.failed, names, compare("one", "two").verdict)
    print(
        accuracy([True, False]),
        share_above_half([0.3]),
        at_least(0.8),
        Adaptive(),
        AsyncSequential(),
    )
