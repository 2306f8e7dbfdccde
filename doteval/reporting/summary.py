"""
Records to numbers: what an evaluation's stored records say, and how sure that is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import metrics, text
from ..errors import NotFound, PluginError
from ..metrics import Estimate
from ..plugins import is_ours
from ..record import Run
from ..storage import Store
from ..storage.parts import shards_of, total_of
from ..storage.tally import Tally
from ..views.figures import estimate_figure, interval, percentage
from ..views.json import plain_fields
from ..views.terminal import printed
from .figures import UNTIL, kept
from .people import Labels
from .scores import confusion_of, estimates_of
from .values import Values


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
        notes: what the run that returned this had to say; () where it was read from the store.
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
    notes: tuple[str, ...] = ()

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
        told = plain_fields(self)
        told["unknown_metrics"], told["kept_metrics"] = told.pop("unknown"), told.pop("kept")
        return {
            **told,
            "unread": self.unread,
            "empty": self.empty,
            "success_rate": self.success,
            "rows_per_second": self.rate,
            "coverage": self.coverage,
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
        names = ("score", "metric", "value", f"{percentage(self.confidence)} CI", "n")
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
    said = _told_by(runs)
    # Who ends a run when it looks good has looked at every row.
    looked = anytime or said["until"] is not None
    scores, bounds, unknown, recollected = estimates_of(values, tally, confidence, runs, looked)
    return Summary(
        experiment=experiment,
        evaluation=evaluation,
        status=_status(runs[-1] if runs else None, missing),
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
        usage={name: getattr(tally, name) for name in ("input_tokens", "output_tokens", "cost")},
        scores=scores,
        bounds=bounds,
        unknown=tuple(unknown),
        repeats=tally.repeats,
        groups=None if values.groups is None else len(set(values.groups.values())),
        confidence=confidence,
        kept=tuple(recollected),
        versions=versions_of(store, runs),
        confusion=confusion_of(values, tally),
        readings={
            name: {"of": facts["trials"], **{kind: facts.get(kind, 0) for kind in _WRONG}}
            for name, facts in tally.scores.items()
            if any(facts.get(kind) for kind in _WRONG)
        },
        **said,
    )


def _told_by(runs: list[Run]) -> dict[str, Any]:
    """What the headers of runs tell of their evaluation, by the fields of a Summary."""
    if not runs:
        return {"until": None}
    last, counted = runs[-1], _since_fresh(runs)
    headers = [run.header for run in reversed(runs)]
    return {
        "strategy": last.header.get("strategy", {}),
        "limits": tuple(change["limit"] for change in at_work(runs).history),
        "runs": len(runs),
        "started": runs[0].started,
        "finished": last.finished,
        "error": last.error,
        "shards": shards_of(runs),
        "calls": _calls(counted),
        "until": next(
            (run.header[UNTIL] for run in reversed(counted) if UNTIL in run.header), None
        ),
        "rescored": last.header.get("rescored", {}),
        "tags": {tag: said for run in runs for tag, said in (run.header.get("tags") or {}).items()},
        "note": next(filter(None, (header.get("note") for header in headers)), None),
        "checkout": {name: last.header.get(name) for name in _CHECKOUT},
    }


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
    scores, _, _, _ = estimates_of(values, tally._replace(scores=own), 0.95, (), False)
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
    if len(made) < 2:
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
