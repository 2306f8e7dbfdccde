"""The limits a user knows of, and the pause an endpoint asked for."""

from __future__ import annotations

import itertools
import random
import threading

import pytest

from doteval.concurrency.pace import Hold, RateLimit, as_rate_limit


def starts(limit: RateLimit, seconds: float, begin: float = 0.0, late: float = 0.0) -> list[float]:
    """When a loop that always has work starts its attempts, waking `late` seconds too late."""
    moments = []
    now = begin
    while now < begin + seconds:
        ready = limit.ready_at(now)
        if ready > now:
            now = ready + late
            continue
        limit.take(now)
        moments.append(now)
    return moments


def busiest(moments: list[float], window: float) -> int:
    """The most starts in any half-open window of that many seconds."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


# ------------------------------------------------------------------------- requests


def test_the_first_start_is_allowed_at_once():
    """A limit that nobody has used holds nothing back."""
    limit = RateLimit(requests=1, per=60)

    assert limit.ready_at(100.0) == 100.0


def test_starts_are_spaced_evenly():
    """Sixty a minute is one a second."""
    moments = starts(RateLimit(requests=60, per=60), 10)

    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert gaps == pytest.approx([1.0] * 9, rel=1e-5)


def test_a_look_reserves_nothing():
    """ready_at may be asked as often as one likes."""
    limit = RateLimit(requests=1, per=60)
    for _ in range(5):
        limit.ready_at(0.0)

    assert limit.ready_at(0.0) == 0.0


@pytest.mark.parametrize("requests", [1, 3, 10, 99, 100, 500, 4321])
@pytest.mark.parametrize("per", [0.5, 1.0, 60.0, 3600.0])
def test_no_window_sees_more_starts_than_requests(requests, per):
    """Without a burst of its own, the limit holds for every window, wherever it begins."""
    limit = RateLimit(requests=requests, per=per)
    begin = 123456.789

    moments = starts(limit, per * 3, begin)
    moments += starts(limit, per * 2, begin + per * 7)  # after a pause, which is not saved up

    assert busiest(moments, per) <= requests


@pytest.mark.parametrize(("requests", "per", "late"), [(500, 60, 0.002), (6000, 60, 0.005)])
def test_late_wakings_cost_hardly_any_throughput(requests, per, late):
    """What a late start lost is made up for, up to a hundredth of the window."""
    moments = starts(RateLimit(requests=requests, per=per), 10 * per, late=late)

    assert len(moments) >= 0.98 * 10 * requests


def test_random_pauses_do_not_break_the_limit():
    """The limit holds for a loop that sometimes has nothing to start."""
    dice = random.Random(7)
    limit = RateLimit(requests=200, per=10)
    moments, now = [], 0.0
    while now < 200:
        now = max(now, limit.ready_at(now))
        limit.take(now)
        moments.append(now)
        if dice.random() < 0.05:
            now += dice.expovariate(1 / 3)

    assert busiest(moments, 10) <= 200


def test_a_burst_comes_at_once_and_the_rate_stays():
    """An own burst is for endpoints that save up what was not used, as a token bucket does."""
    moments = starts(RateLimit(requests=10, per=10, burst=10), 30)

    assert moments[:10] == [0.0] * 10
    assert len(moments) == 39


def test_a_start_without_leave_counts():
    """Whoever starts too early makes the others wait longer."""
    limit = RateLimit(requests=1, per=10)
    limit.take(0.0)
    limit.take(0.0)

    assert limit.ready_at(0.0) == pytest.approx(20.0, rel=1e-5)


def test_a_rate_below_one_per_window_is_a_longer_distance():
    """Half a request a minute is one in two minutes."""
    limit = RateLimit(requests=0.5, per=60)
    limit.take(0.0)

    assert limit.ready_at(0.0) == pytest.approx(120.0, rel=1e-5)


def test_threads_share_one_limit():
    """Starts from several threads add up."""
    limit = RateLimit(requests=1000, per=1000, burst=1)

    def take_many():
        for _ in range(500):
            limit.take(0.0)

    threads = [threading.Thread(target=take_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert limit.ready_at(0.0) == pytest.approx(2000.0, rel=1e-5)


# --------------------------------------------------------------------------- tokens


def test_tokens_within_the_slack_hold_nothing_back():
    """A single report of usage does not stop the starts."""
    limit = RateLimit(tokens=60_000, per=60)
    limit.spent(5_000, 100.0)

    assert limit.ready_at(100.0) == 100.0


def test_a_debt_of_tokens_is_waited_for():
    """What was used beyond the slack must be earned first, at the rate of the limit."""
    limit = RateLimit(tokens=60_000, per=60)
    limit.spent(16_000, 100.0)

    assert limit.ready_at(100.0) == pytest.approx(110.0)


def test_tokens_are_charged_and_earned_in_the_long_run():
    """A loop that spends 700 tokens a call gets as many calls as the limit pays for."""
    limit = RateLimit(tokens=60_000, per=60)
    calls, now = 0, 0.0
    while now < 600:
        now = max(now, limit.ready_at(now))
        limit.take(now)
        limit.spent(700, now)
        calls += 1

    assert calls * 700 == pytest.approx(600_000 + 6_000, abs=1_400)


def test_requests_and_tokens_both_hold():
    """The later of the two moments counts."""
    limit = RateLimit(requests=60, tokens=60_000, per=60)
    limit.take(0.0)
    first = limit.ready_at(0.0)
    limit.spent(36_000, 0.0)

    assert first == pytest.approx(1.0, rel=1e-5)
    assert limit.ready_at(0.0) == pytest.approx(30.0)


def test_tokens_without_a_limit_on_them_are_nobodys_business():
    """Usage may always be reported."""
    limit = RateLimit(requests=60, per=60)
    limit.spent(10**9, 0.0)

    assert limit.ready_at(0.0) == 0.0


@pytest.mark.parametrize("tokens", [-1, float("nan"), float("inf"), "9", None, True])
def test_nonsense_usage_is_refused(tokens):
    """A limit can not be talked into a credit."""
    with pytest.raises(ValueError, match="expected a number of tokens, 0 or more"):
        RateLimit(tokens=10).spent(tokens, 0.0)


# --------------------------------------------------------------------------- clocks


def test_a_clock_that_starts_again_does_not_freeze_the_limit():
    """A virtual clock at 0, after a real one at 100000, waits for what is owed and no longer."""
    limit = RateLimit(requests=60, tokens=60_000, per=60)
    limit.take(100_000.0)
    limit.spent(16_000, 100_000.0)

    assert limit.ready_at(0.0) == pytest.approx(10.0)
    limit.take(5.0)
    assert limit.ready_at(5.0) == pytest.approx(15.0)


def test_a_clock_far_ahead_finds_the_limit_unused():
    """A real clock after a virtual one: everything owed is long past."""
    limit = RateLimit(requests=60, per=60)
    limit.take(3.0)

    assert limit.ready_at(100_000.0) == 100_000.0


def test_a_thread_that_comes_late_is_no_other_clock():
    """A moment a little earlier than the last one moves nothing."""
    limit = RateLimit(requests=60, per=60, burst=1)
    limit.take(100.0)
    limit.take(99.9)

    assert limit.ready_at(100.0) == pytest.approx(102.0, rel=1e-6)


# --------------------------------------------------------------- how limits are given


@pytest.mark.parametrize(
    ("text", "requests", "tokens", "per"),
    [
        ("500/min", 500, None, 60),
        ("10/s", 10, None, 1),
        ("10 / sec", 10, None, 1),
        ("0.5/second", 0.5, None, 1),
        ("500 requests/minute", 500, None, 60),
        ("500 requests per minute", 500, None, 60),
        ("1 request per hour", 1, None, 3600),
        ("20 req/minutes", 20, None, 60),
        ("1,000/h", 1000, None, 3600),
        ("10_000/day", 10_000, None, 86400),
        ("90000 tokens/min", None, 90_000, 60),
        ("90k tokens/min", None, 90_000, 60),
        ("2M tokens / min", None, 2_000_000, 60),
        ("500 rpm", 500, None, 60),
        ("90k tpm", None, 90_000, 60),
        ("5rps", 5, None, 1),
        ("500/min and 90000 tokens/min", 500, 90_000, 60),
        ("90000 tokens/min, 500/min", 500, 90_000, 60),
        ("  500 /  MIN ", 500, None, 60),
    ],
)
def test_a_text_is_read_as_people_write_it(text, requests, tokens, per):
    """A number, what it counts, and a unit of time."""
    limit = RateLimit.parse(text)

    assert (limit.requests, limit.tokens, limit.per) == (requests, tokens, per)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a limit such as"),
        ("500", "expected a limit such as"),
        ("fast", "expected a limit such as"),
        ("-5/min", "expected a limit such as"),
        ("500/min 90/s", "expected a limit such as"),
        ("0/min", "expected a number above 0"),
        ("500/fortnight", "'fortnight' is no unit of time"),
        ("500/min and 3/min", "limits requests twice"),
        ("10/s and 90000 tokens/min", "two windows"),
        (500, "expected a text such as"),
    ],
)
def test_a_text_that_is_no_limit_is_refused(text, complaint):
    """The message shows a text that would have worked, or names the part that did not."""
    with pytest.raises(ValueError, match=complaint):
        RateLimit.parse(text)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "limits nothing"),
        ({"requests": 0}, "requests=0"),
        ({"requests": -1}, "requests=-1"),
        ({"requests": float("nan")}, "requests=nan"),
        ({"requests": float("inf")}, "requests=inf"),
        ({"requests": True}, "requests=True"),
        ({"requests": "500"}, "requests='500'"),
        ({"tokens": 0}, "tokens=0"),
        ({"requests": 5, "per": 0}, "per=0"),
        ({"requests": 5, "burst": 0}, "burst=0"),
        ({"requests": 5, "burst": 1.5}, "burst=1.5"),
        ({"requests": 5, "burst": True}, "burst=True"),
        ({"tokens": 5, "burst": 2}, "a burst needs requests="),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(options, complaint):
    """The message names the argument and what was given."""
    with pytest.raises(ValueError, match=complaint):
        RateLimit(**options)


def test_its_repr_tells_the_limit():
    """What a run stores of it can be read again."""
    assert repr(RateLimit(requests=500)) == "RateLimit(requests=500, per=60.0, burst=5)"
    assert repr(RateLimit(tokens=9000)) == "RateLimit(tokens=9000, per=60.0, burst=1)"


def test_an_option_is_a_limit_a_text_or_nothing():
    """`rate_limit=` takes what people have at hand."""
    limit = RateLimit(requests=5)

    assert as_rate_limit(None) is None
    assert as_rate_limit(limit) is limit
    assert as_rate_limit("5/s").per == 1.0


def test_an_option_that_is_none_of_these_is_refused():
    """A bare number has no unit."""
    with pytest.raises(ValueError, match=r"rate_limit=500: expected a RateLimit"):
        as_rate_limit(500)


# ----------------------------------------------------------------------------- hold


def test_nothing_is_held_before_anybody_asked():
    """A fresh hold is over."""
    assert Hold().until == float("-inf")


def test_the_later_end_of_two_pauses_counts():
    """A shorter Retry-After that arrives later does not end a longer one."""
    hold = Hold()
    hold.extend(10.0, 30.0)
    hold.extend(12.0, 5.0)

    assert hold.until == 40.0


def test_a_hold_moves_on_with_the_next_request_for_one():
    """The endpoint may ask again."""
    hold = Hold()
    hold.extend(10.0, 30.0)
    hold.extend(39.0, 5.0)

    assert hold.until == 44.0


@pytest.mark.parametrize("retry_after", [-1.0, float("nan"), float("inf")])
def test_a_hold_without_an_end_is_refused(retry_after):
    """A pause that never ends would freeze the run."""
    with pytest.raises(ValueError, match="expected seconds, 0 or more"):
        Hold().extend(0.0, retry_after)
