"""
What the real clients return: their calls of tools are read, and their usage, as objects and dumped.

Each is made by the client's own classes, from what its API sends.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from doteval.evaluators import ast_evaluation
from doteval.usage import read_usage

ARGUMENTS = {"city": "Paris"}
TEXT = '{"city": "Paris"}'
CHAT_USAGE = {
    "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 5},
}  # fmt: skip
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": TEXT}}
CHAT = {
    "id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": CHAT_USAGE,
    "choices": [
        {
            "index": 0, "finish_reason": "tool_calls", "logprobs": None,
            "message": {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
        }
    ],
}  # fmt: skip

# What holds the call, what holds the usage, and input, output, cached, reasoning tokens.
Made = tuple[list[Any], list[Any], tuple[int | None, ...]]


def openai_chat() -> Made:
    types = pytest.importorskip("openai.types.chat")
    response = types.ChatCompletion.model_validate(CHAT)
    message = response.choices[0].message
    dumped = response.model_dump()
    calls = [response, message, message.tool_calls, message.tool_calls[0], dumped]
    return calls, [response, response.usage, dumped], (100, 20, 40, 5)


def openai_responses() -> Made:
    types = pytest.importorskip("openai.types.responses")
    text = {"type": "output_text", "text": "I look.", "annotations": []}
    usage = {
        "input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 5},
    }  # fmt: skip
    output = [
        {"type": "reasoning", "id": "1", "summary": []},
        {"type": "message", "id": "2", "role": "assistant", "status": "completed",
         "content": [text]},
        {"type": "function_call", "id": "3", "call_id": "c", "name": "weather", "arguments": TEXT},
    ]  # fmt: skip
    response = types.Response.model_validate(
        {
            "id": "r", "object": "response", "created_at": 1, "model": "m", "tools": [],
            "parallel_tool_calls": True, "tool_choice": "auto", "output": output, "usage": usage,
        }
    )  # fmt: skip
    dumped = response.model_dump()
    calls = [response, response.output, response.output[2], dumped]
    return calls, [response, response.usage, dumped], (100, 20, 40, 5)


def anthropic() -> Made:
    types = pytest.importorskip("anthropic.types")
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t", "name": "weather", "input": ARGUMENTS},
    ]
    usage = {
        "input_tokens": 50, "output_tokens": 20,
        "cache_creation_input_tokens": 10, "cache_read_input_tokens": 40,
    }  # fmt: skip
    message = types.Message.model_validate(
        {
            "id": "m", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "tool_use", "stop_sequence": None, "usage": usage,
        }
    )  # fmt: skip
    dumped = message.model_dump()
    calls = [message, message.content, message.content[2], dumped]
    return calls, [message, message.usage, dumped], (100, 20, 40, None)


def gemini() -> Made:
    types = pytest.importorskip("google.genai.types")
    call = types.Part(function_call=types.FunctionCall(name="weather", args=ARGUMENTS))
    parts = [types.Part(text="hm", thought=True), call]
    response = types.GenerateContentResponse(
        candidates=[types.Candidate(content=types.Content(role="model", parts=parts))],
        usage_metadata=types.GenerateContentResponseUsageMetadata(
            prompt_token_count=100, candidates_token_count=15, thoughts_token_count=5,
            cached_content_token_count=40, total_token_count=120,
        ),
    )  # fmt: skip
    sent = response.model_dump(by_alias=True, exclude_none=True, mode="json")
    dumped = response.model_dump()
    calls = [response, response.function_calls, response.candidates[0].content, dumped, sent]
    return calls, [response, response.usage_metadata, dumped, sent], (100, 20, 40, 5)


def bedrock() -> Made:
    content = [
        {"text": "I look."},
        {"toolUse": {"toolUseId": "t", "name": "weather", "input": ARGUMENTS}},
    ]
    response = {  # botocore gives dicts
        "ResponseMetadata": {"RequestId": "x", "HTTPStatusCode": 200},
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "tool_use",
        "usage": {
            "inputTokens": 50, "outputTokens": 20, "totalTokens": 120,
            "cacheReadInputTokens": 40, "cacheWriteInputTokens": 10,
        },
        "metrics": {"latencyMs": 5},
    }  # fmt: skip
    return [response, response["output"]], [response, response["usage"]], (100, 20, 40, None)


def mistral() -> Made:
    client = pytest.importorskip("mistralai")
    if hasattr(client, "models"):
        models = client.models
    else:
        models = pytest.importorskip("mistralai.client.models")
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    response = models.ChatCompletionResponse.model_validate({**CHAT, "usage": usage})
    message = response.choices[0].message
    dumped = response.model_dump()
    calls = [response, message, message.tool_calls, dumped]
    return calls, [response, response.usage, dumped], (100, 20, None, None)


def langchain() -> Made:
    messages = pytest.importorskip("langchain_core.messages")
    message = messages.AIMessage(
        content="",
        tool_calls=[{"name": "weather", "args": ARGUMENTS, "id": "1"}],
        usage_metadata={
            "input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
            "input_token_details": {"cache_read": 40}, "output_token_details": {"reasoning": 5},
        },
    )  # fmt: skip
    dumped = message.model_dump()
    calls = [message, [message], message.tool_calls, dumped]
    return calls, [message, message.usage_metadata, dumped], (100, 20, 40, 5)


def litellm() -> Made:
    client = pytest.importorskip("litellm")
    response = client.ModelResponse(choices=CHAT["choices"], usage=client.Usage(**CHAT_USAGE))
    message = response.choices[0].message
    dumped = response.model_dump()
    calls = [response, message, message.tool_calls, dumped]
    return calls, [response, response.usage, dumped], (100, 20, 40, 5)


def pydantic_ai() -> Made:
    messages = pytest.importorskip("pydantic_ai.messages")
    usages = pytest.importorskip("pydantic_ai.usage")
    used = {
        "input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40,
        "details": {"reasoning_tokens": 5},
    }  # fmt: skip
    parts = [messages.ThinkingPart("hm"), messages.TextPart("I look.")]
    response, mapping = (
        messages.ModelResponse(
            parts=[*parts, messages.ToolCallPart("weather", arguments)],
            usage=usages.RequestUsage(**used),
        )
        for arguments in (TEXT, ARGUMENTS)
    )
    calls = [response, mapping, response.parts, response.parts[2]]
    return calls, [response, response.usage, usages.RunUsage(**used, requests=1)], (100, 20, 40, 5)


CLIENTS = [
    openai_chat, openai_responses, anthropic, gemini, bedrock, mistral, langchain, litellm,
    pydantic_ai,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
def test_calls_and_usage_of_a_client_are_read(client: Callable[[], Made]) -> None:
    """Whole responses, messages, blocks, single calls, and all of these dumped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calls, usages, tokens = client()

    for call in calls:
        right = ast_evaluation(call, {"weather": {"city": ["Paris"], "days": ["", 2]}})
        wrong = ast_evaluation(call, "weather(city='Rome')")
        assert (right.value, right.metadata.get("problem"), wrong.value) == (True, None, False)
    for usage in usages:
        read, problem = read_usage(usage)
        counted = (read.input_tokens, read.output_tokens, read.cached_tokens, read.reasoning_tokens)
        assert (counted, problem) == (tokens, "")
