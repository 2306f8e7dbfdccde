"""
A real small model, asked with fixed windows and with Adaptive: rows a second, latency, accuracy.

Reviews are classified by a completion of a few examples, each strategy in turn, in rounds. Builds
the model's server where it is not given. A figure of Adaptive's is judged against the best window.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import statistics
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from doteval import ForEach, Result, Summary, run_async
from doteval.concurrency import Adaptive, SlidingWindow
from doteval.evaluators import exact_match
from doteval.views.table import Column, Table

from .server import build, serving

ROOT = Path(__file__).parents[2]
WINDOWS = (1, 2, 4, 8, 32)
SPEED, LATENCY = 0.9, 2.0  # of the best window: at least its rows a second, at most its p50
EXAMPLES = """Review: An excellent film.
Sentiment: positive

Review: I did not like it at all.
Sentiment: negative

Review: The story is dreadful.
Sentiment: negative

Review: What a lovely surprise!
Sentiment: positive

"""


class Model:
    """Completions of one token, asked in threads of its own, so that nothing limits them here."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/v1/completions"
        self._threads = ThreadPoolExecutor(64)

    async def label(self, review: str) -> tuple[str, dict[str, int]]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, review)

    def _ask(self, review: str) -> tuple[str, dict[str, int]]:
        prompt = f"{EXAMPLES}Review: {review}\nSentiment:"
        body = json.dumps({"prompt": prompt, "max_tokens": 1, "temperature": 0}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as response:
            answer = json.load(response)
        return answer["choices"][0]["text"].strip(), answer["usage"]


async def eval_reviews(review: str, label: str, model: Model) -> Result:
    said, usage = await model.label(review)
    return Result(exact_match(said, label), prompt=review, model_response=said, usage=usage)


class Figures(NamedTuple):
    """Of one strategy in one round: rows a second, the median latency in seconds, accuracy."""

    speed: float
    p50: float
    accuracy: float


async def measured(window: int | None, model: Model, rows: list[dict[str, str]]) -> Figures:
    """What one run tells; None as the window: Adaptive's."""
    strategy = Adaptive() if window is None else SlidingWindow(window)
    work = ForEach(concurrency=strategy)("review,label", rows)(eval_reviews)
    summary = await run_async(work, storage="memory://", progress=False, model=model)
    if not isinstance(summary, Summary) or summary.failed or summary.rate is None:
        raise RuntimeError(f"the model does not answer every row: {summary}")
    p50 = summary.latency["p50"] or 0.0
    return Figures(summary.rate, p50, summary.scores["exact_match"]["accuracy"].value or 0.0)


async def rounds(url: str, number: int, rows: list[dict[str, str]]) -> dict[str, list[Figures]]:
    """Each strategy in each round, which begins with another one, after one that is not counted."""
    model = Model(url)
    names = {"Adaptive": None, **{f"SlidingWindow({each})": each for each in WINDOWS}}
    told: dict[str, list[Figures]] = {name: [] for name in names}
    await measured(2, model, rows[:8])
    for turn in range(number):
        order = list(names)[turn % len(names) :] + list(names)[: turn % len(names)]
        for name in order:
            figures = await measured(names[name], model, rows)
            told[name].append(figures)
            print(f"round {turn + 1} · {name} · {_cells(figures)}", flush=True)
    return told


def _cells(figures: Figures) -> str:
    return f"{figures.speed:.1f} rows/s · p50 {figures.p50:.2f} s · {figures.accuracy:.1%} right"


def verdict(told: dict[str, list[Figures]]) -> tuple[str, bool]:
    """A table of the medians, and whether Adaptive keeps up with the window that was the best."""
    medians = {
        name: Figures(*(statistics.median(each) for each in zip(*figures, strict=True)))
        for name, figures in told.items()
    }
    best = max((name for name in medians if name != "Adaptive"), key=lambda name: medians[name])
    speed = medians["Adaptive"].speed / medians[best].speed
    latency = medians["Adaptive"].p50 / medians[best].p50
    columns = [Column("strategy"), Column("rows/s"), Column("p50"), Column("accuracy")]
    cells = [
        [name, f"{each.speed:.1f}", f"{each.p50:.2f} s", f"{each.accuracy:.1%}"]
        for name, each in medians.items()
    ]
    table = "".join(Table(columns, cells).markdown())
    kept = speed >= SPEED and latency <= LATENCY
    return (
        f"{table}\nAdaptive has {speed:.2f} of the rows a second of {best} (at least {SPEED}) "
        f"at {latency:.2f} times its latency (at most {LATENCY}): {'kept' if kept else 'MISSED'}\n",
        kept,
    )


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where Adaptive does not keep up, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--url", help="a server that runs already, without /v1")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/model", help="of the server")
    parser.add_argument("--jobs", type=int, default=2, help="of the compiler, at a time")
    parser.add_argument("--slots", type=int, default=8, help="calls the server takes at a time")
    parser.add_argument("--threads", type=int, default=2, help="of the server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=240, help="of each run; there are 60 reviews")
    options = parser.parse_args(arguments)
    with (Path(__file__).parent / "reviews.csv").open(encoding="utf-8") as file:
        reviews = list(csv.DictReader(file))
    rows = [{"id": str(n), **reviews[n * 31 % len(reviews)]} for n in range(options.rows)]
    with ExitStack() as stack:
        url = options.url
        if url is None:
            made = build(options.folder, options.jobs)
            url = stack.enter_context(serving(*made, options.slots, options.threads))
        text, kept = verdict(asyncio.run(rounds(url, options.rounds, rows)))
    print(f"\n{text}", end="")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
