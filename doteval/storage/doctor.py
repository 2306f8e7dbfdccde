"""
What is the matter with a store, and what can be done about it.

`check` only looks. `fix` makes a new file of what can be read, and keeps the damaged one.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from ..errors import Busy, DamageError, StoreError, UsageError
from . import locks
from .claims import lock_of
from .database import Database
from .encoding import load_body
from .place import Place, sync
from .salvage import Damaged, Saved, salvage
from .schema import VERSION, may
from .sqlite import SqliteStore
from .tally import differing

_LITTLE_ROOM = 100 * 2**20  # bytes
# File systems whose locks or syncs do less than SQLite takes for granted, as far as is known.
_RISKY = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "vboxsf", "ncpfs", "webdav", "drvfs"}
_RISKY_PREFIXES = ("fuse.sshfs", "fuse.s3", "fuse.gcs", "fuse.rclone", "fuse.goofys", "fuse.blob")

# Rows that belong to nothing: what one of them is called, its table, and which they are.
_BEFORE_ALL: float = -(2.0**64)  # any number of a row
_KEYS = {  # of the tables, but `bodies`, whose texts are read
    **dict.fromkeys(
        ("experiments", "evaluations", "runs", "records", "score_names", "attempts", "calls"),
        ("id",),
    ),
    "scores": ("record", "name"),
}
_NO_EVALUATION = "evaluation NOT IN (SELECT id FROM evaluations)"
_ORPHANS = (
    ("evaluation", "of no experiment", "evaluations",
     "experiment > 0 AND experiment NOT IN (SELECT id FROM experiments)"),
    ("record", "of no evaluation", "records", _NO_EVALUATION),
    ("record", "without texts", "records", "id NOT IN (SELECT record FROM bodies)"),
    ("result", "without scores", "records",
     "error IS NULL AND id NOT IN (SELECT record FROM scores)"),
    ("text", "of no record", "bodies", "record NOT IN (SELECT id FROM records)"),
    ("score", "of no record", "scores", "record NOT IN (SELECT id FROM records)"),
    ("score", "without a name", "scores",
     "NOT EXISTS (SELECT 1 FROM score_names JOIN records USING (evaluation) "
     "WHERE score_names.id = scores.name AND records.id = record)"),
    ("run", "of no evaluation", "runs", _NO_EVALUATION),
    ("attempt", "of no evaluation", "attempts", _NO_EVALUATION),
    ("call", "of no evaluation", "calls", _NO_EVALUATION),
    ("name", "of a score of no evaluation", "score_names", _NO_EVALUATION),
)  # fmt: skip
# Of several live records of one row, all but the last count for nothing.
_TWICE = (
    "SELECT count(*), max(id), evaluation, key, repeat FROM records WHERE state = 0 "
    "GROUP BY evaluation, key, repeat HAVING count(*) > 1"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that is not as it should be.

    Attributes:
        level: "damage", data can not be read; "risk", it may come to that; "note".
        text: what it is, and what to do where `fix` does not help.
    """

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """
    What `check` found.

    Attributes:
        path: of the store.
        facts: `size` and `free` (bytes), `filesystem`, `sqlite`, `schema`, `experiments`, `records`
            and so on; those that could be found out.
        findings: the worst first.
    """

    path: Path
    facts: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether everything can be read."""
        return all(finding.level != "damage" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for `--json`."""
        findings = [asdict(finding) for finding in self.findings]
        return {"store": str(self.path), "healthy": self.is_healthy, **self.facts,
                "findings": findings}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repair:
    """
    What `fix` did.

    Attributes:
        backup: the damaged file, under the name that it has now; None where nothing had to be done.
        done: in sentences.
        saved: what was saved; None where nothing had to be done.
        report: of the store as it is now.
    """

    backup: Path | None
    done: tuple[str, ...]
    saved: Saved | None
    report: Report


def check(place: Place) -> Report:
    """
    Look at a store, without changing it.

    Its texts are read to the end: on a million records that takes a quarter of a minute. Where a
    run is going on, it would have to wait for that, so then only the rest is looked at.

    Raises:
        UsageError: the store is not a file.
        StoreError: there is none.
    """
    path = _path_of(place)
    facts: dict[str, Any] = {"sqlite": sqlite3.sqlite_version, "size": path.stat().st_size}
    findings = [*_surroundings(path, facts)]
    try:
        store = SqliteStore(path, place.anchor, create=False, read_only=True)
    except StoreError as error:
        text = str(error).removesuffix("; see `doteval doctor`")
        findings.append(Finding("damage", text))
    else:
        try:
            findings += _inside(store, facts)
        except StoreError as error:
            findings.append(Finding("damage", str(error)))
        finally:
            store.close()
    order = ("damage", "risk", "note")
    findings.sort(key=lambda finding: order.index(finding.level))
    return Report(path, facts, tuple(findings))


def _path_of(place: Place) -> Path:
    if place.path is None:
        raise UsageError(f"{place} is not a file; the doctor looks at SQLite files only")
    if not place.path.exists():
        raise StoreError(f"there is no store at {place.path}")
    return place.path


def fix(place: Place) -> Repair:
    """
    Make a damaged store anew, from all that can be read of it: see `salvage`. A row that lost its
    result runs again when its evaluation is resumed.

    The damaged file is kept, under another name. At each moment one of the two has the store's
    name, so what interrupts this does no harm, and it can be done again.

    Raises:
        UsageError: the store is not a file.
        StoreError: there is none; nothing can be read of it; or the disk prevents it.
        Busy: a run is going on.
    """
    path = Path(os.path.realpath(_path_of(place)))
    new = path.with_name(f"{path.name}.mending")
    with _alone(path):  # beside a run not all would be looked at
        _remove(new)  # of a repair that was killed
    report = check(place)
    if report.is_healthy:
        return Repair(None, (), None, report)
    with _alone(path), closing(Damaged(path)) as damaged:
        try:
            saved = salvage(damaged, new)
            # What it would undo was undone when the file was opened; the new one has nothing of it.
            _journal_of(path).unlink(missing_ok=True)
            backup = _keep(path)
            os.replace(new, path)
            sync(path.parent)
        finally:
            _remove(new)
    done = (
        f"the store was made anew: {_count(saved.records, 'record')} saved, "
        f"{saved.without_texts} of them without texts, {saved.without_scores} without "
        "scores (these run again)"
    )
    return Repair(backup, (done,), saved, check(place))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While nobody runs anything in the store, and nobody can begin."""
    try:
        lock = locks.acquire_all(lock_of(path))
    except OSError as error:
        raise StoreError(
            f"the store {path} can not be mended where it is: {lock_of(path).name} can not be "
            f"locked ({error.strerror}); copy it to a folder of yours, and mend the copy"
        ) from error
    if lock is None:
        raise Busy(f"a run is going on in {path}; wait for it, or end it")
    try:
        yield
    finally:
        locks.release(lock)


def _keep(path: Path) -> Path:
    """Give a damaged file a name of its own beside the one that it has."""
    names = (f"{path.name}.damaged{'' if n == 1 else f'-{n}'}" for n in count(1))
    free = (path.with_name(name) for name in names)
    kept = next(each for each in free if not each.exists() or each.samefile(path))
    if kept.exists():  # so it was named by a repair that was killed
        return kept
    try:
        os.link(path, kept)
    except OSError:  # a file system on which a file has one name, such as FAT
        with open(path, "rb") as source, open(kept, "xb") as target:
            os.chmod(kept, 0o600)
            while piece := source.read(2**20):
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
    return kept


def _remove(path: Path) -> None:
    for file in (path, _journal_of(path)):
        file.unlink(missing_ok=True)


def _journal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")


# --------------------------------------------------------------------- around the file


def _surroundings(path: Path, facts: dict[str, Any]) -> Iterator[Finding]:
    yield from _permissions(path)
    kind = facts["filesystem"] = filesystem_of(path)
    if kind is not None and (kind in _RISKY or kind.startswith(_RISKY_PREFIXES)):
        yield Finding(
            "risk",
            f"the store is on a file system of the kind {kind}, whose locks and syncs may do less "
            "than a database needs; keep it on a local disk",
        )
    free = facts["free"] = _free(path)
    if free is not None and free < _LITTLE_ROOM:
        yield Finding("risk", f"there are only {free / 2**20:.0f} MB left on its disk")


def _free(path: Path) -> int | None:
    """Bytes that may still be written beside a file; None: nobody says."""
    if not hasattr(os, "statvfs"):
        return None  # pragma: no cover - Windows
    room = os.statvfs(path.parent)
    return room.f_bavail * room.f_frsize


def _permissions(path: Path) -> Iterator[Finding]:
    if os.name == "nt":
        return  # pragma: no cover - which has other ones
    for file in _files(path):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            yield Finding(
                "note",
                f"{file.name} can be read or written by others (mode {mode:04o}, not 0600), and "
                f"prompts and answers stand in it: `chmod 600 {file.name}`",
            )
        if not may(file, os.R_OK | os.W_OK):
            yield Finding("risk", f"{file.name} may not be read and written by you: no run can")
    if not may(path.parent, os.W_OK):
        yield Finding("risk", f"nothing may be made in {path.parent}: no run can write the store")


def _files(path: Path) -> list[Path]:
    """The database, its journal and its locks, as far as they are there."""
    beside = (path, path.with_name(f"{path.name}-journal"), lock_of(path))
    return [file for file in beside if file.exists()]


def filesystem_of(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """The kind of file system that a path is on, such as "ext4"; None: nobody says."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return None
    best: tuple[int, str] | None = None
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        at = Path(point.encode("ascii", "replace").decode("unicode_escape"))
        if path.is_relative_to(at) and (best is None or len(at.parts) >= best[0]):
            best = len(at.parts), kind
    return None if best is None else best[1]


# ------------------------------------------------------------------------- in the file


def _inside(store: SqliteStore, facts: dict[str, Any]) -> Iterator[Finding]:
    db = store.database
    facts["schema"] = VERSION
    facts["journal"] = db.all("PRAGMA journal_mode")[0][0]
    for table in ("experiments", "evaluations", "runs", "records"):
        facts[table] = db.all(f"SELECT count(*) FROM {table}")[0][0]
    if facts["journal"] == "wal":
        yield Finding(
            "risk",
            "another program has made it a WAL and has it open; SQLite before 3.51.3 can damage "
            "one that several processes write",
        )
    running, dead = _runs(store)
    if dead:
        yield Finding(  # no damage: each reader shows it so, and the next run writes it down
            "note",
            f"{_count(dead, 'run')} ended without a word, by a crash or a kill: interrupted, and "
            "resumed by the same command",
        )
    left = db.all("SELECT count(*) FROM evaluations WHERE experiment < 0")[0][0]
    if left:
        yield Finding(
            "note",
            f"{_count(left, 'evaluation')} of deleted experiments not swept away yet, or never, as "
            "that was interrupted; the next `doteval delete` or `doteval prune` does it",
        )
    if running:
        yield Finding("note", f"{_count(running, 'run')} going on: the texts were not read")
        return
    wrong = [text for (text,) in db.all("PRAGMA integrity_check(10)")]
    if wrong != ["ok"]:
        yield Finding("damage", f"SQLite finds: {'; '.join(wrong)}")
        return
    odd = [*_odd(db)]
    yield from odd
    yield from _belongings(db)
    yield from _texts(db)
    for (evaluation,) in [] if odd else db.all("SELECT id FROM evaluations"):
        if (wrong_sum := differing(db, evaluation)) is not None:
            yield Finding("damage", wrong_sum)


def _runs(store: SqliteStore) -> tuple[int, int]:
    """How many runs are going on, and how many only say so."""
    stored = store.database.all("SELECT count(*) FROM runs WHERE status = 'running'")[0][0]
    alive = sum(
        run.status == "running" for name, _ in store.experiments() for run in store.runs(name)
    )
    return alive, stored - alive


def _odd(db: Database) -> Iterator[Finding]:
    """The first value of each table that nobody has written there."""
    for table, keys in _KEYS.items():
        names = [name for _, name, *_ in db.all(f"PRAGMA table_info({table})")]
        select = ", ".join(f"{table}.{name}" for name in names)
        last = [_BEFORE_ALL] * len(keys)
        where = f"({', '.join(keys)}) > ({', '.join('?' * len(keys))})"
        rest = f"FROM {table} NOT INDEXED WHERE {where} ORDER BY {', '.join(keys)} LIMIT 5000"
        try:
            while rows := db.rows(select, rest, *last):
                last = [rows[-1][names.index(key)] for key in keys]
        except DamageError as error:
            yield Finding("damage", str(error))


def _belongings(db: Database) -> Iterator[Finding]:
    for noun, what, table, condition in _ORPHANS:
        count = db.all(f"SELECT count(*) FROM {table} WHERE {condition}")[0][0]
        if count:
            yield Finding("damage", f"{_count(count, noun)} {what}")
    if not db.all("SELECT 1 FROM sqlite_master WHERE name = 'records_live'"):
        yield Finding("damage", "nothing keeps a row from counting twice: an index is missing")
    if twice := db.all(_TWICE):
        yield Finding("damage", f"{_count(len(twice), 'row')} counted more than once")


def _texts(db: Database) -> Iterator[Finding]:
    """Whether every document is one: SQLite does not notice a change within a text."""
    last, broken = _BEFORE_ALL, []
    while rows := db.page(
        "record, bodies.body",
        "FROM bodies WHERE record > ? ORDER BY record LIMIT 500",
        last,
        text=1,
        most=4 * 2**20,
    ):
        for record, body in rows:
            try:
                load_body(body)
            except ValueError:
                broken.append(record)
        last = rows[-1][0]
    if broken:
        yield Finding("damage", f"{_count(len(broken), 'record')} with damaged texts")


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
