"""
One evaluation of one store on its way into another, within one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..records import LIVE, STALE, SUPERSEDED, Run
from .archive import as_copy, free_uid, identity
from .database import Database, by_column
from .encoding import ATTEMPT_COLUMNS, load
from .rivals import Rivals, Row

_PAGE = 400  # records at a time; each is one value in a statement of at most 999
_PAGE_TEXT = 4 * 2**20  # characters of their texts at a time
_EXAMPLES = 10  # rows in conflict that are named
_CUT_SHORT = "it was still running when it was merged, or its process has died"

_FACTS = (
    "key, repeat, digest, position, error, attempts, started, duration, waited, concurrency, "
    "input_tokens, output_tokens, cost, cluster"
)
# State by state, because the index has them in the order of their ids only within a state.
_PAGES = (
    " UNION ALL ".join(
        f"SELECT id, run, state, {_FACTS} FROM records "
        f"WHERE id > ? AND evaluation = ? AND id <= ? AND state = {state}"
        for state in (LIVE, STALE, SUPERSEDED)
    )
    + " ORDER BY id LIMIT ?"
)
_RUN = "uid, part, started, finished, duration, status, pid, header, history, error"
KNOWN = """
CREATE TEMP TABLE known (
    key BLOB, repeat INTEGER, id INTEGER, run INTEGER, state INTEGER, failed INTEGER, digest BLOB,
    started REAL, PRIMARY KEY (key, repeat, id)
) WITHOUT ROWID
"""


Name = tuple[str, str]  # experiment, evaluation


@dataclass(frozen=True, slots=True)
class Merged:
    """
    What merging one evaluation has come to.

    Attributes:
        experiment, evaluation: its name.
        runs, records, attempts: how many are new in OUT.
        replaced: records of OUT that no longer count, because a new one does.
        conflicts: rows that were finished in two stores; the earlier result counts.
        positions: of the first 10 of them, as one of the runs read them.
        total: records it has when it is complete; None while unknown.
        live: records in OUT that count.
        absent: shards that no run in OUT is of. unfinished: shards whose last run did not
            complete, and its status.
        differ: in which way the stores hold different evaluations; () where they agree.
    """

    experiment: str
    evaluation: str
    runs: int = 0
    records: int = 0
    attempts: int = 0
    replaced: int = 0
    conflicts: int = 0
    positions: tuple[int, ...] = ()
    total: int | None = None
    live: int = 0
    absent: tuple[str, ...] = ()
    unfinished: tuple[tuple[str, str], ...] = ()
    differ: tuple[str, ...] = ()

    @property
    def missing(self) -> int | None:
        """Records that are missing in OUT; None while that is unknown."""
        return None if self.total is None else max(0, self.total - self.live)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; what `doteval merge --json` prints."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "unfinished": dict(self.unfinished), "missing": self.missing}


class Theirs(NamedTuple):
    """
    An evaluation of a source, as it was at one moment.

    Attributes:
        db: the source. number: of the evaluation in it. name: its experiment's, and its own.
        created: when its experiment was, Unix seconds.
        total: records that it has when it is complete, None while unknown.
        runs: by their start. facts: the same as the table has them: id, uid, ...
        last: the highest id of a record; what came later is for the next merge.
    """

    db: Database
    number: int
    name: Name
    created: float
    total: int | None
    runs: list[Run]
    facts: list[Sequence[Any]]
    last: int


def facts_of(db: Database, evaluation: int) -> list[Sequence[Any]]:
    """The runs of an evaluation as the table has them, in the order in which they began."""
    return db.all(
        f"SELECT id, {_RUN} FROM runs WHERE evaluation = ? ORDER BY started, id", evaluation
    )


def runs_of(facts: Iterable[Sequence[Any]], name: Name) -> dict[int, Run]:
    """Runs by their ids, each with what it is known by in every store."""
    found = {}
    for id, uid, part, started, finished, duration, status, pid, told, history, error in facts:
        header = {**load(told), "shard": part or None}
        found[id] = Run(
            identity(uid, header), *name, started, finished, duration, status, pid, header,
            tuple(load(history or "[]")), error,
        )  # fmt: skip
    return found


class _News(NamedTuple):
    """What a source brings for an evaluation: numbers in OUT of its runs, by their ids there."""

    runs: dict[int, int]
    open: set[int]  # runs there whose records may not all be here


class Taking:
    """An evaluation of a source on its way into OUT, within one transaction."""

    def __init__(
        self, db: Database, connection: sqlite3.Connection, merged: Merged, theirs: Theirs
    ) -> None:
        self._db = db
        self._connection = connection
        self._theirs = theirs
        self._merged = merged
        self._positions = list(merged.positions)
        self._number = self._evaluation()
        mine = runs_of(facts_of(db, self._number), theirs.name)
        self._is_later = max((run.started for run in mine.values()), default=0.0) < max(
            (run.started for run in theirs.runs), default=0.0
        )
        self._is_apart = _are_apart(mine.values(), theirs.runs)
        self._uids = {id: run.uid for id, run in mine.items()}
        self._news = self._take_runs(mine)
        self._names = self._take_score_names()
        self._rivals = Rivals(mine.values(), theirs.runs, self._uids)

    def all(self) -> Merged:
        """Take it all."""
        self._take_total()
        self._remember()
        last, of = 0, (self._theirs.number, self._theirs.last)
        while page := self._theirs.db.all(_PAGES, *(last, *of) * 3, _PAGE):
            last = page[-1][0]
            self._take_page(page)
        self._take_attempts()
        self._connection.execute("DELETE FROM known")
        self._connection.execute(
            "UPDATE evaluations SET revision = revision + 1 WHERE id = ?", (self._number,)
        )
        return replace(self._merged, positions=tuple(self._positions))

    def _add(self, **counts: int) -> None:
        self._merged = replace(
            self._merged, **{name: getattr(self._merged, name) + n for name, n in counts.items()}
        )

    # --------------------------------------------------------------- what stands above records

    def _evaluation(self) -> int:
        experiment, name = self._theirs.name
        run = self._connection.execute
        run(
            "INSERT INTO experiments (name, created) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET created = min(created, excluded.created)",
            (experiment, self._theirs.created),
        )
        run(
            "INSERT OR IGNORE INTO evaluations (experiment, name) "
            "SELECT id, ? FROM experiments WHERE name = ?",
            (name, experiment),
        )
        found: int = run(
            "SELECT evaluations.id FROM evaluations JOIN experiments "
            "ON experiments.id = experiment WHERE experiments.name = ? AND evaluations.name = ?",
            (experiment, name),
        ).fetchone()[0]
        return found

    def _take_runs(self, mine: dict[int, Run]) -> _News:
        """Bring the runs up to date; a run that goes on there has been cut short here."""
        numbers = {run.uid: id for id, run in mine.items()}
        news = _News({}, set())
        theirs = runs_of(self._theirs.facts, self._theirs.name)
        for id, _, *facts in self._theirs.facts:
            uid = theirs[id].uid
            if facts[4] == "running":
                facts[4], facts[8] = "interrupted", facts[8] or _CUT_SHORT
            number = numbers.get(uid)
            if number is None:
                number = self._insert_run(uid, facts)
                news.open.add(id)
                self._add(runs=1)
            elif mine[number].finished is None:
                news.open.add(id)
                facts[6] = as_copy(facts[6], uid)  # whether it is one or the original
                self._connection.execute(
                    "UPDATE runs SET part = ?, started = ?, finished = ?, duration = ?, "
                    "status = ?, pid = ?, header = ?, history = ?, error = ? WHERE id = ?",
                    (*facts, number),
                )
            news.runs[id] = number
            self._uids[number] = uid
        return news

    def _insert_run(self, uid: str, facts: list[Any]) -> int:
        uid, facts[6] = free_uid(self._connection, uid, facts[6])
        number = self._connection.execute(
            f"INSERT INTO runs (evaluation, {_RUN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._number, uid, *facts),
        ).lastrowid
        assert number is not None
        return number

    def _take_score_names(self) -> dict[int, int]:
        """Their numbers to ours; the metrics are those of the later run."""
        update = "DO UPDATE SET metrics = excluded.metrics" if self._is_later else "DO NOTHING"
        found = {}
        for id, name, metrics in self._theirs.db.all(
            "SELECT id, name, metrics FROM score_names WHERE evaluation = ?", self._theirs.number
        ):
            self._connection.execute(
                "INSERT INTO score_names (evaluation, name, metrics) VALUES (?, ?, ?) "
                f"ON CONFLICT (evaluation, name) {update}",
                (self._number, name, metrics),
            )
            found[id] = self._connection.execute(
                "SELECT id FROM score_names WHERE evaluation = ? AND name = ?",
                (self._number, name),
            ).fetchone()[0]
        return found

    def _take_total(self) -> None:
        if self._theirs.total is not None:
            self._connection.execute(
                "UPDATE evaluations SET total = ? WHERE id = ? AND (total IS NULL OR ?)",
                (self._theirs.total, self._number, self._is_later),
            )

    # ------------------------------------------------------------------------------- records

    def _remember(self) -> None:
        """What OUT has of the evaluation, by row, where it can be looked up."""
        if self._is_apart:
            return
        self._connection.execute(
            "INSERT INTO known SELECT key, repeat, id, run, state, error IS NOT NULL, digest, "
            "started FROM records WHERE evaluation = ? ORDER BY key, repeat, id",
            (self._number,),
        )

    def _take_page(self, page: Sequence[Sequence[Any]]) -> None:
        here = self._known([row[3] for row in page])
        wanted: dict[int, tuple[int, Sequence[Any]]] = {}
        changed: list[tuple[int, bytes, int, int]] = []
        for id, run, state, *facts in page:
            key, repeat, digest, position, error, _, started, *_ = facts
            theirs = Row(None, self._news.runs[run], state, error is not None, digest, started)
            mine = here.get((key, repeat), [])
            is_here = any(each.run == theirs.run for each in mine)
            if not is_here and run not in self._news.open:
                continue  # it was merged, and pruned since
            decided, conflict = self._rivals.decide(theirs, mine)
            if conflict:
                self._note_conflict(position)
            if not is_here:
                wanted[id] = (decided[None], (theirs.run, *facts))
            for at, each in enumerate(mine):
                became = decided.get(each.id, each.state)
                if became != each.state:
                    assert each.id is not None
                    mine[at] = each._replace(state=became)  # the next record meets it as it is now
                    changed.append((became, key, repeat, each.id))
                    self._add(replaced=each.state == LIVE)
        self._change(changed)
        self._take_records(wanted)

    def _change(self, changed: Sequence[tuple[int, bytes, int, int]]) -> None:
        """Give records of OUT, and what is known of them, new states."""
        run = self._connection.executemany
        run("UPDATE records SET state = ? WHERE id = ?", [(each[0], each[3]) for each in changed])
        run("UPDATE known SET state = ? WHERE key = ? AND repeat = ? AND id = ?", changed)

    def _note_conflict(self, position: int) -> None:
        self._add(conflicts=1)
        if len(self._positions) < _EXAMPLES:
            self._positions.append(position)

    def _known(self, keys: list[bytes]) -> dict[tuple[bytes, int], list[Row]]:
        found: dict[tuple[bytes, int], list[Row]] = {}
        if self._is_apart:
            return found
        marks = ", ".join("?" * len(keys))
        for key, repeat, id, run, state, failed, digest, started in self._db.all(
            "SELECT key, repeat, id, run, state, failed, digest, started FROM known "
            f"WHERE key IN ({marks})",
            *keys,
        ):
            row = Row(id, run, state, bool(failed), digest, started)
            found.setdefault((key, repeat), []).append(row)
        return found

    def _take_records(self, wanted: dict[int, tuple[int, Sequence[Any]]]) -> None:
        """Copy records with their texts and scores, a page of texts at a time."""
        left = sorted(wanted)
        while left:
            marks = ", ".join("?" * len(left))
            bodies = self._theirs.db.page(
                f"SELECT record, body FROM bodies WHERE record IN ({marks}) ORDER BY record",
                *left, text=1, most=_PAGE_TEXT,
            )  # fmt: skip
            if not bodies:
                return  # deleted there meanwhile
            self._insert(bodies, wanted)
            left = [id for id in left if id > bodies[-1][0]]

    def _insert(
        self, bodies: Sequence[Sequence[Any]], wanted: dict[int, tuple[int, Sequence[Any]]]
    ) -> None:
        last = self._connection.execute("SELECT coalesce(max(id), 0) FROM records").fetchone()[0]
        ids = {there: here for here, (there, _) in enumerate(bodies, last + 1)}
        marks = ", ".join("?" * len(bodies))
        scores = self._theirs.db.all(
            f"SELECT record, name, value, boolean FROM scores WHERE record IN ({marks})", *ids
        )
        text = sum(len(body) for _, body in bodies)
        records = ((here, self._number, wanted[id][0], *wanted[id][1]) for id, here in ids.items())
        self._db.insert("records", f"id, evaluation, state, run, {_FACTS}", by_column(records))
        texts = ((ids[id], body) for id, body in bodies)
        self._db.insert("bodies", "record, body", by_column(texts), text)
        found = (
            (ids[id], self._names[name], value, boolean) for id, name, value, boolean in scores
        )
        self._db.insert("scores", "record, name, value, boolean", by_column(found))
        self._add(records=len(bodies))

    # -------------------------------------------------------------------------------- ledger

    def _take_attempts(self) -> None:
        """The failed attempts of new runs; those of one that was cut short, all of them again."""
        before = self._count_attempts()
        for run in self._news.open:
            self._connection.execute(
                "DELETE FROM attempts WHERE evaluation = ? AND run = ?",
                (self._number, self._news.runs[run]),
            )
        last = 0
        while page := self._theirs.db.all(
            f"SELECT id, run, {ATTEMPT_COLUMNS} FROM attempts WHERE evaluation = ? AND id > ? "
            "ORDER BY id LIMIT ?",
            self._theirs.number, last, _PAGE,
        ):  # fmt: skip
            last = page[-1][0]
            new = (
                (self._number, self._news.runs[run], *facts)
                for _, run, *facts in page
                if run in self._news.open
            )
            self._db.insert("attempts", f"evaluation, run, {ATTEMPT_COLUMNS}", by_column(new))
        self._add(attempts=max(0, self._count_attempts() - before))

    def _count_attempts(self) -> int:
        found: int = self._connection.execute(
            "SELECT count(*) FROM attempts WHERE evaluation = ?", (self._number,)
        ).fetchone()[0]
        return found


def _are_apart(here: Iterable[Run], there: Iterable[Run]) -> bool:
    """
    Whether runs can have no row in common: one side has none, or they are of different shards of
    one division. Then nothing is looked up, and merging many shards takes no longer for each.
    """
    mine, theirs = ({run.header["shard"] for run in runs} for runs in (here, there))
    if not mine or not theirs:
        return True
    shards = mine | theirs
    if None in shards or mine & theirs:
        return False
    return len({part.partition("/")[2] for part in shards}) == 1
