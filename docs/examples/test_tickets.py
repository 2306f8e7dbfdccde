"""
An evaluation in a plain unittest suite, beside tests of other things.

    cd docs/examples && python3 -m unittest test_tickets
"""

# ruff: noqa: PT009  # assertions as unittest has them
import unittest

from eval_tickets import eval_tickets, tickets

from doteval import run, run_async
from doteval.concurrency import SlidingWindow


class TestTickets(unittest.TestCase):
    def test_enough_tickets_reach_their_team(self) -> None:
        summary = run(eval_tickets, storage="memory://", samples=10, progress=False)
        accuracy = summary.scores["exact_match"]["accuracy"]

        self.assertEqual(summary.failed, 0)
        self.assertGreater(accuracy.high, 0.8)  # only a drop that is no accident fails


class TestModel(unittest.IsolatedAsyncioTestCase):
    async def test_one_row_by_hand(self) -> None:
        result = await eval_tickets("I was charged twice.", "billing")

        self.assertEqual(result.model_response, "billing")

    async def test_a_run_inside_the_loop_of_the_test(self) -> None:
        summary = await run_async(eval_tickets, storage="memory://", samples=6, progress=False)

        self.assertEqual(summary.scored, 6)

    async def test_a_strategy_alone(self) -> None:
        """This suite's own loop over rows; only how many are in flight is doteval's."""
        tasks = (lambda row=row: eval_tickets(**row) for row in tickets[:12])
        answers = [result.model_response async for result in SlidingWindow(6).execute(tasks)]

        self.assertEqual(len(answers), 12)
        self.assertLessEqual(set(answers), {"billing", "technical", "account", "delivery"})


if __name__ == "__main__":
    unittest.main()
