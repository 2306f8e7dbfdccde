"""
Anything to rows: iterables of every kind, files, and registered datasets.

A `Source` holds what was given as a dataset and opens it lazily; a binder turns one row into
the values of the columns, or says in which way it does not fit.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from inspect import isasyncgen, isgenerator
from operator import itemgetter
from typing import Any, Protocol, Union

from .errors import DatasetError, RowError
from .plugins import Registry, hint
from .record import ATOMS
from .text import safe, shown

Binder = Callable[[Any], tuple[Any, ...]]
Rows = Union[Iterator[Any], AsyncIterator[Any]]

registry: Registry[Callable[..., Any]] = Registry("dataset", "datasets")


# --- one row ---------------------------------------------------------------------------------


def binder(columns: tuple[str, ...]) -> Binder:
    """
    A function that turns one row into the values of the columns, in their order.

    A tuple or a list goes by position; by name a mapping, and a named tuple or another object (see
    `keys.fields_of`) that has fields for all the columns; anything else is the value of a single
    column. A mapping and an object may hold more than the columns; a sequence may not.

    Raises:
        RowError: (the function) the row has another shape; it says what was expected and given.
    """
    count = len(columns)
    names = frozenset(columns)
    pick: Callable[[Any], tuple[Any, ...]] = itemgetter(*columns)

    def bind(row: Any) -> tuple[Any, ...]:
        kind = type(row)
        if kind is tuple and len(row) == count:  # the usual case
            return row  # type: ignore[no-any-return]
        if kind is dict and names <= row.keys():
            return (pick(row),) if count == 1 else pick(row)
        return _bind_other(columns, row)

    return bind


def _bind_other(columns: tuple[str, ...], row: Any) -> tuple[Any, ...]:
    """Every row but a tuple of the right length and a dict that has the columns."""
    if isinstance(row, (tuple, list)):
        if set(columns) <= set(getattr(row, "_fields", ())):
            return tuple(getattr(row, column) for column in columns)
        if len(row) == len(columns):
            return tuple(row)
        raise RowError(_sequence_misfit(columns, row))
    if len(columns) == 1 and type(row) in ATOMS:
        return (row,)
    keys = _keys_of(row)
    if keys is not None:
        if all(column in keys for column in columns):
            return tuple(row[column] for column in columns)
        raise RowError(_missing(columns, keys, row))
    from .keys import fields_of  # loads OpenSSL; a dataset is written down before anything runs

    fields = fields_of(row)
    if fields is not None and all(column in fields for column in columns):
        return tuple(getattr(row, column) for column in columns)
    if len(columns) == 1:
        return (row,)
    if fields is not None:
        raise RowError(_missing(columns, fields, row))
    if hasattr(row, "tolist"):  # a row of a numpy array
        return _bind_other(columns, _plain(row.tolist()))
    raise RowError(
        f"expected a row with {_columns(columns)}, as a tuple, a list or a mapping; "
        f"got {type(row).__name__}: {shown(row)}"
    )


def tagger(columns: tuple[str, ...], tags: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    """
    A function that takes from a row what is kept beside its columns; None where the row lacks it.

    Raises:
        RowError: (the function) the row has no names.
    """
    beside = tuple(tag for tag in tags if tag not in columns)

    def tagged(row: Any) -> dict[str, Any]:
        keys = _keys_of(row)
        if keys is not None:
            return {tag: row[tag] if tag in keys else None for tag in beside}
        from .keys import fields_of  # as above

        if getattr(row, "_fields", None) or fields_of(row) is not None:
            return {tag: getattr(row, tag, None) for tag in beside}
        raise RowError(
            f"tags={', '.join(beside)!r} are taken by name, and a {type(row).__name__} has none: "
            "make the rows mappings, or name what is wanted as columns"
        )

    return tagged


def _plain(value: Any) -> Any:
    """What an array turned into: a list, or a value that can not do so again."""
    return value if isinstance(value, list) else (value,)


def _keys_of(row: Any) -> Sequence[Any] | None:
    """The keys of a mapping, or of what has names like one (a row of sqlite3), else None."""
    if isinstance(row, Mapping) or (hasattr(row, "keys") and hasattr(row, "__getitem__")):
        return list(row.keys())
    return None


def _missing(columns: tuple[str, ...], names: Sequence[Any], row: Any) -> str:
    missing = ", ".join(repr(column) for column in columns if column not in names)
    given = ", ".join(map(str, names)) or "nothing"
    message = f"the row has no {missing}; it has: {safe(given, 200)}"
    if len(columns) == 1:
        message += f"; where the {type(row).__name__} is the value itself, write (row,)"
    return message


def _sequence_misfit(columns: tuple[str, ...], row: Sequence[Any]) -> str:
    message = (
        f"expected {_columns(columns)}, got {len(row)} "
        f"value{'' if len(row) == 1 else 's'}: {shown(row)}"
    )
    if len(columns) == 1:
        return (
            f"{message}; where the {type(row).__name__} is the value itself, write ({columns[0]},)"
        )
    return message


def _columns(columns: tuple[str, ...]) -> str:
    return f"{len(columns)} value{'' if len(columns) == 1 else 's'} ({', '.join(columns)})"


# --- all rows --------------------------------------------------------------------------------


class Source:
    """
    What was given as a dataset, and the rows in it.

    Args:
        dataset: an iterable, an async iterable, a function without arguments that returns one,
            the path of a JSONL, CSV, TSV or JSON file, a pandas or polars frame, or a table of
            pyarrow. It is read lazily and never listed.

    Raises:
        DatasetError: it is none of these, or a mapping, whose keys are no rows.
    """

    __slots__ = ("_folder", "_given", "_used")

    def __init__(self, dataset: Any) -> None:
        if isinstance(dataset, Mapping):
            raise DatasetError(
                f"a {type(dataset).__name__} is no list of rows; pass one of its values (a split: "
                f"{safe(', '.join(map(repr, dataset)), 80)}), or list(data.items())"
            )
        if isinstance(dataset, (bytes, bytearray)) or not (
            isinstance(dataset, (str, os.PathLike)) or _is_iterable(dataset) or callable(dataset)
        ):
            raise DatasetError(
                f"a dataset is an iterable of rows, an async iterable, a function without "
                f"arguments that returns one, or the path of a file; got "
                f"{type(dataset).__name__}: {shown(dataset, 80)}"
            )
        self._given = dataset
        self._used = False
        self._folder: str | None = None

    def beside(self, function: Callable[..., Any]) -> None:
        """Look for a file beside that of this function first, and then in the working directory."""
        code = getattr(function, "__code__", None)
        if code is not None and os.path.isfile(code.co_filename):
            self._folder = os.path.dirname(os.path.abspath(code.co_filename))

    def __repr__(self) -> str:
        return f"Source({shown(self._given, 80)})"

    def open(self) -> Rows:
        """
        Begin to read the rows, from the first one.

        Raises:
            DatasetError: an iterator or generator is opened a second time; the file does not
                exist or is of no known kind; a function returned something else.
        """
        given = self._given
        if not isinstance(given, (str, os.PathLike)) and not _is_iterable(given):
            given = _made_by(given)
        if isinstance(given, (str, os.PathLike)):
            from .datafiles import read_file  # most datasets are no files

            return read_file(given, self._folder)
        rows = _rows_of(given)
        if rows is self._given:  # an iterator: it can be walked once
            if self._used:
                raise DatasetError(
                    f"the dataset is a {type(given).__name__}, which can be read only once, and "
                    "it has been; pass the function that makes it, without calling it: "
                    "foreach(columns, rows) instead of foreach(columns, rows())"
                )
            self._used = True
        return rows

    async def close(self, rows: Any) -> None:
        """
        Close rows that `open` has begun to read, should they not be at their end: a generator, or
        what was made here, such as a file that a function has opened. Raises what closing raises.
        """
        from .concurrency.executors import off_loop

        if rows is self._given and not (isgenerator(rows) or isasyncgen(rows)):
            return  # its owner may go on with it
        if hasattr(rows, "aclose"):
            await rows.aclose()
        elif hasattr(rows, "close"):
            off_loop(rows.close)

    def length(self) -> int | None:
        """How many rows there are: from len(), or a dataset's `num_rows`; None where unknown."""
        if isinstance(self._given, (str, os.PathLike)):
            return None
        try:
            return len(self._given)
        except (TypeError, NotImplementedError, OverflowError):  # none, not known, or too large
            count = getattr(self._given, "num_rows", None)
        return count if isinstance(count, int) and _is_iterable(self._given) else None


def _is_iterable(thing: Any) -> bool:
    """Whether it is an iterable, of either kind; a class is not, whatever its instances are."""
    if isinstance(thing, type):
        return False
    return any(hasattr(thing, name) for name in ("__iter__", "__aiter__", "__getitem__"))


def _made_by(function: Callable[[], Any]) -> Any:
    from .concurrency.executors import off_loop  # loads asyncio; who opens rows has it

    made = off_loop(function)
    if isinstance(made, (str, os.PathLike)) or _is_iterable(made):
        return made
    hint = ""
    if hasattr(made, "__await__"):
        hint = "; write it as an async generator, with `yield`"
        if hasattr(made, "close"):
            made.close()  # a coroutine that nobody will await
    raise DatasetError(
        f"the dataset function {getattr(function, '__name__', function)!r} returned "
        f"{type(made).__name__}, expected an iterable or an async iterable of rows{hint}"
    )


_PAGE = 1_000  # rows of a table that are turned into Python's values at a time


def _rows_of(thing: Any) -> Rows:
    if hasattr(thing, "itertuples"):  # pandas: iterating a frame gives its column names
        names = _once(thing, thing.columns)
        return _named(names, thing.itertuples(index=False, name=None))
    if hasattr(thing, "iter_rows"):  # polars: iterating a frame gives its columns
        return thing.iter_rows(named=True)  # type: ignore[no-any-return]
    if hasattr(thing, "to_pylist") and hasattr(thing, "slice"):  # pyarrow: a table does so too
        _once(thing, getattr(getattr(thing, "schema", None), "names", ()))
        return _pages(thing)
    if hasattr(thing, "read_next_batch"):  # pyarrow: a stream of batches
        return (row for batch in thing for row in _pages(batch))
    fields = getattr(getattr(thing, "dtype", None), "names", None)
    if fields:  # numpy: an array of named fields
        return _named(fields, (row.tolist() for row in thing))
    if isinstance(thing, Mapping):
        return Source(thing).open()  # raises: the keys of a mapping are no rows
    if hasattr(thing, "__aiter__"):
        walker: AsyncIterator[Any] = thing.__aiter__()
        return walker
    if hasattr(thing, "collect") and not hasattr(thing, "__iter__"):  # polars, Spark
        raise DatasetError(
            f"a {type(thing).__name__} has no rows yet; pass its .collect(), or a function that "
            "returns it"
        )
    from .concurrency.executors import off_loop

    return off_loop(partial(iter, thing))  # type: ignore[no-any-return]


def _named(names: Sequence[Any], rows: Iterable[Any]) -> Iterator[dict[Any, Any]]:
    return (dict(zip(names, row, strict=True)) for row in rows)


def _pages(table: Any) -> Iterator[Any]:
    for at in range(0, len(table), _PAGE):
        yield from table.slice(at, _PAGE).to_pylist()


def _once(table: Any, columns: Iterable[Any]) -> list[Any]:
    """
    The names of a table's columns.

    Raises:
        DatasetError: two of them are the same.
    """
    names = list(columns)
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise DatasetError(
            f"the {type(table).__name__} has the column {shown(double)} twice; a row's values go "
            "by name, so rename one of them"
        )
    return names


# --- registered datasets ---------------------------------------------------------------------


class Dataset(Protocol):
    """
    What a registered dataset looks like, made by `NAME(split=None, **options)`.

    Attributes:
        name: what it is registered as.
        splits: names of its parts; empty where it has only one.
        columns: names of the values of its rows.
        num_rows: None where it is not known in advance.
    """

    name: str
    splits: Sequence[str]
    columns: Sequence[str]
    num_rows: int | None

    def __iter__(self) -> Iterator[Any]: ...


def list_available() -> list[str]:
    """The names of all datasets, registered here or offered by installed packages."""
    return registry.names()


def get_dataset_info(name: str) -> dict[str, Any]:
    """
    What a dataset says of itself, without opening it.

    Returns:
        name, splits, columns, num_rows, and `about`, the first line of its description.

    Raises:
        NotFound: nobody offers it.
        PluginError: it can not be loaded.
    """
    kind = registry.get(name)
    about = (getattr(kind, "__doc__", None) or "").strip()
    return {
        "name": name,
        "splits": _names_in(kind, "splits"),
        "columns": _names_in(kind, "columns"),
        "num_rows": _number_or_none(getattr(kind, "num_rows", None)),
        "about": about.partition("\n")[0],
    }


def open_dataset(name: str, split: str | None = None, **options: Any) -> Any:
    """
    A registered dataset, as `foreach.NAME(split, **options)` uses it.

    Raises:
        NotFound: nobody offers it.
        DatasetError: it has no such split, or names no columns.
        PluginError: it can not be loaded.
    """
    kind = registry.get(name)
    splits = _names_in(kind, "splits")
    if split is not None and splits and split not in splits:
        raise DatasetError(
            f"the dataset {name!r} has no split {split!r}{hint(split, splits)}; it has: "
            f"{', '.join(splits)}"
        )
    dataset = kind(split, **options)
    if not _names_in(dataset, "columns"):
        raise DatasetError(f"the dataset {name!r} names no columns; it needs `columns`, a tuple")
    return dataset


def _names_in(thing: Any, attribute: str) -> list[str]:
    """A list of names; empty where it is missing, or a property that only an instance has."""
    names = getattr(thing, attribute, None)
    return list(map(str, names)) if isinstance(names, (list, tuple)) else []


def _number_or_none(value: Any) -> int | None:
    return value if isinstance(value, int) else None
