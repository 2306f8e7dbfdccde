"""
`doteval doctor`: what is the matter with a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .call import FAILED, OK, Answer, Call, command, flag

if TYPE_CHECKING:
    from ..storage.doctor import Report

_STYLES = {"damage": "bad", "risk": "warn", "note": "dim"}


@command(
    "look whether a store is whole; with --fix, make it anew of what can be read",
    "doteval doctor\ndoteval doctor --fix --storage results.db",
    flag("--fix", "make a damaged store anew; the damaged file is kept"),
    forms=("json",),
)
def run(call: Call) -> Answer:
    """Findings, the worst first; exit 1 while something needs mending."""
    from ..storage.doctor import check, fix

    place = call.place()
    if not call.options.fix:
        report = check(place)
        lines, data = _lines(call, report), report.to_dict()
    else:
        repair = fix(place)
        report, backup = repair.report, None if repair.backup is None else str(repair.backup)
        told = [*repair.done, *([] if backup is None else [f"as it was: {backup}"])]
        lines = [*map(call.terminal.shown, told), *_lines(call, report)]
        data = {**report.to_dict(), "backup": backup, "done": list(repair.done)}
    return Answer(lines, OK if report.is_healthy else FAILED, data)


def _lines(call: Call, report: Report) -> list[str]:
    shown, paint = call.terminal.shown, call.terminal.paint
    lines = [
        f"{paint(finding.level, _STYLES[finding.level])}: {shown(finding.text)}"
        for finding in report.findings
    ]
    verdict = paint("healthy", "good") if report.is_healthy else paint("needs mending", "bad")
    return [*lines, f"{shown(report.path)}: {verdict}"]
