"""
What a command is, one use of it, and its answer: what was asked for, the store, and where it goes.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, TypeVar

from ..errors import NotFound, StoreError, UsageError
from ..quantities import read
from ..text import display_width
from ..views.json import json_pieces
from ..views.terminal import Terminal, is_terminal, sentence_lines, terminal
from .output import STDOUT, write

if TYPE_CHECKING:
    from pathlib import Path

    from ..reporting.people import Labels
    from ..storage import Place, Store
    from ..views.table import Table

# Exit codes; scripts rely on them, docs/reference/cli.md lists them.
OK, FAILED, USAGE, INCONCLUSIVE, STORE = 0, 1, 2, 3, 4
FAULT = 70  # of doteval itself: EX_SOFTWARE of sysexits.h
SIGNALLED = 128  # plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM

Option = tuple[tuple[str, ...], dict[str, Any]]
Value = TypeVar("Value")


# The forms beside text in which a command may answer, and what `--help` says of each.
FORMS = {
    "json": "print JSON, with figures that are not rounded",
    "markdown": "print Markdown, for a pull request",
    "csv": "print CSV, with values that are not rounded",
}
TABLE = tuple(FORMS)  # of who answers with a table


class Answer(NamedTuple):
    """
    What a command has to say, in each form that it can be asked for.

    Attributes:
        lines: safe to show, for a terminal; they may be made while they are printed.
        code: the exit code.
        data: plain data, for `--json`; an iterator in it is written while it is read.
        table: for `--markdown` and `--csv`.
        markdown: what `--markdown` prints in place of the table.
    """

    lines: Iterable[str] = ()
    code: int = OK
    data: Any = None
    table: Table | None = None
    markdown: Iterable[str] | None = None


class Command(NamedTuple):
    """
    A command as the parser and the help know it.

    Attributes:
        name: what is typed.
        help: what it does, in one line without a final period.
        examples: command lines, each with its purpose after a `#` where that helps.
        options: arguments of `ArgumentParser.add_argument`, as (names, settings).
        forms: of `FORMS`, those that it can answer in.
        run: does it.
    """

    name: str
    help: str
    examples: str
    options: Sequence[Option]
    forms: Sequence[str]
    run: Callable[[Call], Answer]

    @property
    def takes_words(self) -> bool:
        """Whether it has arguments that are no options."""
        return any(not names[0].startswith("-") for names, _ in self.options)


def command(
    help: str, examples: str, *options: Option, forms: Sequence[str] = ()
) -> Callable[[Callable[[Call], Answer]], Command]:
    """A decorator that makes the `Command` of a module of the function `run` in it."""

    def made(run: Callable[[Call], Answer]) -> Command:
        return Command(run.__module__.rpartition(".")[2], help, examples, options, forms, run)

    return made


def option(*names: str, **settings: Any) -> Option:
    """An argument of a command, as `ArgumentParser.add_argument` takes it."""
    return names, settings


def flag(*names_and_help: str) -> Option:
    """An option without a value; the last text is its help."""
    *names, help = names_and_help
    return option(*names, action="store_true", help=help)


def several(name: str, metavar: str, help: str, **settings: Any) -> Option:
    """An option whose values are a list, of none by default."""
    help += "; can be given several times"
    return option(name, metavar=metavar, action="append", default=[], help=help, **settings)


def typed(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """How the parser of the command line reads what was typed for an option."""

    def value(text: str) -> Value:
        try:
            return read(parse, text)
        except UsageError as error:
            raise ArgumentTypeError(str(error)) from None

    return value


def columns(said: str) -> list[str]:
    """Names of columns: "language,difficulty"."""
    names = [name.strip() for name in said.split(",")]
    if all(names) and len(set(names)) == len(names):
        return names
    raise UsageError("expected names of columns, as in difficulty or language,difficulty")


# What several commands take.
EVALUATION = option(
    "--evaluation",
    metavar="NAME",
    help="only this one; its short name will do where it is the only one of that name",
)
LABELS = option(
    "--labels",
    metavar="FILE",
    help="what people said of some rows, to correct a judge by: columns that tell the row, "
    "and one named as the score",
)
YES = flag("--yes", "-y", "do not ask; needed where nobody can answer")


@dataclass(eq=False, repr=False)  # a frozen one takes a millisecond to make
class Call:
    """
    One use of a command.

    Attributes:
        options: what was asked for.
        out: takes the answer.
        err: takes errors and progress.
        terminal: what `out` can show.
        stack: closes what was opened, once the answer is given.
    """

    options: Namespace
    out: TextIO
    err: TextIO
    terminal: Terminal
    stack: ExitStack = field(default_factory=ExitStack)

    def say(self, *lines: str) -> None:
        """Print lines that are safe to show already."""
        self.out.write("".join(f"{line}\n" for line in lines))

    def give(self, answer: Answer) -> None:
        """Print an answer in the form that was asked for."""
        if self.options.form == "json":
            self.out.writelines(json_pieces(answer.data))
        elif self.options.form in ("markdown", "csv"):
            pieces = answer.markdown if self.options.form == "markdown" else None
            if pieces is None and answer.table is None:
                raise UsageError(f"--{self.options.form} is for tables, and this is none")
            if pieces is None:
                pieces = getattr(answer.table, self.options.form)()
            write(pieces, STDOUT, self.out, force=False)
        else:
            for line in answer.lines:
                self.out.write(f"{line}\n")

    def hint(self, sentence: str, *words: str) -> list[str]:
        """What may help next, where a person is reading: a sentence, or one with a command."""
        if self.terminal.width is None:
            return []
        if words:
            return self.advice(sentence, *words)
        return sentence_lines(sentence, self.terminal, "dim")

    def advice(self, sentence: str, *words: str, style: str = "dim") -> list[str]:
        """A sentence and a command to type, which no end of a line breaks."""
        terminal, command = self.terminal, self.terminal.shown(self.to_type(*words))
        both = f"{terminal.shown(sentence)} {command}"
        if terminal.width is None or display_width(both) <= terminal.width:
            return [terminal.paint(both, style)]
        return [*sentence_lines(sentence, terminal, style), f"  {terminal.paint(command, style)}"]

    def to_type(self, *words: str) -> str:
        """A command line of this program, for the store that was named."""
        storage = self.options.storage
        return f"{program()} {quoted(*words, *([] if storage is None else ['--storage', storage]))}"

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

    def store(self) -> Store:
        """
        The store, to read and to change; it is closed once the answer is given.

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
        return self.stack.enter_context(closing(open_store(place, create=False)))

    def confirmed(self, question: str) -> bool:
        """
        What a person at a terminal answers; no answer is a no, and with `--yes` nobody is asked.

        Raises:
            UsageError: nobody is there to be asked.
        """
        if self.options.yes:
            return True
        if not (is_terminal(sys.stdin) and is_terminal(self.out)):
            raise UsageError(f"{question} Nobody can be asked here: say --yes to do it")
        self.out.write(f"{self.terminal.shown(question)} [y/N] ")
        self.out.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            self.say("")
        return answer.strip().lower() in ("y", "yes")


def people_in(call: Call) -> Labels | None:
    """What people said, of a command that takes `LABELS`."""
    if call.options.labels is None:
        return None
    from ..reporting.people import Labels

    return Labels(call.options.labels)


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
