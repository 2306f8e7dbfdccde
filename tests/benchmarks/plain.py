"""Plain functions: on threads, and one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from .figures import Figure, Size, in_turns
from .work import bare_plainly, judge_blocking_50_ms, judge_plainly, rows_of, stored


def figures(size: Size) -> Iterator[Figure]:
    folder, rounds = size.folder, size.rounds
    n = max(320, size.rows(1_280))
    ideal = n / 32 * 0.05
    (taken,) = in_turns(rounds, lambda turn: stored(folder, rows_of(n), judge_blocking_50_ms, 32))
    yield Figure(
        "32 threads on calls that block 50 ms: of the ideal", ideal / min(taken) * 100, 95, "%",
        least=True, detail=f"{min(taken):.3f} s, ideal {ideal:.2f} s",
    )  # fmt: skip

    n = size.rows(20_000)
    ours, theirs = map(
        min,
        in_turns(
            rounds,
            lambda turn: stored(folder, rows_of(n), judge_plainly, 1),
            lambda turn: bare_plainly(folder, rows_of(n), judge_plainly),
        ),
    )
    yield Figure(
        "Sequential on a no-op def: times a plain loop", ours / theirs, 5,
        detail=f"{ours / n * 1e6:.1f} µs a row, the loop {theirs / n * 1e6:.1f} µs",
    )  # fmt: skip
