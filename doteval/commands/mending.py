"""
What is the matter with a store: `doctor`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .call import FAILED, OK, Call, as_json, command, option

if TYPE_CHECKING:
    from ..storage.doctor import Report

_STYLES = {"damage": "bad", "risk": "warn", "note": "dim"}


@command(
    "doctor",
    "look whether a store is whole; with --fix, mend it after a backup",
    "doteval doctor\ndoteval doctor --fix --storage results.db",
    option("--fix", action="store_true", help="mend what can be mended; a copy is made first"),
    option("--json", action="store_true", help="print JSON"),
)
def doctor(call: Call) -> int:
    """Findings, the worst first; exit 1 while something needs mending."""
    from ..storage.doctor import check, fix

    place = call.place()
    if not call.options.fix:
        report = check(place)
        call.say(*([as_json(report.to_dict())] if call.options.json else _lines(call, report)))
        return OK if report.is_healthy else FAILED
    repair = fix(place)
    if call.options.json:
        backup = None if repair.backup is None else str(repair.backup)
        call.say(as_json({**repair.report.to_dict(), "backup": backup, "done": list(repair.done)}))
    else:
        for sentence in repair.done:
            call.say(call.terminal.shown(sentence))
        if repair.backup is not None:
            call.say(call.terminal.shown(f"as it was: {repair.backup}"))
        call.say(*_lines(call, repair.report))
    return OK if repair.report.is_healthy else FAILED


def _lines(call: Call, report: Report) -> list[str]:
    shown, paint = call.terminal.shown, call.terminal.paint
    lines = [
        f"{paint(finding.level, _STYLES[finding.level])}: {shown(finding.text)}"
        for finding in report.findings
    ]
    verdict = paint("healthy", "good") if report.is_healthy else paint("needs mending", "bad")
    return [*lines, f"{shown(report.path)}: {verdict}"]
