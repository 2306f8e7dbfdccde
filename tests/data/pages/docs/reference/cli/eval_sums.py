"""The evaluations that the page calls by these names."""

from doteval import foreach


@foreach("question,answer", [("1 + 1", 2), ("2 + 2", 4)])
def eval_addition(question, answer):
    return eval(question) == answer


@foreach("question,answer", [("2 * 2", 4), ("3 * 3", 9)])
def eval_products(question, answer):
    return eval(question) == answer
