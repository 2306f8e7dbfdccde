"""
Evaluators of structured answers: JSON documents and function calls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import PluginError, UsageError
from ..records import Score
from ..text import one_line
from .making import ACCURACY, brief

if TYPE_CHECKING:
    import ast


def valid_json(
    result: Any, schema: Mapping[str, Any] | bool | None = None, *, name: str | None = None
) -> Score:
    """
    Whether the answer is JSON and, where a schema is given, fits it.

    The metadata say why not. A text is parsed strictly (NaN is no JSON); a list, a mapping or
    a number counts as a parsed document; None is an empty answer and not valid.

    Args:
        schema: a JSON schema, checked by the package `jsonschema`.

    Raises:
        PluginError: a schema is given and the package is not installed; it says what to install.
        UsageError: the schema is no schema.
    """
    check = None if schema is None else _validator_of(schema)
    metadata = brief({"result": result})
    problem: str | None = None
    try:
        document = _document(result)
        if check is not None:
            found = next(iter(check.iter_errors(document)), None)
            problem = None if found is None else f"at {found.json_path}: {found.message}"
    except RecursionError:
        problem = "nested too deeply"
    except (ValueError, TypeError) as error:
        problem = str(error)
    if problem is not None:
        metadata["problem"] = one_line(problem, 200)
    return Score(name or "valid_json", problem is None, ACCURACY, metadata)


def _document(result: Any) -> Any:
    if isinstance(result, (str, bytes, bytearray)):
        return json.loads(result, parse_constant=_no_constant)
    if result is None:
        raise ValueError("there is no answer")
    json.dumps(result, allow_nan=False)
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


_checked: list[tuple[Any, Any]] = []  # the last schemas with their validators
_MOST_SCHEMAS = 16  # checking a schema takes about a millisecond, validating microseconds


def _validator_of(schema: Any) -> Any:
    for known, validator in list(_checked):
        if known is schema:
            return validator
    try:
        import jsonschema  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise PluginError(
            "valid_json(schema=…) needs the package jsonschema: pip install jsonschema"
        ) from error
    kind = jsonschema.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except jsonschema.exceptions.SchemaError as error:
        raise UsageError(f"valid_json(): the schema is no JSON schema: {error.message}") from error
    validator = kind(schema)
    _checked[:] = [(schema, validator), *_checked[: _MOST_SCHEMAS - 1]]
    return validator


_MOST_CODE = 20_000  # characters; a parser's stack is finite
_CODE_ESCAPE = re.compile(r"\\(?![\\'\"abfnrtvxNuU0-7\n])|\\(.)", re.DOTALL)
_JSON_NAMES = {"true": True, "false": False, "null": None}

Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # function, positional and named arguments
Functions = dict[str, tuple[tuple[str, ...], frozenset[str]]]  # parameters, and the required ones


def ast_evaluation(
    result: str | Mapping[str, Any] | Sequence[Any] | None,
    expected: str | Mapping[str, Any] | Sequence[Any],
    schema: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    *,
    name: str | None = None,
) -> Score:
    """
    Whether the answer makes the expected function calls.

    Named arguments may come in any order, and so may several calls; values are compared as nested
    literals (1 equals 1.0, True does not equal 1, a tuple equals a list). Nothing is evaluated.

    Args:
        result: text such as `f(a=1, b=[2, 3])` or `[f(1), g(x="y")]`, or calls as mappings
            `{"f": {"a": 1}}`, one or a list of them.
        expected: the same. In a mapping a list holds the values that are accepted for an argument,
            and "" among them that it may be left out (the form of the Berkeley leaderboard).
        schema: descriptions of the functions (`name`, `parameters` with `properties` and
            `required`), one or a list. Positional arguments get their names from it, required
            arguments must be there and unknown ones must not.

    Raises:
        UsageError: expected is no function call.
    """
    functions = _functions(schema)
    wanted = _calls(expected)
    if not wanted:
        raise UsageError(
            f"ast_evaluation(): expected is no function call: {one_line(expected, 80)}"
        )
    metadata = brief({"result": result, "expected": expected})
    made = _calls(result)
    pairs = isinstance(expected, str)
    right = (
        made is not None
        and len(made) == len(wanted)
        and _can_be_paired(
            [_named(call, functions) for call in made],
            [_accepting(_named(call, functions) or call, exactly=pairs) for call in wanted],
        )
        and all(_is_complete(_named(call, functions), functions) for call in made)
    )
    return Score(name or "ast_evaluation", right, ACCURACY, metadata)


def _functions(schema: Any) -> Functions:
    if schema is None:
        return {}
    found = {}
    for entry in [schema] if isinstance(schema, Mapping) else schema:
        described = entry.get("function", entry)
        parameters = described.get("parameters", {})
        required = frozenset(parameters.get("required", ()))
        found[str(described.get("name"))] = (tuple(parameters.get("properties", ())), required)
    return found


def _calls(given: Any) -> list[Call] | None:
    """The calls in a text or in mappings; None where it is anything else."""
    if isinstance(given, str):
        return _calls_in(given)
    calls = [given] if isinstance(given, Mapping) else given
    if not isinstance(calls, (list, tuple)):
        return None
    if not all(
        isinstance(call, Mapping)
        and len(call) == 1
        and isinstance(next(iter(call.values())), Mapping)
        for call in calls
    ):
        return None
    return [(str(function), (), dict(named)) for call in calls for function, named in call.items()]


def _calls_in(text: str) -> list[Call] | None:
    import ast  # the parser is large, and few evaluations use it

    text = text.strip()
    if len(text) > _MOST_CODE:
        return None
    # An escape that Python does not know makes its parser print a warning.
    text = _CODE_ESCAPE.sub(lambda found: found[0] if found[1] else "\\\\", text)
    try:
        tree = ast.parse(text, mode="eval").body
        nodes = tree.elts if isinstance(tree, (ast.List, ast.Tuple)) else [tree]
        return [_call(node) for node in nodes]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None  # no calls, whatever else it is


def _call(node: ast.expr) -> Call:
    import ast

    if not isinstance(node, ast.Call):
        raise ValueError("not a call")
    named: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg in named:
            raise ValueError("neither ** nor a name twice makes a call")
        named[keyword.arg] = _literal(keyword.value)
    return ast.unparse(node.func), tuple(map(_literal, node.args)), named


def _literal(node: ast.expr) -> Any:
    import ast

    if isinstance(node, ast.Name) and node.id in _JSON_NAMES:
        return _JSON_NAMES[node.id]
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        keys = [ast.literal_eval(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_literal, node.values), strict=True))
    return ast.literal_eval(node)


def _named(call: Call, functions: Functions) -> Call | None:
    """The call with names for its positional arguments; None where they do not fit."""
    function, positional, named = call
    if function not in functions or not positional:
        return call
    parameters = functions[function][0][: len(positional)]
    if len(parameters) < len(positional) or not named.keys().isdisjoint(parameters):
        return None
    return function, (), {**dict(zip(parameters, positional, strict=True)), **named}


def _is_complete(call: Call | None, functions: Functions) -> bool:
    """Whether a named call has what its description requires, and nothing that it lacks."""
    if not functions:
        return True
    if call is None or call[0] not in functions:
        return False
    parameters, required = functions[call[0]]
    return call[2].keys() >= required and set(parameters) >= call[2].keys()


def _accepting(call: Call, exactly: bool) -> Call:
    """The expected call with a list of accepted values for each named argument."""
    function, positional, named = call
    accepted = {
        name: value if isinstance(value, (list, tuple, set)) and not exactly else [value]
        for name, value in named.items()
    }
    return function, positional, accepted


def _can_be_paired(made: list[Call | None], wanted: list[Call]) -> bool:
    """Whether every call made can have an expected one for itself (Kuhn's augmenting paths)."""
    taken: dict[int, int] = {}

    def place(at: int, tried: set[int]) -> bool:
        for other, call in enumerate(wanted):
            if other not in tried and _is_accepted(made[at], call):
                tried.add(other)
                if other not in taken or place(taken[other], tried):
                    taken[other] = at
                    return True
        return False

    return all(place(at, set()) for at in range(len(made)))


def _is_accepted(call: Call | None, wanted: Call) -> bool:
    if call is None or call[0] != wanted[0] or not _equal(list(call[1]), list(wanted[1])):
        return False
    if not call[2].keys() <= wanted[2].keys():
        return False
    for name, values in wanted[2].items():
        if name in call[2]:
            if not any(_equal(call[2][name], value) for value in values):
                return False
        elif "" not in values:
            return False
    return True


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return bool(one == other)
