"""
The tables of docs/explanation/statistics.md, simulated anew and written into it.

`python -m tests.stats` takes some minutes. A table stands between `<!-- NAME -->` and
`<!-- end -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.stats import simulations

EFFORT = 50
PAGE = Path(__file__).parents[2] / "docs/explanation/statistics.md"


def main() -> None:
    tables = [
        simulations.share_errors(),
        simulations.bounded_means(EFFORT),
        simulations.false_passes(EFFORT),
        *simulations.open_means(EFFORT),
        simulations.clusters(EFFORT),
        simulations.wrong_regressions(EFFORT),
        simulations.power_of_flips(EFFORT),
        simulations.power_of_numbers(EFFORT),
        simulations.rows_that_decide(EFFORT),
        simulations.looks(EFFORT),
        simulations.corrected_judges(EFFORT),
        simulations.half_widths(EFFORT),
    ]
    page = PAGE.read_text(encoding="utf-8")
    for table in tables:
        print(f"{table.name}\n{table.markdown()}\n", flush=True)
        there = re.compile(f"(<!-- {table.name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = there.sub(
            lambda found, table=table: f"{found[1]}{table.markdown()}\n{found[2]}", page
        )
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
