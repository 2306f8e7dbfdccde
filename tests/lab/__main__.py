"""
Print how the adaptive controller does, next to fixed windows and the best one.

    python -m tests.lab [--seeds 5] [--first-seed 0] [--only TEXT]
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
from collections.abc import Callable

from .measure import Oracle, Result, adaptive, measure
from .scenarios import SCENARIOS, Scenario
from .world import Fixed, Policy


def policies(scenario: Scenario) -> dict[str, Callable[[], Policy]]:
    """The controller, and the two windows that one would choose without knowing anything."""
    parameters = scenario.parameters
    return {
        "adaptive": adaptive(scenario),
        "start": lambda: Fixed(parameters["initial_concurrency"]),
        "top": lambda: Fixed(parameters["max_concurrency"]),
    }


def job(task: tuple[int, int]) -> tuple[int, int, dict[str, Result]]:
    index, seed = task
    scenario = SCENARIOS[index]
    oracle = Oracle(scenario, seed)
    chosen = policies(scenario)
    outcomes = {name: measure(scenario, chosen[name], seed, oracle) for name in chosen}
    return index, oracle.level, outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    tasks = [
        (index, seed)
        for index, scenario in enumerate(SCENARIOS)
        if options.only in scenario.name
        for seed in seeds
    ]
    rows: dict[int, list[tuple[int, dict[str, Result]]]] = {}
    with multiprocessing.Pool() as pool:
        for index, level, outcomes in pool.imap_unordered(job, tasks):
            rows.setdefault(index, []).append((level, outcomes))

    def median(index: int, policy: str, figure: str) -> float:
        return statistics.median(getattr(found[policy], figure) for _, found in rows[index])

    print(f"{'':34}{'best':>5} │{'adaptive':^44}│{'start':^8}│{'top':^22}")
    titles = ("whole", "steady", "refused", "slow", "fair", "limit")
    print(
        f"{'scenario':34}{'fixed':>5} │"
        + "".join(f"{title:>7}" for title in titles)
        + "  │"
        + f"{'whole':>7} │"
        + "".join(f"{title:>7}" for title in titles[:1] + titles[2:4])
    )
    for index in sorted(rows):
        level = round(statistics.median(level for level, _ in rows[index]))
        figures = [
            median(index, "adaptive", figure)
            for figure in ("whole", "steady", "refused", "slowdown", "fairness", "limit")
        ]
        print(
            f"{SCENARIOS[index].name:34}{level or '-':>5} │"
            + "".join(f"{figure:7.2f}" for figure in figures[:5])
            + f"{figures[5]:7.0f}  │{median(index, 'start', 'whole'):7.2f} │"
            + "".join(f"{median(index, 'top', f):7.2f}" for f in ("whole", "refused", "slowdown"))
        )


if __name__ == "__main__":
    main()
