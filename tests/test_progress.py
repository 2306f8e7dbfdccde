"""The line always fits, draws seldom, gives way to user output, and dies quietly."""

from __future__ import annotations

import asyncio
import io
import math
import os
import re
import struct
import sys
import threading
import timeit
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace

import pytest

from doteval import foreach, run
from doteval.reporting.display import Heartbeat, Live, notebook, printing_above, progress_on
from doteval.reporting.progress import Mean, Snapshot, Trouble, heartbeat, line
from doteval.storage import open_store
from doteval.text import display_width
from doteval.views.figures import limit_path
from doteval.views.terminal import Terminal

RUNNING = Snapshot(
    evaluation="eval_math",
    done=123,
    total=1000,
    skipped=0,
    failed=2,
    in_flight=8,
    waiting=0,
    limit=8,
    oldest=2.5,
    elapsed=30.0,
    idle=0.2,
    scores={"exact_match": "84.2%"},
    path=(2, 4, 8),
)
STARTED = replace(
    RUNNING, done=0, failed=0, in_flight=2, limit=2, elapsed=0.3, scores={}, path=(2,)
)
STALLED = replace(RUNNING, idle=65.0, oldest=130.0)
TROUBLE = Trouble("RateLimitError (429)", "Rate limit reached", times=71, since=9)
REFUSED = replace(RUNNING, idle=12.0, waiting=15, trouble=TROUBLE, due=8.4)
HUNG = replace(STALLED, oldest_row="row 17 (What is 8 + 9?)")
WINDOW = Terminal(width=80, live=True)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    """Seconds, set by the test."""
    return Clock()


@pytest.fixture
def drawn():
    """What was written, piece by piece."""
    return []


@pytest.fixture
def live(drawn, clock):
    """A live line on a terminal of 80 columns."""
    return Live(drawn.append, lambda: WINDOW, clock)


@pytest.fixture
def window():
    """A real terminal, as the master's file descriptor and a stream on the slave."""
    pytest.importorskip("termios")
    master, slave = os.openpty()
    with open(slave, "w", encoding="utf-8") as stream:
        yield master, stream
    os.close(master)


def screen(pieces: list[str]) -> list[str]:
    """The lines that a terminal would show after it received these pieces."""
    lines, column = [""], 0
    for token in re.findall(r"\x1b\[J|[\r\n]|[^\x1b\r\n]+", "".join(pieces)):
        if token == "\r":
            column = 0
        elif token == "\n":
            lines.append("")
            column = 0
        elif token == "\x1b[J":
            lines[-1] = lines[-1][:column]
        else:
            lines[-1] = lines[-1][:column] + token + lines[-1][column + len(token) :]
            column += len(token)
    return lines


class Shared(io.StringIO):
    """The standard output of a process, on the very terminal where the line is drawn."""

    def __init__(self, drawn: list[str]) -> None:
        super().__init__()
        self._drawn = drawn

    def isatty(self) -> bool:
        return True

    def write(self, chars: str) -> int:
        self._drawn.append(chars)
        return len(chars)


@contextmanager
def beside(live: Live, drawn: list[str]):
    """Let the body print to the terminal on which the line is drawn."""
    with redirect_stdout(Shared(drawn)), redirect_stderr(io.StringIO()), printing_above(live):
        yield sys.stdout


class TestLine:
    def test_all_is_told_where_there_is_room(self):
        """Bar, rows, rate, ETA, errors, running score and attempts in flight."""
        assert line(RUNNING, Terminal()) == (
            "eval_math ━╸──────────────   123/1,000 ·   2 errors ·  4.1 rows/s ·     ETA 3:33 · "
            "8/8 in flight · exact_match 84.2% · 2 → 4 → 8"
        )

    @pytest.mark.parametrize(
        ("width", "shown"),
        [
            (
                120,
                "eval_math ━╸──────────────   123/1,000 ·   2 errors ·  4.1 rows/s ·     ETA 3:33 "
                "· 8/8 in flight · exact_match 84.2%",
            ),
            (80, "eval_math   123/1,000 ·   2 err ·   4.1/s ·     ETA 3:33 · exact_match 84.2%"),
            (60, "eval_math   123/1,000 ·   2 err ·   4.1/s ·     ETA 3:33"),
            (40, "123/1,000 · 2 err · ETA 3:33"),
            (20, "123/1,000 · 2 err"),
            (10, "123/1,000"),
            (4, "123"),
            (0, ""),
        ],
    )
    def test_three_forms_by_the_width_alone(self, width, shown):
        """Long, short, and the count with what is wrong; what does not fit is left out."""
        assert line(RUNNING, Terminal(width=width)) == shown

    @pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
    def test_fields_stay_where_they_are(self, width):
        """From the first row to the last, also while nothing finishes and rows wait."""
        moments = [
            replace(STARTED, total=1000),
            replace(RUNNING, done=7, failed=0),
            RUNNING,
            STALLED,
            REFUSED,
            replace(RUNNING, done=999, waiting=12, elapsed=12.0, scores={"exact_match": "50%"}),
            replace(RUNNING, done=1000, in_flight=8),
        ]
        shown = [line(each, Terminal(width=width)) for each in moments]

        assert len({each.index(" err") for each in shown}) == 1
        if width >= 100:
            places = {each.index(" in flight") for each in shown if " in flight" in each}
            assert len(places) == 1
            places = {each.index("exact_match") for each in shown if "exact_match" in each}
            assert len(places) <= 1

    @pytest.mark.parametrize("color", [False, True])
    @pytest.mark.parametrize("unicode", [False, True])
    def test_it_always_fits(self, color, unicode):
        """Whatever is told, on whatever width, it is one line that leaves the last column free."""
        snapshots = [
            RUNNING,
            STARTED,
            STALLED,
            replace(STALLED, oldest=None, in_flight=0, waiting=3),
            REFUSED,
            HUNG,
            replace(RUNNING, total=None, path=(), waiting=12, skipped=500),
            replace(RUNNING, done=12_345_678, total=99_999_999, failed=1_000_000),
            replace(RUNNING, evaluation="日本語" * 20, scores={"日\x1b[2J" * 9: "1e+09", "b": "2"}),
            replace(RUNNING, scores={"nan": "NaN"}, elapsed=1e9, path=tuple(range(99))),
            replace(RUNNING, done=0, total=0),
        ]

        for snapshot in snapshots:
            for width in range(20, 200):
                shown = line(snapshot, Terminal(width=width, color=color, unicode=unicode))
                plain = re.sub(r"\x1b\[\d+m", "", shown)
                assert 0 < display_width(plain) < width
                assert plain.isprintable()

    def test_ascii_stands_in(self):
        """A terminal without the glyphs gets none of them."""
        shown = line(RUNNING, Terminal(unicode=False, encoding="ascii"))

        assert shown == (
            "eval_math [#-------------]   123/1,000 |   2 errors |  4.1 rows/s |     ETA 3:33 | "
            "8/8 in flight | exact_match 84.2% | 2 -> 4 -> 8"
        )

    def test_colours_are_few(self):
        """The bar, what is wrong, and what matters less."""
        shown = line(replace(RUNNING, done=500), Terminal(color=True))

        assert shown.startswith(f"\x1b[1meval_math\x1b[0m \x1b[36m{'━' * 8}\x1b[0m\x1b[2m─")
        assert "\x1b[31m  2 errors\x1b[0m" in shown
        assert "\x1b[2m8/8 in flight\x1b[0m" in shown
        assert " · exact_match 84.2% · \x1b[2m2 → 4 → 8" in shown

    def test_the_start_promises_nothing(self):
        """Before the first row there is no rate, no ETA and no score."""
        shown = line(STARTED, Terminal(width=80))

        assert shown == "eval_math     0/1,000 ·   0 err ·       - · 0:00 elapsed · 2/2 in flight"

    def test_an_unknown_end_has_no_bar_and_no_eta(self):
        """Rows are counted, and the time that has passed."""
        shown = line(replace(RUNNING, total=None, path=()), Terminal(width=100))

        assert shown == (
            "eval_math 123 rows ·   2 errors ·  4.1 rows/s · 0:30 elapsed · 8/8 in flight · "
            "exact_match 84.2%"
        )

    def test_the_end_has_no_eta(self):
        """Nothing is left to wait for."""
        done = replace(RUNNING, done=1000, in_flight=0, failed=1)

        shown = line(done, Terminal(width=120))

        assert "━" * 16 + " 1,000/1,000 ·   1 error  · 33.3 rows/s · 0:30 elapsed · 0/8" in shown

    def test_more_rows_than_were_promised_do_no_harm(self):
        """A dataset may say a wrong length."""
        assert "─" not in line(replace(RUNNING, done=1500), Terminal())

    def test_a_stall_is_told(self):
        """After a minute without anything finishing, with the age of the oldest row in flight."""
        assert "idle 1:05, oldest 2:10" in line(STALLED, Terminal(width=80))
        assert "idle" not in line(replace(STALLED, idle=59.0), Terminal(width=80))
        assert "idle 1:05" in line(STALLED, Terminal(width=40))
        assert "stalled" in line(replace(STALLED, failed=0), Terminal(width=20))

    @pytest.mark.parametrize(
        ("width", "shown"),
        [
            (
                120,
                "eval_math ━╸──────────────   123/1,000 ·   2 errors ·    idle 0:12, next in 0:08 "
                "· RateLimitError (429) ×71, 15 waiting",
            ),
            (
                80,
                "eval_math   123/1,000 ·   2 err ·   idle 0:12, next 0:08 · RateLimitError (429…",
            ),
            (60, "eval_math   123/1,000 ·   2 err ·   idle 0:12, next 0:08"),
            (40, "123/1,000 · next in 0:08 · RateLimitEr…"),
        ],
    )
    def test_what_nothing_finishes_for_comes_before_all_else(self, width, shown):
        """The error, how often it came, and when the next attempt is, after a few seconds."""
        assert line(REFUSED, Terminal(width=width)) == shown
        assert "idle" not in line(replace(REFUSED, idle=4.0), Terminal(width=width))
        alone = replace(REFUSED, trouble=TROUBLE._replace(since=2))
        assert "idle" not in line(alone, Terminal(width=width))

    def test_a_row_that_hangs_is_named(self):
        """Which one, and for how long."""
        assert "idle 1:05, oldest 2:10 · row 17 (What is 8 + 9?)" in line(HUNG, Terminal(width=120))

    def test_the_eta_knows_the_oldest_row_and_the_next_attempt(self):
        """What has taken long may take as long again, and what waits is not tried before."""
        last = replace(RUNNING, done=999, in_flight=1)

        assert "ETA 2:05" in line(replace(last, oldest=125.0), Terminal())
        assert "ETA 5:00" in line(replace(last, waiting=1, due=300.0), Terminal())

    def test_rows_that_only_wait_are_a_stall_without_an_oldest(self):
        """All rows may be waiting for another attempt."""
        waiting = replace(STALLED, in_flight=0, waiting=5, oldest=None)

        shown = line(waiting, Terminal(width=120))

        assert "2 errors ·                  idle 1:05 · 0/8 in flight" in shown
        assert "5 waiting" in shown

    def test_idle_time_without_work_is_no_stall(self):
        """Before and after the work nothing needs to finish."""
        assert "idle" not in line(replace(STALLED, in_flight=0), Terminal())

    def test_stored_rows_are_told_on_resume(self):
        """They are not part of what this run has to do."""
        assert line(replace(RUNNING, skipped=500), Terminal()).endswith(" · 500 stored before")

    def test_a_given_rate_counts_more_than_the_average(self):
        """The ETA follows what has been happening lately."""
        assert "8.0 rows/s ·     ETA 1:49" in line(RUNNING, Terminal(), rate=8.0)
        assert "0 rows/s · 0:30 elapsed" in line(RUNNING, Terminal(), rate=0.0)

    def test_long_times_stay_short(self):
        """Hours on a clock, more in days."""
        assert "ETA 1:01:01" in line(RUNNING, Terminal(), rate=877 / 3661)
        assert "ETA 10 d 04 h" in line(RUNNING, Terminal(), rate=0.001)

    def test_one_row_is_no_plural(self):
        """Whoever tries one row reads a sentence."""
        one = replace(RUNNING, done=1, total=None)

        assert line(one, Terminal()).startswith("eval_math 1 row · ")
        assert heartbeat(one).startswith("eval_math: 1 row, ")
        assert heartbeat(replace(one, done=0, total=1)).startswith("eval_math: 0/1 row (")

    def test_a_limit_that_was_only_noted_is_no_step(self):
        """Notes that moved nothing are no part of the way."""
        assert line(replace(RUNNING, path=(8, 12, 12)), Terminal()).endswith(" · 8 → 12")
        assert line(replace(RUNNING, path=(8, 8)), Terminal()).endswith(" · exact_match 84.2%")

    def test_a_long_path_shows_its_end(self):
        """The recent limits say more than the first."""
        assert limit_path((1, 2, 4, 8, 16), 3) == ["…", "→ 4", "→ 8", "→ 16"]
        assert limit_path((1, 2), 3) == ["1", "→ 2"]
        assert limit_path((1, 2, 4), 2, unicode=False) == ["...", "-> 2", "-> 4"]

    def test_it_takes_microseconds(self):
        """Drawn ten times a second, it must not be felt; 30 µs were measured."""
        terminal = Terminal(width=80, color=True)

        best = min(timeit.repeat(lambda: line(RUNNING, terminal), number=100, repeat=5)) / 100

        assert best < 0.000_5


class TestHeartbeat:
    def test_a_line_of_a_log_tells_all(self):
        """Plain ASCII, units in words."""
        assert heartbeat(replace(RUNNING, skipped=500, waiting=3)) == (
            "eval_math: 123/1,000 rows (12.3%) + 500 stored before, 2 errors, 4.1 rows/s, "
            "ETA 3 min 34 s, exact_match 84.2%, 8/8 in flight (2 -> 4 -> 8), 3 waiting, "
            "30.0 s elapsed"
        )

    def test_an_unknown_end_is_not_guessed(self):
        """Rows are counted."""
        assert heartbeat(replace(STARTED, total=None)) == (
            "eval_math: 0 rows, 2/2 in flight, 300 ms elapsed"
        )

    def test_a_stall_is_told(self):
        """With the age of the oldest row in flight, if there is one."""
        assert heartbeat(replace(STALLED, failed=1)) == (
            "eval_math: 123/1,000 rows (12.3%), 1 error, nothing finished for 1 min 05 s, "
            "oldest row 2 min 10 s, exact_match 84.2%, 8/8 in flight (2 -> 4 -> 8), 30.0 s elapsed"
        )
        assert "oldest" not in heartbeat(replace(STALLED, oldest=None))

    def test_what_is_waited_for_is_told(self):
        """The last error with its message, the next attempt, and the row that hangs."""
        assert heartbeat(REFUSED) == (
            "eval_math: 123/1,000 rows (12.3%), 2 errors, nothing finished for 12.0 s, "
            "oldest row 2.50 s, exact_match 84.2%, 8/8 in flight (2 -> 4 -> 8), 15 waiting, "
            "next attempt in 8.40 s, last error RateLimitError (429): Rate limit reached "
            "(71 times), 30.0 s elapsed"
        )
        assert "oldest in flight row 17 (What is 8 + 9?) for 2 min 10 s" in heartbeat(HUNG)
        once = replace(REFUSED, trouble=TROUBLE._replace(times=1))
        assert "reached (once)" in heartbeat(once)

    def test_a_hint_is_told_at_once_and_once(self):
        """In a log as on a terminal, where it stays above the line."""
        slow, told, drawn = replace(RUNNING, elapsed=1.0, hint="write SlidingWindow(8)"), [], []
        log, live = Heartbeat(told.append), Live(drawn.append, lambda: WINDOW, lambda: len(drawn))

        for progress in (log, live):
            progress(replace(slow, hint=""))
            for _ in range(3):
                progress(slow)

        assert told == ["write SlidingWindow(8)\n"]
        assert screen(drawn)[0] == "write SlidingWindow(8)"
        assert "".join(drawn).count("SlidingWindow") == 1

    def test_hostile_names_are_harmless(self):
        """A log is read in a terminal as well."""
        shown = heartbeat(replace(RUNNING, evaluation="\x1b[2J\n", scores={"\x1b[2J\n": "1"}))

        assert shown.isprintable()

    def test_the_gaps_grow(self, drawn):
        """After 10 s, then 30 s, then 60 s, then every 5 minutes: 14 lines in the first hour."""
        beat = Heartbeat(drawn.append)
        moments = []

        for tenths in range(36_000):
            before = len(drawn)
            beat(replace(RUNNING, elapsed=tenths / 10))
            moments += [tenths / 10] * (len(drawn) - before)
        assert moments == [10, 40, 100, *range(400, 3600, 300)]
        assert all(each.endswith(" elapsed\n") for each in drawn)

    def test_a_short_run_prints_nothing(self, drawn):
        """Its summary says it all, as it does at the end of a long one."""
        beat = Heartbeat(drawn.append)

        beat(STARTED)
        beat(replace(RUNNING, elapsed=9.9))
        beat(replace(RUNNING, elapsed=12.0, done=1000))

        assert drawn == []

    def test_a_stall_is_told_at_once_and_once(self, drawn):
        """Not only when the next line is due; and again when it stalls again."""
        beat = Heartbeat(drawn.append)
        beat(replace(RUNNING, elapsed=100.0))

        beat(replace(STALLED, elapsed=101.0))
        beat(replace(STALLED, elapsed=102.0))
        beat(replace(RUNNING, elapsed=103.0))
        beat(replace(STALLED, elapsed=104.0))

        assert ["nothing finished" in each for each in drawn] == [False, True, True]

    def test_every_evaluation_has_its_own_gaps(self, drawn):
        """Another name, or a clock that begins again, is another run."""
        beat = Heartbeat(drawn.append)

        beat(replace(RUNNING, elapsed=11.0))
        beat(replace(RUNNING, elapsed=5.0, evaluation="eval_other"))
        beat(replace(RUNNING, elapsed=11.0, evaluation="eval_other"))
        beat(replace(RUNNING, elapsed=1.0, evaluation="eval_other"))
        beat(replace(RUNNING, elapsed=11.0, evaluation="eval_other"))

        assert len(drawn) == 3

    @pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed file")])
    def test_it_falls_silent_when_the_log_is_gone(self, error):
        """A closed pipe ends the heartbeats, not the run."""
        calls = []

        def broken(chars: str) -> None:
            calls.append(chars)
            raise error

        beat = Heartbeat(broken)

        beat(replace(RUNNING, elapsed=11.0))
        beat(replace(RUNNING, elapsed=100.0))

        assert len(calls) == 1

    def test_after_closing_it_is_silent(self, drawn):
        """It can stand where a live line stands: clear and close do nothing to a log."""
        beat = Heartbeat(drawn.append)
        beat.clear()
        beat.close()

        beat(replace(RUNNING, elapsed=11.0))

        assert drawn == []


class TestLive:
    def test_the_line_is_drawn_in_place(self, live, drawn, clock):
        """Each draw replaces the one before."""
        live(STARTED)
        clock.now += 1
        live(RUNNING)

        assert screen(drawn) == [line(RUNNING, WINDOW)]
        assert len(drawn) == 2

    def test_it_is_drawn_ten_times_a_second_at_most(self, live, drawn, clock):
        """However often it is called."""
        for _ in range(1000):
            live(RUNNING)
            clock.now += 0.003

        assert 25 <= len(drawn) <= 30

    def test_clearing_leaves_nothing(self, live, drawn, clock):
        """The next snapshot draws it again."""
        live(RUNNING)

        live.clear()
        live.clear()
        assert screen(drawn) == [""]
        clock.now += 1
        live(RUNNING)
        assert screen(drawn) == [line(RUNNING, WINDOW)]

    def test_closing_leaves_nothing_for_good(self, live, drawn, clock):
        """A late snapshot does not draw into the summary."""
        live(RUNNING)

        live.close()
        clock.now += 1
        live(RUNNING)

        assert screen(drawn) == [""]

    def test_the_width_is_asked_at_each_draw(self, drawn, clock):
        """After a resize the line fits again, and no piece of the wider one stays."""
        widths = iter([120, 40])
        live = Live(drawn.append, lambda: Terminal(width=next(widths)), clock)

        live(RUNNING)
        clock.now += 1
        live(RUNNING)

        assert screen(drawn) == [line(RUNNING, Terminal(width=40))]
        # From the cursor on everything is erased, as a terminal wraps what it shows when narrowed.
        assert drawn[1].startswith("\r\x1b[J")
        assert drawn[1].endswith("\r")

    @pytest.mark.parametrize(
        "error",
        [BrokenPipeError(), ValueError("closed"), UnicodeEncodeError("ascii", "…", 0, 1, "no")],
    )
    def test_it_falls_silent_when_the_terminal_is_gone(self, clock, error):
        """Progress is no reason to lose a run."""
        calls = []

        def broken(chars: str) -> None:
            calls.append(chars)
            raise error

        live = Live(broken, lambda: WINDOW, clock)

        live(RUNNING)
        clock.now += 1
        live(RUNNING)
        live.close()

        assert len(calls) == 1

    def test_an_error_of_another_kind_is_not_hidden(self, clock):
        """A bug in `write` is a bug."""

        def broken(chars: str) -> None:
            raise ZeroDivisionError

        live = Live(broken, lambda: WINDOW, clock)

        with pytest.raises(ZeroDivisionError):
            live(RUNNING)

    def test_the_rate_is_that_of_the_latter_half(self, live, drawn, clock):
        """A slow start does not spoil the ETA for long."""
        for second in range(100):
            done = 0 if second < 50 else 10 * (second - 50)
            live(replace(RUNNING, elapsed=float(second), done=done, failed=0, path=()))
            clock.now += 1

        assert "10.0/s" in screen(drawn)[-1]

    def test_the_rate_begins_anew_with_each_evaluation(self, live, drawn, clock):
        """One line may serve several, one after the other."""
        live(replace(RUNNING, elapsed=1000.0, done=10))
        clock.now += 1
        live(replace(RUNNING, elapsed=10.0, done=100, evaluation="eval_other", path=()))

        assert "10.0/s" in screen(drawn)[-1]

    def test_the_rate_begins_anew_when_the_clock_does(self, live, drawn, clock):
        """The same evaluation may run twice in one process."""
        live(replace(RUNNING, elapsed=1000.0, done=10))
        clock.now += 1
        live(replace(RUNNING, elapsed=10.0, done=100, path=()))

        assert "10.0/s" in screen(drawn)[-1]


class TestOutputOfTheUser:
    def test_it_appears_above_the_line(self, live, drawn):
        """Whole lines, and ours is back at once."""
        live(RUNNING)

        with beside(live, drawn) as out:
            print("hello", "world")
            out.writelines(["one\n", "two\n"])

        assert screen(drawn) == ["hello world", "one", "two", line(RUNNING, WINDOW)]

    def test_before_the_first_draw_nothing_is_added(self, live, drawn):
        """There is no line to bring back."""
        with beside(live, drawn):
            print("hello")

        assert "".join(drawn) == "hello\n"

    def test_an_unfinished_line_keeps_its_place_for_a_second(self, live, drawn, clock):
        """`Loading... done` stays one line where it is quick."""
        live(RUNNING)

        with beside(live, drawn):
            print("Loading...", end="")
            clock.now += 0.9
            live(RUNNING)
            print(" done")

        assert screen(drawn) == ["Loading... done", line(RUNNING, WINDOW)]

    def test_then_the_line_moves_below_it(self, live, drawn, clock):
        """Forgotten line ends do not end the progress."""
        live(RUNNING)

        with beside(live, drawn):
            print("Loading...", end="")
            print("", end="")
            clock.now += 1.0
            live(RUNNING)

        assert screen(drawn) == ["Loading...", line(RUNNING, WINDOW)]

    def test_even_a_flood_brings_no_more_than_ten_draws_a_second(self, live, drawn, clock):
        """Text is never held back, draws are."""
        with beside(live, drawn):
            for _ in range(1000):
                live(RUNNING)
                print("x")
                clock.now += 0.003

        assert 20 <= sum("ETA" in piece for piece in drawn) <= 30
        assert screen(drawn)[:1000] == ["x"] * 1000

    def test_other_properties_are_those_of_the_stream(self, live, drawn):
        """Whoever asks finds a terminal."""
        with beside(live, drawn) as out:
            assert out.isatty()

    def test_what_is_no_terminal_is_left_alone(self, live, drawn):
        """Output into a file does not disturb the line."""
        with beside(live, drawn):
            assert type(sys.stderr) is io.StringIO

    def test_streams_come_back(self, live, drawn):
        """What user code has put there meanwhile stays."""
        first, second, theirs = Shared(drawn), Shared(drawn), Shared(drawn)

        with redirect_stdout(first), redirect_stderr(second):
            with printing_above(live):
                sys.stderr = theirs
            after = (sys.stdout, sys.stderr)

        assert after == (first, theirs)

    def test_streams_come_back_from_an_error(self, live, drawn):
        """A run that fails leaves the process as it was."""
        first = Shared(drawn)

        with redirect_stdout(first):
            with suppress(KeyError), printing_above(live):
                raise KeyError
            after = sys.stdout

        assert after is first

    def test_streams_come_back_however_runs_overlap(self, drawn, clock):
        """Two runs in one process: the last one that ends gives the streams back."""
        first = Shared(drawn)
        lines = [Live(drawn.append, lambda: Terminal(80), clock) for _ in range(2)]
        runs = [printing_above(line) for line in lines]

        with redirect_stdout(first):
            for run in runs:
                run.__enter__()
            stand_in = sys.stdout
            print("text")
            runs[0].__exit__(None, None, None)
            meanwhile = sys.stdout
            runs[1].__exit__(None, None, None)
            after = sys.stdout

        assert stand_in is meanwhile is not first
        assert after is first
        assert "text" in "".join(drawn)

    def test_without_a_live_line_nothing_is_replaced(self, drawn):
        """Heartbeats and callables of the user's need no way made."""
        before = sys.stdout

        with printing_above(Heartbeat(drawn.append)):
            assert sys.stdout is before

    def test_a_draw_never_waits_for_a_thread_that_prints(self, live, drawn, clock):
        """A row that is stuck while it prints must not stop the loop."""
        inside, leave = threading.Event(), threading.Event()

        def stuck() -> None:
            with live.making_way("x\n"):
                inside.set()
                leave.wait(10)

        thread = threading.Thread(target=stuck)
        thread.start()
        inside.wait(10)

        live(RUNNING)
        before = list(drawn)
        leave.set()
        thread.join(10)
        live(RUNNING)

        assert before == []
        assert screen(drawn) == [line(RUNNING, WINDOW)]


class TestProgressOn:
    def test_a_terminal_gets_a_live_line(self, window, clock):
        """Drawn on the stream itself, at its width."""
        fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
        master, stream = window
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 60, 0, 0))

        shown = progress_on(stream, {}, "never", clock)
        shown(RUNNING)

        assert isinstance(shown, Live)
        received = os.read(master, 4096).decode()
        assert received == f"\r\x1b[J{line(RUNNING, Terminal(width=60))}\r"

    def test_a_pipe_gets_heartbeats(self):
        """In what its encoding can carry."""
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding="ascii")

        shown = progress_on(stream, {})
        shown(replace(RUNNING, evaluation="é", elapsed=11.0))

        assert isinstance(shown, Heartbeat)
        assert raw.getvalue().startswith(b"\\xe9: 123/1,000 rows")

    def test_a_dumb_terminal_gets_heartbeats(self, window):
        """It could not draw in place."""
        assert isinstance(progress_on(window[1], {"TERM": "dumb"}), Heartbeat)

    def test_a_stopped_terminal_stops_nothing(self, window, clock):
        """Ctrl-S, or a pipe that nobody reads: the draw is left out instead of waited for."""
        termios = pytest.importorskip("termios")
        master, stream = window
        shown = progress_on(stream, {}, "never", clock)
        termios.tcflow(stream.fileno(), termios.TCOOFF)

        for _ in range(2000):  # a write would block when the terminal's buffer is full
            shown(RUNNING)
            clock.now += 1

        termios.tcflow(stream.fileno(), termios.TCOON)
        shown(STARTED)
        assert "elapsed" in os.read(master, 65536).decode()

    def test_a_closed_stream_ends_the_progress_alone(self, window, clock):
        """The run goes on."""
        shown = progress_on(window[1], {}, "never", clock)

        window[1].close()
        shown(RUNNING)
        shown.close()

        assert window[1].closed


class Display:
    """Stands in for IPython: the kernel, its `display`, and the handle that this returns."""

    kernel = object()

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def get_ipython(self):
        return self

    def display(self, data, **options):
        self.drawn.append(data["text/plain"])
        return self

    def update(self, data, raw):
        self.drawn.append(data["text/plain"])


class TestNotebook:
    @pytest.fixture
    def cell(self, monkeypatch):
        """A kernel in this process."""
        cell = Display()
        monkeypatch.setitem(sys.modules, "IPython", cell)
        monkeypatch.setitem(sys.modules, "IPython.display", cell)
        return cell

    def test_a_line_is_drawn_in_its_place_and_gone_at_the_end(self, cell, clock):
        """Twice a second at most; what is to be told once stays below it."""
        progress = notebook(clock)
        progress.clear()
        progress(RUNNING)
        progress(RUNNING)
        clock.now += 0.5
        for hint in ("", "write SlidingWindow(8)"):
            progress(replace(RUNNING, done=200, hint=hint))
            clock.now += 0.5
        progress.close()
        progress(RUNNING)

        first, second, third, last = cell.drawn
        assert "123/1,000" in first and "200/1,000" in second
        assert third.endswith("\nwrite SlidingWindow(8)") and last == "write SlidingWindow(8)"

    def test_elsewhere_there_is_none(self, cell, monkeypatch):
        """IPython in a terminal, or none."""
        monkeypatch.setattr(cell, "kernel", None, raising=False)
        assert notebook() is None
        monkeypatch.setitem(sys.modules, "IPython", None)
        assert notebook() is None


def test_a_run_in_a_notebook_draws_below_its_cell(monkeypatch, tmp_path):
    """Whatever stderr is."""
    cell = Display()
    monkeypatch.setitem(sys.modules, "IPython", cell)
    monkeypatch.setitem(sys.modules, "IPython.display", cell)

    @foreach("n", [1])
    async def eval_n(n):
        await asyncio.sleep(0.3)
        return True

    run(eval_n, storage=tmp_path / "r.db")

    assert any("eval_n" in line for line in cell.drawn)


def test_a_run_that_waits_for_nothing_tells_the_store_nothing(monkeypatch, tmp_path):
    """However often it is looked at."""
    monkeypatch.setattr("doteval.running.monitor._TELL", 0.0)

    @foreach("n", [1])
    async def eval_n(n):
        await asyncio.sleep(0.35)
        return True

    run(eval_n, "e", tmp_path / "r.db", progress=True)

    store = open_store(tmp_path / "r.db")
    (only,) = store.runs("e", store.evaluations("e")[0])
    store.close()
    assert only.error is None


@pytest.mark.parametrize(
    ("metric", "values", "shown"),
    [
        ("accuracy", [1, 1, 1, 0] * 2, "75%"),
        ("accuracy", [1, 1, 1, 0] * 100, "75.0%"),
        ("accuracy", [1, 1], "100%"),
        ("mean", [0.5, 0.25], "0.38"),
        ("mean", [0.5, 0.5], "0.5"),
        ("", [math.inf], "inf"),
        ("", [-(10**400), 1], "-inf"),
        ("", [math.nan], "NaN"),
    ],
)
def test_a_mean_has_the_digits_that_so_many_rows_support(metric, values, shown):
    """As everywhere; of the interval a rough idea is enough to tell how many there are."""
    mean = Mean(metric)
    mean.add(values)

    assert str(mean) == shown
