"""Insight: what is happening now, and what came out of it."""

from __future__ import annotations

from .progress import Heartbeat, Live, Snapshot, heartbeat, line, printing_above, progress_on
from .tables import Cell, Column, Terminal, sparkline, table, terminal

__all__ = [
    "Cell",
    "Column",
    "Heartbeat",
    "Live",
    "Snapshot",
    "Terminal",
    "heartbeat",
    "line",
    "printing_above",
    "progress_on",
    "sparkline",
    "table",
    "terminal",
]
