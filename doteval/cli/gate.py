"""
`doteval gate`: an experiment judged by thresholds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .call import (
    EVALUATION,
    FAILED,
    INCONCLUSIVE,
    LABELS,
    OK,
    TABLE,
    USAGE,
    Answer,
    Call,
    command,
    option,
    program,
)  # fmt: skip

if TYPE_CHECKING:
    from ..reporting.gate import GateError


@command(
    "judge an experiment by thresholds",
    'doteval gate candidate "exact_match.accuracy >= 0.8" "errors <= 2%"\n'
    'doteval gate candidate "exact_match >= 0.8 @ 95%"      # the interval must clear it\n'
    'doteval gate candidate "exact_match >= baseline(main) - 1%"\n'
    'doteval gate candidate "eval_sums: missing == 0"       # of one evaluation only\n'
    'doteval gate candidate "exact_match by difficulty >= 70%"     # in each slice\n'
    "doteval gate candidate      # the gates under [tool.doteval] of pyproject.toml",
    option("experiment", metavar="NAME", help="name of the experiment"),
    option(
        "gates",
        metavar="GATE",
        nargs="*",
        default=[],
        help="what must hold (default: the gates of the nearest pyproject.toml)",
    ),
    EVALUATION,
    LABELS,
    option(
        "--partial",
        action="store_true",
        help="judge the shards that are there, although others are missing",
    ),
    forms=TABLE,
)
def run(call: Call) -> Answer:
    """Do the gates hold? 0: all do, 1: one does not, 3: one can not be decided."""
    from ..reporting.gate import FAIL, PASS, UNDECIDED, GateError, parse
    from ..reporting.judgement import gate, judgement_lines, judgement_table

    options = call.options
    try:
        gates = [parse(each) for each in _gates(options.gates)]
    except GateError as error:
        point(call, error)
        return Answer(code=USAGE)
    found = gate(
        options.experiment,
        *gates,
        evaluation=options.evaluation,
        storage=call.store(),
        labels=options.labels,
        partial=options.partial,
    )
    code = {PASS: OK, FAIL: FAILED, UNDECIDED: INCONCLUSIVE}[found.outcome]
    lines, table = judgement_lines(found, call.terminal), judgement_table(found.verdicts)
    return Answer(lines, code, found.to_dict(), table)


def _gates(given: Sequence[str]) -> Sequence[str]:
    """Those that were given, else those of the project."""
    found = given or from_project(os.getcwd())
    if not found:
        raise UsageError(
            'no gates: give some, as in "errors <= 2%", or write gates = ["errors <= 2%"] under '
            f"[tool.doteval] in pyproject.toml; see `{program()} gate --help`"
        )
    return found


def point(call: Call, error: GateError) -> None:
    """The mistake, and a caret under it."""
    from ..text import display_width

    call.complain(error.problem)
    before = display_width(call.terminal.shown(error.text[: error.at]))
    call.err.write(f"  {call.terminal.shown(error.text)}\n  {' ' * before}^\n")


def from_project(folder: Any) -> list[str]:
    """
    The gates under `[tool.doteval]` of the nearest pyproject.toml, from a folder upward.

    Returns:
        [] where there is no such file, or no gates in it.

    Raises:
        UsageError: the file can not be read, `gates` is no list of texts, or this Python has no
            reader of TOML (before 3.11).
    """
    from pathlib import Path

    for place in (Path(folder), *Path(folder).parents):
        path = place / "pyproject.toml"
        if path.is_file():
            return _gates_in(path)
    return []


def _gates_in(path: Any) -> list[str]:
    from importlib import import_module

    try:
        tomllib: Any = import_module("tomllib")
    except ImportError:
        raise UsageError(
            f"reading gates from {path} needs Python 3.11 or later; give them as arguments"
        ) from None
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can not be read: {error}") from error
    gates: Any = found
    for key, empty in (("tool", {}), ("doteval", {}), ("gates", [])):
        gates = gates.get(key, empty) if isinstance(gates, dict) else gates
    if not isinstance(gates, list) or not all(isinstance(each, str) for each in gates):
        raise UsageError(f'{path}: gates must be a list of texts, as in gates = ["errors <= 2%"]')
    return gates
