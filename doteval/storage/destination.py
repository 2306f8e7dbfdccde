"""
An evaluation as a store has it, and what comes to it: decided row by row, written by pages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..errors import UsageError
from ..record import LIVE, Run
from .archive import (
    Asked,
    Kept,
    Opening,
    Paid,
    Ran,
    insert_calls,
    insert_records,
    make_evaluation,
    score_names,
)
from .database import Database, by_column
from .encoding import dump, storable
from .entries import (
    ATTEMPT_COLUMNS,
    RUN_COLUMNS,
    attempt_columns,
    marks_in,
    run_columns,
    run_of,
    value_to,
)
from .rivals import Rivals, Row
from .tally import add_scores, added

_KNOWN_PAGE = 5_000  # records of the store that are noted at a time
EXAMPLES = 10  # rows in conflict that are named
_ON_ITS_WAY = "what came of it is not all: it was interrupted on its way, or is still coming"
CUT_SHORT = "it was still running when it was read, or its process has died"

# What the store has of an evaluation, by row; of many records too much for memory.
_KNOWN = """
CREATE TEMP TABLE IF NOT EXISTS known (
    key BLOB, repeat INTEGER, id INTEGER, run INTEGER, state INTEGER, failed INTEGER, digest BLOB,
    started REAL, PRIMARY KEY (key, repeat, id)
) WITHOUT ROWID
"""
_KNOWN_COLUMNS = "key, repeat, id, run, state, failed, digest, started"


class Contradiction(UsageError):
    """Facts that do not fit those before them."""


@dataclass(slots=True)
class Arrived:
    """
    What has come of one evaluation.

    Attributes:
        runs, records, attempts: how many are new in the store.
        replaced: records of the store that no longer count, because a new one does.
        conflicts: rows that were finished in both; the earlier result counts.
        positions: of the first 10 of them, as one of the runs read them.
    """

    runs: int = 0
    records: int = 0
    attempts: int = 0
    replaced: int = 0
    conflicts: int = 0
    positions: tuple[int, ...] = ()

    def count(self, other: Arrived) -> None:
        """What has come besides."""
        self.runs += other.runs
        self.records += other.records
        self.attempts += other.attempts
        self.replaced += other.replaced
        self.conflicts += other.conflicts
        self.positions = (*self.positions, *other.positions)[:EXAMPLES]


class _Changed(NamedTuple):
    """A record of the store: the state that it gets, its row, and whether it has no scores."""

    state: int
    key: bytes
    repeat: int
    failed: bool


class Destination:
    """
    The evaluation as the store has it, and what comes to it.

    Attributes:
        open: runs of which something may be new, by uid: their numbers.
        arrived: how much it was so far.
    """

    def __init__(
        self,
        db: Database,
        name: tuple[str, str],
        created: float,
        opening: Opening,
        coming: Sequence[Ran],
        merging: bool,
    ) -> None:
        self._db = db
        self._name = name
        self._coming = coming
        self._total = opening.total
        self.arrived = Arrived()
        with db.writing() as connection:
            self._number = make_evaluation(connection, name[0], created, name[1])
            mine = {
                id: run_of(*name, columns)
                for id, *columns in db.rows(
                    f"id, {RUN_COLUMNS}", "FROM runs WHERE evaluation = ?", self._number
                )
            }
            theirs = [
                replace(each.run, header={**each.run.header, "shard": each.part or None})
                for each in coming
            ]
            self._is_later = max((run.started for run in mine.values()), default=0.0) < max(
                (run.started for run in theirs), default=0.0
            )
            self._is_apart = merging and _are_apart(mine.values(), theirs)
            self._uids = {id: run.uid for id, run in mine.items()}
            self.open = self._take_runs(connection, mine)
            self._rivals = Rivals(mine.values(), theirs, self._uids)
            self._numbers = {uid: id for id, uid in self._uids.items()}
            self._before: int = db.all("SELECT coalesce(max(id), 0) FROM records")[0][0]
            self._lost = 0
            for number in self.open.values():  # they come once more, all of them
                of = "WHERE evaluation = ? AND run = ?", (self._number, number)
                self._lost += connection.execute(f"DELETE FROM attempts {of[0]}", of[1]).rowcount
                connection.execute(f"DELETE FROM calls {of[0]}", of[1])
            self._take_scores(connection, opening)
        if self.open and not self._is_apart:
            self._remember()

    # --------------------------------------------------------------- what stands above records

    def _take_runs(self, connection: sqlite3.Connection, mine: dict[int, Run]) -> dict[str, int]:
        """Note the runs of which something may come, as interrupted."""
        there = {run.uid: (id, run) for id, run in mine.items()}
        found = {}
        for each in self._coming:
            uid = each.run.uid
            if uid not in there:
                run = replace(each.run, finished=None, status="interrupted", error=_ON_ITS_WAY)
                number = connection.execute(
                    f"INSERT INTO runs (evaluation, {RUN_COLUMNS}) VALUES (?{', ?' * 10})",
                    (self._number, *run_columns(run, each.part)),
                ).lastrowid
                assert number is not None
                self.arrived.runs += 1
            elif there[uid][1].finished is None:
                number = there[uid][0]
            else:
                continue
            found[uid] = number
            self._uids[number] = uid
        return found

    def _take_scores(self, connection: sqlite3.Connection, opening: Opening) -> None:
        """The names of scores; their metrics are those of the later run."""
        update = "DO UPDATE SET metrics = excluded.metrics" if self._is_later else "DO NOTHING"
        connection.executemany(
            "INSERT INTO score_names (evaluation, name, metrics) VALUES (?, ?, ?) "
            f"ON CONFLICT (evaluation, name) {update}",
            [
                (self._number, storable(name), dump(list(metrics)))
                for name, metrics in opening.scores
            ],
        )
        names = score_names(self._db, self._number)
        self._scores = {name: (id, metrics) for id, (name, metrics) in names.items()}

    def finish(self) -> None:
        """All has come."""
        if not self.open:
            return
        with self._db.writing() as connection:
            for each in self._coming:
                run = each.run
                if run.uid not in self.open:
                    continue
                if run.status == "running":  # somewhere else, if at all
                    run = replace(run, status="interrupted", error=run.error or CUT_SHORT)
                connection.execute(
                    f"UPDATE runs SET ({RUN_COLUMNS}) = (?{', ?' * 9}) WHERE id = ?",
                    (*run_columns(run, each.part), self.open[run.uid]),
                )
            if self._total is not None:
                connection.execute(
                    "UPDATE evaluations SET total = ? WHERE id = ? AND (total IS NULL OR ?)",
                    (self._total, self._number, self._is_later),
                )
        self.arrived.attempts = max(0, self.arrived.attempts - self._lost)

    # ------------------------------------------------------------------------------- records

    def _remember(self) -> None:
        """What the store has of the evaluation, noted by row where it can be looked up."""
        db = self._db
        db.all("PRAGMA temp_store = FILE")  # of many records, too much for memory
        db.all(_KNOWN)
        db.all("DELETE FROM known")
        last = 0
        while True:
            page = db.all(
                "SELECT max(id) FROM (SELECT id FROM records WHERE evaluation = ? "
                "AND state IN (0, 1, 2) AND id > ? ORDER BY id LIMIT ?)",
                self._number, last, _KNOWN_PAGE,
            )  # fmt: skip
            if page[0][0] is None:
                return
            db.all(
                "INSERT INTO known SELECT key, repeat, id, run, state, error IS NOT NULL, digest, "
                "started FROM records WHERE evaluation = ? AND id > ? AND id <= ?",
                self._number, last, page[0][0],
            )  # fmt: skip
            last = page[0][0]

    def write(self, page: Sequence[Kept | Paid | Asked]) -> None:
        """A page, in one transaction; what is of runs that are whole has come before."""
        page = [fact for fact in page if fact.run in self.open]
        if not page:
            return
        kept = [fact for fact in page if isinstance(fact, Kept)]
        attempts = [
            (self._number, self._numbers[fact.run], *attempt_columns(fact.attempt))
            for fact in page
            if isinstance(fact, Paid)
        ]
        calls = [(self._numbers[fact.run], fact.call) for fact in page if isinstance(fact, Asked)]
        with self._db.writing() as connection:
            self._db.insert("attempts", f"evaluation, run, {ATTEMPT_COLUMNS}", by_column(attempts))
            insert_calls(self._db, self._number, calls)
            if kept:
                self._keep(connection, kept)
        self.arrived.attempts += len(attempts)

    def _keep(self, connection: sqlite3.Connection, page: Sequence[Kept]) -> None:
        last, sums = self._db.all(
            "SELECT coalesce(max(records.id), 0), (SELECT sums FROM evaluations WHERE id = ?) "
            "FROM records",
            self._number,
        )[0]
        wanted, changed = self._decide(page, last)
        self._change(connection, changed)
        self._insert(connection, [(id, *each) for id, each in wanted.items()])
        live = [
            each for state, each in wanted.values() if state == LIVE and each.columns[4] is None
        ]
        is_summed = all(each.failed for each in changed.values())
        if live:
            sums, fits = added(sums, by_column([each.columns for each in live]))
            is_summed = is_summed and fits
            by_name: dict[str, tuple[Sequence[str], list[tuple[Any, int]]]] = {}
            for each in live:
                mark = marks_in(each.body)
                for name, value in each.scores:
                    metrics = self._scores[name][1]
                    by_name.setdefault(name, (metrics, []))[1].append(value_to(value, mark(name)))
            add_scores(self._db, self._number, by_name)
        connection.execute(
            "UPDATE evaluations SET revision = revision + 1, summed = coalesce(summed, 0) + ?, "
            "sums = ? WHERE id = ?",
            (int(is_summed), sums, self._number),
        )
        self.arrived.records += len(wanted)

    def _decide(
        self, page: Sequence[Kept], last: int
    ) -> tuple[dict[int, tuple[int, Kept]], dict[int, _Changed]]:
        """
        What becomes of a page: the records to insert and their states, by their numbers, from
        `last` on; and those of the store that get another state.
        """
        here = self._known([each.columns[0] for each in page])
        wanted: dict[int, tuple[int, Kept]] = {}
        changed: dict[int, _Changed] = {}
        for each in page:
            key, digest, repeat, position, error, _, started, *_ = each.columns
            theirs = Row(
                None, self._numbers[each.run], each.state, error is not None, digest, started
            )
            mine = here.setdefault((key, repeat), [])
            of_run = [one for one in mine if one.run == theirs.run]
            # A log of another tool may have several answers of one row in a run, without a time.
            before = (
                one
                for one in of_run
                if one.id is not None
                and one.id <= self._before
                and (one.started, one.failed) == (started, theirs.failed)
            )
            same = next(before, None)
            if any(one.state == each.state == LIVE and one is not same for one in of_run):
                raise Contradiction(
                    f"evaluation {self._name[1]!r} has two live records of one row, at position "
                    f"{position}"
                )
            others = [one for one in mine if one.run != theirs.run]
            decided, conflict = self._rivals.decide(
                theirs, others if same is None else [same, *others]
            )
            if conflict:
                self.arrived.count(Arrived(conflicts=1, positions=(position,)))
            for at, one in enumerate(mine):
                became = decided.get(one.id, one.state)
                if became != one.state:
                    assert one.id is not None
                    mine[at] = one._replace(state=became)  # the next meets it as it is now
                    if one.id in wanted:
                        wanted[one.id] = became, wanted[one.id][1]
                    else:
                        changed[one.id] = _Changed(became, key, repeat, one.failed)
                    self.arrived.replaced += int(one.state == LIVE)
            if same is None:
                last += 1
                wanted[last] = decided[None], each
                mine.append(theirs._replace(id=last, state=decided[None]))
        return wanted, changed

    def _insert(
        self, connection: sqlite3.Connection, wanted: Sequence[tuple[int, int, Kept]]
    ) -> None:
        rows = []
        for id, _, each in wanted:
            mark = marks_in(each.body)
            for name, value in each.scores:
                rows.append((id, self._scores[name][0], *value_to(value, mark(name))))
        records = by_column(
            (id, self._numbers[each.run], state, *each.columns) for id, state, each in wanted
        )
        if wanted:
            bodies = [each.body for _, _, each in wanted]
            insert_records(self._db, self._number, records, bodies, rows)
        if not self._is_apart:
            connection.executemany(
                f"INSERT INTO known ({_KNOWN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (each.columns[0], each.columns[2], id, self._numbers[each.run], state,
                     each.columns[4] is not None, each.columns[1], each.columns[6])
                    for id, state, each in wanted
                ],
            )  # fmt: skip

    def _change(self, connection: sqlite3.Connection, changed: Mapping[int, _Changed]) -> None:
        """Give records of the store, and what is known of them, new states."""
        rows = [(each.state, each.key, each.repeat, id) for id, each in changed.items()]
        rows.sort(key=lambda row: row[0] == LIVE)  # one counts when the other no more does
        connection.executemany(
            "UPDATE records SET state = ? WHERE id = ?", [(row[0], row[3]) for row in rows]
        )
        if rows:
            connection.executemany(
                "UPDATE known SET state = ? WHERE key = ? AND repeat = ? AND id = ?", rows
            )

    def _known(self, keys: list[bytes]) -> dict[tuple[bytes, int], list[Row]]:
        found: dict[tuple[bytes, int], list[Row]] = {}
        if self._is_apart:
            return found
        marks = ", ".join("?" * len(keys))
        for key, repeat, id, run, state, failed, digest, started in self._db.all(
            f"SELECT {_KNOWN_COLUMNS} FROM known WHERE key IN ({marks})", *keys
        ):
            row = Row(id, run, state, bool(failed), digest, started)
            found.setdefault((key, repeat), []).append(row)
        return found


def _are_apart(here: Iterable[Run], there: Iterable[Run]) -> bool:
    """
    Whether runs can have no row in common: one side has none, or they are of different shards of
    one division. Then nothing is looked up, and merging many shards takes no longer for each.
    """
    mine, theirs = ({run.header.get("shard") or "" for run in runs} for runs in (here, there))
    if not mine or not theirs:
        return True
    shards = mine | theirs
    if "" in shards or mine & theirs:
        return False
    return len({part.partition("/")[2] for part in shards}) == 1
