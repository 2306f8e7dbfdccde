"""
Gates judged: what was asked of an evaluation, against what came out of it.

    Gate ─────┐
    Evidence ─┴judge─▶ Verdicts: pass, fail or undecided, with the figures in full

NaN passes no gate, and neither does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf, isfinite
from typing import Any

from .. import metrics
from ..errors import NotFound, PluginError, UsageError
from ..metrics import ANYTIME, Estimate
from ..statistics.intervals import mean_of
from ..statistics.power import rows_for_mean, rows_for_share
from ..statistics.sequential import anytime, anytime_of
from ..statistics.shares import exact
from ..views.figures import Show, bar, beside, change, plural, score_figure, width_of
from .evidence import AtHand, Evidence, Stored
from .figures import KEPT
from .grammar import (
    FAIL,
    FIGURES,
    PASS,
    UNDECIDED,
    AnyGate,
    Baseline,
    Combined,
    Figure,
    Gate,
    GateError,
    parse,
)
from .noise import is_flaky
from .slices import FEWEST, TOO_FEW, slice_name
from .summary import Summary
from .values import Rows
from .views import short_name

__all__ = [
    "FAIL",
    "PASS",
    "UNDECIDED",
    "AnyGate",
    "AtHand",
    "Evidence",
    "Gate",
    "GateError",
    "Stored",
    "Verdict",
    "judge",
    "outcome_of",
    "parse",
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What became of a gate in one evaluation.

    Attributes:
        gate: the gate.
        evaluation: its name; "" where there was none to judge.
        outcome: "pass", "fail" or "undecided".
        value: the figure; against a baseline, the difference. None where there is none.
        threshold: what it was compared with.
        low, high: the interval that had to hold; None where none was asked for.
        n: rows that the figure rests on.
        needed: how many rows would decide, if things stay as they are; None where it is decided
            or can not be told.
        message: the figures, with the digits that tell them from the threshold, or why there are
            none.
        note: what a reader should know although it is decided; "" for nothing.
        by: the values of the columns, where this is of one slice of the evaluation.
        slices: of a gate that each slice has to fulfil, what became of it in each; the figures are
            theirs then, and their intervals hold together.
    """

    gate: AnyGate
    evaluation: str
    outcome: str
    value: float | None = None
    threshold: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    needed: int | None = None
    message: str = ""
    note: str = ""
    by: Mapping[str, Any] = field(default_factory=dict)
    slices: tuple[Verdict, ...] = ()

    @property
    def told(self) -> str:
        """The message with what the slices say that do not hold, and the note."""
        parts = [each for each in self.slices if each.outcome != PASS]
        said = [f"{slice_name(each.by)}: {each.outcome}, {each.told}" for each in parts[:_SAID]]
        if len(parts) > _SAID:
            said.append(f"and {plural(len(parts) - _SAID, 'other slice')}")
        return "; ".join(filter(None, (self.message, *said, self.note)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval gate --json` prints."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        slices = [each.to_dict() for each in self.slices]
        return {**plain, "gate": self.gate.text, "by": dict(self.by), "slices": slices}


_SAID = 10  # slices in a sentence


def judge(gates: Iterable[AnyGate], evidence: Evidence, *, partial: bool = False) -> list[Verdict]:
    """
    Judge gates, in their order, each by every evaluation that it concerns.

    A gate that concerns no evaluation, or whose figure does not exist, fails. One about an
    evaluation of which shards are missing is undecided, unless it is about what is missing.

    Args:
        partial: judge the shards that are there.
    """
    return [verdict for gate in gates for verdict in _verdicts(gate, evidence, partial)]


def _verdicts(gate: AnyGate, evidence: Evidence, partial: bool) -> list[Verdict]:
    """Of one gate, an evaluation at a time."""
    if isinstance(gate, Combined):
        return _combined(gate, [_verdicts(part, evidence, partial) for part in gate.parts])
    verdicts = []
    summaries = evidence.summaries(gate.confidence or 0.95, gate.anytime)
    for each in summaries:
        if gate.concerns(each.evaluation):
            lacking = None if partial else _lacking(gate, each)
            verdicts.append(lacking or _on_what_is_there(gate, _judged(gate, each, evidence), each))
    names = ", ".join(short_name(each.evaluation) for each in summaries)
    said = f"it is about no evaluation; there is {names}" if names else "there is no evaluation"
    return verdicts or [Verdict(gate, "", FAIL, message=said)]


_WORST_OF = {"and": (FAIL, UNDECIDED, PASS), "or": (PASS, UNDECIDED, FAIL)}


def _combined(gate: Combined, found: Sequence[Sequence[Verdict]]) -> list[Verdict]:
    """What the parts of a gate say together, an evaluation at a time."""
    named = [each.evaluation for part in found for each in part if each.evaluation]
    verdicts = []
    for name in dict.fromkeys(named or [""]):
        about = [each for part in found for each in part if each.evaluation in (name, "")]
        outcomes = {each.outcome for each in about}
        bare = [replace(each, note="") for each in about]
        told = "; ".join(f"{each.gate.text}: {each.outcome}, {each.told}" for each in bare)
        notes = "; ".join(dict.fromkeys(each.note for each in about if each.note))
        outcome = next(each for each in _WORST_OF[gate.word] if each in outcomes)
        verdicts.append(Verdict(gate, name, outcome, message=told, note=notes))
    return verdicts


def outcome_of(verdicts: Iterable[Verdict]) -> str:
    """ "fail" if any failed or there is none, else "undecided" if any is, else "pass"."""
    found = {each.outcome for each in verdicts} or {FAIL}
    return next(each for each in (FAIL, UNDECIDED, PASS) if each in found)


def _lacking(gate: Gate, summary: Summary) -> Verdict | None:
    """The verdict where shards are not all there, or not complete; None where they are."""
    lacking = [f"{part} {said}" for part, said in summary.shards.items() if said != "complete"]
    if not summary.shards or summary.missing == 0 or _is_about_missing(gate):
        return None
    said = "rows" if summary.missing is None else plural(summary.missing, "record")
    verb = "is" if summary.missing == 1 else "are"
    shards = f" (shard {', '.join(lacking)})" if lacking else ""
    return Verdict(
        gate,
        summary.evaluation,
        UNDECIDED,
        message=f"{said} of other shards {verb} missing{shards}: merge them first, or judge what "
        "is there with --partial",
    )


def _is_about_missing(gate: Gate) -> bool:
    return not gate.is_score and gate.subject in ("missing", "coverage")


def _on_what_is_there(gate: Gate, verdict: Verdict, summary: Summary) -> Verdict:
    """With a note where a gate passes and rows are missing, unless it is about them."""
    if verdict.outcome != PASS or not summary.missing or _is_about_missing(gate):
        return verdict
    said = f"{summary.missing:,} of {summary.total:,} records are missing"
    return replace(verdict, note="; ".join(filter(None, (verdict.note, said))))


def _judged(gate: Gate, summary: Summary, evidence: Evidence) -> Verdict:
    try:
        gate = _meant(gate, summary)
        if gate.by:
            return _by_slices(gate, summary, evidence)
        figure = None if gate.is_score else FIGURES.get(gate.subject)
        if figure is not None:
            return _by_figure(gate, figure, summary, evidence)
        if gate.each:
            return _by_rows(gate, summary, evidence)
        metric, estimate = _estimate(gate, summary)
        if isinstance(gate.threshold, Baseline):
            return _by_difference(gate, gate.threshold, summary, metric, evidence)
        return _by_estimate(gate, gate.threshold, summary, metric, estimate)
    except (NotFound, PluginError, UsageError) as error:  # it fails its gate, and not the others
        return Verdict(gate, summary.evaluation, FAIL, message=str(error))


def _meant(gate: Gate, summary: Summary) -> Gate:
    """With its score, where a gate names a metric alone that one score has: "accuracy >= 80%"."""
    if gate.is_score or gate.subject in FIGURES or gate.subject in summary.scores:
        return gate
    having = [score for score, of in summary.scores.items() if gate.subject in of]
    if len(having) != 1:
        return gate
    return replace(gate, subject=having[0], metric=gate.subject, is_score=True)


def _estimate(gate: Gate, summary: Summary) -> tuple[str, Estimate]:
    """
    The metric that is meant, and its estimate.

    Raises:
        NotFound: there is none; names those that there are.
    """
    known = [f"{score}.{metric}" for score, found in summary.scores.items() for metric in found]
    there = f"; there are: {', '.join([*known, *FIGURES])}"
    by_metric = summary.scores.get(gate.subject, {})
    if gate.metric not in by_metric and not (gate.metric is None and by_metric):
        wanted = f"{gate.subject}.{'' if gate.metric is None else f'{gate.metric}:'}"
        if told := [each for each in summary.unknown if each.startswith(wanted)]:
            raise NotFound(told[0])
    if not by_metric:
        why = "" if summary.scored else ": no row has scores"
        raise NotFound(f"there is no score {gate.subject!r}{why}{there}")
    of_labels = [metric for metric in by_metric if metrics.is_share(metric)]
    named = [metric for metric in by_metric if metric not in of_labels]
    if gate.metric is None and (len(named) > 1 or (of_labels and not named)):
        raise NotFound(
            f"{gate.subject!r} has several metrics, say which: "
            + " or ".join(f"{gate.subject}.{metric}" for metric in by_metric)
        )
    metric = named[0] if gate.metric is None else gate.metric
    if metric not in by_metric and of_labels and metrics.is_share(metric):
        rows = [[("", None)]] * (summary.groups or by_metric[of_labels[0]].n)  # nobody said it
        return metric, metrics.find(metric).estimate(rows, confidence=summary.confidence)  # type: ignore[arg-type]
    if metric not in by_metric:
        raise NotFound(f"there is no {gate.subject}.{metric}{there}")
    return metric, by_metric[metric]


def _by_estimate(
    gate: Gate, threshold: float, summary: Summary, metric: str, estimate: Estimate
) -> Verdict:
    if gate.end:
        end = getattr(estimate, gate.end)
        if end is None:
            raise NotFound(f"{gate.subject}.{metric} has no {gate.end}: {estimate.method}")
        estimate = replace(estimate, value=end)
    show = partial(score_figure, metric)
    if gate.of_all:
        estimate = _of_all(gate, summary, estimate, summary.failed)
    verdict = _decided(gate, summary, threshold, estimate, show)
    if estimate.method.startswith(KEPT):
        verdict = replace(verdict, note=KEPT)
    if estimate.high is not None and estimate.high <= 1 < threshold < 100 and not gate.percent:
        hint = f"{verdict.message}; {threshold:g}% perhaps?"
        verdict = replace(verdict, message=hint)
    pair = None if gate.of_all else summary.bounds.get(gate.subject, {}).get(metric)
    return _if_failures_counted(gate, verdict, threshold, summary, pair, "it", show)


def _of_all(gate: Gate, summary: Summary, found: Estimate, unknown: int = 0) -> Estimate:
    """
    An estimate with an interval for the share of all the rows of the dataset.

    Args:
        unknown: rows that came to nothing: either way may be theirs.

    Raises:
        NotFound: it can not be told, with the reason.
    """
    rows, n, confidence = summary.total, found.n, gate.confidence or 0.95
    true = round((found.value or 0.0) * n)
    if rows is None:
        raise NotFound(f"{gate.subject}: of all rows is unknown, as the end of the dataset is")
    if summary.repeats != 1 or found.value is None or abs(found.value * n - true) > 1e-6:
        raise NotFound(f"{gate.subject}: `of all rows` counts true and false, once for each row")
    low, _ = anytime_of(true, n + unknown, rows, confidence)
    _, high = anytime_of(true + unknown, n + unknown, rows, confidence)
    return Estimate(found.value, n, None, low, high, _OF_ALL)


def _if_failures_counted(
    gate: Gate,
    verdict: Verdict,
    threshold: float,
    summary: Summary,
    pair: Sequence[float] | None,
    what: str,
    show: Show,
) -> Verdict:
    """
    What the failed rows could change about a gate that passes: with an interval it is undecided
    then, else a note tells it. A version that fails where it was wrong must not look better.
    """
    if verdict.outcome != PASS or not summary.failed or pair is None:
        return verdict
    n, confidence = (verdict.n or 0) + summary.failed, gate.confidence
    for value, word in zip(pair, ("wrong", "right"), strict=True):
        ends = [value]
        if (confidence is not None or gate.end) and 0 <= value <= 1:
            low, high = exact(value * n, n, confidence or 0.95)
            ends = {"low": [low], "high": [high]}.get(gate.end, [value, low, high])
        if not all(gate.holds(end, threshold) for end in ends):
            width = width_of(verdict.low, verdict.high)
            would = f"{what} would be {beside(show, value, threshold, width)}"
            they = "it" if summary.failed == 1 else "they"
            note = f"{plural(summary.failed, 'row')} failed; were {they} {word}, {would}"
            outcome = PASS if confidence is None and not gate.end else UNDECIDED
            return replace(verdict, outcome=outcome, note=note)
    return verdict


def _by_difference(
    gate: Gate, baseline: Baseline, summary: Summary, metric: str, evidence: Evidence
) -> Verdict:
    """Against a baseline, over the rows that both have: another sample is no better model."""
    found = evidence.difference(
        baseline.experiment,
        summary.evaluation,
        gate.subject,
        metric,
        gate.confidence or 0.95,
        gate.anytime or summary.until is not None,
        baseline.factor,
    )
    if found.n == 0:
        raise NotFound(f"no row has {gate.subject} both here and in {baseline.experiment!r}")
    estimate = Estimate(found.value, found.n, found.stderr, found.low, found.high, found.method)
    show = partial(change, metric)
    verdict = _decided(gate, summary, baseline.offset, estimate, show)
    width = width_of(found.low, found.high)
    here, there = (score_figure(metric, side, width) for side in (found.b, found.a))
    of = "" if baseline.factor == 1 else f" to {baseline.factor:g} of that"
    paired = (
        f"{here} here, {there} in {baseline.experiment}, "
        f"on {found.n:,} rows of both; the difference{of} is {verdict.message}"
    )
    verdict = replace(verdict, message=paired)
    pair = found.bounds
    return _if_failures_counted(
        gate, verdict, baseline.offset, summary, pair, "the difference", show
    )


def _by_rows(gate: Gate, summary: Summary, evidence: Evidence) -> Verdict:
    """Every row by itself: the worst one tells."""
    assert isinstance(gate.threshold, float)
    scores = evidence.rows(summary.evaluation)
    if not scores.get(gate.subject):
        raise NotFound(f"there is no score {gate.subject!r}; there are: {', '.join(scores)}")
    values = [mean_of(row) for row in scores[gate.subject].values()]
    wrong = [value for value in values if not gate.holds(value, gate.threshold)]
    # Of those that do not hold one that is farthest off; NaN is, wherever it stands.
    worst = max(wrong or values, key=lambda value: _off(gate, value))
    show = partial(score_figure, "accuracy" if gate.percent else "")
    verdict = _decided(gate, summary, gate.threshold, Estimate(worst, len(values)), show)
    said = f"{len(wrong):,} of {plural(len(values), 'row')} do not hold, the worst: "
    said = said if wrong else ""
    verdict = replace(verdict, message=f"{said}{verdict.message}")
    if summary.failed and not wrong:
        verdict = replace(verdict, note=f"{plural(summary.failed, 'record')} failed, with no value")
    return verdict


def _by_slices(gate: Gate, summary: Summary, evidence: Evidence) -> Verdict:
    """Each slice by itself; where intervals are asked for, they hold for all slices together."""
    is_score = gate.is_score or gate.subject not in FIGURES
    if is_score:
        _estimate(gate, summary)  # what no row has fails, however few there are in a slice
    found = []
    for by, part, rows in evidence.parts(summary, gate.by, gate.anytime or bool(summary.until)):
        having = part.scores.get(gate.subject, {}).values()
        if is_score and not part.failed and not any(each.n for each in having):
            continue  # nobody asks there for this score
        confidence = gate.confidence and part.confidence
        verdict = _judged(replace(gate, by=(), confidence=confidence), part, rows)
        n = verdict.n or 0
        if n < FEWEST:
            title = "accuracy" if gate.percent else gate.metric or ""
            figure = score_figure(title, verdict.value) if n else verdict.message
            said = f"{plural(n, 'row')}, {TOO_FEW}: {figure}"
            verdict = replace(verdict, outcome=UNDECIDED, message=said)
        found.append(replace(verdict, gate=gate, by=by))
    held = sum(each.outcome == PASS for each in found)
    verb = "holds" if held == 1 else "hold"
    return Verdict(
        gate,
        summary.evaluation,
        outcome_of(found),
        message=f"{held:,} of {plural(len(found), 'slice')} {verb}",
        slices=tuple(found),
    )


def _off(gate: Gate, value: float) -> float:
    """How far a value is on the wrong side."""
    assert isinstance(gate.threshold, float)
    apart = value - gate.threshold
    return inf if value != value else {">": -apart, "<": apart}.get(gate.sign[0], abs(apart))


def _by_figure(gate: Gate, figure: Figure, summary: Summary, evidence: Evidence) -> Verdict:
    if not summary.done:
        raise NotFound("no row has an outcome yet")
    value, n = _figure(gate, figure, summary, evidence)
    as_share = gate.percent or figure.is_share
    show = partial(score_figure, "accuracy" if as_share else "")
    if isinstance(gate.threshold, Baseline):
        other = evidence.baseline(gate.threshold.experiment, summary.evaluation)
        before, _ = _figure(gate, figure, other, evidence)
        threshold = before * gate.threshold.factor + gate.threshold.offset
        return _decided(gate, summary, threshold, Estimate(value, n), show)
    estimate = Estimate(value, n)
    if gate.confidence is not None:
        # Repeats of a row may well fail together, so only rows are taken for independent.
        rows = n if gate.subject == _FLAKY else n / summary.repeats
        there = value * rows
        if gate.of_all:
            estimate = _of_all(gate, summary, estimate)
        elif gate.anytime or summary.until is not None:
            ends = anytime({1.0: there, 0.0: rows - there}, confidence=gate.confidence)
            estimate = Estimate(value, round(rows), None, *ends, ANYTIME)
        else:
            ends = exact(there, rows, gate.confidence)
            estimate = Estimate(value, round(rows), None, *ends, "clopper-pearson")
    return _decided(gate, summary, gate.threshold, estimate, show)


_FLAKY = "flaky"


def _flaky(gate: Gate, summary: Summary, evidence: Evidence) -> tuple[float, int]:
    """
    How many rows have repeats that are not all the same, of those that were asked twice: by their
    true/false scores and labels, and by numbers where there are no others.
    """
    labels, rows = evidence.labels(summary.evaluation), evidence.rows(summary.evaluation)
    scores: dict[str, Mapping[bytes, Sequence[Any]]] = {**rows, **labels}
    sharp = [name for name in scores if name in labels or _are_sharp(rows[name])]
    asked: dict[bytes, bool] = {}
    for name in sharp or scores:
        for key, values in scores[name].items():
            if len(values) > 1:
                asked[key] = asked.get(key, False) or is_flaky(values)
    if not asked:
        raise NotFound("flaky: no row was asked several times; ForEach(repeats=3) does")
    flaky = sum(asked.values())
    return (flaky / len(asked) if gate.percent else flaky), len(asked)


def _are_sharp(rows: Rows) -> bool:
    return all(value in (0, 1) for row in rows.values() for value in row)


def _figure(gate: Gate, figure: Figure, summary: Summary, evidence: Evidence) -> tuple[float, int]:
    """
    The figure, as a share where percent are asked for, and the rows it rests on.

    Raises:
        NotFound: it is unknown.
    """
    if gate.subject == _FLAKY:
        return _flaky(gate, summary, evidence)
    value = figure.read(summary)
    # Against a baseline, which may have other rows, counts are shares unless one more is allowed.
    equal = isinstance(gate.threshold, Baseline) and not gate.threshold.offset
    share = figure.of is not None and (gate.percent or equal)
    whole = figure.of(summary) if figure.of and share else None
    if value is None or (share and not whole):
        why = "the end of the dataset is unknown" if gate.subject == "missing" else "unknown"
        if gate.subject in summary.scores:
            why += f"; to mean the score of this name, put it in quotes: '{gate.subject}'"
        raise NotFound(f"{gate.subject}: {why}")
    return (value, summary.done) if whole is None else (value / whole, round(whole))


def _decided(
    gate: Gate, summary: Summary, threshold: float, estimate: Estimate, show: Show
) -> Verdict:
    """A figure, or its interval, against a number."""
    value = estimate.value
    if value is None:
        raise NotFound(f"{gate.subject}: {estimate.method or 'no data'}")
    shown = beside(show, value, threshold, width_of(estimate.low, estimate.high))
    found = Verdict(gate, summary.evaluation, FAIL, value, threshold, n=estimate.n, message=shown)
    if value != value:
        return replace(found, message="NaN, which passes no gate")
    if gate.confidence is None:
        holds = gate.holds(value, threshold)
        sign = gate.sign if holds else f"is not {gate.sign}"
        said = f"{shown} {sign} {bar(show, threshold)}"
        return replace(found, outcome=PASS if holds else FAIL, message=said)
    if estimate.low is None or estimate.high is None:
        why = estimate.method.rpartition("no interval: ")[2]
        return replace(found, outcome=UNDECIDED, message=f"{shown}, and no interval: {why}")
    return _by_interval(gate, found, estimate, gate.confidence, summary.groups, show)


_OF_ALL = "prior-posterior ratio"
_LOOKS = {ANYTIME: "at any look", _OF_ALL: "of all rows, at any look"}


def _by_interval(
    gate: Gate,
    found: Verdict,
    estimate: Estimate,
    confidence: float,
    groups: int | None,
    show: Show,
) -> Verdict:
    """Passes where all of the interval does, fails where none of it does."""
    threshold = found.threshold
    assert threshold is not None and estimate.low is not None and estimate.high is not None
    bounds = (estimate.low, estimate.high)
    ends = [gate.holds(end, threshold) for end in bounds]
    outcome = PASS if all(ends) else UNDECIDED if any(ends) else FAIL
    low, high = (beside(show, end, threshold, bounds[1] - bounds[0]) for end in bounds)
    asked = bar(show, threshold)
    looks = _LOOKS.get(estimate.method, "for one look")
    sure = f"{100 * confidence:.6g}% interval"
    span = f"{found.message}, {sure} {low} to {high} {looks}, n = {estimate.n:,}"
    told = {
        PASS: f"{span}: all of it is {gate.sign} {asked}",
        FAIL: f"{span}: none of it is {gate.sign} {asked}",
        UNDECIDED: f"{span}: {asked} lies within",
    }[outcome]
    needed = None
    if outcome == UNDECIDED:
        if estimate.method in _LOOKS:
            told += "; go on and look again"
        else:
            needed = _rows_needed(found, estimate, confidence, groups)
            told += (
                f"; about {needed:,} rows would decide, four times in five, if the figure stays"
                if needed
                else "; no number of rows would decide, if the figure stays"
            )
    return replace(
        found,
        outcome=outcome,
        low=estimate.low,
        high=estimate.high,
        needed=needed,
        message=told,
    )


def _rows_needed(
    found: Verdict, estimate: Estimate, confidence: float, groups: int | None
) -> int | None:
    """
    How many rows the interval needs to leave the threshold out, four times in five; None where
    none would do. Rows that form groups come in groups.
    """
    value, threshold = found.value, found.threshold
    assert value is not None and threshold is not None
    size, needed = 1.0, None
    if groups is not None and estimate.stderr:
        size = estimate.n / groups
    if estimate.method == "clopper-pearson":
        needed = rows_for_share(value, threshold, confidence)
    elif estimate.stderr and isfinite(estimate.stderr):
        spread = estimate.stderr * (estimate.n / size) ** 0.5
        needed = rows_for_mean(value - threshold, spread, confidence)
    if estimate.method.startswith("gaffke") and 0 < threshold < 1 and value != threshold:
        # Were all values the same, what was not seen would still keep the threshold in for long.
        edge = threshold / value if value > threshold else (1 - threshold) / (1 - value)
        needed = max(needed or 0, rows_for_share(1.0, edge, confidence) or 0)
    return None if needed is None else max(round(needed * size), estimate.n + 1)
