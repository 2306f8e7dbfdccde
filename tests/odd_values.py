"""
Stores as somebody else might hand them over: one value that no doteval would have written, in one
column of one row. `python -m tests.odd_values 1000 0` tries so many, each with every command.
"""

from __future__ import annotations

import contextlib
import io
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from doteval.cli import main
from doteval.record import Attempt, Call, Score, Usage
from doteval.storage import open_store
from tests.stocked import EVALUATION, recorded, stock

STORE, FAULT = 4, 70  # exit codes: the store can not be read; a fault of ours

_INVALID = object()  # a text that is no UTF-8
VALUES: tuple[Any, ...] = (
    None, "", "x", -1, 0, 1, 5, 2**31, 2**63 - 1, -(2**63), 0.5, -0.5, 1e308, float("inf"),
    float("-inf"), b"", b"\xff\xfe", "\x1b]0;t\x07<b>", "[]", "{}", "null", "7", '[{"at": "x"}]',
    '{"total": "x", "shard": [1], "columns": 5, "strategy": 3}', '["x", 1]',
    '{"row": 5, "scores": [], "failure": "x", "usage": {"cached_tokens": "x"}}', _INVALID, "1e999",
    "9" * 5000, "[" * 20000,
)  # fmt: skip
REQUEST = '{"function": "ask", "scope": "", "arguments": {"x": "1"}, "digests": {"x": "0"}}'
# Read first, then those that change: each of these on a copy of its own.
READING = (
    "list", "list --json", "show a", "show a --json", "show a --full", "show a --errors",
    "show a --unread", "show a --concurrency", "show b", "show a --wrong",
    "show a --row 1", "show a --by answer", "show a --noise", "compare a b", "compare a b c",
    "report a -o OUT.html", "export a --format jsonl", "export a --format json",
    "export a --format csv", "export a --format junit", "export a --format markdown",
    "run EVAL --experiment a --plan",
)  # fmt: skip
CHANGING = (
    "merge OUT.db STORE", "rename a z", "prune --keep 0 --yes", "delete a --yes",
    "run EVAL --experiment a -qq", "doctor --fix",
)  # fmt: skip


class Case(NamedTuple):
    """An odd value, and where it stands."""

    table: str
    column: str
    row: int
    value: Any


def base(path: Path) -> None:
    """Make a store of three experiments that has something in every column of every table."""
    history = [{"at": 0.0, "limit": 2, "reason": "start", "throughput": None}]
    header = {"columns": ["question", "answer"], "strategy": {"name": "Adaptive"}, "total": 6}
    ended = {"history": history, "error": "it was so"}
    with closing(open_store(path)) as store:
        for name in "abc":
            kept = [
                recorded(
                    n,
                    Score("exact", (n + len(name)) % 2 == 0, ("accuracy",)),
                    Score("length", n / 3, ("mean", "median"), {"problem": "empty answer"},
                          unread=n == 1),
                    Score("big", 2**70 if n == 3 else float("nan"), ("mean",)),
                    prompt="p", model_response="r", metadata={"k": 1},
                    usage=Usage(3, 4, 0.1, 1, 1),
                )
                for n in range(4)
            ]  # fmt: skip
            failed = recorded(5, error="no", prompt="p")
            attempt = Attempt(kept[0].key, 0, 1, 1.0, 1.0, "ignored", "ValueError", "m")
            call = Call(kept[0].key, 0, b"d" * 16, 0, 1.0, 1.0, REQUEST, '"r"')
            stock(
                store, name, [*kept, failed], evaluation="eval_x.py::eval_x", total=6,
                attempts=[attempt, call], header=header, ended=ended,
            )  # fmt: skip
            stock(store, name, [recorded(1, Score("exact", True, ("accuracy",)))],
                  evaluation=EVALUATION, began=1_770_000_000.0)  # fmt: skip
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE records SET cluster = 'c', digest = x'0102030405060708' WHERE id % 2")


def cases(path: Path, seed: int) -> Iterator[Case]:
    """Cases without end, the same for the same seed."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master "
                  "WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]  # fmt: skip
        places = [
            (table, column, db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in tables
            for _, column, *_ in db.execute(f"PRAGMA table_info({table})")
        ]
    while True:
        table, column, rows = chance.choice(places)
        yield Case(table, column, chance.randrange(rows), chance.choice(VALUES))


def spoil(path: Path, case: Case) -> bool:
    """Put the value there; whether SQLite lets it stand."""
    table, column, row, value = case
    marker, given = ("CAST(x'fffe41' AS TEXT)", ()) if value is _INVALID else ("?", (value,))
    with closing(sqlite3.connect(path)) as db:
        keys = [name for _, name, *_, key in db.execute(f"PRAGMA table_info({table})") if key]
        where = " AND ".join(f"{key} = ?" for key in keys)
        chosen = db.execute(
            f"SELECT {', '.join(keys)} FROM {table} LIMIT 1 OFFSET ?", (row,)
        ).fetchone()
        try:
            with db:
                db.execute(f"UPDATE {table} SET {column} = {marker} WHERE {where}",
                           (*given, *chosen))  # fmt: skip
        except sqlite3.Error:
            return False
    return True


class Seen(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str
    seconds: float


def tried(command: str, store: Path) -> Seen:
    """Run a command on a store, in this process."""
    folder = store.parent
    words = [
        word.replace("OUT", str(folder / "out")).replace("STORE", str(store))
        .replace("EVAL", str(folder / "eval_x.py"))
        for word in command.split(" ")
    ]  # fmt: skip
    if words[0] not in ("merge",):
        words += ["--storage", str(store)]
    out, err = io.StringIO(), io.StringIO()
    began = time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return Seen(code, out.getvalue(), err.getvalue(), time.perf_counter() - began)


def judged(
    store: Path, good: bytes, case: Case, commands: Sequence[str] = (*READING, *CHANGING)
) -> Iterator[tuple[str, str]]:
    """What is wrong with how commands take a case: the command, and what happened."""

    def again() -> bool:
        for leftover in store.parent.glob("*.db*"):
            leftover.unlink()
        store.touch(0o600)
        store.write_bytes(good)
        return spoil(store, case)

    if not again():
        return
    refused = []
    doctor = 0
    for command in (*(each for each in READING if each in commands), "doctor"):
        seen = tried(command, store)
        yield from _faults(command, seen)
        if seen.code == STORE:
            refused.append(command)
        if command == "doctor":
            doctor = seen.code
            if refused and doctor == 0:
                yield "doctor", f"healthy, but refused by: {', '.join(refused)}"
    for command in (each for each in CHANGING if each in commands):
        again()
        seen = tried(command, store)
        yield from _faults(command, seen)
        if command == "doctor --fix":
            if doctor == 1 and seen.code == 0:
                for after in ("list", "show a --full", "export a --format jsonl"):
                    code = tried(after, store).code
                    if code not in (0, 1):
                        yield command, f"afterwards {after} ends with {code}"
            elif doctor == 1:
                yield command, f"ends with {seen.code}: {seen.err.strip()[-160:]}"
        elif seen.code == STORE and doctor == 0:
            yield "doctor", f"healthy, but refused by: {command}: {seen.err.strip()[-160:]}"


def _faults(command: str, seen: Seen) -> Iterator[tuple[str, str]]:
    if seen.code == FAULT or "Traceback" in seen.err:
        lines = seen.err.strip().splitlines()
        at = [line.strip() for line in lines if line.startswith("  File") and "/doteval/" in line]
        said = next((x for x in reversed(lines) if x[:1].isalpha() and "a fault of" not in x), "")
        yield command, f"traceback: {said:.120} @ {at[-1].rpartition('/')[2] if at else '?'}"
    if seen.seconds > 5:
        yield command, f"took {seen.seconds:.1f} s"
    for text in (seen.out, seen.err):
        if "\x1b]" in text:
            yield command, "raw escape"


EVAL = """
from doteval import foreach
@foreach("question,answer", [(f"question {n}", str(n)) for n in range(6)])
def eval_x(question, answer):
    return True
"""


def trial(folder: Path, count: int, seed: int, commands: int | None = None) -> dict[str, int]:
    """
    So many cases, in a folder of their own.

    Args:
        commands: how many of each kind, other ones for each case; None: all.

    Returns:
        what went wrong, with an example, and how often.
    """
    store = folder / "store.db"
    (folder / "eval_x.py").write_text(EVAL)
    base(store)
    good = store.read_bytes()
    found: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], Case] = {}
    chance = random.Random(seed)
    for case in islice(cases(store, seed), count):
        some = READING + CHANGING
        if commands is not None:
            some = (*chance.sample(READING, commands), chance.choice(CHANGING))
        for what in judged(store, good, case, some):
            found[what] += 1
            example.setdefault(what, case)
    return {
        f"{what[0]}: {what[1]} | {at.table}.{at.column}[{at.row}] = {at.value!r:.60}": n
        for what, n in found.most_common()
        for at in [example[what]]
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        wrong = trial(Path(folder), int(sys.argv[1]), int(sys.argv[2]))
    print(f"{sys.argv[1]} stores: {sum(wrong.values())} faults")
    for what, n in wrong.items():
        print(n, what)
