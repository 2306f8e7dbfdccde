"""The adaptive gate, with numbers alone: no loop, no clock, no endpoint."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from doteval.concurrency.adaptive import AdaptiveGate
from doteval.concurrency.evidence import Evidence, Outcome
from doteval.concurrency.limit import State

SUCCESS, CONGESTION, TROUBLE, IGNORED = Outcome

TUTORIAL: dict[str, Any] = {
    "initial_concurrency": 2,
    "max_concurrency": 8,
    "adaptation_interval": 1.0,
    "increase_threshold": 0.90,
    "decrease_threshold": 0.70,
}

Endpoint = Callable[[int], tuple[Outcome, float]]  # in flight → how it ends, after how many seconds


class Bench:
    """Keeps as many attempts in flight as the gate allows, and moves the time."""

    def __init__(self, *, demand: int = 10**9, **parameters: Any) -> None:
        self.gate = AdaptiveGate(**{**TUTORIAL, **parameters})
        self.demand = demand  # attempts that the caller would have in flight at most
        self.now = 0.0
        self.starts: list[float] = []
        self.hold: float | None = None  # the Retry-After that comes with a refusal
        self._running: list[tuple[float, int, Outcome]] = []

    @property
    def in_flight(self) -> int:
        return len(self._running)

    def run(self, seconds: float, endpoint: Endpoint) -> Bench:
        """Work for so long."""
        gate, until = self.gate, self.now + seconds
        while True:
            room = self.in_flight < min(gate.limit, self.demand)
            start = max(self.now, gate.ready_at(self.now)) if room else math.inf
            end = self._running[0][0] if self._running else math.inf
            if min(start, end) > until:
                self.now = until
                return self
            if start <= end:
                self.now = start
                outcome, latency = endpoint(self.in_flight + 1)
                token = gate.started(start)
                self.starts.append(start)
                heapq.heappush(self._running, (start + latency, token, outcome))
            else:
                self.now, token, outcome = heapq.heappop(self._running)
                hold = self.hold if outcome is CONGESTION else None
                gate.ended(token, end, outcome, hold)


def free(in_flight: int) -> tuple[Outcome, float]:
    """An endpoint without a limit: 0.4 s."""
    return SUCCESS, 0.4


def broken(in_flight: int) -> tuple[Outcome, float]:
    """An endpoint that answers 500 after 0.1 s."""
    return TROUBLE, 0.1


def workers(count: int, seed: int = 1) -> Endpoint:
    """So many workers: who comes later waits in proportion. 0.5 to 1.5 s for the work itself."""
    rng = random.Random(seed)
    return lambda n: (SUCCESS, rng.uniform(0.5, 1.5) * max(1.0, n / count))


def capped(count: int) -> Endpoint:
    """429 past so many in flight."""
    return lambda n: (SUCCESS, 1.0 + n / 1000) if n <= count else (CONGESTION, 0.1)


def limits(gate: AdaptiveGate) -> list[int]:
    return [change.limit for change in gate.history]


def reasons(gate: AdaptiveGate) -> list[str]:
    return [change.reason for change in gate.history]


# -------------------------------------------------------------------- starting up


def test_the_history_begins_with_the_first_attempt():
    """Its first entry is the initial limit, at the moment of the first attempt."""
    gate = AdaptiveGate(initial_concurrency=5)

    assert gate.history == ()
    gate.started(12.5)
    (first,) = gate.history
    assert (first.at, first.limit, first.reason, first.throughput) == (12.5, 5, "start", None)


def test_each_success_of_a_round_adds_one():
    """From 2 the limit doubles in a round: one more per success, and not beyond."""
    gate = AdaptiveGate(**TUTORIAL)
    tokens = [gate.started(0.0), gate.started(0.0)]

    gate.ended(tokens[0], 0.4, SUCCESS)
    assert gate.limit == 3
    gate.ended(tokens[1], 0.4, SUCCESS)
    assert gate.limit == 4


def test_the_run_of_the_tutorial_reaches_eight():
    """Sixteen rows of 0.4 s: 2, 4, 8 in flight."""
    bench = Bench().run(1.25, free)

    assert bench.gate.limit == 8
    assert limits(bench.gate)[:3] == [2, 4, 8]


def test_a_limit_that_nobody_uses_does_not_grow():
    """One attempt at a time says nothing about two."""
    bench = Bench(demand=1).run(60, free)

    assert bench.gate.limit <= 4
    assert bench.gate.state is State.STARTING


def test_the_start_ends_where_rounds_stop_paying():
    """Behind four workers the start-up ends near their number, long before the maximum."""
    bench = Bench(max_concurrency=100).run(30, workers(4))

    assert "held: more only queues" in reasons(bench.gate)
    assert bench.gate.limit <= 10


def test_at_the_maximum_the_start_ends():
    """There is nothing more to try."""
    bench = Bench().run(10, free)

    assert "held: the maximum" in reasons(bench.gate)
    assert bench.gate.limit == 8


def test_a_first_limit_far_too_high_is_halved_on_trial():
    """A large first number is a guess: less is tried before more."""
    bench = Bench(initial_concurrency=60, max_concurrency=64).run(600, workers(4))

    assert limits(bench.gate)[1] == 30
    assert bench.gate.limit <= 10


def test_a_start_at_the_maximum_looks_down_and_comes_back():
    """Sixteen and no more allowed: half is tried, gives less, and the maximum is held."""
    bench = Bench(initial_concurrency=16, max_concurrency=16).run(20, free)

    assert reasons(bench.gate)[:2] == ["start", "looking down"]
    assert bench.gate.limit == 16


@pytest.mark.parametrize("level", [6, 20])
def test_a_range_of_one_level_leaves_nothing_to_decide(level):
    """min = max: the limit is never another."""
    names = ("initial_concurrency", "min_concurrency", "max_concurrency")
    bench = Bench(**dict.fromkeys(names, level)).run(200, workers(3))

    assert set(limits(bench.gate)) == {level}


def test_instant_answers_are_no_division_by_zero():
    """Functions that return at once, as fakes do."""
    gate = AdaptiveGate(**TUTORIAL)
    for _ in range(500):
        gate.ended(gate.started(7.0), 7.0, SUCCESS)

    assert 2 <= gate.limit <= 8


# -------------------------------------------------------------------- resting and probing


@pytest.mark.parametrize("count", [3, 12, 30])
def test_it_settles_near_the_number_of_workers(count):
    """More workers, a higher limit; a short queue at most."""
    bench = Bench(max_concurrency=100).run(300, workers(count))
    late = [change.limit for change in bench.gate.history if change.at > 150]

    middle = sorted(late)[len(late) // 2]
    assert 0.75 * count <= middle <= 2.2 * count


def test_a_faster_endpoint_is_found_again():
    """When the endpoint grows, the limit follows."""
    bench = Bench(max_concurrency=100).run(100, workers(4))
    before = bench.gate.limit

    bench.run(200, workers(30))
    assert bench.gate.limit >= 20 > 2 * before


def test_a_sure_fall_of_throughput_shrinks_the_limit():
    """Below decrease_threshold × what the level is known for: by that ratio."""
    bench = Bench(max_concurrency=100).run(100, workers(16))
    before = bench.gate.limit

    bench.run(15, workers(5))
    assert any(reason.startswith("shrank: throughput") for reason in reasons(bench.gate))
    assert bench.gate.limit < 0.8 * before


def test_throughput_between_the_thresholds_holds():
    """An increase_threshold that noise never reaches: nothing is probed."""
    strict = {"increase_threshold": 1.0, "decrease_threshold": 0.1}
    rng = random.Random(3)
    bench = Bench(**strict).run(10, free)
    count = len(bench.gate.history)

    bench.run(60, lambda n: (SUCCESS, 0.5 + rng.random() / 100 + bench.now / 1000))
    assert len(bench.gate.history) == count


def test_one_decision_per_interval():
    """After the start-up, changes are at least adaptation_interval apart."""
    bench = Bench(adaptation_interval=5.0).run(200, workers(3))
    changes = [c.at for c in bench.gate.history if not c.reason.startswith("grew: starting")]
    settled = changes[1:]

    assert len(settled) > 5
    assert all(b - a >= 5.0 for a, b in pairwise(settled) if b != a)


def test_a_limit_out_of_use_is_held():
    """Demand below the limit: told once, and nothing decided."""
    bench = Bench().run(10, free)
    bench.demand = 3
    before = len(bench.gate.history)

    bench.run(60, free)
    assert reasons(bench.gate)[before:] == ["held: not in use"]
    assert bench.gate.limit == 8


# -------------------------------------------------------------------- refusals


def started(gate: AdaptiveGate, count: int, now: float = 0.0) -> list[int]:
    return [gate.started(now) for _ in range(count)]


def refuse(gate: AdaptiveGate, token: int, now: float, hint: float | None = None) -> bool:
    """A refusal, and that of the attempt that takes its place: congestion. Is a hint binding?"""
    gate.ended(token, now, CONGESTION, hint)
    return gate.ended(gate.started(now), now + 0.1, CONGESTION, hint)


def test_one_refusal_changes_nothing():
    """It may be chance; its Retry-After is its row's alone."""
    gate = AdaptiveGate(initial_concurrency=8, max_concurrency=8)
    tokens = started(gate, 8)

    assert not gate.ended(tokens[7], 0.1, CONGESTION, 5.0)
    assert gate.limit == 8


def test_congestion_cuts_to_what_was_being_served():
    """Refused as the eighth in flight, and again in that place: seven were served."""
    gate = AdaptiveGate(initial_concurrency=8, max_concurrency=8)
    tokens = started(gate, 8)

    refuse(gate, tokens[7], 0.1)
    assert gate.limit == 7
    assert gate.history[-1].reason == "cut: congestion"


def test_a_second_alarm_binds_everybody():
    """The first is perhaps the last; after the second a Retry-After holds back every start."""
    gate = AdaptiveGate(initial_concurrency=8, max_concurrency=8)
    first, *tokens = started(gate, 8)

    assert not refuse(gate, tokens[-1], 0.1, 5.0)
    gate.ended(first, 1.0, SUCCESS)
    late = started(gate, 2, 1.0)
    assert refuse(gate, late[0], 1.1, 5.0)


def test_an_attempt_from_before_a_cut_shares_its_verdict():
    """It belongs to that episode: its hint binds as the others did, and it cuts nothing."""
    gate = AdaptiveGate(initial_concurrency=8, max_concurrency=8)
    tokens = started(gate, 8)
    refuse(gate, tokens[7], 0.1)

    assert not gate.ended(tokens[6], 0.3, CONGESTION, 5.0)
    assert gate.limit == 7


@pytest.mark.parametrize(("share", "seed"), [(0.02, 1), (0.05, 2), (0.05, 3)])
def test_refusals_at_random_are_ignored(share, seed):
    """As many are refused at low levels as at high ones: the maximum is reached and held."""
    rng = random.Random(seed)
    bench = Bench(max_concurrency=32)
    bench.hold = 1.0
    bench.run(200, lambda n: (CONGESTION, 0.1) if rng.random() < share else (SUCCESS, 1.0))

    assert bench.gate.limit >= 28
    assert share / 3 < bench.gate.refusals.share < 2 * share
    assert any("at random" in reason for reason in reasons(bench.gate))


def test_the_backoff_factor_bounds_the_cut():
    """Refused as the second of ten: to 70 % at once, not to one."""
    gate = AdaptiveGate(initial_concurrency=10, error_backoff_factor=0.7)
    tokens = started(gate, 10)

    refuse(gate, tokens[1], 0.1)
    assert gate.limit == 7


def test_one_cut_per_episode():
    """Attempts begun before the cut belong to it, however many are refused."""
    gate = AdaptiveGate(initial_concurrency=10)
    tokens = started(gate, 10)

    for token in tokens[3:]:
        gate.ended(token, 0.1, CONGESTION)
    assert gate.limit == 7
    refuse(gate, gate.started(0.2), 0.3)
    assert gate.limit < 7


def test_a_cap_is_found_and_kept():
    """At a cap of six it stays at six, and is rarely refused."""
    bench = Bench(max_concurrency=64).run(200, capped(6))
    refusals = sum(reason == "cut: congestion" for reason in reasons(bench.gate))

    assert bench.gate.limit in (6, 7)
    assert refusals < 0.02 * len(bench.starts)


def test_a_refused_probe_beyond_a_known_cap_holds_nobody():
    """What was tried from is served: the hint of 30 s is its row's alone, and the level stays."""
    bench = Bench(max_concurrency=64)
    bench.hold = 30.0
    bench.run(1000, capped(6))

    assert bench.gate.limit in (6, 7)
    assert len(bench.starts) > 0.95 * 6 * 1000


def test_a_cap_that_rises_is_found_again():
    """A probe beyond the old cap that succeeds ends it."""
    bench = Bench(max_concurrency=64).run(60, capped(6))

    bench.run(200, capped(30))
    assert bench.gate.limit in (30, 31)


def bucket(bench: Bench, rate: float, burst: float = 5.0) -> Endpoint:
    """A token bucket that the bench's clock fills."""
    state = [burst, 0.0]

    def endpoint(in_flight: int) -> tuple[Outcome, float]:
        state[0] = min(burst, state[0] + rate * (bench.now - state[1]))
        state[1] = bench.now
        if state[0] < 1:
            return CONGESTION, 0.1
        state[0] -= 1
        return SUCCESS, 1.0 + 0.1 * math.sin(bench.now)

    return endpoint


def test_a_rate_limit_is_paced():
    """Two a second: starts are spaced, the rate is kept, refusals are rare."""
    bench = Bench(max_concurrency=32)
    bench.hold = 1.0
    bench.run(300, bucket(bench, 2.0))
    late = [start for start in bench.starts if start > 150]

    assert any(reason.startswith("paced") for reason in reasons(bench.gate))
    assert len(late) == pytest.approx(300, rel=0.08)
    assert min(b - a for a, b in pairwise(late)) < 0.6
    assert sum(c.reason == "cut: congestion" and c.at > 150 for c in bench.gate.history) < 12


def test_alone_in_flight_and_refused_is_a_rate_limit():
    """No cap on concurrency refuses a single attempt that follows an accepted one."""
    one = {"initial_concurrency": 1, "max_concurrency": 1}
    gate = AdaptiveGate(**one)
    refuse(gate, gate.started(0.0), 0.1)
    for now in (10.0, 20.0):
        gate.ended(gate.started(now), now + 1, SUCCESS)

    refuse(gate, gate.started(30.0), 30.1)
    gate.started(40.0)
    assert gate.ready_at(40.0) > 45.0


def test_a_rate_limit_that_goes_away_is_forgotten():
    """The pace grows until it no longer matters."""
    bench = Bench(max_concurrency=32)
    bench.run(100, bucket(bench, 2.0)).run(300, free)

    assert "the rate limit is gone" in reasons(bench.gate)
    assert bench.gate.limit == 32
    assert bench.gate.ready_at(bench.now) <= bench.now


def test_a_pace_ends_when_a_cap_explains_the_refusals():
    """After the rate limit a cap: the limit answers it, not the pace."""
    bench = Bench(max_concurrency=32)
    bench.run(100, bucket(bench, 2.0)).run(400, capped(10))

    assert bench.gate.limit in (9, 10, 11)
    assert bench.gate.ready_at(bench.now) <= bench.now


def test_a_long_retry_after_freezes_nothing():
    """Refusals that ask for an hour: the gate is ready within a minute, and goes on."""
    bench = Bench(max_concurrency=32)
    bench.hold = 3600.0
    bench.run(30, bucket(bench, 2.0))

    assert bench.gate.ready_at(bench.now) <= bench.now + 60 + 10
    bench.run(2000, free)
    assert bench.gate.limit > 8


def test_a_hold_makes_the_rate_known_from_outside_it():
    """A small bucket that runs over during long holds gives more than the average says."""
    bench = Bench(max_concurrency=32)
    bench.hold = 20.0
    bench.run(600, bucket(bench, 5.0, burst=30.0))
    paces = [reason for reason in reasons(bench.gate) if reason.startswith("paced")]

    assert float(paces[0].split()[1]) > 3.0


def test_after_a_cut_starts_come_spaced():
    """What the cut allows is not sent in one volley."""
    gate = AdaptiveGate(initial_concurrency=10)
    tokens = started(gate, 10)
    gate.ended(tokens[0], 1.0, SUCCESS)
    refuse(gate, tokens[5], 1.0)
    for token in tokens[6:]:
        gate.ended(token, 1.2, IGNORED)

    assert gate.ready_at(1.2) <= 1.2
    gate.started(1.2)
    assert 1.2 < gate.ready_at(1.2) < 1.5


# -------------------------------------------------------------------- what it believes


def test_it_says_what_it_believes():
    """A limit with its reason, a rate, refusals at random, an outage: in words."""
    fresh = AdaptiveGate(**TUTORIAL)
    assert fresh.belief == "limit 2: starting up"

    capped_ = Bench(max_concurrency=64).run(200, capped(6)).gate
    assert capped_.belief.startswith("limit 6: throughput 5.9")
    assert "a cap near 6" in capped_.belief

    queued = Bench(max_concurrency=64).run(100, workers(4)).gate
    assert "elasticity" in queued.belief

    paced = Bench(max_concurrency=32)
    paced.hold = 1.0
    assert "rate limit near" in paced.run(100, bucket(paced, 2.0)).gate.belief

    rng = random.Random(5)
    noisy = Bench().run(100, lambda n: (CONGESTION, 0.1) if rng.random() < 0.05 else free(n)).gate
    assert "refusals are at random" in noisy.belief

    assert Bench().run(10, free).run(30, broken).gate.belief == "outage: nothing succeeds"


def test_its_state_can_be_read():
    """Each machine shows its own."""
    starting, bench = AdaptiveGate(**TUTORIAL), Bench().run(10, free)

    assert "Startup(round of 2" in repr(starting)
    assert "looking down" in repr(AdaptiveGate())
    assert "Probing(" in repr(bench.gate)
    assert "Refusals(0.2% at random" in repr(starting)


# -------------------------------------------------------------------- trouble


def test_what_says_nothing_changes_nothing():
    """Cancelled attempts and programming errors are no evidence."""
    bench = Bench().run(60, lambda n: (IGNORED, 0.4))

    assert reasons(bench.gate) == ["start"]


def test_isolated_failures_change_nothing():
    """Every seventh attempt fails: the maximum is reached as without."""
    count = iter(range(10**6))
    bench = Bench().run(60, lambda n: (TROUBLE if next(count) % 7 == 3 else SUCCESS, 0.4))

    assert bench.gate.limit == 8
    assert bench.gate.state is not State.OUTAGE


def test_two_failures_in_a_row_pause_growth():
    """For an interval no success adds to the limit."""
    gate = AdaptiveGate(**TUTORIAL)
    tokens = started(gate, 2)
    extra = started(gate, 2)
    for token in extra:
        gate.ended(token, 0.1, TROUBLE)

    gate.ended(tokens[0], 0.4, SUCCESS)
    assert gate.limit == 2


def test_a_whole_window_of_failures_is_an_outage():
    """Down to the minimum, with attempts that are seconds apart."""
    bench = Bench().run(10, free).run(30, broken)
    late = [start for start in bench.starts if start > 15]

    assert bench.gate.state is State.OUTAGE
    assert bench.gate.limit == 1
    assert all(b - a >= 1.0 for a, b in pairwise(late))
    assert len(late) >= 4


def test_the_first_successes_bring_the_old_level_back():
    """Half with the first, all with the second."""
    bench = Bench().run(10, free).run(10, broken).run(7, free)

    assert bench.gate.limit == 8
    assert limits(bench.gate)[-3:] == [1, 4, 8]


def test_an_outage_in_a_probe_returns_to_where_the_probe_came_from():
    """A level that was only tried is not the old level."""
    bench = Bench(max_concurrency=100).run(20, workers(6))
    base = bench.gate.limit
    while bench.gate.state is not State.PROBING:
        base = bench.gate.limit
        bench.run(0.1, workers(6))

    bench.run(10, broken).run(8, free)
    assert [c.limit for c in bench.gate.history if c.reason == "recovered"] == [base]


def test_a_late_answer_does_not_end_an_outage():
    """A success that began before the outage says nothing about now."""
    gate = AdaptiveGate(initial_concurrency=6)
    old, *tokens = started(gate, 7)
    for token in tokens:
        gate.ended(token, 0.1, TROUBLE)
    assert gate.state is State.OUTAGE

    gate.ended(old, 5.0, SUCCESS)
    assert gate.state is State.OUTAGE
    gate.ended(gate.started(6.0), 6.5, SUCCESS)
    assert gate.limit > 1


def test_a_level_that_fails_before_it_has_shown_anything_returns_halved():
    """A first limit so high that everything times out is not restored whole."""
    bench = Bench(initial_concurrency=40, max_concurrency=64)
    bench.run(1, broken).run(20, free)

    assert max(limits(bench.gate)[1:4]) == 20


def test_an_outage_keeps_its_state_through_a_refusal():
    """A 429 among the failures is an answer, but no success."""
    bench = Bench().run(10, free).run(3, broken)

    bench.run(4, lambda n: (CONGESTION, 0.1))
    assert bench.gate.state is State.OUTAGE
    assert bench.run(20, free).gate.limit > 1


# -------------------------------------------------------------------- always


def random_events(seed: int, count: int) -> tuple[AdaptiveGate, float, list[int], dict[str, Any]]:
    """A gate after random events, with some attempts still in flight."""
    rng = random.Random(seed)
    low = rng.randint(1, 5)
    high = low + rng.choice([0, 1, 7, 30])
    parameters = {
        "initial_concurrency": rng.randint(low, high),
        "min_concurrency": low,
        "max_concurrency": high,
        "adaptation_interval": rng.choice([0.01, 1.0, 5.0]),
        "increase_threshold": rng.choice([0.0, 0.9, 1.0]),
        "decrease_threshold": rng.choice([0.0, 0.7, 0.9]),
        "error_backoff_factor": rng.choice([0.01, 0.7, 0.99]),
    }
    parameters["decrease_threshold"] = min(
        parameters["decrease_threshold"], parameters["increase_threshold"]
    )
    gate, now, running = AdaptiveGate(**parameters), 0.0, list[int]()
    weights = [rng.random() ** 3 for _ in Outcome]
    pace = 10 ** rng.uniform(-4, 2)
    for step in range(count):
        if step % 200 == 0:
            weights = [rng.random() ** 3 for _ in Outcome]
        now += rng.choice([0.0, rng.expovariate(1 / pace)])
        before = gate.limit
        if len(running) < gate.limit and rng.random() < 0.7:
            running.append(gate.started(now))
            assert gate.limit == before
        elif running:
            token = running.pop(rng.randrange(len(running)))
            (outcome,) = rng.choices(list(Outcome), weights)
            gate.ended(token, now, outcome, rng.choice([None, 0.0, 1.5, 3600.0]))
        assert low <= gate.limit <= high
        assert isinstance(gate.limit, int)
        assert gate.ready_at(now) < now + 1e7
        assert not math.isnan(gate.ready_at(now))
    return gate, now, running, parameters


@pytest.mark.parametrize("seed", range(40))
def test_any_events_keep_the_limit_in_its_range(seed):
    """Whatever happens: min <= limit <= max, and a start never changes the limit."""
    gate, _, _, parameters = random_events(seed, 2000)

    low, high = parameters["min_concurrency"], parameters["max_concurrency"]
    assert all(low <= change.limit <= high for change in gate.history)


@pytest.mark.parametrize("seed", range(40, 60))
def test_it_recovers_from_any_state(seed):
    """After any events, an endpoint without a limit is used up to the maximum again."""
    gate, now, running, parameters = random_events(seed, 500)
    high = parameters["max_concurrency"]
    bench = Bench()
    bench.gate, bench.now = gate, max(now, gate.ready_at(now))
    for token in running:
        gate.ended(token, bench.now, IGNORED)

    top = gate.limit
    while top < high and len(bench.starts) < 30_000:
        bench.run(20.0, free)
        top = max(top, gate.limit)
    assert top == high


def test_the_same_events_give_the_same_decisions():
    """Nothing but the arguments decides."""
    one, *_ = random_events(7, 3000)
    other, *_ = random_events(7, 3000)

    assert one.history == other.history


@pytest.mark.parametrize("outcome", [IGNORED, TROUBLE])
def test_without_a_success_nothing_grows(outcome):
    """No decision without evidence."""
    bench = Bench(initial_concurrency=4).run(100, lambda n: (outcome, 0.3))

    assert max(limits(bench.gate)) == 4


def test_the_history_is_bounded():
    """The first 200 changes and the latest 800 are kept."""
    gate, *_ = random_events(11, 60_000)

    assert len(gate.history) == 1000
    assert gate.history[0].reason == "start"
    assert gate.history[-1].at > gate.history[500].at


def test_changes_name_real_throughput():
    """Successes per second, by Little's law: eight in flight that take 0.4 s each."""
    bench = Bench().run(10, free)

    last = [change for change in bench.gate.history if change.throughput][-1]
    assert last.throughput == pytest.approx(8 / 0.4, rel=0.1)


def test_evidence_is_littles_law():
    """Four in flight for two seconds each are two a second."""
    evidence = Evidence()
    for _ in range(10):
        evidence.add(4, 2.0)

    assert evidence.throughput == pytest.approx(2.0)
    assert math.exp(evidence.rate) == pytest.approx(2.0)
    assert evidence.variance == 0.0
    assert Evidence().throughput is None


def test_old_evidence_fades():
    """Beyond the memory each attempt counts less, and the mean moves to the new ones."""
    known, window = Evidence(), Evidence()
    for _ in range(100):
        known.add(1, 1.0)
        window.add(1, 4.0)
    known.merge(window, most=100)

    assert known.count == pytest.approx(100)
    assert math.exp(known.latency) == pytest.approx(1.5**2)
