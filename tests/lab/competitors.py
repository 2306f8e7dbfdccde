"""
Two published designs, as literally as a client of the lab allows, to compare with.

    python -m tests.lab.competitors [--seeds 5] [--only TEXT]
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable

from doteval.concurrency.evidence import Outcome

from .measure import Oracle, adaptive, measure
from .scenarios import SCENARIOS, Scenario
from .world import Fixed, Policy


class Doubling(Fixed):
    """
    Inspect AI's: a round of successes doubles the limit until the first refusal; then each round
    adds a tenth, and a refusal cuts to 80 %, once per episode.
    """

    def __init__(self, first: int, lowest: int, most: int) -> None:
        super().__init__(first)
        self._lowest, self._most = lowest, most
        self._token = self._cut = self._good = 0
        self._refused = False

    def started(self, now: float) -> int:
        self._token += 1
        return self._token

    def ended(
        self, token: int, now: float, outcome: Outcome, retry_after: float | None = None
    ) -> bool:
        if outcome is Outcome.SUCCESS and token > self._cut:
            self._good += 1
            if self._good >= self.limit:
                grown = self.limit + max(1, self.limit // 10) if self._refused else 2 * self.limit
                self.limit, self._good = min(self._most, grown), 0
        elif outcome is Outcome.CONGESTION and token > self._cut:
            self.limit = max(self._lowest, int(0.8 * self.limit))
            self._refused, self._cut, self._good = True, self._token, 0
        return True


class Gradient2(Fixed):
    """
    Netflix's: limit ← limit · (tolerance · long latency ÷ short latency, within ½ and 1) + queue
    of 4, smoothed by 0.2; a refusal halves it. Its defaults.
    """

    TOLERANCE, QUEUE, SMOOTHING, WINDOW = 1.5, 4, 0.2, 600

    def __init__(self, first: int, lowest: int, most: int) -> None:
        super().__init__(first)
        self._lowest, self._most, self._exact = lowest, most, float(first)
        self._starts: dict[int, float] = {}
        self._token, self._long = 0, 0.0

    def started(self, now: float) -> int:
        self._token += 1
        self._starts[self._token] = now
        return self._token

    def ended(
        self, token: int, now: float, outcome: Outcome, retry_after: float | None = None
    ) -> bool:
        short, used = now - self._starts.pop(token), len(self._starts) + 1
        if outcome is Outcome.SUCCESS:
            self._long += (short - self._long) * (2 / (self.WINDOW + 1) if self._long else 1.0)
            if self._long / short > 2:
                self._long *= 0.95
            if used >= self._exact / 2:
                gradient = max(0.5, min(1.0, self.TOLERANCE * self._long / short))
                wanted = self._exact * gradient + self.QUEUE
                self._exact += (wanted - self._exact) * self.SMOOTHING
        elif outcome is Outcome.CONGESTION:
            self._exact /= 2
        self._exact = min(float(self._most), max(float(self._lowest), self._exact))
        self.limit = math.floor(self._exact)
        return True


def policies(scenario: Scenario) -> dict[str, Callable[[], Policy]]:
    """Ours and theirs, with the scenario's range."""
    names = ("initial_concurrency", "min_concurrency", "max_concurrency")
    limits = [scenario.parameters[name] for name in names]
    return {
        "adaptive": adaptive(scenario),
        "doubling": lambda: Doubling(*limits),
        "gradient2": lambda: Gradient2(*limits),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(f"{'whole / steady, slowdown':32}" + "".join(f"{n:>22}" for n in policies(SCENARIOS[0])))
    for scenario in SCENARIOS:
        if options.only not in scenario.name:
            continue
        cells = []
        oracles = [Oracle(scenario, seed) for seed in range(options.seeds)]
        for policy in policies(scenario).values():
            runs = [measure(scenario, policy, seed, oracle) for seed, oracle in enumerate(oracles)]
            figures = [
                statistics.median(getattr(run, name) for run in runs)
                for name in ("whole", "steady", "slowdown")
            ]
            cells.append("{:8.2f} / {:4.2f}, {:4.1f}".format(*figures))
        print(f"{scenario.name:32}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
