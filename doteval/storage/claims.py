"""
Who may run an evaluation: one run of all its rows, or one of each of its shards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import Busy, StoreError
from ..record import Run
from . import locks


class Claim(NamedTuple):
    """
    An evaluation of an experiment that is being run.

    Attributes:
        part: the shard, as "1/4"; "": all rows.
        taken: its locks.
    """

    experiment: str
    evaluation: str
    part: str
    taken: tuple[locks.Lock, ...]

    def excludes(self, run: Run, part: str) -> bool:
        """Whether another run must not begin beside this one."""
        same = (self.experiment, self.evaluation) == (run.experiment, run.evaluation)
        return same and (not self.part or not part or self.part == part)


def lock_of(path: Path) -> Path:
    """The lock file of a database: one, whatever links lead to it."""
    real = Path(os.path.realpath(path))
    return real.with_name(f"{real.name}.lock")


class Claims:
    """
    The claims made through one store object.

    Args:
        file: whose locks tell other processes and other objects; None: a store in memory, which
            nobody else can see.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._mine: list[Claim] = []

    def make(self, run: Run, part: str) -> Claim | None:
        """
        Claim an evaluation for a run, or a shard of it; None where somebody else has it.

        Raises:
            StoreError: the file system does not let us lock.
        """
        if any(claim.excludes(run, part) for claim in self._mine):
            return None
        taken = () if self._file is None else self._lock(self._file, run, part)
        if taken is None:
            return None
        claim = Claim(run.experiment, run.evaluation, part, taken)
        self._mine.append(claim)
        return claim

    @contextmanager
    def alone(self, experiment: str, evaluation: str, busy: Callable[[], str]) -> Iterator[None]:
        """
        While nobody runs an evaluation, and nobody can begin.

        Args:
            busy: what to say where somebody runs it.

        Raises:
            Busy: somebody does.
        """
        nobody = Run("", experiment, evaluation, 0.0, None, 0.0, "running", os.getpid(), {})
        claim = self.make(nobody, "")
        if claim is None:
            raise Busy(busy())
        try:
            yield
        finally:
            self.give_back(claim)

    def holds(self, claim: Claim) -> bool:
        """Whether whoever asks for the lock file now finds the one that this claim has locked."""
        return self._file is None or all(locks.is_of(lock, self._file) for lock in claim.taken)

    def give_back(self, claim: Claim) -> None:
        """End a claim."""
        self._mine.remove(claim)
        for lock in claim.taken:
            locks.release(lock)

    def close(self) -> None:
        """End them all."""
        for claim in tuple(self._mine):
            self.give_back(claim)

    def is_running(self, run: Run, part: str) -> bool:
        """Whether a run that says so really is: its lock dies with its process."""
        if self._file is None:
            return any(claim.excludes(run, part) for claim in self._mine)
        try:
            return locks.is_held(self._file, _name(run, part))
        except OSError:
            return True  # a file that we may not read: believe what is stored

    def _lock(self, file: Path, run: Run, part: str) -> tuple[locks.Lock, ...] | None:
        """All rows: the evaluation's lock, alone. A shard: that one shared, and its own alone."""
        taken: list[locks.Lock] = []
        try:
            for of, shared in (("", True), (part, False)) if part else (("", False),):
                lock = locks.acquire(file, _name(run, of), shared)
                if lock is None:
                    break
                taken.append(lock)
            else:
                return tuple(taken)
        except OSError as error:
            _release(taken)
            raise StoreError(
                f"{file} can not be locked: {error.strerror}; a run needs a folder that it may "
                "write, on a file system that supports locks"
            ) from error
        _release(taken)
        return None


def _release(taken: list[locks.Lock]) -> None:
    for lock in taken:
        locks.release(lock)


def _name(run: Run, part: str) -> str:
    return "\0".join((run.experiment, run.evaluation, part))
