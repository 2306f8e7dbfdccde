"""
The page that `doteval report` writes: one file that needs nothing else and lets nothing in.

    records ─▶ gathered ─┬▶ Part, Counts ────────┐
                         └▶ Chunks ─▶ spool ─────┴▶ page, piece by piece

What is known only after all records were read stands above them in the page, so they wait in a
temporary file.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from .. import text
from ..metrics import Estimate
from ..records import Run
from ..storage import Store
from .compared import change
from .embedded import BETTER, FAILED, RIGHT, WORSE, WRONG, inline_json
from .gathered import LONGEST_NAME, Bounds, Counts, Part, columns_of, gather, parts_of
from .pairs import NONE, REGRESSION, Difference
from .pictures import histogram_picture, timeline_pictures
from .script import SCRIPT
from .style import STYLE
from .summary import Summary
from .tables import Terminal
from .views import STATUS_STYLES, estimate_figure, figure, interval, plural, score_figure

MARK = b'<!doctype html>\n<html lang="en">\n<meta name="generator" content="doteval'

_EVALUATIONS = 100  # shown one by one
_OPEN = 3  # evaluations whose figures are seen at once
_COLUMNS = 4  # of scores in the table of records; others are seen in a record
_ERRORS = 12  # types of error of an evaluation
_PLAIN = Terminal()


def report_page(
    store: Store,
    experiments: Sequence[str],
    baseline: str | None = None,
    *,
    bounds: Bounds | None = None,
    now: float,
    version: str = "",
) -> Iterator[str]:
    """
    The page, in pieces.

    Args:
        experiments: whose evaluations are shown; at least one.
        baseline: an experiment to compare each with.
        bounds: None: 50,000 records, 32 million characters of texts, 50,000 of one text.
        now: when the page is made, Unix seconds.
        version: of doteval.

    Raises:
        NotFound: there is no such experiment.
        StoreError: the store can not be read.
    """
    import tempfile  # it loads shutil and random, which only this needs

    bounds = bounds or Bounds()
    notes: list[str] = []
    parts = parts_of(store, experiments, baseline, notes)
    scores = columns_of(parts)
    counts = Counts()
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as spool:
        gather(store, parts, scores, bounds, counts, notes, spool)
        yield _head(experiments, version)
        yield _title(experiments, parts, baseline, now)
        yield from _notes(notes)
        yield _scores(parts, baseline)
        yield from _evaluations(parts)
        yield _records(parts, scores, counts, baseline)
        yield _footer(counts, bounds, experiments, version, now)
        spool.seek(0)
        while piece := spool.read(2**16):
            yield piece
        yield f"<script>{SCRIPT}</script>\n</html>\n"


# --- the page from top to bottom --------------------------------------------------------------


def _digest(source: str) -> str:
    """How a policy names an inline script or style."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _head(experiments: Sequence[str], version: str) -> str:
    policy = (
        f"default-src 'none'; script-src {_digest(SCRIPT)}; style-src {_digest(STYLE)}; "
        "img-src data:; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    title = _shown(", ".join(experiments))
    return (
        f'{MARK.decode("ascii")} {_shown(version)}">\n'
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="robots" content="noindex">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{title} · doteval</title>\n"
        f"<style>{STYLE}</style>\n"
    )


def _shown(value: object, most: int = LONGEST_NAME) -> str:
    """Any text as HTML that shows it, on one line."""
    return escape(text.safe(value, most))


def _title(
    experiments: Sequence[str], parts: Sequence[Part], baseline: str | None, now: float
) -> str:
    summaries = [part.summary for part in parts]
    facts = [
        plural(len(parts), "evaluation"),
        plural(sum(each.done for each in summaries), "record"),
    ]
    times = [each.finished or each.started for each in summaries]
    last = max((time for time in times if time is not None), default=None)
    if last is not None:
        facts.append(_moment(last))
    facts.append(text.duration(sum(each.duration for each in summaries)))
    told = "".join(f"<span>{escape(fact)}</span>" for fact in facts)
    if baseline is not None:
        told += f"<span>compared with <b><bdi>{_shown(baseline)}</bdi></b></span>"
    name = ", ".join(f"<bdi>{_shown(each)}</bdi>" for each in experiments)
    return (
        '<a class="skip hidden" href="#table">Skip to the records</a>\n'
        f'<h1>{name}</h1>\n<p class="facts">{told}</p>\n'
    )


def _moment(seconds: float) -> str:
    import time

    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return text.NOTHING


def _notes(notes: Iterable[str]) -> Iterator[str]:
    for note in notes:
        yield f'<p class="note">{_shown(note, 1_000)}</p>\n'


# --- scores -----------------------------------------------------------------------------------


def _scores(parts: Sequence[Part], baseline: str | None) -> str:
    """A line for each metric of each score: the figure, its interval as a picture and in words."""
    lines: list[str] = []
    for part in parts[:_EVALUATIONS]:
        called = part.called
        left_open = part.summary.bounds if part.summary.failed else {}
        for name, by_metric in part.summary.scores.items():
            for metric, estimate in by_metric.items():
                difference = part.differences.get((name, metric))
                bounds = left_open.get(name, {}).get(metric)
                cells = _score_cells(name, metric, estimate, bounds, difference)
                if baseline is not None:
                    cells += f'<td class="num">{_against(metric, difference)}</td>'
                cells += f'<td class="num wide">{text.count(estimate.n)}</td>'
                lines.append(f'<tr><th scope="row" class="name">{escape(called)}</th>{cells}</tr>')
                called = ""
        if not part.summary.scores:  # all of its rows failed, or none has finished
            lines.append(
                f'<tr><th scope="row" class="name">{escape(called)}</th>'
                '<td class="name soft" colspan="6">no row has scores</td></tr>'
            )
    if not any(part.summary.scores for part in parts):
        return (
            '<section aria-label="Scores"><h2>Scores</h2>'
            '<p class="empty">No row has scores yet.</p></section>\n'
        )
    confidence = {f"{part.summary.confidence:.4g}" for part in parts}
    sure = f"{float(confidence.pop()) * 100:g}% " if len(confidence) == 1 else ""
    against = '<th class="num">against the baseline</th>' if baseline is not None else ""
    few = " few" if len(lines) <= 3 else ""
    return (
        '<section aria-label="Scores"><h2>Scores</h2>'
        f'<table class="scores{few}" aria-label="Scores"><thead><tr>'
        '<th>evaluation</th><th>score</th><th class="num">value</th>'
        '<th class="scale"><span class="hidden">picture of the interval</span></th>'
        f'<th class="num">{sure}interval</th>{against}'
        f'<th class="num wide">rows</th></tr></thead><tbody>{"".join(lines)}'
        "</tbody></table></section>\n"
    )


def _score_cells(
    name: str,
    metric: str,
    estimate: Estimate,
    bounds: Sequence[float] | None,
    difference: Difference | None,
) -> str:
    said = _shown(name) if metric in ("accuracy", "mean") else f"{_shown(name)} {_shown(metric)}"
    base = None if difference is None else difference.a
    return (
        f'<td class="name">{said}</td>'
        f'<td class="num value">{escape(estimate_figure(metric, estimate))}</td>'
        f'<td class="scale">{_interval_picture(estimate, base)}</td>'
        f'<td class="num">{_how_sure(metric, estimate, bounds)}</td>'
    )


def _how_sure(metric: str, estimate: Estimate, bounds: Sequence[float] | None) -> str:
    """The interval, or why there is none; and what the failures leave open."""
    span = interval(metric, estimate, _PLAIN)
    if not span or estimate.low != estimate.low:
        span = f'<span class="soft">{_shown(estimate.method) or text.NOTHING}</span>'
    else:
        span = f'<span class="whole">{escape(span)}</span>'
    if bounds is not None:
        low, high = (escape(score_figure(metric, bound)) for bound in bounds)
        span += f'<br><small class="soft">{low} to {high} with the failures</small>'
    return span


def _interval_picture(estimate: Estimate, base: float | None) -> str:
    """The value within its interval on a scale from 0 to 1; nothing for other scales."""
    ends = (estimate.value, estimate.low, estimate.high)
    if not all(end is not None and 0 <= end <= 1 for end in ends):
        return ""
    value, low, high = (100 * float(end or 0) for end in ends)
    drawn = (
        '<path class="axis" d="M0 9H100M0 6V12M100 6V12"/>'
        f'<rect class="span" x="{low:.2f}" y="3" width="{max(high - low, 0.5):.2f}" height="12"/>'
    )
    if base is not None and 0 <= base <= 1:
        drawn += f'<path class="base" d="M{100 * base:.2f} 0V18"/>'
    drawn += f'<path class="dot" d="M{value:.2f} 2V16"/>'
    return (
        '<svg class="interval" viewBox="0 0 100 18" preserveAspectRatio="none" '
        f'aria-hidden="true">{drawn}</svg>'
    )


def _against(metric: str, difference: Difference | None) -> str:
    if difference is None or difference.value is None or difference.value != difference.value:
        return f'<span class="soft">{text.NOTHING}</span>'
    told = f'<span class="whole">{escape(change(metric, difference.value))}</span>'
    if difference.low is not None and difference.high is not None:
        low, high = (escape(change(metric, end)) for end in (difference.low, difference.high))
        told += f' <span class="soft whole">({low} to {high})</span>'
    tone = {REGRESSION: "bad", NONE: "good"}.get(difference.verdict, "")
    reason = f' title="{_shown(difference.reason)}"' if difference.reason else ""
    return f'{told}<br><span class="pill {tone}"{reason}>{escape(difference.verdict)}</span>'


# --- evaluations ------------------------------------------------------------------------------


def _evaluations(parts: Sequence[Part]) -> Iterator[str]:
    yield '<section aria-label="Evaluations"><h2>Time, throughput and errors</h2>\n'
    if not parts:
        yield '<p class="empty">Nothing was run yet.</p>'
    for index, part in enumerate(parts[:_EVALUATIONS]):
        yield _evaluation(part, is_open=index < _OPEN)
    if len(parts) > _EVALUATIONS:
        yield f'<p class="note">and {plural(len(parts) - _EVALUATIONS, "other evaluation")}</p>'
    yield "</section>\n"


def _evaluation(part: Part, is_open: bool) -> str:
    summary = part.summary
    tone = STATUS_STYLES.get(summary.status, "")
    latency = summary.latency
    pictures = timeline_pictures(part.timeline) + histogram_picture(
        part.histogram, latency.get("p50"), latency.get("p95")
    )
    notes = "".join(
        f'<p class="note warn">{_shown(note, 1_000)}</p>'
        for note in (summary.error, *summary.unknown, *summary.kept)
        if note
    )
    return (
        f'<details class="evaluation"{" open" if is_open else ""}><summary>'
        f'<h3>{escape(part.called)}</h3> <span class="pill {tone}">{escape(summary.status)}</span>'
        f'<span class="soft name">{_shown(part.evaluation)}</span></summary>{notes}'
        f'<dl class="figures">{"".join(_figures(part))}</dl>'
        f'<div class="charts">{pictures}</div>{_errors(summary)}</details>\n'
    )


def _figures(part: Part) -> Iterator[str]:
    summary = part.summary
    of = "" if summary.total is None else f" of {text.count(summary.total)}"
    yield _fact("scored", f"{text.count(summary.scored)}{of}", _or_so(summary))
    if summary.failed:
        yield _fact("failed", text.count(summary.failed), tone="bad")
    if summary.missing:
        yield _fact("missing", text.count(summary.missing), "run it again to resume", "warn")
    if summary.stale:
        yield _fact("stale", text.count(summary.stale), "no longer in the dataset")
    runs = plural(summary.runs, "run")
    yield _fact("took", text.duration(summary.duration), runs)
    yield _fact("throughput", text.rate(summary.rate, "rows"))
    latency = summary.latency
    if latency.get("p50") is not None:
        p95, most = (text.duration(latency.get(name)) for name in ("p95", "most"))
        yield _fact("latency", text.duration(latency["p50"]), f"p95 {p95}, longest {most}")
    if summary.attempts > summary.done:
        waited = f"waiting {text.duration(summary.waited)}" if summary.waited > 0 else ""
        yield _fact("attempts", text.count(summary.attempts), waited)
    usage = summary.usage
    if usage.get("input_tokens") is not None or usage.get("output_tokens") is not None:
        sent, got = (text.count(usage.get(name)) for name in ("input_tokens", "output_tokens"))
        yield _fact("tokens", f"{sent} in", f"{got} out")
    if usage.get("cost") is not None:
        yield _fact("cost", figure(usage["cost"] or 0))
    yield _strategy(summary)
    yield from _circumstances(part.runs)


def _or_so(summary: Summary) -> str:
    return "" if summary.success is None else f"success rate {text.percent(summary.success)}"


def _fact(name: str, value: str, small: str = "", tone: str = "") -> str:
    tail = f"<small>{escape(small)}</small>" if small else ""
    return f'<div><dt>{name}</dt><dd class="{tone}">{escape(value)}{tail}</dd></div>'


def _strategy(summary: Summary) -> str:
    parameters = dict(summary.strategy)
    name = text.safe(parameters.pop("name", ""), LONGEST_NAME)
    if not name:
        return ""
    inside = ", ".join(f"{key}={value}" for key, value in list(parameters.items())[:20])
    return _fact("strategy", name, text.safe(inside, LONGEST_NAME))


def _circumstances(runs: Sequence[Run]) -> Iterator[str]:
    """Of the last run: with what it ran."""
    header = runs[-1].header if runs else {}
    if header.get("python"):
        platform = text.safe(header.get("platform") or "", 40)
        yield _fact("python", text.safe(header["python"], 40), platform)
    if header.get("commit"):
        yield _fact("commit", text.safe(header["commit"], 12, mark=""))


def _errors(summary: Summary) -> str:
    if not summary.errors:
        return ""
    most = max(summary.errors.values())
    lines = [
        f'<tr><th scope="row" class="name">{_shown(kind, 80)}</th>'
        f'<td class="num">{text.count(n)}</td><td class="scale"><svg viewBox="0 0 100 8" '
        f'preserveAspectRatio="none" aria-hidden="true"><rect width="{100 * n / most:.2f}" '
        'height="8"/></svg></td></tr>'
        for kind, n in list(summary.errors.items())[:_ERRORS]
    ]
    others = len(summary.errors) - len(lines)
    if others > 0:
        n = sum(list(summary.errors.values())[_ERRORS:])
        lines.append(
            f'<tr><th scope="row" class="soft">{plural(others, "other type")}</th>'
            f'<td class="num">{text.count(n)}</td><td></td></tr>'
        )
    return (
        '<table class="errors"><caption>Errors by type</caption><tbody>'
        f"{''.join(lines)}</tbody></table>"
    )


# --- records ----------------------------------------------------------------------------------


def _records(
    parts: Sequence[Part], scores: Sequence[str], counts: Counts, baseline: str | None
) -> str:
    facts = {
        "evaluations": [text.safe(f"{each.experiment} · {each.evaluation}", 300) for each in parts],
        "scores": [text.safe(name, LONGEST_NAME) for name in scores],
        "baseline": None if baseline is None else text.safe(baseline, LONGEST_NAME),
        "columns": min(len(scores), _COLUMNS),
        "retried": counts.retried,
    }
    if not counts.kept:
        shown = '<p class="empty">No records yet.</p>'
    else:
        shown = _tools(parts, counts, baseline is not None) + _table(scores, counts.retried)
    return (
        f'<section aria-label="Records" id="table"><h2>Records</h2>{shown}</section>\n{_DIALOG}'
        f'<script type="application/json" id="facts">{inline_json(facts)}</script>\n'
    )


def _tools(parts: Sequence[Part], counts: Counts, compared: bool) -> str:
    chips = [
        _chip("all", "all", counts.kept, checked=True),
        _chip("failed", "failed", counts.kinds[FAILED]),
        _chip("wrong", "wrong", counts.kinds[WRONG]),
        _chip("right", "right", counts.kinds[RIGHT]),
    ]
    if compared:
        worse, better = counts.changes[WORSE], counts.changes[BETTER]
        chips.append(_chip("flipped", "flipped", worse + better))
        chips.append(_chip("worse", "worse ▼", worse))
        chips.append(_chip("better", "better ▲", better))
    which = ""
    if len(parts) > 1:
        options = "".join(
            f'<option value="{number}">{escape(part.called)}</option>'
            for number, part in enumerate(parts)
        )
        which = (
            '<select id="which" aria-label="Evaluation">'
            f'<option value="-1">all evaluations</option>{options}</select>'
        )
    return (
        '<noscript><p class="note">The table of records needs JavaScript; all else is shown '
        "without.</p></noscript>"
        '<div class="tools" id="tools" hidden>'
        '<label class="hidden" for="find">Search in rows, prompts, answers and errors</label>'
        '<input type="search" id="find" placeholder="Search rows, prompts, answers…" '
        f'autocomplete="off" spellcheck="false">{which}'
        f'<fieldset><legend class="hidden">Which records</legend>{"".join(chips)}</fieldset>'
        '<p id="told" role="status" aria-live="polite"></p></div>'
    )


def _chip(value: str, label: str, n: int, checked: bool = False) -> str:
    state = " checked" if checked else "" if n else " disabled"
    return (
        f'<label class="chip"><input type="radio" name="only" value="{value}"{state}>'
        f"<span>{label} <small>{text.count(n)}</small></span></label>"
    )


def _table(scores: Sequence[str], retried: bool) -> str:
    columns = [
        ("at", "row", "c-at", ' aria-sort="ascending"'),
        ("is", "verdict", "c-is", ""),
        ("row", "row data", "", ""),
        ("answer", "answer or error", "", ""),
        *(
            (f"score{at}", name, f"c-score num wide{' wider' if at > 1 else ''}", "")
            for at, name in enumerate(scores[:_COLUMNS])
        ),
        ("time", "latency", "c-time num wide", ""),
    ]
    if retried:
        columns.append(("tries", "attempts", "c-tries num wide", ""))
    head = "".join(
        f'<th scope="col" class="{kind}"{sort}><button type="button" data-by="{by}" '
        f'title="sort by {_shown(name)}">{_shown(name)}</button></th>'
        for by, name, kind, sort in columns
    )
    return (
        f'<table id="records" hidden><caption class="hidden">Records; the arrow keys move between '
        f"rows, Enter opens one</caption><thead><tr>{head}</tr></thead><tbody>"
        f'<tr class="gap" id="above" aria-hidden="true"><td></td></tr>'
        f'<tr class="gap" id="below" aria-hidden="true"><td></td></tr>'
        '</tbody></table><div class="empty" id="none" hidden><p>No record is like that.</p>'
        '<p><button type="button" id="clear">Show all records</button></p></div>'
    )


_DIALOG = (
    '<dialog id="detail" aria-labelledby="title"><header>'
    '<h2 id="title" tabindex="-1" autofocus></h2>'
    '<span class="soft" id="count"></span><div class="steps-bar">'
    '<button type="button" id="before" aria-label="previous record">←</button>'
    '<button type="button" id="after" aria-label="next record">→</button>'
    '<button type="button" id="close">Close</button></div></header>'
    '<div id="texts"></div></dialog>\n'
)


def _footer(
    counts: Counts, bounds: Bounds, experiments: Sequence[str], version: str, now: float
) -> str:
    return (
        f"<footer><p>Made by doteval {_shown(version)} on {escape(_moment(now))}. This file needs "
        "no network and sends nothing. Characters that could hide or reorder text are shown as "
        "escapes. An interval says what the figure could be if other rows of the same kind had "
        "been asked.</p></footer>\n"
    )
