"""
Three and more experiments: each against each, corrected for all pairs together, and ranked.

    Comparison of each pair ─▶ one family for Holm ─▶ who is better than whom ─▶ ranks
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from ..errors import UsageError
from ..metrics import Estimate
from ..storage import Address, opened
from ..views.figures import percentage
from ..views.json import plain_fields
from ..views.table import Column, Table
from ..views.terminal import Terminal, preformatted, printed
from .compare import Comparison, compare, judged
from .difference import BETTER, REGRESSION
from .summary import Summary, summarise
from .views import estimate_cells, short_name


@dataclass(frozen=True, slots=True)
class Standing:
    """
    Where an experiment stands by one metric of one score of one evaluation.

    Attributes:
        evaluation, score, metric, experiment: names.
        estimate: the figure over all its rows, with its interval.
        best, worst: the ranks that it may have, from 1: one below those that are significantly
            better, and as many above the last as are significantly worse. With the confidence
            of the league all of these are right together.
        beats: the experiments that it is significantly better than.
    """

    evaluation: str
    score: str
    metric: str
    experiment: str
    estimate: Estimate
    best: int
    worst: int
    beats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class League:
    """
    Several experiments.

    Attributes:
        experiments: their names, in the order asked.
        confidence: of the intervals, and of all verdicts together.
        comparisons: of each pair; their p-values are corrected for all pairs.
        standings: by evaluation, score and metric, the highest rank first.
    """

    experiments: tuple[str, ...]
    confidence: float
    comparisons: tuple[Comparison, ...]
    standings: tuple[Standing, ...]

    def __str__(self) -> str:
        """What `doteval compare A B C` prints."""
        return printed(self, "reporting.league", "league_lines")

    def _repr_html_(self) -> str:
        """What a notebook shows: the same."""
        return preformatted(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval compare A B C --json` prints."""
        return {**plain_fields(self), "standings": [*map(plain_fields, self.standings)]}


def league(
    names: Sequence[str],
    *,
    storage: Address = None,
    confidence: float = 0.95,
    lower_is_better: Collection[str] = (),
    **options: Any,
) -> League:
    """
    Rank experiments by what their rows in common say.

    Args:
        names: of the experiments, two or more.
        options: of `compare`: `evaluation`, `only`, `seed`, `paired_only`.

    Raises:
        NotFound: as in `compare`, of any pair.
        UsageError: a name stands twice, or there are fewer than two.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(f"compare {' '.join(names)}: expected two or more different experiments")
    with opened(storage) as store:
        asked = {**options, "lower_is_better": lower_is_better, "confidence": confidence}
        found = [
            compare(a, b, storage=store, examples=0, **asked) for a, b in combinations(names, 2)
        ]
        summaries = {
            (name, each.evaluation): each
            for name in names
            for evaluation in store.evaluations(name)
            for each in [summarise(store, name, evaluation, confidence=confidence)]
        }
    every = [contrast for each in found for contrast in each.evaluations]
    again = iter(judged(every, None, confidence))
    found = [
        replace(each, evaluations=tuple(next(again) for _ in each.evaluations)) for each in found
    ]
    return League(
        tuple(names), confidence, tuple(found), tuple(_standings(found, names, summaries))
    )


def _standings(
    found: Sequence[Comparison],
    names: Sequence[str],
    summaries: Mapping[tuple[str, str], Summary],
) -> list[Standing]:
    """Every experiment by every metric, highest rank first."""
    beats: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    sources: dict[tuple[str, str], str] = {}
    less: set[tuple[str, str, str]] = set()
    for comparison in found:
        for contrast in comparison.evaluations:
            short = short_name(contrast.a.evaluation)
            sources[comparison.a, short] = contrast.a.evaluation
            sources[comparison.b, short] = contrast.b.evaluation
            for each in (d for score in contrast.scores for d in score.differences):
                what = short, each.score, each.metric
                won = beats.setdefault(what, {name: [] for name in names})
                if each.lower_is_better:
                    less.add(what)
                if each.verdict == BETTER:
                    won[comparison.b].append(comparison.a)
                elif each.verdict == REGRESSION:
                    won[comparison.a].append(comparison.b)
    standings = []
    for what, won in beats.items():
        there = []
        for name in names:
            summary = summaries.get((name, sources.get((name, what[0]), "")))
            figure = summary and summary.scores.get(what[1], {}).get(what[2])
            if figure:
                better = sum(name in others for others in won.values())
                worst = len(names) - len(won[name])
                there.append(Standing(*what, name, figure, 1 + better, worst, tuple(won[name])))
        sign = 1 if what in less else -1
        standings += sorted(
            there, key=lambda each: (each.best, sign * (each.estimate.value or 0.0))
        )
    return standings


def league_table(standings: Sequence[Standing], confidence: float, unicode: bool = True) -> Table:
    """A row for each standing."""
    columns = (
        Column("evaluation", foreign=True),
        Column("score", foreign=True),
        Column("metric", foreign=True),
        Column("rank"),
        Column("experiment", style="strong", least=8, foreign=True),
        Column("value", "right"),
        Column(f"{percentage(confidence)} CI", "right", drop=2, below=True),
        Column("better than", least=8, drop=1, below=True, foreign=True),
    )
    rows = [
        [
            short_name(each.evaluation),
            each.score,
            each.metric,
            str(each.best) if each.best == each.worst else f"{each.best}-{each.worst}",
            each.experiment,
            *estimate_cells(each.metric, each.estimate, unicode),
            ", ".join(each.beats),
        ]
        for each in standings
    ]
    return Table(columns, rows)


def league_lines(league: League, terminal: Terminal) -> list[str]:
    """A table of ranks for each metric, for a terminal."""
    lines = []
    metrics = list(dict.fromkeys((e.evaluation, e.score, e.metric) for e in league.standings))
    for what in metrics:
        own = [e for e in league.standings if (e.evaluation, e.score, e.metric) == what]
        table = league_table(own, league.confidence, terminal.unicode)
        ranks = table.without("evaluation", "score", "metric").lines(terminal)
        lines += ["", terminal.paint(terminal.shown(" ".join(what)), "strong"), *ranks]
    return lines[1:]
