"""
The database file: its tables, its version, and how a connection to it is opened.

What `list` and `show` tell of an evaluation is added up at each commit, into `evaluations` and
`score_names`. `records` is narrow. Texts (the row, prompt, answer, traceback,
metadata) are one JSON document a record, in `bodies`. Both grow at their end only. `records_live`
does not: keys are random, so a commit rewrites its pages all over the file, and beyond 100,000
records one of 512 rows writes four times as much. That is the price of a row never counting
twice, whoever writes: 1 to 8 % of a run's CPU where rows do nothing, unseen where a model answers.

Measured before: rollback journal (PERSIST) with synchronous=FULL. WAL with NORMAL loses
acknowledged rows at a power cut, and SQLite before 3.51.3 can corrupt a WAL with several
writers.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import DamageError, StoreError
from .diagnosis import explain

APPLICATION_ID = 0x646F7465  # "dote"

# Version 1: the first.
# Version 2: sums are kept at commit, instead of what a reader left; the id of a run is unique
#            within its evaluation, so a copy of an experiment keeps it; records have a cluster.
# Version 3: calls; a row has one live record.
_CALLS = """
CREATE TABLE calls (                    -- those that rows have asked to be kept
    id INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL,        -- evaluations.id
    run INTEGER NOT NULL,               -- runs.id
    key BLOB NOT NULL,                  -- of the row
    repeat INTEGER NOT NULL,
    digest BLOB NOT NULL,               -- of function, scope and arguments, 16 bytes
    number INTEGER NOT NULL,            -- of such calls that its attempt had made before
    started REAL NOT NULL,              -- Unix seconds
    duration REAL NOT NULL,             -- seconds
    request TEXT NOT NULL,              -- JSON
    response TEXT NOT NULL              -- JSON
);
-- Both are random, which costs little beside the texts of a call.
CREATE INDEX calls_of ON calls (evaluation, key);
CREATE INDEX calls_known ON calls (digest, repeat, number, key);
"""
_DDL = f"""{_CALLS}
CREATE TABLE experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: a reader may still hold it
    name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL               -- Unix seconds
);
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    experiment INTEGER NOT NULL,        -- experiments.id
    name TEXT NOT NULL,                 -- path from the project's root :: function [parameters]
    total INTEGER,                      -- rows x repeats of the dataset; NULL: its end is unknown
    revision INTEGER NOT NULL DEFAULT 0,-- counts the commits that touched its records
    sums TEXT,                          -- JSON: of its live records with scores, see tally.NOTHING
    summed INTEGER,                     -- the revision that all its sums are of; NULL is 0
    UNIQUE (experiment, name)
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL,                  -- 128 random bits, hex
    part TEXT NOT NULL,                 -- which shard, as "1/4"; empty: all rows
    evaluation INTEGER NOT NULL,        -- evaluations.id
    started REAL NOT NULL,              -- Unix seconds
    finished REAL,                      -- Unix seconds; NULL while it works, or after a crash
    duration REAL NOT NULL DEFAULT 0,   -- seconds on a monotonic clock
    status TEXT NOT NULL,               -- running complete incomplete interrupted stalled failed
    pid INTEGER NOT NULL,
    header TEXT NOT NULL,               -- JSON: versions, commit, strategy, source digest
    history TEXT,                       -- JSON: how the limit of concurrency moved
    error TEXT,                         -- why it did not complete
    UNIQUE (evaluation, uid)
);
CREATE INDEX runs_of ON runs (evaluation);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL,        -- evaluations.id
    run INTEGER NOT NULL,               -- runs.id
    key BLOB NOT NULL,                  -- identity of the row, 16 bytes
    digest BLOB,                        -- of the other columns of a row that has an id
    repeat INTEGER NOT NULL,
    position INTEGER NOT NULL,
    state INTEGER NOT NULL,             -- 0 live, 1 stale (not in the dataset), 2 superseded
    error TEXT,                         -- type of the failure; NULL: it has scores
    attempts INTEGER NOT NULL,
    started REAL NOT NULL,              -- Unix seconds, of the last attempt
    duration REAL NOT NULL,             -- seconds, of the last attempt
    waited REAL NOT NULL,               -- seconds between attempts
    concurrency INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost REAL,
    cluster TEXT                        -- rows of one are not independent; NULL: it is its own
);
CREATE INDEX records_of ON records (evaluation, state); -- and id: SQLite appends it
CREATE INDEX records_failed ON records (evaluation, state, id, error) WHERE error IS NOT NULL;
CREATE UNIQUE INDEX records_live ON records (evaluation, key, repeat) WHERE state = 0;
CREATE TABLE bodies (
    record INTEGER PRIMARY KEY,         -- records.id
    body TEXT NOT NULL                  -- JSON, ASCII only
);
CREATE TABLE score_names (
    id INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL,        -- evaluations.id
    name TEXT NOT NULL,
    metrics TEXT NOT NULL,              -- JSON: names
    n INTEGER NOT NULL DEFAULT 0,       -- rows with a value, in live records; a row's is its mean
    trials INTEGER NOT NULL DEFAULT 0,  -- values
    boolean INTEGER NOT NULL DEFAULT 1, -- all are True or False
    total REAL DEFAULT 0,               -- of the rows; NULL: NaN, as of inf - inf
    squares REAL DEFAULT 0,             -- of the rows
    low REAL,
    high REAL,
    nans INTEGER NOT NULL DEFAULT 0,    -- rows that are in n and in no sum
    unread INTEGER NOT NULL DEFAULT 0,  -- values by how the answer was read, see scores.boolean
    empty INTEGER NOT NULL DEFAULT 0,
    differing INTEGER NOT NULL DEFAULT 0,
    UNIQUE (evaluation, name)
);
CREATE TABLE scores (
    record INTEGER NOT NULL,            -- records.id
    name INTEGER NOT NULL,              -- score_names.id
    value,                              -- number; NULL: NaN; text: an integer beyond 63 bits
    boolean INTEGER NOT NULL,           -- 1: True or False; + 2 unread, 4 empty, 8 of another type
    PRIMARY KEY (record, name)
) WITHOUT ROWID;
CREATE TABLE attempts (                 -- the ledger: failed attempts, paid and without scores
    id INTEGER PRIMARY KEY,
    evaluation INTEGER NOT NULL,        -- evaluations.id
    run INTEGER NOT NULL,               -- runs.id
    key BLOB NOT NULL,
    repeat INTEGER NOT NULL,
    number INTEGER NOT NULL,            -- from 1 within the run
    started REAL NOT NULL,              -- Unix seconds
    duration REAL NOT NULL,             -- seconds
    outcome TEXT NOT NULL,              -- congestion trouble ignored
    error TEXT NOT NULL,                -- type
    message TEXT NOT NULL
);
CREATE INDEX attempts_of ON attempts (evaluation);
"""


def _to_2(db: sqlite3.Connection) -> None:
    """Rows keep their numbers; sums are added up by whoever looks at them first."""
    for statement in (
        "ALTER TABLE evaluations RENAME COLUMN tally TO sums",
        "ALTER TABLE evaluations RENAME COLUMN tally_revision TO summed",
        "UPDATE evaluations SET sums = NULL, summed = -1",
        """CREATE TABLE runs_2 (
            id INTEGER PRIMARY KEY, uid TEXT NOT NULL, part TEXT NOT NULL,
            evaluation INTEGER NOT NULL, started REAL NOT NULL, finished REAL,
            duration REAL NOT NULL DEFAULT 0, status TEXT NOT NULL, pid INTEGER NOT NULL,
            header TEXT NOT NULL, history TEXT, error TEXT, UNIQUE (evaluation, uid))""",
        "INSERT INTO runs_2 SELECT id, uid, part, evaluation, started, finished, duration, status, "
        "pid, header, history, error FROM runs",
        "DROP TABLE runs",
        "ALTER TABLE runs_2 RENAME TO runs",
        "CREATE INDEX runs_of ON runs (evaluation)",
        "ALTER TABLE records ADD COLUMN cluster TEXT",
        *(
            f"ALTER TABLE score_names ADD COLUMN {name} {kind}"
            for kind, names in (
                ("INTEGER NOT NULL DEFAULT 0", "n trials"),
                ("INTEGER NOT NULL DEFAULT 1", "boolean"),
                ("REAL DEFAULT 0", "total squares"),
                ("REAL", "low high"),
                ("INTEGER NOT NULL DEFAULT 0", "nans unread empty differing"),
            )
            for name in names.split()
        ),
    ):
        db.execute(statement)
    for id, header in db.execute(
        "SELECT id, header FROM runs WHERE header LIKE '%\"copy_of\"%'"
    ).fetchall():
        try:  # an id was unique in a store, and a copy had another one
            told = json.loads(header)
            uid = told.pop("copy_of")
        except (ValueError, KeyError):
            continue
        db.execute(
            "UPDATE OR IGNORE runs SET uid = ?, header = ? WHERE id = ?",
            (uid, json.dumps(told), id),
        )


def _to_3(db: sqlite3.Connection) -> None:
    """
    Calls come from now on; no earlier version kept any. Of two live records of one row, which a
    lock that was taken away had let in, the later one counts, and sums are added up anew.
    """
    for statement in (
        *statements(_CALLS),
        "CREATE TEMP TABLE twins AS SELECT evaluation, key, repeat, max(id) AS last FROM records "
        "WHERE state = 0 GROUP BY evaluation, key, repeat HAVING count(*) > 1",
        "UPDATE records SET state = 2 WHERE state = 0 AND EXISTS (SELECT * FROM twins WHERE "
        "twins.evaluation = records.evaluation AND twins.key = records.key "
        "AND twins.repeat = records.repeat AND records.id < last)",
        "UPDATE evaluations SET sums = NULL, summed = -1 "
        "WHERE id IN (SELECT evaluation FROM twins)",
        "DROP TABLE twins",
        "CREATE UNIQUE INDEX records_live ON records (evaluation, key, repeat) WHERE state = 0",
    ):
        db.execute(statement)


# What makes the tables of version n + 2 of those of version n + 1. One that was released is never
# changed; those of calls are today's, and stand once.
MIGRATIONS = (_to_2, _to_3)
VERSION = 1 + len(MIGRATIONS)
_STEPS = 5_000_000  # of SQLite's machine, which are a few tenths of a second
BUSY = 60.0  # seconds to wait for other processes; the worst wait measured with 8 writers was 17


def statements(ddl: str = _DDL) -> Iterator[str]:
    """The statements that make tables; `executescript` would commit an open transaction."""
    statement = ""
    for line in ddl.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def connect(
    path: Path | None,
    *,
    read_only: bool = False,
    busy: float = BUSY,
    connection: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """
    Open a store's database, making or migrating its tables where needed.

    Args:
        path: of the file, which exists; in an empty one the tables are made. None: in memory.
        read_only: change nothing; what has to be migrated is copied first. So it is where the file
            may not be written, or its folder not, and a run was killed in the midst of a commit:
            then a copy of our own is read, without that commit.
        busy: seconds to wait for other processes before giving up.
        connection: the class of the connection; the tests have one that fails.

    Raises:
        StoreError: it can not be opened, is not a store, or is newer than this doteval.
    """
    name = ":memory:" if path is None else str(path)
    address = name if path is None else _address(path, "rw")
    try:
        db = sqlite3.connect(
            address,
            uri=path is not None,
            timeout=busy,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=connection,
        )
    except sqlite3.Error as error:
        raise explain(error, name) from error
    # Python hears of a signal between two of its own instructions, of which a long query has none.
    db.set_progress_handler(_nothing, _STEPS)
    try:
        version = _prepare(db, name)
        if version == 0 or (version < VERSION and not read_only):
            try:
                _make(db, name)
            except sqlite3.OperationalError as error:
                if version == 0 or "readonly" not in str(error):
                    raise
        if 0 < version < VERSION and version_in(db, name) < VERSION:
            db = _copied(db, name)
        if read_only and path is not None:
            db.execute("PRAGMA query_only = ON")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # its message quotes what is damaged
        db.close()
        if path is not None and _is_for_others_to_undo(path, error):
            return _private(path, name)
        raise explain(error, name) from error
    except BaseException:
        db.close()
        raise
    return db


def _nothing() -> None:
    pass


def _address(path: Path, mode: str) -> str:
    """A URI, because it alone can say "rw": never make a file, which would be world-readable."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def _copied(db: sqlite3.Connection, name: str) -> sqlite3.Connection:
    """A copy in a file that nobody else sees, with the tables of this version."""
    copy = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        db.backup(copy)
        _make(copy, name)
    except BaseException:
        copy.close()
        raise
    db.close()
    return copy


def may(path: Path, what: int) -> bool:
    """Whether we may do with a path what `os.access` calls R_OK, W_OK."""
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def _beside(path: Path) -> list[Path]:
    """The files in which SQLite keeps what a database does not hold yet, or no more."""
    beside = (path.with_name(path.name + suffix) for suffix in ("-journal", "-wal"))
    return [file for file in beside if file.exists()]


def _is_for_others_to_undo(path: Path, error: Exception) -> bool:
    """Whether a commit was left that must be undone, for which we have not the right."""
    is_ours = all(may(each, os.W_OK) for each in (path, path.parent, *_beside(path)))
    is_refused = any(part in str(error) for part in ("readonly", "unable to open"))
    return is_refused and not is_ours and may(path, os.R_OK)


def _private(path: Path, name: str) -> sqlite3.Connection:
    """What a database holds, to be read: its files are copied, and its last commit undone there."""
    import shutil
    import tempfile

    try:
        with tempfile.TemporaryDirectory(prefix="doteval-") as folder:
            files = [path, *_beside(path)]
            before = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
            for file in files:
                shutil.copyfile(file, Path(folder, file.name))
            if before != [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]:
                raise OSError("it was written meanwhile")
            db = sqlite3.connect(Path(folder, path.name), isolation_level=None)
            try:
                copy = _copied(db, name)
            finally:
                db.close()
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        raise StoreError(
            f"the store {name}: what was written last must be undone or completed before anybody "
            f"reads it, and a copy for that failed ({error}). Let somebody who may write it open "
            "it once (`doteval list`), or copy it, with the files beside it, to a folder of yours"
        ) from error
    copy.execute("PRAGMA query_only = ON")
    return copy


def _prepare(db: sqlite3.Connection, name: str) -> int:
    """Choose how it works; returns the version of its tables."""
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA cache_size = -4000")  # KiB: a commit of 1,000 rows of 1 KB stays inside
    db.execute("PRAGMA trusted_schema = OFF")
    version = _version(db, name)  # before anything is changed: it may be another program's
    _choose_journal(db)
    return version


def _choose_journal(db: sqlite3.Connection) -> None:
    """Never a journal that is deleted: after a power cut it could come back and undo a commit."""
    try:
        db.execute("PRAGMA journal_mode = PERSIST").fetchone()
        db.execute("PRAGMA journal_size_limit = 16777216").fetchone()
    except sqlite3.OperationalError:
        # Another tool made it a WAL, and has it open or forbids us to write: with FULL that is
        # durable too, so it stays. Any other trouble shows at the next statement.
        pass


def _make(db: sqlite3.Connection, name: str) -> None:
    """Make the tables, or those of this version of older ones, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        version = version_in(db, name)  # again, now that nobody else can be making them
        if version == 0:
            for statement in statements():
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        else:
            for migrate in MIGRATIONS[version - 1 :]:
                migrate(db)
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        undo(db)
        raise


def _version(db: sqlite3.Connection, name: str) -> int:
    """The version of the tables, 0 for an empty file; read at one moment."""
    db.execute("BEGIN")  # else another process could make the tables between two of the reads
    try:
        version = version_in(db, name)
        _refuse_programs(db, name)
        db.execute("COMMIT")
    except BaseException:
        undo(db)
        raise
    return version


def version_in(db: sqlite3.Connection, name: str) -> int:
    """
    The version of the tables, 0 for an empty file.

    Raises:
        StoreError: it is not a store, or is newer than this doteval.
    """
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if application == APPLICATION_ID:
        if version > VERSION:
            raise StoreError(
                f"{name} was written by a newer doteval (schema {version}, this one knows "
                f"{VERSION}); upgrade doteval, or name another store with --storage"
            )
        return version
    if application or version or db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise StoreError(
            f"{name} is a database of another program, not a doteval store; "
            "name another file with --storage"
        )
    return 0


def _refuse_programs(db: sqlite3.Connection, name: str) -> None:
    """A view, a trigger or a virtual table would do what somebody else has thought of."""
    found = db.execute(
        "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index') "
        "OR sql LIKE 'create virtual%' LIMIT 1"
    ).fetchone()
    if found is not None:
        kind = "virtual table" if found[0] == "table" else found[0]
        raise DamageError(
            f"the store {name} has the {kind} {found[1]!r:.80}, which doteval never makes, and is "
            "not opened; `doteval doctor --fix` makes a store of what its tables hold"
        )


def undo(db: sqlite3.Connection) -> None:
    """
    End a transaction without keeping anything of it.

    A disk that refused to write may refuse this too. The error that led here says more, and
    whoever opens the file next undoes what is left, from the journal.
    """
    try:
        if db.in_transaction:
            db.execute("ROLLBACK")
    except sqlite3.Error:
        pass
