"""
The page that `doteval report` writes: one file that needs nothing else and lets nothing in.

    store ─▶ summaries, comparisons, bins ─┐
          └▶ records, in bounds ───────────┴▶ JSON in page.html, which draws itself

The page is page.html, with its style and its script; here stands what it gets. Records are read in
pages and never held, so they are read more than once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from .. import text
from ..errors import NotFound
from ..record import Record, Run
from ..reporting.compare import Comparison, compare
from ..reporting.comparison import comparison_lines
from ..reporting.details import FAILED, WRONG, verdict
from ..reporting.noise import Spread, spread_lines, spreads
from ..reporting.pairs import Source
from ..reporting.people import Labels
from ..reporting.summary import Summary, summarise
from ..reporting.views import short_names, summary_lines
from ..storage import Store
from ..views.terminal import Terminal
from .bins import Histogram, Timeline
from .excerpts import (
    Columns,
    Slices,
    Texts,
    Verdicts,
    answer_parts,
    figure,
    parts_of,
    row_of,
    tag_of,
    values_of,
)
from .figures import ADAPTIVE, plural

MARK = b'<!doctype html>\n<html lang="en">\n<meta name="generator" content="doteval'

_LONGEST_NAME = 200  # characters of a name
_LONGEST_TEXT = 1_000  # characters of a note or a reason
_EVALUATIONS = 100  # shown one by one
_RUNS = 500  # of an evaluation, whose time is drawn
_LOOKED_AT = 1_000  # records of an evaluation, for columns that are short
_SCORES = 20  # that the page has of each record
_LONGEST_BEFORE = 4_000  # characters of the answer of a baseline
_TOGETHER = 200  # records in one element,
_TOGETHER_TEXT = 2**20  # or as many as have so many characters


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How much a page holds at most, so that any browser opens it at once: about 60 MB.

    Attributes:
        records: in the table.
        texts: characters of all rows, prompts, answers and errors together; a quarter more for
            the answers of a baseline, and as many again for images.
        longest: characters of one of them.
    """

    records: int = 50_000
    texts: int = 32 * 2**20
    longest: int = 50_000


def report_page(
    store: Store,
    experiments: Sequence[str],
    baseline: str | None = None,
    *,
    people: Labels | None = None,
    bounds: Bounds | None = None,
    now: float,
    version: str = "",
) -> Iterator[str]:
    """
    The page, in pieces.

    Args:
        experiments: whose evaluations are shown; at least one.
        baseline: an experiment to compare each with.
        people: what people said of some rows; None: nothing.
        bounds: None: 50,000 records, 32 million characters of texts, 50,000 of one text.
        now: when the page is made, Unix seconds.
        version: of doteval.

    Raises:
        NotFound: there is no such experiment.
        StoreError: the store can not be read.
        UsageError: the labels of people do not fit.
    """
    report = _Report(store, experiments, baseline, people, bounds or Bounds())
    title = escape(text.safe(", ".join(experiments), _LONGEST_NAME))
    before, plain, between, after = _template(title)
    yield before
    yield escape(text.safe(report.plain(), newlines=True)) or plain
    yield between
    yield from report.records()
    facts = {**report.facts(), "made": now, "version": version}
    yield f'<script type="application/json" id="facts">{inline_json(_shown(facts))}</script>\n'
    yield after


def _template(title: str) -> tuple[str, str, str, str]:
    """page.html with title and policy: up to the plain text, that text, up to the data, the end."""
    page = pkgutil.get_data(__package__, "page.html")
    assert page is not None  # every loader of modules can load it too
    source = page.decode("utf-8").replace("\r\n", "\n")  # what a browser takes the digest of
    policy = (
        f"default-src 'none'; script-src {_digest(source, 'script')}; "
        f"style-src {_digest(source, 'style')}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    source = source.replace(
        "<!-- policy -->",
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
    ).replace("<title>doteval</title>", f"<title>{title} · doteval</title>")
    before, opening, rest = source.partition('<pre id="plain">')
    plain, closing, rest = rest.partition("</pre>")
    between, _, after = rest.partition("<!-- data -->\n")
    return before + opening, plain, closing + between, after


def _digest(source: str, tag: str) -> str:
    """How a policy names the page's inline script or style."""
    inside = source.rpartition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    digest = hashlib.sha256(inside.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


# --- what the page shows ----------------------------------------------------------------------


@dataclass(slots=True)
class _Part:
    """
    An evaluation of an experiment on the page.

    Attributes:
        short, called: its name on the page, without and with the experiment's where there are
            several.
        runs: whose records count.
        baseline: where what it is compared with is stored; None where there is nothing.
        spreads: what its repeats tell.
        verdicts: those of the baseline.
        kept: by `tag_of`, the place on the page of each of its records and a hash of its answer;
            filled where there is a baseline.
    """

    source: Source
    short: str
    called: str
    summary: Summary
    runs: Sequence[Run]
    timeline: Timeline
    latencies: Histogram = field(default_factory=Histogram)
    slices: Slices = field(default_factory=Slices)
    baseline: Source | None = None
    spreads: Sequence[Spread] = ()
    verdicts: Verdicts = field(default_factory=lambda: Verdicts(()))
    kept: dict[int, tuple[int, int]] = field(default_factory=dict)

    def is_news(self, record: Record) -> bool:
        """Whether somebody looks for it: it failed, is wrong, or is not what it was."""
        return verdict(record) in (FAILED, WRONG) or self.verdicts.differ(record)

    def to_dict(self) -> dict[str, Any]:
        header = self.runs[-1].header if self.runs else {}
        return {
            "short": self.short,
            "called": self.called,
            "summary": self.summary.to_dict(),
            "header": {name: header.get(name) for name in _HEADER},
            "timeline": self.timeline.to_dict(),
            "latencies": self.latencies.to_dict(),
            "slices": self.slices.to_dict(),
            "noise": list(map(_noise, self.spreads)),
        }


def _noise(spread: Spread) -> dict[str, Any]:
    """What a page tells of a score's noise; half the width of its interval now, and of more."""
    noise, rows, repeats = spread.noise, spread.rows, round(spread.noise.repeats)
    plans = (rows, repeats), (2 * rows, repeats), (rows, 2 * repeats)
    return {
        "score": spread.score,
        "metric": spread.metric,
        "repeats": noise.repeats,
        "rows": noise.rows,
        "flaky": noise.flaky,
        "flips": None if noise.flips is None else round(noise.flips * rows, 1),
        "of_repeats": spread.within,
        "half_widths": [noise.half_width(*plan, spread.confidence) for plan in plans],
    }


_HEADER = ("python", "platform", "commit", "branch", "clean")  # what of it a page tells


class _Report:
    """What a page shows; `records` comes before `facts`, which tell what of them was cut."""

    def __init__(
        self,
        store: Store,
        experiments: Sequence[str],
        baseline: str | None,
        people: Labels | None,
        bounds: Bounds,
    ) -> None:
        self._store = store
        self._experiments = experiments
        self._baseline = baseline
        self._people = people
        self._bounds = bounds
        self._notes: list[str] = []
        self._comparisons: list[Comparison] = []
        self._before: dict[Source, Summary] = {}
        self._parts: list[_Part] = []
        if baseline is not None:
            store.evaluations(baseline)  # it must exist
        for experiment in experiments:
            self._add(experiment)
        if people is not None:
            people.check()
        names = dict.fromkeys(name for part in self._parts for name in part.summary.scores)
        self._scores = list(names)[:_SCORES]
        self._columns = Columns()

    def _add(self, experiment: str) -> None:
        """The evaluations of an experiment, each with what the baseline has of it."""
        pairs: dict[str, Source] = {}
        if self._baseline not in (None, experiment):
            pairs = self._compare(str(self._baseline), experiment)
        for evaluation, short in short_names(self._store.evaluations(experiment)).items():
            called = f"{experiment} · {short}" if len(self._experiments) > 1 else short
            source = Source(experiment, evaluation)
            summary = summarise(self._store, *source, people=self._people)
            runs = _that_count(self._store.runs(*source))
            timeline = Timeline(runs, summary.done, self._store.tally(*source).ended)
            part = _Part(source, short, called, summary, runs, timeline)
            part.spreads = spreads(self._store, source)
            if evaluation in pairs:
                before = part.baseline = pairs[evaluation]
                part.verdicts = Verdicts(self._store.records(*before))
                self._before[before] = summarise(self._store, *before, people=self._people)
            self._parts.append(part)

    def _compare(self, before: str, after: str) -> dict[str, Source]:
        """Where the baseline of each evaluation is; a note where nothing can be said."""
        try:
            comparison = compare(before, after, storage=self._store, examples=0)
        except NotFound as error:
            self._notes.append(f"not compared: {error}")
            return {}
        self._comparisons.append(comparison)
        for names, where in ((comparison.gone, "the baseline"), (comparison.new, f"{after!r}")):
            if names:
                self._notes.append(f"only in {where}: {', '.join(names[:10])}")
        self._notes += [note for contrast in comparison.evaluations for note in contrast.notes]
        return {each.b.evaluation: each.a for each in comparison.evaluations}

    def plain(self) -> str:
        """The figures as text, for who runs no scripts; "" where there are none."""
        terminal = Terminal()
        parts = self._parts[:_EVALUATIONS]
        blocks = []
        for part in parts:
            blocks.append(summary_lines(part.summary, terminal, part.called))
            blocks += [list(spread_lines(each, terminal)) for each in part.spreads]
        blocks += [comparison_lines(each, terminal) for each in self._comparisons]
        return "\n\n".join("\n".join(lines) for lines in blocks)

    def facts(self) -> dict[str, Any]:
        """All that the page knows beside its records, as plain data."""
        return {
            "experiments": self._experiments,
            "baseline": self._baseline,
            "parts": [
                part.to_dict() if at < _EVALUATIONS else {"called": part.called}
                for at, part in enumerate(self._parts)
            ],
            "names": [
                f"{part.source.experiment} · {part.source.evaluation}" for part in self._parts
            ],
            "comparisons": [each.to_dict() for each in self._comparisons],
            "before": [each.to_dict() for each in self._before.values()],
            "adaptive": ADAPTIVE,
            "scores": self._scores,
            "cells": self._columns.short(),
            "notes": self._notes,
        }

    def records(self) -> Iterator[str]:
        """
        The records as elements: all are read for the pictures, then those that are news, then the
        others, as far as the bounds go; and what the baseline answered.
        """
        everything = sum(self._survey(part) for part in self._parts)
        held = min(everything, self._bounds.records)
        texts = Texts(held, self._bounds.texts, self._bounds.longest)
        yield from self._rows(texts)
        before = Texts(held, self._bounds.texts // 4, min(_LONGEST_BEFORE, self._bounds.longest))
        yield from self._answers_before(before)
        if held < everything:
            self._notes.append(
                f"{text.count(held)} of {text.count(everything)} records are in this file, first "
                "those that failed, are wrong or changed; figures and pictures rest on all"
            )
        if cut := texts.cut + before.cut:
            self._notes.append(
                f"{plural(cut, 'text')} cut to keep this file small; how much, stands below each"
            )

    def _survey(self, part: _Part) -> int:
        """Read all records of an evaluation, for what rests on all; how many there are."""
        n = 0
        for record in self._store.records(*part.source):
            n += 1
            part.timeline.add(record)
            part.latencies.add(record.duration)
            part.slices.add(record)
            if n <= _LOOKED_AT:
                self._columns.add(record)
        return n

    def _rows(self, texts: Texts) -> Iterator[str]:
        chunks, cells, kept = _Chunks("rows", "texts"), self._columns.short(), 0
        for news in (True, False):
            for number, part in enumerate(self._parts):
                for record in self._store.records(*part.source):
                    if kept >= self._bounds.records:
                        break
                    if part.is_news(record) is not news:
                        continue
                    if part.baseline is not None:
                        part.kept[tag_of(record)] = kept, hash(_answer(record))
                    kept += 1
                    row = row_of(record, number, self._scores, cells)
                    yield from chunks.add(row, texts.of(parts_of(record)))
        yield from chunks.rest()

    def _answers_before(self, texts: Texts) -> Iterator[str]:
        """
        Of each record that the baseline has too: [its place, the scores there or 0 where it
        failed], and what was answered there; nothing where that is the same.
        """
        chunks = _Chunks("marks", "befores")
        for part in self._parts:
            if part.baseline is None:
                continue
            for record in self._store.records(*part.baseline):
                place, answer = part.kept.get(tag_of(record), (-1, 0))
                if place < 0:
                    continue
                values = 0 if record.failed else values_of(record, self._scores)
                same = hash(_answer(record)) == answer
                parts = [] if same else texts.of(answer_parts(record))
                yield from chunks.add([place, values], parts)
        yield from chunks.rest()


def _answer(record: Record) -> str:
    return "\n".join(f"{kind}{label}{value}" for kind, label, value in answer_parts(record))


def _that_count(runs: list[Run]) -> list[Run]:
    """Runs since the last one that began anew, and of them the latest."""
    for index in range(len(runs) - 1, -1, -1):
        if runs[index].header.get("fresh"):
            runs = runs[index:]
            break
    return runs[-_RUNS:]


# --- JSON inside HTML -------------------------------------------------------------------------

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def inline_json(value: Any) -> str:
    """
    Plain data as JSON that can stand inside a <script> element.

    It holds no `<`, `>` or `&`: no text can end its element, open a comment or become a reference.
    """
    told = _encode(value)
    return told.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _shown(value: Any) -> Any:
    """Plain data with every text made harmless, and with numbers that JSON has."""
    if isinstance(value, str):
        return text.safe(value, _LONGEST_TEXT)
    if isinstance(value, Mapping):
        return {text.safe(name, _LONGEST_NAME): _shown(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(each) for each in value]
    return value if value is None else figure(value)


class _Chunks:
    """
    Gathers pairs of values into pairs of elements of moderate size.

    Args:
        heads, texts: classes of the two elements.
    """

    def __init__(self, heads: str, texts: str) -> None:
        self._classes = heads, texts
        self._held: tuple[list[str], list[str]] = [], []
        self._size = 0

    def add(self, head: list[Any], texts: list[list[Any]]) -> Iterator[str]:
        """Take a pair; the elements that are full with it."""
        for held, value in zip(self._held, (head, texts), strict=True):
            held.append(inline_json(value))
        self._size += len(self._held[1][-1])
        if len(self._held[0]) >= _TOGETHER or self._size >= _TOGETHER_TEXT:
            yield from self.rest()

    def rest(self) -> Iterator[str]:
        """The elements of what was gathered."""
        if self._held[0]:
            for name, held in zip(self._classes, self._held, strict=True):
                data = ",".join(held)
                yield f'<script type="application/json" class="{name}">[{data}]</script>\n'
            self._held, self._size = ([], []), 0
