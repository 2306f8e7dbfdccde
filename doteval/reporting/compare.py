"""
Two experiments on the same rows: what changed, how sure that is, and whether it is a regression.

    values of A ─┐ by key
                 ├▶ Pairs ─▶ Difference per metric ─▶ Holm over all ─▶ verdict
    values of B ─┘

Rows are paired by their identity, so an easier sample never looks like a better model. The
repeats of a row are reduced before rows are compared. Only values are read; texts are looked up for
the few examples that are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Union

from .. import metrics
from ..errors import NotFound, PluginError, UsageError
from ..record import Record
from ..statistics import distributions, tests
from ..statistics.noise import Flips
from ..storage import Address, Store, opened
from ..views.terminal import preformatted, printed
from .difference import (
    BETTER,
    NO_LOSS,
    NONE,
    REGRESSION,
    UNJUDGED,
    UNSURE,
    Difference,
    Question,
    detectable,
    difference_of,
)
from .figures import KEPT, UNTIL, recalled
from .pairs import Pairs, Side, Source
from .slices import FEWEST, TOO_FEW, members
from .summary import Summary, of_versions, versions_of
from .views import one_of, short_name

Named = Union[str, Summary]


@dataclass(frozen=True, slots=True)
class Example:
    """
    A row whose score changed.

    Attributes:
        a, b: its score in either.
        before, after: its records, with their texts; None where they were not found again.
        worse: whether it got worse.
    """

    a: float
    b: float
    before: Record | None
    after: Record | None
    worse: bool


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """
    One score in both experiments.

    Attributes:
        name: of the score.
        boolean: whether it is true or false.
        paired: rows that have it in both.
        only_a, only_b: rows that have it in one of them alone.
        failed_b: of the rows that only A has, those that failed in B.
        better, worse: paired rows whose score rose and fell in B; the other way round where
            lower is better.
        flips: of true/false scores that were asked several times, how many rows would flip were
            they asked once, and how many flip by themselves; else None.
        differences: by metric.
        examples: some of the rows that got worse, then some that got better.
    """

    name: str
    boolean: bool
    paired: int
    only_a: int
    only_b: int
    failed_b: int
    better: int
    worse: int
    differences: tuple[Difference, ...]
    examples: tuple[Example, ...] = ()
    flips: Flips | None = None


@dataclass(frozen=True, slots=True)
class Contrast:
    """
    One evaluation in both experiments.

    Attributes:
        a, b: where it is stored; the names of the evaluation may differ.
        failed_a, failed_b: records without scores.
        scores: what both have.
        notes: what a reader should know.
        status_a, status_b: of the evaluations: "complete", "interrupted", ...
        by: the values of the columns, where this is of one slice of the rows.
        slices: the same of each slice, where that was asked; they have no say in the verdict.
    """

    a: Source
    b: Source
    failed_a: int
    failed_b: int
    scores: tuple[ScoreChange, ...]
    notes: tuple[str, ...] = ()
    status_a: str = "complete"
    status_b: str = "complete"
    by: Mapping[str, Any] = field(default_factory=dict)
    slices: tuple[Contrast, ...] = ()

    @property
    def verdict(self) -> str:
        """
        The worst of its differences; "not judged" where none of them can be judged, and "cannot
        tell" where there is none.
        """
        return _worst_of(each.verdict for score in self.scores for each in score.differences)


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two experiments, evaluation by evaluation.

    Attributes:
        a, b: their names.
        confidence: of the intervals; 1 - confidence is the level of the tests.
        margin: the loss that would be accepted; None where any significant loss is a regression.
        evaluations: that both have; those that were asked about, where only some scores were.
        gone: evaluations that only A has; B can not be said to be as good there.
        new: evaluations that only B has.
    """

    a: str
    b: str
    confidence: float
    margin: float | None
    evaluations: tuple[Contrast, ...]
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """
        "regression" if anything got worse, else "cannot tell" if anything is in doubt, or if
        there is nothing that can be judged.
        """
        found = [*(each.verdict for each in self.evaluations), *[UNSURE] * len(self.gone)]
        return _worst_of(each for each in found if each != UNJUDGED)

    @property
    def labels(self) -> tuple[str, str]:
        """What the two sides are called: the experiments, or else what their evaluations have."""
        if self.a != self.b:
            return self.a, self.b
        first = self.evaluations[0]
        names = [short_name(source.evaluation) for source in (first.a, first.b)]
        heads, tails = zip(*(name.partition("[")[::2] for name in names), strict=True)
        if len(set(heads)) == 1 and all(tails):
            names = [f"[{tail}" for tail in tails]
        return names[0], names[1]

    def __str__(self) -> str:
        """What `doteval compare` prints."""
        return printed(self, "reporting.comparison", "comparison_lines")

    def _repr_html_(self) -> str:
        """What a notebook shows: the same."""
        return preformatted(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval compare --json` prints."""
        from .details import record_dict

        def example(each: Example) -> dict[str, Any]:
            return {
                "a": each.a,
                "b": each.b,
                "worse": each.worse,
                "record_a": None if each.before is None else record_dict(each.before),
                "record_b": None if each.after is None else record_dict(each.after),
            }

        def score(each: ScoreChange) -> dict[str, Any]:
            return {
                **_plain(each),
                "differences": [_plain(difference) for difference in each.differences],
                "examples": list(map(example, each.examples)),
                "flips": None if each.flips is None else _plain(each.flips),
            }

        def contrast(each: Contrast) -> dict[str, Any]:
            return {
                **_plain(each),
                "a": each.a.evaluation,
                "b": each.b.evaluation,
                "verdict": each.verdict,
                "scores": list(map(score, each.scores)),
                "notes": list(each.notes),
                "by": dict(each.by),
                "slices": list(map(contrast, each.slices)),
            }

        return {
            "a": self.a,
            "b": self.b,
            "verdict": self.verdict,
            "confidence": self.confidence,
            "margin": self.margin,
            "evaluations": list(map(contrast, self.evaluations)),
            "only_in_a": list(self.gone),
            "only_in_b": list(self.new),
        }


_WORST_FIRST = (REGRESSION, UNSURE, NO_LOSS, NONE, BETTER, UNJUDGED)


def _worst_of(verdicts: Iterable[str]) -> str:
    """The one that counts; "cannot tell" where there is none."""
    found = set(verdicts)
    return next((each for each in _WORST_FIRST if each in found), UNSURE)


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


# --- comparing --------------------------------------------------------------------------------


def compare(
    a: Named,
    b: Named,
    *,
    evaluation: str | None = None,
    other: str | None = None,
    storage: Address = None,
    only: Collection[str] = (),
    lower_is_better: Collection[str] = (),
    margin: float | None = None,
    confidence: float = 0.95,
    examples: int = 3,
    seed: int = 0,
    paired_only: bool = False,
    by: str | Sequence[str] = (),
) -> Comparison:
    """
    Is B better or worse than A, on the rows that both have?

    Without a margin the question is whether B lost anything: a significant loss is a regression,
    a loss that may be chance can not be told, and where there is none, none was seen. With a
    margin it is whether B is worse by more than that: no regression if the interval lies above
    -margin, a regression if B is significantly below it, else it can not be told. B is better
    where it is significantly. Rows that are missing in a B that is not complete, or failed there,
    never help it.

    Args:
        a, b: experiments, by name, or Summaries of them; B is the newer one.
        evaluation: only this one, by its full or short name; of A, where `other` is given.
        other: the evaluation of B to pair it with, where it has another name (another model as
            a parameter, say). A and B may be the same experiment then.
        storage: the address of the store, or an open one.
        only: scores, or "score.metric", to look at; all by default. The fewer are asked, the
            less each has to be corrected for the others.
        lower_is_better: scores, or "score.metric", where less is better.
        margin: the loss to accept, in the unit of the metric (0.01 is one percentage point).
        confidence: of the intervals, in (0, 1).
        examples: rows to show of those that got worse, and of those that got better.
        seed: of what is resampled.
        paired_only: judge by the rows that both have, even if B is not complete.
        by: columns, also as "language,difficulty": the differences of each slice of the rows by
            their values too, with p-values that are corrected for each other. The verdict stays
            that of the whole. A slice of fewer than ten rows is "cannot tell".

    Raises:
        NotFound: an experiment or evaluation is not there, they have no row or score in common,
            or no row has such a column.
        UsageError: an argument makes no sense, or a name fits several evaluations.
    """
    if margin is not None and not 0 <= margin < float("inf"):
        raise UsageError(f"margin={margin!r}: expected 0 or more; it is the loss to accept")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence={confidence!r}: expected a number between 0 and 1")
    before, after = (each if isinstance(each, str) else each.experiment for each in (a, b))
    asked = Question(
        frozenset(only),
        frozenset(lower_is_better),
        margin,
        confidence,
        examples,
        seed,
        paired_only,
    )
    with opened(storage) as store:
        chosen = evaluations_of(store, before, after, evaluation, other)
        _check_names(asked, store, chosen)
        chosen = _asked_about(asked, store, chosen)
        columns = [name.strip() for name in by.split(",")] if isinstance(by, str) else by
        found = [_contrast(store, *sources, asked, columns) for sources in chosen.pairs]
    if not any(score.paired for each in found for score in each.scores):
        raise NotFound(_nothing_in_common(before, after, found))
    if columns and not any(each.slices for each in found):
        raise NotFound(found[0].notes[-1])
    slices = iter(judged([s for each in found for s in each.slices], margin, confidence, FEWEST))
    verdicts = tuple(
        replace(each, slices=tuple(islice(slices, len(each.slices))))
        for each in judged(found, margin, confidence)
    )
    return Comparison(before, after, confidence, margin, verdicts, chosen.gone, chosen.new)


def _check_names(asked: Question, store: Store, chosen: _Chosen) -> None:
    """Refuse names that fit nothing: a typing error must not change a verdict."""
    known: set[str] = set()
    for a, b in chosen.pairs:
        theirs, ours = store.tally(*a).scores, store.tally(*b).scores
        for name in theirs.keys() & ours.keys():
            known |= {
                name,
                *(f"{name}.{metric}" for metric in metrics.declared(ours[name]["metrics"])[0]),
            }
    for name in sorted((asked.only | asked.lower) - known):
        raise NotFound(f"no score {name!r} in both; there are: {', '.join(sorted(known))}")


def _asked_about(asked: Question, store: Store, chosen: _Chosen) -> _Chosen:
    """Without the evaluations that know none of the scores of the question: they have no say."""

    def is_asked(*sources: Source) -> bool:
        return not asked.only or any(
            asked.asks(score, metric)
            for source in sources
            for score, facts in store.tally(*source).scores.items()
            for metric in facts["metrics"]
        )

    return replace(
        chosen,
        pairs=tuple(pair for pair in chosen.pairs if is_asked(*pair)),
        gone=tuple(name for name in chosen.gone if is_asked(Source(chosen.a, name))),
        new=tuple(name for name in chosen.new if is_asked(Source(chosen.b, name))),
    )


def _nothing_in_common(a: str, b: str, found: Sequence[Contrast]) -> str:
    names = ", ".join(each.a.evaluation for each in found)
    if not any(each.scores for each in found):
        return f"{a!r} and {b!r} have no score in common in {names}"
    return (
        f"{a!r} and {b!r} have no row in common in {names}: rows are the same when their id, or "
        "else all their columns, are equal"
    )


# --- which evaluations ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Evaluations of A and B to compare, and those that only one of the experiments has."""

    a: str
    b: str
    pairs: tuple[tuple[Source, Source], ...]
    gone: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


def evaluations_of(
    store: Store, a: str, b: str, evaluation: str | None = None, other: str | None = None
) -> _Chosen:
    """
    Pair the evaluations of two experiments: by full name, else by a short name that is unique.

    Raises:
        NotFound: there is no such experiment or evaluation, or none in common.
        UsageError: a name fits several evaluations, or `other` stands alone.
    """
    if other is not None and evaluation is None:
        raise UsageError("`other` is the evaluation of B to pair with `evaluation`: give both")
    theirs, ours = store.evaluations(a), store.evaluations(b)
    if evaluation is not None:
        first = one_of(theirs, evaluation, a)
        second = (
            first
            if other is None and first in ours
            else one_of(
                ours,
                other or short_name(first),
                b,  # its file may have been moved
            )
        )
        return _Chosen(a, b, ((Source(a, first), Source(b, second)),))
    if a == b:
        raise UsageError(
            f"{a!r} compared with itself: name another experiment, or two of its evaluations "
            "(--evaluation X --other Y)"
        )
    pairs = []
    for name in theirs:
        partner = _partner(name, theirs, ours)
        if partner is not None:
            pairs.append((Source(a, name), Source(b, partner)))
    if not pairs:
        raise NotFound(
            f"{a!r} and {b!r} have no evaluation in common; {a!r} has {', '.join(theirs)}; {b!r} "
            f"has {', '.join(ours)}; name one of each with --evaluation and --other"
        )
    gone = set(theirs) - {before.evaluation for before, _ in pairs}
    new = set(ours) - {after.evaluation for _, after in pairs}
    return _Chosen(
        a,
        b,
        tuple(pairs),
        tuple(name for name in theirs if name in gone),
        tuple(name for name in ours if name in new),
    )


def _partner(name: str, theirs: Sequence[str], ours: Sequence[str]) -> str | None:
    """The evaluation of the same full name; else, where a file was moved, of the same short one."""
    if name in ours:
        return name
    short = short_name(name)
    fitting = [each for each in ours if short_name(each) == short and each not in theirs]
    rivals = [each for each in theirs if short_name(each) == short and each not in ours]
    return fitting[0] if len(fitting) == len(rivals) == 1 else None


# --- one evaluation ---------------------------------------------------------------------------


def _contrast(store: Store, a: Source, b: Source, asked: Question, by: Sequence[str]) -> Contrast:
    before, after = Side(store, a), Side(store, b)
    notes: list[str] = []
    scores = _changes(before, after, asked, notes)
    for side, name in ((before, a.experiment), (after, b.experiment)):
        if made := versions_of(store, side.runs):
            notes.append(f"{name!r} {of_versions(len(made))}")
        if side.runs and UNTIL in side.runs[-1].header:
            notes.append(f"{name!r} was run until a gate was decided; tests here are for one look")
    failed = before.tally.failed, after.tally.failed
    statuses = before.status, after.status
    slices = []
    try:
        for part in members(store, [b, a], by) if by else ():
            sides = before.within(part.keys), after.within(part.keys)
            found = _changes(*sides, replace(asked, examples=0), [])
            having = tuple(each for each in found if each.paired or each.only_a or each.only_b)
            slices.append(Contrast(a, b, part.failed[1], part.failed[0], having, by=part.by))
    except NotFound as error:  # other evaluations may have such columns
        notes.append(str(error))
    return Contrast(a, b, *failed, scores, tuple(notes), *statuses, slices=tuple(slices))


def _changes(
    before: Side, after: Side, asked: Question, notes: list[str]
) -> tuple[ScoreChange, ...]:
    """Of each score that both have; what else there is to say goes to the notes."""
    scores = []
    for name, facts in after.tally.scores.items():
        known = before.tally.scores.get(name)
        titles = [
            title for title in metrics.declared(facts["metrics"])[0] if asked.asks(name, title)
        ]
        if known is None:
            notes.append(f"{name} has no scores in {before.source.experiment!r}")
        elif titles:
            boolean = bool(known["boolean"] and facts["boolean"])
            scores.append(_change(before, after, name, titles, boolean, asked, notes))
    for name in before.tally.scores.keys() - after.tally.scores.keys():
        notes.append(f"{name} has no scores in {after.source.experiment!r}")
    return tuple(scores)


def _of_kept(
    a: Side, b: Side, name: str, title: str, n: int, asked: Question
) -> Iterator[Difference]:
    """The figures that both sides' runs have kept, where nobody can compute them for these rows."""
    x, y = (
        recalled(reversed(each.runs), name, title, asked.confidence, each.tally.scores[name])
        for each in (a, b)
    )
    if x is not None and y is not None and x.value is not None and y.value is not None:
        less = asked.prefers_less(name, title)
        method = f"{KEPT}, over all rows of either; no test"
        yield Difference(
            name, title, n, x.value, y.value, y.value - x.value, method=method, lower_is_better=less
        )


def _change(
    a: Side,
    b: Side,
    name: str,
    titles: Sequence[str],
    boolean: bool,
    asked: Question,
    notes: list[str],
) -> ScoreChange:
    pairs = Pairs(a, b, name, asked.examples)
    differences: list[Difference] = []
    for title in titles:
        try:
            found = difference_of(pairs, name, metrics.find(title), boolean, asked)
        except (NotFound, PluginError, UsageError) as error:  # this one only; the rest is told
            notes.append(f"{name}.{title}: {error}")
            differences += _of_kept(a, b, name, title, len(pairs.xs), asked)
        else:
            if pairs.absent and b.status != "complete" and not asked.paired_only:
                said = f"{pairs.absent:,} rows of {a.source.experiment} are missing in B, which is "
                found = replace(found, reason=found.reason or f"{said}{b.status}")
            differences.append(found)
    less = all(asked.prefers_less(name, title) for title in titles)
    worse, better = (pairs.better, pairs.worse) if less else (pairs.worse, pairs.better)
    picked = [*worse, *better]
    keys = {key for key, _, _ in picked}
    befores, afters = a.found(keys), b.found(keys)
    return ScoreChange(
        name=name,
        boolean=boolean,
        paired=len(pairs.xs),
        only_a=pairs.only_a,
        only_b=pairs.only_b,
        failed_b=len(pairs.lost),
        better=pairs.fallen if less else pairs.risen,
        worse=pairs.risen if less else pairs.fallen,
        differences=tuple(differences),
        flips=pairs.flips(asked.seed) if boolean else None,
        examples=tuple(
            Example(x, y, befores.get(key), afters.get(key), (y < x) != less)
            for key, x, y in picked
        ),
    )


# --- verdicts ---------------------------------------------------------------------------------


def judged(
    found: Sequence[Contrast], margin: float | None, confidence: float, fewest: int = 0
) -> tuple[Contrast, ...]:
    """
    The same with p-values corrected for each other, and verdicts.

    Args:
        fewest: rows below which nothing is told, and nothing tested.
    """
    every = [each for it in found for score in it.scores for each in score.differences]
    places = [at for at, it in enumerate(found) for score in it.scores for _ in score.differences]

    def corrected(p_of: Callable[[Difference], float | None]) -> tuple[list[float | None], int]:
        values = [p_of(each) if each.n >= fewest else None for each in every]
        return _holm(values, list(zip(places, every, strict=True)))

    adjusted, asked = corrected(lambda each: each.p)
    beyond = adjusted
    if margin is not None:
        beyond, _ = corrected(lambda each: _p_beyond(each, margin))
    level = 1 - confidence
    told = []
    for each, p, q in zip(every, adjusted, beyond, strict=True):
        verdict, reason = _verdict(each, q, margin, level)
        if each.n < fewest and verdict != UNJUDGED:
            verdict, reason = UNSURE, TOO_FEW
        seen = detectable(each, level / asked)
        told.append(replace(each, adjusted=p, detectable=seen, verdict=verdict, reason=reason))
    again = iter(told)
    return tuple(
        replace(
            it,
            scores=tuple(
                replace(score, differences=tuple(next(again) for _ in score.differences))
                for score in it.scores
            ),
        )
        for it in found
    )


def _holm(
    values: Sequence[float | None], of: Sequence[tuple[int, Difference]]
) -> tuple[list[float | None], int]:
    """
    Corrected for each other, and for how many questions; None stays None.

    Metrics of one score that say the same, as accuracy and mean of true and false do, are one.

    Args:
        of: where each stands, and the difference.
    """
    same = [(at, each.score, p, each.value) for (at, each), p in zip(of, values, strict=True)]
    asked = list(dict.fromkeys(each for each in same if each[2] is not None))
    corrected = tests.holm([p for _, _, p, _ in asked if p is not None])
    known = dict(zip(asked, corrected, strict=True))
    return [known.get(each) for each in same], max(1, len(asked))


def _p_beyond(each: Difference, margin: float) -> float | None:
    """Two-sided p-value of "B is worse by exactly the margin"."""
    if each.low is None or each.high is None or not each.stderr:
        return None
    centre = (each.low + each.high) / 2
    gain = -centre if each.lower_is_better else centre
    return 2 * distributions.normal_tail(abs(gain + margin) / each.stderr)


def _verdict(
    each: Difference, p: float | None, margin: float | None, level: float
) -> tuple[str, str]:
    """The verdict and, where the figures do not tell, its reason."""
    if each.verdict == UNJUDGED:
        return UNJUDGED, ""
    gain = each.gain
    if gain is None or gain != gain:
        return UNSURE, each.reason or each.method
    sure = p is not None and p < level
    if margin is not None and each.gains is None:
        return UNSURE, each.reason or each.method.rpartition("; ")[2]
    worst, best = each.gains or (-math.inf, math.inf)
    if each.flips is None:  # a mean; the test alone is about more than the mean
        sure = sure and not worst <= 0 <= best
    if margin is None:
        lost = gain < 0
    else:
        lost = worst < -margin
        if lost:
            sure = best < -margin and (p is None or p < level)
    if lost:
        return (REGRESSION if sure else UNSURE), ""
    if each.reason:
        return UNSURE, each.reason
    if sure and gain > 0:
        return BETTER, ""
    return (NO_LOSS if margin is None else NONE), ""
