"""The evaluation that the page calls by this name."""

from doteval import foreach


@foreach("question,answer", [("1 + 1", 2), ("2 + 2", 4)])
async def eval_math(question, answer):
    return eval(question) == answer
