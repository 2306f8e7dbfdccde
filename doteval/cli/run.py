"""
`doteval run`: evaluations without pytest.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, UsageError
from ..quantities import Axis, Shard, parse_rows
from ..record import new_name
from ..text import similar
from .call import USAGE, Answer, Call, command, flag, option, typed
from .round import (
    ASKED,
    BUDGET,
    FRESH,
    MAX_ERRORS,
    PARAMS,
    QUIET,
    Chosen,
    Round,
    asked,
    asked_of,
    refuse_resources,
)

if TYPE_CHECKING:
    from ..evaluation import Evaluation
    from ..running import Options
    from ..storage import Named, Place


def _experiment(said: str) -> str:
    if said.strip():
        return said
    raise argparse.ArgumentTypeError("an experiment needs a name that is not blank")


@command(
    "run the evaluations of a file, those that need no fixtures; the same command resumes",
    "doteval run eval_sums.py --experiment baseline\n"
    "doteval run eval_sums.py::eval_addition --samples 20\n"
    "doteval run eval_sums.py --experiment baseline --fresh      # all rows anew\n"
    "doteval run eval_sums.py --max-errors 2%\n"
    "doteval run eval_sums.py --experiment sizes --grid model=small,large --grid prompt=v1,v2\n"
    "doteval run eval_sums.py --experiment v2 --tag prompt=v2 --note 'shorter prompt'\n"
    "doteval run eval_sums.py --plan          # what would run, how long, at what cost\n"
    "doteval run eval_sums.py --experiment baseline --budget time=30m,tokens=2M\n"
    'doteval run eval_sums.py --until "exact_match >= 0.8 @ 95%"   # no row more than it takes\n'
    "doteval run eval_sums.py --experiment baseline --shard 2/4   # on the second of 4 machines\n"
    "doteval run eval_sums.py --calls replay --calls-from baseline   # no model is called",
    option("files", metavar="FILE[::NAME]", nargs="+", help="a file, or one of its evaluations"),
    option(
        "--experiment",
        metavar="NAME",
        type=_experiment,
        help="where to store the results; the same name again resumes (default: a new name, made "
        "of the time)",
    ),
    asked("samples", type=typed(parse_rows)),
    FRESH,
    MAX_ERRORS,
    asked("shard", type=typed(Shard.parse)),
    BUDGET,
    PARAMS,
    asked("until"),
    option(
        "--grid",
        metavar="NAME=A,B",
        type=typed(Axis.parse),
        action="append",
        default=[],
        help="run each evaluation once with each of these values for its parameter NAME, as an "
        "evaluation of its own, such as eval_sums[small]; given several times, with each "
        "combination",
    ),
    *ASKED,
    flag(
        "--plan",
        "check everything and tell what would run, without calling a function or storing anything",
    ),
    QUIET,
    forms=("json",),
)
def run(call: Call) -> Answer:
    """Run what was chosen, one evaluation after the other."""
    from ..reporting.grammar import GateError
    from .gate import point

    if call.options.form and not call.options.plan:
        raise UsageError("--json is for --plan; what is stored is printed by `doteval show --json`")
    place = call.place()
    with ExitStack() as stack:
        try:
            options = asked_of(call)
        except GateError as error:
            point(call, error)
            return Answer(code=USAGE)
        chosen = _crossed(_chosen(call.options.files, place, stack, options), call.options.grid)
        refuse_resources(chosen)
        if call.options.plan:
            from .plan import planned

            return planned(
                call, place, [(each.name, each.evaluation, each.options) for each in chosen]
            )
        experiment = call.options.experiment or new_name()
        typed = ("run", *call.options.files, "--experiment", experiment)
        return Answer(code=Round(call, place, options, experiment, *typed).run(chosen))


# --- choosing ---------------------------------------------------------------------------------


def _chosen(
    targets: Sequence[str], place: Place, stack: ExitStack, options: Options
) -> list[Chosen]:
    """
    The evaluations that are meant, each once, in the order given.

    Raises:
        NotFound: there is no such file or evaluation.
        ImportFailed: a file raised.
    """
    from ..files import evaluations_in, imported, why_none
    from ..storage import named

    found: dict[str, dict[str, Evaluation[..., Any]]] = {}
    chosen: dict[Named, Chosen] = {}
    for target in targets:
        file, _, wanted = target.partition("::")
        known = found.get(file)
        if known is None:
            module = stack.enter_context(imported(Path(file)))
            known = found[file] = evaluations_in(module)
            if not known:
                raise NotFound(f"{file} has no evaluation: {why_none(module)}")
        for name in [wanted] if wanted else known:
            if name not in known:
                others = list(known)
                said = similar(name, others, others[:10], cutoff=0.7)
                raise NotFound(f"{file} has no evaluation {name!r}{said}")
            full = named(file, name, place)
            chosen.setdefault(
                full, Chosen(full, f"{file}::{name}", known[name], options, options.params)
            )
    return list(chosen.values())


def _crossed(chosen: Sequence[Chosen], axes: Sequence[Axis]) -> list[Chosen]:
    """
    Each with each combination of the values, which its name tells in brackets.

    Raises:
        UsageError: a parameter is given twice.
    """
    if not axes or not chosen:
        return list(chosen)
    names = [*chosen[0].options.params, *(axis.params[0].name for axis in axes)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the parameter {twice!r} is given twice, by --grid and by --grid or -P")
    crossed = []
    for each in chosen:
        for cell in product(*(axis.params for axis in axes)):
            said = f"[{'-'.join(param.said.partition('=')[2].strip() for param in cell)}]"
            named = [f"{name}{said}" for name in (each.name.name, *each.name.formerly)]
            params = {**each.options.params, **{param.name: param.value for param in cell}}
            options = replace(each.options, params=params)
            name = each.name._replace(name=named[0], formerly=tuple(named[1:]))
            crossed.append(replace(each, name=name, options=options, params=params))
    return crossed
