"""
The command line: `doteval` and `python -m doteval`.

    main ─▶ the command's module and a parser of its options ─▶ Call ─▶ Answer ─▶ exit code

Errors of ours become one line on stderr and an exit code; anything else is a bug, and is shown as
Python shows it, with an exit code that is no verdict.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import Busy, DatasetError, DotevalError, NotFound, PluginError, StoreError
from ..views.terminal import terminal
from .call import FAILED, FAULT, OK, SIGNALLED, STORE, USAGE, Call, complain
from .parser import named, parsed, parser

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
        store can not be used, 70 a fault of doteval itself; 129, 130 and 143 after SIGHUP,
        SIGINT and SIGTERM.
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
        except MemoryError:
            complain(sys.stderr, "this process has no memory left; give it more")
            return STORE
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
            parser().print_help(sys.stderr)
            return USAGE
        options = parsed(arguments)
        color = options.color
        call = Call(options, sys.stdout, sys.stderr, terminal(sys.stdout, os.environ, color))
        with call.stack:
            answer = named(options.command).run(call)
            call.give(answer)
        return answer.code
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
