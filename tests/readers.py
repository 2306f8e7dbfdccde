"""Every command that reads a store, typed in this process: none may end in a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from doteval.cli import main

TRACEBACK_FREE = range(5)  # exit codes that are an answer


def commands(name: str, other: str = "plain") -> list[list[str]]:
    """The commands that read an experiment, and those that set it against another one."""
    return [
        ["list"],
        ["list", "--json"],
        ["show", name],
        ["show", name, "--full"],
        ["show", name, "--errors"],
        ["show", name, "--concurrency"],
        ["show", name, "--json", "--full"],
        ["gate", name, "errors <= 50%", "latency.p95 <= 1", "exact >= 0.1 @ 95%"],
        ["gate", name, f"exact >= baseline({other})"],
        ["compare", name, other],
        ["compare", other, name, "--json"],
        ["report", name, "--baseline", other, "-o", "-"],
        ["export", name],
        ["export", name, "--format", "csv"],
        ["export", name, "--format", "json"],
        ["export", name, "--format", "junit"],
        ["export", name, "--format", "markdown"],
        ["prune", "--dry-run"],
        ["doctor"],
    ]


def codes(storage: Path, typed: Sequence[Sequence[str]]) -> dict[str, int]:
    """
    The exit code of each command. An exception that is no answer of a command comes out, with the
    command in its notes where Python has them.
    """
    found = {}
    for each in typed:
        found[" ".join(each)] = main([*each, "--storage", str(storage)])
    return found
