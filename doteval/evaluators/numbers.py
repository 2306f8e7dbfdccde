"""
An evaluator that compares numbers, however they are written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Union

from ..errors import UsageError
from ..records import Score
from ..text import safe
from .making import ACCURACY, brief, text_of

if TYPE_CHECKING:
    from decimal import Decimal

_LONGEST_NUMBER = 1_000  # characters
_NUMBER = re.compile(
    r"(?P<sign>[+\-\u2212]?)[ ]?"
    r"(?P<digits>[1-9][0-9]{0,2}(?P<between>[,'\u2019_ \u00a0\u2009\u202f])"
    r"(?:[0-9]{2,3}(?P=between))*[0-9]{3}|[0-9]*)"
    r"(?P<fraction>(?:\.[0-9]*)?)"
    r"(?:[eE](?P<exponent>[+\-\u2212]?[0-9]{1,6}))?"
    r"(?P<percent>\s?%)?"
)
_INFINITY = re.compile(r"(?P<sign>[+\-\u2212]?)(?:inf|infinity)", re.IGNORECASE)

Number = Union[int, float, "Decimal"]


def numeric_match(
    result: Any,
    expected: Any,
    *,
    tolerance: float = 0.0,
    relative: float = 0.0,
    name: str | None = None,
) -> Score:
    """
    Whether both are the same number, however they are written.

    "1,234.50", "1 234.5", "1.2345e3" and 1234.5 are the same, and so are "45%" and 0.45. Texts are
    compared as decimal numbers, without rounding. NaN, None, an empty text and whatever is no
    number match nothing, not even themselves. A comma only separates thousands: "3,14" is none,
    and neither is "0,500".

    Args:
        tolerance: how far the answer may be off.
        relative: how far it may be off in parts of the expected number; the larger one counts.

    Raises:
        UsageError: a tolerance is negative or NaN.
    """
    if not (tolerance >= 0 and relative >= 0):
        raise UsageError(
            f"numeric_match(tolerance={tolerance!r}, relative={relative!r}): expected 0 or more"
        )
    metadata = brief({"result": result, "expected": expected})
    one, other = _number(result), _number(expected)
    same = one is not None and other is not None and one == other
    if not same and (tolerance or relative) and one is not None and other is not None:
        same = _is_close(one, other, tolerance, relative)
    return Score(name or "numeric_match", same, ACCURACY, metadata)


def _number(value: Any) -> Number | None:
    """An exact number, an infinity, or None for what is no number."""
    if isinstance(value, str):
        return _number_in(value)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if not isinstance(value, float):
        if getattr(value, "shape", None) == ():  # a scalar of numpy or torch
            return _number(value.item())
        return _number_in(text_of(value) or safe(value))  # a Decimal, and what is written like one
    if value != value:
        return None
    return int(value) if value.is_integer() else _number_in(repr(value))


def _number_in(text: str) -> Number | None:
    text = text.strip() if len(text) <= _LONGEST_NUMBER else ""
    match = _NUMBER.fullmatch(text)
    if match is None or not (match["digits"] or match["fraction"].strip(".")):
        infinite = _INFINITY.fullmatch(text)
        if infinite is None:
            return None
        return float("inf") if infinite["sign"] in ("", "+") else float("-inf")
    digits = match["digits"].replace(match["between"], "") if match["between"] else match["digits"]
    sign = "" if match["sign"] in ("", "+") else "-"
    if not (match["fraction"] or match["exponent"] or match["percent"]):
        return int(sign + digits)
    from decimal import Decimal  # about 1 ms when first needed

    exponent = int((match["exponent"] or "0").replace("\u2212", "-"))
    if match["percent"]:
        exponent -= 2
    return Decimal(f"{sign}{digits or '0'}{match['fraction']}e{exponent}")


def _is_close(one: Number, other: Number, tolerance: float, relative: float) -> bool:
    from decimal import Context, Decimal

    exact = Context(prec=60, traps=[])
    a, b = Decimal(one), Decimal(other)
    apart = exact.abs(exact.subtract(a, b))
    if not apart.is_finite():
        return False
    allowed = exact.multiply(Decimal(repr(float(relative))), exact.abs(b))
    return apart <= max(Decimal(repr(float(tolerance))), allowed)
