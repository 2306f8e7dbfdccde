"""Experiments with given scores, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from doteval import ForEach, Result, Score, Summary, run

Given = Mapping[str, Sequence[Any]]


def record(
    storage: Path | str,
    experiment: str,
    scores: Given,
    *,
    metrics: tuple[str, ...] = ("accuracy",),
    groups: Sequence[Hashable] | None = None,
    name: str = "eval_x",
    rows: Sequence[int] | None = None,
    samples: int | None = None,
) -> Summary:
    """
    Run an evaluation whose scores are known beforehand.

    Args:
        scores: by name, a value for each row; a list of values for each repeat of it; None leaves
            the score out, and a row without any score fails.
        groups: of the rows.
        rows: the id of each row; by default its place.
    """
    n = len(next(iter(scores.values())))
    first = next(iter(scores.values()))[0]
    repeats = len(first) if isinstance(first, list) else 1
    ids = list(range(n)) if rows is None else rows
    asked: dict[int, int] = {}

    def answer(id: int, group: Hashable = None) -> Result:
        at, repeat = ids.index(id), asked.get(id, 0)
        asked[id] = repeat + 1
        found = []
        for score, values in scores.items():
            value = values[at][repeat] if isinstance(values[at], list) else values[at]
            if value is not None:
                found.append(Score(score, value, metrics))
        if not found:
            raise ValueError(f"no answer to {id}")
        return Result(
            *found, prompt=f"row {id}", model_response=f"{experiment} says {found[0].value}"
        )

    if groups is None:
        dataset: list[Any] = [(id,) for id in ids]
        made = ForEach(repeats=repeats, retries=0, fail_fast=0)("id", dataset)(
            lambda id: answer(id)
        )
    else:
        dataset = list(zip(ids, groups, strict=True))
        made = ForEach(repeats=repeats, retries=0, fail_fast=0, cluster="group")(
            "id,group", dataset
        )(lambda id, group: answer(id, group))
    made.__name__ = name
    return run(made, experiment, storage=str(storage), samples=samples, progress=False)
