"""
An evaluator of structured answers: JSON documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import PluginError, UsageError
from ..record import Score
from ..text import one_line
from .answers import fenced as fences
from .answers import said, text_of, unread
from .making import ACCURACY, brief


def valid_json(
    result: Any,
    schema: Mapping[str, Any] | bool | None = None,
    *,
    fenced: bool = False,
    name: str | None = None,
) -> Score:
    """
    Whether the answer is JSON and, where a schema is given, fits it.

    The metadata say as `problem` why not: a fence, a byte order mark, a comma too many, quotes
    that are none. A text is parsed strictly (NaN is no JSON); a list, a mapping or a number counts
    as a parsed document; None is an empty answer and not valid.

    Args:
        schema: a JSON schema, checked by the package `jsonschema`.
        fenced: take what stands in the one fenced block of the answer, and without one all of
            it; reasoning in blocks is left out.

    Raises:
        PluginError: a schema is given and the package is not installed; it says what to install.
        UsageError: the schema is no schema.
    """
    check = None if schema is None else _validator_of(schema)
    metadata = brief({"result": result})
    text = text_of(result) if isinstance(result, (str, bytes, bytearray)) or result is None else "."
    if text is not None and not text.strip():
        return unread(name or "valid_json", ACCURACY, metadata, result)
    problem: str | None = None
    try:
        document = _document(_in_fence(text or "") if fenced and text != "." else result)
        if check is not None:
            found = next(iter(check.iter_errors(document)), None)
            problem = None if found is None else f"at {found.json_path}: {found.message}"
    except RecursionError:
        problem = "nested too deeply"
    except json.JSONDecodeError as error:
        problem = _cause(error)
    except (ValueError, TypeError) as error:
        problem = str(error)
    if problem is not None:
        metadata["problem"] = one_line(problem, 200)
    return Score(name or "valid_json", problem is None, ACCURACY, metadata)


def _in_fence(text: str) -> str:
    """What stands in the fence: of several that of JSON, if there is but one."""
    text = said(text)
    blocks = fences(text)
    if len(blocks) > 1:
        blocks = [block for block in blocks if block[0].startswith("json")]
        if len(blocks) != 1:
            raise ValueError("it has several blocks between ```; which is meant can not be told")
    return blocks[0][1] if blocks else text


def _document(result: Any) -> Any:
    if isinstance(result, (str, bytes, bytearray)):
        return json.loads(result, parse_constant=_no_constant, parse_int=_integer)
    json.dumps(result, allow_nan=False)
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _integer(text: str) -> int | float:
    """An integer; a float where the interpreter refuses to read so many digits."""
    return int(text) if len(text) < 4_300 else float(text)


def _cause(error: json.JSONDecodeError) -> str:
    """What most likely keeps a text from being JSON, before what the parser says."""
    text, at = error.doc, error.pos
    rest = text[at : at + 3]
    before = text[:at].rstrip()[-1:]
    cause = ""
    if text.startswith("\ufeff"):
        return "it begins with a byte order mark"
    if fences(text):
        return "it stands between ```; fenced=True reads that"
    if rest[:1] in ("}", "]") and before == ",":
        cause = "a comma too many, "
    elif not text[at:].strip():
        cause = "it ends midway, "
    elif rest[:1] in ("'", "\u201c", "\u201d", "\u2018"):
        cause = 'a quote that is not ", '
    elif rest[:2] in ("//", "/*") or rest[:1] == "#":
        cause = "a comment, "
    elif rest[:1] in ("T", "F", "N"):
        cause = "a constant of Python, "
    elif error.msg == "Extra data":
        cause = "text behind the document, "
    elif not text[:at].strip():
        cause = "it begins with text, "
    return f"{cause}{error}"


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
