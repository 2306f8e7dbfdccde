"""What one row returns can fail that row, and no other: nothing of it can stop a commit."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doteval import Result, Score, foreach, run
from doteval.record import Failure
from doteval.storage import entries, open_store
from tests.readers import TRACEBACK_FREE, codes, commands
from tests.stocked import right, stock


class Mute:
    """Nothing can be said of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Locked(dict):  # type: ignore[type-arg]
    """A dict that does not let anybody in."""

    def items(self) -> Any:
        raise RuntimeError("no items")


class Meter:
    """Usage that can not be read."""

    @property
    def input_tokens(self) -> int:
        raise RuntimeError("no tokens")


def nested(depth: int, kind: type = list) -> Any:
    """A list in a list in a list, or a dict in a dict."""
    value: Any = kind()
    for _ in range(depth):
        value = {"a": value} if kind is dict else [value]
    return value


def circle() -> list[Any]:
    """A list that contains itself."""
    found: list[Any] = []
    found.append(found)
    return found


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a score of 5,000 digits": (lambda: Score("h", 10**5000), "an integer of 5,000 digits"),
    "a negative one": (lambda: Score("h", -(10**5000)), "an integer of 5,000 digits"),
    "two names that a column holds as one": (
        lambda: Result(Score("\ud800", 1), Score("\\ud800", 2)), "two of its scores have one name"),
    "metadata that let nobody in": (lambda: Result(1, metadata=Locked(a=1)), "no items"),
    "a prompt that lets nobody in": (lambda: Result(1, prompt=Locked(a=1)), "no items"),
    "a score's name that can not be shown": (lambda: Score(Mute(), 1), "no repr"),  # type: ignore[arg-type]
    "metrics that can not be shown": (lambda: Score("x", 1, metrics=Mute()), "no repr"),  # type: ignore[arg-type]
}  # fmt: skip
KEPT: dict[str, Callable[[], Any]] = {
    "a score of 4,000 digits": lambda: Score("big", 10**4000),
    "not a number": lambda: Score("float", math.nan),
    "no end": lambda: Score("float", -math.inf),
    "an enormous float": lambda: Score("float", 1.7e308),
    "names of surrogates and NUL": lambda: Score("\ud800\0", 1, ("\ud800",)),
    "a long name": lambda: Score("x" * 50_000, 1),
    "surrogates and NUL": lambda: Result(1, prompt="\ud800\0", model_response="\udfff"),
    "5,000 digits elsewhere": lambda: Result(1, prompt=10**5000, metadata={"n": 10**5000}),
    "lists as deep as the encoder can go": lambda: Result(1, prompt=nested(900)),
    "lists deeper than that": lambda: Result(1, prompt=nested(100_000)),
    "dicts as deep as the encoder can go": lambda: Result(1, metadata=nested(900, dict)),
    "a circle": lambda: Result(Score("x", 1, metadata={"c": circle()}), prompt=circle()),
    "objects that can not be shown": lambda: Result(1, prompt=Mute(), metadata={Mute(): 1}),
    "an error that can not be shown": lambda: Result(error=Mute()),  # type: ignore[arg-type]
    "usage that can not be read": lambda: Result(1, usage=Meter()),
    "usage without end": lambda: Result(1, usage={"input_tokens": 10**400}),
    "half a token": lambda: Result(1, usage={"input_tokens": 1.5, "cost": 3}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_result_that_can_not_be_stored_fails_its_row(tmp_path: Path, case: str) -> None:
    """The others of its commit stand, the failure says why, and a resume reaches what is after."""
    make, said = REFUSED[case]
    good = {"n": -1}

    @foreach("n", range(9))
    def eval_h(n: int) -> Any:
        return make() if n in (4, good["n"]) else True

    storage = str(tmp_path / "results.db")
    half = run(eval_h, "h", storage=storage, samples=6, progress=False)
    whole = run(eval_h, "h", storage=storage, progress=False)

    assert (half.scored, half.failed, half.missing) == (5, 1, None if half.total is None else 3)
    assert (whole.scored, whole.failed, whole.missing) == (8, 1, 0)
    store = open_store(storage)
    (failed,) = store.records("h", store.evaluations("h")[0], failed=True)
    store.close()
    assert isinstance(failed.outcome, Failure)
    assert (failed.position, failed.outcome.type) == (4, "ResultError")
    assert said in failed.outcome.message


def test_texts_beyond_what_sqlite_takes_fail_their_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A billion characters, here ten thousand."""
    monkeypatch.setattr(entries, "_LONGEST_BODY", 10_000)

    @foreach("n", range(3))
    def eval_h(n: int) -> Result:
        return Result(True, model_response="x" * 9_999 if n == 1 else "x")

    summary = run(eval_h, "h", storage=str(tmp_path / "results.db"), progress=False)

    assert (summary.scored, summary.failed) == (2, 1)


def test_whatever_is_stored_can_be_read_by_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what it was is the same after an export and an import."""
    storage = tmp_path / "results.db"
    cases = list(KEPT.values())

    @foreach("n", range(len(cases)))
    def eval_x(n: int) -> Any:
        return cases[n]()

    summary = run(eval_x, "odd", storage=str(storage), progress=False)
    store = open_store(storage)
    stock(store, "plain", [right(n) for n in range(3)], evaluation=store.evaluations("odd")[0])
    store.close()
    found = codes(storage, commands("odd"))
    lines = tmp_path / "odd.jsonl"
    codes(storage, [["export", "odd", "-o", str(lines)], ["import", str(lines), "--name", "again"]])

    assert (summary.scored, summary.failed) == (len(cases) - 1, 1)
    assert {each: code for each, code in found.items() if code not in TRACEBACK_FREE} == {}
    store = open_store(storage)
    odd, again = (
        repr(list(store.records(name, store.evaluations(name)[0]))) for name in ("odd", "again")
    )
    store.close()
    assert odd == again
