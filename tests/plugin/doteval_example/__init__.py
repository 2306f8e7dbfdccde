"""One plugin of every kind. Each entry point of pyproject.toml names one of these."""

from math import exp, log

from doteval.evaluators import evaluator
from doteval.metrics import metric


class Planets:
    """How many moons a planet has: `foreach.planets("inner")`."""

    name = "planets"
    splits = ("inner", "outer")
    columns = ("planet", "moons")
    num_rows = 4  # of both splits; an object knows its own

    def __init__(self, split=None, **options):
        rows = {
            "inner": [("Venus", 0), ("Earth", 1)],
            "outer": [("Mars", 2), ("Pluto", 5)],
        }
        self.rows = rows[split] if split else rows["inner"] + rows["outer"]
        self.num_rows = len(self.rows)

    def __iter__(self):
        return iter(self.rows)


@evaluator(metrics="accuracy")
def rhymes(result, expected):
    """Whether the last two letters agree."""
    return str(result)[-2:].lower() == str(expected)[-2:].lower()


@metric
def geometric(values):
    """The geometric mean of positive scores."""
    return exp(sum(map(log, values)) / len(values))
