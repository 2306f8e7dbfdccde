"""
What scripts read the exit code of: `compare` and `gate`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError
from .call import FAILED, INCONCLUSIVE, OK, USAGE, Call, as_json, command, option, program
from .output import STDOUT, write

if TYPE_CHECKING:
    from ..reporting.gate import GateError, Verdict
    from ..storage import Store


def _share(said: str) -> float:
    """ "0.01", or "1%"; -1 where it is no number."""
    number = said.strip()
    try:
        return float(f"{number[:-1]}e-2") if number.endswith("%") else float(number)
    except ValueError:
        return -1.0


def _margin(said: str) -> float:
    """A loss to accept: "0.01", or "1%"."""
    value = _share(said)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(
            f"{said!r}: expected a loss to accept, 0 or more, as in 0.01 or 1%"
        )
    return value


def _confidence(said: str) -> float:
    """Of an interval: "95%", or "0.95"."""
    value = _share(said)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{said!r}: expected a confidence such as 95%")
    return value


# --- compare ----------------------------------------------------------------------------------


@command(
    "compare",
    "compare two experiments on the rows that both have: is the second one worse?",
    "doteval compare main candidate\n"
    "doteval compare main candidate --margin 1%       # a loss of a point is accepted\n"
    "doteval compare main candidate --markdown        # for a pull request\n"
    "doteval compare small medium large                # each against each, and ranks\n"
    'doteval compare exp exp --evaluation "eval_qa[small]" --other "eval_qa[large]"',
    option("a", metavar="A", help="the experiment to compare with"),
    option("b", metavar="B", help="the newer experiment"),
    option(
        "more",
        metavar="C",
        nargs="*",
        default=[],
        help="further experiments: each is compared with each, and they are ranked",
    ),
    option(
        "--evaluation",
        metavar="NAME",
        help="only this one; its short name will do where it is the only one of that name",
    ),
    option(
        "--other",
        metavar="NAME",
        help="the evaluation of B to pair it with, where that has another name",
    ),
    option(
        "--only",
        metavar="SCORE[.METRIC]",
        action="append",
        default=[],
        help="only this score; can be given several times",
    ),
    option(
        "--lower-is-better",
        metavar="SCORE[.METRIC]",
        action="append",
        default=[],
        help="a score of which less is better; can be given several times",
    ),
    option(
        "--margin",
        metavar="X|P%",
        type=_margin,
        help="the loss to accept (default: any significant loss is a regression)",
    ),
    option(
        "--confidence",
        metavar="P%",
        type=_confidence,
        default=0.95,
        help="of the intervals; the level of the tests is what it leaves (default: 95%%)",
    ),
    option(
        "--paired-only",
        action="store_true",
        help="judge by the rows that both have, even where B is not complete",
    ),
    option("--json", action="store_true", help="print JSON, with figures that are not rounded"),
    option("--markdown", action="store_true", help="print Markdown, for a pull request"),
)
def compare(call: Call) -> int:
    """
    Is B worse than A? 0: better, or no loss; 1: yes; 3: that can not be told. Of three and more: 0.
    """
    from ..reporting.compare import compare as compared
    from ..reporting.compared import comparison_lines, comparison_markdown
    from ..reporting.pairs import REGRESSION, UNSURE

    options = call.options
    if options.json and options.markdown:
        raise UsageError("--json or --markdown, not both")
    if options.more:
        return _ranked(call)
    with call.store() as store:
        comparison = compared(
            options.a,
            options.b,
            evaluation=options.evaluation,
            other=options.other,
            storage=store,
            only=options.only,
            lower_is_better=options.lower_is_better,
            margin=options.margin,
            confidence=options.confidence,
            paired_only=options.paired_only,
        )
    if options.json:
        call.say(as_json(comparison.to_dict()))
    elif options.markdown:
        write([comparison_markdown(comparison)], STDOUT, call.out, force=False)
    else:
        call.show(comparison_lines(comparison, call.terminal))
    return {REGRESSION: FAILED, UNSURE: INCONCLUSIVE}.get(comparison.verdict, OK)


def _ranked(call: Call) -> int:
    """Three and more experiments."""
    from ..reporting.league import league, league_lines

    options = call.options
    if options.markdown or options.other or options.margin is not None:
        raise UsageError("--markdown, --other and --margin are for two experiments")
    with call.store() as store:
        found = league(
            [options.a, options.b, *options.more],
            storage=store,
            evaluation=options.evaluation,
            only=options.only,
            lower_is_better=options.lower_is_better,
            confidence=options.confidence,
            paired_only=options.paired_only,
        )
    if options.json:
        call.say(as_json(found.to_dict()))
    else:
        call.show(league_lines(found, call.terminal))
    return OK


# --- gate -------------------------------------------------------------------------------------


@command(
    "gate",
    "judge an experiment by thresholds",
    'doteval gate candidate "exact_match.accuracy >= 0.8" "errors <= 2%"\n'
    'doteval gate candidate "exact_match >= 0.8 @ 95%"      # the interval must clear it\n'
    'doteval gate candidate "exact_match >= baseline(main) - 1%"\n'
    'doteval gate candidate "eval_sums: missing == 0"       # of one evaluation only\n'
    "doteval gate candidate      # the gates under [tool.doteval] of pyproject.toml",
    option("experiment", metavar="NAME", help="name of the experiment"),
    option(
        "gates",
        metavar="GATE",
        nargs="*",
        default=[],
        help="what must hold (default: the gates of the nearest pyproject.toml)",
    ),
    option(
        "--evaluation",
        metavar="NAME",
        help="judge only this one; its short name will do where it is the only one of that name",
    ),
    option(
        "--partial",
        action="store_true",
        help="judge the shards that are there, although others are missing",
    ),
    option("--json", action="store_true", help="print JSON, with figures that are not rounded"),
)
def gate(call: Call) -> int:
    """Do the gates hold? 0: all do, 1: one does not, 3: one can not be decided."""
    from ..reporting.gate import FAIL, PASS, UNDECIDED, GateError, Stored, judge, outcome_of, parse

    options = call.options
    try:
        gates = [parse(each) for each in _gates(options.gates)]
    except GateError as error:
        _point(call, error)
        return USAGE
    with call.store() as store:
        names = _names(store, options.experiment, options.evaluation)
        verdicts = judge(gates, Stored(store, options.experiment, names), partial=options.partial)
    outcome = outcome_of(verdicts)
    if options.json:
        call.say(
            as_json(
                {
                    "experiment": options.experiment,
                    "outcome": outcome,
                    "gates": [each.to_dict() for each in verdicts],
                }
            )
        )
    else:
        call.show(verdict_lines(call, verdicts))
    return {PASS: OK, FAIL: FAILED, UNDECIDED: INCONCLUSIVE}[outcome]


def _gates(given: Sequence[str]) -> Sequence[str]:
    """Those that were given, else those of the project."""
    import os

    from ..reporting.gate import from_project

    found = given or from_project(os.getcwd())
    if not found:
        raise UsageError(
            'no gates: give some, as in "errors <= 2%", or write gates = ["errors <= 2%"] under '
            f"[tool.doteval] in pyproject.toml; see `{program()} gate --help`"
        )
    return found


def _names(store: Store, experiment: str, wanted: str | None) -> list[str]:
    from ..reporting.views import one_of

    names = store.evaluations(experiment)
    return names if wanted is None else [one_of(names, wanted, experiment)]


def _point(call: Call, error: GateError) -> None:
    """The mistake, and a caret under it."""
    from ..text import display_width

    call.complain(error.problem)
    before = display_width(call.terminal.shown(error.text[: error.at]))
    call.err.write(f"  {call.terminal.shown(error.text)}\n  {' ' * before}^\n")


def verdict_lines(call: Call, verdicts: Sequence[Verdict]) -> list[str]:
    """A block for each verdict: the gate, and the figures below it."""
    from ..reporting.gate import FAIL, PASS, UNDECIDED
    from ..reporting.views import Piece, flow, short_name

    styles = {PASS: "good", FAIL: "bad", UNDECIDED: "warn"}
    terminal = call.terminal
    several = len({each.evaluation for each in verdicts}) > 1
    lines = []
    for each in verdicts:
        head = [Piece(f"{each.outcome:<9}", styles[each.outcome])]
        head.append(Piece(terminal.shown(each.gate.text), "strong"))
        if several and each.evaluation:
            head.append(Piece(terminal.shown(short_name(each.evaluation)), "dim"))
        lines += flow(head, terminal, "", 10, " ")
        for said in filter(None, (each.message, each.note)):
            words = [Piece(word) for word in terminal.shown(said).split()]
            lines += flow(words, terminal, " " * 10, 10, " ")
    return lines
