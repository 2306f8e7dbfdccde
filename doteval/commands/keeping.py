"""
Keeping stores: `merge` and `prune`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import Busy, UsageError
from ..quantities import parse_age
from .call import FAILED, OK, Call, NoStore, as_json, command, option, typed
from .changing import confirmed

if TYPE_CHECKING:
    from ..storage.merging import Merged
    from ..storage.pruning import Pruned, Pruning


# --- merge ------------------------------------------------------------------------------------


@command(
    "merge",
    "merge stores into one, such as those of the shards of a run",
    "doteval merge all.db machine1.db machine2.db\n"
    "doteval merge all.db machine*.db --experiment nightly\n"
    "doteval merge all.db machine*.db       # again: only what is new",
    option("out", metavar="OUT", help="the store to merge into; made where it is not there"),
    option("sources", metavar="IN", nargs="+", help="a store to merge; it stays as it is"),
    option(
        "--experiment",
        metavar="NAME",
        action="append",
        help="only this experiment; can be given several times (default: all)",
    ),
    option(
        "--force",
        action="store_true",
        help="merge although the stores hold different evaluations under one name",
    ),
    option("--json", action="store_true", help="print JSON"),
)
def merge(call: Call) -> int:
    """Experiments of several stores are in one."""
    from ..storage import locate
    from ..storage.merging import merge as merged

    options = call.options
    if options.storage is not None:
        raise UsageError("merge takes the stores as arguments: `doteval merge OUT IN...`")
    out = locate(options.out)
    found = merged(
        out,
        [locate(each) for each in options.sources],
        experiments=options.experiment,
        force=options.force,
    )
    if options.json:
        call.say(as_json({"out": str(out), "evaluations": [each.to_dict() for each in found]}))
    else:
        call.show(_merged(call, str(out), found))
    return OK


def _merged(call: Call, out: str, found: Sequence[Merged]) -> Iterator[str]:
    from ..reporting.views import plural

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
    from ..reporting.views import Piece, flow, plural, short_name
    from ..text import count

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
        words = [Piece(word) for word in terminal.shown(sentence).split()]
        first = f"  {terminal.paint(label, 'warn')}{' ' * (12 - len(label))}"
        yield from flow(words, terminal, first, 14, " ")


def _remarks(merged: Merged) -> Iterator[tuple[str, str]]:
    """What is not as it should be."""
    from ..reporting.views import plural

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


# --- prune ------------------------------------------------------------------------------------


@command(
    "prune",
    "delete records that no longer count: replaced by a resume or by --fresh",
    "doteval prune --dry-run                 # what would go\n"
    "doteval prune baseline --keep 7d        # asks first\n"
    "doteval prune --keep 0 --stale --vacuum --yes",
    option("experiment", metavar="NAME", nargs="?", help="name of the experiment (default: all)"),
    option(
        "--keep",
        metavar="AGE",
        type=typed(parse_age),
        default="30d",
        help="what is younger stays: 12h, 30d, 8w, or 0 for nothing (default: 30d)",
    ),
    option(
        "--stale",
        action="store_true",
        help="also records of rows that the dataset no longer has; they would count again if "
        "their rows came back",
    ),
    option("--dry-run", action="store_true", help="tell what would go, and delete nothing"),
    option(
        "--vacuum",
        action="store_true",
        help="make the file smaller afterwards; it needs as much room again meanwhile, and "
        "nothing may run",
    ),
    option("--yes", "-y", action="store_true", help="do not ask; needed where nobody can answer"),
    option("--json", action="store_true", help="print JSON"),
)
def prune(call: Call) -> int:
    """What no longer counts is gone."""
    from ..storage.pruning import Pruning

    options = call.options
    place = call.place()
    if place.path is None:
        raise UsageError(f"{place} is no file: only stores in SQLite files can be pruned")
    if not place.path.exists():
        raise NoStore(f"there is no store at {place}")
    pruning = Pruning(place.path, before=time.time() - options.keep, stale=options.stale)
    try:
        return _prune(call, pruning)
    finally:
        pruning.close()


def _prune(call: Call, pruning: Pruning) -> int:
    options = call.options
    if options.experiment is None:
        found = [pruning.count(name) for name in pruning.experiments()]
        idle = [each for each in found if each.running is None]
    else:
        found = idle = [pruning.count(options.experiment)]
    if options.dry_run:
        return _tell(call, pruning, found, "would be deleted")
    for each in found:
        if options.experiment is not None and each.running is not None:
            raise Busy(
                f"experiment {each.experiment!r} is being run by process {each.running}; "
                "wait for it, or end it"
            )
    doomed = [each for each in idle if each.records or each.attempts]
    if not doomed and not options.vacuum:
        return _tell(call, pruning, found, "deleted")
    if not options.yes and not confirmed(call, _question(doomed, options.vacuum)):
        if options.json:
            _tell(call, pruning, found, "")
        else:
            call.say("nothing was deleted")
        return FAILED
    gone = {each.experiment: pruning.delete(each.experiment) for each in doomed}
    if options.vacuum:
        pruning.vacuum()
    after = [gone.get(each.experiment, each) for each in found]
    return _tell(call, pruning, after, "deleted", bool(gone))


def _question(doomed: Sequence[Pruned], vacuum: bool) -> str:
    from ..reporting.views import plural

    asked = []
    if doomed:
        records = sum(each.records for each in doomed)
        attempts = sum(each.attempts for each in doomed)
        asked.append(
            f"delete {plural(records, 'record')} and {plural(attempts, 'failed attempt')} of "
            f"{', '.join(repr(each.experiment) for each in doomed[:5])}"
            + (f" and {len(doomed) - 5} more" if len(doomed) > 5 else "")
        )
    if vacuum:
        asked.append("write the file anew")
    return f"{', and '.join(asked)}?"


def _tell(
    call: Call, pruning: Pruning, found: Sequence[Pruned], did: str, deleted: bool = False
) -> int:
    from dataclasses import asdict

    size, free = pruning.size()
    if call.options.json:
        call.say(
            as_json(
                {
                    "deleted": deleted,
                    "experiments": [asdict(each) for each in found],
                    "size": size,
                    "free": free,
                }
            )
        )
    else:
        call.show(_pruned(call, found, size, free, did))
    return OK


def _pruned(call: Call, found: Sequence[Pruned], size: int, free: int, did: str) -> Iterator[str]:
    from ..reporting.views import Piece, flow, plural
    from ..text import count

    terminal = call.terminal
    told = False
    for each in found:
        pieces = []
        for n, noun in (
            (each.superseded, "superseded record"),
            (each.stale, "stale record"),
            (each.attempts, "failed attempt"),
        ):
            if n:
                pieces.append(Piece(plural(n, noun)))
        if pieces and each.running is None:
            pieces.append(Piece(f"{_bytes(each.text)} of text {did}"))
        elif each.running is not None:
            pieces = [Piece(f"left alone: process {each.running} is running it", "warn")]
        if each.kept:
            pieces.append(Piece(f"{count(each.kept)} too young to go", "dim"))
        if pieces:
            told = True
            name = Piece(terminal.shown(each.experiment), "strong")
            yield from flow([name, *pieces], terminal)
    if not told:
        yield f"nothing to delete in {plural(len(found), 'experiment')}"
    shrink = "" if free < size / 10 else ", for what is written next; --vacuum gives it back"
    yield f"the file has {_bytes(size)}, {_bytes(free)} of them free{shrink}"


def _bytes(n: float) -> str:
    """ "2.2 GB"."""
    units = ["bytes", "KB", "MB", "GB"]
    while n >= 1000 and len(units) > 1:
        n /= 1000
        del units[0]
    whole = units[0] == "bytes" or n >= 100
    return f"{n:,.0f} {units[0]}" if whole else f"{n:.1f} {units[0]}"
