"""
`doteval merge`: several stores into one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..text import count
from ..views.figures import plural
from ..views.terminal import Piece, flow, labelled, words
from .call import Answer, Call, command, flag, option, several

if TYPE_CHECKING:
    from ..storage.merging import Merged


@command(
    "merge stores into one, such as those of the shards of a run",
    "doteval merge all.db machine1.db machine2.db\n"
    "doteval merge all.db machine*.db --experiment nightly\n"
    "doteval merge all.db machine*.db       # again: only what is new",
    option("out", metavar="OUT", help="the store to merge into; made where it is not there"),
    option("sources", metavar="IN", nargs="+", help="a store to merge; it stays as it is"),
    several("--experiment", "NAME", "only this experiment (default: all)"),
    flag("--force", "merge although the stores hold different evaluations under one name"),
    forms=("json",),
)
def run(call: Call) -> Answer:
    """Experiments of several stores are in one."""
    from ..storage import locate
    from ..storage.merging import merge

    options = call.options
    if options.storage is not None:
        raise UsageError("merge takes the stores as arguments: `doteval merge OUT IN...`")
    out = locate(options.out)
    found = merge(
        out,
        [locate(each) for each in options.sources],
        experiments=options.experiment or None,
        force=options.force,
    )
    data = {"out": str(out), "evaluations": [each.to_dict() for each in found]}
    return Answer(_merged(call, str(out), found), data=data)


def _merged(call: Call, out: str, found: Sequence[Merged]) -> Iterator[str]:
    terminal = call.terminal
    if not found:
        yield "there is nothing to merge: the stores have no experiments"
        return
    added = sum(each.records for each in found)
    news = f"{plural(added, 'new record')}" if added else "nothing new"
    yield f"merged into {terminal.shown(out)}: {news}"
    experiment = None
    for each in found:
        if each.experiment != experiment:
            experiment = each.experiment
            yield from ("", f"experiment {terminal.paint(terminal.shown(experiment), 'strong')}")
        yield from _evaluation(call, each)


def _evaluation(call: Call, merged: Merged) -> Iterator[str]:
    from ..reporting.views import short_name

    terminal = call.terminal
    held = plural(merged.live, "record")
    if merged.total is not None:
        held = f"{count(merged.live)} of {plural(merged.total, 'record')}"
    pieces = [
        Piece(terminal.shown(short_name(merged.evaluation)), "strong"),
        Piece(held, "" if merged.missing else "good"),
    ]
    for n, said in (
        (merged.records, plural(merged.records, "new record")),
        (merged.runs, plural(merged.runs, "new run")),
        (merged.replaced, f"{count(merged.replaced)} replaced"),
    ):
        if n:
            pieces.append(Piece(said))
    yield from flow(pieces, terminal)
    for label, sentence in _remarks(merged):
        yield from labelled(label, [words(sentence, terminal)], terminal, " ", "warn", 12)


def _remarks(merged: Merged) -> Iterator[tuple[str, str]]:
    """What is not as it should be."""
    if merged.absent:
        yield "missing", f"{_shards(merged.absent)}: no run of it is in these stores"
    for part, status in merged.unfinished:
        yield "unfinished", f"shard {part} is {status}: resume it there, and merge again"
    if merged.missing:
        yield "incomplete", f"{plural(merged.missing, 'record')} missing"
    if merged.conflicts:
        listed = ", ".join(map(str, merged.positions))
        more = ", ..." if merged.conflicts > len(merged.positions) else ""
        rows = plural(merged.conflicts, "row")
        yield (
            "conflicts",
            f"{rows} had a result in two stores, at {listed}{more} (from 0): the earlier one is "
            "kept, the other no longer counts",
        )
    for sentence in merged.differ:
        yield "different", sentence


def _shards(parts: Sequence[str]) -> str:
    return f"shard{'s' if len(parts) > 1 else ''} {', '.join(parts)}"
