"""
The command line: `doteval` and `python -m doteval`.

    main ─▶ parser, made of the table of commands ─▶ Call ─▶ the command ─▶ exit code

Errors of ours become one line on stderr and an exit code; anything else is a bug, and is shown as
Python shows it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .commands import COMMANDS, Call, Command
from .commands.call import FAILED, OK, SIGNALLED, STORE, USAGE, complain, program
from .errors import Busy, DatasetError, DotevalError, NotFound, PluginError, StoreError, UsageError
from .reporting.tables import terminal

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
        store can not be used, 130 and 143 after SIGINT and SIGTERM.
    """
    arguments = sys.argv[1:] if argv is None else argv
    code = OK
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
    return code


def _run(arguments: Sequence[str]) -> int:
    color = "auto"
    try:
        parser = _parser()
        if not arguments:
            parser.print_help(sys.stderr)
            return USAGE
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            words = " ".join(map(repr, unknown))
            raise UsageError(f"unknown: {words}; see `{program()} {options.command} --help`")
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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program(),
        description="Run evaluations of language models, and look at what came out of them.",
        epilog=f"`{program()} COMMAND --help` has the options of a command, and examples.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"doteval {_version()}")
    _add_common(parser, None, "auto")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands.required = True
    for each in COMMANDS.values():
        _add_command(commands, each)
    return parser


def _add_command(commands: argparse._SubParsersAction[_Parser], command: Command) -> None:
    own = commands.add_parser(
        command.name,
        help=command.help,
        description=f"{command.help[0].upper()}{command.help[1:]}.",
        epilog=_examples(command.examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for names, settings in command.options:
        own.add_argument(*names, **settings)
    # Given before the command, they must not be overwritten by defaults of its own parser.
    _add_common(own, argparse.SUPPRESS, argparse.SUPPRESS)


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
