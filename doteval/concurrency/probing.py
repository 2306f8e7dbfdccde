"""
Resting at a level, and trying others: from one decision to the next.

    resting ──throughput fell──▶ less
       │ ▲
       ▼ └── kept, or back ──┐
    probing ──verdict────────┘
"""

from __future__ import annotations

import math

from .evidence import Evidence, Scale
from .startup import LOWEST, Step

SMALL, LARGE = math.log(1.18), math.log(1.6)  # steps of a probe; noisier latencies, larger steps
PRECISE = 0.25  # standard error of the elasticity that a step aims at
DOUBLING = math.log(2.0)  # the largest step, after probes that succeeded in a row
QUEUE = 1.15  # latency over the idle one from which on a queue is suspected
CAUTION = 0.5  # standard errors in favour of what is: a limit too low costs the most
LOOK_DOWN = 6  # every sixth probe looks down in any case: what was idle may have changed
RESTS = 2.0, 20.0  # rounds between probes, first and last; at 20 a probe costs 1-2 % of them
TIRED, UNSURE = 2.0, 1.7  # the rest grows by this after a clear failure, and after a doubtful one
MEMORY = 6  # rounds that a level's throughput is averaged over
FELL = 2.5  # standard errors that a fall in throughput must be sure by; one look per interval


class Probing:
    """
    Which level to try, when, and whether to keep it.

    Args:
        lowest, highest: of the limit.
        increase, decrease: ratios of throughput from which on to probe, and below which to shrink.

    Attributes:
        active: whether a level is being tried.
        up: whether the present probe, or the last one, tries more.
        base, before: the level that it came from, and what that showed.
        rest, left: rounds between two probes, and until the next one.
        gain: elasticity that the last probe found; None: there was none.
    """

    def __init__(
        self, lowest: int, highest: int, increase: float, decrease: float, scale: Scale
    ) -> None:
        self._lowest, self._highest, self._scale = lowest, highest, scale
        self._increase, self._decrease = increase, decrease
        self.active, self.up, self.base, self.before = False, True, 0, Evidence()
        self.gain: float | None = None
        self._step, self._count = 0.0, 0  # of the next probe, if the last one succeeded; probes
        self.rest = self.left = RESTS[0]

    def pause(self, rest: float) -> None:
        """So many rounds until the next one, within reason."""
        self.active, self._step = False, 0.0
        self.rest = self.left = min(RESTS[1], rest)

    def watch(
        self,
        value: int,
        known: Evidence,
        window: Evidence,
        rounds: float,
        calm: bool,
        ceiling: int | None,
    ) -> Step | None:
        """
        Resting at a level: shrink, try another one, or nothing.

        Args:
            known: what the level showed so far; the window is added to it.
            rounds: since the last look.
            calm: whether this is a time to try.
            ceiling: of a cap on concurrency, if one is known.
        """
        ratio = 1.0
        if known.count:
            gain = window.rate - known.rate
            ratio = math.exp(gain)
            fell = math.exp(gain + FELL * self._scale.error(window, known)) < self._decrease
            if fell and value > self._lowest:
                self.up = True
                self.pause(1.0)
                level = min(value - 1, round(value * max(ratio, 0.5)))
                return Step(level, told("shrank", known, window), window)
        known.merge(window, max(MEMORY * max(8, value), 2.0 * self._scale.plenty))
        self.left -= rounds
        ready = self.left <= 0 and ratio >= self._increase and calm
        return self._try(value, known, ceiling) if ready else None

    def _try(self, value: int, known: Evidence, ceiling: int | None) -> Step | None:
        """Another level: up, or down where a queue is suspected."""
        self._count += 1
        idle, top = self._scale.idle, value >= self._highest
        queue = idle is None or known.latency - idle > math.log(QUEUE)
        if not self._step:  # nothing succeeded just now
            often = 2 if queue else LOOK_DOWN
            self.up = bool(self._count % often) or (ceiling is not None and not queue)
        self.up = (self.up and not (top and queue)) or value <= max(self._lowest, LOWEST)
        if self.up and top:  # nothing to gain either way
            self.left = self.rest
            return None
        error = self._scale.error(known, known)
        step = max(self._step, min(LARGE, max(SMALL, error / PRECISE)))
        self.active, self.base, self.before = True, value, known
        if not self.up:
            return Step(min(value - 1, round(value / math.exp(step))), "probing: less", known)
        level = max(value + 1, round(value * math.exp(step)))
        if ceiling is not None:
            level = min(level, max(ceiling, value + 1))
        return Step(level, "probing: more", known)

    def judge(self, value: int, here: Evidence, window: Evidence) -> Step | None:
        """Keep the new level, go back, or wait for more evidence."""
        base, scale = self.before, self._scale
        here.merge(window)
        gain, error = scale.elasticity(here, base)
        worth = scale.worth(here if self.up else base)
        score, doubt = gain - worth, 0.0 if self.up else CAUTION * error
        enough = here.count >= max((3 if self.up else 6) * value, scale.plenty)
        if not enough and -error - doubt <= score <= error:
            return None
        if not self.up or scale.idle is not None:  # before a look down a queue may be in it
            scale.see_idle(base if self.up else here)
        self.active, self.gain = False, gain
        if (score + doubt > 0) is self.up:
            self._step = min(DOUBLING, 2.0 * abs(math.log(value / self.base)))
            self.rest, self.left = RESTS[0], RESTS[0] / 2
            verb = "grew" if self.up else "shrank: not needed"
            return Step(value, told(verb, base, here, gain), here, here)
        self.pause(self.rest * (UNSURE if abs(score) < error else TIRED))
        gained = max(0.0, here.rate - base.rate) if self.up else 0.0
        level = round(self.base * math.exp(min(gained, LARGE)))
        return Step(
            level, told("back", base, here, gain), here, base if level == self.base else None
        )

    def __repr__(self) -> str:
        way = "up" if self.up else "down"
        return f"Probing({self._count}: {way} from {self.base}, next in {self.left:.3g} rounds)"


def told(verb: str, before: Evidence, after: Evidence, gain: float | None = None) -> str:
    """What two levels showed, in words."""
    words = f"{verb}: throughput {before.throughput:.3g} → {after.throughput:.3g}/s"
    return words if gain is None else f"{words}, elasticity {gain:.2g}"
