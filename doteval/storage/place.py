"""
Where a store is, and how the evaluations in it are named: one rule for pytest, the command line and
`run`. Both start from a project's root; neither looks beyond it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..errors import StoreError, UsageError

FOLDER = ".doteval"
FILE = "results.db"
_MARKS = (FOLDER, ".git", "pyproject.toml")
NAMING = "named"  # in the header of a run whose evaluation is named by `named`


@dataclass(frozen=True, slots=True)
class Place:
    """
    A store's address, understood.

    Attributes:
        scheme: "sqlite", "memory", or the name of a storage plugin.
        path: of the database file; None for the other schemes.
        anchor: the folder that the store belongs to, from which plugins count relative paths: the
            one that holds its `.doteval/`, else the project's root, else the working directory.
        rest: what follows "scheme://", for plugins.
        here: the working directory when the address was understood.
    """

    scheme: str
    path: Path | None
    anchor: Path
    rest: str = ""
    here: Path = field(default=Path(), compare=False)

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else f"{self.scheme}://{self.rest}"


def locate(storage: str | os.PathLike[str] | None = None, root: Path | None = None) -> Place:
    """
    Find a store.

    Args:
        storage: `sqlite://relative.db`, `sqlite:///absolute.db`, a bare path, `memory://`, or
            a plugin's `scheme://...`. None: `.doteval/results.db` of the project that the working
            directory belongs to (see `project`); where there is none, in `root`.
        root: pytest's rootdir; None: the working directory.

    Raises:
        UsageError: the address names no file.
        StoreError: it names a folder, or there is no working directory any more; or nobody has
            named one, and the `.doteval/` that is there was put there by somebody else.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError as error:
        raise StoreError("the working directory was deleted; change to another") from error
    base = project(here) or project(here, root)
    if base is None:  # a rootdir above that is out of reach is no more ours than a project there
        base = here if root is None or here.is_relative_to(root) else root
    if storage is None:
        _refuse_foreign(base)
        return Place("sqlite", base / FOLDER / FILE, base, here=here)
    text = os.fsdecode(storage)
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "sqlite", text
    if scheme == "memory":
        return Place("memory", None, base, here=here)
    if scheme != "sqlite":
        return Place(scheme, None, base, rest, here)
    if not rest.strip() or "\0" in rest:
        raise UsageError(
            f"storage={text!r} names no file; write sqlite://results.db, "
            "sqlite:///absolute/path.db, a path, or memory://"
        )
    try:
        path = Path(os.path.abspath(Path(rest).expanduser()))
    except RuntimeError as error:  # of somebody whom this machine does not know
        raise UsageError(
            f"storage={text!r}: {error}; a path after `~` begins with a slash or a user's name"
        ) from error
    if path.is_dir():
        raise StoreError(f"the store {path} is a folder; name a file inside it")
    anchor = path.parent.parent if path.parent.name == FOLDER else base
    return Place("sqlite", path, anchor, here=here)


def project(start: Path, made: Path | None = None) -> Path | None:
    """
    The root of the project that a folder belongs to: the nearest folder upward that holds a
    `.doteval/`, a `.git` or a `pyproject.toml`. None: there is none.

    Never beyond the home directory, nor into a folder of another owner or on another file system:
    what lies there is somebody else's, and so is a mark that somebody else has put there.

    Args:
        made: a folder that counts as holding a `.doteval/`, for the run that asks will make it.
    """
    made = None if made is None else Path(os.path.realpath(made))
    start = Path(os.path.realpath(start))
    last = os.path.realpath(os.path.expanduser("~"))
    try:
        begin = os.stat(start)
        ours = _trusted(begin)
        for folder in (start, *start.parents):
            there = os.stat(folder)
            if (there.st_uid, there.st_dev) != (begin.st_uid, begin.st_dev):
                break
            if folder == made or any(_is_mark(folder / name, ours) for name in _MARKS):
                return folder
            if str(folder) == last:
                break
    except OSError:
        pass  # what may not be looked into is not ours
    return None


def _trusted(folder: os.stat_result) -> set[int]:
    """Whose marks in a folder count: those of its owner, and of who is working."""
    return {folder.st_uid, getattr(os, "geteuid", lambda: folder.st_uid)()}


def _refuse_foreign(base: Path) -> None:
    """
    A `.doteval/` that somebody else has put into a folder that many may write to, such as /tmp:
    what a run stores there, he can read and change.
    """
    try:
        owner = os.lstat(base / FOLDER).st_uid
        is_foreign = owner not in _trusted(os.stat(base))
    except OSError:  # there is none, and whoever makes one hears of what prevents it
        return
    if is_foreign:
        raise StoreError(
            f"{base / FOLDER} belongs to another user (uid {owner}), who could read and change "
            "what is stored there; work in a folder of yours, or name the store with --storage"
        )


def _is_mark(path: Path, owners: set[int]) -> bool:
    try:
        return os.lstat(path).st_uid in owners and (path.name != FOLDER or path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return False


def make_room(path: Path) -> None:
    """
    Make the folder and the empty file for a new database; a `.doteval/` is kept out of git.

    Raises:
        StoreError: it can not be made there.
    """
    try:
        made = _make_folder(path.parent)
        if path.parent.name == FOLDER:
            _ignore(path.parent / ".gitignore")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        for folder in (path.parent, *made):
            sync(folder)
    except OSError as error:
        raise StoreError(
            f"the store {path} can not be made: {error.strerror or error}; "
            "name another place with --storage"
        ) from error


def _ignore(path: Path) -> None:
    """Make a `.gitignore` of everything, unless there is one, or a link by that name."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        file = os.open(path, flags, 0o644)
    except FileExistsError:
        return
    try:
        os.write(file, b"*\n")
    finally:
        os.close(file)


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it. Returns the folders that have a new entry."""
    missing = [folder]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    changed = [each.parent for each in missing if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return changed


def sync(folder: Path) -> None:
    """Make new entries of a folder survive a power cut; SQLite syncs files, not their folders."""
    if os.name == "nt":
        return  # pragma: no cover - which has no such call
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- names ------------------------------------------------------------------------------------


class Named(NamedTuple):
    """
    How an evaluation is called in a store.

    Attributes:
        name: today's, the same whatever the working directory and the store.
        formerly: the names that versions before this rule may have given it.
    """

    name: str
    formerly: tuple[str, ...] = ()


def named(
    file: str | os.PathLike[str], below: str, place: Place, root: Path | None = None
) -> Named:
    """
    The name of an evaluation: its file from the root of the file's own project (see `project`),
    where there is none from its folder; "::"; and what it is called there.

    Args:
        file: where it is; links are resolved. "<notebook>" and the like stay as they are.
        below: such as "eval_x[gpt]".
        place: of the store, for what earlier versions called it.
        root: pytest's rootdir, for the same.
    """
    text = os.fspath(file)
    if text.startswith("<"):
        return Named(f"{text}::{below}")
    holder = _holder(place)
    real = Path(os.path.realpath(file))
    name = real.relative_to(project(real.parent, holder) or real.parent).as_posix()
    # Before, names counted from the folder that held the store, else from a `.doteval/` anywhere
    # above the working directory, else from that; files elsewhere were named as a whole.
    here = place.here
    above = (each for each in (here, *here.parents) if (each / FOLDER).is_dir())
    anchor = holder or next(above, root or here)
    formerly: dict[str, None] = {}
    for path in (Path(os.path.abspath(file)), real):
        if path.is_relative_to(anchor):
            formerly[path.relative_to(anchor).as_posix()] = None
        formerly[path.as_posix()] = None
    formerly.pop(name, None)
    return Named(f"{name}::{below}", tuple(f"{each}::{below}" for each in formerly))


def _holder(place: Place) -> Path | None:
    """The folder whose `.doteval/` a store lies in; None where it lies in none."""
    if place.path is None or place.path.parent.name != FOLDER:
        return None
    return place.path.parent.parent
