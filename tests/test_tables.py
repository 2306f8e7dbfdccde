"""What a terminal can show, tables within its width, and curves of one line."""

from __future__ import annotations

import io
import os
import struct

import pytest

from doteval.text import display_width
from doteval.views import terminal as terminals
from doteval.views.table import Cell, Column, Table
from doteval.views.terminal import Terminal, sparkline, terminal


def shown_as(columns, rows, terminal: Terminal) -> str:
    """A table as a terminal shows it."""
    return Table(columns, rows).text(terminal)


class Screen(io.StringIO):
    """A stream that says it is a terminal, with an encoding of choice."""

    def __init__(self, encoding: str | None = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding

    def isatty(self) -> bool:
        return True


@pytest.fixture
def window():
    """A real terminal of 100 columns."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with open(slave, "w", encoding="utf-8") as stream:
        yield stream
    os.close(master)


class TestTerminal:
    @pytest.mark.parametrize("name", ["##vso[task.complete]", "::error::x"])
    def test_a_short_name_is_no_command_to_a_build_server(self, monkeypatch, name):
        """Nearly all texts are shown as they are, but not these where a log is read."""
        assert Terminal().shown(name) == name
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        assert name not in Terminal().shown(name)

    def test_a_pipe_has_no_edge_and_no_colour(self):
        """What is not a terminal gets everything, plain."""
        described = terminal(io.StringIO(), {"COLUMNS": "40"})

        assert described == Terminal(width=None, color=False, unicode=True, live=False)

    def test_a_window_says_its_width(self, window):
        """The width is that of the window, in columns."""
        described = terminal(window, {})

        assert described == Terminal(width=100, color=True, unicode=True, live=True)

    @pytest.mark.parametrize(("said", "width"), [("60", 60), ("200", 100), ("x", 100), ("0", 100)])
    def test_columns_can_only_narrow_a_window(self, window, said, width):
        """A COLUMNS that is left over from a wider window makes no line wrap."""
        assert terminal(window, {"COLUMNS": said}).width == width

    @pytest.mark.parametrize(("said", "width"), [("", 80), ("132", 132)])
    def test_a_terminal_that_knows_no_width_has_80_columns(self, said, width):
        """Unless the environment knows better."""
        assert terminal(Screen(), {"COLUMNS": said}).width == width

    @pytest.mark.parametrize(
        ("environ", "color", "painted"),
        [
            ({}, "auto", True),
            ({"NO_COLOR": "1"}, "auto", False),
            ({"NO_COLOR": ""}, "auto", True),
            ({"TERM": "dumb"}, "auto", False),
            ({}, "never", False),
            ({"NO_COLOR": "1"}, "always", True),
        ],
    )
    def test_colours_obey_the_option_then_the_environment(self, environ, color, painted):
        """NO_COLOR counts where it is not empty, and an explicit option overrules it."""
        assert terminal(Screen(), environ, color).color is painted

    def test_a_dumb_terminal_draws_no_line_again(self):
        """It would show the escape codes."""
        assert not terminal(Screen(), {"TERM": "dumb"}, "always").live

    def test_colours_reach_a_pipe_where_asked_for(self):
        """`--color always` is for pagers."""
        described = terminal(io.StringIO(), {}, "always")

        assert described.color
        assert not described.live

    def test_an_unknown_choice_of_colour_is_refused(self):
        """The message names the three."""
        with pytest.raises(ValueError, match="'auto', 'always' or 'never'"):
            terminal(Screen(), {}, "sometimes")

    @pytest.mark.parametrize(
        ("encoding", "unicode", "known"),
        [
            ("utf-8", True, "utf-8"),
            ("ascii", False, "ascii"),
            ("cp1252", False, "cp1252"),
            ("cp437", False, "cp437"),
            ("no-such-encoding", False, "ascii"),
            (None, True, "utf-8"),
        ],
    )
    def test_ascii_stands_in_where_the_encoding_needs_it(self, encoding, unicode, known):
        """All glyphs or none: a frame half in ASCII looks broken."""
        described = terminal(Screen(encoding), {})

        assert (described.unicode, described.encoding) == (unicode, known)

    @pytest.mark.parametrize(
        ("environ", "windows", "understood"),
        [
            ({}, False, True),
            ({"TERM": "dumb"}, False, False),
            ({}, True, False),
            ({"WT_SESSION": "1"}, True, True),
            ({"ConEmuANSI": "ON"}, True, True),
            ({"TERM": "xterm"}, True, True),
        ],
    )
    def test_the_old_console_of_windows_gets_no_escape_codes(self, environ, windows, understood):
        """Newer ones leave a sign in the environment."""
        assert terminals._understands_escapes(environ, windows) is understood

    def test_a_stream_that_is_gone_is_a_pipe(self):
        """A closed stream, or none as under pythonw, breaks nothing."""
        closed = io.StringIO()
        closed.close()

        assert terminal(closed, {}).width is None
        assert terminal(None, {}).width is None

    def test_only_what_the_encoding_carries_is_shown(self):
        """Whatever the text, writing it can not fail."""
        described = Terminal(unicode=False, encoding="latin-1")

        assert described.shown("né 日 \x1b", 6) == "né \\u65e5 \\x1b"
        assert described.shown("abcdef", 3) == "abc..."

    def test_styles_are_painted_where_there_are_colours(self):
        """Without colours, without a style and without a text nothing is added."""
        colourful = Terminal(color=True)

        assert colourful.paint("text", "bad") == "\x1b[31mtext\x1b[0m"
        assert colourful.paint("text", "") == "text"
        assert colourful.paint("", "bad") == ""
        assert Terminal().paint("text", "bad") == "text"


EXPERIMENTS = (
    Column("experiment", above=True),
    Column("score", least=5),
    Column("when", drop=1),
    Column("rows", drop=2),
)
ROWS = [("baseline", "0.84 of all", "5 min ago", 12_345), ("b", "0.9", "today", 8)]


class TestTable:
    def test_columns_are_aligned(self):
        """Texts stand left, numbers right, and nothing trails."""
        shown = shown_as(EXPERIMENTS, ROWS, Terminal())

        assert shown.splitlines() == [
            "experiment  score        when         rows",
            "──────────  ───────────  ─────────  ──────",
            "baseline    0.84 of all  5 min ago  12,345",
            "b           0.9          today           8",
        ]

    def test_lines_do_not_end_in_blanks(self):
        """A left-aligned last column is not padded."""
        shown = shown_as(["a", "b"], [("x", "long"), ("y", "s")], Terminal())

        assert all(line == line.rstrip() for line in shown.splitlines())

    def test_ascii_stands_in(self):
        """The rule and the cut are ASCII where the stream needs it."""
        shown = shown_as(
            [Column("name", least=4)], [("abcdefgh",)], Terminal(width=6, unicode=False)
        )

        assert shown.splitlines() == ["name", "------", "abc..."]

    def test_what_may_be_cut_gives_way_first(self):
        """The widest column with a least width is cut, and no line is wider than the terminal."""
        shown = shown_as(EXPERIMENTS, ROWS, Terminal(width=37))

        assert shown.splitlines() == [
            "experiment  score   when         rows",
            "──────────  ──────  ─────────  ──────",
            "baseline    0.84 …  5 min ago  12,345",
            "b           0.9     today           8",
        ]

    def test_then_columns_are_left_out_and_named(self):
        """The highest number goes first, and the reader learns what is missing."""
        shown = shown_as(EXPERIMENTS, ROWS, Terminal(width=30))

        assert shown.splitlines() == [
            "experiment  score    when",
            "──────────  ───────  ─────────",
            "baseline    0.84 o…  5 min ago",
            "b           0.9      today",
            "not shown: rows",
        ]

    def test_what_is_never_cut_stays_whole(self):
        """The name of an experiment that is too long stands above the other cells of its row."""
        rows = [("x" * 29, "0.84", "now", 1), ("y", "0.9", "now", 2)]

        shown = shown_as(EXPERIMENTS, rows, Terminal(width=30))

        assert shown.splitlines() == [
            "experiment               score",
            "───────────────────────  ─────",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "                         0.84",
            "y                        0.9",
            "not shown: when, rows",
        ]

    @pytest.mark.parametrize("width", [7, 12, 20, 30, 60])
    def test_a_long_name_makes_no_other_line_wrap(self, width):
        """Only a name that is itself wider than the terminal runs over its edge."""
        rows = [("x" * 50, "0.84", "now", 1), ("y", "0.9", "now", 2)]

        shown = shown_as(EXPERIMENTS, rows, Terminal(width=width)).splitlines()

        assert {line for line in shown if len(line) > width} <= {"x" * 50, "experiment"}
        assert any(line.startswith("x" * 50) for line in shown)

    def test_of_two_columns_that_may_be_cut_the_wider_gives_way(self):
        """A short column is not cut for the sake of a long one."""
        columns = [Column("a", least=3), Column("b", least=3)]

        shown = shown_as(columns, [("short", "x" * 40)], Terminal(width=20))

        assert shown.splitlines()[2] == "short  xxxxxxxxxxxx…"

    def test_a_pipe_is_not_truncated(self):
        """Without a width everything is printed."""
        shown = shown_as(EXPERIMENTS, [("x" * 500, "y" * 500, "now", 1)], Terminal())

        assert "x" * 500 in shown
        assert "y" * 500 in shown

    def test_one_huge_cell_does_not_pad_all_others(self):
        """A thousand rows beside an answer of 10 MB would be 10 GB of blanks."""
        rows = [("x" * 1_000_000, 1)] + [("y", 2)] * 100

        assert len(shown_as(["answer", "n"], rows, Terminal())) < 1_100_000

    @pytest.mark.parametrize("width", [None, 40])
    def test_cells_are_harmless(self, width):
        """No cell and no header reaches the terminal with its escape codes or line ends."""
        evil = "\x1b[2J\nrm -rf\u202e"

        shown = shown_as([Column(evil, least=5), "b"], [(evil, evil)], Terminal(width=width))

        assert len(shown.splitlines()) == 3
        assert "\x1b" not in shown
        assert "\u202e" not in shown

    def test_wide_characters_are_counted_in_columns(self):
        """East Asian text stays aligned, cut or not."""
        shown = shown_as(
            [Column("a", least=4), "b"], [("日本語日本語", 1), ("abc", 2)], Terminal(width=9)
        )

        assert {display_width(line) for line in shown.splitlines()} == {9}

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (None, "-"),
            (True, "True"),
            (12_345, "12,345"),
            (0.123_456, "0.1235"),
            (float("nan"), "nan"),
            pytest.param(10**5000, "-", id="beyond what a float holds"),
            ("1\t2", "1\\t2"),
        ],
    )
    def test_values_are_shown_for_people(self, value, shown):
        """Numbers get separators and four digits, what is missing a dash."""
        assert shown_as(["a"], [(value,)], Terminal()).splitlines()[2].strip() == shown

    def test_a_column_with_a_text_is_no_column_of_numbers(self):
        """A missing value does not make it one either; alignment can be given."""
        mixed = shown_as(
            ["a", "b"], [(1, "x"), ("none", "y"), (None, "z")], Terminal()
        ).splitlines()
        given = shown_as([Column("aaa", "right"), "b"], [("1 s", 1)], Terminal()).splitlines()
        left = shown_as([Column("aaa", "left"), "b"], [(1, 1)], Terminal()).splitlines()

        assert mixed[2] == "1     x"
        assert given[2] == "1 s  1"
        assert left[2] == "1    1"

    def test_styles_do_not_disturb_the_alignment(self):
        """A cell has its own style, else that of its column; the padding is not painted."""
        columns = [Column("status", style="good"), "b"]

        shown = shown_as(columns, [(Cell("failed", "bad"), 1), ("ok", 2)], Terminal(color=True))

        lines = shown.splitlines()
        assert lines[0] == "\x1b[1mstatus\x1b[0m  \x1b[1mb\x1b[0m"
        assert lines[2] == "\x1b[31mfailed\x1b[0m  1"
        assert lines[3] == "\x1b[32mok\x1b[0m      2"

    def test_a_table_without_rows_is_its_header(self):
        """Nothing to show is no error."""
        assert shown_as(["a", Column("bcd")], [], Terminal()) == "a  bcd\n─  ───"

    def test_a_row_of_the_wrong_length_is_refused(self):
        """Values never shift silently."""
        with pytest.raises(ValueError, match="a row of 3 values in a table of 2 columns"):
            shown_as(["a", "b"], [(1, 2, 3)], Terminal())


class TestSparkline:
    def test_the_scale_begins_at_nothing(self):
        """Twice the value is twice the height."""
        assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20) == "▁▂▃▄▅▆▇█"
        assert sparkline([4, 4, 8], 20) == "▅▅█"

    def test_ascii_grows_as_well(self):
        """Where blocks can not be shown."""
        assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20, unicode=False) == "_.-:=+*#"

    def test_more_values_than_columns_are_averaged(self):
        """The whole course fits, and no value is left out."""
        assert sparkline([0, 0, 8, 8, 4, 4], 3) == "▁█▅"
        assert len(sparkline(list(range(1001)), 40)) == 40

    def test_what_is_unknown_is_a_gap(self):
        """None, NaN and infinities have no height."""
        assert sparkline([1, None, float("nan"), float("inf"), 1], 5) == "█   █"

    def test_negative_values_lower_the_scale(self):
        """The lowest value stands at the bottom."""
        assert sparkline([-7, 0], 5) == "▁█"

    @pytest.mark.parametrize(("values", "shown"), [([], ""), ([None], " "), ([0, 0], "▁▁")])
    def test_nothing_is_drawn_of_nothing(self, values, shown):
        """Empty and flat series are no errors."""
        assert sparkline(values, 5) == shown


FIGURES = Table(
    [
        Column("name|x", foreign=True, foreign_name=True),
        Column("value", "right", style="strong"),
        Column("95% CI", "right"),
        Column("took"),
    ],
    [
        ["a|b `c`", Cell(1 / 3, shown="33%"), Cell((0.2, 0.5), "", "20–50%"), Cell("1 h", "bad")],
        ["=1+1", None, None, "<1 s"],
    ],
)  # fmt: skip


class TestOtherForms:
    def test_markdown_shows_what_is_foreign_as_code(self):
        """Nothing of an experiment formats the page or ends its cell; what matters is bold."""
        assert list(FIGURES.markdown()) == [
            "| `name\\|x` | value | 95% CI | took |\n",
            "|---|--:|--:|---|\n",
            "| `` a\\|b `c` `` | **33%** | 20–50% | **1 h** |\n",
            "| `=1+1` | - | - | &lt;1 s |\n",
        ]

    def test_csv_has_values_that_are_not_rounded(self):
        """An interval is two columns, and what a spreadsheet takes for a formula is text."""
        assert "".join(FIGURES.csv()) == (
            "name|x,value,95% CI low,95% CI high,took\n"
            "a|b `c`,0.3333333333333333,0.2,0.5,1 h\n"
            "'=1+1,,,,<1 s\n"
        )

    def test_a_notebook_gets_cells_that_can_do_nothing(self):
        """Texts are escaped and cut."""
        shown = Table(["<b>"], [["<img src=x>" + "y" * 100], [3]]).html()

        assert shown.startswith("<table><tr><th>&lt;b&gt;</th></tr><tr><td>&lt;img src=x&gt;y")
        assert shown.endswith("</td></tr><tr><td>3</td></tr></table>")
        assert len(shown) < 200

    def test_columns_can_be_left_out(self):
        """A table that says one thing in each row may say it above."""
        assert (
            Table(["a", "b", "c"], [[1, 2, 3]]).without("b").text(Terminal()) == "a  c\n─  ─\n1  3"
        )
