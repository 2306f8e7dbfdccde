"""What people mistype. In each line that says so, every type checker finds a fault."""

from __future__ import annotations

from doteval import ForEach, Result, compare, foreach, run, run_async
from doteval.concurrency import SlidingWindow
from doteval.evaluators import evaluator, exact_match, numeric_match
from doteval.metrics import metric


@foreach("question,answer", [("a", "b")])
def eval_two(question: str, answer: str) -> bool:
    return question == answer


@foreach("question", ["a"])
async def eval_later(question: str) -> bool:
    return bool(question)


@evaluator
def is_short(text: str, longest: int = 20) -> bool:
    return len(text) <= longest


@metric
def at_least(share: float = 0.5) -> object:
    return lambda values: sum(value >= share for value in values)


eval_two("a")  # wrong
eval_two("a", 2)  # wrong
eval_two("a", answr="b")  # wrong
run(eval_two, experimnt="x")  # wrong
run(eval_two, "x", samples="ten")  # wrong
run(len)  # wrong
later = run_async(eval_two, progres=False)  # wrong
is_short(5)  # wrong
is_short("a", longst=3)  # wrong
exact_match("a")  # wrong
numeric_match("1", 1, tolerence=0.1)  # wrong
ForEach(concurency=SlidingWindow(5))  # wrong
ForEach(concurrency=5)  # wrong
foreach("n", [1], repeats=2)  # wrong
SlidingWindow(max_concurency=5)  # wrong
Result(True, promt="a")  # wrong
at_least(shar=0.5)  # wrong
compare("a", "b", margn=0.1)  # wrong
print(run(eval_two).scorez)  # wrong
is_right: bool = eval_later("a")  # wrong
