"""Memory: rows of 1 KB from a generator, each number of rows in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from doteval import run

from .figures import Figure, Size, peak, report_of
from .work import evaluation, rows_of

_FEW = 2_000
_IDENTITY = 100 / 1e6  # MB a row: what it takes to know each row again


def figures(size: Size) -> Iterator[Figure]:
    counts = [size.rows(200_000), *([1_000_000] if size.million else [])]
    least: dict[str, float] = {}
    for count in (_FEW, *counts):
        store = size.folder / f"memory-{count}.db"
        for way in ("fresh", "resumed"):
            held = report_of(__name__, str(count), str(store))["peak"]
            if count == _FEW:
                least[way] = held
                continue
            own = held - _IDENTITY * count
            detail = f"{held:.1f} MB, {_FEW:,} rows {least[way]:.1f} MB"
            yield Figure(
                f"{count:,} rows, {way}: above {_FEW:,}, less 100 B a row",
                own - least[way], 10, "MB", detail=detail,
            )  # fmt: skip
            yield Figure(f"{count:,} rows, {way}: peak less 100 B a row", own, 60, "MB")
        for file in store.parent.glob(store.name + "*"):
            file.unlink()


def main(count: int, store: str) -> None:
    """Run so many rows and print the peak of the memory, as JSON."""
    run(evaluation(rows_of(count, 1_000)), "benchmark", Path(store), progress=False)
    print(json.dumps({"peak": peak()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
