"""
What a call used up, as any client tells it: tokens and cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .record import NO_USAGE, Usage
from .text import safe

_INPUT = (
    "input_tokens", "prompt_tokens", "inputTokens", "prompt_token_count", "promptTokenCount",
    "promptTokens", "prompt_eval_count", "inputTokenCount", "input_token_count", "request_tokens",
    "prompt_n",
)  # fmt: skip
_OUTPUT = (
    "output_tokens", "completion_tokens", "outputTokens", "candidates_token_count",
    "candidatesTokenCount", "completionTokens", "eval_count", "outputTokenCount",
    "output_token_count", "response_tokens", "generated_tokens", "predicted_n",
)  # fmt: skip
_TOTAL = ("total_tokens", "totalTokens", "total_token_count", "totalTokenCount", "tokens")
_COST = ("cost", "total_cost", "cost_usd", "costUsd", "total_cost_usd", "response_cost")
# What some count beside the input or the output, and what the names above leave out there.
_BESIDE_INPUT = (
    "cache_creation_input_tokens", "cache_read_input_tokens", "cacheReadInputTokens",
    "cacheWriteInputTokens", "tool_use_prompt_token_count", "toolUsePromptTokenCount",
)  # fmt: skip
_BESIDE_OUTPUT = ("thoughts_token_count", "thoughtsTokenCount")
_APART = {"input_tokens", "inputTokens", "prompt_token_count", "promptTokenCount"}
_CACHED = (
    "cached_tokens", "cache_read_input_tokens", "cacheReadInputTokens", "cache_read_tokens",
    "cached_content_token_count", "cachedContentTokenCount", "prompt_cache_hit_tokens",
    "cached_input_tokens", "cache_read", "num_cached_tokens",
)  # fmt: skip
_REASONING = ("reasoning_tokens", "reasoning", *_BESIDE_OUTPUT)
_DETAILS_IN = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_DETAILS_OUT = (
    "completion_tokens_details", "output_tokens_details", "output_token_details", "details",
)  # fmt: skip
_WITHIN = (  # where a response keeps its usage
    "usage", "usage_metadata", "usageMetadata", "tokens", "billed_units", "token_usage", "meta",
    "response_metadata", "llm_output",
)  # fmt: skip


def usage_of(given: Any) -> Usage:
    """Tokens and cost; what can not be read of them is None."""
    return read_usage(given)[0]


def read_usage(given: Any) -> tuple[Usage, str]:
    """
    Tokens and cost as any client tells them, and what of it can not be read, "" for nothing.

    Reads the usage objects and mappings of OpenAI, Anthropic, Gemini, Bedrock, Cohere, Mistral,
    Ollama, LiteLLM, LangChain, pydantic-ai and their kin, whole responses, and a list of any of
    them, which is added up. Totals are totals: what Anthropic and Bedrock count beside the input
    (cache reads and writes) and Gemini beside the output (thoughts) is added. A total alone
    counts as input. Numbers are whatever can be made one: `Decimal`, numpy's, texts.
    """
    if given is None:
        return NO_USAGE, ""
    if isinstance(given, Usage):
        values = {name: _number(value) for name, value in given._asdict().items()}
        bad = [name for name, value in values.items() if value is _BAD]
        return _made({name: None if value is _BAD else value for name, value in values.items()}), (
            _problem(given, bad) if bad else ""
        )
    if isinstance(given, (list, tuple)):
        read = [read_usage(each) for each in given]
        columns = zip(*(usage for usage, _ in read), strict=True)
        sums = [
            sum(known) if (known := [each for each in column if each is not None]) else None
            for column in columns
        ]
        return Usage(*sums), next((problem for _, problem in read if problem), "")
    return _read(given, 0)


_BAD = object()
_DEEPEST = 4
_MOST = 2**63


def _read(given: Any, depth: int) -> tuple[Usage, str]:
    get = _getter(given)
    bad: list[str] = []

    def number(names: tuple[str, ...], of: Callable[[str], Any] = get) -> tuple[str, Any]:
        for name in names:
            value = _number(of(name))
            if value is _BAD:
                bad.append(name)
            elif value is not None:
                return name, value
        return "", None

    sent_as, sent = number(_INPUT)
    _, got = number(_OUTPUT)
    _, total = number(_TOTAL[:-1] if sent_as or got is not None else _TOTAL)
    _, cost = number(_COST)
    cached = number(_CACHED)[1]
    reasoning = number(_REASONING)[1]
    for names, kind in ((_DETAILS_IN, _CACHED), (_DETAILS_OUT, _REASONING)):
        for name in names:
            details = get(name)
            if details is not None:
                found = number(kind, _getter(details))[1]
                if kind is _CACHED:
                    cached = cached if cached is not None else found
                else:
                    reasoning = reasoning if reasoning is not None else found
    if sent is not None and sent_as in _APART:
        sent += sum(number((name,))[1] or 0 for name in _BESIDE_INPUT)
    if got is not None:
        got += number(_BESIDE_OUTPUT)[1] or 0
    if total is not None:
        if sent is None:
            sent = total - (got or 0)
        elif got is None:
            got = max(total - sent, 0)
    usage = _made(
        {
            "input_tokens": sent, "output_tokens": got, "cost": cost,
            "cached_tokens": cached, "reasoning_tokens": reasoning,
        }
    )  # fmt: skip
    if usage == NO_USAGE and depth < _DEEPEST:
        for name in _WITHIN:
            inner = get(name)
            if inner is not None and not isinstance(inner, (str, int, float)):
                usage, problem = _read(inner, depth + 1)
                if usage != NO_USAGE:
                    return usage, problem
    if bad or usage == NO_USAGE:
        return usage, _problem(given, bad)
    return usage, ""


def _made(values: Mapping[str, Any]) -> Usage:
    return Usage(**values)


def _problem(given: Any, bad: list[str]) -> str:
    """What can not be read, for who gave it; "" for a mapping that has nothing to tell."""
    if bad:
        get = given._asdict().get if isinstance(given, Usage) else _getter(given)
        each = ", ".join(f"{name}={safe(repr_of(get(name)), 80)}" for name in dict.fromkeys(bad))
        return f"usage has {each}; expected a number, 0 or more"
    keys = [safe(key, 40) for key in _keys(given)][:5]
    named = f" with {', '.join(keys)}" if keys else ""
    if isinstance(given, Mapping) and not any(
        _number(value) not in (None, _BAD) for value in given.values()
    ):
        return (
            ""
            if not given or all(value is None for value in given.values())
            else (f"usage is a {type(given).__name__}{named}; none is a name of tokens or cost")
        )
    return f"usage is a {type(given).__name__}{named}; none is a name of tokens or cost"


def repr_of(value: Any) -> str:
    """A value for a message, whatever its own code does."""
    return (
        repr(value) if isinstance(value, (str, float, int)) and not _is_huge(value) else safe(value)
    )


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() > 8_192


def _keys(given: Any) -> Iterator[Any]:
    if isinstance(given, Mapping):
        yield from given
    else:
        yield from getattr(given, "__dict__", ())


def _getter(given: Any) -> Callable[[str], Any]:
    if isinstance(given, Mapping):
        return given.get

    def get(name: str) -> Any:
        try:
            return getattr(given, name, None)
        except Exception as error:  # a property of a foreign class: it is told as unreadable
            return error

    return get


def _number(value: Any) -> Any:
    """An int or a float of 0 or more; None for nothing; _BAD for what is neither."""
    if value is None:
        return None
    if isinstance(value, bool):
        return _BAD
    if isinstance(value, (Mapping, list, tuple)):
        return None
    if not isinstance(value, (int, float)):
        try:
            value = value.__index__() if hasattr(value, "__index__") else float(value)
        except (TypeError, ValueError, ArithmeticError):
            return None if callable(value) else _BAD
    if not 0 <= value < _MOST:
        return _BAD
    return int(value) if isinstance(value, int) else float(value)
