"""
`doteval compare`: two experiments on the rows that both have, or several against each other.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import UsageError
from .call import (
    EVALUATION,
    FAILED,
    INCONCLUSIVE,
    OK,
    TABLE,
    Answer,
    Call,
    columns,
    command,
    flag,
    option,
    several,
    typed,
)


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


@command(
    "compare two experiments on the rows that both have: is the second one worse?",
    "doteval compare main candidate\n"
    "doteval compare main candidate --margin 1%       # a loss of a point is accepted\n"
    "doteval compare main candidate --markdown        # for a pull request\n"
    "doteval compare main candidate --by difficulty   # in each slice of the rows too\n"
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
    EVALUATION,
    option(
        "--other",
        metavar="NAME",
        help="the evaluation of B to pair it with, where that has another name",
    ),
    several("--only", "SCORE[.METRIC]", "only this score"),
    several("--lower-is-better", "SCORE[.METRIC]", "a score of which less is better"),
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
    flag("--paired-only", "judge by the rows that both have, even where B is not complete"),
    option(
        "--by",
        metavar="COLUMN[,COLUMN]",
        type=typed(columns),
        default=(),
        help="the differences for each value of these columns too; the verdict is of the whole",
    ),
    forms=TABLE,
)
def run(call: Call) -> Answer:
    """
    Is B worse than A? 0: better, or no loss; 1: yes; 3: that can not be told. Of three and more: 0.
    """
    from ..reporting.compare import compare
    from ..reporting.comparison import comparison_lines, comparison_markdown, difference_table
    from ..reporting.difference import REGRESSION, UNSURE

    options = call.options
    if options.more:
        return _ranked(call)
    alone = {"other": options.other, "margin": options.margin, "by": options.by}
    comparison = compare(options.a, options.b, **_asked(call), **alone)
    parts = [each for whole in comparison.evaluations for each in (whole, *whole.slices)]
    return Answer(
        comparison_lines(comparison, call.terminal),
        {REGRESSION: FAILED, UNSURE: INCONCLUSIVE}.get(comparison.verdict, OK),
        comparison.to_dict(),
        difference_table(comparison, parts),
        [comparison_markdown(comparison)],
    )


def _asked(call: Call) -> dict[str, Any]:
    """What two and several experiments can both be asked."""
    names = ("evaluation", "only", "lower_is_better", "confidence", "paired_only")
    return {"storage": call.store(), **{name: getattr(call.options, name) for name in names}}


def _ranked(call: Call) -> Answer:
    """Three and more experiments."""
    from ..reporting.league import league, league_lines, league_table

    options = call.options
    if options.other or options.margin is not None or options.by:
        raise UsageError("--other, --margin and --by are for two experiments")
    found = league([options.a, options.b, *options.more], **_asked(call))
    table = league_table(found.standings, found.confidence)
    return Answer(league_lines(found, call.terminal), data=found.to_dict(), table=table)
