"""
A table, and how it looks on a terminal, in Markdown, as CSV and in a notebook.

Knows nothing of evaluations. Everything shown is harmless where it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from json import JSONEncoder
from typing import Any, NamedTuple

from .. import text
from .terminal import Terminal

_LONGEST = 80  # characters of a cell in a notebook
_LONGEST_CODE = 400  # characters of a code span
_GAP = "  "
# Of a cell in a pipe: a longer one sticks out instead of padding every other row to its length
# (a thousand rows beside one answer of 10 MB would be 10 GB of blanks).
_WIDEST_PADDING = 80


class Column(NamedTuple):
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
        foreign: whether its texts come from experiments, so that Markdown shows them as code.
        foreign_name: whether its name does.
    """

    name: str
    align: str | None = None
    least: int | None = None
    drop: int = 0
    style: str = ""
    above: bool = False
    foreign: bool = False
    foreign_name: bool = False


class Cell(NamedTuple):
    """
    A cell that is more than its value.

    Attributes:
        value: what CSV has.
        style: of its own, as in `Terminal.paint`; what is "strong" or "bad" is bold in Markdown.
        shown: how people read the value; None: as any other value.
    """

    value: object
    style: str = ""
    shown: str | None = None


class Table(NamedTuple):
    """
    Columns and rows, to be shown on a terminal, in Markdown, as CSV or in a notebook.

    Attributes:
        columns: a bare text is a column that is never cut.
        rows: of as many values as columns: a `Cell`, or any object. None is shown as "-", an int
            with separators, a float with four digits; figures with units come as texts.
    """

    columns: Sequence[Column | str]
    rows: Iterable[Sequence[object]]

    def lines(self, terminal: Terminal, indent: int = 0) -> list[str]:
        """
        Aligned columns under a header and a rule, within the terminal's width.

        When it is too narrow, the widest of the columns with a `least` are cut first, then columns
        with a `drop` are left out, then cells of a column with `above` leave the line. What is
        still too wide may run over the edge. Without a width nothing is cut.

        Args:
            indent: blanks before each line.

        Returns:
            only the header and its rule where there are no rows.

        Raises:
            ValueError: a row with more or fewer values than there are columns.
        """
        terminal = terminal.narrowed(indent)
        layout = self._layout()
        header = [_shown(Cell(column.name, "strong"), column, terminal) for column in layout]
        body = [_row(row, layout, terminal) for row in self.rows]
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
            said = f"not shown: {', '.join(hidden)}"
            note = text.fit(said, terminal.width or 0, mark=terminal.mark)
            lines.append(terminal.paint(note, "dim"))
        return [f"{' ' * indent}{line}" for line in "\n".join(lines).split("\n")]

    def text(self, terminal: Terminal) -> str:
        """The lines as one text, without a final line end."""
        return "\n".join(self.lines(terminal))

    def markdown(self) -> Iterator[str]:
        """
        The lines of a table of GitHub's Markdown, each with its line end.

        What comes from experiments stands in code, where it can neither format nor mention.
        """
        layout = self._layout()
        yield _markdown(code(each.name) if each.foreign_name else each.name for each in layout)
        yield f"|{'|'.join('--:' if each.align == 'right' else '---' for each in layout)}|\n"
        for row in self.rows:
            yield _markdown(map(_in_markdown, row, layout))

    def csv(self) -> Iterator[str]:
        """
        The lines of a file for spreadsheets (RFC 4180), each with its line end: values, unrounded.

        A column whose cells are pairs, such as intervals, is two.
        """
        rows = [
            [cell.value if isinstance(cell, Cell) else cell for cell in row] for row in self.rows
        ]
        names: list[str] = []
        for at, column in enumerate(self._layout()):
            pairs = any(isinstance(row[at], tuple) for row in rows)
            names += [f"{column.name} {end}" for end in ("low", "high")] if pairs else [column.name]
            for row in rows if pairs else ():
                row[at] = row[at] or (None, None)
        yield _csv(names)
        for row in rows:
            yield _csv(chain.from_iterable(v if isinstance(v, tuple) else [v] for v in row))

    def html(self) -> str:
        """For a notebook: every text is safe, cut and escaped, and nothing in it can run."""
        from html import escape  # only here: what draws no notebook needs no markup

        def row(kind: str, cells: Iterable[object]) -> str:
            shown = (escape(text.safe(_text(each, Terminal()), _LONGEST)) for each in cells)
            return f"<tr>{''.join(f'<{kind}>{each}</{kind}>' for each in shown)}</tr>"

        head = row("th", (column.name for column in self._layout()))
        return f"<table>{head}{''.join(row('td', each) for each in self.rows)}</table>"

    def without(self, *names: str) -> Table:
        """The same without these columns."""
        layout = self._layout()
        kept = [at for at, column in enumerate(layout) if column.name not in names]
        rows = [[row[at] for at in kept] for row in self.rows]
        return Table([layout[at] for at in kept], rows)

    def _layout(self) -> list[Column]:
        return [Column(each) if isinstance(each, str) else each for each in self.columns]


class _Shown(NamedTuple):
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
    style = (value.style if isinstance(value, Cell) else "") or column.style
    bare = value.value if isinstance(value, Cell) and value.shown is None else value
    number: bool | None = isinstance(bare, (int, float)) and not isinstance(bare, bool)
    # What may be cut is cut before anything looks at 10 MB of it.
    plain = _text(value, terminal, None if column.least is None else terminal.width)
    return _Shown(plain, text.display_width(plain), style, None if bare is None else number)


def _text(value: object, terminal: Terminal, limit: int | None = None) -> str:
    """A cell as people read it, safe to show."""
    if isinstance(value, Cell):
        value = value.value if value.shown is None else value.shown
    if value is None:
        return text.NOTHING
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return text.count(value)
    return terminal.shown(value, limit)


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


# --- Markdown ---------------------------------------------------------------------------------


def code(value: object) -> str:
    """
    Any text as a code span of GitHub's Markdown.

    Source: GFM 6.3: the fence is longer than any run of backticks inside.
    """
    shown = text.safe(value, _LONGEST_CODE) or " "
    runs = re.findall("`+", shown)
    fence = "`" * (max(map(len, runs), default=0) + 1)
    pad = " " if runs else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _in_markdown(value: object, column: Column) -> str:
    shown = _text(value, Terminal())
    if not shown or shown == text.NOTHING:
        return shown
    shown = code(shown) if column.foreign else shown.replace("<", "&lt;")
    style = (value.style if isinstance(value, Cell) else "") or column.style
    return f"**{shown}**" if style in ("strong", "bad") and not column.foreign else shown


def _markdown(cells: Iterable[str]) -> str:
    # In a cell even a bar inside code ends it (GFM 4.10).
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


# --- CSV --------------------------------------------------------------------------------------

# What a spreadsheet takes for a formula, also behind blanks and in full width; a tab or a line end
# at the beginning is swallowed by some, which then see what follows.
_FORMULA = r"[\t\n]|\s*[=+@\-\uff0b\uff0d\uff1d\uff20]"
_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\Z"
_encode = JSONEncoder(ensure_ascii=False, default=str).encode


def csv_cell(value: Any) -> str:
    """A value as a spreadsheet may open it (RFC 4180)."""
    if value is None:
        return ""
    if isinstance(value, str):
        shown = value
    elif isinstance(value, (bool, int, float)):
        return "NaN" if value != value else repr(value)
    else:
        shown = _encode(value)
    shown = text.safe(shown, newlines=True)
    if re.match(_FORMULA, shown) and not re.match(_NUMBER, shown):
        shown = f"'{shown}"
    if '"' in shown:
        return '"' + shown.replace('"', '""') + '"'
    return f'"{shown}"' if "," in shown or "\n" in shown else shown


def _csv(values: Iterable[object]) -> str:
    return ",".join(map(csv_cell, values)) + "\n"
