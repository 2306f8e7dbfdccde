"""
A run that ends when it is decided: rows in the order of their keys, and a gate after each of them.

    all rows ─▶ by key ─▶ Loop ─▶ finished ─▶ the first ones without a gap ─▶ decided?

A digest has nothing to do with how difficult a row is. When a row is done has: so a row counts once
all before it in that order are done, else those that are answered fast would decide.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any

from ..concurrency.row import Row
from ..errors import NotFound, UsageError
from ..evaluation import Evaluation
from ..metrics import Span, declared, find, is_share
from ..record import Failure, Outcome, Score
from ..reporting.grammar import FAIL, PASS, UNDECIDED, Baseline, Gate
from ..reporting.views import one_of, short_name, until_told
from ..statistics.intervals import mean_of
from ..statistics.sequential import Bettors, Drawn
from ..storage import Store
from .options import Options, is_of_errors
from .rows import Rows

_FEW = 20  # records with scores before one that none of them has is missed


class Until:
    """
    What a run is to decide, and whether it has.

    Args:
        gate: see `Options.until`.
        evaluation: that is run.
        options: which of its rows.

    Attributes:
        outcome: "pass", "fail" or "undecided".
        problem: why no number of rows would decide it; "" where they may.
        n: rows that it rests on: those before the first in the order that is not done.
        rows: how many there are.

    Raises:
        UsageError: rows can not be taken in an order unrelated to their answers.
    """

    def __init__(self, gate: Gate, evaluation: Evaluation[..., Any], options: Options) -> None:
        unknown = options.samples is None and evaluation.source.length() is None
        for is_so, what in (
            (options.shard is not None, "a shard, which would decide by a part of the rows"),
            (evaluation.batch is not None, "batch=, which submits all rows at once"),
            (evaluation.cluster is not None, "cluster=: such rows have no interval for any time"),
            (
                gate.of_all and evaluation.repeats > 1,
                "repeats=: `of all rows` counts true and false, once for each row",
            ),
            (unknown, "a dataset without a known end, as all rows are read first; say samples=N"),
        ):
            if is_so:
                raise UsageError(f"until {gate.text!r} does not go with {what}")
        self.outcome, self.problem = UNDECIDED, ""
        self.n = self.rows = 0
        self._gate = gate
        self._repeats = evaluation.repeats
        self._order: Sequence[bytes] = ()
        self._pending: Counter[bytes] = Counter()  # records of each row that are still to come
        self._values: dict[bytes, list[float]] = {}
        self._before: dict[bytes, float] | None = None  # of the baseline
        self._factor = 1.0  # of it
        self._threshold = 0.0  # without the baseline's part
        self._span: tuple[float, float] | None = None
        # Against the threshold, were what has no value the worst that there can be, and the best.
        self._least: Bettors | Drawn | None = None
        self._most: Bettors | Drawn | None = None
        self._without = 0  # records with scores and not this one
        self._of_errors = is_of_errors(gate)
        if self._of_errors:
            self._begin_betting((0.0, 1.0))

    # ------------------------------------------------------------------- at the start

    def recall(self, store: Store, experiment: str, evaluation: str) -> None:
        """
        Read what earlier runs have left, and the baseline.

        Raises:
            NotFound: the baseline, or its score, is not there.
        """
        if isinstance(self._gate.threshold, Baseline):
            base = self._gate.threshold.experiment
            names = store.evaluations(base)
            name = one_of(
                names, evaluation if evaluation in names else short_name(evaluation), base
            )
            found = self._read(store, base, name)
            if not found:
                raise NotFound(
                    f"until {self._gate.text!r}: {base!r} has no score {self._gate.subject!r}"
                )
            self._before = {key: mean_of(values) for key, values in found.items()}
        self._values = self._read(store, experiment, evaluation)

    def _read(self, store: Store, experiment: str, evaluation: str) -> dict[bytes, list[float]]:
        rows: dict[bytes, list[float]] = {}
        for record in store.records(experiment, evaluation, failed=False):
            for value in self._values_in(record.outcome):
                rows.setdefault(record.key, []).append(value)
        return rows

    def begin(self, keys: Iterable[bytes], to_run: Iterable[Row]) -> None:
        """All rows were read, of which some are to run."""
        self._order = sorted(keys)
        self.rows = len(self._order)
        for each in (self._least, self._most):
            if isinstance(each, Drawn):
                each.rows = self.rows
        self._pending.update(row.key for row in to_run)
        for key, left in self._pending.items():
            if left == self._repeats:  # what is stored of it is of a row that has changed
                self._values.pop(key, None)
        self._advance()

    # --------------------------------------------------------------------- on the way

    @property
    def over(self) -> bool:
        """Whether more rows would change nothing, or there are no more."""
        none_left = bool(self.rows) and self.n == self.rows
        return bool(self.problem) or self.outcome != UNDECIDED or none_left

    def finished(self, key: bytes, outcome: Outcome) -> None:
        """Something has come of the row of this key."""
        self._pending[key] -= 1
        self._values.setdefault(key, []).extend(self._values_in(outcome))
        self._advance()

    def _values_in(self, outcome: Outcome) -> list[float]:
        """What an outcome is worth; nothing where it failed, or where the score is NaN."""
        if isinstance(outcome, Failure):
            return []
        if self._of_errors:
            return [0.0]
        found = [each for each in outcome.scores if isinstance(each, Score)]
        for score in found:
            if score.name == self._gate.subject:
                value = self._worth(score)
                return [value] if value == value else []
        self._without += 1
        if self._least is None and self._without >= _FEW:
            there = ", ".join(score.name for score in found)
            self.problem = f"there is no score {self._gate.subject!r}; there are: {there}"
        return []

    def _worth(self, score: Score) -> float:
        title = self._gate.metric or next(iter(declared(score.metrics)[0]), "")
        number = float(score.number)
        span: Span
        if is_share(title):
            span, number = (0.0, 1.0), float(find(title)([(score.value, None)]))
        elif title not in ("accuracy", "mean"):
            self.problem = f"{score.name}.{title or 'labels'} has no interval for any time"
            return number
        else:
            of_one = isinstance(score.number, bool) or title == "accuracy"
            span = declared(score.metrics)[1] or ((0.0, 1.0) if of_one else None)
        if span is None or not (span[0] <= number <= span[1] or number != number):
            self.problem = f"the range of the values of {score.name}.{title} is not known"
        elif self._gate.of_all and number not in (0.0, 1.0):
            self.problem = f"{score.name} is {number:g}: `of all rows` counts true and false only"
        elif self._least is None:
            self._begin_betting(span)
        return number

    def _begin_betting(self, span: tuple[float, float]) -> None:
        gate, threshold = self._gate, self._gate.threshold
        assert gate.confidence is not None  # as `as_until` has seen to
        self._span = span
        if isinstance(threshold, Baseline):
            self._factor = threshold.factor
            span = span[0] - self._factor * span[1], span[1] - self._factor * span[0]
            threshold = threshold.offset
        self._threshold = threshold
        if gate.of_all:
            self._least, self._most = (Drawn(self.rows, gate.confidence) for _ in "ab")
        else:
            self._least, self._most = (Bettors(threshold, gate.confidence, span) for _ in "ab")

    def _advance(self) -> None:
        """Take what is next in the order, as long as it is done."""
        while (
            self._least is not None
            and not self.over
            and self.n < self.rows  # there may be none at all
            and not self._pending[self._order[self.n]]
        ):
            self._take(self._order[self.n])
            self.n += 1
            self.outcome = self._decided()

    def _decided(self) -> str:
        """What the rows so far say."""
        least, most, gate = self._least, self._most, self._gate
        assert least is not None and most is not None
        if isinstance(least, Bettors) and isinstance(most, Bettors):
            above, below = least.above, most.below
            if gate.sign in ("<", "<="):
                above, below = below, above
            return PASS if above else FAIL if below else UNDECIDED
        holds = [gate.holds(end, self._threshold) for end in (least.interval[0], most.interval[1])]
        return PASS if all(holds) else UNDECIDED if any(holds) else FAIL

    def _take(self, key: bytes) -> None:
        assert self._least is not None and self._most is not None and self._span is not None
        values, fill = self._values.pop(key, []), self._span
        if self._of_errors:
            fill = (1.0, 1.0)
        lacking = self._repeats - len(values)
        ends = [mean_of([*values, *[end] * lacking]) for end in fill]
        if self._before is not None:
            if key not in self._before:
                return
            ends = [end - self._factor * self._before[key] for end in ends]
        for bettors, end in zip((self._least, self._most), ends, strict=True):
            bettors.add(end)

    # --------------------------------------------------------------------- at the end

    def to_dict(self) -> dict[str, Any]:
        """What the header keeps, plain and unrounded."""
        low = high = None
        if self._least is not None and self._most is not None and self._least.n:
            low, high = self._least.interval[0], self._most.interval[1]
        return {
            "gate": self._gate.text,
            "outcome": self.outcome,
            "n": self.n,
            "rows": self.rows,
            "low": low,
            "high": high,
            "problem": self.problem,
        }

    def __str__(self) -> str:
        """What became of it, as a sentence."""
        return until_told(self.to_dict())


class ByKey:
    """
    An iterator of the rows that are to run, in the order of their keys; None while the dataset is
    read. All of them are held: what is to be decided is decided by rows that nobody chose.
    """

    def __init__(self, rows: Rows, until: Until) -> None:
        self._rows, self._until = rows, until
        self._held: deque[Row] = deque()
        self._read = False
        rows.keys = []

    def __iter__(self) -> ByKey:
        return self

    def __next__(self) -> Row | None:
        """Raises what the dataset raises, and NotYet."""
        if not self._read:
            try:
                row = next(self._rows)
            except StopIteration:
                self._read = True
                self._held = deque(sorted(self._held, key=lambda row: (row.key, row.repeat)))
                self._until.begin(self._rows.keys or (), self._held)
            else:
                self._held.extend([] if row is None else [row])
                return None
        if self._until.over or not self._held:
            raise StopIteration
        return self._held.popleft()
