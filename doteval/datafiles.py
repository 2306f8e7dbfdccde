"""
Rows in files: JSONL, CSV, TSV and JSON.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from .errors import DatasetError
from .text import shown


def read_file(path: str | os.PathLike[str], folder: str | None = None) -> Iterator[Any]:
    """
    The rows of a file, read lazily but for JSON; its kind goes by its suffix.

    `.jsonl` and `.ndjson` have one JSON value a line; `.csv` and `.tsv` a header and rows, which
    become mappings of texts; `.json` one list of rows, or one value a line. Each may be compressed
    (`.csv.gz`). Text is UTF-8, with or without a byte order mark. Blank lines are skipped, and so
    are rows and columns of a table with nothing but delimiters; a row may end early, and then
    lacks the columns behind. A table whose header has semicolons and no comma is read by them.

    Args:
        folder: where a relative path is looked for first; then in the working directory.

    Raises:
        DatasetError: there is no such file or its suffix is unknown (at once); or, when the
            reading gets there, what is wrong in which line.
    """
    given = os.fspath(path)  # a Path makes one slash of the two of an address
    if "://" in given:
        raise DatasetError(
            f"the dataset {shown(given)} is an address, and files are read: download it, or "
            "pass a function that yields its rows"
        )
    path = Path(folder, given) if folder is not None else Path(given)
    if not path.is_file():
        path = Path(given)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = (suffixes[:-1] if packed else suffixes)[-1:]
    reader = _READERS.get(kind[0]) if kind else None
    if reader is None:
        other = _OTHER_READERS.get(kind[0]) if kind else None
        how = f"; write lambda: pandas.{other}({str(path)!r})" if other else ""
        raise DatasetError(
            f"{shown(given)} as a dataset: expected the path of a file that ends in "
            f"{', '.join(_READERS)}, or one of these with .gz{how}"
        )
    if not path.is_file():
        kind_of = "is not a file" if path.exists() else "does not exist"
        beside = "" if folder is None else f"the evaluation's folder, {shown(folder)}, and from "
        raise DatasetError(
            f"the dataset {shown(given)} {kind_of}; paths count from {beside}the working "
            f"directory, {shown(os.getcwd())}"
        )
    return reader(path, _lines(path, packed))


def _lines(path: Path, packed: bool) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, from 1, and their line ends."""
    import gzip
    import zlib

    number = 0
    with gzip.open(path, "rb") if packed else open(path, "rb") as file:
        try:
            for number, line in enumerate(file, 1):
                yield number, _decoded(line, path, number)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DatasetError(f"{path}, after line {number}: damaged gzip: {error}") from error


def _decoded(line: bytes, path: Path, number: int) -> str:
    if number == 1:
        if line.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DatasetError(f"{path} is UTF-16; save it as UTF-8")
        line = line.removeprefix(b"\xef\xbb\xbf")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}, line {number}, byte {error.start + 1}: 0x{line[error.start]:02x} is not "
            "UTF-8; save the file as UTF-8"
        ) from None


def _read_jsonl(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Any]:
    import json

    for number, line in lines:
        if line.isspace():
            continue
        try:
            row = json.loads(line.rstrip())
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{path}, line {number}: {_json_problem(error)}") from None
        yield row


def _read_json(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[Any]:
    import json

    numbered = list(lines)
    try:
        rows = json.loads("".join(line for _, line in numbered))
    except (ValueError, RecursionError) as error:
        if getattr(error, "msg", "") == "Extra data":  # it may hold a value a line
            yield from _read_jsonl(path, iter(numbered))
            return
        line = getattr(error, "lineno", 1)
        raise DatasetError(f"{path}, line {line}: {_json_problem(error)}") from None
    if not isinstance(rows, list):
        raise DatasetError(
            f"{path}: expected a list of rows, got {type(rows).__name__}; where each line is a "
            "row of its own, call the file .jsonl"
        )
    yield from rows


def _json_problem(error: Exception) -> str:
    column = getattr(error, "colno", None)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return f"not JSON: {getattr(error, 'msg', error)}" + (f" (column {column})" if column else "")


def _read_csv(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[dict[str, str]]:
    return _read_table(path, lines, ",")


def _read_tsv(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[dict[str, str]]:
    return _read_table(path, lines, "\t")


_LONGEST_FIELD = 2**31 - 1  # what fits a C long everywhere


def _read_table(
    path: Path, lines: Iterator[tuple[int, str]], delimiter: str
) -> Iterator[dict[str, str]]:
    import csv

    # One limit for the whole process, 128 KiB at first. To put it back would hurt other threads.
    csv.field_size_limit(_LONGEST_FIELD)
    texts = _each_line(lines)
    first, skipped = next(texts, ""), 0
    if first.lower().startswith("sep="):  # what Excel reads and others write for it
        delimiter, first, skipped = first[4:5], next(texts, ""), 1
    elif delimiter not in first:
        delimiter = next((each for each in ";\t|" if each in first), delimiter)
    reader = csv.reader(chain([first], texts), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while True:
        began = reader.line_num + 1 + skipped
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DatasetError(f"{path}, line {began}: {error}") from None
        if fields is None:
            return
        if not any(field.strip() for field in fields):
            continue
        if header is None:
            header = _header(path, began, fields)
            continue
        if any(fields[len(header) :]):
            raise DatasetError(
                f"{path}, line {began}: expected {len(header)} fields as in the header, got "
                f"{len(fields)}: {shown(fields)}"
            )
        yield dict(zip(header, fields, strict=False))


def _each_line(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    """The lines, also where each ends in a carriage return alone, as old spreadsheets have it."""
    for _, line in lines:
        start = 0
        while (end := line.find("\r", start)) >= 0 and line[end + 1 : end + 2] not in ("\n", ""):
            yield line[start : end + 1]
            start = end + 1
        yield line[start:]


def _header(path: Path, number: int, fields: list[str]) -> list[str]:
    names = [field.strip() for field in fields]
    while names and not names[-1]:  # delimiters behind the last column
        names.pop()
    double = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if double is not None:
        raise DatasetError(f"{path}, line {number}: the header has {shown(double)} twice")
    return names


_OTHER_READERS = {
    ".parquet": "read_parquet", ".feather": "read_feather", ".xlsx": "read_excel",
    ".xls": "read_excel", ".ods": "read_excel", ".pkl": "read_pickle",
}  # fmt: skip
_READERS: dict[str, Callable[[Path, Iterator[tuple[int, str]]], Iterator[Any]]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
}
