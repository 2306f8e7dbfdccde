"""
The tables of docs/explanation/statistics.md, simulated anew and written into it.

`python -m tests.stats` takes some minutes. A table stands between `<!-- NAME -->` and
`<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.stats import simulations

EFFORT = 20
PAGE = Path(__file__).parents[2] / "docs/explanation/statistics.md"


def tables() -> Iterator[simulations.Table]:
    yield simulations.share_errors()
    yield simulations.bounded_means(EFFORT)
    yield simulations.false_passes(EFFORT)
    yield from simulations.open_means(EFFORT)
    yield simulations.clusters(EFFORT)
    yield simulations.wrong_regressions(EFFORT)
    yield simulations.power_of_flips(EFFORT)
    yield simulations.power_of_numbers(EFFORT)
    yield simulations.rows_that_decide(EFFORT)
    yield simulations.looks(EFFORT)
    yield simulations.looks_at_a_dataset(EFFORT)
    yield simulations.corrected_judges(EFFORT)
    yield simulations.half_widths(EFFORT)
    yield simulations.false_slices(EFFORT)
    yield simulations.flips_of_nothing(EFFORT)
    yield simulations.metrics_of_pairs(EFFORT)
    yield simulations.equal_models(EFFORT)


def main() -> None:
    for table in tables():
        print(f"{table.name}\n{table.markdown()}\n", flush=True)
        there = re.compile(f"(<!-- {table.name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = PAGE.read_text(encoding="utf-8")
        page = there.sub(
            lambda found, table=table: f"{found[1]}{table.markdown()}\n{found[2]}", page
        )
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
