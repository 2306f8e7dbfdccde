"""
An evaluator that compares numbers, however they are written.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Union

from ..errors import UsageError
from ..record import Score
from ..text import safe
from .answers import boxed, said, text_of, unread
from .making import ACCURACY, brief

if TYPE_CHECKING:
    from decimal import Decimal
    from fractions import Fraction

Number = Union[int, float, "Decimal", "Fraction"]

_LONGEST_NUMBER = 1_000  # characters


def numeric_match(
    result: Any,
    expected: Any,
    *,
    tolerance: float = 0.0,
    relative: float = 0.0,
    extract: str | re.Pattern[str] | None = None,
    unit: str | Iterable[str] = (),
    name: str | None = None,
) -> Score:
    r"""
    Whether both are the same number, however they are written.

    "1,234.50", "1 234.5", "1.2345e3", "$1,234.50" and 1234.5 are the same, and so are "45%" and
    0.45, "1/2", "\\frac{1}{2}" and 0.5, "1.5 × 10^3" and "**1500**". Texts are compared as exact
    numbers, without rounding; where one is a float that is no whole number up to 2**53, both count
    with 15 significant digits, which is what a float can hold: 0.1 + 0.2 is 0.3. A comma only
    separates thousands, unless points do: "1.234,56" is 1234.56, "3,14" and "0,500" are none.

    An answer that is no number is wrong and `unread`; so is NaN.

    Args:
        tolerance: how far the answer may be off.
        relative: how far it may be off in parts of the expected number; the larger one counts.
        extract: where in an answer of prose the number stands, reasoning in blocks left out:
            "last" or "first" number, the last \\boxed{…} ("boxed"), or the last match of a pattern
            (its first group, where it has one). Without it the number is all of the answer.
        unit: what may stand behind the number or before it, such as "km" or ["km", "kilometres"].

    Raises:
        UsageError: a tolerance is negative or NaN, or extract is no such word and no pattern.
    """
    if not (tolerance >= 0 and relative >= 0):
        raise UsageError(
            f"numeric_match(tolerance={tolerance!r}, relative={relative!r}): expected 0 or more"
        )
    name = name or "numeric_match"
    metadata = brief({"result": result, "expected": expected})
    units = (unit,) if isinstance(unit, str) else tuple(unit)
    one = _number(result, units, _extraction(extract))
    if one is None:
        return unread(name, ACCURACY, metadata, result, _no_number(extract))
    other = _number(expected, units, None)
    if other is None:
        metadata["problem"] = "expected is no number"
        return Score(name, False, ACCURACY, metadata)
    if isinstance(one, float) or isinstance(other, float):
        one, other = _rounded(one), _rounded(other)
    same = _is_close(one, other, tolerance, relative)
    return Score(name, same, ACCURACY, metadata)


def _no_number(extract: Any) -> str:
    if extract is None:
        return "it is no number; extract= says where in a text the number stands"
    return f"there is no number, by extract={safe(extract, 80)!r}"


def _number(
    value: Any, units: tuple[str, ...], extract: re.Pattern[str] | str | None
) -> Number | None:
    """An exact number, a float that is none, an infinity, or None for what is no number."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if value != value:
            return None
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    text = text_of(value)
    if text is None:
        if getattr(value, "shape", None) == ():  # a scalar of numpy or torch
            return _number(value.item(), units, extract)
        text = safe(value)  # a Decimal, a Fraction, and what else is written like a number
    if extract is None:
        return _number_in(text, units)
    return _extracted(said(text), units, extract)


def _rounded(number: Number) -> Number:
    """The number with as many significant digits as every float has: 15."""
    from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
    from fractions import Fraction

    exact = Context(prec=15, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])
    if isinstance(number, Fraction):
        return exact.divide(Decimal(number.numerator), Decimal(number.denominator))
    return exact.plus(Decimal(number))


def _is_close(one: Number, other: Number, tolerance: float, relative: float) -> bool:
    from fractions import Fraction

    if isinstance(one, Fraction) == isinstance(other, Fraction) and one == other:
        return True
    a, b = _fraction(one), _fraction(other)
    if a is None or b is None:
        return False
    allowed = max(Fraction(repr(float(tolerance))), Fraction(repr(float(relative))) * abs(b))
    return abs(a - b) <= allowed


def _fraction(number: Number) -> Fraction | None:
    """The number as a fraction; None for what is infinite, or would have millions of digits."""
    from decimal import Decimal
    from fractions import Fraction

    if isinstance(number, Decimal) and (
        not number.is_finite() or abs(number.adjusted()) > _LARGEST_EXPONENT
    ):
        return None
    return Fraction(number)


# --- what is written -------------------------------------------------------------------------

_EXACT = 2**53  # from here on a float is not the integer that was meant
_LARGEST_EXPONENT = 10_000
_SIGN = r"[+-]?[ ]?"
_PLAIN = (  # digits in groups or not; points, then digits
    r"(?:[1-9][0-9]{0,2}(?P<between>[,'_ ])(?:[0-9]{2,3}(?P=between))*[0-9]{3}|[0-9]+)"
    r"(?:\.[0-9]*)?|\.[0-9]+"
)
_TIMES = (
    r"(?:[eE](?P<e>[+-]?[0-9]{1,6})"
    r"|\s?[*x×·]\s?10\s?(?:\^|\*\*)\s?[({]?(?P<ten>[+-]?[0-9]{1,6})[)}]?)"
)
_NUMBER = re.compile(
    rf"(?P<sign>{_SIGN})"
    rf"(?:10\s?(?:\^|\*\*)\s?[({{]?(?P<power>[+-]?[0-9]{{1,6}})[)}}]?"
    rf"|(?:(?P<whole>[0-9]{{1,300}})\s{{1,3}})?(?P<over>[0-9]{{1,300}})\s?/\s?(?P<under>[0-9]{{1,300}})"
    rf"|(?P<digits>{_PLAIN}){_TIMES}?)"
    r"\s?(?P<percent>%|‰|percent\b|per cent\b|pct\b)?"
)
_INFINITY = re.compile(r"([+-]?)\s?(?:inf|infinity|∞|\\infty)", re.IGNORECASE)
_MONEY = (
    r"(?:US|[ACRH]|NZ|S|HK|NT)?[$€£¥₹₽₩₪₫₴₦₱฿₺₿¢]|(?:Rs\.?|USD|EUR|GBP|JPY|CNY|RMB|INR|CHF"
    r"|kr\.?|zł|元|円)(?![A-Za-z])"
)
_MONEY_BEFORE = re.compile(rf"(?<![A-Za-z])(?:([+-])\s?)?(?:{_MONEY})\s?(?=[-+0-9.])")
_MONEY_AFTER = re.compile(rf"\s?(?:{_MONEY})\Z")
_POINTS = re.compile(  # which can but separate thousands
    r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3}){2,}|(?:[. ][0-9]{3})+,[0-9]+)"
)
_POINTS_IN_PROSE = re.compile(
    r"(?<![0-9.,])[1-9][0-9]{0,2}(?:(?:\.[0-9]{3}){2,}(?:,[0-9]+)?|(?:\.[0-9]{3})+,[0-9]+)"
    r"(?![.,]?[0-9])"
)

_BLANKS = "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2012\u2013\ufe63\uff0d\u2010\u2011", "-"),
        **dict.fromkeys(_BLANKS, " "),
        **dict.fromkeys("\u2019\u02bc\u2032\uff07", "'"),
        **dict.fromkeys("\u200b\u200e\u200f\u2060\ufeff\u00ad", ""),
        "\u2044": "/", "\u2215": "/", "\uff0f": "/", "\uff0b": "+", "\uff0c": ",", "\uff0e": ".",
        "\u066b": ".", "\u066c": ",", "\u066a": "%", "\uff05": "%", "\ufe6a": "%", "\uff04": "$",
        "\uffe5": "¥", "\uffe1": "£", "\u2062": "", "\u22c5": "·", "\u2217": "*", "\uff5e": "~",
    }
)  # fmt: skip
_SUPERSCRIPT = re.compile("([⁺⁻]?[⁰¹²³⁴-⁹]+)")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_TEX = (
    (re.compile(r"\\(?:d|t|c)?frac\s?\{\s?([^{}\\]{1,300})\}\s?\{([^{}\\]{1,300})\}"), r" \1/\2"),
    (re.compile(r"\\(?:d|t|c)?frac\s?([0-9])\s?([0-9])"), r" \1/\2"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\(?:times|cdot|ast)(?![a-z])"), "*"),
    (re.compile(r"\\([%$#&_ ])"), r"\1"),
    (re.compile(r"\\(?:pounds|euro|yen)(?![a-z])"), "$"),
    (
        re.compile(
            r"\\(?:text(?:bf|it|rm|tt|normal)?|math(?:bf|rm|it|sf|tt)|mbox|boxed|fbox|left|right"
            r"|displaystyle|quad|[,;:!()\[\]])(?![a-z])|\^?\{?\\circ\}?"
        ),
        "",
    ),
)
_DRESS = re.compile(
    r"~~[^~\n]{1,100}~~|</?[A-Za-z][\w:-]{0,30}(?:\s[^<>\n]{0,100})?>|[`\"“”„«»]|~~|__|(?<![0-9])\*{2,3}"
    r"|\*{2,3}(?![0-9(])"
)


def _written(text: str) -> str:
    """The text in ASCII's digits and signs, without TeX, Markdown, tags and quotes."""
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda found: "^" + found[1].translate(_RAISED), text)
        text = "".join(map(_digit, text.translate(_SIGNS)))
    if "\\" in text or "{" in text:
        for pattern, instead in _TEX:
            text = pattern.sub(instead, text)
    return _DRESS.sub("", text)


def _digit(char: str) -> str:
    """A decimal digit of any script as that of ASCII, a fraction as a quotient."""
    if char < "\x7f":
        return char
    import unicodedata  # 1 MB of tables, needed only for text that is not ASCII

    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(char) == "No" and "\u2044" in unicodedata.normalize("NFKC", char):
        return " " + unicodedata.normalize("NFKC", char).replace("\u2044", "/")
    return char


def _number_in(text: str, units: tuple[str, ...]) -> Number | None:
    """The number that all of the text is."""
    text = said(text).strip()
    if len(text) > _LONGEST_NUMBER:
        return None
    text = _written(text).replace("{", "").replace("}", "")
    text = text.lstrip("#>=*_| \t\n").rstrip("*_|.!。 \n").strip()
    if len(text) > 1 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    if units:
        text = _unit(units).sub("", text)
    text = _MONEY_AFTER.sub("", _MONEY_BEFORE.sub(r"\1", text, count=1)).strip()
    if _POINTS.fullmatch(text.lstrip("+- ")):
        text = text.replace(".", "").replace(" ", "").replace(",", ".")
    found = _NUMBER.fullmatch(text)
    if found:
        return _value(found)
    infinite = _INFINITY.fullmatch(text)
    if infinite is None:
        return None
    return float("inf") if infinite[1] in ("", "+") else float("-inf")


@functools.lru_cache(maxsize=64)
def _unit(units: tuple[str, ...]) -> re.Pattern[str]:
    """Finds a unit at either end, the longest first, in any case."""
    either = "|".join(
        re.escape(_written(unit).strip()) for unit in sorted(units, key=len, reverse=True)
    )
    return re.compile(
        rf"\A(?:{either})\s{{0,3}}(?=[0-9.+-])|(?<=[0-9.%])\s{{0,3}}(?:{either})\Z", re.IGNORECASE
    )


def _value(found: re.Match[str]) -> Number | None:
    from decimal import Decimal

    minus = -1 if "-" in found["sign"] else 1
    shift = {None: 0, "‰": -3}.get(found["percent"], -2)
    if found["under"]:
        from fractions import Fraction

        if not int(found["under"]):
            return None
        number = int(found["whole"] or 0) + Fraction(int(found["over"]), int(found["under"]))
        return minus * number * Fraction(10) ** shift
    if found["power"]:
        return Decimal(f"{minus}e{int(found['power']) + shift}")
    digits = found["digits"]
    if found["between"]:
        digits = digits.replace(found["between"], "")
    exponent = int(found["e"] or found["ten"] or 0) + shift
    if not exponent and digits.isdigit():
        return minus * int(digits)
    return Decimal(f"{'-' if minus < 0 else ''}{digits}e{exponent}")


# --- prose -----------------------------------------------------------------------------------

_WHERE = ("last", "first", "boxed")


def _extraction(extract: Any) -> re.Pattern[str] | str | None:
    if extract is None or (isinstance(extract, str) and extract in _WHERE):
        return extract
    try:
        return re.compile(extract)
    except (re.error, TypeError, ValueError) as error:
        raise UsageError(
            f"numeric_match(extract={extract!r}): expected {', '.join(map(repr, _WHERE))} or a "
            f"regular expression: {error}"
        ) from error


def _extracted(text: str, units: tuple[str, ...], extract: re.Pattern[str] | str) -> Number | None:
    if not isinstance(extract, str):
        match = _last(extract.finditer(text))
        if match is None:
            return None
        return _number_in(match[1 if extract.groups else 0] or "", units)
    if extract == "boxed":
        boxes = boxed(text)
        return _number_in(text[boxes[-1][1] : boxes[-1][2]], units) if boxes else None
    numbers = _numbers(_written(text))
    return next(numbers, None) if extract == "first" else _last(numbers)


def _last(these: Iterator[Any]) -> Any:
    """The last of these, or None."""
    last = deque(these, maxlen=1)
    return last[0] if last else None


_IN_PROSE = re.compile(  # in a difference or a range there is no sign
    r"(?<![0-9A-Za-zÀ-ɏ_./])(?<![A-Za-z]-)"
    rf"{_NUMBER.pattern.replace(_SIGN, '[+-]?')}(?!(?:st|nd|rd|th)\b|[0-9])"
)


def _without_points(found: re.Match[str]) -> str:
    return found[0].replace(".", "").replace(",", ".")


def _numbers(text: str) -> Iterator[Number]:
    """Each number of a text of prose, in their order."""
    text = _POINTS_IN_PROSE.sub(_without_points, _MONEY_BEFORE.sub(r"\1", text))
    for found in _IN_PROSE.finditer(text):
        number = _value(found)
        if number is not None:
            yield number
