"""
Facts on their way into a store: what `import` and `merge` are.

    facts ─▶ Destination: decides, row by row ─▶ the store, a page at a time

Each page is a transaction of its own, so a run of another evaluation waits for no more than that.
Until all of an evaluation has come, its new runs are stored as interrupted and without an end;
the same facts once more go on from there, because a record is known by its run and its row
wherever it is stored. What has come once is not taken again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, groupby

from ..errors import UsageError
from .archive import Asked, Fact, Kept, Opening, Paid, Ran, make_experiment
from .claims import Claims
from .database import Database
from .destination import Arrived, Contradiction, Destination
from .encoding import storable

_PAGE = 400  # records at a time; each is one value in a statement of at most 999
_PAGE_TEXT = 4 * 2**20  # characters of their texts, at which a page ends earlier


def transfer(
    db: Database,
    claims: Claims,
    experiment: str,
    created: float,
    facts: Iterable[Fact],
    *,
    merging: bool = False,
) -> list[Arrived]:
    """
    Write an experiment from its facts, into what is there of it.

    Args:
        created: Unix seconds.
        merging: the facts are of a store, which counts no row twice, and may be of other runs than
            those that the experiment has.

    Returns:
        what has come of each evaluation.

    Raises:
        UsageError: the name is blank, or that of an experiment of other runs.
        Contradiction: a fact does not fit those before it.
        Busy: an evaluation is being run.
        StoreError: the disk, the file or another process prevents it.
    """
    experiment = storable(experiment)
    if not experiment.strip():
        raise UsageError("an experiment needs a name that is not blank")
    found: dict[str, Arrived] = {}
    openings = 0

    def number(fact: Fact) -> int:
        nonlocal openings
        openings += isinstance(fact, Opening)
        return openings

    for _, belonging in groupby(facts, number):
        _take(db, claims, belonging, (experiment, created), merging, found)
    if not found:
        with db.writing() as connection:
            make_experiment(connection, experiment, created)
    return list(found.values())


def _take(
    db: Database,
    claims: Claims,
    facts: Iterator[Fact],
    experiment: tuple[str, float],
    merging: bool,
    found: dict[str, Arrived],
) -> None:
    """Write the facts of one evaluation; what has come of it is found by its name."""
    opening = next(facts)
    assert isinstance(opening, Opening)
    name = experiment[0], storable(opening.evaluation)
    if name[1] in found:
        raise Contradiction(f"evaluation {opening.evaluation!r} is there twice")
    with claims.alone(*name, partial(_busy, name, db)):
        runs, first = _runs(facts, name[1])
        if not found and not merging:
            _refuse_others(db, name[0], runs)
        at = Destination(db, name, experiment[1], opening, list(runs.values()), merging)
        for page in _pages(chain(first, facts), opening, runs):
            at.write(page)
        at.finish()
    found[name[1]] = at.arrived


def _busy(name: tuple[str, str], db: Database) -> str:
    return (
        f"{name[1]} of experiment {name[0]!r} is being run in {db.name}; wait for it, or choose "
        "another store"
    )


def _runs(facts: Iterator[Fact], evaluation: str) -> tuple[dict[str, Ran], list[Fact]]:
    """The runs of an evaluation, which come first, by their ids; and the fact that ends them."""
    runs: dict[str, Ran] = {}
    for fact in facts:
        if not isinstance(fact, Ran):
            return runs, [fact]
        if fact.run.uid in runs:
            raise Contradiction(f"run {fact.run.uid!r} of evaluation {evaluation!r} is there twice")
        runs[fact.run.uid] = fact
    return runs, []


def _pages(
    facts: Iterable[Fact], opening: Opening, runs: dict[str, Ran]
) -> Iterator[list[Kept | Paid | Asked]]:
    """What belongs to the runs of an evaluation, as much at a time as goes into a transaction."""
    scores = {storable(name) for name, _ in opening.scores}
    page: list[Kept | Paid | Asked] = []
    text = 0
    for fact in facts:
        if isinstance(fact, (Opening, Ran)):
            raise Contradiction(f"a run of evaluation {opening.evaluation!r} comes after a record")
        if fact.run not in runs:
            raise Contradiction(
                f"there is no run {fact.run!r} of evaluation {opening.evaluation!r}"
            )
        if isinstance(fact, Kept):
            text += len(fact.body)
            for name, _ in fact.scores:
                if name not in scores:
                    raise Contradiction(f"evaluation {opening.evaluation!r} has no score {name!r}")
        elif isinstance(fact, Asked):
            text += len(fact.call.request) + len(fact.call.response)
        page.append(fact)
        if len(page) >= _PAGE or text >= _PAGE_TEXT:
            yield page
            page, text = [], 0
    yield page


def _refuse_others(db: Database, experiment: str, runs: dict[str, Ran]) -> None:
    """An experiment of this name that has been made of other runs is another one."""
    known = db.all(
        "SELECT uid FROM runs JOIN evaluations ON evaluations.id = evaluation "
        "JOIN experiments ON experiments.id = experiment WHERE experiments.name = ?",
        experiment,
    )
    if known and not any(uid in runs for (uid,) in known):
        raise UsageError(
            f"there is an experiment {experiment!r} already, of other runs; give another name"
        )
