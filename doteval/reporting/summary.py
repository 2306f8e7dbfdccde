"""
Records to numbers: what an evaluation's stored records say, and how sure that is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

from .. import metrics, text
from ..errors import NotFound, PluginError, UsageError
from ..metrics import Estimate, Metric, Moments
from ..plugins import is_ours
from ..record import LABELS, Run
from ..statistics.labels import Confusion
from ..storage import Store
from ..storage.parts import shards_of, total_of
from ..storage.tally import Tally
from ..views.terminal import printed
from .figures import KEPT, UNTIL, kept, recalled
from .people import Labels


@dataclass(frozen=True, slots=True)
class Summary:
    """
    What is stored of one evaluation of one experiment. Computed when it is asked for.

    Attributes:
        experiment, evaluation: names.
        status: "running", "complete", "incomplete", "interrupted", "stalled", "stopped" or
            "failed".
        total: records that the evaluation has when it is complete: rows x repeats. None while
            the end of the dataset is unknown.
        scored, failed: records with scores, and without.
        missing: total - scored - failed; None where total is.
        stale: stored records of rows that the dataset no longer has; they count nowhere else.
        duration: seconds that the runs took, together. One that works, or was killed, counts up to
            the end of its last record.
        latency: `mean`, `p50`, `p95` and `most` of the last attempts, seconds; None without any.
        waited: seconds that rows spent waiting between attempts, together.
        attempts: how often the function was started for these records.
        errors: failed records by type of error, most frequent first.
        usage: `input_tokens`, `output_tokens` and `cost`; None where nothing was reported.
        scores: by score and metric, an Estimate over the rows that have the score; the repeats of
            a row are one value.
        bounds: by score and metric, the value if every failure were wrong and if every one were
            right; only of scores that are true or false, shares of 1, or of a declared range.
        unknown: metrics that nobody knows any more, or that could not work on the scores, and
            why; they are left out.
        kept: of the metrics that nobody knows here those whose figure a run has kept, and why it is
            shown as the run computed it.
        strategy: name and parameters of the last run's.
        limits: how the adaptive limit moved in the last run that had something to do; () for a
            fixed one.
        runs: how many there were.
        started, finished: Unix seconds: of the first run, and of the last one's end.
        error: why the last run did not complete; None where it did.
        repeats: the most records that a row has.
        groups: how many clusters the rows with an outcome form, by the column that
            ForEach(cluster=...) names; None: it names none. Rows of one are not independent of each
            other (questions about one document, turns of one user), and the intervals know it.
        confidence: of the intervals.
        versions: where the records were made by more than one version of the code or the config:
            each version's `records` (how many), `config`, `changed` (the names of the code that
            are others in the last one), and `commit`, the last one first. () where all are of one.
        shards: where the last run was of a shard: the status of each shard's last run by its name,
            such as "2/4"; "absent" where nobody has run it here.
        confusion: of scores that are labels and were expected to be some: the `labels`, and a
            `table` of how many records are which: a row for each expected label, a column for each
            that was said.
        calls: how many of those that rows asked to be kept were `made`, and how many were `served`
            from what was kept; {} where there are none.
        until: what a run was to decide, where one was: its `gate`, the `outcome` "pass", "fail" or
            "undecided", after `n` of how many `rows`, the interval from `low` to `high`, and as
            `problem` why it can not be decided. All intervals are then such that hold at any look.
        rescored: where the answers are another experiment's: `from` which, and how many `edits` by
            hand there are; {} for the evaluation's own.
        readings: by score, `of` how many values, and how many of their answers were `unread`,
            `empty`, or `differing` in type from what was expected; only scores that have some.
        tags: of its runs, a later one's value for an earlier one's.
        note: the last one that a run was given; None: there is none.
        checkout: the `commit` and the `branch` of the last run, and whether the files were `clean`,
            without changes; each None where it is not known.
    """

    experiment: str
    evaluation: str
    status: str
    total: int | None
    scored: int
    failed: int
    missing: int | None
    stale: int
    duration: float
    latency: Mapping[str, float | None]
    waited: float
    attempts: int
    errors: Mapping[str, int]
    usage: Mapping[str, float | None]
    scores: Mapping[str, Mapping[str, Estimate]]
    unknown: tuple[str, ...] = ()
    strategy: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[int, ...] = ()
    runs: int = 0
    started: float | None = None
    finished: float | None = None
    error: str | None = None
    bounds: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    repeats: int = 1
    groups: int | None = None
    confidence: float = 0.95
    shards: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    versions: tuple[Mapping[str, Any], ...] = ()
    readings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
    checkout: Mapping[str, Any] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    until: Mapping[str, Any] | None = None
    rescored: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unread(self) -> int:
        """Records whose answer a score could not read; of several scores, those of the most."""
        return max((each["unread"] for each in self.readings.values()), default=0)

    @property
    def empty(self) -> int:
        """Records whose answer was empty; of several scores, those of the most."""
        return max((each["empty"] for each in self.readings.values()), default=0)

    @property
    def alike(self) -> tuple[str, ...]:
        """A sentence for each score of which all of ten or more answers are wrong in one way."""
        return tuple(
            f"{name}: all {text.count(each['of'])} answers {_WRONG[kind]}"
            for name, each in self.readings.items()
            for kind in _WRONG
            if each["of"] >= _MANY and each[kind] == each["of"]
        )

    @property
    def done(self) -> int:
        """Records that have an outcome."""
        return self.scored + self.failed

    @property
    def rate(self) -> float | None:
        """Records per second over the runs; None where that says nothing."""
        return self.done / self.duration if self.done and self.duration > 0 else None

    @property
    def success(self) -> float | None:
        """The share of the records with an outcome that have scores; None where there are none."""
        return self.scored / self.done if self.done else None

    @property
    def coverage(self) -> float | None:
        """
        The share of all records that have scores, which is what the estimates rest on; of those
        with an outcome while the total is unknown. None where there are none.
        """
        return self.scored / (self.total or self.done) if self.total or self.done else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval show --json` prints for an evaluation."""
        return {
            "experiment": self.experiment,
            "evaluation": self.evaluation,
            "status": self.status,
            "total": self.total,
            "scored": self.scored,
            "failed": self.failed,
            "missing": self.missing,
            "stale": self.stale,
            "unread": self.unread,
            "empty": self.empty,
            "readings": {name: dict(each) for name, each in self.readings.items()},
            "success_rate": self.success,
            "duration": self.duration,
            "rows_per_second": self.rate,
            "latency": dict(self.latency),
            "waited": self.waited,
            "attempts": self.attempts,
            "errors": dict(self.errors),
            "usage": dict(self.usage),
            "calls": dict(self.calls),
            "rescored": dict(self.rescored),
            "scores": {
                name: {metric: estimate.to_dict() for metric, estimate in by_metric.items()}
                for name, by_metric in self.scores.items()
            },
            "bounds": {
                name: {metric: list(pair) for metric, pair in by_metric.items()}
                for name, by_metric in self.bounds.items()
            },
            "until": None if self.until is None else dict(self.until),
            "confusion": {name: dict(each) for name, each in self.confusion.items()},
            "coverage": self.coverage,
            "repeats": self.repeats,
            "groups": self.groups,
            "confidence": self.confidence,
            "unknown_metrics": list(self.unknown),
            "kept_metrics": list(self.kept),
            "strategy": dict(self.strategy),
            "limits": list(self.limits),
            "runs": self.runs,
            "started": self.started,
            "finished": self.finished,
            "error": self.error,
            "shards": dict(self.shards),
            "versions": [dict(each) for each in self.versions],
            "tags": dict(self.tags),
            "note": self.note,
            "checkout": dict(self.checkout),
        }

    def __str__(self) -> str:
        """What `doteval show` prints of it."""
        return printed(self, "reporting.views", "summary_lines")

    def _repr_html_(self) -> str:
        """
        What a notebook shows: the counts, and a line for each metric of each score.

        Every name is made safe, cut and escaped, and nothing in it can run or load anything.
        """
        from html import escape  # only here: what draws no notebook needs no markup

        from ..views.figures import estimate_figure, interval
        from ..views.table import Table

        def shown(value: object) -> str:
            return escape(text.safe(value, _LONGEST_NAME))

        of = "" if self.total is None else f" of {text.count(self.total)}"
        failed = f" · {text.count(self.failed)} failed" if self.failed else ""
        rows = [
            (name, metric, estimate_figure(metric, each), interval(metric, each) or None, each.n)
            for name, by_metric in self.scores.items()
            for metric, each in by_metric.items()
        ]
        names = ("score", "metric", "value", f"{100 * self.confidence:g}% CI", "n")
        table = Table(names, rows).html() if rows else ""
        why = f"<div>{escape(text.safe(self.error, 300))}</div>" if self.error else ""
        return (
            f"<div><b>{shown(self.evaluation)}</b> · {shown(self.experiment)} · "
            f"{shown(self.status)} · {text.count(self.scored)}{of} scored{failed}</div>"
            f"{why}{table}"
        )


_MANY = 10  # answers; fewer may be wrong in one way by chance
_WRONG = {
    "unread": "could not be read; `show --unread` says why",
    "empty": "are empty; does the function return what the model said?",
    "differing": "are of another type than what is expected, as texts of a CSV are beside numbers",
}
_LONGEST_NAME = 80  # characters shown of a name in a notebook


def summarise(
    store: Store,
    experiment: str,
    evaluation: str,
    *,
    confidence: float = 0.95,
    anytime: bool = False,
    people: Labels | None = None,
) -> Summary:
    """
    The Summary of an evaluation, from what is stored.

    Args:
        confidence: of the intervals, in (0, 1).
        anytime: whether the intervals hold however often one looks.
        people: what people said of some rows; those scores have `human`, `corrected` and
            `agreement` then.

    Raises:
        NotFound: there is no such experiment or evaluation.
        UsageError: the labels of people do not fit.
    """
    tally = store.tally(experiment, evaluation)
    if people is not None:
        people.begin(tally.scores)
    runs = store.runs(experiment, evaluation)
    total = total_of(runs, store.total_of(experiment, evaluation))
    done = tally.scored + tally.failed
    if total is not None:
        total = max(total, done)
    missing = None if total is None else total - done
    values = Values(store, experiment, evaluation, runs, people)
    if people is not None:  # what is wrong with them is no metric's fault
        for name in tally.scores:
            values.pairs(name)
    last = runs[-1] if runs else None
    until = next(
        (run.header[UNTIL] for run in reversed(_since_fresh(runs)) if UNTIL in run.header), None
    )
    # Who ends a run when it looks good has looked at every row.
    looked = anytime or until is not None
    scores, bounds, unknown, recollected = _estimates(values, tally, confidence, runs, looked)
    return Summary(
        experiment=experiment,
        evaluation=evaluation,
        status=_status(last, missing),
        total=total,
        scored=tally.scored,
        failed=tally.failed,
        missing=missing,
        stale=tally.stale,
        duration=_duration(_since_fresh(runs), tally.ended),
        latency=tally.duration,
        waited=tally.waited,
        attempts=tally.attempts,
        errors=tally.errors,
        usage={
            "input_tokens": tally.input_tokens,
            "output_tokens": tally.output_tokens,
            "cost": tally.cost,
        },
        scores=scores,
        bounds=bounds,
        unknown=tuple(unknown),
        strategy=last.header.get("strategy", {}) if last else {},
        limits=tuple(change["limit"] for change in at_work(runs).history) if runs else (),
        runs=len(runs),
        started=runs[0].started if runs else None,
        finished=last.finished if last else None,
        error=last.error if last else None,
        repeats=tally.repeats,
        groups=None if values.groups is None else len(set(values.groups.values())),
        confidence=confidence,
        shards=shards_of(runs),
        kept=tuple(recollected),
        versions=versions_of(store, runs),
        confusion=_confusion(values, tally),
        calls=_calls(_since_fresh(runs)),
        until=until,
        rescored=last.header.get("rescored", {}) if last else {},
        readings={
            name: {
                "of": facts["trials"],
                **{kind: facts.get(kind, 0) for kind in ("unread", "empty", "differing")},
            }
            for name, facts in tally.scores.items()
            if any(facts.get(kind) for kind in ("unread", "empty", "differing"))
        },
        tags={tag: said for run in runs for tag, said in (run.header.get("tags") or {}).items()},
        note=next(filter(None, (run.header.get("note") for run in reversed(runs))), None),
        checkout={name: last.header.get(name) for name in _CHECKOUT} if last else {},
    )


_CHECKOUT = ("commit", "branch", "clean")


CALLS = "calls"  # in a run's header: how many it made, and how many were served


def _calls(runs: list[Run]) -> dict[str, int]:
    told = [run.header[CALLS] for run in runs if CALLS in run.header]
    return {name: sum(each[name] for each in told) for name in ("made", "served") if told}


def own_figures(store: Store, experiment: str, evaluation: str) -> list[dict[str, Any]]:
    """
    The figures of metrics that are not built in, for a run's header: whoever reads the store later
    may not know them.

    Raises:
        NotFound: there is no such experiment or evaluation.
        StoreError: the store can not be read.
    """
    tally = store.tally(experiment, evaluation)
    own = {
        name: {**facts, "metrics": [each for each in facts["metrics"] if _is_own(each)]}
        for name, facts in tally.scores.items()
    }
    if not any(facts["metrics"] for facts in own.values()):
        return []
    values = Values(store, experiment, evaluation, store.runs(experiment, evaluation))
    scores, _, _, _ = _estimates(values, replace(tally, scores=own), 0.95, (), False)
    return [
        kept(name, metric, estimate, 0.95, own[name])
        for name, by_metric in scores.items()
        for metric, estimate in by_metric.items()
    ]


def _is_own(metric: str) -> bool:
    try:
        return not is_ours(metrics.find(metric))
    except (NotFound, PluginError):
        return False


def versions_of(store: Store, runs: list[Run]) -> tuple[dict[str, Any], ...]:
    """What made the live records, where that is not one and the same."""
    made = {_version_in(run.header) for run in runs}
    if len(made) < 2 or not hasattr(store, "made_by"):  # a plugin's store need not know it
        return ()
    counts = store.made_by(runs[0].experiment, runs[0].evaluation)
    found: dict[str, dict[str, Any]] = {}
    last: Mapping[str, Any] = {}
    for run in reversed(runs):
        records = counts.get(run.uid, 0)
        if not records:
            continue
        last = last or run.header
        code, now = run.header.get("code") or {}, last.get("code") or {}
        one = found.setdefault(
            _version_in(run.header),
            {
                "records": 0,
                "config": run.header.get("config") or {},
                "changed": sorted(n for n in {*code, *now} if code.get(n) != now.get(n)),
                "commit": run.header.get("commit"),
            },
        )
        one["records"] += records
    return tuple(found.values()) if len(found) > 1 else ()


def of_versions(amount: int) -> str:
    """What is said of an experiment where one figure is of several versions."""
    return f"has rows of {amount} versions of the code or the config"


def _version_in(header: Mapping[str, Any]) -> str:
    """What tells the versions of runs apart; of earlier versions of doteval, the source alone."""
    code = header.get("code") or header.get("source")
    return json.dumps([code, header.get("config") or {}], sort_keys=True, default=str)


def at_work(runs: list[Run]) -> Run:
    """
    The run whose limit is worth showing: the last one, or, where that found nothing to do, the one
    before it with the same strategy.
    """
    strategy = runs[-1].header.get("strategy")
    moved = (run for run in reversed(runs) if run.history)
    return next((run for run in moved if run.header.get("strategy") == strategy), runs[-1])


def _since_fresh(runs: list[Run]) -> list[Run]:
    """The runs whose records count: those after the last one that began anew."""
    for index in range(len(runs) - 1, -1, -1):
        if runs[index].header.get("fresh"):
            return runs[index:]
    return runs


def _duration(runs: list[Run], ended: float | None) -> float:
    """
    Seconds of these runs together.

    A run tells its duration when it ends. Of the last one, which may work still or have been
    killed, the records tell until when it lived: `ended`, Unix seconds. Of an earlier one that was
    killed nothing cheap tells it; it counts nothing.
    """
    told = sum(run.duration for run in runs)
    if runs and runs[-1].finished is None and ended is not None:
        told += max(ended - runs[-1].started, 0.0)  # negative where a clock was set back
    return told


def status_of(runs: list[Run], tally: Tally, total: int | None) -> str:
    """ "running", "complete", "incomplete", "interrupted", "stalled", "stopped" or "failed"."""
    total = total_of(runs, total)
    return _status(
        runs[-1] if runs else None,
        None if total is None else max(0, total - tally.scored - tally.failed),
    )


def _status(last: Run | None, missing: int | None) -> str:
    if last is None:
        return "incomplete"
    # It did what it was asked for, such as --samples; nobody knows then where the dataset ends.
    left = missing or (missing is None and last.header.get("samples") is not None)
    if last.status == "complete" and left:
        return "incomplete"
    return last.status


# --- values by row ----------------------------------------------------------------------------

Rows = dict[bytes, list[float]]
Pairs = dict[bytes, list[tuple[Any, Any]]]  # what was said and what was expected


class Values:
    """
    What is stored of an evaluation, row by row; read when it is needed, and once.

    Args:
        runs: of the evaluation; the last one's header knows the columns.
        people: what people said of some rows, in place of what scores expect; None: nothing.
    """

    def __init__(
        self,
        store: Store,
        experiment: str,
        evaluation: str,
        runs: list[Run],
        people: Labels | None = None,
    ) -> None:
        self.people = people
        self._of = (experiment, evaluation)
        self._store = store
        self._cluster = cluster_of(runs)
        self._groups: dict[bytes, int] | None = None
        self._failures: dict[bytes, int] | None = None
        self._pairs: dict[str, Pairs] | None = None

    def of(self, score: str) -> Rows:
        """The values of a score by row: those of its repeats."""
        rows: Rows = {}
        for key, value in self._store.values(*self._of, score):
            rows.setdefault(key, []).append(nan if value is None else value)
        return rows

    def pairs(self, score: str) -> Pairs:
        """
        The values of a score and what was expected, by row.

        This reads every record with its texts, tens of microseconds each.
        """
        if self._pairs is None:
            self._pairs = {}
            for record in self._store.records(*self._of, failed=False):
                for each in getattr(record.outcome, "scores", ()):
                    rows = self._pairs.setdefault(each.name, {})
                    expected = each.expected
                    if self.people is not None and each.name in self.people:
                        expected = self.people.of(record.row, each.name, each.value)
                    rows.setdefault(record.key, []).append((each.value, expected))
        return self._pairs.get(score, {})

    @property
    def groups(self) -> dict[bytes, int] | None:
        """
        A number for the cluster of each row with an outcome; None where rows have none.

        This reads every record with its texts, tens of microseconds each.
        """
        if self._cluster is not None and self._groups is None:
            numbers: dict[object, int] = {}
            self._groups = {}
            for record in self._store.records(*self._of):
                group = record.row.get(self._cluster)
                # A row that names no group is on its own.
                named = record.key if group is None else repr(group)
                self._groups[record.key] = numbers.setdefault(named, len(numbers))
        return self._groups

    @property
    def failures(self) -> dict[bytes, int]:
        """How many records of a row failed; rows without a failure are not in it."""
        if self._failures is None:
            self._failures = {}
            for record in self._store.records(*self._of, failed=True):
                self._failures[record.key] = self._failures.get(record.key, 0) + 1
        return self._failures


_GROUP = "group"  # the column that clustered the rows of runs before there was `cluster=`


def cluster_of(runs: Sequence[Run]) -> str | None:
    """The column whose equal values are one cluster, as the last run's header knows; None: none."""
    header = runs[-1].header if runs else {}
    if "cluster" not in header and _GROUP in (header.get("columns") or ()):
        return _GROUP
    return header.get("cluster")


# --- estimates --------------------------------------------------------------------------------

Estimates = dict[str, dict[str, Estimate]]
Bounds = dict[str, dict[str, Sequence[float]]]


def _estimates(
    values: Values, tally: Tally, confidence: float, runs: Sequence[Run], anytime: bool
) -> tuple[Estimates, Bounds, list[str], list[str]]:
    """The estimates and their bounds; what nobody can compute, and what a run has kept of it."""
    estimates: Estimates = {}
    bounds: Bounds = {}
    unknown, recollected = [], []
    for name, facts in tally.scores.items():
        score = _Score(values, name, tally, confidence)
        for title in score.titles:
            try:
                metric = metrics.find(title)
            except (NotFound, PluginError) as error:
                figure = recalled(reversed(runs), name, title, confidence, facts)
                if figure is None:
                    unknown.append(f"{name}.{title}: {error}")
                else:
                    estimates.setdefault(name, {})[title] = figure
                    recollected.append(f"{name}.{title} is {KEPT}: {error}")
                continue
            try:
                estimate = score.anytime(metric) if anytime else score.estimate(metric)
                pair = score.bounds(metric)
            except UsageError as error:  # a StoreError is no metric's fault
                unknown.append(f"{name}.{title}: {error}")
                continue
            estimates.setdefault(name, {})[title] = _within(estimate, pair)
            if pair is not None:
                bounds.setdefault(name, {})[title] = pair
    return estimates, bounds, unknown, recollected


def _confusion(values: Values, tally: Tally) -> dict[str, dict[str, Any]]:
    """How often each label was said for each that was expected, of scores that know both."""
    found = {}
    for name, facts in tally.scores.items():
        if LABELS in facts["metrics"]:
            rows = values.pairs(name).values()
            pairs = [pair for row in rows for pair in row if pair[1] is not None]
            if pairs:
                of = Confusion.of(pairs)
                found[name] = {"labels": list(of.labels), "table": of.table()}
    return found


def span_of(facts: Mapping[str, Any]) -> metrics.Span:
    """The smallest and largest value that a score can have; None where that is not known."""
    return (0.0, 1.0) if facts["boolean"] else metrics.declared(facts["metrics"])[1]


def _within(found: Estimate, bounds: Sequence[float] | None) -> Estimate:
    """
    An estimate that leaves out rows with too few repeats, held to what those can still make of it.
    """
    if bounds is None or found.value is None or bounds[0] <= found.value <= bounds[1]:
        return found
    value = min(max(found.value, bounds[0]), bounds[1])
    low, high = found.low, found.high
    return replace(
        found,
        value=value,
        low=None if low is None else min(low, value),
        high=None if high is None else max(high, value),
        method=f"{found.method}; held to its bounds",
    )


class _Score:
    """One score of an evaluation: its sums, and its values where the sums do not do."""

    def __init__(self, values: Values, name: str, tally: Tally, confidence: float) -> None:
        self._values = values
        self._name = name
        self._facts = tally.scores[name]
        self._failed = tally.failed
        self._repeated = tally.repeats > 1
        self._confidence = confidence
        self._read: Rows | None = None
        self._span = span_of(self._facts)

    @property
    def titles(self) -> Iterator[str]:
        """The names of those that it has; of labels their shares too, the most frequent first."""
        own = metrics.declared(self._facts["metrics"])[0]
        yield from own
        if self._values.people is not None and self._name in self._values.people:
            yield from (each for each in metrics.JUDGED if each not in own)
        if LABELS in self._facts["metrics"]:
            pairs = self._values.pairs(self._name)
            said = Counter(value for row in pairs.values() for value, _ in row)
            yield from (metrics.share_name(label) for label, _ in said.most_common(_MOST_SHARES))

    def estimate(self, metric: Metric) -> Estimate:
        groups = self._values.groups
        asked: Any = {"confidence": self._confidence, "span": self._span}
        if metric.sees != "values":
            pairs = self._values.pairs(self._name)
            known = None if groups is None else [groups.get(key, key) for key in pairs]
            return metric.estimate(list(pairs.values()), known, **asked)  # type: ignore[arg-type]
        if groups is not None:
            rows = self._rows()
            return metric.estimate(
                list(rows.values()),
                # A record may have come since the groups were read.
                [groups.get(key, key) for key in rows],
                **asked,
            )
        moments = self._moments()
        found = moments and metric.from_moments(moments, **asked)
        return found or metric.estimate(list(self._rows().values()), **asked)

    def anytime(self, metric: Metric) -> Estimate:
        """As `estimate`, with an interval that holds at every look."""
        of_pairs, rows = metric.sees != "values", self._rows()
        if of_pairs and not metrics.is_share(metric.name):
            found = self.estimate(metric)
            none = f"no interval: {metric.name} has none for any time"
            return replace(found, stderr=None, low=None, high=None, method=none, shaky="")
        if of_pairs:
            rows = self._values.pairs(self._name)  # type: ignore[assignment]
        groups = self._values.groups
        of_rows = None if groups is None else [groups.get(key, key) for key in rows]
        return metrics.at_any_time(
            metric, list(rows.values()), of_rows, self._confidence, self._span
        )

    def bounds(self, metric: Metric) -> tuple[float, float] | None:
        """The figure if every failure were wrong, and right; None where neither has a number."""
        facts = self._facts
        span = None if facts["nans"] else self._span_for(metric.name)
        if span is None:
            return None
        if metric.name in _MEANS and not self._repeated:
            n, total = facts["n"] + self._failed, facts["total"]
            return (total + self._failed * span[0]) / n, (total + self._failed * span[1]) / n
        found = [self._value_if(metric, filling) for filling in span]
        return None if None in found else (found[0], found[1])  # type: ignore[return-value]

    def _span_for(self, metric: str) -> metrics.Span:
        """What an answer is worth at least and at most, where a better one never costs."""
        if metric not in _MEANS and not (self._facts["boolean"] and metric.startswith(_OF_REPEATS)):
            return None
        low, high = self._facts["low"], self._facts["high"]
        spans = [self._span, (0.0, 1.0) if metric == "accuracy" else None]
        return next((s for s in spans if s is not None and s[0] <= low and high <= s[1]), None)

    def _value_if(self, metric: Metric, filling: float) -> float | None:
        """The figure if every failure had this value."""
        rows, failures = self._rows(), self._values.failures
        filled = [
            [*rows.get(key, ()), *[filling] * failures.get(key, 0)] for key in {**rows, **failures}
        ]
        return metric.estimate(filled).value

    def _moments(self) -> Moments | None:
        facts = self._facts
        if facts["nans"]:
            return None
        return Moments(
            facts["n"],
            facts["total"],
            facts["squares"],
            facts["low"],
            facts["high"],
            facts["trials"] if self._repeated and facts["boolean"] else None,
        )

    def _rows(self) -> Rows:
        if self._read is None:
            self._read = self._values.of(self._name)
        return self._read


_MEANS = ("accuracy", "mean")
_OF_REPEATS = ("pass@", "pass^")
_MOST_SHARES = 20  # labels of a score
