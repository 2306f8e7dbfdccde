"""
`doteval prune`: what no longer counts is deleted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import Busy, UsageError
from ..quantities import parse_age
from ..text import count
from ..views.figures import plural, size
from ..views.terminal import Piece, flow
from .call import FAILED, YES, Answer, Call, command, flag, option, typed

if TYPE_CHECKING:
    from ..storage.pruning import Pruned, Pruning


@command(
    "delete records that no longer count: replaced by a resume or by --fresh",
    "doteval prune --dry-run                 # what would go\n"
    "doteval prune baseline --keep 7d        # asks first\n"
    "doteval prune --keep 0 --stale --vacuum --yes\n"
    "doteval prune --calls --keep 90d        # also the calls that were kept until then",
    option("experiment", metavar="NAME", nargs="?", help="name of the experiment (default: all)"),
    option(
        "--keep",
        metavar="AGE",
        type=typed(parse_age),
        default="30d",
        help="what is younger stays: 12h, 30d, 8w, or 0 for nothing (default: 30d)",
    ),
    flag(
        "--stale",
        "also records of rows that the dataset no longer has; they would count again if their "
        "rows came back",
    ),
    flag("--calls", "also calls that were kept, of whatever records; they are served no more"),
    flag("--dry-run", "tell what would go, and delete nothing"),
    flag(
        "--vacuum",
        "make the file smaller afterwards; it needs as much room again meanwhile, and nothing "
        "may run",
    ),
    YES,
    forms=("json",),
)
def run(call: Call) -> Answer:
    """What no longer counts is gone."""
    from ..storage.pruning import Pruning
    from ..storage.sqlite import SqliteStore

    options = call.options
    place = call.place()
    if place.path is None:
        raise UsageError(f"{place} is no file: only stores in SQLite files can be pruned")
    store = call.store()
    assert isinstance(store, SqliteStore)  # as every store in a file is
    before = time.time() - options.keep
    pruning = Pruning(store, before=before, stale=options.stale, calls=options.calls)
    if options.experiment is None:
        found = [pruning.count(name) for name, _ in store.experiments()]
        idle = [each for each in found if each.running is None]
    else:
        found = idle = [pruning.count(options.experiment)]
    if options.dry_run:
        return _answer(call, pruning, found, "would be deleted")
    for each in found:
        if options.experiment is not None and each.running is not None:
            raise Busy(
                f"experiment {each.experiment!r} is being run by process {each.running}; "
                "wait for it, or end it"
            )
    doomed = [each for each in idle if each.records or each.attempts or each.calls]
    if not doomed and not options.vacuum:
        return _answer(call, pruning, found, "deleted")
    if not call.confirmed(_question(doomed, options.vacuum)):
        answer = _answer(call, pruning, found)
        return answer._replace(lines=["nothing was deleted"], code=FAILED)
    gone = {each.experiment: pruning.delete(each.experiment) for each in doomed}
    if options.vacuum:
        pruning.vacuum()
    after = [gone.get(each.experiment, each) for each in found]
    return _answer(call, pruning, after, "deleted", bool(gone))


def _question(doomed: Sequence[Pruned], vacuum: bool) -> str:
    asked = []
    if doomed:
        records = sum(each.records for each in doomed)
        attempts = sum(each.attempts for each in doomed)
        calls = sum(each.calls for each in doomed)
        called = f" and {plural(calls, 'call')}" if calls else ""
        asked.append(
            f"delete {plural(records, 'record')} and {plural(attempts, 'failed attempt')}{called} "
            f"of {', '.join(repr(each.experiment) for each in doomed[:5])}"
            + (f" and {len(doomed) - 5} more" if len(doomed) > 5 else "")
        )
    if vacuum:
        asked.append("write the file anew")
    return f"{', and '.join(asked)}?"


def _answer(
    call: Call, pruning: Pruning, found: Sequence[Pruned], did: str = "", deleted: bool = False
) -> Answer:
    held, free = pruning.size()
    experiments = [asdict(each) for each in found]
    data = {"deleted": deleted, "experiments": experiments, "size": held, "free": free}
    return Answer(_pruned(call, found, held, free, did), data=data)


def _pruned(call: Call, found: Sequence[Pruned], held: int, free: int, did: str) -> Iterator[str]:
    terminal = call.terminal
    told = False
    for each in found:
        pieces = []
        for n, noun in (
            (each.superseded, "superseded record"),
            (each.stale, "stale record"),
            (each.attempts, "failed attempt"),
            (each.calls, "call"),
        ):
            if n:
                pieces.append(Piece(plural(n, noun)))
        if pieces and each.running is None:
            pieces.append(Piece(f"{size(each.text)} of text {did}"))
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
    shrink = "" if free < held / 10 else ", for what is written next; --vacuum gives it back"
    yield f"the file has {size(held)}, {size(free)} of them free{shrink}"
