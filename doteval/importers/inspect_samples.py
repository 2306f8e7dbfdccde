"""
The samples of Inspect's logs: a row, an epoch, what was said, and how it was scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..record import Usage
from .fields import count, get, kind_of, seconds
from .log import Answer

_GRADES: dict[Any, Any] = {"C": True, "I": False, "N": False, "P": 0.5}
_BESIDE = ("metadata", "limit", "invalidation")  # of a sample, kept where there is any


def answers(samples: Iterator[Mapping[str, Any]], model: str, ids: list[Any]) -> Iterator[Answer]:
    """
    What the samples tell.

    Args:
        model: the one under test; what others consumed is kept apart.
        ids: of the samples, in the order of the dataset, as far as that is known.
    """
    places = {repr(id): place for place, id in enumerate(ids)}  # 3 and "3" are two
    for sample in samples:
        error = get(sample, "error", dict, {})
        scores, notes = _scores(get(sample, "scores", dict, {}))
        output, messages = get(sample, "output", dict, {}), get(sample, "messages", list, [])
        retries = [get(each, "message", str) for each in get(sample, "error_retries", list, [])]
        used = get(sample, "model_usage", dict, {})
        others = {name: each for name, each in used.items() if name != model}
        kept = {name: sample[name] for name in _BESIDE if sample.get(name)}
        row = {name: _plain(sample[name]) for name in ("id", "input", "target") if name in sample}
        if sample.get("choices"):
            row["choices"] = sample["choices"]
        yield Answer(
            places.setdefault(repr(sample.get("id")), len(places)),
            row,
            scores,
            get(sample, "epoch", int, 1) - 1,
            notes,
            error=kind_of(get(error, "message", str)) if error else None,
            failure=(str(error.get("message")), str(error.get("traceback"))),
            retries=tuple(retries),
            usage=_usage(get(used, model, dict, {})),
            texts={
                "prompt": messages[:-1] if output.get("choices") else messages,
                "model_response": output.get("completion"),
                "metadata": {**kept, "other_models": others} if others else kept,
            },
            started=seconds(sample.get("started_at")),
            duration=count(sample, "total_time") or 0.0,
        )


def _plain(value: Any) -> Any:
    """Without the ids of messages, which are new in every run."""
    if not isinstance(value, list):
        return value
    return [{n: v for n, v in m.items() if n != "id"} if isinstance(m, dict) else m for m in value]


def _scores(told: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values and notes; what has several values has a score for each, "scorer/name"."""
    scores, notes = {}, {}
    for scorer in told:
        score = get(told, scorer, dict)
        value = score.get("value")
        several = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(several, dict):
            found = {f"{scorer}/{name}": each for name, each in several.items()}
        else:
            found = {scorer: value}
        for name, each in found.items():
            scores[name] = _GRADES.get(each, each) if isinstance(each, str) else each
            notes[name] = {n: v for n, v in score.items() if n != "value" and v}
    return scores, notes


def _usage(used: Mapping[str, Any]) -> Usage:
    read, written, total = (count(used, f"{n}_tokens") for n in ("input", "output", "total"))
    cached, put = (count(used, f"input_tokens_cache_{n}") for n in ("read", "write"))
    apart = (cached or 0) + (put or 0)
    if read is not None and total == read + (written or 0) + apart:
        read += apart  # some providers count it apart; here it is all that was read
    return Usage(read, written, count(used, "total_cost"), cached, count(used, "reasoning_tokens"))
