"""Whatever runs have written of an experiment, its export imports, and exports the same again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from doteval import ForEach, Result, Score, run
from doteval.concurrency import Adaptive, Sequential
from doteval.storage import open_store
from doteval.storage.exchange import export_lines, import_lines

# What a row may do, by the text in it.
_DOES = ("right", "wrong", "number", "nan", "big", "told", "fails", "odd", "twice")


def answer(does: str) -> Any:
    """What an evaluation may return for a row."""
    if does == "fails":
        raise ValueError(f"no \ud800 {does}")
    if does == "told":
        return Result(error="refused", prompt=does, usage={"input_tokens": 2, "cost": 0.5})
    if does == "twice":
        return Score("exact", True, ("accuracy",)), Score("len", 4)
    value = {"right": True, "wrong": False, "nan": float("nan"), "big": 2**70}.get(does, 0.1 + 0.2)
    metadata: Any = {"seed": 3, "why": [None, float("inf"), does], 5: b"x"}
    if does == "odd":
        metadata = {"\ud800": does, "deep": {"a": [[]]}}
    return Result(
        Score("exact", value, ("accuracy",), {"because": does}), Score("len", len(does)),
        prompt=[{"role": "user", "content": does}], model_response="\u200d\x00",
        metadata=metadata, usage={"input_tokens": 1.5, "output_tokens": 2},
    )  # fmt: skip


def some_runs(dice: random.Random) -> list[dict[str, Any]]:
    """Up to four runs of one evaluation, each over a dataset that has changed a little since."""
    rows = [(n, dice.choice(_DOES)) for n in range(dice.randint(1, 6))]
    found = []
    for _ in range(dice.randint(1, 4)):
        options: dict[str, Any] = {"adaptive": dice.random() < 0.5, "fresh": dice.random() < 0.3}
        if dice.random() < 0.3:
            options["samples"] = dice.randint(1, 3)
        if dice.random() < 0.3:
            options["shard"] = dice.choice(["1/2", "2/2", "3/3"])
        found.append({"rows": list(rows), **options})
        at = dice.randrange(len(rows))
        rows[at] = dice.choice(rows)[0] + 6 * dice.randint(0, 1), dice.choice(_DOES)
        rows = list(dict(rows).items())  # an id names one row
    return found


def lines_of(path: Path, experiment: str) -> list[bytes]:
    """The lines of an experiment."""
    store = open_store(path)
    try:
        return "".join(export_lines(store, experiment)).encode("ascii").splitlines()
    finally:
        store.close()


@pytest.mark.parametrize("seed", range(40))
def test_what_runs_wrote_comes_back_to_the_letter(tmp_path: Path, seed: int) -> None:
    """Ids, repeats, failures, retries, changed rows, resumes, shards, `--fresh`."""
    dice = random.Random(seed)
    columns, repeats = dice.choice(["id,q", "n,q"]), dice.choice([1, 1, 3])
    for each in some_runs(dice):
        write(tmp_path / "one.db", columns, repeats, **each)
    before = lines_of(tmp_path / "one.db", "e")

    store = open_store(tmp_path / "two.db")
    import_lines(store, before)
    store.close()

    assert lines_of(tmp_path / "two.db", "e") == before


def write(
    path: Path, columns: str, repeats: int, rows: list[Any], adaptive: bool, **options: Any
) -> None:
    """A run of an evaluation with a column `id`, or of one without."""

    async def eval_x(q: str, id: int = 0, n: int = 0) -> Any:
        await asyncio.sleep(0)
        return answer(q)

    how = ForEach(
        concurrency=Adaptive(adaptation_interval=0.001) if adaptive else Sequential(),
        repeats=repeats,
        retries=2 if adaptive else 0,
    )
    made = how(columns, [dict(zip(columns.split(","), row, strict=True)) for row in rows])(eval_x)
    run(made, "e", storage=str(path), progress=False, **options)
