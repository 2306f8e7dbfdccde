"""
Where it is wrong: the figures of an evaluation by the values of columns of its rows.

With many slices some look bad by chance. So the intervals of all slices hold together, and a slice
is called lower or higher than the others at a p-value that is corrected for how many there are.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from .. import metrics, text
from ..errors import NotFound, PluginError, UsageError
from ..metrics import Estimate
from ..record import Record, Score
from ..statistics.intervals import mean_of
from ..statistics.tests import holm, unpaired
from ..storage import Store
from ..views.figures import p_value
from ..views.media import as_text
from ..views.table import Cell, Column, Table
from ..views.terminal import Piece, Terminal, flow
from .scores import span_of
from .values import cluster_of
from .views import LONGEST_NAME, estimate_cells, short_name

LOWER, HIGHER, TOO_FEW = "lower", "higher", "too few to tell"

_FEWEST = 10  # rows of a slice, and of the others, below which nothing is said of a difference
_MOST = 1_000  # slices; more are no slices but the rows themselves


@dataclass(frozen=True, slots=True)
class Part:
    """
    A figure of one slice.

    Attributes:
        estimate: over the rows of the slice; the intervals of all slices hold together.
        p: that the slice and the other rows do not differ, corrected by Holm for the number of
            slices; None where it can not be told.
        verdict: "lower" or "higher" than the other rows, "" where no difference is seen,
            "too few to tell" below 10 rows in the slice or beside it. Of means alone.
    """

    estimate: Estimate
    p: float | None = None
    verdict: str = TOO_FEW

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded."""
        return {**self.estimate.to_dict(), "p": self.p, "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class Slice:
    """
    The rows that share the values of some columns.

    Attributes:
        by: these values, by column; a row without the column has None.
        scored, failed: records with scores, and without.
        scores: by score and metric.
    """

    by: Mapping[str, Any]
    scored: int
    failed: int
    scores: Mapping[str, Mapping[str, Part]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval show --by --json` prints of a slice."""
        return {
            "by": dict(self.by),
            "scored": self.scored,
            "failed": self.failed,
            "scores": {
                name: {metric: part.to_dict() for metric, part in by_metric.items()}
                for name, by_metric in self.scores.items()
            },
        }


def slices(
    store: Store, experiment: str, evaluation: str, by: Sequence[str], confidence: float = 0.95
) -> list[Slice]:
    """
    An evaluation's figures by the values of columns, in the order in which these first appear.

    This reads every record with its texts, tens of microseconds each.

    Args:
        by: columns, or other keys that the rows have; rows are of one slice where all agree.
        confidence: that all intervals of a figure hold together (Bonferroni).

    Raises:
        NotFound: there is no such experiment or evaluation, or no row has such a column.
        UsageError: there are more than 1,000 slices.
        StoreError: the store can not be read.
    """
    cluster = cluster_of(store.runs(experiment, evaluation))
    found: dict[str, _Rows] = {}
    named: dict[str, None] = {}
    for record in store.records(experiment, evaluation):
        named.update(dict.fromkeys(record.row))
        values = [record.row.get(column) for column in by]
        key = repr(values)
        if key not in found:
            found[key] = _Rows(dict(zip(by, values, strict=True)))
            if len(found) > _MOST:
                raise UsageError(
                    f"by {', '.join(by)} there are more than {text.count(_MOST)} slices: choose "
                    "columns with few different values"
                )
        found[key].add(record, cluster)
    if missing := [column for column in by if named and column not in named]:
        raise NotFound(f"no row has {missing[0]!r}; the rows have {', '.join(map(repr, named))}")
    facts = store.tally(experiment, evaluation).scores
    parts: list[dict[str, dict[str, Part]]] = [{} for _ in found]
    for name in facts:
        for metric, each in _parts(name, facts[name], list(found.values()), confidence).items():
            for of, part in zip(parts, each, strict=True):
                if part.estimate.value is not None:
                    of.setdefault(name, {})[metric] = part
    return [
        Slice(rows.by, rows.scored, rows.failed, of)
        for rows, of in zip(found.values(), parts, strict=True)
    ]


@dataclass(slots=True)
class _Rows:
    """What the records of a slice hold, by score and row."""

    by: Mapping[str, Any]
    scored: int = 0
    failed: int = 0
    values: dict[str, dict[bytes, list[Any]]] = field(default_factory=dict)
    pairs: dict[str, dict[bytes, list[Any]]] = field(default_factory=dict)
    groups: dict[bytes, Hashable] = field(default_factory=dict)

    def add(self, record: Record, cluster: str | None) -> None:
        if record.failed:
            self.failed += 1
            return
        self.scored += 1
        if cluster is not None:
            group = record.row.get(cluster)
            self.groups[record.key] = record.key if group is None else repr(group)
        for score in getattr(record.outcome, "scores", ()):
            assert isinstance(score, Score)  # what is stored are no bare values
            self.values.setdefault(score.name, {}).setdefault(record.key, []).append(score.number)
            pair = score.value, score.expected
            self.pairs.setdefault(score.name, {}).setdefault(record.key, []).append(pair)

    def estimate(
        self, name: str, metric: metrics.Metric, confidence: float, span: metrics.Span
    ) -> Estimate:
        rows = (self.values if metric.sees == "values" else self.pairs).get(name, {})
        groups = [self.groups[key] for key in rows] if self.groups else None
        return metric.estimate(list(rows.values()), groups, confidence=confidence, span=span)

    def means(self, name: str) -> tuple[list[float], list[Hashable]]:
        """One value for each row, and what it belongs to."""
        rows = self.values.get(name, {})
        return list(map(mean_of, rows.values())), [self.groups.get(key, key) for key in rows]


def _parts(
    name: str, facts: Mapping[str, Any], found: Sequence[_Rows], confidence: float
) -> dict[str, list[Part]]:
    """By metric, what each slice came to; metrics that can not be computed here are left out."""
    told: dict[str, list[Part]] = {}
    together = 1 - (1 - confidence) / len(found)
    apart = _apart(name, found, confidence)
    for title in metrics.declared(facts["metrics"])[0]:
        try:
            metric = metrics.find(title)
            estimates = [each.estimate(name, metric, together, span_of(facts)) for each in found]
        except (NotFound, PluginError, UsageError):  # `show` says why, and of all rows
            continue
        means = title in ("accuracy", "mean")
        told[title] = [
            Part(each, *(apart[at] if means else (None, ""))) for at, each in enumerate(estimates)
        ]
    return told


def _apart(name: str, found: Sequence[_Rows], confidence: float) -> list[tuple[float | None, str]]:
    """Whether each slice is lower or higher than the rows of all others, with the p-value."""
    if len(found) == 1:
        return [(None, "")]
    samples = [each.means(name) for each in found]
    clustered = any(each.groups for each in found)
    p_values: dict[int, float] = {}
    higher: dict[int, bool] = {}
    for at, (xs, of) in enumerate(samples):
        others = [each for other, each in enumerate(samples) if other != at]
        ys = [value for values, _ in others for value in values]
        if min(len(xs), len(ys)) < _FEWEST or not all(map(isfinite, xs + ys)):
            continue
        groups = (of, [unit for _, units in others for unit in units]) if clustered else None
        test = unpaired(xs, ys, groups, seed=at, resamples=max(1_999, 100 * len(found)))
        if test.p is not None:
            p_values[at], higher[at] = test.p, mean_of(xs) > mean_of(ys)
    if len(found) > 2:  # of two slices both tests are one
        p_values = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    told: list[tuple[float | None, str]] = []
    for at in range(len(samples)):
        p = p_values.get(at)
        if p is None:
            told.append((None, TOO_FEW))
        else:
            told.append((p, "" if p >= 1 - confidence else HIGHER if higher[at] else LOWER))
    return told


# --- as tables --------------------------------------------------------------------------------


def slice_table(found: Mapping[str, Sequence[Slice]]) -> Table:
    """
    A row for each metric of each score of each slice, for other programs.

    Args:
        found: the slices of each evaluation.
    """
    by = next((list(each[0].by) for each in found.values() if each), [])
    columns = [
        Column("evaluation", foreign=True),
        *(Column(name, foreign=True, foreign_name=True) for name in by),
        Column("scored", "right"),
        Column("failed", "right"),
        Column("score", foreign=True),
        *(Column(name, "right") for name in ("value", "interval", "p")),
        Column("beside the others"),
    ]
    rows = [
        [
            short_name(evaluation),
            *map(_value, each.by.values()),
            each.scored,
            each.failed,
            name if metric in ("accuracy", "mean") else f"{name} {metric}",
            *estimate_cells(metric, part.estimate),
            Cell(part.p, shown=p_value(part.p)),
            part.verdict,
        ]
        for evaluation, parts in found.items()
        for each in parts
        for name, by_metric in each.scores.items()
        for metric, part in by_metric.items()
    ]
    return Table(columns, rows)


def slice_lines(found: Sequence[Slice], terminal: Terminal, confidence: float = 0.95) -> list[str]:
    """For each metric of each score a table of the slices, the lowest value first."""
    asked = dict.fromkeys(
        (name, metric) for each in found for name, of in each.scores.items() for metric in of
    )
    lines: list[str] = []
    for name, metric in asked:
        parts = [
            (each, each.scores[name][metric])
            for each in found
            if metric in each.scores.get(name, ())
        ]
        parts.sort(key=lambda pair: pair[1].estimate.value or 0.0)
        lines += ["" for _ in lines[:1]]
        lines.append(f"  {terminal.shown(name, LONGEST_NAME)} {terminal.shown(metric)}")
        table = _table(parts, metric, confidence, terminal)
        lines += [f"  {line}" for line in table.text(terminal.narrowed(2)).split("\n")]
    if not asked:
        lines.append("  no scores")
    elif len(found) > 1:
        of = f"all {text.count(len(found))}"
        note = "both intervals hold together"
        if len(found) > 2:
            note = f"{of} intervals hold together, and p is corrected for {of} slices"
        lines += flow([Piece(word, "dim") for word in note.split()], terminal, "  ", 2, " ")
    return lines


def _table(
    parts: Sequence[tuple[Slice, Part]], metric: str, confidence: float, terminal: Terminal
) -> Table:
    failed = any(each.failed for each, _ in parts)
    columns = [
        *(Column(name, least=8) for name in parts[0][0].by),
        Column("rows", "right"),
        *([Column("failed", "right")] if failed else []),
        Column("value", "right", style="strong"),
        Column(f"{100 * confidence:g}% CI", "right"),
        Column("beside the others", drop=1),
    ]
    rows = [
        [
            *map(_value, each.by.values()),
            part.estimate.n,
            *([each.failed] if failed else []),
            *estimate_cells(metric, part.estimate, terminal.unicode),
            _beside(part),
        ]
        for each, part in parts
    ]
    return Table(columns, rows)


def _beside(part: Part) -> Cell:
    style = {LOWER: "bad", HIGHER: "good", TOO_FEW: "dim"}.get(part.verdict, "")
    tested = "" if part.p is None or not part.verdict else f", p = {p_value(part.p)}"
    return Cell(part.verdict, style, f"{part.verdict}{tested}".replace("= <", "< "))


def _value(value: object) -> object:
    """A value of a column as a cell."""
    return as_text(value) if isinstance(value, (str, list, dict)) else repr(value)
