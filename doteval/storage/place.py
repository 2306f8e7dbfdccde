"""
Where a store is: one rule for pytest, the command line and `run`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import StoreError, UsageError

FOLDER = ".doteval"
FILE = "results.db"


@dataclass(frozen=True, slots=True)
class Place:
    """
    A store's address, understood.

    Attributes:
        scheme: "sqlite", "memory", or the name of a storage plugin.
        path: of the database file; None for the other schemes.
        anchor: the folder that evaluations are named from.
        rest: what follows "scheme://", for plugins.
    """

    scheme: str
    path: Path | None
    anchor: Path
    rest: str = ""

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else f"{self.scheme}://{self.rest}"


def locate(storage: str | os.PathLike[str] | None = None, root: Path | None = None) -> Place:
    """
    Find a store.

    Args:
        storage: `sqlite://relative.db`, `sqlite:///absolute.db`, a bare path, `memory://`, or
            a plugin's `scheme://...`. None: the nearest `.doteval/` upward from the working
            directory; where there is none, `.doteval/` in `root`.
        root: pytest's rootdir; None: the working directory.

    Raises:
        UsageError: the address names no file.
        StoreError: it names a folder, or there is no working directory any more.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise StoreError("the working directory was deleted; change to another") from error
    base = home(here) or root or here
    if storage is None:
        return Place("sqlite", base / FOLDER / FILE, base)
    text = os.fsdecode(storage)
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "sqlite", text
    if scheme == "memory":
        return Place("memory", None, base)
    if scheme != "sqlite":
        return Place(scheme, None, base, rest)
    if not rest.strip() or "\0" in rest:
        raise UsageError(
            f"storage={text!r} names no file; write sqlite://results.db, "
            "sqlite:///absolute/path.db, a path, or memory://"
        )
    path = Path(os.path.abspath(Path(rest).expanduser()))
    if path.is_dir():
        raise StoreError(f"the store {path} is a folder; name a file inside it")
    anchor = path.parent.parent if path.parent.name == FOLDER else base
    return Place("sqlite", path, anchor)


def home(start: Path) -> Path | None:
    """The nearest folder upward from `start` that holds a `.doteval/`; None: there is none."""
    for folder in (start, *start.parents):
        if (folder / FOLDER).is_dir():
            return folder
    return None


def make_room(path: Path) -> None:
    """
    Make the folder and the empty file for a new database; a `.doteval/` is kept out of git.

    Raises:
        StoreError: it can not be made there.
    """
    try:
        made = _make_folder(path.parent)
        if path.parent.name == FOLDER:
            ignore = path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="ascii")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        for folder in (path.parent, *made):
            _sync(folder)
    except OSError as error:
        raise StoreError(
            f"the store {path} can not be made: {error.strerror or error}; "
            "name another place with --storage"
        ) from error


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it. Returns the folders that have a new entry."""
    missing = [folder]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    changed = [each.parent for each in missing if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return changed


def _sync(folder: Path) -> None:
    """Make new entries of a folder survive a power cut; SQLite syncs files, not their folders."""
    if os.name == "nt":
        return  # pragma: no cover - which has no such call
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def name_from(anchor: Path, file: str | os.PathLike[str]) -> str:
    """
    A source file as evaluations are named: with "/" and relative to the anchor where it lies
    below it, else absolute.
    """
    path = Path(os.path.abspath(file))
    try:
        return path.relative_to(anchor).as_posix()
    except ValueError:
        return path.as_posix()
