"""
What gates are judged by: what is stored, or a summary where the store can not be asked any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Union

from ..errors import NotFound, UsageError
from ..record import LABELS
from ..storage import Store
from ..views.figures import percentage
from .compare import evaluations_of
from .difference import Difference, difference
from .pairs import Source
from .people import Labels
from .slices import slice_summaries
from .summary import Summary, summarise
from .values import Rows, Values
from .views import short_name


class Stored:
    """
    Evidence from a store; what was read once is kept.

    Args:
        experiment: the one to judge.
        only: full names of its evaluations to judge; None: all.
        people: what people said of some rows; None: nothing.
        keys: the only rows whose difference from another experiment is asked; None: all.
    """

    def __init__(
        self,
        store: Store,
        experiment: str,
        only: Sequence[str] | None = None,
        people: Labels | None = None,
        keys: Sequence[bytes] | None = None,
    ) -> None:
        self._people = people
        self._keys = keys
        self._store = store
        self._experiment = experiment
        self._names = store.evaluations(experiment) if only is None else only
        self._summaries: dict[tuple[float, bool], list[Summary]] = {}

    def summaries(self, confidence: float, anytime: bool = False) -> Sequence[Summary]:
        """Of the evaluations to judge, with intervals of this confidence, for any time or once."""
        asked = confidence, anytime
        if asked not in self._summaries:
            self._summaries[asked] = [
                summarise(
                    self._store,
                    self._experiment,
                    name,
                    confidence=confidence,
                    anytime=anytime,
                    people=self._people,
                )
                for name in self._names
            ]
        return self._summaries[asked]

    def parts(
        self, whole: Summary, by: Sequence[str], anytime: bool
    ) -> Sequence[tuple[Mapping[str, Any], Summary, Stored]]:
        """
        The slices of an evaluation by the values of columns: these values, a summary, and what
        tells of the rows of the slice alone.

        Args:
            whole: the evaluation; its confidence is that of the intervals of all slices together.
        """
        found = slice_summaries(self._store, whole, by, anytime, self._people)
        of = self._store, self._experiment, self._names, self._people
        return [(each.by, summary, Stored(*of, each.keys)) for each, summary in found]

    def rows(self, evaluation: str) -> Mapping[str, Rows]:
        """The values of its scores by row: those of its repeats."""
        of = self._experiment, evaluation
        values = Values(self._store, *of, self._store.runs(*of))
        return {name: values.of(name) for name in self._store.tally(*of).scores}

    def labels(self, evaluation: str) -> Mapping[str, Mapping[bytes, Sequence[str]]]:
        """The same of its scores that are labels: what was said."""
        of = self._experiment, evaluation
        values, scores = Values(self._store, *of, []), self._store.tally(*of).scores
        return {
            name: {key: [said for said, _ in row] for key, row in values.pairs(name).items()}
            for name, facts in scores.items()
            if LABELS in facts["metrics"]
        }

    def baseline(self, experiment: str, evaluation: str) -> Summary:
        """
        Of the same evaluation in another experiment.

        Raises:
            NotFound: there is none.
        """
        return summarise(self._store, *self._source(experiment, evaluation))

    def difference(
        self,
        experiment: str,
        evaluation: str,
        score: str,
        metric: str,
        confidence: float,
        anytime: bool = False,
        factor: float = 1.0,
    ) -> Difference:
        """From another experiment to the one that is judged, over the rows that both have."""
        here = Source(self._experiment, evaluation)
        before = self._source(experiment, evaluation)
        return difference(
            self._store, before, here, score, metric, confidence, anytime, factor, self._keys
        )

    def _source(self, experiment: str, evaluation: str) -> Source:
        """The same evaluation elsewhere, also where its file was moved."""
        if experiment == self._experiment:
            raise UsageError(f"{experiment!r} is its own baseline; name another experiment")
        chosen = evaluations_of(self._store, experiment, self._experiment)
        for before, after in chosen.pairs:
            if after.evaluation == evaluation:
                return before
        raise NotFound(f"{experiment!r} has no evaluation {short_name(evaluation)!r}")


class AtHand:
    """
    Evidence from a summary, where the store can not be asked any more.

    Args:
        summary: of the evaluation to judge.
    """

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def summaries(self, confidence: float, anytime: bool = False) -> Sequence[Summary]:
        """The one, with the intervals that it has."""
        if anytime or confidence != self._summary.confidence:
            raise UsageError(
                f"a memory:// store {_GONE}, with it all but intervals of "
                f"{percentage(self._summary.confidence)} for one look; name a file with --storage"
            )
        return [self._summary]

    def rows(self, *asked: object) -> NoReturn:
        """There are none any more."""
        raise UsageError(f"a memory:// store {_GONE}, with it the rows; name a file with --storage")

    labels = parts = rows

    def baseline(self, experiment: str, *asked: object) -> NoReturn:
        """A store of one experiment has no other."""
        raise NotFound(f"there is no experiment {experiment!r} in this memory:// store")

    difference = baseline


_GONE = "is gone when gates are judged"

Evidence = Union[Stored, AtHand]  # what gates are judged by
