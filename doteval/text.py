"""
Hostile text made safe to show, and figures written for people.

What a model, a dataset or a client answers is shown in terminals, logs and reports, so nothing of
it reaches them before it went through `safe` (or `one_line`). What is stored is not changed here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from reprlib import Repr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

ELLIPSIS = "…"
NOTHING = "-"  # shown for a figure that is unknown; ASCII, so that it fits every encoding

# What can move the cursor, recolour, reorder or hide text: C1 and DEL, the bidirectional controls,
# line and paragraph separators, characters without width or ink (tags have been used to smuggle
# instructions past readers), and surrogates, which no stream can encode. Variation selectors up to
# U+FE0F stay: everyday emoji are made with them, as with the joiners that `_joins` lets stay. The
# soft hyphen goes: streams disagree on whether it is seen, and it hides in words of any script.
_INVISIBLE = (
    "\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_UNSAFE_IN_LINE = f"[\x00-\x1f{_INVISIBLE}]"
_UNSAFE_IN_BLOCK = f"[\x00-\x08\x0b-\x1f{_INVISIBLE}]"  # tabs and line ends stay
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def safe(
    text: object,
    limit: int | None = None,
    *,
    newlines: bool = False,
    mark: str = ELLIPSIS,
) -> str:
    """
    What can be printed without harm, for any object at all.

    Controls, escape sequences, bidirectional overrides, invisible characters and lone surrogates
    become visible escapes such as `\\x1b`; joiners stay where a script or an emoji needs them.
    Applying it twice changes nothing more. Where a build server reads what is printed, commands to
    it are broken in the same way.

    Args:
        text: shown as `str(text)`; where that raises, `<ClassName: str() failed>` is shown.
        limit: how many characters of the text to keep; None keeps all. The cut comes first, so
            that 10 MB cost no more than what is shown. Escapes may make the outcome longer than
            that; `fit` bounds what it takes on the screen.
        newlines: whether line ends and tabs stay as they are; escaped otherwise.
        mark: appended where something was cut; "..." for an ASCII stream.
    """
    if type(text) is not str:
        text = as_str(text)
    cut = limit is not None and len(text) > limit
    if cut:
        text = text[:limit]
    if not (text.isascii() and text.isprintable()):  # the common case costs no regex
        if newlines:
            text = re.sub(_UNSAFE_IN_BLOCK, _escape, text.replace("\r\n", "\n"))
        else:
            text = re.sub(_UNSAFE_IN_LINE, _escape, text)
    if ("#" in text or ":" in text) and _log_is_read():
        text = re.sub(_COMMAND, _broken, text)
    return text + mark if cut else text


def safe_json(document: str) -> str:
    """JSON of the same value in which a build server that reads it finds no command."""
    return document.replace("##", "\\u0023#") if _log_is_read() else document


# What build servers take out of a log as commands: GitHub and its kin `::name …::` at the start of
# a line and `##[name …]` anywhere, Azure `##vso[…]`, TeamCity `##teamcity[…]`. A line may begin
# wherever a text is wrapped, so `::` is broken everywhere. GitLab's markers of sections need
# controls, which are gone by then.
_COMMAND = r"##(?=\w*\[)|::(?=[\w-]+(?: [^\n]*?)?::)"
_SERVERS = ("GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")


def _log_is_read() -> bool:
    """Whether a build server reads what is printed."""
    return any(name in os.environ for name in _SERVERS)


def _broken(match: re.Match[str]) -> str:
    """Its first character as an escape."""
    return f"\\x{ord(match[0][0]):02x}{match[0][1:]}"


def as_str(value: object) -> str:
    """`str(value)`, exactly a str (a subclass may override its methods), whatever value does."""
    try:
        return str.__str__(str(value))
    except KeyboardInterrupt:
        raise
    except BaseException:  # showing an object must not fail because the object does
        return f"<{type(value).__name__}: str() failed>"


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if char in _JOINERS and _joins(match.string, match.start()):
        return char
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_JOINERS = "\u200c\u200d"


def _joins(text: str, at: int) -> bool:
    """
    Whether a joiner shapes what stands around it, and is no invisible character that hides there.

    Persian, Hindi, Sinhala and many more are not spelled right without U+200C and U+200D, nor are
    emoji of families and professions made. Scripts that need them begin at U+0600; between Latin
    letters a joiner has nothing to do.

    Source: Unicode Standard Annex 31, section 2.3: between letters, or behind a virama.
    """
    import unicodedata

    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if not before or re.match(_UNSAFE_IN_LINE, before):
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if not after or re.match(_UNSAFE_IN_LINE, after) or max(before, after) < "\u0600":
        return False
    return all(
        unicodedata.category(each)[0] in ("LM" if each.isascii() else "LMS")
        for each in (before, after)
    )


_VIRAMA = 9  # the canonical combining class of signs that take a vowel away


def similar(name: str, others: Sequence[str], shown: Sequence[str], cutoff: float) -> str:
    """
    The end of a sentence about an unknown name: what may have been meant, or what there is.

    Args:
        others: the known names.
        shown: those of them to name where none is alike.
        cutoff: how much alike, from 0 to 1, as `difflib.get_close_matches` has it.
    """
    from difflib import get_close_matches  # only for those who mistype

    close = get_close_matches(name, others, n=3, cutoff=cutoff)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if not others:
        return "; there is none yet"
    more = f" and {len(others) - len(shown):,} more" if len(others) > len(shown) else ""
    return f"; there are: {', '.join(map(repr, shown))}{more}"


def encodable(text: str, encoding: str) -> str:
    """
    The text with what the encoding can not carry as escapes, for streams that are not UTF-8.

    Raises:
        LookupError: Python knows no such encoding.
    """
    if text.isascii():
        return text
    return text.encode(encoding, "backslashreplace").decode(encoding)


def one_line(text: object, width: int | None = None, *, mark: str = ELLIPSIS) -> str:
    """
    A preview of a longer text: safe, on one line, runs of white space as one blank.

    Args:
        width: terminal columns that it may take, the mark included; None leaves it whole.
        mark: appended where something was cut.
    """
    whole = text if type(text) is str else as_str(text)
    if width is None:
        return safe(" ".join(whole.split()))
    # Four characters a column leave room for white space and for what takes no column.
    start = whole[: 4 * max(width, 0) + 16]
    shown = safe(" ".join(start.split()))
    return fit(shown, width, mark=mark) if start == whole else _cut(shown, width, mark)


def display_width(text: str) -> int:
    """How many terminal columns a safe text takes; wide characters count two, combining none."""
    return len(text) if text.isascii() else sum(_widths(text))


def fit(text: str, width: int, *, mark: str = ELLIPSIS) -> str:
    """
    A safe text cut to the terminal columns that there are.

    Args:
        width: columns, the mark included; with 0 or less nothing is left.
        mark: shown at the cut.
    """
    if text.isascii():
        fits = len(text) <= width
    else:
        fits = len(text) <= _STACKED * width and display_width(text) <= width
    return text if fits else _cut(text, width, mark)


# Characters in one column: real scripts stack fewer, "Zalgo" text knows no bound.
_STACKED = 5


def _cut(text: str, width: int, mark: str) -> str:
    """The start of the text and the mark, within so many columns."""
    room = width - display_width(mark)
    if room < 0:
        return mark[: max(width, 0)]
    if text.isascii():
        return text[:room] + mark
    used = 0
    start = text[: _STACKED * room]
    for position, columns in enumerate(_widths(start)):
        used += columns
        if used > room:
            return start[:position] + mark
    return start + mark


def _widths(text: str) -> Iterator[int]:
    """Columns of each character: Unicode Standard Annex 11, and 0 for what combines."""
    import unicodedata  # 1 MB of tables, needed only for text that is not ASCII

    for char in text:
        if char in _JOINERS or unicodedata.category(char) in ("Mn", "Me"):
            yield 0
        else:
            yield 2 if unicodedata.east_asian_width(char) in "WF" else 1


# --- figures for people ----------------------------------------------------------------------


def _is_finite(value: float) -> bool:
    """Whether it can be written out: not NaN, no infinity, no int beyond the range of floats."""
    return abs(value) < 1e300


def duration(seconds: float | None) -> str:
    """
    Seconds in the unit that people would use: "450 ms", "0.84 s", "3 min 12 s", "2 h 05 min".

    Below half a second in milliseconds. None, NaN and infinities give "-".
    """
    if seconds is None or not _is_finite(seconds):
        return NOTHING
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.4995:
        return _milliseconds(1000 * seconds)
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24:,} d {hours % 24:02d} h"


def _milliseconds(value: float) -> str:
    if value == 0:
        return "0 s"
    if value < 0.01:
        return "<0.01 ms"
    return f"{value:.2f} ms" if value < 0.995 else f"{_three_digits(value)} ms"


def _three_digits(value: float) -> str:
    """About three significant digits, without exponents: "0.84", "4.2", "123", "12,345"."""
    if value < 0.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def rate(per_second: float | None, unit: str = "") -> str:
    """
    A throughput: "12.3/s"; below one in ten seconds per minute or hour: "3.0/min".

    Args:
        per_second: None, NaN and infinities give "-".
        unit: the plural of what is counted: `rate(4.2, "rows")` is "4.2 rows/s".
    """
    if per_second is None or not _is_finite(per_second):
        return NOTHING
    per, factor = "s", 1
    if 0 < abs(per_second) < 0.1:
        per, factor = ("min", 60) if abs(per_second) >= 0.1 / 60 else ("h", 3600)
    value = per_second * factor
    sign = "-" if value < 0 else ""
    figure = "0" if value == 0 else sign + _three_digits(abs(value))
    return f"{figure} {unit}/{per}" if unit else f"{figure}/{per}"


def count(n: float | None) -> str:
    """A number of things: "12,345"; None, NaN and infinities give "-"."""
    return NOTHING if n is None or not _is_finite(n) else f"{n:,.0f}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """
    A fraction in percent: "84.2%". Only all is "100%" and only nothing "0%": what would round to
    them has a digit behind the point, or is ">99.9%" or "<0.1%". None, NaN and infinities give "-".

    Args:
        digits: behind the point, at least 0.
    """
    if fraction is None or not _is_finite(fraction):
        return NOTHING
    size, sign = abs(fraction), "-" if fraction < 0 else ""
    if size in (0, 1):
        return f"{sign}{100 * size:.0f}%"
    shown = f"{100 * size:,.{digits}f}"
    if size > 1 or float(shown) not in (0, 100):
        return f"{sign}{shown}%"
    if digits < 1:
        return percent(fraction, 1)
    least = 10.0**-digits
    if size < 0.5:
        return f"{'>-' if sign else '<'}{least:.{digits}f}%"
    return f"{'<-' if sign else '>'}{100 - least:.{digits}f}%"


def ago(then: float | None, now: float) -> str:
    """
    How long ago a moment was: "just now", "12 s ago", "5 min ago", "3 h ago", "2 days ago".

    Args:
        then, now: Unix seconds. A moment in the future (two clocks) is "just now".
    """
    if then is None or not _is_finite(then):
        return NOTHING
    amount = now - then
    if amount < 5:
        return "just now"
    for size, unit in ((60, "s"), (60, "min"), (24, "h")):
        if amount < size:
            return f"{int(amount)} {unit} ago"
        amount /= size
    return "1 day ago" if amount < 2 else f"{int(amount):,} days ago"


def when(then: float | None, now: float) -> str:
    """
    A moment as a reader of a list wants it: relative within a day, else local date and time.

    Args:
        then, now: Unix seconds. What the calendar can not express gives "-".
    """
    if then is None or not _is_finite(then):
        return NOTHING
    if -60 < now - then < 86_400:
        return ago(then, now)
    import time  # only here: the rest of this room knows no clock

    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(then))
    except (OverflowError, ValueError, OSError):
        return NOTHING


# --- values ---------------------------------------------------------------------------------


class _Short(Repr):
    """Of many bytes, such as an image, how many there are says more than the first of them."""

    def repr_bytes(self, value: bytes, level: int) -> str:
        return repr(value) if len(value) < 60 else f"<{len(value):,} bytes>"


def shown(value: object, limit: int = 200) -> str:
    """A value as a short and harmless text for a message."""
    short = _Short()
    short.maxstring = short.maxother = limit
    return safe(short.repr(value), limit)


# --- long documents ----------------------------------------------------------------------------

_TOGETHER = 200  # pieces handed on at once
_TOGETHER_TEXT = 2**20  # or as many as have so many characters


def together(pieces: Iterable[str]) -> Iterator[str]:
    """The same text in fewer pieces; of long ones each is handed on as it is."""
    gathered: list[str] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if len(gathered) >= _TOGETHER or size >= _TOGETHER_TEXT:
            yield "".join(gathered)
            gathered, size = [], 0
    if gathered:
        yield "".join(gathered)


# --- code --------------------------------------------------------------------------------------

_PARSED_AGAIN = 20


def syntax_of(source: str, mode: str = "exec") -> Any:
    """
    What `ast.parse` makes of a source. Python before 3.11.8 and 3.12.2 counts how deeply it parses
    once for all threads, and raises SystemError where another one does too; that is tried again.
    """
    import ast  # the parser is large, and few need it

    for _ in range(_PARSED_AGAIN):
        try:
            return ast.parse(source, mode=mode)
        except SystemError:
            continue
    return ast.parse(source, mode=mode)
