"""
What a store is to the rest of the house, and how one is opened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Union

from ..errors import StoreError
from ..plugins import Registry
from ..record import Attempt, Call, Record, Run, Stored
from .archive import Adopted, Fact
from .entries import Entry
from .memory import MemoryStore
from .place import Place, locate
from .sqlite import SqliteStore
from .tally import Tally


class Store(Protocol):
    """
    Synchronous; used by one thread at a time. `SqliteStore` documents each method.
    """

    anchor: Path
    on_prepared: Callable[[], object]

    @property
    def inline(self) -> bool: ...
    def close(self) -> None: ...
    def begin(
        self, run: Run, *, fresh: bool = False, part: str = "", formerly: str | None = None
    ) -> int: ...
    def stored(self, number: int, after: int = 0, limit: int = 2_000) -> list[Stored]: ...
    def add(self, number: int, entries: Iterable[Entry | Attempt | Call]) -> None: ...
    def mark(self, number: int, ids: Iterable[int], state: int) -> None: ...
    def total(self, number: int, total: int) -> None: ...
    def tell(self, number: int, said: str | None) -> None: ...
    def end(self, number: int, run: Run) -> None: ...
    def experiments(self) -> list[tuple[str, float]]: ...
    def evaluations(self, experiment: str) -> list[str]: ...
    def runs(self, experiment: str, evaluation: str | None = None) -> list[Run]: ...
    def records(
        self, experiment: str, evaluation: str, *, failed: bool | None = None, state: int = 0
    ) -> Iterator[Record]: ...
    def attempts(self, experiment: str, evaluation: str) -> list[Attempt]: ...
    def tally(self, experiment: str, evaluation: str) -> Tally: ...
    def values(
        self, experiment: str, evaluation: str, score: str
    ) -> Iterator[tuple[bytes, Any]]: ...
    def clusters(
        self, experiment: str, evaluation: str, column: str
    ) -> Iterator[tuple[bytes, str | None]]: ...
    def total_of(self, experiment: str, evaluation: str) -> int | None: ...
    def rename(self, old: str, new: str) -> None: ...
    def delete(self, experiment: str) -> int: ...
    def facts(self, experiment: str) -> Iterator[Fact]: ...
    def adopt(self, experiment: str, created: float, facts: Iterable[Fact]) -> Adopted: ...


Opener = Callable[[str, Path, bool], Store]
# `(rest, anchor, create) -> Store`, where `rest` is what follows "scheme://", or the file's path.
registry: Registry[Opener] = Registry("storage", "storage")


@registry.register("memory")
def _in_memory(rest: str, anchor: Path, create: bool) -> Store:
    return MemoryStore(anchor)


@registry.register("sqlite")
def _in_a_file(rest: str, anchor: Path, create: bool) -> Store:
    if not create and not os.path.exists(rest):
        raise StoreError(
            f"there is no store at {rest} yet; run an evaluation first, "
            "or name another store with --storage"
        )
    return SqliteStore(Path(rest), anchor, create)


def open_store(
    storage: str | os.PathLike[str] | Place | None = None,
    *,
    root: Path | None = None,
    create: bool = True,
) -> Store:
    """
    Open the store at an address.

    Args:
        storage: see `locate`; a `Place` is taken as it is.
        root: where a default store is made; None: in the working directory.
        create: make it where there is none.

    Raises:
        StoreError: it can not be opened; or there is none, and `create` is False.
        NotFound: no plugin knows the scheme of the address.
    """
    place = storage if isinstance(storage, Place) else locate(storage, root)
    rest = place.rest if place.path is None else os.fspath(place.path)
    return registry.get(place.scheme)(rest, place.anchor, create)


Address = Union[str, "os.PathLike[str]", Place, Store, None]


@contextmanager
def opened(storage: Address) -> Iterator[Store]:
    """A store to read: one that was given is left open, one by its address closed in the end."""
    if storage is not None and hasattr(storage, "tally"):
        yield storage  # type: ignore[misc]
        return
    store = open_store(storage, create=False)
    try:
        yield store
    finally:
        store.close()
