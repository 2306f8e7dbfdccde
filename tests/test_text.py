"""Hostile text is harmless, secrets go, figures read well."""

from __future__ import annotations

import ast
import json
import time
from pathlib import Path

import pytest

from doteval import text


class Mute:
    """An object that can not say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Liar(str):
    """A str whose methods lie."""

    def isascii(self) -> bool:
        return True

    def isprintable(self) -> bool:
        return True

    def __str__(self) -> str:
        return self


class TestSafe:
    def test_plain_text_stays_the_very_same_object(self):
        """Nothing is copied where there is nothing to escape."""
        plain = "The answer is 42."

        assert text.safe(plain) is plain

    @pytest.mark.parametrize(
        ("hostile", "shown"),
        [
            ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("a\x00b\x7fc\x9bd", "a\\x00b\\x7fc\\x9bd"),
            ("a\r\n\tb", "a\\r\\n\\tb"),
            ("user\u202egnp.exe\u2066x\u200f\u061c", "user\\u202egnp.exe\\u2066x\\u200f\\u061c"),
            ("zero\u200bwidth\ufeff\u2060\u00ad", "zero\\u200bwidth\\ufeff\\u2060\\xad"),
            ("line\u2028paragraph\u2029", "line\\u2028paragraph\\u2029"),
            ("half \ud83d", "half \\ud83d"),
            ("tag \U000e0041", "tag \\U000e0041"),
            ("filler \u3164", "filler \\u3164"),
        ],
    )
    def test_what_could_harm_becomes_visible(self, hostile, shown):
        """Controls, direction overrides, invisible characters and surrogates are escaped."""
        assert text.safe(hostile) == shown

    @pytest.mark.parametrize(
        "spelled",
        [
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: I want
            "PDF\u200c\u0647\u0627",  # Persian: PDFs
            "\u0915\u094d\u200d\u0937",  # Hindi: a half letter
            "\u0d05\u0d35\u0d28\u0d4d\u200d.",  # Malayalam: a chillu, at the end of a word
            "\u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala: Sri
            "\U0001f469\u200d\U0001f4bb",  # a woman at her computer
            "\U0001f469\U0001f3fd\u200d\u2764\ufe0f\u200d\U0001f468",  # a couple
            "\U0001f642\u200d\u2194\ufe0f",  # somebody shakes his head
        ],
    )
    def test_joiners_stay_where_they_join(self, spelled):
        """Scripts and emoji that are made with them are spelled right, and take no column more."""
        assert text.safe(spelled) == spelled
        assert text.safe(spelled, newlines=True) == spelled
        assert text.display_width(spelled) == text.display_width(
            spelled.replace("\u200c", "").replace("\u200d", "")
        )

    @pytest.mark.parametrize(
        ("hidden", "shown"),
        [
            ("\u200dx", "\\u200dx"),
            ("pass\u200cword", "pass\\u200cword"),
            ("caf\u00e9\u200ds", "caf\u00e9\\u200ds"),
            ("\u0645 \u200d\u0645", "\u0645 \\u200d\u0645"),
            ("\u0645\u200c", "\u0645\\u200c"),
            ("\u0645\u200c\u200c\u0645", "\u0645\\u200c\\u200c\u0645"),
            ("+\u200d\U0001f4bb", "+\\u200d\U0001f4bb"),
            ("\u0645\u200c\n\u0645", "\u0645\\u200c\\n\u0645"),
        ],
    )
    def test_joiners_hide_nowhere_else(self, hidden, shown):
        """At an edge, between Latin letters, beside blanks and beside each other they are seen."""
        assert text.safe(hidden) == shown
        assert text.safe(shown) == shown

    def test_it_can_be_applied_twice(self):
        """An escaped text holds nothing left to escape."""
        once = text.safe("\x1b[2J \u202e é \ud800")

        assert text.safe(once) == once

    def test_languages_and_emoji_stay(self):
        """What people write is not escaped."""
        written = "naïve Ελλάδα 日本語 עברית العربية हिन्दी 🎉 ❤️"

        assert text.safe(written) == written

    def test_every_character_can_be_shown(self):
        """Whatever the character, the outcome can be encoded and holds no control."""
        everything = "".join(map(chr, range(0x110000)))

        shown = text.safe(everything)
        shown.encode()
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)

    def test_lines_stay_where_they_are_asked_for(self):
        """A block keeps line ends and tabs, and carriage returns only as part of a line end."""
        shown = text.safe("a\tb\r\nc\rd\x1b", newlines=True)

        assert shown == "a\tb\nc\\rd\\x1b"

    @pytest.mark.parametrize(
        ("given", "limit", "shown"),
        [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcde…"),
            ("\x1b\x1b\x1b", 2, "\\x1b\\x1b…"),
            ("", 0, ""),
            ("a", 0, "…"),
        ],
    )
    def test_a_cut_is_marked(self, given, limit, shown):
        """The limit counts characters of the text itself; the mark says that there was more."""
        assert text.safe(given, limit) == shown

    def test_the_mark_can_be_ascii(self):
        """A stream that can not carry the ellipsis gets dots."""
        assert text.safe("abcdef", 3, mark="...") == "abc..."

    def test_ten_megabytes_cost_no_more_than_what_is_shown(self):
        """The text is cut before it is escaped; escaping first took two seconds."""
        huge = "\x1b[31m" * 2_000_000
        start = time.perf_counter()

        for _ in range(100):
            text.safe(huge, 100)
            text.one_line(huge, 80)

        assert time.perf_counter() - start < 1

    @pytest.mark.parametrize(
        ("value", "shown"), [(None, "None"), (1.5, "1.5"), (Mute(), "<Mute: str() failed>")]
    )
    def test_any_object_can_be_shown(self, value, shown):
        """Showing an object does not fail because the object does."""
        assert text.safe(value) == shown

    def test_a_hostile_class_name_is_escaped_too(self):
        """The name of a class is data as well."""
        hostile = type("\x1b[2J", (Mute,), {})()

        assert text.safe(hostile) == "<\\x1b[2J: str() failed>"

    def test_a_str_that_lies_about_itself_is_escaped(self):
        """A subclass of str can not talk its way past the escaping."""
        assert text.safe(Liar("\x1b[2J")) == "\\x1b[2J"


class TestBuildServers:
    """Where one reads what is printed, data can not give it commands."""

    @pytest.mark.parametrize("server", ["GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION"])
    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ("here\n  ::set-output name=a::b", "here\n  \\x3a:set-output name=a::b"),
            ("::stop-commands::x", "\\x3a:stop-commands::x"),
            ("wrapped::add-mask::a", "wrapped\\x3a:add-mask::a"),
            ("so ##[error] it goes", "so \\x23#[error] it goes"),
            ("##vso[task.setvariable variable=x]1", "\\x23#vso[task.setvariable variable=x]1"),
            ("###teamcity[buildStop]", "#\\x23#teamcity[buildStop]"),
        ],
    )
    def test_commands_are_broken(self, monkeypatch, server, given, shown):
        """Whichever server it is, and once is enough."""
        assert shown != text.safe(given, newlines=True)

        monkeypatch.setenv(server, "true")

        assert text.safe(given, newlines=True) == shown
        assert text.safe(shown, newlines=True) == shown

    @pytest.mark.parametrize("harmless", ["## Title", "std::vector", "a::b", "#[x]"])
    def test_what_is_no_command_stays(self, monkeypatch, harmless):
        """Headings, names in C++, ids of tests."""
        monkeypatch.setenv("GITHUB_ACTIONS", "true")

        assert text.safe(harmless) is harmless

    def test_json_keeps_its_value(self, monkeypatch):
        """It has escapes of its own."""
        document = json.dumps({"answer": "##vso[x]"})
        assert text.safe_json(document) is document

        monkeypatch.setenv("TF_BUILD", "True")

        assert "##" not in text.safe_json(document)
        assert json.loads(text.safe_json(document)) == {"answer": "##vso[x]"}


class TestEncodable:
    @pytest.mark.parametrize(
        ("given", "encoding", "shown"),
        [
            ("plain", "ascii", "plain"),
            ("né 日", "latin-1", "né \\u65e5"),
            ("né 日", "ascii", "n\\xe9 \\u65e5"),
            ("né 日", "utf-8", "né 日"),
        ],
    )
    def test_what_an_encoding_lacks_is_escaped(self, given, encoding, shown):
        """A stream that is not UTF-8 still shows every text."""
        assert text.encodable(given, encoding) == shown


class TestWidth:
    @pytest.mark.parametrize(
        ("shown", "columns"),
        [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("日本", 4), ("ｆｕｌｌ", 8), ("🎉", 2)],
    )
    def test_width_is_counted_in_columns(self, shown, columns):
        """Wide characters take two columns, combining marks none."""
        assert text.display_width(shown) == columns

    @pytest.mark.parametrize(
        ("given", "width", "shown"),
        [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 4, "abc…"),
            ("abcdef", 1, "…"),
            ("abcdef", 0, ""),
            ("abcdef", -3, ""),
            ("", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("日本語", 2, "…"),
            ("é" * 3, 3, "ééé"),
        ],
    )
    def test_a_cut_text_fits(self, given, width, shown):
        """The mark is part of the width, and no wide character is halved."""
        assert text.fit(given, width) == shown

    def test_an_ascii_mark_fits_as_well(self):
        """Dots take three columns of what there is."""
        assert text.fit("abcdef", 4, mark="...") == "a..."
        assert text.fit("abcdef", 2, mark="...") == ".."

    def test_stacked_marks_are_bounded(self):
        """Text of combining marks, which take no column, is cut like any other."""
        zalgo = "a" + "\u0301" * 100_000

        assert len(text.fit(zalgo, 10)) < 100

    @pytest.mark.parametrize(
        ("given", "width", "shown"),
        [
            ("  a\n\n\tb  c\r\n", None, "a b c"),
            ("a\nb", 10, "a b"),
            ("what is\nthe answer", 10, "what is t…"),
            ("a" + " " * 1000 + "b", 10, "a…"),
            ("\x1b[0m", 5, "\\x1b…"),
            ("x" * 1000, 2, "x…"),
            ("x" * 1000, 0, ""),
            (Mute(), 40, "<Mute: str() failed>"),
        ],
    )
    def test_a_preview_is_one_line(self, given, width, shown):
        """Runs of white space become one blank, and what was left out is marked."""
        assert text.one_line(given, width) == shown


UNKNOWN = [None, float("nan"), float("inf"), float("-inf")]


class TestFigures:
    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [
            (0, "0 s"),
            (0.000_001, "<0.01 ms"),
            (0.000_4, "0.40 ms"),
            (0.004_2, "4.2 ms"),
            (0.45, "450 ms"),
            (0.84, "0.84 s"),
            (9.999, "10.0 s"),
            (59.97, "1 min 00 s"),
            (192, "3 min 12 s"),
            (3599.7, "1 h 00 min"),
            (7500, "2 h 05 min"),
            (47 * 3600, "47 h 00 min"),
            (200_000, "2 d 08 h"),
            (-0.84, "-0.84 s"),
        ],
    )
    def test_a_duration_is_in_the_unit_that_people_use(self, seconds, shown):
        """Rounding never shows 60 seconds or 60 minutes."""
        assert text.duration(seconds) == shown

    @pytest.mark.parametrize(
        ("per_second", "shown"),
        [
            (0, "0/s"),
            (0.5, "0.50/s"),
            (4.23, "4.2/s"),
            (123.4, "123/s"),
            (12_345, "12,345/s"),
            (0.05, "3.0/min"),
            (0.0005, "1.8/h"),
            (-4.23, "-4.2/s"),
        ],
    )
    def test_a_rate_says_per_what(self, per_second, shown):
        """Slow rates are told per minute or per hour."""
        assert text.rate(per_second) == shown

    def test_a_rate_says_of_what(self):
        """The unit stands before the time."""
        assert text.rate(4.2, "rows") == "4.2 rows/s"

    def test_a_count_has_separators(self):
        """Large numbers are read in groups of three."""
        assert [text.count(n) for n in (0, 999, 12_345)] == ["0", "999", "12,345"]

    @pytest.mark.parametrize(
        ("fraction", "shown"),
        [
            (0, "0%"),
            (0.000_1, "<0.1%"),
            (0.842, "84.2%"),
            (0.999_9, ">99.9%"),
            (1, "100%"),
            (12.5, "1,250.0%"),
            (-0.031, "-3.1%"),
            (-0.000_1, ">-0.1%"),
            (-0.999_9, "<-99.9%"),
            (-1, "-100%"),
        ],
    )
    def test_only_all_is_one_hundred_percent(self, fraction, shown):
        """Rounding never turns almost all into all, or almost nothing into nothing."""
        assert text.percent(fraction) == shown

    @pytest.mark.parametrize("unknown", UNKNOWN)
    def test_what_is_unknown_is_a_dash(self, unknown):
        """No figure is invented."""
        shown = {text.duration(unknown), text.rate(unknown), text.count(unknown)}
        shown |= {text.percent(unknown), text.ago(unknown, 0.0), text.when(unknown, 0.0)}

        assert shown == {"-"}


class TestMoments:
    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [
            (-10, "just now"),
            (4, "just now"),
            (12, "12 s ago"),
            (60, "1 min ago"),
            (3599, "59 min ago"),
            (3 * 3600, "3 h ago"),
            (86_400, "1 day ago"),
            (3 * 86_400, "3 days ago"),
        ],
    )
    def test_ago_has_one_unit(self, seconds, shown):
        """The largest unit that has passed is enough."""
        assert text.ago(1_700_000_000 - seconds, 1_700_000_000) == shown

    def test_a_recent_moment_is_relative(self):
        """Within a day the distance says more than the clock."""
        assert text.when(1_700_000_000 - 600, 1_700_000_000) == "10 min ago"

    def test_an_older_moment_is_a_date(self):
        """Local time, sortable, to the minute."""
        shown = text.when(1_600_000_000, 1_700_000_000)

        assert shown == time.strftime("%Y-%m-%d %H:%M", time.localtime(1_600_000_000))

    def test_a_moment_beyond_the_calendar_is_unknown(self):
        """A hostile time stamp does no harm."""
        assert text.when(1e20, 0.0) == "-"


def test_the_room_imports_next_to_nothing():
    """Text is ground: it is loaded wherever something is shown."""
    source = Path(text.__file__).read_text(encoding="utf-8")

    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert imports == [
        "from __future__ import annotations",
        "import os",
        "import re",
        "from collections.abc import Iterator, Sequence",
        "from reprlib import Repr",  # which collections has loaded
    ]


# --- unknown names


def test_a_list_that_is_cut_says_so():
    """Nobody should take ten names for all that there are."""
    ten, twelve = list("abcdefghij"), list("abcdefghijkl")

    assert text.similar("?", ten, ten[:10], 0.7).endswith("'i', 'j'")
    assert text.similar("?", twelve, twelve[:10], 0.7).endswith("'i', 'j' and 2 more")


def test_what_may_have_been_meant_is_named():
    assert text.similar("eval_sum", ["eval_sums", "x"], ["x"], 0.7) == "; did you mean 'eval_sums'?"
    assert text.similar("eval_sum", [], [], 0.7) == "; there is none yet"


# --- code


@pytest.mark.parametrize("failures", [3, 1_000])
def test_code_is_parsed_although_another_thread_parses_too(monkeypatch, failures):
    """Some versions of Python raise SystemError then; where that has another cause it comes out."""
    parse, left = ast.parse, iter(range(failures))

    def parse_as_311(*given, **named):
        if next(left, None) is not None:
            raise SystemError("AST constructor recursion depth mismatch")
        return parse(*given, **named)

    monkeypatch.setattr(ast, "parse", parse_as_311)
    if failures == 3:
        assert ast.unparse(text.syntax_of("f(1)")) == "f(1)"
    else:
        with pytest.raises(SystemError, match="depth mismatch"):
            text.syntax_of("f(1)")


def test_short_pieces_go_together_and_long_ones_alone():
    """So that a document of long answers is never held as a whole."""
    read = []
    pieces = (read.append(piece) or piece for piece in ["a"] * 450 + ["x" * 2**20] * 3)

    sizes = []
    for piece in text.together(pieces):
        sizes.append((len(piece), len(read)))

    assert sizes == [(200, 200), (200, 400), (50 + 2**20, 451), (2**20, 452), (2**20, 453)]
    assert list(text.together([])) == []
