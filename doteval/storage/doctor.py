"""
What is the matter with a store, and what can be done about it.

`check` only looks. `fix` keeps a copy of everything as it was before it changes anything.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import Busy, StoreError, UsageError
from . import locks
from .claims import lock_of
from .database import Database
from .encoding import load, load_body
from .place import Place
from .salvage import Saved, salvage
from .schema import VERSION
from .sqlite import VANISHED, SqliteStore

_LITTLE_ROOM = 100 * 2**20  # bytes
# File systems whose locks or syncs do less than SQLite takes for granted, as far as is known.
_RISKY = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "vboxsf", "ncpfs", "webdav", "drvfs"}
_RISKY_PREFIXES = ("fuse.sshfs", "fuse.s3", "fuse.gcs", "fuse.rclone", "fuse.goofys", "fuse.blob")

# Rows that belong to nothing: what one of them is called, its table, and which they are.
_NO_EVALUATION = "evaluation NOT IN (SELECT id FROM evaluations)"
_ORPHANS = (
    ("evaluation", "of no experiment", "evaluations",
     "experiment NOT IN (SELECT id FROM experiments)"),
    ("record", "of no evaluation", "records", _NO_EVALUATION),
    ("record", "without texts", "records", "id NOT IN (SELECT record FROM bodies)"),
    ("result", "without scores", "records",
     "error IS NULL AND id NOT IN (SELECT record FROM scores)"),
    ("text", "of no record", "bodies", "record NOT IN (SELECT id FROM records)"),
    ("score", "of no record", "scores", "record NOT IN (SELECT id FROM records)"),
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
        text: what it is, and what to do where `fix` can not help.
        fixable: whether `fix` does something about it.
    """

    level: str
    text: str
    fixable: bool = False


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
        """Whether everything can be read and nothing needs mending."""
        return not any(finding.fixable or finding.level == "damage" for finding in self.findings)

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
        backup: a copy of the store as it was; None where nothing had to be done.
        done: in sentences.
        saved: counts, where the store had to be made anew.
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
        findings.append(Finding("damage", str(error), fixable=_is_ours(path)))
    else:
        try:
            findings += _inside(store, facts)
        except StoreError as error:
            findings.append(Finding("damage", str(error), fixable=True))
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
    Mend a store. What it was is copied first, beside it.

    Small things are put right in place. A damaged file is made anew from all that can be read: see
    `salvage`. A row that lost its result runs again when its evaluation is resumed.

    Raises:
        UsageError: the store is not a file.
        StoreError: there is none; nothing can be read of it; or there is no room for copies.
        Busy: a run is going on.
    """
    path = _path_of(place)
    report = check(place)
    if report.is_healthy:
        return Repair(None, (), None, report)
    for finding in report.findings:
        if finding.level == "damage" and not finding.fixable:
            raise StoreError(f"the store {path} can not be mended: {finding.text}")
    with _alone(path):
        backup = _back_up(path)
        done, saved = [f"everything was copied to {backup.name}"], None
        if any(finding.level == "damage" for finding in report.findings):
            saved = _make_anew(path, backup)
            done.append(
                f"the store was made anew: {_count(saved.records, 'record')} saved, "
                f"{saved.without_texts} of them without texts, {saved.without_scores} without "
                "scores (these run again)"
            )
        done += _put_right(path)
    return Repair(backup, tuple(done), saved, check(place))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While nobody runs anything in the store, and nobody can begin."""
    lock = locks.acquire_all(lock_of(path))
    if lock is None:
        raise Busy(f"a run is going on in {path}; wait for it, or end it")
    try:
        yield
    finally:
        locks.release(lock)


def _back_up(path: Path) -> Path:
    """Copy the database and its journal, which undoes what was not finished."""
    files = [file for file in _files(path) if file.suffix != ".lock"]
    size = sum(file.stat().st_size for file in files)
    free = _free(path)
    if free is not None and free < 3 * size + _LITTLE_ROOM:
        raise StoreError(
            f"there is no room to mend {path}: it takes {3 * size / 2**20 + 100:.0f} MB for copies "
            f"and there are {free / 2**20:.0f}"
        )
    backup = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}.backup")
    for file in files:
        _copy(file, backup.with_name(backup.name + file.name[len(path.name) :]))
    return backup


def _copy(file: Path, to: Path) -> None:
    with open(file, "rb") as source:
        descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as target:
            while piece := source.read(2**20):
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())


def _make_anew(path: Path, backup: Path) -> Saved:
    work, new = path.with_name(f"{path.name}.work"), path.with_name(f"{path.name}.new")
    try:
        for file in _files(backup):
            _copy(file, work.with_name(work.name + file.name[len(backup.name) :]))
        try:
            saved = salvage(work, new)
        except sqlite3.Error as error:
            raise StoreError(
                f"nothing can be read of {path} any more ({error}); it was copied to {backup.name}"
            ) from error
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # it would undo the new one
        os.replace(new, path)
        return saved
    finally:
        for file in (*_files(work), *_files(new)):
            file.unlink()


def _put_right(path: Path) -> list[str]:
    """What needs no new file: runs that are over, and permissions."""
    done = []
    store = SqliteStore(path, path.parent, create=False)
    try:
        with store.database.writing() as db:
            over = db.execute(
                "UPDATE runs SET status = 'interrupted', error = coalesce(error, ?) "
                "WHERE status = 'running'",
                (VANISHED,),
            ).rowcount
    finally:
        store.close()
    if over:
        done.append(f"{_count(over, 'run')} that ended without a word: marked as interrupted")
    for file in _files(path):
        if os.name != "nt" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            file.chmod(0o600)
            done.append(f"{file.name} can be read by its owner alone")
    return done


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
                f"{file.name} can be read or written by others (mode {mode:04o}, not 0600); "
                "prompts and answers stand in it",
                fixable=True,
            )
        if not _may(file, os.R_OK | os.W_OK):
            yield Finding("risk", f"{file.name} may not be read and written by you: no run can")
    if not _may(path.parent, os.W_OK):
        yield Finding("risk", f"nothing may be made in {path.parent}: no run can write the store")


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


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
    if running:
        yield Finding("note", f"{_count(running, 'run')} going on: the texts were not read")
        return
    wrong = [text for (text,) in db.all("PRAGMA integrity_check(10)")]
    if wrong != ["ok"]:
        yield Finding("damage", f"SQLite finds: {'; '.join(wrong)}", fixable=True)
        return
    for (text,) in db.all("SELECT metrics FROM score_names UNION ALL SELECT sums FROM evaluations"):
        load(text or "{}")  # those of the runs have been read above
    yield from _belongings(db)
    yield from _texts(db)


def _runs(store: SqliteStore) -> tuple[int, int]:
    """How many runs are going on, and how many only say so."""
    stored = store.database.all("SELECT count(*) FROM runs WHERE status = 'running'")[0][0]
    alive = sum(
        run.status == "running" for name, _ in store.experiments() for run in store.runs(name)
    )
    return alive, stored - alive


def _belongings(db: Database) -> Iterator[Finding]:
    for noun, what, table, condition in _ORPHANS:
        count = db.all(f"SELECT count(*) FROM {table} WHERE {condition}")[0][0]
        if count:
            yield Finding("damage", f"{_count(count, noun)} {what}", fixable=True)
    if twice := db.all(_TWICE):
        yield Finding("damage", f"{_count(len(twice), 'row')} counted more than once", True)


def _texts(db: Database) -> Iterator[Finding]:
    """Whether every document is one: SQLite does not notice a change within a text."""
    last, broken = 0, []
    while rows := db.page(
        "SELECT record, body FROM bodies WHERE record > ? ORDER BY record LIMIT 500",
        last,
        text=1,
        most=4 * 2**20,
    ):
        for record, body in rows:
            try:
                load_body(body)
            except (TypeError, ValueError):
                broken.append(record)
        last = rows[-1][0]
    if broken:
        yield Finding("damage", f"{_count(len(broken), 'record')} with damaged texts", True)


def _is_ours(path: Path) -> bool:
    """Whether a file that can not be opened is worth a try: it was a store once."""
    with open(path, "rb") as file:
        head = file.read(100)
        pages = file.read(2**20)
    named = head[68:72] == b"dote"
    if named and head.startswith(b"SQLite format 3\0"):
        version = int.from_bytes(head[60:64], "big")
        return not VERSION < version < 1_000  # else it is newer, and not damaged
    return named or b"CREATE TABLE score_names" in pages


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
