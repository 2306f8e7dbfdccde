"""
Calls as they are kept: requests, and what two of them differ in; responses as JSON, and back.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .errors import Missed
from .keys import digest_of
from .text import one_line, safe

_LONGEST = 60  # characters shown of a value in which two calls differ

# --- requests ---------------------------------------------------------------------------------


def nearest(asked: str, key: bytes, late: Sequence[tuple[bytes, str]]) -> list[str] | None:
    """
    What the most similar of some calls differs in from one of the same function; None: there is
    none of it.

    Args:
        asked: its request. key: of its row, whose calls come first.
        late: the keys and requests of the others.
    """
    now = json.loads(asked)
    digests = now["digests"]
    known = [
        (request, of == key)
        for of, request in ((of, json.loads(each)) for of, each in late)
        if request.get("function") == now["function"]
    ]

    def likeness(one: tuple[Mapping[str, Any], bool]) -> tuple[int, bool]:
        others = one[0].get("digests", {})
        same = sum(others.get(name) == each for name, each in digests.items())
        return same - len(others.keys() ^ digests.keys()), one[1]

    return list(_differences(max(known, key=likeness)[0], now)) if known else None


def _differences(kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if kept.get("scope") != now["scope"]:
        yield f"scope: {_shown(kept.get('scope'))} was kept, {_shown(now['scope'])} is asked"
    before, after = kept.get("digests", {}), now["digests"]
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"{name}, which it does not have"
        elif name not in after:
            yield f"{name}, which this one does not have"
        elif before[name] != after[name]:
            path, one, other = _first_difference(
                kept.get("arguments", {}).get(name), now["arguments"].get(name), name
            )
            yield f"{path}: {_shown(one)} was kept, {_shown(other)} is asked"


def _shown(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False, default=str), _LONGEST)


def _first_difference(kept: Any, now: Any, path: str) -> tuple[str, Any, Any]:
    """Where two values of JSON differ first, and both there."""
    pairs: list[tuple[str, Any, Any]] = []
    if isinstance(kept, dict) and isinstance(now, dict) and kept.keys() == now.keys():
        pairs = [(f"{path}[{name!r}]", kept[name], now[name]) for name in kept]
    elif isinstance(kept, list) and isinstance(now, list) and len(kept) == len(now):
        pairs = [(f"{path}[{at}]", *both) for at, both in enumerate(zip(kept, now, strict=True))]
    for inner, one, other in pairs:
        if one != other:
            return _first_difference(one, other, inner)
    return path, kept, now


# --- responses --------------------------------------------------------------------------------

_TAG, _OF = "$", "of"  # of an object that stands for what JSON does not know: which, and of what
_PLAIN = (str, int, float, bool, type(None))


def kept(response: Any) -> str:
    """
    A response as JSON, of which the same response is made again.

    Raises:
        TypeError: that is not so.
    """
    plain = packed(response, "the response")
    text = json.dumps(plain)
    again = unpacked(json.loads(text))
    try:
        same = digest_of((again,)) == digest_of((response,))
    except AttributeError:  # LiteLLM deletes fields that its classes declare
        same = packed(again, "the response") == plain
    if not same:
        raise TypeError(f"what is made of the JSON of a {type(response).__name__} is not the same")
    return text


def packed(value: Any, path: str) -> Any:
    """
    Plain data of which `unpacked` makes the value.

    Raises:
        TypeError: there is none; the message has the path.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [packed(each, f"{path}[{at}]") for at, each in enumerate(value)]
    if kind is dict and all(type(key) is str for key in value) and _TAG not in value:
        return {key: packed(each, f"{path}[{key!r}]") for key, each in value.items()}
    if kind is dict:
        pairs = [[packed(key, path), packed(each, path)] for key, each in value.items()]
        return {_TAG: "dict", _OF: pairs}
    if kind is tuple:
        return {_TAG: "tuple", _OF: packed(list(value), path)}
    if kind is bytes:
        from base64 import b64encode

        return {_TAG: "bytes", _OF: b64encode(value).decode("ascii")}
    name = f"{kind.__module__}:{kind.__qualname__}"
    if _is_model(kind) and _named(name) is kind:
        plain = value.model_dump(mode="json", exclude_unset=True, warnings=False)
        return {_TAG: name, _OF: plain}
    raise TypeError(f"{path} is of type {kind.__name__}, which JSON does not know")


def unpacked(plain: Any) -> Any:
    """
    The value that `packed` was given.

    Raises:
        Missed: it is of a class that is not loaded here.
    """
    if isinstance(plain, list):
        return [unpacked(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    if _TAG not in plain:
        return {key: unpacked(each) for key, each in plain.items()}
    tag, of = plain[_TAG], plain[_OF]
    if tag == "dict":
        return {unpacked(key): unpacked(each) for key, each in of}
    if tag == "tuple":
        return tuple(unpacked(of))
    if tag == "bytes":
        from base64 import b64decode

        return b64decode(of)
    model = _named(tag)
    if not _is_model(model):
        module, _, name = str(tag).partition(":")
        raise Missed(
            f"a response that was kept is a {safe(name)} of {safe(module)}, which is not loaded "
            "here; import it before, or pass dump= and load= to replayable()"
        )
    try:
        return model.model_validate(of)
    except ValueError:  # clients take what their own types do not allow, and make it as it comes
        return model.model_construct(**of)


def _named(name: str) -> Any:
    """What a module that is loaded has under a name; nothing is imported, whatever a store says."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found


def _is_model(kind: Any) -> bool:
    """Whether it is a class of models as pydantic makes them."""
    return (
        isinstance(kind, type)
        and hasattr(kind, "model_fields")
        and callable(getattr(kind, "model_dump", None))
        and callable(getattr(kind, "model_validate", None))
    )
