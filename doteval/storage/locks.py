"""
One run at a time on one evaluation of one experiment.

The lock is a byte of a file beside the database, chosen by the hash of the names: the kernel
frees it however its owner dies, and a forked child does not inherit it (as it would `flock`).
POSIX drops all locks of a process on a file when it closes *any* descriptor of it, so a process
has one descriptor of it, and closes that when it holds nothing. POSIX also lets a process lock a
byte twice, so what this process holds is counted here.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows, where CI does not run
    fcntl = None  # type: ignore[assignment]


class _File(NamedTuple):
    """A lock file as one process knows it, by whatever path; a forked child starts afresh."""

    device: int
    inode: int
    pid: int


class Lock(NamedTuple):
    """A lock that was taken, for `release`."""

    file: _File
    byte: int


_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)  # who put a link there could choose what we make
_guard = threading.Lock()
_descriptors: dict[_File, int] = {}
_held: dict[Lock, int] = {}  # how many share it; _ALONE
_ALONE = -1
_ALL = -1  # stands for every byte of a file
# Whoever asks `is_held` has the lock for microseconds, so one refusal is none.
_TRIES = 5
_PAUSE = 0.01  # seconds


def acquire(path: Path, name: str, shared: bool = False) -> Lock | None:
    """
    Take the lock `name` of the lock file at `path`; None where somebody has it.

    Args:
        shared: with others who take it shared.

    Raises:
        OSError: the file can not be opened or does not support locks.
    """
    for attempt in range(_TRIES):
        with _guard:
            lock = Lock(_open(path), _byte(name))
            try:
                if _take(lock, shared):
                    return lock
            finally:
                _close_unused(lock.file)
        if attempt < _TRIES - 1:
            time.sleep(_PAUSE)
    return None


def acquire_all(path: Path) -> Lock | None:
    """
    Take every lock of the lock file at `path`; None where somebody has any of them.

    Raises:
        OSError: the file can not be opened or does not support locks.
    """
    with _guard:
        lock = Lock(_open(path), _ALL)
        try:
            return lock if _take(lock, shared=False) else None
        finally:
            _close_unused(lock.file)


def release(lock: Lock) -> None:
    """Give back a lock; in a forked child, which has none, do nothing."""
    with _guard:
        mine = 0 if lock.file.pid != os.getpid() else _held.pop(lock, 0)
        if mine > 1:
            _held[lock] = mine - 1
        elif mine:
            _unlock(_descriptors[lock.file], lock.byte)
            _close_unused(lock.file)


def is_of(lock: Lock, path: Path) -> bool:
    """Whether a lock is one of the lock file that is now at `path`."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == lock.file[:2]


def is_held(path: Path, name: str) -> bool:
    """
    Whether this or another process has the lock now.

    Raises:
        OSError: the file is there and can not be opened.
    """
    with _guard:
        if not path.exists():
            return False
        lock = Lock(_open(path, os.O_RDONLY), _byte(name))
        if lock in _held or Lock(lock.file, _ALL) in _held:
            return True
        try:
            if not _lock(_descriptors[lock.file], lock.byte, _ASKING):
                return True
            _unlock(_descriptors[lock.file], lock.byte)
            return False
        finally:
            _close_unused(lock.file)


def _take(lock: Lock, shared: bool) -> bool:
    if lock.byte == _ALL and any(other.file == lock.file for other in _held):
        return False
    if Lock(lock.file, _ALL) in _held:
        return False
    mine = _held.get(lock, 0)
    if mine and not (shared and mine > 0):
        return False
    if not mine and not _lock(_descriptors[lock.file], lock.byte, shared):
        return False
    _held[lock] = mine + 1 if shared else _ALONE
    return True


def _byte(name: str) -> int:
    from hashlib import blake2b  # loads OpenSSL; a look at what nobody runs needs no byte

    text = name.encode("utf-8", "backslashreplace")
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "big")


def _open(path: Path, mode: int = os.O_RDWR | os.O_CREAT) -> _File:
    """The file at a path, opened unless this process has it open, by this path or another."""
    try:
        file = _file(os.stat(path))
    except FileNotFoundError:
        file = None
    if file not in _descriptors:
        descriptor = os.open(path, mode | _NOFOLLOW, 0o600)
        file = _file(os.fstat(descriptor))
        _descriptors[file] = descriptor
    assert file is not None
    return file


def _file(status: os.stat_result) -> _File:
    return _File(status.st_dev, status.st_ino, os.getpid())


def _close_unused(file: _File) -> None:
    if not any(lock.file == file for lock in _held):
        os.close(_descriptors.pop(file))


if fcntl is not None:
    _ASKING = True  # a shared lock can be asked for where nothing may be written

    def _lock(descriptor: int, byte: int, shared: bool) -> bool:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, *_range(byte))
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(descriptor: int, byte: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_UN, *_range(byte))

    def _range(byte: int) -> tuple[int, int]:
        """Length and start; a length of 0 goes beyond any end."""
        return (0, 0) if byte == _ALL else (1, byte)

else:  # pragma: no cover - Windows only, where CI does not run
    import msvcrt

    _ASKING = False

    def _lock(descriptor: int, byte: int, shared: bool) -> bool:
        if shared:
            return True  # it knows exclusive locks only: those of the parts must do
        os.lseek(descriptor, max(byte, 0), os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int, byte: int) -> None:
        os.lseek(descriptor, max(byte, 0), os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        except OSError:
            pass  # a shared lock, which was never taken
