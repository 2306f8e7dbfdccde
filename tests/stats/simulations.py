"""
What the statistics promise, simulated: each function gives the cells of one table.

`python -m tests.stats` runs them at length and writes the tables into the page on statistics; the
suite runs them shortly (tests/stats/test_simulations.py). Seeded, without any other package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from statistics import stdev

from doteval.metrics import accuracy, find, mean
from doteval.reporting import compare as comparing
from doteval.reporting import difference
from doteval.statistics import (
    correction,
    distributions,
    intervals,
    noise,
    power,
    sequential,
    shares,
    tests,
)

Draw = Callable[[Random], float]


@dataclass(frozen=True)
class Table:
    """
    Attributes:
        name: of its place in the page.
        columns: of the head; the first is that of the row names.
        rows: a name and shares, as numbers.
        promise: what must hold of every cell.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]

    def markdown(self) -> str:
        lines = [f"| {' | '.join(self.columns)} |", f"|---|{'--:|' * (len(self.columns) - 1)}"]
        for name, cells in self.rows:
            shown = ("-" if cell is None else f"{cell:.3f}".lstrip("0") for cell in cells)
            lines.append(f"| {name} | {' | '.join(each or '0' for each in shown)} |")
        return "\n".join(lines)

    def cells(self) -> list[float]:
        return [cell for _, cells in self.rows for cell in cells if cell is not None]


def standard_error(values: Sequence[float]) -> float:
    """Of the mean, by the standard library."""
    return stdev(values) / math.sqrt(len(values))


BOUNDED: dict[str, tuple[Draw, float]] = {
    "f1: 60 % 1, 20 % 0, rest between": (lambda r: _mixed(r, 0.6, 0.2), 0.7),
    "f1: 95 % 1, 5 % 0": (lambda r: float(r.random() < 0.95), 0.95),
    "similarity: 90 % 1, rest between": (lambda r: _mixed(r, 0.9, 0.0), 0.95),
    "90 % 0, rest between": (lambda r: 1 - _mixed(r, 0.9, 0.0), 0.05),
    "Beta(8, 2)": (lambda r: r.betavariate(8, 2), 0.8),
    "true or false, 30 %": (lambda r: float(r.random() < 0.3), 0.3),
}

OPEN: dict[str, tuple[Draw, float]] = {
    "normal": (lambda r: r.gauss(1, 1), 1.0),
    "1 to 5, evenly": (lambda r: float(r.randint(1, 5)), 3.0),
    "1 to 5, 80 % 5, 15 % 4, 5 % 1": (lambda r: r.choices((5.0, 4.0, 1.0), (80, 15, 5))[0], 4.65),
    "lognormal, σ = 1": (lambda r: r.lognormvariate(0, 1), math.exp(0.5)),
    "lognormal, σ = 2": (lambda r: r.lognormvariate(0, 2), math.exp(2.0)),
    "costs: 1 % are 100 times": (lambda r: 100.0 if r.random() < 0.01 else 1.0, 1.99),
}


def _mixed(r: Random, ones: float, zeros: float) -> float:
    u = r.random()
    return 1.0 if u < ones else 0.0 if u < ones + zeros else r.random()


def _sample(r: Random, draw: Draw, n: int) -> list[list[float]]:
    return [[draw(r)] for _ in range(n)]


def bounded_means(effort: int, sizes: Sequence[int] = (2, 5, 10, 30, 100, 1000)) -> Table:
    """Coverage of the interval of means whose range is known."""
    rows = []
    for name, (draw, truth) in BOUNDED.items():
        r, cells = Random(name), []
        for n in sizes:
            held, count = 0, max(40, effort * (40 if n < 1000 else 8))
            for _ in range(count):
                found = mean.estimate(_sample(r, draw, n), span=(0.0, 1.0))
                assert found.low is not None and found.high is not None
                held += found.low <= truth <= found.high
            cells.append(held / count)
        rows.append((name, tuple(cells)))
    return Table("bounded-means", ("scores", *map(str, sizes)), tuple(rows))


def false_passes(effort: int, sizes: Sequence[int] = (2, 5, 10, 20, 50, 100)) -> Table:
    """P(pass) of `mean >= t @ 95%` where the true mean is just below t."""
    rows = []
    for name, (draw, truth) in BOUNDED.items():
        r, cells = Random(name), []
        for n in sizes:
            count = max(100, effort * 60)
            passed = sum(
                (mean.estimate(_sample(r, draw, n), span=(0.0, 1.0)).low or 0) > truth
                for _ in range(count)
            )
            cells.append(passed / count)
        rows.append((name, tuple(cells)))
    return Table("false-passes", ("scores", *map(str, sizes)), tuple(rows))


def open_means(effort: int, sizes: Sequence[int] = (5, 10, 30, 100, 1000)) -> tuple[Table, Table]:
    """Coverage of Student's interval, and how often it says that it is shaky, or is not there."""
    held_rows, told_rows = [], []
    for name, (draw, truth) in OPEN.items():
        r = Random(name)
        held_cells, told_cells = [], []
        for n in sizes:
            count = max(40, effort * (40 if n < 1000 else 8))
            held = told = there = 0
            for _ in range(count):
                found = mean.estimate(_sample(r, draw, n))
                if found.low is None or found.high is None:
                    told += 1
                    continue
                there += 1
                told += bool(found.shaky)
                held += found.low <= truth <= found.high
            held_cells.append(held / there if there else None)
            told_cells.append(told / count)
        held_rows.append((name, tuple(held_cells)))
        told_rows.append((name, tuple(told_cells)))
    head = ("scores", *map(str, sizes))
    return Table("open-means", head, tuple(held_rows)), Table("shaky", head, tuple(told_rows))


def share_errors(sizes: Sequence[int] = (10, 17, 50, 100, 200, 1000)) -> Table:
    """P(wrong fail) and P(wrong pass) of gates on a share at its threshold; exact, not drawn."""
    rows = []
    for rate in (0.005, 0.01, 0.02, 0.2):
        above, below = [], []
        for n in sizes:
            ends = [shares.exact(k, n) for k in range(n + 1)]
            chance = [power._binomial(k, n, rate) for k in range(n + 1)]
            above.append(sum(p for p, (low, _) in zip(chance, ends, strict=True) if low > rate))
            below.append(sum(p for p, (_, high) in zip(chance, ends, strict=True) if high < rate))
        rows.append((f"errors <= {100 * rate:g}%: fails", tuple(above)))
        rows.append((f"errors <= {100 * rate:g}%: passes", tuple(below)))
    return Table("share-errors", ("gate", *map(str, sizes)), tuple(rows))


CLUSTERS: dict[str, list[int]] = {
    "5 of 5": [5] * 5,
    "30 of 10": [10] * 30,
    "50, 20, 10, 5, 2": [50, 20, 10, 5, 2],
    "100 and nine of 5": [100] + [5] * 9,
    "200 and 29 of 2": [200] + [2] * 29,
    "100 and four of 1": [100, 1, 1, 1, 1],
}


def clusters(effort: int) -> Table:
    """Coverage where the true rates of clusters are uniform; None where there is no interval."""
    rows = []
    for name, sizes in CLUSTERS.items():
        r, count = Random(name), max(60, effort * 40)
        groups = [at for at, size in enumerate(sizes) for _ in range(size)]
        held, there = [0, 0], [0, 0]
        for _ in range(count):
            rates = [r.random() for _ in sizes]
            kinds = (
                (mean, [[rates[g]] for g in groups]),
                (accuracy, [[float(r.random() < rates[g])] for g in groups]),
            )
            for at, (metric, values) in enumerate(kinds):
                found = metric.estimate(values, groups)
                if found.low is not None and found.high is not None:
                    there[at] += 1
                    held[at] += found.low <= 0.5 <= found.high
        cells = tuple(h / n if n else None for h, n in zip(held, there, strict=True))
        effective = len(groups) ** 2 / sum(size * size for size in sizes)
        rows.append((f"{name} ({effective:.1f} in effect)", cells))
    return Table("clusters", ("clusters", "`mean`", "`accuracy`"), tuple(rows))


def _verdict(changes: Sequence[float], span: intervals.Interval | None) -> difference.Difference:
    """Of a comparison of numbers alone, judged without a margin."""
    asked = difference.Question(frozenset(), frozenset(), None, 0.95, 0, 0)
    n = len(changes)
    verdict = "cannot tell"
    found = difference.Difference("s", "mean", n, 0.0, 0.0, 0.0, verdict=verdict, independent=n)
    found = difference._of_numbers(found, [0.0] * n, changes, None, span, asked)
    verdict, _ = comparing._verdict(found, found.p, None, 0.05)
    least = difference.detectable(found, 0.05)
    return difference.replace(found, verdict=verdict, detectable=least)


NULLS: dict[str, tuple[Draw, intervals.Interval | None]] = {
    "90 % fall by 0.1, 10 % rise by 0.9": (lambda r: 0.9 if r.random() < 0.1 else -0.1, None),
    "the same, scores from 0 to 1": (lambda r: 0.9 if r.random() < 0.1 else -0.1, (0.0, 1.0)),
    "90 % fall by 0.1, 10 % rise by 1.4": (lambda r: 1.4 if r.random() < 0.1 else -0.1, None),
    "normal": (lambda r: r.gauss(0, 1), None),
}


def wrong_regressions(effort: int, sizes: Sequence[int] = (6, 8, 10, 20, 50, 100)) -> Table:
    """P("regression") where the mean did not fall."""
    rows = []
    for name, (draw, span) in NULLS.items():
        r, cells = Random(name), []
        for n in sizes:
            count = max(60, effort * (20 if n <= 16 else 6))
            wrong = sum(
                _verdict([draw(r) for _ in range(n)], span).verdict == "regression"
                for _ in range(count)
            )
            cells.append(wrong / count)
        rows.append((name, tuple(cells)))
    return Table("wrong-regressions", ("differences", *map(str, sizes)), tuple(rows))


def power_of_flips(effort: int) -> Table:
    """How often McNemar's test notices the difference that it is said to notice."""
    rows = []
    for worse, better, n in (
        (0, 0, 10),
        (0, 0, 20),
        (2, 1, 21),
        (1, 1, 30),
        (0, 0, 100),
        (10, 10, 100),
    ):
        least = power.detectable_flips(worse, better, n)
        assert least is not None
        r, both, count = Random(n + worse), min(worse, better) / n, max(200, effort * 60)
        noticed = 0
        for _ in range(count):
            drawn = r.choices((0, 1, 2), (least + both, both, 1 - least - 2 * both), k=n)
            noticed += tests.mcnemar(drawn.count(0), drawn.count(1)) < 0.05
        rows.append((f"{worse} worse, {better} better of {n}", (least, noticed / count)))
    return Table("power-flips", ("seen", "could see", "power"), tuple(rows))


def power_of_numbers(effort: int, sizes: Sequence[int] = (6, 8, 12, 20, 40)) -> Table:
    """How often a mean loss of the size that is said to be seen ends in "regression"."""
    cells = []
    for n in sizes:
        r, count = Random(n), max(60, effort * (20 if n <= 16 else 6))
        noticed = 0
        first = [_verdict([r.gauss(0, 1) for _ in range(n)], None).detectable for _ in range(60)]
        least = sum(each or 0 for each in first) / len(first)
        for _ in range(count):
            noticed += (
                _verdict([r.gauss(-least, 1) for _ in range(n)], None).verdict == "regression"
            )
        cells.append(noticed / count)
    return Table("power-numbers", ("rows", *map(str, sizes)), (("power", tuple(cells)),))


def rows_that_decide(effort: int) -> Table:
    """How often a gate is decided by the number of rows that it names."""
    rows = []
    for p, threshold in ((0.85, 0.8), (0.9, 0.8), (0.95, 0.9), (0.99, 0.98)):
        n = power.rows_for_share(p, threshold)
        assert n is not None
        r, count = Random(str(p)), max(200, effort * 60)
        drawn = [sum(r.random() < p for _ in range(n)) for _ in range(count)]
        ends = {k: shares.exact(k, n) for k in set(drawn)}
        decided = sum(not ends[k][0] <= threshold <= ends[k][1] for k in drawn) / count
        rows.append((f"{p:g} against {threshold:g}: {n:,} rows", (decided,)))
    return Table("rows-decide", ("gate", "decided"), tuple(rows))


def looks(effort: int, rows: int = 5000) -> Table:
    """A look after every row: how often a true threshold is left out at any of them."""
    found = []
    for rate, threshold in ((0.8, 0.8), (0.01, 0.01), (0.9, 0.8)):
        r, count = Random(str((rate, threshold))), max(20, effort * 6)
        wrong, needed = 0, []
        for _ in range(count):
            right = decided = 0
            for n in range(1, rows + 1):
                right += r.random() < rate
                # The interval is left at steps of 1 %; in between its ends hardly move.
                if n < 100 or n % (n // 100) == 0:
                    low, high = _left(right, n, threshold)
                    if low or high:
                        decided = n
                        break
            wrong += bool(decided)
            needed.append(decided or rows + 1)
        share = wrong / count
        median = sorted(needed)[count // 2]
        said = f"rate {rate:g}, threshold {threshold:g}"
        found.append((said if rate == threshold else f"{said} (median {median} rows)", (share,)))
    return Table("looks", ("gate", "ever decided"), tuple(found))


def looks_at_a_dataset(effort: int, rows: int = 1000) -> Table:
    """
    The same, of all rows of a dataset: how often their share is ever left out; and for another
    threshold, after how many rows in the median.
    """
    found = []
    for right, threshold in ((800, 0.8), (10, 0.01), (900, 0.8)):
        share = right / rows
        dataset = [1] * right + [0] * (rows - right)
        r, count = Random(str((right, threshold))), max(20, effort * 15)
        wrong, needed = 0, []
        for _ in range(count):
            r.shuffle(dataset)
            drawn = sequential.Drawn(rows, 0.95)
            wrongly, decided = False, rows
            for n, value in enumerate(dataset, 1):
                drawn.add(value)
                if n < 100 or n % (n // 100) == 0:
                    low, high = drawn.interval
                    wrongly = wrongly or not low <= share <= high
                    if decided == rows and not low < threshold <= high:
                        decided = n
            wrong += wrongly
            needed.append(decided)
        said = f"{right} of {rows:,} rows right"
        median = sorted(needed)[count // 2]
        said += "" if share == threshold else f", threshold {threshold:g} (median {median} rows)"
        found.append((said, (wrong / count,)))
    return Table("looks-at-a-dataset", ("dataset", "ever wrong"), tuple(found))


def _left(right: int, n: int, threshold: float) -> tuple[bool, bool]:
    """Whether the interval for any time lies above, or below, the threshold."""
    goal = math.log(2 / 0.05)
    above = sequential._wealth([(1.0, right), (0.0, n - right)], threshold) >= goal
    below = sequential._wealth([(0.0, right), (1.0, n - right)], 1 - threshold) >= goal
    return above, below


def corrected_judges(effort: int, rows: int = 5000) -> Table:
    """A judge of sensitivity 0.9 and specificity 0.75, and 50 or 200 labels of people."""
    found = []
    for labels in (50, 200):
        r, count = Random(labels), max(60, effort * 20)
        held, width, alone = 0, 0.0, 0.0
        for _ in range(count):
            human = [float(r.random() < 0.7) for _ in range(labels)]
            judge = [float(r.random() < (0.9 if truth else 0.25)) for truth in human]
            # Of the rest only the mean and the spread count: so many of them are judged true.
            share = 0.7 * 0.9 + 0.3 * 0.25
            right = round(
                r.gauss((rows - labels) * share, math.sqrt((rows - labels) * share * (1 - share)))
            )
            rest = [1.0] * right + [0.0] * (rows - labels - right)
            fixed = correction.corrected(human, judge, rest, span=(0.0, 1.0))
            assert fixed is not None
            held += fixed.low <= 0.7 <= fixed.high
            width += fixed.high - fixed.low
            error = standard_error(human)
            alone += 2 * distributions.t_quantile(0.975, labels - 1) * error
        found.append((f"{labels} labels", (held / count, width / count, alone / count)))
    return Table("judges", ("labels", "coverage", "width", "of people alone"), tuple(found))


def half_widths(effort: int) -> Table:
    """What rows and repeats are said to buy, against the spread of means that they give."""
    found = []
    r = Random(1)
    pilot = noise.noise([[float(r.random() < p) for _ in range(5)] for p in _rates(r, 2000)])
    assert pilot is not None
    for rows, repeats in ((100, 1), (100, 5), (400, 1)):
        count = max(200, effort * 40)
        means = [
            intervals.mean_of(
                [sum(r.random() < p for _ in range(repeats)) / repeats for p in _rates(r, rows)]
            )
            for _ in range(count)
        ]
        centre = intervals.mean_of(means)
        spread = math.sqrt(sum((value - centre) ** 2 for value in means) / (count - 1))
        measured = distributions.quantile_for(0.95) * spread
        found.append(
            (f"{rows} rows, {repeats} repeats", (pilot.half_width(rows, repeats), measured))
        )
    return Table("half-widths", ("data", "said", "measured"), tuple(found))


def false_slices(effort: int) -> Table:
    """How often a slice is called different where none is; slices of 12 to 60 rows."""
    kinds: dict[str, tuple[Draw, int]] = {
        "20 slices, true or false, 80 %": (lambda r: float(r.random() < 0.8), 20),
        "8 slices, lognormal, σ = 1": (lambda r: r.lognormvariate(0, 1), 8),
    }
    found = []
    for name, (draw, amount) in kinds.items():
        r, count, wrong = Random(name), max(30, effort * 10), 0
        for _ in range(count):
            parts = [[draw(r) for _ in range(r.randint(12, 60))] for _ in range(amount)]
            p_values = [
                tests.unpaired(
                    part, [x for each in parts if each is not part for x in each], seed=at
                ).p
                for at, part in enumerate(parts)
            ]
            wrong += min(tests.holm([p for p in p_values if p is not None])) < 0.05
        found.append((name, (wrong / count,)))
    return Table("slices", ("data", "a slice is called different"), tuple(found))


def _rates(r: Random, n: int) -> list[float]:
    return [r.betavariate(2, 1) for _ in range(n)]


def flips_of_nothing(effort: int, count: int | None = None) -> Table:
    """P("more than noise") between two runs of an unchanged model."""
    found = []
    for rows, repeats in ((60, 2), (60, 5), (20, 3)):
        r, called = Random(rows * repeats), 0
        times = count or effort * 50
        for seed in range(times):
            rates = _rates(r, rows)
            a, b = ([[float(r.random() < p) for _ in range(repeats)] for p in rates] for _ in "ab")
            test = noise.flips(a, b, seed=seed)
            assert test is not None
            called += test.p < 0.05
        found.append((f"{rows} rows, {repeats} repeats", (called / times,)))
    return Table("flips", ("data", "called more than noise"), tuple(found))


def metrics_of_pairs(effort: int, count: int | None = None) -> Table:
    """Coverage of the resampled intervals of labels and forecasts, at 100 rows."""
    r, names = Random(8), ("f1_macro", "kappa", "auroc", "brier")
    draws = {
        **dict.fromkeys(("f1_macro", "kappa"), _labels),
        **dict.fromkeys(("auroc", "brier"), _forecast),
    }
    found = []
    for name in names:
        draw, metric = draws[name], find(name)
        truth = metric([draw(r) for _ in range(100_000)])
        times, held = count or effort * 15, 0
        for _ in range(times):
            estimate = metric.estimate([[draw(r)] for _ in range(100)])
            assert estimate.low is not None and estimate.high is not None
            held += estimate.low <= truth <= estimate.high
        found.append((name, (held / times,)))
    return Table("metrics-of-pairs", ("metric", "coverage"), tuple(found))


def _labels(r: Random) -> tuple[str, str]:
    truth = r.choices("abc", (60, 25, 15))[0]
    return (truth if r.random() < 0.8 else r.choice("abc")), truth


def _forecast(r: Random) -> tuple[float, bool]:
    p = r.betavariate(2, 2)
    return p, r.random() < p


def equal_models(effort: int, count: int | None = None) -> Table:
    """P(any "better") among five models that are equally good, all pairs compared."""
    r, called, times = Random(9), 0, count or effort * 10
    for _ in range(times):
        rates = _rates(r, 100)
        runs = [[float(r.random() < p) for p in rates] for _ in range(5)]
        p_values = []
        for a, b in combinations(runs, 2):
            worse = sum(x > y for x, y in zip(a, b, strict=True))
            better = sum(x < y for x, y in zip(a, b, strict=True))
            p_values.append(tests.mcnemar(worse, better))
        called += min(tests.holm(p_values)) < 0.05
    return Table(
        "equal-models", ("data", "any is better"), (("5 models, 100 rows", (called / times,)),)
    )
