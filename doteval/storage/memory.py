"""
A store without a file: the same tables in memory, gone when it is closed.
"""

from __future__ import annotations

from pathlib import Path

from .sqlite import SqliteStore


class MemoryStore(SqliteStore):
    """Each `memory://` is a store of its own. It needs no thread, so it runs on a virtual clock."""

    def __init__(self, anchor: Path) -> None:
        super().__init__(None, anchor)
