"""
A smoke set for an environment without pytest: `python tests/smoke_without_pytest.py`.

It needs nothing but the standard library, and it refuses to run where pytest could be imported,
so that nothing can lean on it unnoticed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if not importlib.util.find_spec("doteval"):
    sys.path.insert(0, str(ROOT))

from doteval import ForEach, Result, Retry, foreach, run, run_async  # noqa: E402
from doteval.concurrency import (  # noqa: E402
    Adaptive,
    AsyncSequential,
    Batch,
    Sequential,
    SlidingWindow,
)
from doteval.evaluators import exact_match  # noqa: E402

STRATEGIES = (Sequential(), AsyncSequential(), Batch(3), SlidingWindow(3), Adaptive())
ROWS = [(f"{n} + {n}", n + n) for n in range(8)]

EVALUATION = """
from doteval import Result, foreach
from doteval.evaluators import exact_match

@foreach("question,answer", [("1 + 1", "2"), ("2 + 2", "5")])
def eval_sums(question, answer):
    said = str(eval(question))
    return Result(exact_match(said, answer), prompt=question, model_response=said)
"""


class WithoutPytest(unittest.TestCase):
    """The core and the command line do their work with the standard library alone."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(folder.name)

    def test_pytest_is_not_here(self) -> None:
        """An environment with pytest proves nothing."""
        self.assertIsNone(importlib.util.find_spec("pytest"))

    def test_all_strategies_run_functions_of_both_kinds(self) -> None:
        """Five strategies, `def` and `async def`: each row is scored once."""
        for strategy in STRATEGIES:
            for made in (_plain, _async):
                with self.subTest(strategy=strategy, kind=made.__name__):
                    evaluation = made(ForEach(concurrency=strategy))
                    summary = run(evaluation, storage="memory://", progress=False)

                    self.assertEqual(summary.scored, len(ROWS))
                    self.assertEqual(summary.scores["exact_match"]["accuracy"].value, 1.0)

    def test_a_strategy_stands_alone(self) -> None:
        """`execute` serves other harnesses, without a store."""

        async def results() -> list[int]:
            tasks = [lambda n=n: n for n in range(5)]
            return [value async for value in SlidingWindow(2).execute(tasks)]

        self.assertEqual(sorted(asyncio.run(results())), [0, 1, 2, 3, 4])

    def test_a_run_resumes(self) -> None:
        """The second run of an experiment repeats only what failed."""
        broken = {"3 + 3"}
        calls: list[str] = []

        @ForEach(retries=Retry(attempts=1))("question,answer", ROWS)
        def eval_sums(question: str, answer: int) -> bool:
            calls.append(question)
            if question in broken:
                raise ConnectionError("not today")
            return True

        first = run(eval_sums, "resumed", progress=False)
        broken.clear()
        second = run(eval_sums, "resumed", progress=False)

        self.assertEqual((first.scored, first.failed), (7, 1))
        self.assertEqual((second.scored, second.failed), (8, 0))
        self.assertEqual(calls[8:], ["3 + 3"])

    def test_run_async_works_inside_a_loop(self) -> None:
        """Both forms give the same summary."""
        evaluation = _async(foreach)

        summary = asyncio.run(run_async(evaluation, storage="memory://", progress=False))

        self.assertEqual(summary.scored, len(ROWS))

    def test_the_command_line_runs_lists_and_shows(self) -> None:
        """`doteval run`, `list`, `show --json` and the exit code for what is not there."""
        Path("eval_sums.py").write_text(EVALUATION, encoding="utf-8")

        ran = _doteval("run", "eval_sums.py", "--experiment", "smoke")
        listed = _doteval("list")
        shown = _doteval("show", "smoke", "--json")
        unknown = _doteval("show", "nothing")

        self.assertEqual(ran[0], 0, ran)
        self.assertIn("smoke", listed[1])
        (summary,) = json.loads(shown[1])["evaluations"]
        self.assertEqual(summary["scores"]["exact_match"]["accuracy"]["value"], 0.5)
        self.assertEqual(unknown[0], 1, unknown)
        self.assertEqual(len(unknown[2].strip().splitlines()), 1, unknown)


def _plain(foreach: Callable[..., Any]) -> Any:
    @foreach("question,answer", ROWS)
    def eval_plain(question: str, answer: int) -> Result:
        return Result(exact_match(eval(question), answer), prompt=question)

    return eval_plain


def _async(foreach: Callable[..., Any]) -> Any:
    @foreach("question,answer", ROWS)
    async def eval_async(question: str, answer: int) -> Result:
        await asyncio.sleep(0)
        return Result(exact_match(eval(question), answer), prompt=question)

    return eval_async


def _doteval(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    from doteval.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(arguments))
        except SystemExit as left:
            code = left.code
    return int(code or 0), out.getvalue(), err.getvalue()


if __name__ == "__main__":
    unittest.main()
