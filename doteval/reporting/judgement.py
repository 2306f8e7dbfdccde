"""
Gates asked of an experiment: all their verdicts, and as lines and tables.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..storage import Address, opened
from ..views.figures import plural
from ..views.table import Column, Table
from ..views.terminal import Piece, Terminal, flow, preformatted, printed, sentence_lines, words
from .gate import FAIL, PASS, UNDECIDED, AnyGate, Stored, Verdict, judge, outcome_of, parse
from .people import Labels
from .slices import slice_name
from .views import one_of, short_name


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    What became of the gates of an experiment.

    Attributes:
        experiment: its name.
        verdicts: of each gate in each evaluation that it concerns.
    """

    experiment: str
    verdicts: tuple[Verdict, ...]

    @property
    def outcome(self) -> str:
        """ "fail" if any gate fails, else "undecided" if any is, else "pass"."""
        return outcome_of(self.verdicts)

    @property
    def passed(self) -> bool:
        """Whether all gates hold."""
        return self.outcome == PASS

    def to_dict(self) -> dict[str, Any]:
        """Plain data, unrounded; what `doteval gate --json` prints."""
        verdicts = [each.to_dict() for each in self.verdicts]
        return {"experiment": self.experiment, "outcome": self.outcome, "gates": verdicts}

    def __str__(self) -> str:
        """What `doteval gate` prints."""
        return printed(self, "reporting.judgement", "judgement_lines")

    def _repr_html_(self) -> str:
        """What a notebook shows: the same."""
        return preformatted(self)


def gate(
    experiment: str,
    *gates: str | AnyGate,
    evaluation: str | None = None,
    storage: Address = None,
    labels: str | os.PathLike[str] | Labels | None = None,
    partial: bool = False,
) -> Judgement:
    """
    Judge an experiment by everything that is stored of it.

    Args:
        experiment: its name.
        gates: what must hold, such as "exact_match >= 0.8 @ 95%", one or more.
        evaluation: only this one, by its full or short name; None: all.
        storage: the address of the store, or an open one.
        labels: a file with what people said of some rows, for gates on `human`, `corrected` and
            `agreement`.
        partial: judge the shards that are there, although others are missing.

    Raises:
        GateError: a gate can not be read; the message has a caret under the mistake.
        NotFound: there is no such experiment or evaluation.
        UsageError: there is no gate, or a name fits several evaluations.
    """
    if not gates:
        raise UsageError('no gates: give some, as in gate("candidate", "errors <= 2%")')
    asked = [parse(each) if isinstance(each, str) else each for each in gates]
    people = Labels(labels) if isinstance(labels, (str, os.PathLike)) else labels
    with opened(storage) as store:
        names = store.evaluations(experiment)
        only = names if evaluation is None else [one_of(names, evaluation, experiment)]
        verdicts = judge(asked, Stored(store, experiment, only, people), partial=partial)
    if people is not None:
        people.check()
    return Judgement(experiment, tuple(verdicts))


_WORST_FIRST = (FAIL, UNDECIDED, PASS)
_HOLDING = 10  # slices that are listed although a gate holds there; `--json` has all
_STYLES = {PASS: "good", FAIL: "bad", UNDECIDED: "warn"}


def judgement_lines(found: Judgement, terminal: Terminal) -> list[str]:
    """
    A block for each verdict: the gate, the figures below it, and a line for each slice, those first
    that do not hold.
    """
    several = len({each.evaluation for each in found.verdicts}) > 1
    lines = []
    for each in found.verdicts:
        head = [_outcome(each), Piece(terminal.shown(each.gate.text), "strong")]
        if several and each.evaluation:
            head.append(Piece(terminal.shown(short_name(each.evaluation)), "dim"))
        lines += flow(head, terminal, "", 10, " ")
        for said in filter(None, (each.message, each.note)):
            lines += sentence_lines(said, terminal, "", " " * 10, 10)
        parts = sorted(each.slices, key=lambda part: _WORST_FIRST.index(part.outcome))
        holding = [part for part in parts if part.outcome == PASS]
        for part in parts[: len(parts) - len(holding) + _HOLDING]:
            said = "; ".join(filter(None, (part.message, part.note)))
            name = Piece(terminal.shown(f"{slice_name(part.by)}:"))
            pieces = [_outcome(part), name, *words(said, terminal)]
            lines += flow(pieces, terminal, " " * 10, 20, " ")
        if len(holding) > _HOLDING:
            more = f"and {plural(len(holding) - _HOLDING, 'other slice')} of which it holds"
            lines.append(terminal.paint(f"{' ' * 10}{more}", "dim"))
    return lines


def _outcome(verdict: Verdict) -> Piece:
    return Piece(f"{verdict.outcome:<9}", _STYLES[verdict.outcome])


def judgement_table(verdicts: Sequence[Verdict]) -> Table:
    """A row for each verdict, and one for each slice where gates are about slices."""
    columns = (
        Column("outcome"),
        Column("gate", foreign=True),
        Column("evaluation", foreign=True),
        Column("slice", foreign=True),
        Column("why", foreign=True),
    )
    rows = [
        (
            each.outcome,
            each.gate.text,
            each.evaluation,
            slice_name(each.by),
            " ".join(filter(None, (each.message, each.note))),
        )
        for whole in verdicts
        for each in (whole, *whole.slices)
    ]
    table = Table(columns, rows)
    return table if any(whole.slices for whole in verdicts) else table.without("slice")
