"""
What a command is, and one use of it: what was asked for, the store, and where the answer goes.
"""

from __future__ import annotations

import json
import math
import os
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from .. import text
from ..errors import NotFound, StoreError, UsageError
from ..quantities import read
from ..reporting.tables import Terminal, terminal

if TYPE_CHECKING:
    from pathlib import Path

    from ..storage import Place, Store

# Exit codes; scripts rely on them, docs/reference/cli.md lists them.
OK, FAILED, USAGE, INCONCLUSIVE, STORE = 0, 1, 2, 3, 4
FAULT = 70  # of doteval itself: EX_SOFTWARE of sysexits.h
SIGNALLED = 128  # plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM

Option = tuple[tuple[str, ...], dict[str, Any]]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command as the parser and the help know it.

    Attributes:
        name: what is typed.
        help: what it does, in one line without a final period.
        examples: command lines, each with its purpose after a `#` where that helps.
        options: arguments of `ArgumentParser.add_argument`, as (names, settings).
        run: does it, and returns the exit code.
    """

    name: str
    help: str
    examples: str
    options: Sequence[Option]
    run: Callable[[Call], int]


def command(
    name: str, help: str, examples: str, *options: Option
) -> Callable[[Callable[[Call], int]], Command]:
    """A decorator that makes a `Command` of a function."""

    def made(run: Callable[[Call], int]) -> Command:
        return Command(name, help, examples, options, run)

    return made


def option(*names: str, **settings: Any) -> Option:
    """An argument of a command, as `ArgumentParser.add_argument` takes it."""
    return names, settings


def typed(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """How the parser of the command line reads what was typed for an option."""

    def value(text: str) -> Value:
        try:
            return read(parse, text)
        except UsageError as error:
            raise ArgumentTypeError(str(error)) from None

    return value


@dataclass(frozen=True, slots=True)
class Call:
    """
    One use of a command.

    Attributes:
        options: what was asked for.
        out: takes the answer.
        err: takes errors and progress.
        terminal: what `out` can show.
    """

    options: Namespace
    out: TextIO
    err: TextIO
    terminal: Terminal

    def say(self, *lines: str) -> None:
        """Print lines that are safe to show already."""
        self.out.write("".join(f"{line}\n" for line in lines))

    def show(self, lines: Iterable[str]) -> None:
        """Print lines as they are made."""
        for line in lines:
            self.out.write(f"{line}\n")

    def hint(self, sentence: str) -> None:
        """Print what may help next, where a person is reading."""
        if self.terminal.width is not None:
            from ..reporting.views import Piece, flow

            words = [Piece(word, "dim") for word in self.terminal.shown(sentence).split(" ")]
            self.show(flow(words, self.terminal, between=" "))

    def complain(self, sentence: str) -> None:
        """Print one line to stderr, where errors go."""
        complain(self.err, sentence, self.options.color)

    def place(self) -> Place:
        """
        Where the store is. One that nobody named and that is not `./.doteval` is told on stderr.

        Raises:
            UsageError: the address names no file.
            StoreError: it is no file, or a folder on the way may not be looked into.
        """
        from ..storage import locate

        try:
            place = locate(self.options.storage)
        except OSError as error:
            raise error if isinstance(error, StoreError) else _unreadable(error) from error
        if self.options.storage is None and place.anchor != place.here:
            self.options.storage = str(place)  # found once, and told once
            tell(self.err, f"store: {place}", "dim", self.options.color)
        return place

    @contextmanager
    def store(self) -> Iterator[Store]:
        """
        The store, to read and to change.

        Raises:
            NoStore: there is none yet where nobody named one.
            NotFound: there is none where one was named.
            StoreError: it can not be used.
        """
        from ..storage import open_store

        named = self.options.storage is not None
        place = self.place()
        if place.path is not None and not _is_there(place.path):
            missing = NotFound if named else NoStore
            raise missing(
                f"there is no store at {place}{'' if named else ' yet'}: run an evaluation first, "
                "or name another store with --storage"
            )
        store = open_store(place, create=False)
        try:
            yield store
        finally:
            store.close()


class NoStore(NotFound):
    """There is nothing to read: no evaluation was run yet, or it was somewhere else."""


def _is_there(path: Path) -> bool:
    """Whether the file exists: "nothing is there" is told apart from "it can not be read"."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(error) from error
    return True


def _unreadable(error: OSError) -> StoreError:
    return StoreError(
        f"the store can not be read: {error.filename}: {error.strerror}; check its permissions, "
        "or name another store with --storage"
    )


def complain(err: TextIO, sentence: str, color: str = "auto") -> None:
    """Print one safe line to stderr, as ours."""
    where = terminal(err, os.environ, color)
    _print(err, f"{where.paint('doteval:', 'bad')} {where.shown(sentence)}")


def tell(err: TextIO, sentence: str, style: str, color: str = "auto") -> None:
    """Print one safe line to stderr."""
    where = terminal(err, os.environ, color)
    _print(err, where.paint(where.shown(sentence), style))


def _print(err: TextIO, line: str) -> None:
    try:
        err.write(f"{line}\n")
        err.flush()
    except (OSError, ValueError):
        pass  # nobody reads it any more; the exit code still tells


def program() -> str:
    """How this program was started: `doteval`, or `python3 -m` and the package's name."""
    if os.path.basename(sys.argv[0]) == "__main__.py":
        python = os.path.basename(sys.executable or "python")  # many machines know only python3
        return f"{python} -m {(__package__ or '').rpartition('.')[0]}"
    return "doteval"


def quoted(*arguments: str) -> str:
    """Arguments as they can be typed again."""
    from shlex import join

    return join(arguments)


def as_json(value: Any, indent: int | None = 2) -> str:
    """
    Plain data as JSON that every parser reads, in ASCII. Figures are not rounded; NaN and the
    infinities, which JSON does not know, are null.
    """
    told = json.dumps(_finite(value), indent=indent, default=str, allow_nan=False)
    told = text.safe_json(told)
    return told.replace("\x7f", "\\u007f")  # the one control character that json leaves alone


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
