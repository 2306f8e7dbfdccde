"""
Where it is wrong: the figures of an evaluation by the values of columns of its rows.

With many slices some look bad by chance. So the intervals of all slices hold together, and a slice
is called lower or higher than the others at a p-value that is corrected for how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from .. import metrics, text
from ..errors import NotFound, UsageError
from ..metrics import Estimate
from ..statistics.intervals import mean_of
from ..statistics.tests import holm, unpaired
from ..storage import Store
from ..views.figures import p_value, percentage
from ..views.media import as_text
from ..views.table import Cell, Column, Table
from ..views.terminal import Piece, Terminal, flow
from .pairs import Source
from .people import Labels
from .scores import estimates_of
from .summary import Summary
from .values import Subset, Values
from .views import LONGEST_NAME, estimate_cells, short_name

LOWER, HIGHER, TOO_FEW = "lower", "higher", "too few to tell"

FEWEST = 10  # rows of a slice, and of the others, below which nothing is said of a difference
_LONGEST = 60  # characters of a value in a sentence
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
    found = members(store, [Source(experiment, evaluation)], by)
    values = Values(store, experiment, evaluation, store.runs(experiment, evaluation))
    tally = store.tally(experiment, evaluation)
    rows = [Subset(values, each.keys) for each in found]
    asked = together(confidence, found)
    estimates = [estimates_of(part, tally, asked, (), False)[0] for part in rows]
    told: list[dict[str, dict[str, Part]]] = [{} for _ in found]
    for name, facts in tally.scores.items():
        titles = metrics.declared(facts["metrics"])[0]
        has_mean = not {"accuracy", "mean"}.isdisjoint(titles)
        apart = _apart(name, rows, confidence) if has_mean else []
        for at, of in enumerate(told):
            for title in titles:
                estimate = estimates[at].get(name, {}).get(title)
                if estimate is not None and estimate.value is not None:
                    beside = apart[at] if title in ("accuracy", "mean") else (None, "")
                    of.setdefault(name, {})[title] = Part(estimate, *beside)
    return [
        Slice(each.by, each.scored[0], each.failed[0], of)
        for each, of in zip(found, told, strict=True)
    ]


@dataclass(slots=True)
class Members:
    """
    Which rows are of a slice.

    Attributes:
        by: the values that they share, by column.
        keys: of the rows.
        scored, failed: records with scores, and without, by the number of the source.
    """

    by: Mapping[str, Any]
    keys: list[bytes] = field(default_factory=list)
    scored: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)


def members(store: Store, sources: Sequence[Source], by: Sequence[str]) -> list[Members]:
    """
    The rows of each slice, in the order in which the slices first appear.

    Args:
        sources: evaluations; a row that several have is of the slice that the first of them says.

    Raises:
        NotFound, UsageError, StoreError: as `slices`.
    """
    found: dict[str, Members] = {}
    named: dict[str, None] = {}
    of: dict[bytes, Members] = {}
    for at, source in enumerate(sources):
        for record in store.records(*source):
            named.update(dict.fromkeys(record.row))
            part = of.get(record.key)
            if part is None:
                values = [record.row.get(column) for column in by]
                part = found.setdefault(repr(values), Members(dict(zip(by, values, strict=True))))
                if len(found) > _MOST:
                    raise UsageError(
                        f"by {', '.join(by)} there are more than {text.count(_MOST)} slices: "
                        "choose columns with few different values"
                    )
                of[record.key] = part
                part.keys.append(record.key)
            (part.failed if record.failed else part.scored)[at] += 1
    if missing := [column for column in by if named and column not in named]:
        raise NotFound(f"no row has {missing[0]!r}; the rows have {', '.join(map(repr, named))}")
    return list(found.values())


def together(confidence: float, found: Sequence[Members]) -> float:
    """Of each interval, so that those of all slices hold together with this confidence."""
    return 1 - (1 - confidence) / max(1, len(found))


def slice_summaries(
    store: Store, whole: Summary, by: Sequence[str], anytime: bool, people: Labels | None = None
) -> list[tuple[Members, Summary]]:
    """
    Each slice of an evaluation as if it were one, with what tells an evaluation's rows.

    Args:
        whole: all of it; its confidence is that of all intervals together.

    Raises:
        NotFound, UsageError, StoreError: as `slices`.
    """
    source = Source(whole.experiment, whole.evaluation)
    found = members(store, [source], by)
    values = Values(store, *source, store.runs(*source), people)
    tally, asked = store.tally(*source), together(whole.confidence, found)
    if people is not None:
        people.begin(tally.scores)
    told = []
    for each in found:
        part = Subset(values, each.keys)
        scores, bounds, unknown, _ = estimates_of(part, tally, asked, (), anytime)
        scored, failed, groups = each.scored[0], each.failed[0], part.groups
        of = replace(
            whole,
            total=scored + failed,
            scored=scored,
            failed=failed,
            missing=0,
            scores=scores,
            bounds=bounds,
            unknown=tuple(unknown),
            groups=None if groups is None else len(set(groups.values())),
            confidence=asked,
        )
        told.append((each, of))
    return told


def slice_name(by: Mapping[str, Any]) -> str:
    """ "difficulty=hard, language=en"; a long value is cut."""
    parts = (f"{name}={text.safe(slice_value(value), _LONGEST)}" for name, value in by.items())
    return ", ".join(parts)


def _apart(name: str, found: Sequence[Subset], confidence: float) -> list[tuple[float | None, str]]:
    """Whether each slice is lower or higher than the rows of all others, with the p-value."""
    if len(found) == 1:
        return [(None, "")]
    samples: list[tuple[list[float], list[Hashable]]] = []
    clustered = found[0].groups is not None
    for part in found:
        rows, groups = part.of(name), part.groups or {}
        samples.append((list(map(mean_of, rows.values())), [groups.get(key, key) for key in rows]))
    p_values: dict[int, float] = {}
    higher: dict[int, bool] = {}
    for at, (xs, of) in enumerate(samples):
        others = [each for other, each in enumerate(samples) if other != at]
        ys = [value for values, _ in others for value in values]
        if min(len(xs), len(ys)) < FEWEST or not all(map(isfinite, xs + ys)):
            continue
        units = (of, [unit for _, theirs in others for unit in theirs]) if clustered else None
        test = unpaired(xs, ys, units, seed=at, resamples=max(1_999, 100 * len(found)))
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
            *map(slice_value, each.by.values()),
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
        lines += table.lines(terminal, 2)
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
        Column(f"{percentage(confidence)} CI", "right"),
        Column("beside the others", drop=1),
    ]
    rows = [
        [
            *map(slice_value, each.by.values()),
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


def slice_value(value: object) -> object:
    """A value of a column as a cell."""
    return as_text(value) if isinstance(value, (str, list, dict)) else repr(value)
