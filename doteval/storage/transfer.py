"""
Facts on their way into a store: what `import` and `merge` are.

    facts ─▶ Arrival: decide, row by row ─▶ the store, a page at a time

Each page is a transaction of its own, so a run of another evaluation waits for no more than that.
Until all of an evaluation has come, its new runs are stored as interrupted and without an end;
the same facts once more go on from there, because a record is known by its run and its row
wherever it is stored. What has come once is not taken again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..errors import Busy, UsageError
from ..record import Run
from .archive import Asked, Fact, Kept, Opening, Paid, Ran
from .claims import Claim, Claims
from .database import Database
from .destination import Arrived, Contradiction, Destination, make_experiment
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
    found: list[Arrived] = []
    names: set[str] = set()
    arrival: Arrival | None = None
    try:
        for fact in facts:
            if isinstance(fact, Opening):
                if arrival is not None:
                    found.append(arrival.finish())
                is_first = not names and not merging
                arrival = Arrival(db, claims, (experiment, created), fact, merging, is_first)
                if fact.evaluation in names:
                    raise Contradiction(f"evaluation {fact.evaluation!r} is there twice")
                names.add(fact.evaluation)
            else:
                assert arrival is not None
                arrival.take(fact)
        if arrival is not None:
            found.append(arrival.finish())
        else:
            with db.writing() as connection:
                make_experiment(connection, experiment, created)
    finally:
        if arrival is not None:
            arrival.close()
    return found


class Arrival:
    """
    One evaluation on its way into a store.

    Args:
        experiment: the name of its experiment, and when that was made.
        opening: its name, total and scores.
        merging: see `transfer`.
        asking: whether what comes must be of the experiment that is there.
    """

    def __init__(
        self,
        db: Database,
        claims: Claims,
        experiment: tuple[str, float],
        opening: Opening,
        merging: bool,
        asking: bool,
    ) -> None:
        self._db = db
        self._claims = claims
        self._name = (experiment[0], storable(opening.evaluation))
        self._created = experiment[1]
        self._opening = opening
        self._scores = {storable(name) for name, _ in opening.scores}
        self._merging = merging
        self._asking = asking
        self._claim: Claim | None = None
        self._coming: dict[str, Ran] = {}
        self._page: list[Kept | Paid | Asked] = []
        self._text = 0
        self._at: Destination | None = None

    def take(self, fact: Ran | Kept | Paid | Asked) -> None:
        """Write a fact, or gather it with others."""
        evaluation = self._name[1]
        if isinstance(fact, Ran):
            if fact.run.uid in self._coming or self._at is not None:
                raise Contradiction(
                    f"run {fact.run.uid!r} of evaluation {evaluation!r} is there twice"
                )
            self._coming[fact.run.uid] = fact
            return
        if fact.run not in self._coming:
            raise Contradiction(f"there is no run {fact.run!r} of evaluation {evaluation!r}")
        if isinstance(fact, Kept):
            self._text += len(fact.body)
            for name, _ in fact.scores:
                if name not in self._scores:
                    raise Contradiction(f"evaluation {evaluation!r} has no score {name!r}")
        elif isinstance(fact, Asked):
            self._text += len(fact.call.request) + len(fact.call.response)
        self._page.append(fact)
        if len(self._page) >= _PAGE or self._text >= _PAGE_TEXT:
            self._flush()

    def finish(self) -> Arrived:
        """Write what is left, and that it is all."""
        self._flush()
        at = self._destination()
        if at.open:
            at.finish()
        self.close()
        return at.arrived

    def close(self) -> None:
        """Let others run it."""
        if self._claim is not None:
            self._claims.give_back(self._claim)
            self._claim = None

    def _flush(self) -> None:
        at = self._destination()
        page, self._page, self._text = self._page, [], 0
        page = [fact for fact in page if fact.run in at.open]  # the others came before
        if page:
            at.write(page)

    def _destination(self) -> Destination:
        if self._at is None:
            nobody = Run("", *self._name, 0.0, None, 0.0, "running", os.getpid(), {})
            self._claim = self._claims.make(nobody, "")
            if self._claim is None:
                raise Busy(
                    f"{self._name[1]} of experiment {self._name[0]!r} is being run in "
                    f"{self._db.name}; wait for it, or choose another store"
                )
            if self._asking:
                self._refuse_others()
            self._at = Destination(
                self._db, self._name, self._created, self._opening, list(self._coming.values()),
                self._merging,
            )  # fmt: skip
        return self._at

    def _refuse_others(self) -> None:
        """An experiment of this name that has been made of other runs is another one."""
        known = {
            uid
            for (uid,) in self._db.all(
                "SELECT uid FROM runs JOIN evaluations ON evaluations.id = evaluation "
                "JOIN experiments ON experiments.id = experiment WHERE experiments.name = ?",
                self._name[0],
            )
        }
        if known and not known & self._coming.keys():
            raise UsageError(
                f"there is an experiment {self._name[0]!r} already, of other runs; give another "
                "name"
            )
