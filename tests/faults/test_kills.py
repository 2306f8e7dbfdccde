"""
kill -9 at random moments: what was told to be stored is stored, and the work is done in the end.

DOTEVAL_KILLS=25 kills as often; the suite does it a few times.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from doteval.storage.sqlite import SqliteStore

from .worker import BACKLOG, STRATEGIES

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("DOTEVAL_KILLS", "3"))
SEED = int(os.environ.get("DOTEVAL_SEED", random.randrange(1_000_000)))


def lines(file):
    """The whole lines of a file that may not be there."""
    try:
        return Path(file).read_text().splitlines()
    except FileNotFoundError:
        return []


def wait_for(process, file, count):
    """Wait until so many lines are in the file, or the process has ended."""
    while process.poll() is None and len(lines(file)) < count:
        time.sleep(0.002)


def stored(path):
    """Numbers of the rows with a live result, and how often; the store is whole."""
    store = SqliteStore(path, path.parent)
    assert store._db.all("PRAGMA integrity_check") == [("ok",)]
    try:
        if not store.experiments() or not (found := store.evaluations("kills")):
            return Counter()
        return Counter(
            record.row["number"] for record in store.records("kills", found[0]) if not record.failed
        )
    finally:
        store.close()


@pytest.mark.parametrize(
    ("strategy", "size", "rows"),
    [
        ("sequential", 100, 1_500),
        ("async", 100, 1_500),
        ("batch", 100, 4_000),
        ("window", 64_000, 300),
        ("adaptive", 100, 4_000),
        ("adaptive", 64_000, 300),
    ],
)
def test_kill_9(path, start, strategy, size, rows):
    """Nothing acknowledged is lost, nothing is stored twice, and little is paid for twice."""
    print(f"DOTEVAL_SEED={SEED}")
    chance = random.Random(f"{SEED} {strategy} {size}")
    asked, told = f"{path}.asked", f"{path}.told"
    kills = 0
    for _ in range(KILLS):
        process = start("-m", "faults.worker", path, strategy, size, rows)
        left = rows - len(set(lines(told)))
        wait_for(process, asked, len(lines(asked)) + chance.randrange(max(1, left // 3)))
        time.sleep(chance.random() * 0.02)  # so that the moment is any, and not one of ours
        process.kill()
        process.communicate()
        kills += process.returncode == -9

        found = stored(path)
        assert set(lines(told)) <= set(found)
        assert set(found.values()) <= {1}

    process = start("-m", "faults.worker", path, strategy, size, rows)
    out, err = process.communicate(timeout=120)

    assert out.split() == ["complete", f"{rows}", f"{rows}"], err
    assert stored(path) == Counter(map(str, range(rows)))
    paid = Counter(lines(asked))
    assert set(paid) == set(map(str, range(rows)))
    assert sum(paid.values()) - rows <= kills * (STRATEGIES[strategy][1] + BACKLOG)


def test_kill_9_at_the_very_beginning(path, start):
    """While the store is being made, or before."""
    chance = random.Random(SEED)
    print(f"DOTEVAL_SEED={SEED}")
    for _ in range(KILLS * 2):
        process = start("-m", "faults.worker", path, "batch", 10, 40)
        while process.poll() is None and not path.exists():
            time.sleep(0.001)
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.communicate()
        if path.exists():
            stored(path)

    out, err = start("-m", "faults.worker", path, "batch", 10, 40).communicate(timeout=60)

    assert out.split() == ["complete", "40", "40"], err
