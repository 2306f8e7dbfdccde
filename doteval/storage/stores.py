"""
Which store an address means.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Union, cast

from ..errors import StoreError
from ..plugins import Registry
from .place import Place, locate
from .sqlite import SqliteStore

if TYPE_CHECKING:
    from .backend import Backend


Store = SqliteStore  # what the house asks of any store; of a plugin's, see `backend`
Opener = Callable[[str, Path, bool], Union[SqliteStore, "Backend"]]
# `(rest, anchor, create) -> store`, where `rest` is what follows "scheme://", or the file's path.
registry: Registry[Opener] = Registry("storage", "storage")


@registry.register("memory")
def _in_memory(rest: str, anchor: Path, create: bool) -> Store:
    return SqliteStore(None, anchor)


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
    store = registry.get(place.scheme)(rest, place.anchor, create)
    if not hasattr(store, "names"):  # a plugin may make one of ours
        return store
    from .backend import BackedStore  # who looks at a file has no use of it

    return BackedStore(cast("Backend", store), place.anchor)


Address = Union[str, "os.PathLike[str]", Place, Store, None]


@contextmanager
def opened(storage: Address) -> Iterator[Store]:
    """A store to read: one that was given is left open, one by its address closed in the end."""
    if isinstance(storage, SqliteStore):
        yield storage
        return
    store = open_store(storage, create=False)
    try:
        yield store
    finally:
        store.close()
