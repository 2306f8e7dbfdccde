"""
The command line: `doteval` and `python -m doteval`.

    main ─▶ parsers, made of the table of commands ─▶ Call ─▶ the command ─▶ exit code

Errors of ours become one line on stderr and an exit code; anything else is a bug, and is shown as
Python shows it, with an exit code that is no verdict.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from .commands import COMMANDS, Call, Command
from .commands.call import FAILED, FAULT, OK, SIGNALLED, STORE, USAGE, complain, program
from .errors import Busy, DatasetError, DotevalError, NotFound, PluginError, StoreError, UsageError
from .reporting.tables import terminal
from .text import similar

_CODES: tuple[tuple[type[BaseException], int], ...] = (  # the first that fits
    (StoreError, STORE),
    (PluginError, STORE),
    (Busy, STORE),
    (NotFound, FAILED),
    (DatasetError, FAILED),
    (DotevalError, USAGE),
)


def main(argv: list[str] | None = None) -> int:
    """
    Run a command.

    Args:
        argv: its arguments, without the name of the program; None: those of the process.

    Returns:
        the exit code: 0 fine, 1 not found or rows failed, 2 bad usage, 3 inconclusive, 4 the
        store can not be used, 70 a fault of doteval itself, 130 and 143 after SIGINT and SIGTERM.
    """
    arguments = sys.argv[1:] if argv is None else argv
    code = OK
    with _streams():
        try:
            code = _run(arguments)
            sys.stdout.flush()  # a full disk or a closed pipe shows here, and not after the end
        except BrokenPipeError:
            return _quiet(code)  # whoever was reading, such as `head`, has seen enough
        except KeyboardInterrupt as error:
            return SIGNALLED + (error.args[0] if error.args else 2)
        except OSError as error:
            complain(sys.stderr, f"input or output failed: {error}")
            return _quiet(STORE)
        except Exception:  # Python would exit with 1, which says "regression" and "fails"
            sys.excepthook(*sys.exc_info())
            complain(sys.stderr, "a fault of doteval, and no verdict; please report what is above")
            return FAULT
        return code


@contextmanager
def _streams() -> Iterator[None]:
    """Streams for any text: nowhere where one is closed, escapes for what it can not carry."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
        errors = getattr(sys.stdout, "errors", None)
        reconfigure = getattr(sys.stdout, "reconfigure", lambda errors: None)  # a stand-in
        try:
            reconfigure(errors="backslashreplace")
            yield
        finally:
            if before[0] is not None:
                reconfigure(errors=errors)
            sys.stdout, sys.stderr = before


def _run(arguments: Sequence[str]) -> int:
    color = "auto"
    try:
        if not arguments:
            _parser().print_help(sys.stderr)
            return USAGE
        options = parsed(arguments)
        color = options.color
        shown = terminal(sys.stdout, os.environ, color)
        return COMMANDS[options.command].run(Call(options, sys.stdout, sys.stderr, shown))
    except SystemExit as error:  # argparse: --help, --version, or a mistake that it has told
        return error.code if isinstance(error.code, int) else USAGE
    except DotevalError as error:
        complain(sys.stderr, str(error), color)
        return next(code for kind, code in _CODES if isinstance(error, kind))


def _quiet(code: int) -> int:
    """Let the interpreter's last flush go nowhere, where it would fail again."""
    try:
        broken = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, broken)
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # a stand-in without a descriptor, which nobody flushes behind our back
    return code


# --- the parser -------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, with what to type to learn more."""

    def error(self, message: str) -> NoReturn:
        complain(sys.stderr, f"{message}; see `{self.prog} --help`")
        raise SystemExit(USAGE)


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
    before, unknown = _parser().parse_known_args(arguments)
    name, *rest = before.command
    if name not in COMMANDS:
        known = list(COMMANDS)
        raise UsageError(f"there is no command {name!r}{similar(name, known, known, cutoff=0.6)}")
    end = rest.index("--") if "--" in rest else len(rest)
    whole, own = _parsers_of(COMMANDS[name], before)
    found, words = own.parse_known_args(rest[:end])
    unknown += [word for word in words if word[:1] == "-" and word != "-" and " " not in word]
    if not unknown:
        words += rest[end + 1 :]
        options, more = whole.parse_known_args(["--", *words] if words else [], found)
        unknown = [word for word in more if word != "--"]
    if unknown:
        told = " ".join(map(repr, unknown))
        raise UsageError(f"unknown: {told}; see `{program()} {name} --help`")
    options.command = name
    return options


def _parser() -> argparse.ArgumentParser:
    """Of what stands before the command, and of the help of the program."""
    parser = _Parser(
        prog=program(),
        usage="%(prog)s [--version] [--storage PATH] [--color WHEN] COMMAND ...",
        description="Run evaluations of language models, and look at what came out of them.",
        epilog=_overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"doteval {_version()}")
    _add_common(parser, None, "auto")
    parser.add_argument("command", nargs=argparse.PARSER, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


def _overview() -> str:
    from shutil import get_terminal_size
    from textwrap import wrap

    widest = max(map(len, COMMANDS))
    width = max(get_terminal_size().columns - 2, widest + 24)  # argparse leaves two columns, too
    lines = ["commands:"]
    for each in COMMANDS.values():
        first, after = f"  {each.name:<{widest}}  ", " " * (widest + 4)
        lines += wrap(each.help, width, initial_indent=first, subsequent_indent=after)
    more = f"`{program()} COMMAND --help` has the options of a command, and examples."
    return "\n".join([*lines, "", *wrap(more, width)])


def _parsers_of(command: Command, before: argparse.Namespace) -> tuple[_Parser, _Parser]:
    """
    Of all that a command takes, and of its options alone; they print the same help.

    What stood before the command is the default of what may stand behind.
    """
    whole, own = parsers = tuple(
        _Parser(
            prog=f"{program()} {command.name}",
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=_examples(command.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for _ in range(2)
    )
    for names, settings in command.options:
        for parser in parsers if names[0].startswith("-") else (whole,):
            parser.add_argument(*names, **settings)
    for parser in parsers:
        _add_common(parser, before.storage, before.color)
    own.format_help = whole.format_help  # type: ignore[method-assign]
    return whole, own


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


def _version() -> str:
    from . import __version__

    return __version__
