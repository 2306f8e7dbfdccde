"""
The syntax of a file: what is defined in it, what it names, and a form that all versions of Python
share.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from ..text import syntax_of

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)
_parsed = functools.lru_cache(maxsize=4)(syntax_of)  # several evaluations stand in one file


class Tree:
    """
    The syntax tree of a file, or of a cell.

    Attributes:
        name: how it is called in a fingerprint.
        scope: the globals of its module, once one of its functions was met.
    """

    def __init__(self, node: ast.Module, name: str) -> None:
        self.node = node
        self.name = name
        self.scope: Mapping[str, Any] = {}

    @classmethod
    def read(cls, file: str, name: str) -> Tree | None:
        """Read it; None where there is no source."""
        import linecache

        linecache.checkcache(file)
        lines = linecache.getlines(file)
        try:
            return cls(_parsed("".join(lines)), name) if lines else None
        except (SyntaxError, ValueError):  # it has been edited since it was imported
            return None

    def definition(self, thing: Any) -> Any:
        """The node of a function, by its line, or of a class, by its name."""
        code = getattr(thing, "__code__", None)
        name = thing.__qualname__.rpartition(".")[2]
        for node in ast.walk(self.node):
            if code is None:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return node
            elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
                if node.lineno == code.co_firstlineno:
                    return ast.fix_missing_locations(_of_lambda(node))
            elif isinstance(node, FUNCTIONS):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if code.co_firstlineno in (first, node.lineno) and node.name == code.co_name:
                    return node
        return None

    def assignment(self, name: str) -> ast.expr | None:
        """The last expression that the module assigns to a name."""
        found = None
        waiting: list[Any] = [self.node]
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(each, ast.Name) and each.id == name for each in targets):
                    found = node.value
            elif isinstance(node, (ast.Module, ast.If, ast.Try, ast.With, ast.ExceptHandler)):
                waiting += ast.iter_child_nodes(node)
        return found


def _of_lambda(node: ast.Lambda) -> ast.FunctionDef:
    body: list[ast.stmt] = [ast.Return(node.body)]
    return ast.FunctionDef("<lambda>", node.args, body, [])


def imports(node: ast.AST, package: str) -> Iterator[str]:
    """The names of what a piece of code imports; some are no modules."""
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - each.level + 1]
            parts = [*(above if each.level else ()), *filter(None, [each.module])]
            yield ".".join(parts)
            yield from (".".join([*parts, alias.name]) for alias in each.names)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a piece of code but those of annotations."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "type_params"):
                each = value if isinstance(value, list) else [value]
                waiting += (one for one in each if isinstance(one, ast.AST))


def bound(node: ast.AST) -> set[str]:
    """The names that a function, or a function within it, makes its own."""
    if not isinstance(node, DEFINITIONS):
        return set()
    names = set()
    for each in _walk(node):
        if isinstance(each, ast.arg):
            names.add(each.arg)
        elif isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load):
            names.add(each.id)
    return names


def chains(node: ast.AST) -> Iterator[list[str]]:
    """`a.b.c` as ["a", "b", "c"], for every name that is read in a piece of code."""
    within: set[int] = set()
    for each in _walk(node):
        chain: list[str] = []
        inner: ast.AST = each
        while isinstance(inner, ast.Attribute):
            chain.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and id(inner) not in within:
            within.add(id(inner))
            yield [inner.id, *chain]


def words(node: ast.AST) -> set[str]:
    return {word for chain in chains(node) for word in chain}


_LEFT_OUT = frozenset({"ctx", "kind", "type_comment", "type_params", "returns", "annotation"})


def form(node: Any, inside: bool = False) -> Any:
    """
    A syntax tree as nested tuples: what is absent or empty is left out, as are docstrings, imports
    (what they bind is followed) and, in functions, annotations.

    Args:
        inside: whether this is within a function.
    """
    if isinstance(node, list):
        kept = (each for each in node if not isinstance(each, (ast.Import, ast.ImportFrom)))
        return tuple(form(each, inside) for each in kept)
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.AnnAssign) and inside and node.value is not None:
        node = ast.Assign([node.target], node.value)
    inside = inside or isinstance(node, FUNCTIONS)
    parts = []
    for field, value in ast.iter_fields(node):
        if field in _LEFT_OUT and not (field == "annotation" and not inside):
            continue
        if field == "body" and isinstance(node, (*DEFINITIONS, ast.Module)):
            value = _without_docstring(value)
        elif isinstance(node, ast.JoinedStr):  # Python 3.12 puts empty texts into it
            value = [each for each in value if getattr(each, "value", None) != ""]
        if value not in (None, []) or isinstance(node, ast.Constant):
            parts.append((field, form(value, inside)))
    return (type(node).__name__, tuple(parts))


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0].value if body and isinstance(body[0], ast.Expr) else None
    is_text = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return body[1:] if is_text else body
