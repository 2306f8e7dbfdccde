"""
Text for a terminal: what the terminal can show, colours, lines that flow, sparklines.

Knows nothing of evaluations. Everything shown passes through `Terminal.shown`, so it is harmless
and the stream's encoding can carry it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TextIO

from .. import text

# --- the terminal ----------------------------------------------------------------------------

# All that doteval draws beside letters. A stream that can not carry every one of them gets ASCII,
# so that a bar and its frame come from one family.
GLYPHS = "─━╸▁▂▃▄▅▆▇█…→–±·×"
_DEFAULT_WIDTH = 80  # of a terminal that does not know, as over some serial lines

# The few colours there are, by what they say (SGR numbers). All are from the 16 that themes adapt
# to dark and light; nothing is told by colour alone.
_STYLES = {"good": "32", "bad": "31", "warn": "33", "accent": "36", "dim": "2", "strong": "1"}


class Terminal(NamedTuple):
    """
    What the place where text is shown can do; made by `terminal`, or by hand.

    Attributes:
        width: columns; None where there is no edge (a pipe, a file), so that nothing is cut.
        color: whether styles are painted.
        unicode: whether `GLYPHS` can be shown; ASCII stands in for them otherwise.
        live: whether a line can be drawn again in place.
        encoding: of the stream; what it lacks is shown as escapes.
    """

    width: int | None = None
    color: bool = False
    unicode: bool = True
    live: bool = False
    encoding: str = "utf-8"

    @property
    def mark(self) -> str:
        """What stands where something was cut."""
        return text.ELLIPSIS if self.unicode else "..."

    def narrowed(self, columns: int) -> Terminal:
        """The same with so many columns taken, for what stands beside something else."""
        return self if self.width is None else self._replace(width=max(self.width - columns, 1))

    def shown(self, value: object, limit: int | None = None) -> str:
        """The value made harmless, cut to so many characters, in what the encoding can carry."""
        if (
            type(value) is str
            and (limit is None or len(value) <= limit)
            and value.isascii()
            and value.isprintable()
            and "#" not in value  # these two may be a command to a build server
            and ":" not in value
        ):
            return value  # nearly always
        return text.encodable(text.safe(value, limit, mark=self.mark), self.encoding)

    def paint(self, shown: str, style: str) -> str:
        """
        A safe text in a style, where the terminal has colours.

        Args:
            style: good, bad, warn, accent, dim or strong; "" paints nothing.
        """
        if not (self.color and style and shown):
            return shown
        return f"\x1b[{_STYLES[style]}m{shown}\x1b[0m"


def terminal(stream: TextIO, environ: Mapping[str, str], color: str = "auto") -> Terminal:
    """
    Describe where a stream leads. Ask again after the window may have been resized.

    Args:
        stream: closed and half-made streams count as pipes.
        environ: NO_COLOR (not empty) and TERM=dumb turn colours off; COLUMNS can make the lines
            shorter than the window is wide, never longer.
        color: "always" and "never" overrule the environment, NO_COLOR included.

    Raises:
        ValueError: color is none of the three.
    """
    if color not in ("auto", "always", "never"):
        raise ValueError(f"color={color!r}: expected 'auto', 'always' or 'never'")
    encoding = _known(getattr(stream, "encoding", None))
    live = is_terminal(stream) and _understands_escapes(environ)
    wanted = live and not environ.get("NO_COLOR")
    return Terminal(
        width=_width(stream, environ) if is_terminal(stream) else None,
        color=wanted if color == "auto" else color == "always",
        unicode=text.encodable(GLYPHS, encoding) == GLYPHS,
        live=live,
        encoding=encoding,
    )


def printed(value: object, room: str, lines: str) -> str:
    """
    What the command line prints of a value, without colours.

    The room that draws it stands below the value's own; it is found by its name when somebody asks,
    as the package's face finds what is asked of it.

    Args:
        room: its name in the package. lines: of its function, which takes value and terminal.
    """
    import sys
    from importlib import import_module

    drawing = import_module(f"{__package__.rpartition('.')[0]}.{room}")
    return "\n".join(getattr(drawing, lines)(value, terminal(sys.stdout, os.environ, "never")))


def preformatted(value: object) -> str:
    """What a notebook shows of a value that prints itself: the same, in columns."""
    from html import escape  # only here: what draws no notebook needs no markup

    return f"<pre>{escape(str(value))}</pre>"


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody may be looking; False for streams that are closed or not there."""
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # no stream at all (pythonw), or a closed one
        return False


def _understands_escapes(environ: Mapping[str, str], windows: bool = os.name == "nt") -> bool:
    """Windows' old console shows escape codes as they are; the newer ones leave a sign."""
    if windows and not any(sign in environ for sign in ("WT_SESSION", "ANSICON", "TERM")):
        return environ.get("ConEmuANSI") == "ON"
    return environ.get("TERM") != "dumb"


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):  # a stand-in without a descriptor
        width = 0
    said = environ.get("COLUMNS", "")
    asked = int(said) if said.isascii() and said.isdecimal() and len(said) < 6 else 0
    return min(filter(None, (width, asked)), default=_DEFAULT_WIDTH)


def _known(encoding: object) -> str:
    """The stream's encoding; UTF-8 where it has none (it takes str), ASCII where it is unknown."""
    if not isinstance(encoding, str):
        return "utf-8"
    try:
        "".encode(encoding)
    except LookupError:
        return "ascii"
    return encoding


# --- lines that flow ------------------------------------------------------------------------


class Piece(NamedTuple):
    """
    A fact, and its style as in `Terminal.paint`. It is broken, between words, only where a line
    has not the room for it.
    """

    text: str
    style: str = ""


def flow(
    pieces: Sequence[Piece],
    terminal: Terminal,
    first: str = "",
    indent: int = 2,
    between: str | None = None,
) -> list[str]:
    """
    Pieces side by side, going on below where the terminal ends.

    Args:
        first: what stands before the first piece; as wide as `indent`, or empty.
        indent: columns before the pieces of the following lines.
        between: what parts two pieces; None: a dot.
    """
    if between is None:
        between = f" {terminal.paint('·', 'dim')} " if terminal.unicode else " | "
    if terminal.width is None:  # a pipe may take a million records, and no line ends early
        return [first + between.join([terminal.paint(*piece) for piece in pieces])]
    gap = 1 if between == " " else 3
    lines, line, used = [], first, indent if first else 0
    empty = True
    for piece in _broken(pieces, terminal.width - indent):
        width = text.display_width(piece.text)
        if not empty and used + gap + width > terminal.width:
            lines.append(line)
            line, used, empty = " " * indent, indent, True
        if not empty:
            line += between
            used += gap
        line += terminal.paint(piece.text, piece.style)
        used += width
        empty = False
    return [*lines, line]


def words(sentence: str, terminal: Terminal, style: str = "") -> list[Piece]:
    """A sentence made safe, to flow with a blank between its words; [] for an empty one."""
    return [Piece(word, style) for word in terminal.shown(sentence).split(" ")] if sentence else []


def sentence_lines(
    sentence: str, terminal: Terminal, style: str = "", first: str = "", indent: int = 2
) -> list[str]:
    """A sentence over as many lines as it takes; `first` and `indent` as of `flow`."""
    return flow(words(sentence, terminal, style), terminal, first, indent, " ")


LABEL = 10  # columns of "strategy" and what parts it from its value


def labelled(
    label: str,
    facts: Iterable[Sequence[Piece]],
    terminal: Terminal,
    between: str | None = None,
    style: str = "dim",
    column: int = LABEL,
) -> list[str]:
    """
    Facts beside their label, each on lines of its own; nothing where there are none.

    Args:
        between: as of `flow`.
        style: of the label, which takes so many columns as `column` says.
    """
    lines: list[str] = []
    for pieces in filter(None, facts):
        first = f"  {terminal.paint(label, style)}{' ' * (column - len(label))}"
        lines += flow(pieces, terminal, first, 2 + column, between)
        label = ""
    return lines


_GAP = r" (?!(?:(?<=\d )(?:ms|s|min|h|d|kB|MB|GB|bytes|pp)\b))"


def _broken(pieces: Iterable[Piece], room: int) -> Iterator[Piece]:
    """
    The pieces, those in several that are too wide for a line of so many columns.

    A word stays whole, a number stays with its unit, and so does what is painted: that was fitted
    before.
    """
    for piece in pieces:
        if text.display_width(piece.text) <= room or "\x1b" in piece.text:
            yield piece
            continue
        line = ""
        for word in re.split(_GAP, piece.text):
            longer = f"{line} {word}" if line else word
            if line and text.display_width(longer) > room:
                yield piece._replace(text=line)
                longer = word
            line = longer
        yield piece._replace(text=line)


# --- sparklines ------------------------------------------------------------------------------

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.-:=+*#"


def sparkline(values: Sequence[float | None], width: int, unicode: bool = True) -> str:
    """
    A curve in one line of text, such as a limit or a throughput over time.

    The scale begins at 0, so that heights can be compared, unless there are negative values.

    Args:
        values: evenly spaced in time. None, NaN and infinities leave a gap.
        width: columns at most; more values than that are averaged in groups. At least 1.
        unicode: draw with blocks; otherwise with ASCII that is not beautiful but grows.
    """
    points = [_mean(group) for group in _groups(values, width)]
    there = [point for point in points if point is not None]
    low, high = min(there, default=0.0), max(there, default=0.0)
    low = min(low, 0.0)
    bars = _BARS if unicode else _ASCII_BARS
    step = (high - low) / (len(bars) - 1) or 1.0
    return "".join(
        " " if point is None else bars[min(round((point - low) / step), len(bars) - 1)]
        for point in points
    )


def _groups(values: Sequence[float | None], width: int) -> Iterator[Sequence[float | None]]:
    columns = min(len(values), width)
    for column in range(columns):
        yield values[column * len(values) // columns : (column + 1) * len(values) // columns]


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None and abs(value) < 1e300]
    return sum(there) / len(there) if there else None
