"""Responses of the real SDKs, kept and served again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doteval import Result, foreach, replayable, run

from .conftest import Answer, Endpoint

TOOLS = {
    "/chat/completions": {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "extra": [1],
        "choices": [{
            "index": 0, "finish_reason": "tool_calls", "logprobs": None,
            "message": {
                "role": "assistant", "content": None, "refusal": None,
                "tool_calls": [{
                    "id": "call_1", "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Ulm"}'},
                }],
            },
        }],
        "usage": {
            "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 2},
        },
    },
    "/messages": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "x"},
            {"type": "text", "text": "42", "citations": None},
            {"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "Ulm"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1, "cache_read_input_tokens": 7},
    },
}  # fmt: skip
ODD = {  # what the SDK's own types do not expect, and lets through
    path: {**told, "model": 7, "object": "something.new"} for path, told in TOOLS.items()
}


def openai_call(url: str, is_async: bool) -> Any:
    openai = pytest.importorskip("openai")
    client = (openai.AsyncOpenAI if is_async else openai.OpenAI)(
        api_key="k", base_url=url, max_retries=0
    )
    return client, client.chat.completions.create, {}


def anthropic_call(url: str, is_async: bool) -> Any:
    anthropic = pytest.importorskip("anthropic")
    client = (anthropic.AsyncAnthropic if is_async else anthropic.Anthropic)(
        api_key="k", base_url=url, max_retries=0
    )
    return client, client.messages.create, {"max_tokens": 9}


@pytest.mark.parametrize("bodies", [TOOLS, ODD], ids=["tools", "odd"])
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("client", [openai_call, anthropic_call])
def test_a_response_is_the_same_object_again(
    client: Any, is_async: bool, bodies: Any, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Served without a request: its class, its tool calls, its usage, and what nobody expected."""
    path = "/messages" if client is anthropic_call else "/chat/completions"
    endpoint.behave = lambda endpoint: Answer(body=bodies[path])
    made_with, create, more = client(endpoint.url, is_async)
    ask = replayable(create)
    got: list[Any] = []

    def asked(question: str) -> Any:
        return ask(model="m", messages=[{"role": "user", "content": question}], **more)

    @foreach("question", ["What is 6 x 7?"])
    def eval_plain(question: str) -> Result:
        got.append(asked(question))
        return Result(True, usage=got[-1])

    @foreach("question", ["What is 6 x 7?"])
    async def eval_later(question: str) -> Result:
        got.append(await asked(question))
        await made_with.close()  # nothing is asked after the first
        return Result(True, usage=got[-1])

    evaluation = eval_later if is_async else eval_plain
    first = run(evaluation, "first", tmp_path / "x.db", progress=False)
    second = run(evaluation, "second", tmp_path / "x.db", progress=False, calls="replay")

    if not is_async:
        made_with.close()
    made, served = got
    assert type(served) is type(made)
    assert served.model_dump(warnings=False) == made.model_dump(warnings=False)
    assert repr(served) == repr(made)
    assert endpoint.requests == 1
    assert second.usage == first.usage
    assert second.calls == {"made": 0, "served": 1}


def test_a_stream_is_gathered_by_a_function_that_is_wrapped(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    """The stream itself can not be kept, which is told; what a function makes of it can."""
    openai = pytest.importorskip("openai")
    piece = (
        'data: {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", '
        '"choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": null}]}\n\n'
    )
    endpoint.behave = lambda endpoint: Answer(text=piece + piece + "data: [DONE]\n\n")
    client = openai.AsyncOpenAI(api_key="k", base_url=endpoint.url, max_retries=0)

    async def gathered(question: str) -> str:
        messages: Any = [{"role": "user", "content": question}]
        stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
        return "".join([piece.choices[0].delta.content or "" async for piece in stream])

    ask = replayable(gathered)

    @foreach("question", ["What is 4 x 11?"])
    async def eval_stream(question: str) -> Result:
        answer = await ask(question)
        await client.close()
        return Result(answer == "44")

    run(eval_stream, "first", tmp_path / "x.db", progress=False)
    second = run(eval_stream, "second", tmp_path / "x.db", progress=False, calls="replay")

    assert second.scores["eval_stream"]["accuracy"].value == 1.0
    assert endpoint.requests == 1
