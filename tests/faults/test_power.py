"""
Power cuts: the writes of a run are recorded, and the disks that a power cut at any moment could
have left are made of them, with writes that were not synced dropped, torn and in any order.

DOTEVAL_POWER_CUTS=2000 tries more of them.
"""

from __future__ import annotations

import os
import random

import pytest
from storage.made import a_failure, a_record, a_run, entry_of

from doteval.storage.sqlite import SqliteStore

from .recording import Disk, Said

pytestmark = pytest.mark.long

CUTS = int(os.environ.get("DOTEVAL_POWER_CUTS", "150"))
SEED = int(os.environ.get("DOTEVAL_SEED", random.randrange(1_000_000)))


def text_of(name):
    """The text of a record: by its name it can be told whether it is whole."""
    return random.Random(name).randbytes(int(name) % 7 * 900).hex()


def an_entry(name, replaces=None, outcome=None):
    record = a_record(name, outcome, {"text": name, "filler": text_of(name)})
    return entry_of(record, replaces=replaces)


def record_a_run(recording, path, connection):
    """Fill a store with commits of all sizes; say what is acknowledged, and when."""
    chance = random.Random(7)
    store = SqliteStore(path, path.parent, connection=connection)
    store._db._db.execute("PRAGMA cache_size = 20")  # pages; so that large commits spill
    run = a_run()
    number = store.begin(run)
    recording.say("begun")
    count = 0
    for commit in range(40):
        size = chance.choice([1, 1, 2, 3, 30])
        entries = [an_entry(f"{count + n}") for n in range(size - 1)]
        entries.append(an_entry(f"{count + size - 1}", outcome=a_failure() if commit % 5 else None))
        if commit % 10 == 9:
            replaced = [page.id for page in store.stored(number) if page.failed][:5]
            entries += [an_entry(f"{1_000 + count + i}", id) for i, id in enumerate(replaced)]
        store.add(number, entries)
        recording.say([entry.record.row["text"] for entry in entries])
        count += size
    store.end(number, run)
    store.close()


def judge(folder, acknowledged):
    """What is wrong with a store that a power cut left; None where nothing is."""
    path = folder / "results.db"
    if not path.exists():
        return None if not acknowledged else "the file is gone"
    try:
        store = SqliteStore(path, folder)
    except OSError as error:
        return str(error)
    try:
        if store._db.all("PRAGMA integrity_check") != [("ok",)]:
            return "corrupt"
        if not store.experiments():
            return None if acknowledged is None else "the experiment is gone"
        found = {
            record.row["text"]: record.row["filler"]
            for state in (0, 2)
            for record in store.records("e", "f.py::v", state=state)
        }
    except OSError as error:
        return str(error)
    finally:
        store.close()
    if any(filler != text_of(name) for name, filler in found.items()):
        return "torn records"
    missing = set(acknowledged or ()) - set(found)
    return f"{len(missing)} acknowledged records are gone" if missing else None


def failures(recording, chance, cuts, tmp_path):
    """Cut the power at moments of a recorded run; what is wrong afterwards, by moment."""
    moments = sorted(chance.sample(range(len(recording.events)), min(cuts, len(recording.events))))
    disk, acknowledged, done, wrong = Disk(), None, 0, {}
    for moment in moments:
        for event in recording.events[done:moment]:
            disk.apply(event)
            if isinstance(event, Said):
                acknowledged = [] if event.what == "begun" else [*acknowledged, *event.what]
        done = moment
        folder = tmp_path / f"cut {moment}"
        folder.mkdir()
        disk.fail(chance, folder)
        if problem := judge(folder, acknowledged):
            wrong[moment] = problem
        for file in folder.iterdir():
            file.unlink()
    return wrong


def test_a_power_cut_loses_nothing_that_was_acknowledged(recording, path, tmp_path):
    """Nor does it leave a store that is damaged, or a record that is torn."""
    print(f"DOTEVAL_SEED={SEED}")
    record_a_run(recording, path, recording.connection)

    assert failures(recording, random.Random(SEED), CUTS, tmp_path) == {}


def test_the_cuts_are_cruel_enough(recording, path, tmp_path):
    """Without syncs, which the store insists on, they do lose records and damage files."""

    class Careless(recording.connection):
        def execute(self, sql, *arguments):
            sql = sql.replace("synchronous = FULL", "synchronous = OFF")
            return super().execute(sql, *arguments)

    record_a_run(recording, path, Careless)

    assert len(failures(recording, random.Random(SEED), 40, tmp_path)) > 20


def test_what_a_commit_does_to_the_disk(recording, path):
    """Two or three syncs of the journal and one of the file: the price of a durable record."""
    store = SqliteStore(path, path.parent, connection=recording.connection)
    number = store.begin(a_run())
    store.add(number, [an_entry("0")])
    recording.events.clear()

    store.add(number, [an_entry("1")])

    synced = [os.path.basename(e.path) for e in recording.events if type(e).__name__ == "Sync"]
    assert synced.count("results.db") == 1
    assert synced.count("results.db-journal") <= 3
    assert type(recording.events[-1]).__name__ == "Sync"
    store.close()


def test_the_journal_is_kept_from_the_first_commit_on(recording, path):
    """A deleted journal could come back after a power cut, and undo what was committed."""
    store = SqliteStore(path, path.parent, connection=recording.connection)
    store.begin(a_run())
    store.close()

    assert [event for event in recording.events if type(event).__name__ == "Delete"] == []
