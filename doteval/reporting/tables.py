"""
Text for a terminal: what the terminal can show, colours, tables, sparklines.

Knows nothing of evaluations. Everything shown passes through `Terminal.shown`, so it is harmless
and the stream's encoding can carry it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from .. import text

# --- the terminal ----------------------------------------------------------------------------

# All that doteval draws beside letters. A stream that can not carry every one of them gets ASCII,
# so that a bar and its frame come from one family.
GLYPHS = "─━╸▁▂▃▄▅▆▇█…→–±·×"
_DEFAULT_WIDTH = 80  # of a terminal that does not know, as over some serial lines

# The few colours there are, by what they say (SGR numbers). All are from the 16 that themes adapt
# to dark and light; nothing is told by colour alone.
_STYLES = {"good": "32", "bad": "31", "warn": "33", "accent": "36", "dim": "2", "strong": "1"}


@dataclass(frozen=True, slots=True)
class Terminal:
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

    def shown(self, value: object, limit: int | None = None) -> str:
        """The value made harmless, cut to so many characters, in what the encoding can carry."""
        if (
            type(value) is str
            and (limit is None or len(value) <= limit)
            and value.isascii()
            and value.isprintable()
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


# --- tables ----------------------------------------------------------------------------------

_GAP = "  "
# Of a cell in a pipe: a longer one sticks out instead of padding every other row to its length
# (a thousand rows beside one answer of 10 MB would be 10 GB of blanks).
_WIDEST_PADDING = 80


@dataclass(frozen=True, slots=True)
class Column:
    """
    How one column of a table behaves.

    Attributes:
        name: its header.
        align: "left" or "right"; None puts columns of nothing but numbers right, others left.
        least: columns down to which its cells may be cut when the terminal is too narrow;
            None: they are never cut.
        drop: columns with a higher number are left out first when cutting is not enough, and
            named below the table; those with 0 never are.
        style: of its cells, as in `Terminal.paint`.
        above: whether a cell that is too long stands on a line of its own, above the others of its
            row; of a first column without `least` and `drop`.
    """

    name: str
    align: str | None = None
    least: int | None = None
    drop: int = 0
    style: str = ""
    above: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell with a style of its own, as in `Terminal.paint`."""

    value: object
    style: str = ""


def table(
    columns: Sequence[Column | str], rows: Iterable[Sequence[object]], terminal: Terminal
) -> str:
    """
    Aligned columns under a header and a rule, within the terminal's width.

    When it is too narrow, the widest of the columns with a `least` are cut first, then columns
    with a `drop` are left out, then cells of a column with `above` leave the line. What is still
    too wide may run over the edge. Without a width nothing is cut.

    Args:
        columns: a bare text is a column that is never cut.
        rows: of as many values as columns: a `Cell`, or any object. None is shown as "-", an int
            with separators, a float with four digits; figures with units come as texts.

    Returns:
        Lines without a final line end; only the header where there are no rows.

    Raises:
        ValueError: a row with more or fewer values than there are columns.
    """
    layout = [Column(column) if isinstance(column, str) else column for column in columns]
    header = [_shown(Cell(column.name, "strong"), column, terminal) for column in layout]
    body = [_row(row, layout, terminal) for row in rows]
    natural = [max(cell.width for cell in cells) for cells in zip(header, *body, strict=True)]
    right = [_is_right(column, [row[i] for row in body]) for i, column in enumerate(layout)]
    widths = _fitted(layout, natural, terminal.width)
    above = layout[0].above and terminal.width is not None

    def line(cells: Sequence[_Shown]) -> str:
        name = ""
        if above and cells[0].width > widths[0]:
            name = f"{terminal.paint(cells[0].text, cells[0].style)}\n"
            cells = [_Shown("", 0, "", None), *cells[1:]]
        places = [
            _placed(cell, widths[index], right[index], terminal)
            for index, cell in enumerate(cells)
            if index in widths
        ]
        return name + _GAP.join(places).rstrip()

    rule = "─" if terminal.unicode else "-"
    lines = [line(header), _GAP.join(terminal.paint(rule * n, "dim") for n in widths.values())]
    lines += map(line, body)
    hidden = [cell.text for index, cell in enumerate(header) if index not in widths]
    if hidden:
        note = text.fit(f"not shown: {', '.join(hidden)}", terminal.width or 0, mark=terminal.mark)
        lines.append(terminal.paint(note, "dim"))
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A cell as it will be printed."""

    text: str
    width: int
    style: str
    number: bool | None  # None where there is no value


def _row(values: Sequence[object], layout: list[Column], terminal: Terminal) -> list[_Shown]:
    if len(values) != len(layout):
        raise ValueError(f"a row of {len(values)} values in a table of {len(layout)} columns")
    return [_shown(value, column, terminal) for value, column in zip(values, layout, strict=True)]


def _shown(value: object, column: Column, terminal: Terminal) -> _Shown:
    style = column.style
    if isinstance(value, Cell):
        style, value = value.style or style, value.value
    number: bool | None = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None:
        plain, number = text.NOTHING, None
    elif isinstance(value, float):
        plain = f"{value:.4g}"
    elif isinstance(value, int) and number:
        plain = text.count(value)
    else:  # what may be cut is cut before anything looks at 10 MB of it
        plain = terminal.shown(value, None if column.least is None else terminal.width)
    return _Shown(plain, text.display_width(plain), style, number)


def _is_right(column: Column, cells: Sequence[_Shown]) -> bool:
    if column.align is not None:
        return column.align == "right"
    kinds = {cell.number for cell in cells} - {None}
    return kinds == {True}


def _fitted(layout: list[Column], natural: list[int], edge: int | None) -> dict[int, int]:
    """The widths of the columns that are shown, by their index."""
    if edge is None:
        return {index: min(width, _WIDEST_PADDING) for index, width in enumerate(natural)}
    shown = dict(enumerate(natural))
    while True:
        widths = _narrowed(layout, shown, edge)
        spare = [index for index in shown if layout[index].drop]
        if not spare or _taken(widths) <= edge:
            if layout[0].above:
                widths[0] = max(widths[0] - max(_taken(widths) - edge, 0), 0)
            return widths
        del shown[max(spare, key=lambda index: (layout[index].drop, index))]


def _narrowed(layout: list[Column], widths: dict[int, int], edge: int) -> dict[int, int]:
    """The widest column that may be cut gives way, again and again, until all fit or none may."""
    widths = dict(widths)
    for _ in range(_taken(widths) - edge):
        least = {index: layout[index].least for index in widths}
        able = [i for i, width in widths.items() if (end := least[i]) is not None and width > end]
        if not able:
            break
        widths[max(able, key=widths.__getitem__)] -= 1
    return widths


def _taken(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)


def _placed(cell: _Shown, width: int, right: bool, terminal: Terminal) -> str:
    """A cell cut, painted and padded to its column; in a pipe a longer one sticks out."""
    shown, taken = cell.text, cell.width
    if taken > width and terminal.width is not None:
        shown = text.fit(shown, width, mark=terminal.mark)
        taken = text.display_width(shown)
    padding = " " * (width - taken)
    painted = terminal.paint(shown, cell.style)
    return padding + painted if right else painted + padding


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
