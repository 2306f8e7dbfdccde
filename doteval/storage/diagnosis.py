"""
What an error of SQLite means for the person who reads it, and what to do.
"""

from __future__ import annotations

import errno
import os

from ..errors import DamageError, StoreError
from ..record import FILES_REMEDY


class Exhausted(StoreError):
    """No file can be opened at the moment; once others are closed, one can."""


def _can_open() -> bool:
    """Whether this process may open the files that a transaction needs."""
    files: list[int] = []
    try:
        for _ in range(FILES):
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno not in (errno.EMFILE, errno.ENFILE)
    finally:
        for file in files:
            os.close(file)
    return True


FILES = 4  # more than SQLite opens at a time: a journal, and its folder to sync it
_DAMAGED = "the file is damaged"
_REASONS = (  # part of SQLite's message, what it means, what to do
    (
        "records.key",
        "a row of this run has a record by now, so somebody else runs the evaluation too",
        "end one of the two, and run the same command again",
    ),
    ("disk is full", "the disk is full", "make room and run the same command again"),
    ("disk i/o error", "the disk refused to read or write", "check the disk and its quota"),
    ("not a database", "the file is not a database", "name another file with --storage"),
    *((part, _DAMAGED, "see `doteval doctor`") for part in ("malformed", "decode", "overflow")),
    ("readonly", "the file may not be written", "check its permissions and its folder's"),
    ("locked", "another process keeps it locked", "end that process, or wait for it"),
    ("unable to open", "the file can not be opened", "check that its folder exists and is yours"),
)


def explain(error: Exception, name: str) -> StoreError:
    """
    What an error of SQLite means for the person who reads it.

    Raises:
        KeyboardInterrupt: it is none; SQLite has ended a query because of that.
    """
    said = str(error)
    if said == "interrupted":
        raise KeyboardInterrupt from error
    if "unable to open" in said and not _can_open():
        return Exhausted(
            f"the store {name} can not be written: too many files are open in this process; "
            f"{FILES_REMEDY}"
        )
    for part, meaning, remedy in _REASONS:
        if part in said.lower():
            kind = DamageError if meaning == _DAMAGED else StoreError
            return kind(f"the store {name}: {meaning} ({said}); {remedy}")
    return StoreError(f"the store {name} can not be used: {said}")
