"""
Labels held against the truth, and probabilities held against what happened.

All take pairs (predicted, expected) or what is made of them. Where a figure is not defined (no
label of a kind was predicted, or expected) it is 0 as in scikit-learn, or None where nothing at all
is known; what is undefined is said at each.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .intervals import mean_of

Pair = tuple[Hashable, Hashable]


@dataclass(frozen=True, slots=True)
class Confusion:
    """
    How often each label was predicted for each that was expected.

    Attributes:
        labels: in order of their text.
        counts: of (expected, predicted) pairs that occur.
    """

    labels: tuple[Hashable, ...]
    counts: Mapping[Pair, int]
    _margins: tuple[Counter[Hashable], Counter[Hashable]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        margins: tuple[Counter[Hashable], Counter[Hashable]] = Counter(), Counter()
        for pair, count in self.counts.items():
            for margin, label in zip(margins, pair, strict=True):
                margin[label] += count
        object.__setattr__(self, "_margins", margins)

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> Confusion:
        """From (predicted, expected) pairs."""
        counts = Counter((expected, predicted) for predicted, expected in pairs)
        labels = {label for pair in counts for label in pair}
        return cls(tuple(sorted(labels, key=lambda label: (str(type(label)), str(label)))), counts)

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    def table(self) -> list[list[int]]:
        """One row per expected label, one column per predicted one."""
        return [[self.counts.get((e, p), 0) for p in self.labels] for e in self.labels]

    def expected(self, label: Hashable) -> int:
        return self._margins[0][label]

    def predicted(self, label: Hashable) -> int:
        return self._margins[1][label]

    def hits(self, label: Hashable) -> int:
        return self.counts.get((label, label), 0)

    # ------------------------------------------------------------- figures of one label

    def precision(self, label: Hashable) -> float:
        """The share of those predicted that are right; 0 where none was predicted."""
        return _ratio(self.hits(label), self.predicted(label))

    def recall(self, label: Hashable) -> float:
        """The share of those expected that were found; 0 where none was expected."""
        return _ratio(self.hits(label), self.expected(label))

    def f1(self, label: Hashable) -> float:
        """The harmonic mean of both; 0 where there is neither."""
        return _ratio(2 * self.hits(label), self.predicted(label) + self.expected(label))

    # -------------------------------------------------------------- figures of them all

    def average(self, figure: str, how: str = "macro") -> float | None:
        """
        precision, recall or f1 over the labels.

        Args:
            how: "macro": labels count alike; "weighted": by how often they were expected;
                "micro": over all rows, which is the accuracy where each row has one label.

        Raises:
            ValueError: there is no such figure or average.
        """
        if figure not in ("precision", "recall", "f1") or how not in ("macro", "weighted", "micro"):
            raise ValueError(
                f"average({figure!r}, {how!r}): expected precision, recall or f1; macro, weighted "
                "or micro"
            )
        if not self.n:
            return None
        if how == "micro":
            return self.accuracy
        values = [getattr(self, figure)(label) for label in self.labels]
        if how == "macro":
            return mean_of(values)
        weights = [self.expected(label) for label in self.labels]
        return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / self.n

    @property
    def accuracy(self) -> float | None:
        return sum(map(self.hits, self.labels)) / self.n if self.n else None

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean recall of the labels that were expected."""
        there = [label for label in self.labels if self.expected(label)]
        return mean_of([self.recall(label) for label in there]) if there else None

    @property
    def mcc(self) -> float | None:
        """
        Matthews' correlation, of any number of labels; 0 where one side is always the same.

        Source: Gorodkin (2004), Comput. Biol. Chem. 28, p. 367.
        """
        if not self.n:
            return None
        both = [(self.expected(label), self.predicted(label)) for label in self.labels]
        n, right = self.n, sum(map(self.hits, self.labels))
        shared = right * n - sum(e * p for e, p in both)
        apart = (n * n - sum(p * p for _, p in both)) * (n * n - sum(e * e for e, _ in both))
        return shared / math.sqrt(apart) if apart else 0.0

    @property
    def kappa(self) -> float | None:
        """
        Cohen's kappa: agreement beyond that of two who guess as often; None where guessing
        alone agrees always.

        Source: Cohen (1960), Educ. Psychol. Meas. 20, p. 37.
        """
        chance = sum(self.expected(label) * self.predicted(label) for label in self.labels)
        n = self.n
        if n * n == chance:
            return None
        return (sum(map(self.hits, self.labels)) * n - chance) / (n * n - chance)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


# --- probabilities -----------------------------------------------------------------------------

Forecast = tuple[float, bool]  # the probability that was given, and whether it happened


def auroc(forecasts: Sequence[Forecast]) -> float | None:
    """
    How likely something that happened had the higher probability; ties count half.

    Returns:
        None where all of it happened, or none.

    Source: Mann & Whitney (1947), Ann. Math. Stat. 18, p. 50, by the sum of the ranks.
    """
    positives = sum(bool(happened) for _, happened in forecasts)
    negatives = len(forecasts) - positives
    if not positives or not negatives:
        return None
    by_score: dict[float, list[int]] = {}
    for score, happened in forecasts:
        by_score.setdefault(score, [0, 0])[bool(happened)] += 1
    below, wins = 0, 0.0
    for score in sorted(by_score):
        against, in_favour = by_score[score]
        wins += in_favour * (below + against / 2)
        below += against
    return wins / (positives * negatives)


def brier(forecasts: Sequence[Forecast]) -> float | None:
    """The mean squared distance of the probability from what happened. Brier (1950)."""
    return mean_of([(p - bool(y)) ** 2 for p, y in forecasts]) if forecasts else None


def log_loss(forecasts: Sequence[Forecast]) -> float | None:
    """
    The mean of -log of the probability that was given to what happened; a certainty that was
    wrong counts as one of a floating-point step, about 36.
    """
    if not forecasts:
        return None
    least = 2.0**-52
    given = [p if y else 1 - p for p, y in forecasts]
    return -mean_of([math.log(min(max(p, least), 1 - least)) for p in given])


def calibration_error(forecasts: Sequence[Forecast], bins: int = 10) -> float | None:
    """
    How far probabilities are from how often it happened, on average over bins of equal width.

    Source: Naeini, Cooper & Hauskrecht (2015), AAAI; bins (low, high] as Guo et al. (2017), ICML.
    """
    if not forecasts:
        return None
    held: dict[int, list[Forecast]] = {}
    for p, y in forecasts:
        held.setdefault(min(max(math.ceil(p * bins) - 1, 0), bins - 1), []).append((p, y))
    gaps = [abs(math.fsum(p for p, _ in each) - sum(bool(y) for _, y in each)) for each in
            held.values()]  # fmt: skip
    return math.fsum(gaps) / len(forecasts)


# --- agreement ---------------------------------------------------------------------------------


def krippendorff_alpha(units: Iterable[Iterable[Hashable]], level: str = "nominal") -> float | None:
    """
    How far judges, or repeats, agree beyond chance: 1 for always, 0 as if by chance.

    Args:
        units: for each row, what was said of it; a row with fewer than two says nothing.
        level: "nominal" for labels, "ordinal" for ranks, "interval" for numbers.

    Returns:
        None where nothing can be compared, or where all that was said is one value.

    Raises:
        ValueError: there is no such level.

    Source: Krippendorff (2004), Content Analysis, ch. 11, by coincidences.
    """
    if level not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"level={level!r}: expected nominal, ordinal or interval")
    counted = [Counter(unit) for unit in units]
    counted = [unit for unit in counted if sum(unit.values()) > 1]
    totals: Counter[Hashable] = Counter()
    for unit in counted:
        totals.update(unit)
    n = sum(totals.values())
    if len(totals) < 2:
        return None
    apart = _distances(totals, level)
    observed = math.fsum(
        count * other * apart[a, b] / (sum(unit.values()) - 1)
        for unit in counted
        for a, count in unit.items()
        for b, other in unit.items()
    )
    chance = math.fsum(totals[a] * totals[b] * distance for (a, b), distance in apart.items())
    return 1 - (n - 1) * observed / chance


def _distances(totals: Counter[Hashable], level: str) -> dict[Pair, float]:
    """The squared distance of any two values."""
    if level == "nominal":
        return {(a, b): float(a != b) for a in totals for b in totals}
    places: dict[Hashable, float] = {}
    before = 0.0
    for value in sorted(totals):  # type: ignore[type-var]
        # The distance of ranks is the number of values between their middles.
        places[value] = before + totals[value] / 2 if level == "ordinal" else float(value)  # type: ignore[arg-type]
        before += totals[value]
    return {(a, b): (places[a] - places[b]) ** 2 for a in totals for b in totals}
