"""
Rows that belong together: questions about one document, turns of one user.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from .intervals import mean_of


@dataclass(frozen=True, slots=True)
class Clustered:
    """
    What clusters say of the mean over rows.

    Attributes:
        stderr: standard error of the mean.
        df: degrees of freedom of it; a fraction.
        count: clusters there are.
        effective: as many clusters of equal size would say as much: (sum of sizes)² / sum of
            their squares. One that holds nearly all rows makes it nearly 1.
    """

    stderr: float
    df: float
    count: int
    effective: float


def clustered(values: Sequence[float], groups: Sequence[Hashable]) -> Clustered | None:
    """
    Standard error of the mean of values that are independent only between clusters.

    Args:
        values: one a row.
        groups: equal where rows belong together, one a row.

    Returns:
        None for a single cluster: nothing is known about the spread then.

    Raises:
        ValueError: not one group per value.

    Source: the sandwich CR2 with the degrees of freedom of Satterthwaite (Bell & McCaffrey 2002,
    Survey Methodology 28, p. 169; Pustejovsky & Tipton 2018, J. Bus. Econ. Stat. 36, p. 672). For
    a mean both have closed forms; for clusters of one size they are Liang & Zeger's (1986) with
    G/(G-1), and G-1.
    """
    if len(groups) != len(values):
        raise ValueError(f"{len(groups)} groups for {len(values)} values: expected one for each")
    n = len(values)
    mean = mean_of(values) if n else 0.0
    sums: dict[Hashable, float] = {}
    sizes: dict[Hashable, int] = {}
    for value, group in zip(values, groups, strict=True):
        sums[group] = sums.get(group, 0.0) + (value - mean)
        sizes[group] = sizes.get(group, 0) + 1
    if len(sizes) < 2:
        return None
    # A residual is smaller than its error by the share of the rows that its cluster holds.
    parts = [(sums[group], size, 1 - size / n) for group, size in sizes.items()]
    scale = max(abs(total) for total, _, _ in parts)  # squares of very small ones would be 0
    if scale <= 1e-12 * max(sizes.values()) * max(map(abs, values)):
        scale = 0.0  # nothing but rounding is left of values that are the same
    stderr = 0.0
    if scale:
        stderr = scale * math.sqrt(math.fsum((t / scale) ** 2 / left for t, _, left in parts)) / n
    squares = sum(size * size for size in sizes.values())
    shares = [size * size / left for _, size, left in parts]
    apart = math.fsum(shares) ** 2 - math.fsum(share * share for share in shares)
    df = 1 / (squares / n**2 + apart / n**4)
    return Clustered(stderr, df, len(sizes), n * n / squares)
