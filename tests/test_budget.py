from __future__ import annotations

import asyncio

import pytest

from doteval import ForEach, Result, runner
from doteval.budget import Budget, as_budget
from doteval.concurrency import SlidingWindow
from doteval.errors import UsageError
from doteval.storage import Named, locate
from tests import virtual


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("time=30m", Budget(time=1800)),
        ("time=90s, tokens=2M", Budget(time=90, tokens=2e6)),
        ("cost=2.5,errors=10", Budget(cost=2.5, errors=10)),
        ("errors=5%", Budget(share=0.05)),
        ("errors=5%,errors=3", Budget(share=0.05, errors=3)),
        ("tokens=10k,time=2h", Budget(tokens=1e4, time=7200)),
    ],
)
def test_a_budget_is_read_from_a_text(text, budget):
    assert as_budget(text) == budget


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no limit of time, tokens, cost or errors"),
        ("30m", "'30m' is no limit"),
        ("rows=4", "'rows=4' is no limit"),
        ("time=30", "'30' is not a time such as 90s"),
        ("time=-3s", "is not a time"),
        ("tokens=many", "'many' is not a number"),
        ("errors=120%", "is not a number"),
        ("time=1m,time=2m", "time is limited twice"),
    ],
)
def test_a_text_that_is_no_budget_is_explained(text, message):
    with pytest.raises(UsageError, match=message):
        as_budget(text)


def test_other_things_are_no_budget():
    assert as_budget(None) is None
    assert as_budget(Budget(time=1)) == Budget(time=1)
    with pytest.raises(UsageError, match="expected a Budget or a text"):
        as_budget(30)


def spending(budget, failing=False):
    """The summary, notes and end of a run of 1,000 rows of a second, ten at a time."""

    @ForEach(concurrency=SlidingWindow(10), retries=0)("n", range(1000))
    async def eval_n(n):
        await asyncio.sleep(1)
        if failing:
            raise ValueError
        return Result(True, usage={"input_tokens": 60, "output_tokens": 40, "cost": 0.5})

    flow = runner.Execution(
        eval_n,
        runner.Options.read(budget=budget),
        name=Named("n"),
        experiment="e",
        place=locate("memory://"),
        resources={},
    )

    async def main():
        summary = await flow.run()
        return summary, flow.notes, asyncio.get_running_loop().time()

    return virtual.run(main())


def test_time_ends_a_run_and_what_is_in_flight_finishes():
    summary, notes, end = spending("time=5.5s")

    assert (summary.scored, summary.missing, summary.status) == (60, 940, "incomplete")
    assert end == 6.0
    assert "the time of 5.5 s is used up" in notes[0]
    assert "resumes" in notes[0]


@pytest.mark.parametrize("budget", ["tokens=2k", "cost=10"])
def test_tokens_and_cost_end_a_run(budget):
    summary, notes, _ = spending(budget)

    assert 20 <= summary.scored <= 30
    assert "used up" in notes[0] or "reached the limit" in notes[0]


@pytest.mark.parametrize("budget", ["errors=15", "errors=5%"])
def test_failures_end_a_run(budget):
    summary, notes, _ = spending(budget, failing=True)

    assert 16 <= summary.failed <= 40
    assert "rows have failed, more than" in notes[0]


def test_a_budget_that_is_not_reached_changes_nothing():
    summary, notes, _ = spending("time=1h,tokens=2M,cost=1000,errors=3")

    assert (summary.scored, summary.status, notes) == (1000, "complete", [])
