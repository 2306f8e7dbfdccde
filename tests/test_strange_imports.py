"""What `import` accepts, every command can read: one field of one line is odd, and all is tried."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doteval.cli import main
from doteval.errors import UsageError
from doteval.storage import open_store
from doteval.storage.exchange import export_lines, import_lines
from tests.readers import commands

ODD: tuple[Any, ...] = (
    None, True, 0, 1, -1, 0.5, -1e300, 1e300, float("nan"), float("inf"), 2**31 - 1, 2**53, 2**62,
    2**64, 10**400, "", "x", "\ud800\0", "1/4", "4/1", "a/b", "running", "0" * 32, [], [1], ["x"],
    [[]], {}, {"x": 1}, {"exact": 1}, {"exact": {}}, [{"at": 0}], [{"at": 0, "limit": 0}],
    [{"at": 1e18, "limit": 2**62, "reason": 5}], {"message": 1}, {"name": []}, ...,
)  # fmt: skip
TRIED = int(os.environ.get("STRANGE_IMPORTS", "150"))  # variants; there are about 5,000


EVALUATION = """
from doteval import ForEach, Result, Score
from doteval.concurrency import Adaptive

@ForEach(concurrency=Adaptive(), retries=0)("id,q", [(n, f"q {n}") for n in range(6)])
async def eval_x(id, q):
    if id == 3:
        return Result(error="refused", prompt=q)
    if id == 4:
        raise ValueError("no")
    return Result(
        Score("exact", id % 2 == 0, ("accuracy",), {"why": q}), Score("len", 0.5 * id),
        prompt=[{"role": "user", "content": q}], model_response=q, metadata={"seed": id},
        usage={"input_tokens": 3, "output_tokens": 4, "cost": 0.25},
    )
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """An evaluation's file, and what its runs wrote: one with failures, resumed by a shard."""
    file = tmp_path_factory.mktemp("exported") / "eval_x.py"
    file.write_text(EVALUATION)
    storage = file.with_name("one.db")
    for more in ([], ["--shard", "1/2"]):
        typed = ["run", str(file), "--experiment", "odd", "--storage", str(storage), "-qq", *more]
        assert main(typed) == 1  # rows failed
    store = open_store(storage)
    lines = "".join(export_lines(store, "odd")).encode().splitlines(keepends=True)
    store.close()
    return file, lines


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to each value within a fact, itself left out."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value[:1])
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def changed(fact: Any, path: tuple[Any, ...], value: Any) -> bytes:
    """A fact with one value in another's place; `...` takes it out."""
    copy = json.loads(json.dumps(fact))
    inside = copy
    for key in path[:-1]:
        inside = inside[key]
    if value is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return json.dumps(copy).encode() + b"\n"


def variants(lines: list[bytes]) -> list[tuple[int, tuple[Any, ...], Any]]:
    """Each place in each kind of line with one odd value, then each with another, and so on."""
    found: list[list[Any]] = []
    seen, dice = set(), random.Random(7)
    for at, line in enumerate(lines):
        fact = json.loads(line)
        for path in places(fact):
            if (fact["type"], fact.get("error"), path) not in seen:
                seen.add((fact["type"], fact.get("error"), path))
                found.append([(at, path, value) for value in ODD])
                dice.shuffle(found[-1])
    return [each for turn in zip(*found, strict=True) for each in turn]


def test_what_is_accepted_can_be_read_by_every_command(
    exported: tuple[Path, list[bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Or it is refused with the line: there is nothing between."""
    file, whole = exported
    plain, storage = file.with_name("plain.db"), file.with_name("odd.db")
    store = open_store(plain)
    import_lines(store, whole, "plain")
    store.close()
    accepted, wrong = 0, []
    for at, path, value in variants(whole)[:TRIED]:
        storage.write_bytes(plain.read_bytes())
        lines = [*whole[:at], changed(json.loads(whole[at]), path, value), *whole[at + 1 :]]
        store = open_store(storage)
        try:
            import_lines(store, lines, "odd")
        except UsageError as error:
            if not str(error).startswith("line "):
                wrong.append((at, path, value, "import", repr(error)))
            continue
        except Exception as error:
            wrong.append((at, path, value, "import", repr(error)))
            continue
        finally:
            store.close()
        accepted += 1
        for typed in [
            *commands("odd"),
            ["run", str(file), "--experiment", "odd", "--plan"],
            ["rename", "odd", "even"],
        ]:
            try:
                code = main([*typed, "--storage", str(storage)])
            except BaseException as error:
                wrong.append((at, path, value, " ".join(typed), repr(error)))
            else:
                if code not in (0, 1, 3):
                    wrong.append((at, path, value, " ".join(typed), code))
            capsys.readouterr()

    assert not wrong, "\n".join(map(repr, wrong))
    assert accepted > TRIED / 10
