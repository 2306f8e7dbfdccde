"""
What was typed, read: the names of the commands, and the options of the one that is meant.

Each command is a module of its name, which is loaded when it is asked for.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, cast

from ..errors import UsageError
from ..text import similar
from .call import FORMS, USAGE, Command, complain, program

# In the order of the help.
NAMES = (
    "list", "show", "compare", "gate", "report", "export", "import", "run", "rescore", "merge",
    "rename", "delete", "prune", "datasets", "plugins", "doctor",
)  # fmt: skip


def named(name: str) -> Command:
    """The command of one of the names."""
    return cast(Command, import_module(f".{name}", __package__).run)


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, with what to type to learn more."""

    def error(self, message: str) -> NoReturn:
        complain(sys.stderr, f"{message}; see `{self.prog} --help`")
        raise SystemExit(USAGE)


class _Program(_Parser):
    """Loads all commands where its help is asked for, and only there."""

    def format_help(self) -> str:
        self.epilog = _overview()
        return super().format_help()


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """
    What was asked for: `command`, `storage`, `color`, and what the command takes.

    Options may stand anywhere among the command's arguments; what follows a `--` is no option.
    They are read first: argparse alone would give `NAME --option GATE` no gate, because NAME and
    no gates fit before the option.

    Raises:
        UsageError: there is no such command or option.
        SystemExit: argparse has told a mistake, or the help.
    """
    unknown: list[str]
    if arguments[0] in NAMES:  # nearly always: nothing stands before it to be read
        before, unknown = argparse.Namespace(storage=None, color="auto", command=arguments), []
    else:
        before, unknown = parser().parse_known_args(arguments)
    name, *rest = before.command
    if name not in NAMES:
        raise UsageError(f"there is no command {name!r}{similar(name, NAMES, NAMES, cutoff=0.6)}")
    end = rest.index("--") if "--" in rest else len(rest)
    command = named(name)
    own = _Options(command, before)
    found, words = own.parse_known_args(rest[:end])
    unknown += [word for word in words if word[:1] == "-" and word != "-" and " " not in word]
    if not unknown:
        words += rest[end + 1 :]
        if words or command.takes_words:
            found, more = own.whole().parse_known_args(["--", *words] if words else [], found)
            unknown = [word for word in more if word != "--"]
    if unknown:
        told = " ".join(map(repr, unknown))
        raise UsageError(f"unknown: {told}; see `{program()} {name} --help`")
    found.command = name
    return found


def parser() -> argparse.ArgumentParser:
    """Of what stands before the command, and of the help of the program."""
    found = _Program(
        prog=program(),
        usage="%(prog)s [--version] [--storage PATH] [--color WHEN] COMMAND ...",
        description="Run evaluations of language models, and look at what came out of them.",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    found.add_argument("--version", action="version", version=f"doteval {version()}")
    _add_common(found, None, "auto")
    found.add_argument("command", nargs=argparse.PARSER, metavar="COMMAND", help=argparse.SUPPRESS)
    return found


class _Help(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, without the five modules that argparse loads to ask it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_width())


def _width() -> int:
    """Columns of a help: two less than the terminal has, as argparse does it."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said) - 2
    try:
        return (os.get_terminal_size(1).columns or 80) - 2
    except OSError:
        return 78


def _overview() -> str:
    from textwrap import wrap

    widest = max(map(len, NAMES))
    width = max(_width(), widest + 24)
    lines = ["commands:"]
    for each in map(named, NAMES):
        first, after = f"  {each.name:<{widest}}  ", " " * (widest + 4)
        lines += wrap(each.help, width, initial_indent=first, subsequent_indent=after)
    more = f"`{program()} COMMAND --help` has the options of a command, and examples."
    return "\n".join([*lines, "", *wrap(more, width)])


class _Options(_Parser):
    """
    Of the options of a command alone.

    What stood before the command is the default of what may stand behind.
    """

    def __init__(self, command: Command, before: argparse.Namespace) -> None:
        super().__init__(
            prog=f"{program()} {command.name}", formatter_class=_Help, allow_abbrev=False
        )
        self._command = command
        for names, settings in command.options:
            if names[0].startswith("-"):
                self.add_argument(*names, **settings)
        self.set_defaults(form=None)
        group = self.add_mutually_exclusive_group() if command.forms else self
        for form in command.forms:
            group.add_argument(
                f"--{form}", dest="form", action="store_const", const=form, help=FORMS[form]
            )
        _add_common(self, before.storage, before.color)

    def whole(self) -> _Parser:
        """The same with the arguments that are no options, and with the help of all."""
        command = self._command
        found = _Parser(
            prog=self.prog,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=_examples(command.examples),
            formatter_class=_Help,
            parents=[self],
            add_help=False,
            allow_abbrev=False,
        )
        for names, settings in command.options:
            if not names[0].startswith("-"):
                found.add_argument(*names, **settings)
        return found

    def format_help(self) -> str:
        return self.whole().format_help()


def _add_common(parser: argparse.ArgumentParser, storage: str | None, color: str) -> None:
    """The options that stand before or after the command."""
    parser.add_argument(
        "--storage",
        metavar="PATH",
        default=storage,
        help="the store: a path or an address such as sqlite://results.db "
        "(default: the .doteval/ of the project that this folder belongs to)",
    )
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default=color,
        help="colours: on a terminal only (auto, which obeys NO_COLOR), always or never",
    )


def _examples(lines: str) -> str:
    own = lines if program() == "doteval" else lines.replace("doteval ", f"{program()} ")
    return "\n  ".join(["examples:" if "\n" in lines else "example:", *own.splitlines()])


def version() -> str:
    """Of doteval."""
    from .. import __version__

    return __version__
