"""
What a page shows, gathered: its evaluations, what became of each, and the records that it holds.

Records are read in pages and never held; so they are read more than once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from .. import text
from ..errors import NotFound
from ..records import Record, Run
from ..storage import Store
from .compare import Comparison, compare
from .embedded import (
    FAILED,
    SAME,
    WRONG,
    Chunks,
    Texts,
    Verdicts,
    answer_of,
    row_of,
    tag_of,
    verdict,
)
from .pairs import Difference, Source
from .pictures import Histogram, Timeline
from .summary import Summary, summarise
from .views import plural, short_names

LONGEST_NAME = 200  # characters of a name
_BEFORE = 2_000  # answers of the baseline that are shown
_SCORES = 20  # that the page has of each record
_RUNS = 500  # of an evaluation, whose time is drawn


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How much a page holds at most, so that any browser opens it at once: about 60 MB.

    Attributes:
        records: in the table.
        texts: characters of all rows, prompts, answers and errors together.
        longest: characters of one of them.
    """

    records: int = 50_000
    texts: int = 32 * 2**20
    longest: int = 50_000


@dataclass(slots=True)
class Part:
    """
    An evaluation of an experiment on the page.

    Attributes:
        experiment, evaluation: where it is stored.
        called: its name on the page.
        summary: of what is stored.
        runs: whose records count.
        timeline, histogram: drawn from its records.
        baseline: where what it is compared with is stored; None where there is nothing.
        verdicts: those of the baseline.
        before: what the baseline answered, where the verdict changed, by `tag_of`.
        differences: to the baseline, by (score, metric).
    """

    experiment: str
    evaluation: str
    called: str
    summary: Summary
    runs: Sequence[Run]
    timeline: Timeline
    histogram: Histogram = field(default_factory=Histogram)
    baseline: Source | None = None
    verdicts: Verdicts = field(default_factory=lambda: Verdicts(()))
    before: dict[int, str] = field(default_factory=dict)
    differences: Mapping[tuple[str, str], Difference] = field(default_factory=dict)

    def change(self, record: Record) -> int:
        """What became of a record: SAME, WORSE or BETTER."""
        return SAME if self.baseline is None else self.verdicts.change(record)


@dataclass(slots=True)
class Counts:
    """
    What the page's filters count.

    Attributes:
        all: records that there are. kept: records on the page.
        kinds, changes: of those on the page, by verdict, and by what became of them.
        retried: whether one of them took more than one attempt.
    """

    all: int = 0
    kept: int = 0
    kinds: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    changes: list[int] = field(default_factory=lambda: [0, 0, 0])
    retried: bool = False

    def keep(self, record: Record, change: int) -> None:
        """Count a record of the page."""
        self.kept += 1
        self.kinds[verdict(record)] += 1
        self.changes[change] += 1
        self.retried |= record.attempts > 1


def parts_of(
    store: Store, experiments: Sequence[str], baseline: str | None, notes: list[str]
) -> list[Part]:
    """
    The evaluations of the experiments, each compared with the baseline's where there is one.

    Raises:
        NotFound: there is no such experiment.
    """
    if baseline is not None:
        store.evaluations(baseline)  # it must exist
    parts = []
    for experiment in experiments:
        comparison = None
        if baseline not in (None, experiment):
            comparison = _compared(store, baseline, experiment, notes)
        called = short_names(store.evaluations(experiment))
        for evaluation, short in called.items():
            if len(experiments) > 1:
                short = f"{experiment} · {short}"
            part = _part(store, experiment, evaluation, short)
            if comparison is not None:
                _set_against(store, part, comparison)
            parts.append(part)
    return parts


def _part(store: Store, experiment: str, evaluation: str, called: str) -> Part:
    summary = summarise(store, experiment, evaluation)
    runs = _that_count(store.runs(experiment, evaluation))
    tally = store.tally(experiment, evaluation)
    timeline = Timeline(runs, summary.done, tally.ended)
    return Part(experiment, evaluation, text.safe(called, LONGEST_NAME), summary, runs, timeline)


def _that_count(runs: list[Run]) -> list[Run]:
    """Runs since the last one that began anew, and of them the latest."""
    for index in range(len(runs) - 1, -1, -1):
        if runs[index].header.get("fresh"):
            runs = runs[index:]
            break
    return runs[-_RUNS:]


def _compared(store: Store, before: str, after: str, notes: list[str]) -> Comparison | None:
    """How an experiment differs from the baseline; a note where nothing can be said."""
    try:
        comparison = compare(before, after, storage=store)
    except NotFound as error:
        notes.append(f"not compared: {error}")
        return None
    for names, where in ((comparison.gone, "the baseline"), (comparison.new, f"{after!r}")):
        if names:
            notes.append(f"only in {where}: {', '.join(names[:10])}")
    notes += [note for contrast in comparison.evaluations for note in contrast.notes]
    return comparison


def _set_against(store: Store, part: Part, comparison: Comparison) -> None:
    for contrast in comparison.evaluations:
        if contrast.b.evaluation == part.evaluation:
            before = part.baseline = contrast.a
            part.verdicts = Verdicts(store.records(before.experiment, before.evaluation))
            part.differences = {
                (each.score, each.metric): each
                for score in contrast.scores
                for each in score.differences
            }


def columns_of(parts: Sequence[Part]) -> list[str]:
    """The scores that have a column in the table: the first ones of all evaluations."""
    names = dict.fromkeys(name for part in parts for name in part.summary.scores)
    return list(names)[:_SCORES]


def gather(
    store: Store,
    parts: Sequence[Part],
    scores: Sequence[str],
    bounds: Bounds,
    counts: Counts,
    notes: list[str],
    spool: IO[str],
) -> None:
    """
    Read the records: all of them for the pictures, then those that failed, are wrong or changed,
    then the others, as far as the bounds go.
    """
    for part in parts:
        _survey(store, part, counts)
    texts = Texts(min(counts.all, bounds.records), bounds.texts, bounds.longest)
    chunks = Chunks()
    for news in (True, False):
        for number, part in enumerate(parts):
            for record in store.records(part.experiment, part.evaluation):
                if counts.kept >= bounds.records:
                    break
                change = part.change(record)
                if (verdict(record) in (FAILED, WRONG) or change != SAME) is news:
                    counts.keep(record, change)
                    before = part.before.get(tag_of(record)) if change != SAME else None
                    row = row_of(record, number, change, scores)
                    spool.write(chunks.add(row, texts.of(record, before)))
    spool.write(chunks.rest())
    if counts.kept < counts.all:
        notes.append(
            f"{text.count(counts.kept)} of {text.count(counts.all)} records are in this file, "
            "first those that failed, are wrong or changed; the figures and pictures rest on all"
        )
    if texts.cut:
        notes.append(
            f"{plural(texts.cut, 'text')} cut to keep this file small; how much, stands below each"
        )


def _survey(store: Store, part: Part, counts: Counts) -> None:
    """Draw the pictures of an evaluation, and look up the baseline's answers where it changed."""
    changed: set[int] = set()
    for record in store.records(part.experiment, part.evaluation):
        counts.all += 1
        part.timeline.add(record)
        part.histogram.add(record.duration)
        if len(changed) < _BEFORE and part.change(record) != SAME:
            changed.add(tag_of(record))
    if changed and part.baseline is not None:
        for record in store.records(part.baseline.experiment, part.baseline.evaluation):
            if (tag := tag_of(record)) in changed:
                part.before[tag] = answer_of(record)
