"""
Files of evaluations: importing one by its path, and finding the evaluations in it.

pytest imports its files itself; this room is for those who run evaluations without it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import DotevalError, NotFound, UsageError
from .evaluation import Evaluation
from .redaction import safe_error
from .text import safe

# --- importing --------------------------------------------------------------------------------


class ImportFailed(DotevalError, ImportError):
    """
    A file of evaluations that could not be imported.

    Attributes:
        trace: the lines of the file, and of what it called, that led there; "" where the message
            says it all.
    """

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


@contextmanager
def imported(path: Path) -> Iterator[ModuleType]:
    """
    Import a file, and keep it importable by name meanwhile.

    The module has the name that `import` would find the file by from its own folder (or the folder
    above its package), which stands on `sys.path` meanwhile: functions that import late, and
    processes that unpickle by name, find what they look for.

    Args:
        path: of a Python file.

    Raises:
        NotFound: there is no such file.
        UsageError: it is not a Python file.
        ImportFailed: it raised.
    """
    path = _checked(path)
    name, folder = _name_of(path)
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield _import(path, name)
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        for each in set(sys.modules) - before:
            if _is_from(sys.modules[each], path):
                del sys.modules[each]


def _checked(path: Path) -> Path:
    shown = safe(path)
    if path.is_dir():
        raise UsageError(f"{shown} is a folder; name a file, as in {shown.rstrip('/')}/eval_x.py")
    if not path.exists():
        raise NotFound(f"there is no file {shown}")
    if path.suffix != ".py":
        raise UsageError(f"{shown} is not a Python file: its name does not end in .py")
    return Path(os.path.abspath(path))


def _name_of(path: Path) -> tuple[str, Path]:
    """The dotted name to import a file by, and the folder from which that works."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").exists() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    name = ".".join(parts)
    if "." not in path.stem and not _is_taken(name, path):
        return name, folder
    # Another module has the name. This one is then found by name in this process only.
    from hashlib import blake2b

    digest = blake2b(os.fsencode(path), digest_size=4).hexdigest()
    return f"{path.stem.replace('.', '_')}_{digest}", folder


def _is_taken(name: str, path: Path) -> bool:
    first = name.partition(".")[0]
    if first in sys.stdlib_module_names:
        return True
    holder = sys.modules.get(name)
    return holder is not None and not _is_from(holder, path)


def _is_from(module: object, path: Path) -> bool:
    return getattr(module, "__file__", None) == str(path)


def _import(path: Path, name: str) -> ModuleType:
    from importlib import import_module, invalidate_caches
    from importlib.util import module_from_spec, spec_from_file_location

    invalidate_caches()  # a helper beside the file may have been written just now
    try:
        package = name.rpartition(".")[0]
        if package:
            import_module(package)
        if name in sys.modules:  # its package has imported it
            return sys.modules[name]
        spec = spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None  # the suffix was checked
        module = sys.modules[name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
    except (Exception, SystemExit) as error:  # whatever the file may raise is told, not ours
        raise _explained(error, path) from error
    return module


# --- telling what went wrong in a file --------------------------------------------------------


def _explained(error: BaseException, path: Path) -> ImportFailed:
    """What an exception in a file means for the person who wrote the file."""
    where = _place_in(error, path)
    if isinstance(error, DotevalError):
        return ImportFailed(f"{where}: {safe_error(error)}")
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "pytest":
        return ImportFailed(
            f"{where} imports pytest, which is not installed here; install pytest, or move what "
            "needs it (fixtures, marks) into another file"
        )
    if isinstance(error, SystemExit):
        return ImportFailed(
            f"{where} called sys.exit({safe_error(repr(error.code), 80)}) on import"
        )
    said = safe_error(error, 1_000)
    told = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return ImportFailed(f"{where} can not be imported: {told}", _trace(error, path))


def _place_in(error: BaseException, path: Path) -> str:
    """ "eval_x.py:12", the line of the file that was being run."""
    line = None
    if isinstance(error, SyntaxError) and error.filename == str(path):
        line = error.lineno
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == str(path):
            line = step.tb_lineno
            break
        step = step.tb_next
    shown = safe(path.relative_to(here) if (here := Path.cwd()) in path.parents else path)
    return shown if line is None else f"{shown}:{line}"


def _trace(error: BaseException, path: Path) -> str:
    """The traceback from the user's file on, without the import machinery and without us."""
    from traceback import TracebackException

    told = TracebackException.from_exception(error, compact=True)
    each: Any = told
    while each is not None:
        each.stack[:] = [frame for frame in each.stack if _is_theirs(frame.filename)]
        each = each.__cause__ or each.__context__
    return safe_error("".join(told.format()), newlines=True)


def _is_theirs(filename: str) -> bool:
    ours = os.path.dirname(os.path.abspath(__file__)) + os.sep
    return not filename.startswith(("<frozen ", ours))


# --- finding ----------------------------------------------------------------------------------


def evaluations_in(module: ModuleType) -> dict[str, Evaluation[..., Any]]:
    """
    The evaluations of a module, in the order in which they stand there.

    One that several names hold is found once: under the name equal to its `__name__`, else under
    the first. What another module has and this one merely imported is not found, nor what says
    `__test__ = False`. It is the rule of the pytest plugin.
    """
    found: dict[int, tuple[str, Evaluation[..., Any]]] = {}
    for name, thing in vars(module).items():
        if not isinstance(thing, Evaluation) or _is_imported(thing, module):
            continue
        if getattr(thing, "__test__", True) is False:
            continue
        if id(thing) not in found or name == thing.__name__:
            found[id(thing)] = (name, thing)
    return dict(found.values())


def _is_imported(evaluation: Evaluation[..., Any], module: ModuleType) -> bool:
    home = sys.modules.get(evaluation.__module__)
    if home is None or home is module:
        return False
    return any(thing is evaluation for thing in vars(home).values())


def why_none(module: ModuleType) -> str:
    """Why a module has no evaluation to run, and what to do: the end of a sentence."""
    held = [each for each in vars(module).values() if isinstance(each, Evaluation)]
    homes = sorted({each.__module__ for each in held if _is_imported(each, module)})
    if homes:
        return f"its evaluations are imported from {' and '.join(homes)}; run the file of that"
    if held or getattr(module, "__test__", True) is False:
        return "it says `__test__ = False`"
    for each in vars(module).values():
        kind = type(each)
        if kind.__name__ == Evaluation.__name__ and kind.__module__.endswith(".evaluation"):
            copy = kind.__module__.rpartition(".")[0]
            return f"its evaluations are made with {copy}, another copy of this library"
    return "no function in it is decorated with @foreach(...)"
