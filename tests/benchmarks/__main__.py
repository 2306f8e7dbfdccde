"""The one command: measure, print a table, write JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from .figures import ROOT, Figure, Size

PARTS = ("rows", "waiting", "memory", "start", "reading", "plain", "scale")


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where a limit is missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {' '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    parser.add_argument("--million", action="store_true", help="also a million records")
    parser.add_argument("--rounds", type=int, help="turns for each thing that is compared")
    parser.add_argument("--folder", type=Path, help="where to make stores: chooses the disk")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "benchmarks.json")
    options = parser.parse_args(arguments)
    for part in options.parts:
        if part not in PARTS:
            parser.error(f"no part is called {part!r}; there are: {', '.join(PARTS)}")

    print(f"{_machine()}\n")
    figures: dict[str, list[Figure]] = {}
    with TemporaryDirectory(prefix="doteval-", dir=options.folder) as folder:
        size = Size(
            rounds=options.rounds or (2 if options.quick else 5),
            scale=0.1 if options.quick else 1.0,
            million=options.million,
            folder=Path(folder),
        )
        print(f"{'figure':64}{'limit':>12}{'reached':>12}", flush=True)
        for part in options.parts or PARTS:
            figures[part] = []
            for figure in import_module(f".{part}", __package__).figures(size):
                figures[part].append(figure)
                print(line_of(figure), flush=True)
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps(as_mapping(figures), indent=1) + "\n", encoding="utf-8")
    missed = [figure.name for each in figures.values() for figure in each if not figure.is_kept]
    print(f"\n{len(missed)} limits missed; the figures are in {options.json}")
    return 1 if missed else 0


def line_of(figure: Figure) -> str:
    """A line of the table, and below it the amounts behind the figure."""
    bound = ">=" if figure.least else "<="
    verdict = "ok" if figure.is_kept else "MISSED"
    line = f"{figure.name:64}{f'{bound} {_amount(figure.limit)} {figure.unit}':>12}"
    line += f"{f'{_amount(figure.reached)} {figure.unit}':>12}  {verdict}"
    return f"{line}\n    {figure.detail}" if figure.detail else line


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def as_mapping(figures: dict[str, list[Figure]]) -> dict[str, object]:
    """The figures as plain data, with what they were measured on."""
    return {
        "machine": _machine(),
        "at": time.time(),
        "figures": [
            {
                "part": part,
                "name": figure.name,
                "reached": figure.reached,
                "limit": figure.limit,
                "unit": figure.unit,
                "kept": figure.is_kept,
                "detail": figure.detail,
            }
            for part, each in figures.items()
            for figure in each
        ],
    }


def _machine() -> str:
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}"
    )


if __name__ == "__main__":
    sys.exit(main())
