"""
What made a record, as far as code goes: a fingerprint of what an evaluation reaches.

    function ─names▶ helpers, evaluators, constants, classes ─names▶ … in the user's own files

The fingerprint has an entry for everything that the function reaches by name in the user's own
files, so that it can be said what has changed. It is taken of the syntax tree without comments,
blanks, docstrings and annotations, in a form that all Python versions share, and of the values of
constants. What comes from installed packages, or from this one, is left out.

Not seen: what is looked up by text (`getattr`, `globals()`), files, and what a service answers.
That can be declared: `ForEach(config=...)`.
"""

from __future__ import annotations

import ast
import copy
import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from ..declarations import as_config
from ..errors import DatasetError, UsageError
from ..evaluation import BoundEvaluation, Evaluation
from ..keys import digest_of
from ..storage.place import project
from ..text import one_line
from .syntax import DEFINITIONS, Tree, bound, chains, form, imports, words

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_OURS = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep
_PACKAGE = f"{(__package__ or '').rpartition('.')[0]}."
_CHANGING = frozenset(  # a value that these made is another one in each run, and says nothing
    {"datetime", "getpid", "mkdtemp", "now", "random", "secrets", "tempfile", "time", "uuid"}
    | {"uuid1", "uuid4", "urandom", "perf_counter", "monotonic"}
)
_MOST_NAMES = 5  # that a sentence tells
_PLAIN = (str, bytes, int, float, complex, type(None))
_IMMUTABLE = (*_PLAIN, tuple, frozenset)


class Version(NamedTuple):
    """
    What makes the records of a run.

    Attributes:
        code: digests of what the evaluation reaches, see `fingerprint`.
        config: what was declared: `ForEach(config=...)` and parameters.
    """

    code: Mapping[str, str]
    config: Mapping[str, Any]

    def since(self, before: Mapping[str, Any], source: str | None, keep: bool) -> str | None:
        """
        A sentence about what has changed since an earlier run; None where nothing has.

        Args:
            before: that run's header.
            source: digest of the function's source, which is all that earlier versions of doteval
                kept of the code.
            keep: whether another config is acceptable.

        Raises:
            UsageError: the config is another one; says what, and the ways out.
        """
        declared = _differences(before.get("config") or {}, self.config)
        if declared and not keep:
            raise UsageError(
                f"the last run had another config: {'; '.join(declared)}. Its results stay apart "
                "under another --experiment name; --fresh makes all rows anew, --keep-config "
                "(under pytest --eval-keep-config) goes on with both"
            )
        code = before.get("code")
        if isinstance(code, Mapping):
            changed = changes(code, self.code)
        else:
            changed = ["the function"] * (before.get("source") not in (None, source))
        if not declared and not changed:
            return None
        named = ", ".join(changed[:_MOST_NAMES])
        if len(changed) > _MOST_NAMES:
            named += f" and {len(changed) - _MOST_NAMES} more"
        what = "; ".join([*declared, *[f"the code of {named}"] * bool(changed)])
        return (
            f"changed since the last run: {what}; stored results are kept, --fresh makes them anew"
        )


def version_of(
    evaluation: Evaluation[..., Any] | BoundEvaluation,
    params: Mapping[str, Any],
    more: Iterable[Callable[..., Any]] = (),
) -> Version:
    """
    What makes the records of a run that begins now.

    Args:
        params: what was declared beside the evaluation's own `config`.
        more: see `fingerprint`; its root is that of the project that the evaluation is in.

    Raises:
        UsageError: a `config` that is a callable returns something that is not plain.
    """
    given = evaluation.config
    config = as_config(given() if callable(given) else given, "ForEach(config=...)")
    folder = Path(os.path.realpath(evaluation.file)).parent
    if evaluation.batch is not None:
        more = (*more, evaluation.batch.submit)
    return Version(fingerprint(evaluation, project(folder) or folder, more), {**config, **params})


def distributed(
    evaluation: Evaluation[..., Any] | BoundEvaluation, params: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Parameters by name, as `-P` gives them, as resources of the function: each to the parameter of
    its name; those that it has none for together to `params`.

    Raises:
        UsageError: the function has neither.
    """
    names = evaluation.__signature__.parameters
    own = {name: value for name, value in params.items() if name in names and name != "params"}
    rest = {name: value for name, value in params.items() if name not in own}
    if rest and "params" not in names:
        raise UsageError(
            f"{evaluation.__name__}() has no parameter {next(iter(rest))!r}, and none called "
            f"`params` that takes it; its parameters beside the columns are: "
            f"{', '.join(names) or 'none'}"
        )
    return {**own, **({"params": rest} if "params" in names else {})}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two configs, a phrase each."""
    told = []
    for name in dict.fromkeys([*before, *now]):
        if name not in now:
            told.append(f"{name} was {one_line(repr(before[name]), 60)}, and is not given")
        elif name not in before:
            told.append(f"{name} was not given, and is {one_line(repr(now[name]), 60)}")
        elif before[name] != now[name]:
            was, is_ = (one_line(repr(each[name]), 60) for each in (before, now))
            told.append(f"{name} was {was}, and is {is_}")
    return told


def fingerprint(
    evaluation: Evaluation[..., Any] | BoundEvaluation,
    root: Path,
    more: Iterable[Callable[..., Any]] = (),
) -> dict[str, str]:
    """
    Digests of all that an evaluation reaches by name in the user's own files.

    Args:
        evaluation: where it begins.
        root: the folder of the project; what lies outside is not the user's own. In a notebook
            what the cells define is.
        more: functions that it also depends on, such as the fixtures of a test.

    Returns:
        eight bytes in hexadecimal digits, by names such as "evals/helpers.py::ask"; the same
        under all supported versions of Python.
    """
    reach = _Reach(Path(os.path.realpath(root)))
    if isinstance(evaluation, BoundEvaluation):
        reach.meet("", type(evaluation.__self__))
        evaluation = evaluation.__func__
    reach.meet("", evaluation.function)
    for function in more:
        reach.meet("", function)
    return dict(sorted(reach.found.items()))


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names under which two fingerprints differ, in order."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


class _Reach:
    """
    What was reached so far.

    Attributes:
        found: digests by name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trees: dict[str, Tree | None] = {}
        self._named: dict[str, Tree] = {}
        self._seen: set[tuple[int, str]] = set()
        self._kept: list[object] = []  # so that no number of `_seen` is used again
        self.found: dict[str, str] = {}

    def meet(self, place: str, thing: Any) -> None:
        """
        Take in what a name stands for, and what that reaches.

        Args:
            place: where the name stands, for what has no name of its own.
        """
        if not isinstance(thing, _PLAIN):
            known = id(thing), "" if isinstance(thing, (FunctionType, type)) else place
            if known in self._seen:
                return
            self._seen.add(known)
            self._kept.append(thing)
        if isinstance(thing, BoundEvaluation):
            thing = thing.__func__
        if isinstance(thing, Evaluation):
            thing = thing.function
        if isinstance(thing, functools.partial):
            for value in (thing.func, *thing.args, *thing.keywords.values()):
                self.meet(place, value)
        if isinstance(thing, MethodType):
            self.meet(place, type(thing.__self__))
            thing = thing.__func__
        thing = _unwrapped(thing)
        if isinstance(thing, (FunctionType, type)):
            self._define(place, thing)
        elif not isinstance(thing, ModuleType):
            self._hold(place, thing)

    def _define(self, place: str, thing: Any) -> None:
        """A function or a class."""
        tree = self._tree(_file_of(thing))
        node = None if tree is None else tree.definition(thing)
        if tree is None or node is None:
            return
        name = thing.__qualname__.replace("<locals>.", "")
        scope = {**_scope_of(thing), **_closure_of(thing)}
        tree.scope = tree.scope or scope
        node = _stripped(node, scope)
        self._note(place if node.name == "<lambda>" else f"{tree.name}::{name}", node)
        self._follow(node, scope, tree)

    def _follow(self, node: ast.AST, scope: Mapping[str, Any], tree: Tree) -> None:
        """Meet everything that is named in a piece of code."""
        for module in imports(node, str(scope.get("__package__") or "")):
            self._whole(module)
        local = bound(node)
        for first, *rest in chains(node):
            if first in local or first not in scope:
                continue  # a local name, or a builtin
            thing = scope[first]
            place: str | None = f"{tree.name}::{first}"
            for attribute in rest:
                if not isinstance(thing, ModuleType):
                    break
                owner = self._tree(getattr(thing, "__file__", None))
                place = None
                if owner is not None and hasattr(thing, attribute):
                    place = f"{owner.name}::{attribute}"
                    owner.scope = owner.scope or vars(thing)
                thing = getattr(thing, attribute, None)
            if place is not None:
                self.meet(place, thing)

    def _hold(self, place: str, value: Any) -> None:
        """
        A constant. By its value where that is plain and cannot change within a process; else by
        the expression that made it, and what that reaches.
        """
        self.meet(place, type(value))  # of the user's own, it is a part of what is reached
        file, _, name = place.rpartition("::")
        tree = self._named.get(file)
        made = None if tree is None else tree.assignment(name)
        fixed = isinstance(value, _IMMUTABLE) and not (made and words(made) & _CHANGING)
        if tree is not None and made is not None and not fixed:
            self._note(place, made)
            self._follow(made, tree.scope, tree)
            return
        if isinstance(value, (*_IMMUTABLE, list, dict, set)):
            try:
                self.found[place] = digest_of((value,)).hex()[:16]
            except DatasetError:
                pass  # it holds an object, of which no more is known

    def _whole(self, module: str) -> None:
        """
        A module that a function imports when it is called, and those that it imports in turn:
        whole, as they may not be loaded yet.
        """
        tree = self._tree(_file_of_module(module))
        if tree is not None and tree.name not in self.found:
            self._note(tree.name, tree.node)
            package = module if tree.name.endswith("__init__.py") else module.rpartition(".")[0]
            for each in imports(tree.node, package):
                self._whole(each)

    def _note(self, name: str, node: ast.AST) -> None:
        try:
            told = repr(form(node)).encode("utf-8", "replace")
        except RecursionError:  # generated code, a sum of a thousand terms
            told = b"too deep"
        self.found[name] = blake2b(told, digest_size=8).hexdigest()

    # ------------------------------------------------------------------------ files

    def _tree(self, file: str | None) -> Tree | None:
        """The syntax tree of a file; None where it is not the user's own."""
        if file is None:
            return None
        if file not in self._trees:
            name = self._name_of(file)
            tree = self._trees[file] = None if name is None else Tree.read(file, name)
            if tree is not None:
                self._named.setdefault(tree.name, tree)
        return self._trees[file]

    def _name_of(self, file: str) -> str | None:
        """The path from the root, with "/"; None for a file that is not the user's own."""
        if _is_cell(file):
            return "<notebook>"
        path = Path(os.path.realpath(file))
        if str(path).startswith(_OURS) or _INSTALLED & set(path.parts):
            return None
        try:
            return path.relative_to(self._root).as_posix()
        except ValueError:
            return None


def _stripped(node: Any, scope: Mapping[str, Any]) -> Any:
    """A definition without the decorators that change no answer: ours, and pytest's marks."""
    node = copy.copy(node)
    node.decorator_list = [each for each in node.decorator_list if not _is_mark(each, scope)]
    if isinstance(node, ast.ClassDef):
        node.body = [_stripped(e, scope) if isinstance(e, DEFINITIONS) else e for e in node.body]
    return node


def _is_mark(decorator: ast.expr, scope: Mapping[str, Any]) -> bool:
    root: Any = decorator
    attributes: list[str] = []
    while not isinstance(root, ast.Name):
        if isinstance(root, ast.Attribute):
            attributes.insert(0, root.attr)
        root = root.func if isinstance(root, ast.Call) else getattr(root, "value", None)
        if root is None:
            return False
    thing = scope.get(root.id)
    while attributes and isinstance(thing, ModuleType):
        thing = getattr(thing, attributes.pop(0), None)
    module = _home(thing)
    return module.partition(".")[0] in ("pytest", "_pytest") or f"{module}.".startswith(_PACKAGE)


def _home(thing: Any) -> str:
    """The module that defines a function or a class, or the class of anything else."""
    is_named = isinstance(thing, (FunctionType, type))
    return str((thing if is_named else type(thing)).__module__)


def _file_of_module(name: str) -> str | None:
    """Where a module is, without importing it or its packages."""
    from importlib.util import find_spec

    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None)
    first, _, rest = name.partition(".")
    try:
        spec = find_spec(first)
    except (ImportError, ValueError):  # nothing that can be found
        return None
    file = None if spec is None else spec.origin
    if not rest or file is None or os.path.basename(file) != "__init__.py":
        return None if rest else file
    below = os.path.join(os.path.dirname(file), *rest.split("."))
    found = (each for each in (f"{below}.py", os.path.join(below, "__init__.py")))
    return next(filter(os.path.isfile, found), None)


def _unwrapped(thing: Any) -> Any:
    """The function that decorators such as `functools.lru_cache` were put around."""
    while not isinstance(thing, type) and "__wrapped__" in getattr(thing, "__dict__", {}):
        thing = vars(thing)["__wrapped__"]
    return thing


def _file_of(thing: Any) -> str | None:
    """The file that a function or a class stands in."""
    parts = [thing] if isinstance(thing, FunctionType) else vars(thing).values()
    for each in parts:
        if isinstance(each, FunctionType) and not each.__code__.co_filename.startswith("<string"):
            return each.__code__.co_filename  # in a notebook only its functions know the cell
    return getattr(sys.modules.get(thing.__module__), "__file__", None)


def _scope_of(thing: Any) -> Mapping[str, Any]:
    if isinstance(thing, FunctionType):
        return thing.__globals__
    return vars(sys.modules[thing.__module__]) if thing.__module__ in sys.modules else {}


def _closure_of(thing: Any) -> dict[str, Any]:
    """The variables of the functions around it."""
    cells = getattr(thing, "__closure__", None) or ()
    names = thing.__code__.co_freevars if cells else ()
    held = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return held


def _is_cell(file: str) -> bool:
    return file.startswith("<ipython") or "ipykernel" in file
