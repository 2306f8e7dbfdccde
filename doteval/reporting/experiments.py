"""
Experiments as `list` shows them: a line each, and what stands above the blocks of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import text
from ..views.figures import plural
from ..views.table import Cell, Column, Table
from ..views.terminal import Piece, Terminal, flow, labelled, words
from .summary import Summary
from .views import STATUS_STYLES, estimate_cells, headline


class Experiment(NamedTuple):
    """
    An experiment as `list` shows it, and `experiments()` yields it.

    Attributes:
        name: of the experiment.
        summaries: of its evaluations, in the order in which they were first run.
        created: Unix seconds, for an experiment without runs.
        damaged: why it can not be read; "" where it can.
    """

    name: str
    summaries: Sequence[Summary]
    created: float
    damaged: str = ""

    def __repr__(self) -> str:
        return f"<Experiment {self.name!r}: {self.status}, {plural(self.done, 'row')}>"

    @property
    def done(self) -> int:
        """Records that have an outcome."""
        return sum(summary.done for summary in self.summaries)

    @property
    def status(self) -> str:
        """The worst of its evaluations; while one is being run, "running"."""
        if self.damaged:
            return "damaged"
        statuses = {summary.status for summary in self.summaries}
        return next((each for each in _WORST_FIRST if each in statuses), "incomplete")

    @property
    def tags(self) -> dict[str, str]:
        """Of its runs, a later one's value for an earlier one's."""
        told = sorted(self.summaries, key=lambda each: each.finished or each.started or 0.0)
        return {tag: said for each in told for tag, said in each.tags.items()}

    @property
    def note(self) -> str | None:
        """The last one that a run was given; None: there is none."""
        told = [each for each in self.summaries if each.note]
        last = max(told, key=lambda each: each.finished or each.started or 0.0, default=None)
        return last.note if last else None

    @property
    def when(self) -> float:
        """When something last happened, Unix seconds."""
        times = [(each.finished or each.started) for each in self.summaries]
        return max((time for time in times if time is not None), default=self.created)

    @property
    def total(self) -> int | None:
        """Records that it has when it is complete; None while that is unknown."""
        totals = [summary.total for summary in self.summaries]
        return None if None in totals else sum(filter(None, totals))

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded."""
        if self.damaged:
            return {"experiment": self.name, "status": self.status, "damaged": self.damaged}
        return {
            "experiment": self.name,
            "status": self.status,
            "total": self.total,
            "scored": sum(each.scored for each in self.summaries),
            "failed": sum(each.failed for each in self.summaries),
            "duration": sum(each.duration for each in self.summaries),
            "created": self.created,
            "tags": self.tags,
            "note": self.note,
            "evaluations": [each.to_dict() for each in self.summaries],
        }


_WORST_FIRST = ("running", "failed", "stopped", "stalled", "interrupted", "incomplete", "complete")

_LIST = (
    Column("experiment", style="strong", above=True, foreign=True),
    Column("status"),
    Column("evals", "right", drop=6),
    Column("rows", "right"),
    Column("errors", "right"),
    Column("score", least=5, drop=3, foreign=True),
    Column("value", "right"),
    Column("95% CI", "right", drop=2),
    Column("when", drop=4, style="dim"),
    Column("took", "right", drop=5),
    Column("tags", least=10, drop=8, style="dim", foreign=True),
    Column("note", least=10, drop=7, style="dim", foreign=True),
)


def experiment_table(experiments: Sequence[Experiment], now: float, unicode: bool = True) -> Table:
    """The experiments, in the order given; `now` in Unix seconds."""
    rows = [_listed(each, now, unicode) for each in experiments]
    told = [any(each.tags for each in experiments), any(each.note for each in experiments)]
    kept = [*range(len(_LIST) - 2), *(at for at, any_ in zip((-2, -1), told, strict=True) if any_)]
    return Table([_LIST[at] for at in kept], [[row[at] for at in kept] for row in rows])


def _listed(listed: Experiment, now: float, unicode: bool) -> list[object]:
    if listed.damaged:
        status = Cell(listed.status, STATUS_STYLES[listed.status])
        return [listed.name, status, *[None] * (len(_LIST) - 2)]
    done = listed.done
    failed = sum(summary.failed for summary in listed.summaries)
    total = "?" if listed.total is None else text.count(listed.total)
    took = sum(summary.duration for summary in listed.summaries)
    return [
        listed.name,
        Cell(listed.status, STATUS_STYLES.get(listed.status, "")),
        len(listed.summaries),
        Cell(done, shown=f"{text.count(done)}/{total}"),
        Cell(failed, "bad" if failed else ""),
        *_head(listed.summaries, unicode),
        Cell(listed.when, shown=text.when(listed.when, now)),
        Cell(took, shown=text.duration(took)),
        Cell(", ".join(f"{name}={said}" for name, said in listed.tags.items()) or None),
        Cell(listed.note and text.one_line(listed.note, 60)),
    ]


def experiment_lines(shown: Experiment, now: float, terminal: Terminal) -> list[str]:
    """What stands above the blocks of its evaluations; `now` in Unix seconds."""
    facts = [
        Piece(terminal.shown(shown.name), "strong"),
        Piece(plural(len(shown.summaries), "evaluation")),
        Piece(plural(sum(each.runs for each in shown.summaries), "run")),
        Piece(text.when(shown.when, now)),
    ]
    lines = flow(facts, terminal)
    tags = [Piece(terminal.shown(f"{tag}={said}")) for tag, said in shown.tags.items()]
    lines += labelled("tags", [tags], terminal)
    lines += labelled("note", [words(shown.note or "", terminal)], terminal, " ")
    last = max(shown.summaries, key=lambda each: each.started or 0.0, default=None)
    return lines + labelled("commit", [_checkout(last, terminal)] if last else [], terminal)


def _checkout(summary: Summary, terminal: Terminal) -> list[Piece]:
    """The commit of its last run, and what it lacks to tell which code that was."""
    commit, branch, clean = (summary.checkout.get(each) for each in ("commit", "branch", "clean"))
    if not commit:
        return []
    on = f" on {branch}" if branch else ""
    pieces = [Piece(terminal.shown(f"{commit[:12]}{on}"))]
    return pieces + [Piece("and changes that are in no commit", "warn")] * (clean is False)


def _head(summaries: Sequence[Summary], unicode: bool) -> list[object]:
    """The first score of the first evaluation that has one, and how many others have one too."""
    heads = [head for summary in summaries if (head := headline(summary)) is not None]
    if not heads:
        return [None, None, None]
    said, metric, estimate = heads[0]
    more = f" +{len(heads) - 1}" if len(heads) > 1 else ""
    return [Cell(said, shown=f"{said}{more}"), *estimate_cells(metric, estimate, unicode)]
