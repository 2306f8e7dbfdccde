"""Tokens and cost in the spelling of every client, and what can not be read of them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import pytest

from doteval import Result, foreach, run
from doteval.concurrency import SlidingWindow
from doteval.concurrency.pace import RateLimit
from doteval.evaluation import ForEach
from doteval.record import Usage
from doteval.running import Execution, Options
from doteval.storage import Named, locate, open_store
from doteval.usage import read_usage, usage_of
from tests import virtual

OPENAI = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 8},
}
ANTHROPIC = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 1000,
    "output_tokens": 5,
    "server_tool_use": None,
}
GEMINI = {
    "prompt_token_count": 100,
    "candidates_token_count": 20,
    "thoughts_token_count": 30,
    "cached_content_token_count": 64,
    "total_token_count": 150,
}
BEDROCK = {
    "inputTokens": 10,
    "outputTokens": 4,
    "totalTokens": 114,
    "cacheReadInputTokens": 60,
    "cacheWriteInputTokens": 40,
}
CASES = {
    "nothing": (None, Usage()),
    "an empty mapping": ({}, Usage()),
    "nothing known": ({"input_tokens": None, "output_tokens": None}, Usage()),
    "ours": ({"input_tokens": 3, "output_tokens": 5, "cost": 0.25}, Usage(3, 5, 0.25)),
    "ours, parts": (
        {"input_tokens": 3, "cached_tokens": 2, "reasoning_tokens": 1},
        Usage(3, None, None, 2, 1),
    ),
    "itself": (Usage(1, 2, 3.0), Usage(1, 2, 3.0)),
    "openai": (OPENAI, Usage(100, 20, None, 64, 8)),
    "pydantic-ai": (
        {"input_tokens": 9, "output_tokens": 8, "details": {"reasoning_tokens": 5}},
        Usage(9, 8, None, None, 5),
    ),
    "openai responses": (
        {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 64},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 8},
            "total_tokens": 120,
        },
        Usage(100, 20, None, 64, 8),
    ),
    "anthropic": (ANTHROPIC, Usage(1110, 5, None, 1000)),
    "gemini": (GEMINI, Usage(100, 50, None, 64, 30)),
    "gemini rest": (
        {"promptTokenCount": 7, "candidatesTokenCount": 2, "toolUsePromptTokenCount": 3},
        Usage(10, 2),
    ),
    "bedrock": (BEDROCK, Usage(110, 4, None, 60)),
    "cohere": (
        {"billed_units": {"input_tokens": 3}, "tokens": {"input_tokens": 5, "output_tokens": 2}},
        Usage(5, 2),
    ),
    "cohere meta": (
        {"meta": {"billed_units": {"input_tokens": 3, "output_tokens": 1}}},
        Usage(3, 1),
    ),
    "ollama": (
        {"model": "x", "prompt_eval_count": 26, "eval_count": 9, "eval_duration": 5},
        Usage(26, 9),
    ),
    "litellm": (
        {
            "prompt_tokens": 1110,
            "completion_tokens": 5,
            "cache_creation_input_tokens": 100,
            "cache_read_input_tokens": 1000,
        },
        Usage(1110, 5, None, 1000),
    ),
    "langchain": (
        {
            "input_tokens": 110,
            "output_tokens": 5,
            "input_token_details": {"cache_read": 64},
            "output_token_details": {"reasoning": 2},
        },
        Usage(110, 5, None, 64, 2),
    ),
    "langchain message": (
        {"content": "x", "response_metadata": {"token_usage": OPENAI}},
        Usage(100, 20, None, 64, 8),
    ),
    "deepseek": (
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 6},
        Usage(10, 1, None, 6),
    ),
    "pydantic-ai, reasoning": (
        {"input_tokens": 10, "cache_read_tokens": 4, "output_tokens": 2, "requests": 1},
        Usage(10, 2, None, 4),
    ),
    "a response": ({"id": "x", "choices": [], "usage": OPENAI}, Usage(100, 20, None, 64, 8)),
    "a gemini response": (
        {"candidates": [], "usageMetadata": GEMINI},
        Usage(100, 50, None, 64, 30),
    ),
    "a response of two": ({"usage": {"speed": 1}, "usage_metadata": {"input_tokens": 1}}, Usage(1)),
    "a total alone": ({"total_tokens": 12}, Usage(12)),
    "a total and the input": ({"prompt_tokens": 5, "total_tokens": 12}, Usage(5, 7)),
    "a total and the output": ({"output_tokens": 5, "totalTokens": 12}, Usage(7, 5)),
    "number-likes": (
        {"input_tokens": Decimal(3), "output_tokens": "5", "cost": Decimal("0.25")},
        Usage(3, 5, 0.25),
    ),
    "a fraction of a cent": ({"total_cost": Fraction(1, 4)}, Usage(None, None, 0.25)),
    "several": ([OPENAI, {"input_tokens": 1, "cost": 0.5}, None], Usage(101, 20, 0.5, 64, 8)),
}


def objects(value):
    """Mappings as the objects of a client."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: objects(each) for key, each in value.items()})
    return [objects(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES)
def test_usage_is_read_in_every_spelling(case):
    """As a mapping and as an object; totals are totals, and nothing is left to tell."""
    given, expected = CASES[case]

    assert read_usage(given) == (expected, "")
    assert usage_of(objects(given)) == expected


class Meter:
    """A client's usage that has none."""

    @property
    def input_tokens(self):
        raise RuntimeError("no tokens")


class Whole:
    """An integer of an array library."""

    def __index__(self):
        return 7


def test_an_index_is_a_number():
    """Such as numpy's."""
    assert usage_of({"input_tokens": Whole()}) == Usage(7)


@pytest.mark.parametrize(
    ("given", "expected", "problem"),
    [
        (7, Usage(), "usage is a int; none is a name of tokens or cost"),
        ("abc", Usage(), "usage is a str; none is a name"),
        ({"inptu_tokens": 5}, Usage(), "usage is a dict with inptu_tokens; none is a name"),
        ({"a": "b"}, Usage(), "usage is a dict with a; none is a name"),
        (SimpleNamespace(spent=5), Usage(), "usage is a SimpleNamespace with spent; none"),
        (
            {"input_tokens": -1, "cost": 1},
            Usage(cost=1),
            "usage has input_tokens=-1; expected a number",
        ),
        ({"input_tokens": "many"}, Usage(), "usage has input_tokens='many'"),
        ({"cost": float("nan"), "input_tokens": 1}, Usage(1), "usage has cost=nan"),
        ({"input_tokens": True}, Usage(), "usage has input_tokens=True"),
        ({"input_tokens": 2**70}, Usage(), "usage has input_tokens="),
        (Usage(-1, 2), Usage(None, 2), "usage has input_tokens=-1"),
        (Meter(), Usage(), "usage has input_tokens="),
        ([{"cost": 1}, {"x": 1}], Usage(cost=1), "usage is a dict with x"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_can_not_be_read_is_told(given, expected, problem):
    """What can be is read all the same."""
    usage, told = read_usage(given)

    assert usage == expected
    assert told.startswith(problem)


def flown(evaluation, budget=None):
    """The summary and the notes of a run."""
    flow = Execution(
        evaluation,
        Options.read(budget=budget),
        name=Named("n"),
        experiment="e",
        place=locate("memory://"),
        resources={},
    )
    return virtual.run(flow.run()), flow.notes


def test_unreadable_usage_fails_no_row_and_is_told_once():
    """It is an ornament of a row that was paid for."""

    @foreach("n", range(5))
    async def eval_n(n):
        return Result(True, usage={"inptu_tokens": n} if n else {"output_tokens": 1})

    summary, notes = flown(eval_n)

    assert (summary.scored, summary.failed, summary.usage["output_tokens"]) == (5, 0, 1)
    assert notes == ["usage is a dict with inptu_tokens; none is a name of tokens or cost"]


def test_parts_of_the_usage_survive_the_store(tmp_path):
    """Cached and reasoning tokens, apart from their totals."""

    @foreach("n", [1])
    def eval_n(n):
        return Result(True, usage=OPENAI)

    run(eval_n, "e", storage=str(tmp_path / "r.db"), progress=False)
    store = open_store(str(tmp_path / "r.db"))
    (record,) = store.records("e", store.evaluations("e")[0])
    store.close()

    assert record.outcome.usage == Usage(100, 20, None, 64, 8)


@pytest.mark.parametrize(
    ("options", "budget", "what"),
    [
        ({}, "tokens=1k", "budget of tokens"),
        ({}, "cost=5", "budget of cost"),
        ({"rate_limit": RateLimit(tokens=90_000)}, None, "rate limit of tokens"),
    ],
)
def test_a_limit_that_sees_no_figure_ends_the_run(options, budget, what):
    """It would never bind: after 20 rows with scores that is told, and the rest is not paid for."""

    @ForEach(concurrency=SlidingWindow(10), **options)("n", range(2_000))
    async def eval_n(n):
        await asyncio.sleep(1)
        return Result(True, usage={"speed": 3})

    summary, notes = flown(eval_n, budget)

    assert (summary.status, summary.scored) == ("incomplete", 20)
    assert f"there is a {what}, and none of the first 20 rows told any" in notes[-1]


def test_a_mapping_that_raises_when_it_is_read_fails_no_row():
    """It is the client's; what it says of itself is told once."""

    class Odd(dict):
        def get(self, *arguments):
            raise RuntimeError("no such luck")

    @foreach("n", [1, 2])
    def eval_n(n):
        return Result(True, usage=Odd(input_tokens=1))

    summary = run(eval_n, storage="memory://", progress=False)

    assert summary.scored == 2
    assert summary.notes == ("usage can not be read: RuntimeError: no such luck",)
