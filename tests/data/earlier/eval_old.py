from pathlib import Path

from doteval import foreach


@foreach("n", range(5))
def eval_old(n):
    with Path("calls.txt").open("a") as calls:
        calls.write(f"{n}\n")
    return n < 4
