"""
An evaluator of function calls, in whatever shape an API or a model gives them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..record import Score
from ..text import one_line, syntax_of
from .answers import fenced, said, text_of, unread
from .making import ACCURACY, brief

if TYPE_CHECKING:
    import ast

Call = tuple[str, tuple[Any, ...], dict[str, Any]]  # function, positional and named arguments
Functions = dict[str, tuple[tuple[str, ...], frozenset[str]]]  # parameters, and the required ones


def ast_evaluation(
    result: Any,
    expected: str | Mapping[str, Any] | Sequence[Any] | None,
    schema: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    *,
    any_of: bool = False,
    loose: bool = False,
    name: str | None = None,
) -> Score:
    """
    Whether the answer makes the expected function calls.

    Named arguments may come in any order, and so may several calls; values are compared as nested
    literals (1 equals 1.0, True does not equal 1, a tuple equals a list). Nothing is evaluated.

    Args:
        result: the calls as an API gives them, objects or mappings, whole messages and responses
            too (OpenAI chat and responses, Anthropic, Gemini, Bedrock, Mistral, LangChain, Ollama,
            pydantic-ai), or mappings `{"f": {"a": 1}}`, one or a list of them; or text:
            `f(a=1, b=[2, 3])`, one or several on lines or in a list, JSON of any of these shapes,
            also behind words, `<tool_call>`, `[TOOL_CALLS]`, `<function=f>{"a": 1}`, `Action:` with
            its `Action Input:`, a fence. What has none of these shapes is unread; prose calls
            nothing.
        expected: the same; None or an empty list where no call is right. In a mapping a list holds
            the values that are accepted for an argument, and "" among them that it may be left out
            (the form of the Berkeley leaderboard); so do the lists in mappings within such a list.
        schema: descriptions of the functions (`name`, `parameters` with `properties` and
            `required`, as OpenAI, Anthropic or Bedrock want them), one or a list. Positional
            arguments get their names from it, required arguments must be there and unknown ones
            must not.
        any_of: expected is a list of which any one is right.
        loose: compare texts as the Berkeley leaderboard does, without case, blanks and the
            characters `,./-_*^`, and names of functions with `_` for `.`.

    Raises:
        UsageError: expected is no function call.
    """
    metadata = brief({"result": result, "expected": expected})
    name = name or "ast_evaluation"
    functions = _functions(schema)
    every = [_wanted(each) for each in (expected if any_of and expected else [expected])]
    try:
        made = _calls(result)
    except _Unreadable as error:
        return unread(name, ACCURACY, metadata, result, one_line(error, 200))
    except RecursionError:
        return unread(name, ACCURACY, metadata, result, "nested too deeply")
    same = _loosely if loose else _same
    right = any(_meets(made, calls, functions, same) for calls in every)
    if not right and not made:
        metadata["problem"] = "it calls nothing"
        text = text_of(result)
        if text is not None and not said(text).strip():
            return unread(name, ACCURACY, metadata, result)
    return Score(name, right, ACCURACY, metadata)


def _wanted(expected: Any) -> list[Call]:
    """The expected calls; [] where none is right."""
    try:
        calls = _calls(expected)
    except (_Unreadable, RecursionError):
        calls = []
    if not calls and expected is not None and expected != [] and expected != "[]":
        raise UsageError(
            f"ast_evaluation(): expected is no function call: {one_line(expected, 80)}"
        )
    return calls


def _meets(made: list[Call], wanted: list[Call], functions: Functions, same: Same) -> bool:
    if len(made) != len(wanted):
        return False
    named = [_named(call, functions) for call in made]
    accepting = [_accepting(_named(call, functions) or call) for call in wanted]
    return all(_is_complete(call, functions) for call in named) and _can_be_paired(
        named, accepting, same
    )


def _functions(schema: Any) -> Functions:
    if schema is None:
        return {}
    found = {}
    for entry in [schema] if isinstance(schema, Mapping) else schema:
        described = entry.get("function") or entry.get("toolSpec") or entry
        parameters = described.get("parameters") or described.get("input_schema") or {}
        parameters = parameters or described.get("inputSchema", {}).get("json", {})
        required = frozenset(parameters.get("required", ()))
        found[str(described.get("name"))] = (tuple(parameters.get("properties", ())), required)
    return found


# --- shapes ----------------------------------------------------------------------------------


class _Unreadable(Exception):
    """A shape that is not understood; the message says which."""


_NAMES = ("name", "tool_name", "toolName", "function", "tool")
_ARGUMENTS = (
    "arguments", "args", "input", "parameters", "tool_args", "tool_kwargs", "tool_input",
)  # fmt: skip
_HOLDERS = (  # where responses, messages and blocks keep calls, from the innermost on
    "function", "functionCall", "function_call", "toolUse", "tool_use", "tool_calls", "toolCalls",
    "function_calls", "choices", "candidates", "output", "message", "content", "parts",
)  # fmt: skip
_SILENT = ("text", "thinking", "redacted_thinking", "reasoning", "reasoning_content", "refusal")


def _calls(given: Any) -> list[Call]:
    """
    The calls in a text, in mappings, or in the objects of a client; [] where there are none.

    Raises:
        _Unreadable: it is, or holds, something else.
    """
    if given is None:
        return []
    if isinstance(given, (str, bytes, bytearray)):
        return _calls_in(text_of(given) or "")
    if isinstance(given, (list, tuple)):
        return [call for each in given for call in _calls(each)]
    get: Callable[[str], Any] = (
        given.get if isinstance(given, Mapping) else lambda key: getattr(given, key, None)
    )
    called = next((each for each in map(get, _NAMES) if isinstance(each, str)), None)
    if called is not None:
        for key in _ARGUMENTS:
            arguments = get(key)
            if arguments is not None:
                return [(called, (), _arguments(arguments))]
    held = [get(key) for key in _HOLDERS if get(key)]
    if isinstance(given, Mapping) and len(given) == 1 and not _holds_calls(held):
        ((function, named),) = given.items()
        if isinstance(named, Mapping):
            return [(str(function), (), _Alternatives(named))]
        if isinstance(named, str) and named.lstrip().startswith("{"):
            return [(str(function), (), _arguments(named))]
    for inner in held:
        if not isinstance(inner, (int, float)):
            calls = _calls(inner)
            if calls or inner is held[-1]:
                return calls
    if get("type") in _SILENT or get("role") or any(isinstance(get(key), str) for key in _SILENT):
        return []
    if called is not None:
        return [(called, (), {})]
    raise _Unreadable(f"a {type(given).__name__} is no call in a shape that is known")


def _holds_calls(held: list[Any]) -> bool:
    """Whether something that is held is a call or several; else its key names a function."""
    for inner in held:
        try:
            if not isinstance(inner, str) and _calls(inner):
                return True
        except _Unreadable:
            continue
    return False


def _arguments(given: Any) -> dict[str, Any]:
    """Named arguments, which many APIs give as JSON text."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else {}
        except (ValueError, RecursionError) as error:
            raise _Unreadable(f"arguments that are no JSON: {error}") from error
    if not isinstance(given, Mapping):
        raise _Unreadable(f"arguments of type {type(given).__name__}")
    return {str(key): value for key, value in given.items()}


# --- texts -----------------------------------------------------------------------------------

_MOST_CODE = 20_000  # characters; a parser's stack is finite
_CODE_ESCAPE = re.compile(r"\\(?![\\'\"abfnrtvxNuU0-7\n])|\\(.)", re.DOTALL)
_JSON = json.JSONDecoder()
_BLANKS = re.compile(r"\s*")
_JSON_NAMES = {"true": True, "false": False, "null": None}
_TOOL_TAG = re.compile(r"<(/?)(?:tool_calls?|function_calls?|functioncall)>", re.IGNORECASE)
_XML_CALL = re.compile(r"<(?:function|invoke|tool)[ =]", re.IGNORECASE)
_LABELLED = re.compile(  # Llama's functions, ReAct's actions, Mistral's arguments
    r"<function=([\w.-]{1,100})>(?=\s*\{)"
    r"|^[ \t]*Action:[ \t]*([\w.-]{1,100})[ \t]*\n[ \t]*Action Input:"
    r"|\[TOOL_CALLS\]\s?([\w.-]{1,100})(?:\[CALL_ID\]\w{1,40})?\[ARGS\]",
    re.MULTILINE,
)
_JSON_CALL = re.compile(r"""[\[{]\s*(?:\{\s*)?"(?:name|function|tool|tool_name|arguments)"\s*:""")
_LOOKS_LIKE_CALL = re.compile(
    r"^[ \t]*(?:\w{1,60} ?= ?)?(?:await )?\[?[A-Za-z_][\w.]{0,100}\(", re.MULTILINE
)
_PRINTED = re.compile(r"^[ \t]*print\((.*)\)[ \t]*$", re.MULTILINE)  # as Gemini's code does


def _calls_in(text: str) -> list[Call]:
    text = said(text).strip()
    tagged = list(_between_tags(text))
    if tagged:
        return [call for each in tagged for call in _calls_in(each)]
    labelled = list(_LABELLED.finditer(text))
    if labelled:
        return [_labelled(each, text) for each in labelled]
    for mark in ("[TOOL_CALLS]", "<|python_tag|>"):
        if text.startswith(mark):
            text = text.removeprefix(mark).strip()
    blocks = [block for _, block in fenced(text)]
    if blocks:
        return [call for block in blocks for call in _calls_in(block)]
    if not text:
        return []
    if text[0] in "{[":
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError) as error:
            if text[0] == "{" and len(_JSON_CALL.findall(text)) < 2:
                raise _Unreadable(f"JSON that is none: {error}") from error
        else:
            return [] if parsed == [] else _calls(parsed)
    if _XML_CALL.search(text):
        raise _Unreadable("a call in XML")
    within = _JSON_CALL.search(text)
    if within:  # behind words, or several
        return _calls_in_json(text, within.start())
    if text != "[]" and not _LOOKS_LIKE_CALL.search(text):
        return []
    return _calls_in_code(_PRINTED.sub(r"\1", text))


def _labelled(found: re.Match[str], text: str) -> Call:
    """The call whose name stands in a label, and its arguments as JSON behind it."""
    name = next(filter(None, found.groups()))
    return str(name), (), _arguments(_json_at(text, found.end())[0])


def _calls_in_json(text: str, at: int) -> list[Call]:
    """The calls of every JSON document from there on, whatever stands between them."""
    calls: list[Call] = []
    found: re.Match[str] | None
    while found := _JSON_CALL.search(text, at):
        document, at = _json_at(text, found.start())
        calls += _calls(document)
    return calls


def _json_at(text: str, at: int) -> tuple[Any, int]:
    """The JSON document that begins there, and where it ends."""
    try:
        document, end = _JSON.raw_decode(text, _BLANKS.match(text, at).end())  # type: ignore[union-attr]
    except (ValueError, RecursionError) as error:
        raise _Unreadable(f"JSON that is none: {error}") from error
    return document, end


def _between_tags(text: str) -> Iterator[str]:
    """What stands in each `<tool_call>`; the last one may be open."""
    start = -1
    for tag in _TOOL_TAG.finditer(text):
        if start >= 0:
            yield text[start : tag.start()]
        start = -1 if tag[1] else tag.end()
    if start >= 0:
        yield text[start:]


def _calls_in_code(text: str) -> list[Call]:
    import ast  # the parser is large, and few evaluations use it

    if len(text) > _MOST_CODE:
        raise _Unreadable(f"code of more than {_MOST_CODE:,} characters")
    # An escape that Python does not know makes its parser print a warning.
    text = _CODE_ESCAPE.sub(lambda found: found[0] if found[1] else "\\\\", text)
    try:
        nodes: list[ast.expr] = []
        for statement in _parsed(text).body:
            if not isinstance(statement, (ast.Expr, ast.Assign)):
                raise ValueError(f"{type(statement).__name__} is no call")
            value = statement.value
            nodes += value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value]
        return [_call(node) for node in nodes]
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise _Unreadable(f"code that is no call: {one_line(error, 80)}") from error


def _parsed(text: str) -> Any:
    """The code of a text, which may begin with words."""
    try:
        return syntax_of(text)
    except SyntaxError:
        code = _LOOKS_LIKE_CALL.search(text)
        if code is None or not code.start():
            raise
        return syntax_of(text[code.start() :])


def _call(node: ast.expr) -> Call:
    import ast

    if isinstance(node, ast.Await):
        node = node.value
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


# --- comparing -------------------------------------------------------------------------------

Same = Callable[[Any, Any], bool]


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


class _Alternatives(dict[str, Any]):
    """Named arguments in whose values a list holds what is accepted."""


def _accepting(call: Call) -> Call:
    """The expected call with a list of accepted values for each named argument."""
    function, positional, named = call
    accepted = {
        name: list(value)
        if isinstance(named, _Alternatives) and isinstance(value, (list, tuple, set))
        else [_Exactly(value)]
        for name, value in named.items()
    }
    return function, positional, accepted


class _Exactly:
    """A value that is accepted as it is: its lists hold no alternatives."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _can_be_paired(made: list[Call | None], wanted: list[Call], same: Same) -> bool:
    """Whether every call made can have an expected one for itself (Kuhn's augmenting paths)."""
    taken: dict[int, int] = {}

    def place(at: int, tried: set[int]) -> bool:
        for other, call in enumerate(wanted):
            if other not in tried and _is_accepted(made[at], call, same):
                tried.add(other)
                if other not in taken or place(taken[other], tried):
                    taken[other] = at
                    return True
        return False

    return all(place(at, set()) for at in range(len(made)))


def _is_accepted(call: Call | None, wanted: Call, same: Same) -> bool:
    if call is None or not _same_name(call[0], wanted[0], same):
        return False
    if not _equal(list(call[1]), list(wanted[1]), same):
        return False
    return _are_accepted(call[2], wanted[2], same)


def _same_name(one: str, other: str, same: Same) -> bool:
    return one == other or (same is _loosely and one.replace(".", "_") == other.replace(".", "_"))


def _are_accepted(given: Mapping[str, Any], accepted: Mapping[str, Any], same: Same) -> bool:
    """Whether each value is accepted by its key, and none that is needed is left out."""
    if not given.keys() <= accepted.keys():
        return False
    for key, values in accepted.items():
        choices = values if isinstance(values, (list, tuple)) else [values]
        if key not in given:
            if not any(isinstance(value, str) and value == "" for value in choices):
                return False
        elif not any(_is_one(given[key], value, same) for value in choices):
            return False
    return True


def _is_one(given: Any, accepted: Any, same: Same) -> bool:
    """Whether a value is the accepted one; the lists in a mapping hold alternatives."""
    if isinstance(accepted, _Exactly):
        return _equal(given, accepted.value, same)
    if isinstance(given, Mapping) and isinstance(accepted, Mapping):
        return _are_accepted(given, accepted, same)
    if isinstance(given, (list, tuple)) and isinstance(accepted, (list, tuple)):
        return len(given) == len(accepted) and all(
            _is_one(*pair, same) for pair in zip(given, accepted, strict=True)
        )
    return _equal(given, accepted, same)


def _equal(one: Any, other: Any, same: Same) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(
            _equal(*pair, same) for pair in zip(one, other, strict=True)
        )
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key], same) for key in one)
    return same(one, other)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other)


_LOOSE = str.maketrans("'", '"', " ,./-_*^")


def _loosely(one: Any, other: Any) -> bool:
    """As the Berkeley leaderboard compares texts."""
    if isinstance(one, str) and isinstance(other, str):
        return one.translate(_LOOSE).lower() == other.translate(_LOOSE).lower()
    return bool(one == other)
