"""
Where a command's document goes: standard output, or a file that appears whole or not at all.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

from ..errors import UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

STDOUT = "-"


def write(pieces: Iterable[str], name: str, out: TextIO, *, force: bool, mark: bytes = b"") -> int:
    """
    Write a document, as UTF-8.

    Args:
        pieces: of its text.
        name: of the file; "-" is `out`.
        force: replace a file that is there, whatever it is.
        mark: how a file begins that may be replaced without force, as an empty one may; b"": none.

    Returns:
        how many bytes it has.

    Raises:
        UsageError: the file is there and may not be replaced, or it can not be made.
    """
    if name == STDOUT:
        if hasattr(out, "buffer"):
            return _copy(pieces, out.buffer.write)
        return _copy(pieces, lambda piece: out.write(piece.decode("utf-8")))  # a stand-in
    path = Path(os.path.realpath(name))
    _refuse(path, name, force, mark)
    if path.exists() and not path.is_file():  # a pipe or a device is no place to rename to
        with path.open("wb") as stream:
            return _copy(pieces, stream.write)
    with _replacing(path, name) as stream:
        return _copy(pieces, stream.write)


def _copy(pieces: Iterable[str], take: Callable[[bytes], object]) -> int:
    size = 0
    for piece in pieces:
        encoded = piece.encode("utf-8", "backslashreplace")
        take(encoded)
        size += len(encoded)
    return size


def _refuse(path: Path, name: str, force: bool, mark: bytes) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{name} can not be written: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{name} is a folder; name a file in it")
    if force or not stat.S_ISREG(mode):
        return
    try:
        with path.open("rb") as stream:
            begins = stream.read(len(mark) or 1)
    except OSError as error:
        raise UsageError(f"{name} is there and can not be read: {error.strerror}") from error
    if begins and begins != mark:
        what = " and is no report" if mark else ""
        raise UsageError(f"{name} exists{what}; name another file, or say --force to replace it")


@contextmanager
def _replacing(path: Path, name: str) -> Iterator[IO[bytes]]:
    """
    A file beside `path` that takes its place when the block is left in order, and is gone when it
    is not. What a command that was killed has left is taken away.
    """
    begin = f".{path.name[:100]}."
    try:
        _take_away(path.parent, begin)
        beside, handle = _beside(path.parent, begin)
    except OSError as error:
        raise UsageError(
            f"{name} can not be written: {error.strerror}; check its folder"
        ) from error
    try:
        with open(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            if fcntl is not None:  # pragma: no branch - while its lock says that it is in use
                os.replace(beside, path)
        if fcntl is None:  # pragma: no cover - Windows, where an open one stays
            os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _beside(folder: Path, begin: str) -> tuple[Path, int]:
    """A new file that nobody takes for one that was left."""
    while True:
        path = folder / f"{begin}{os.urandom(4).hex()}.part"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        try:
            is_ours = _is_free(handle) and path.exists()  # before it had its lock, it looked left
        except OSError:  # a file system without locks, on which nothing is taken away
            is_ours = True
        if is_ours:
            return path, handle
        os.close(handle)


def _take_away(folder: Path, begin: str) -> None:
    for left in folder.iterdir():
        if not (left.name.startswith(begin) and _PART.fullmatch(left.name, len(begin))):
            continue
        try:
            handle = os.open(left, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                if _is_free(handle):
                    left.unlink()
            finally:
                os.close(handle)
        except OSError:
            continue  # it is another one's, or gone


_PART = re.compile("[0-9a-f]{8}[.]part")
_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would change line ends


def _is_free(handle: int) -> bool:
    """Take the lock of a file, unless somebody has it."""
    if fcntl is None:
        return True  # pragma: no cover - Windows, where an open file can not be removed
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
