"""
A long random life of a store, against a tiny model of what must be in it.

Each step runs, interrupts, edits the dataset, changes the function, renames, deletes or begins
anew; after each, the store must hold what the model says. DOTEVAL_STEPS=10000 lives longer,
DOTEVAL_SEED repeats a life.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from pathlib import Path

import pytest

from doteval import ForEach, Result, Score, run_async
from doteval.concurrency import Adaptive, AsyncSequential, Batch, Sequential, SlidingWindow
from doteval.errors import DatasetError, NotFound, UsageError
from doteval.keys import Identities
from doteval.record import LIVE, STALE
from doteval.storage.sqlite import SqliteStore

pytestmark = pytest.mark.long

STEPS = int(os.environ.get("DOTEVAL_STEPS", "600"))
SEED = int(os.environ.get("DOTEVAL_SEED", random.randrange(1_000_000)))
STRATEGIES = [Sequential, AsyncSequential, lambda: Batch(3), lambda: SlidingWindow(4), Adaptive]
COLUMNS = {"content": ("text",), "id": ("id", "text"), "repeats": ("text",)}
REPEATS = {"content": 1, "id": 1, "repeats": 3}


class Interruption(Exception):
    """What a listener raises, or a dataset."""


class Quick(sqlite3.Connection):
    """No power fails here, so nothing need be synced."""

    def execute(self, sql, *arguments):
        return super().execute(sql.replace("= FULL", "= OFF"), *arguments)


class Model:
    """
    What must be stored of one evaluation.

    `records` has by (key, text, repeat) what is live or stale: [version, whether it is live], where
    version is that of the function that made the result, or None for a failure.
    """

    def __init__(self):
        self.records = {}
        self.superseded = 0

    def of(self, state):
        """{(key, text, repeat): version or None}"""
        live = state == LIVE
        return {
            name: version for name, (version, is_live) in self.records.items() if is_live == live
        }


class Life:
    """One store, its datasets and functions, and the models of what is stored."""

    def __init__(self, folder, chance):
        self.path = folder / "results.db"
        self.address = f"quick://{self.path}"
        self.chance = chance
        self.datasets = {kind: [] for kind in COLUMNS}
        self.next_id = 0
        self.version = 0
        self.broken = set()  # texts that the function fails for
        self.models = {}  # (experiment, kind): Model

    # ------------------------------------------------------------------------- steps

    def edit(self):
        """Add, remove, shuffle, repeat or change rows."""
        kind = self.chance.choice(list(COLUMNS))
        rows, chance = self.datasets[kind], self.chance
        action = chance.choice(
            ["add", "add", "remove", "shuffle", "double", "change", "change", "clear"]
        )
        if action == "add":
            rows += [self.row(kind) for _ in range(chance.randint(1, 6))]
        elif action == "shuffle":
            chance.shuffle(rows)
        elif action == "clear" and chance.random() < 0.3:
            rows.clear()
        elif rows and action == "remove":
            del rows[chance.randrange(len(rows)) :][: chance.randint(1, 4)]
        elif rows and action == "double" and kind != "id":
            rows.append(chance.choice(rows))
        elif rows and action == "change":
            at = rows.index(min(rows))  # the same one again and again: it is also changed back
            rows[at] = (*rows[at][:-1], self.text())

    def row(self, kind):
        self.next_id += 1
        return (self.next_id, self.text()) if kind == "id" else (self.text(),)

    def text(self):
        return f"text {self.chance.randrange(8)}"  # so few that they come back

    def change_function(self):
        """Another version, which fails for other texts."""
        self.version += 1
        self.broken = {self.text() for _ in range(self.chance.randint(0, 4))}

    def rename(self):
        names = [name for name, _ in self.models]
        new = f"e{self.chance.randrange(3)}"
        if not names:
            return
        old = self.chance.choice(names)
        store = self.open()
        if new in names:
            with pytest.raises(UsageError):
                store.rename(old, new)
        else:
            store.rename(old, new)
            self.models = {
                (new if name == old else name, kind): model
                for (name, kind), model in self.models.items()
            }
        store.close()

    def delete(self):
        names = [name for name, _ in self.models]
        if not names or self.chance.random() < 0.5:
            return
        name = self.chance.choice(names)
        expected = sum(
            len(model.records) + model.superseded
            for (of, _), model in self.models.items()
            if of == name
        )
        store = self.open()
        assert store.delete(name) == expected
        with pytest.raises(NotFound):
            store.delete(name)
        store.close()
        self.models = {key: model for key, model in self.models.items() if key[0] != name}

    def run(self):
        """A run to its end, of all rows or of the first; or one that something interrupts."""
        chance = self.chance
        kind = chance.choice(list(COLUMNS))
        name = f"e{chance.randrange(2)}"
        samples = chance.choice([None, None, None, chance.randint(1, 20)])
        fresh = chance.random() < 0.08
        kinds = [None, None, None, "listener", "dataset", "cancel"]
        how, when = chance.choice(kinds), chance.randint(1, 12)
        if not self.datasets[kind]:
            how = None
        print(kind, name, samples, how, when, "fresh" if fresh else "", self.datasets[kind])
        model = self.models.setdefault((name, kind), Model())
        self.last = (name, kind)
        if fresh:
            model.superseded += len(model.records)
            model.records.clear()
        attempt = Attempt(self, kind, samples, how, when)
        error = attempt.make(name, fresh)
        if not self.datasets[kind]:
            assert isinstance(error, DatasetError)
            for record in model.records.values():
                record[1] = False
        elif error is None:
            self.finish(model, attempt, samples)
        else:
            assert isinstance(error, (Interruption, DatasetError, asyncio.CancelledError))
            self.adopt(model, attempt, self.stored(name, kind))

    # --------------------------------------------------------------- what must come out

    def finish(self, model, attempt, samples):
        """The model of a run that came to its end."""
        met = attempt.met()
        wanted = {
            (*row, repeat)
            for row in met
            for repeat in range(REPEATS[attempt.kind])
            if model.records.get((*row, repeat), [None])[0] is None
        }
        assert attempt.told == wanted
        assert attempt.calls == len(wanted)
        for name in wanted:
            self.write(model, name)
        to_the_end = samples is None or samples > len(self.datasets[attempt.kind])
        keys = {key for key, _ in met}
        for (key, text, _), record in model.records.items():
            if (key, text) in met:
                record[1] = True
            elif to_the_end or key in keys:
                record[1] = False

    def write(self, model, name):
        """A new record: it takes the place of a failure of the same row, changed or not."""
        key, text, repeat = name
        for other in [each for each in model.records if (each[0], each[2]) == (key, repeat)]:
            if model.records[other][0] is None:
                model.superseded += 1
                del model.records[other]
            else:
                model.records[other][1] = False
        model.records[name] = [None if text in self.broken else self.version, True]

    def adopt(self, model, attempt, stored):
        """
        An interrupted run has some of its records, and all that it was told of. Nothing else has
        changed but what these took the place of.
        """
        before = {**model.of(LIVE), **model.of(STALE)}
        found = {**stored[LIVE], **stored[STALE]}
        kept = {name for name, value in before.items() if value is not None}
        assert {name: found.get(name) for name in kept} == {name: before[name] for name in kept}
        new = {name for name in found if found[name] != before.get(name, "nothing")}
        new |= {name for name in attempt.told if name in found}
        assert len(new) <= attempt.calls
        assert attempt.told <= set(found)
        for name in attempt.told | new:
            assert found[name] == (None if name[1] in self.broken else self.version)
        model.records = {name: [version, True] for name, version in stored[LIVE].items()}
        model.records |= {name: [version, False] for name, version in stored[STALE].items()}
        model.superseded = stored["superseded"]

    # ------------------------------------------------------------------------- the store

    def open(self):
        return SqliteStore(self.path, self.path.parent, connection=Quick)

    def stored(self, name, kind):
        """{state: {(key, text, repeat): version or None}} of what is in the store."""
        store = self.open()
        try:
            title = next(each for each in store.evaluations(name) if each.endswith(f"::{kind}"))
            found = {}
            for state in (LIVE, STALE):
                records = list(store.records(name, title, state=state))
                found[state] = {
                    (record.key, record.row["text"], record.repeat): (
                        None if record.failed else record.outcome.scores[0].value
                    )
                    for record in records
                }
                assert len(found[state]) == len(records)
            found["superseded"] = store.tally(name, title).superseded
            assert store.tally(name, title).scored == sum(
                value is not None for value in found[LIVE].values()
            )
            return found
        finally:
            store.close()

    def check(self, *only):
        """Compare the store with all models, or with some."""
        for name, kind in only or self.models:
            model = self.models[name, kind]
            found = self.stored(name, kind)
            assert found[LIVE] == model.of(LIVE)
            assert found[STALE] == model.of(STALE)
            assert found["superseded"] == model.superseded
            rows = [(key, repeat) for key, _, repeat in found[LIVE]]
            assert len(rows) == len(set(rows))  # no row counts twice


class Attempt:
    """
    One run.

    Attributes:
        told: (key, text, repeat) of the durable records.
        calls: of the function.
    """

    def __init__(self, life, kind, samples, how, when):
        self.life, self.kind, self.samples, self.how, self.when = life, kind, samples, how, when
        self.told = set()
        self.calls = 0

    def met(self):
        """(key, text) of the rows that a run to the end reads."""
        identities = Identities(COLUMNS[self.kind])
        rows = self.life.datasets[self.kind][: self.samples]
        return {(identities.meet(row)[0], row[-1]) for row in rows}

    def make(self, name, fresh):
        """Run it; what interrupted it, or None."""

        async def main():
            self.task = asyncio.current_task()
            await run_async(
                self.evaluation(), name, self.life.address, self.samples, False,
                fresh=fresh, on_record=self.listen,
            )  # fmt: skip

        try:
            asyncio.run(main())
        except (Interruption, DatasetError, asyncio.CancelledError) as error:
            return error
        return None

    def evaluation(self):
        life, kind = self.life, self.kind
        options = {"concurrency": life.chance.choice(STRATEGIES)(), "repeats": REPEATS[kind]}

        async def by_text(text):
            return await self.answer(text)

        async def by_id(id, text):
            return await self.answer(text)

        function = by_id if kind == "id" else by_text
        made = ForEach(**options)(",".join(COLUMNS[kind]), self.rows)(function)
        made.__name__ = made.__qualname__ = kind
        return made

    def rows(self):
        for n, row in enumerate(list(self.life.datasets[self.kind])):
            if self.how == "dataset" and n == self.when:
                raise Interruption
            yield row

    async def answer(self, text):
        self.calls += 1
        if self.how == "cancel" and self.calls == self.when:
            self.task.cancel()
        await asyncio.sleep(0)
        if text in self.life.broken:
            raise KeyError(text)
        return Result(Score("version", self.life.version))

    def listen(self, record):
        self.told.add((record.key, record.row["text"], record.repeat))
        assert len(self.told) <= self.calls
        if self.how == "listener" and len(self.told) == self.when:
            raise Interruption


def test_a_long_life(path, schemes):
    """Six hundred steps and more; the seed is printed where one goes wrong."""
    print(f"DOTEVAL_SEED={SEED}")
    schemes.register(
        "quick",
        lambda rest, anchor, create: SqliteStore(Path(rest), anchor, create, connection=Quick),
    )
    chance = random.Random(SEED)
    life = Life(path.parent, chance)
    steps = [life.run] * 8 + [life.edit] * 6 + [life.change_function, life.rename, life.delete]

    for step in range(STEPS):
        action = chance.choice(steps)
        print(step, action.__name__)
        action()
        if action == life.run:
            life.check(life.last)
        if step % 20 == 0 or action in (life.rename, life.delete):
            life.check()
    life.check()

    store = life.open()
    assert store._db.all("PRAGMA integrity_check") == [("ok",)]
    store.close()
