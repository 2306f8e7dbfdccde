"""
`doteval run --plan`: what a run would do, shown.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..text import count, duration, when
from ..views.figures import figure, plural, strategy_parts
from ..views.terminal import Piece, flow, labelled, words
from .call import FAILED, OK, Answer, Call

if TYPE_CHECKING:
    from ..evaluation import Evaluation
    from ..running import Options
    from ..running.plan import Plan
    from ..storage import Named, Place

_SHOWN = 10  # positions of malformed rows that are printed; JSON has more


def planned(
    call: Call,
    place: Place,
    chosen: Sequence[tuple[Named, Evaluation[..., Any], Options]],
) -> Answer:
    """
    Plan a run of evaluations, given with their names in the store and what is asked of each.

    The exit code of the answer is 1 where the run would surely fail, else 0.
    """
    from ..running.driver import drive
    from ..running.plan import plan

    experiment = call.options.experiment
    plans = [
        drive(partial(plan, evaluation, options, name=name, experiment=experiment, place=place))
        for name, evaluation, options in chosen
    ]
    data = {
        "experiment": experiment,
        "store": str(place),
        "plans": [each.to_dict() for each in plans],
    }
    lines = [_head(call, place, plans)]
    for each in plans:
        lines += ["", *_lines(call, each)]
    return Answer(lines, FAILED if any(_would_fail(call, each) for each in plans) else OK, data)


def _would_fail(call: Call, plan: Plan) -> bool:
    return plan.problem is not None or not call.options.max_errors.covers(
        plan.malformed * plan.repeats, plan.rows * plan.repeats
    )


def _head(call: Call, place: Place, plans: Sequence[Plan]) -> str:
    terminal = call.terminal
    name = call.options.experiment
    named = "a new experiment" if name is None else f"experiment {terminal.shown(name)}"
    is_there = place.path is None or any(each.exists for each in plans)
    where = terminal.shown(place) if is_there else f"{terminal.shown(place)}, which would be made"
    return f"plan for {named} in {where}; nothing is run"


def _lines(call: Call, plan: Plan) -> Iterator[str]:
    from ..reporting.views import short_name

    terminal = call.terminal
    to_run = f"{count(plan.to_run)} to run"
    head = [Piece(terminal.shown(short_name(plan.evaluation)), "strong")]
    head.append(Piece(to_run, "accent" if plan.to_run else "good"))
    if plan.shard:
        head.append(Piece(f"shard {plan.shard} of {plural(plan.read, 'row')}"))
    yield from flow(head, terminal)
    for label, pieces, between in (
        ("rows", _rows(plan), None),
        ("malformed", _malformed(call, plan), " "),
        ("columns", [Piece(terminal.shown(", ".join(plan.columns)))], None),
        ("strategy", _strategy(call, plan.strategy), " "),
        ("estimate", _estimate(plan), None),
        ("going by", _basis(call, plan), " "),
        ("budget", _budget(call, plan), " "),
        ("problem", words(plan.problem or "", call.terminal), " "),
        *(("note", words(note, call.terminal), " ") for note in plan.notes),
    ):
        yield from labelled(label, [pieces], terminal, between)


def _rows(plan: Plan) -> list[Piece]:

    pieces = [Piece(count(plan.rows))]
    if plan.repeats > 1:
        pieces.append(Piece(f"{count(plan.repeats)} repeats of each"))
    if plan.malformed:
        pieces.append(Piece(f"{count(plan.malformed)} malformed", "bad"))
    if plan.finished:
        pieces.append(Piece(f"{count(plan.finished)} finished before"))
    if plan.failed:
        pieces.append(Piece(f"{count(plan.failed)} failed before, to run again"))
    if plan.stale:
        pieces.append(Piece(f"{count(plan.stale)} stored ones gone from the dataset", "warn"))
    return pieces


def _malformed(call: Call, plan: Plan) -> list[Piece]:
    if not plan.malformed:
        return []
    listed = ", ".join(map(str, plan.positions[:_SHOWN]))
    more = f", {call.terminal.mark}" if plan.malformed > _SHOWN else ""
    return words(f"at {listed}{more} (from 0); {plan.example}", call.terminal)


def _strategy(call: Call, strategy: Mapping[str, Any]) -> list[Piece]:

    return [Piece(call.terminal.shown(part)) for part in strategy_parts(strategy)]


def _estimate(plan: Plan) -> list[Piece]:

    if not plan.to_run:
        return []
    if plan.basis is None or plan.seconds is None:
        return [Piece("unknown: no earlier run of it in this store to go by", "warn")]
    pieces = [Piece(f"about {duration(plan.seconds)}", "strong")]
    for value, word in ((plan.input_tokens, "in"), (plan.output_tokens, "out")):
        if value is not None:
            pieces.append(Piece(f"{count(round(value))} tokens {word}"))
    if plan.cost is not None:
        pieces.append(Piece(f"cost {figure(plan.cost)}"))
    return pieces


def _basis(call: Call, plan: Plan) -> list[Piece]:
    """What the estimate rests on, and in which way that ran otherwise."""

    basis = plan.basis
    if basis is None or not plan.to_run:
        return []
    said = f"{plural(basis.records, 'record')} in {duration(basis.duration)}, experiment "
    said += f"{basis.experiment!r}, {when(basis.started, time.time())}"
    told = words(said, call.terminal)
    if not basis.same_strategy:
        told += words("with another strategy:", call.terminal) + _strategy(call, basis.strategy)
    if not basis.same_source:
        told += words("(the function has changed since)", call.terminal)
    return told


def _budget(call: Call, plan: Plan) -> list[Piece]:

    if plan.budgeted is None:
        return []
    left = f"ends it after about {count(plan.budgeted)} of {count(plan.to_run)}"
    return words(left, call.terminal, "warn")
