"""
What is stored, for who reads it from Python: experiments and their records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .errors import DamageError
from .record import Record
from .reporting.experiments import Experiment
from .reporting.summary import summarise
from .reporting.views import one_of
from .storage import Address, Store, opened


def experiments(storage: Address = None) -> list[Experiment]:
    """
    The experiments of a store, each with the Summaries of its evaluations. At the end stands the
    one where something happened last. One that is damaged has none, and says so.

    Args:
        storage: the address of the store, see `run`, or an open one; None: that of the project.

    Raises:
        StoreError: it is not there, or can not be read.
    """
    with opened(storage) as store:
        found = [_read(store, name, created) for name, created in store.experiments()]
    return sorted(found, key=lambda each: each.when)


def _read(store: Store, name: str, created: float) -> Experiment:
    try:
        summaries = [summarise(store, name, each) for each in store.evaluations(name)]
    except DamageError as error:  # the others are to be seen all the same
        return Experiment(name, [], created, str(error))
    return Experiment(name, summaries, created)


def records(
    experiment: str,
    evaluation: str | None = None,
    storage: Address = None,
    where: Callable[[Record], object] | None = None,
) -> Iterator[Record]:
    """
    The records that count, one after the other, in the order in which they became durable. They are
    read in pages while they are asked for, so a run may go on writing meanwhile.

        pandas.DataFrame(record.to_dict() for record in records("baseline"))

    Args:
        experiment: its name.
        evaluation: only this one, by its full or short name; None: all, one after the other.
        storage: the address of the store, see `run`, or an open one; None: that of the project.
        where: yields only records of which this is true, such as `lambda record: record.failed`.

    Raises:
        NotFound: there is no such experiment or evaluation.
        StoreError: the store is not there, or can not be read.
    """
    with opened(storage) as store:
        names = store.evaluations(experiment)
        if evaluation is not None:
            names = [one_of(names, evaluation, experiment)]
        for name in names:
            for record in store.records(experiment, name):
                told = record._replace(evaluation=name)
                if where is None or where(told):
                    yield told
