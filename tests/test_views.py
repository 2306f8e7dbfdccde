"""Summaries, records and limits as lines of text."""

from __future__ import annotations

import inspect
import time
from dataclasses import replace
from typing import Any

import pytest

from doteval.concurrency import Adaptive
from doteval.metrics import Estimate
from doteval.record import Failure, Record, Result, Run, Score, Usage
from doteval.reporting.details import (
    failure_lines,
    limit_lines,
    record_dict,
    record_lines,
    wrapped,
)
from doteval.reporting.experiments import Experiment, experiment_table
from doteval.reporting.summary import Summary
from doteval.reporting.views import short_name, short_names, summary_lines
from doteval.views.figures import ADAPTIVE, figure, interval, limit_path, score_figure, size
from doteval.views.terminal import Piece, Terminal, flow

WIDE = Terminal()
ASCII = Terminal(unicode=False, encoding="ascii")
PAINTED = Terminal(width=80, color=True)


def summary(**changes: Any) -> Summary:
    """A finished evaluation of 4 rows."""
    plain = Summary(
        experiment="e", evaluation="eval_x.py::eval_x", status="complete", total=4, scored=4,
        failed=0, missing=0, stale=0, duration=2.0,
        latency={"mean": 0.4, "p50": 0.35, "p95": 0.5, "most": 0.6}, waited=0.0, attempts=4,
        errors={}, usage={"input_tokens": None, "output_tokens": None, "cost": None},
        scores={"exact": {"accuracy": Estimate(0.75, 4, 0.2, 0.3, 0.95, "wilson")}},
        strategy={"name": "Sequential"}, runs=1, started=100.0, finished=102.0,
    )  # fmt: skip
    return replace(plain, **changes)


def record(**changes: Any) -> Record:
    """A scored record."""
    result = Result(Score("exact", True), prompt="2 + 2?", model_response="4")
    plain = Record(b"k" * 16, 7, 0, {"q": "2 + 2?"}, result, 1, 100.0, 0.25, 0.0, 1)
    return plain._replace(**changes)


def test_a_block_of_an_evaluation():
    """What came out of it, in a few aligned lines."""
    assert summary_lines(summary(), WIDE) == [
        "eval_x · complete",
        "  rows      4 of 4 scored · 100% answered",
        "  scores    exact  accuracy  75%  95% CI 30–95%  n = 4",
        "  time      2.00 s · 2.0 rows/s · latency p50 350 ms, p95 0.50 s",
        "  strategy  Sequential()",
    ]


def test_a_block_tells_of_everything_unusual():
    """Failures, missing and stale rows, waiting, tokens, the limit, and what is not known."""
    lines = summary_lines(
        summary(
            status="stalled", total=10, failed=3, missing=3, stale=2, waited=4.0, attempts=9,
            errors={"TimeoutError": 12, "Value\x1b": 3}, repeats=2, groups=1, confidence=0.9,
            bounds={"exact": {"accuracy": [0.25, 0.875]}},
            usage={"input_tokens": 1200, "output_tokens": 0, "cost": 0.125},
            strategy={"name": "Adaptive", "initial_concurrency": 2, "max_concurrency": 8,
                      "adaptation_interval": 2.0},
            limits=(2, 2, 4, 8), error="the run gave up", unknown=("exact.odd: nobody knows it",),
        ),
        WIDE, "tests/eval_x.py::eval_x", ["the source changed", "2 records are stale"],
    )  # fmt: skip

    assert lines == [
        "tests/eval_x.py::eval_x · stalled",
        "  rows      4 of 10 scored · 3 failed · 3 missing · 2 stale · 57.1% answered"
        " · 2 repeats · 1 cluster",
        "  scores    exact  accuracy  75%  90% CI 30–95%  n = 4",
        "  bounds    exact accuracy · 25–88% · failures all wrong, or all right",
        "  time      2.00 s · 3.5 rows/s · latency p50 350 ms, p95 0.50 s · waiting 4.00 s"
        " · 9 attempts",
        "  tokens    1,200 in · 0 out · cost 0.125",
        "  errors    12 TimeoutError",
        "             3 Value\\x1b",
        "  strategy  Adaptive(initial_concurrency=2, max_concurrency=8)",
        "  limit     2 → 4 → 8",
        "  reason    the run gave up",
        "  unknown   exact.odd: nobody knows it",
        "  note      the source changed",
        "            2 records are stale",
    ]


def test_a_block_of_nothing():
    """An evaluation that never got to a row has no figures."""
    nothing = summary(
        status="failed", total=None, scored=0, missing=None, latency={}, attempts=0, duration=0.0,
        scores={}, strategy={},
    )  # fmt: skip

    assert summary_lines(nothing, WIDE) == [
        "eval_x · failed",
        "  rows      0 scored",
        "  time      0 s",
    ]


def test_many_types_of_errors_are_counted():
    """A block stays a block."""
    lines = summary_lines(summary(errors={f"E{n}": 1 for n in range(20)}), WIDE)

    assert sum("1 E" in line for line in lines) == 8
    assert lines[-2] == "            and 12 other types"


def test_only_what_was_chosen_is_told_of_an_adaptive_strategy():
    """Its defaults are those of the class, and none of them is told; a plugin's are not known."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(Adaptive).parameters.items()
    }
    usual = summary_lines(summary(strategy={"name": "Adaptive", **defaults}), WIDE)
    plugged = summary_lines(summary(strategy={"name": "Mine", "min_concurrency": 1}), WIDE)

    assert defaults == ADAPTIVE
    assert usual[-1] == "  strategy  Adaptive()"
    assert plugged[-1] == "  strategy  Mine(min_concurrency=1)"


def test_scores_stand_in_columns():
    """A score is named once; where there is no interval, the reason stands in its place."""
    scores = {
        "exact": {
            "accuracy": Estimate(0.75, 4, 0.2, 0.3, 0.95),
            "mean": Estimate(0.75, 1, method="no interval: one row"),
        },
        "bleu": {"mean": Estimate(None, 0, method="no data")},
    }
    lines = summary_lines(summary(scores=scores), WIDE)[2:5]

    assert lines == [
        "  scores    exact  accuracy   75%  95% CI 30–95%         n = 4",
        "                   mean      0.75  no interval: one row  n = 1",
        "            bleu   mean         -  no data               n = 0",
    ]


def test_scores_give_up_their_columns_in_a_narrow_terminal():
    """Rather than to run over the edge."""
    lines = summary_lines(summary(), Terminal(width=44))

    assert lines[2:4] == [
        "  scores    exact · accuracy · 75%",
        "            95% CI 30–95% · n = 4",
    ]
    assert max(map(len, lines)) <= 44


def test_colours_change_nothing_but_colours():
    """Without its escapes, a painted block is the plain one."""
    import re

    painted = summary_lines(summary(failed=1, errors={"E": 1}), PAINTED)
    plain = summary_lines(summary(failed=1, errors={"E": 1}), Terminal(width=80))

    assert [re.sub("\x1b\\[[0-9]*m", "", line) for line in painted] == plain
    assert "\x1b[31m1 failed\x1b[0m" in painted[1]


@pytest.mark.parametrize(
    ("value", "width", "shown"),
    [
        (1.7e9 + 0.98, 0.2, "1,700,000,000.98"),
        (1.7e9 + 0.98, 3e9, "1.7e+09"),
        (1.7e9 + 0.98, None, "1.7e+09"),
        (12345.678, 0.02, "12,345.678"),
        (12345.678, 40.0, "12,346"),
        (0.84213, 0.1, "0.842"),
        (-0.84213579, 1e-6, "-0.84213579"),
        (float("inf"), 1.0, "inf"),
        (1.5, float("nan"), "1.5"),
        (12.0, 1e-9, "12"),
        (3.0, 1.0, "3.00"),
        (-0.001, 0.2, "0.00"),
        (1.2345e-5, 2e-7, "1.234e-05"),
        (0.0, 2e-7, "0"),
        (0.5, 5e-324, "0.5"),
    ],
)
def test_the_digits_of_a_figure_follow_its_interval(value, width, shown):
    """Two of half the interval count; without one there are four."""
    assert figure(value, width) == shown


def test_lines_go_on_below_where_the_terminal_ends():
    """The lines that follow are indented; a piece is broken where no line has room for it."""
    pieces = [Piece("one"), Piece("two"), Piece("three"), Piece("a very long piece", "bad")]
    broken = ["one · two", "  three", "  a very", "  long piece"]

    assert flow(pieces, Terminal(width=12)) == broken
    assert flow([Piece("a/name/that/is/one/word")], Terminal(width=12)) == [
        "a/name/that/is/one/word"
    ]
    assert flow([Piece("p95 0.87 s, 12 kB")], Terminal(width=9)) == ["p95", "  0.87 s,", "  12 kB"]
    assert flow(pieces, Terminal(width=None)) == ["one · two · three · a very long piece"]
    assert flow(pieces[:2], ASCII) == ["one | two"]
    assert flow([], WIDE) == [""]


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        ((5,), "5"),
        ((5, 5), "5"),
        ((2, 4, 4, 8), "2 → 4 → 8"),
        (tuple(range(1, 31)), "1 → 2 → 3 → 4 → 5 → … → 26 → 27 → 28 → 29 → 30"),
        ((), ""),
    ],
)
def test_the_path_of_a_limit(limits, shown):
    """Only moves, and of a long way both ends."""
    assert " ".join(limit_path(limits, 10, first=5)) == shown


def test_the_path_of_a_limit_in_ascii():
    """Arrows of two characters."""
    assert limit_path((2, 4), 10, unicode=False) == ["2", "-> 4"]


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("accuracy", 0.8421, "84.2%"),
        ("pass@3", 1.0, "100%"),
        ("mean", 0.84213, "0.8421"),
        ("mean", None, "-"),
        ("accuracy", float("nan"), "NaN"),
        ("mean", float("inf"), "inf"),
    ],
)
def test_figures_of_metrics(metric, value, shown):
    """Shares in percent, all else as numbers."""
    assert score_figure(metric, value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3.0, "3"),
        (12345.0, "12,345"),
        (12345.67, "12,345.7"),
        (1.5e9, "1.5e+09"),
        (-0.25, "-0.25"),
        (float("inf"), "inf"),
        pytest.param(10**400, ">1.8e+308", id="beyond floats"),
        pytest.param(-(10**400), "<-1.8e+308", id="beyond floats, below"),
    ],
)
def test_figures_without_a_unit(value, shown):
    """Four digits, separators, no needless zeros; integers of any size."""
    assert figure(value) == shown


@pytest.mark.parametrize(
    ("n", "shown"), [(12, "12 bytes"), (1500, "1.5 kB"), (2.2e9, "2.2 GB"), (5e12, "5,000 GB")]
)
def test_sizes_are_short(n, shown):
    """In the units of disks."""
    assert size(n) == shown


def test_intervals():
    """One sign of percent; negative bounds are told apart from the dash."""
    share = Estimate(0.5, 9, 0.1, 0.2, 1.0)
    number = Estimate(0.5, 9, 0.1, -0.5, -0.25)

    assert interval("accuracy", share) == "20–100%"
    assert interval("accuracy", share, unicode=False) == "20 to 100%"
    assert interval("mean", number) == "-0.50 to -0.25"
    assert interval("mean", Estimate(0.5, 1)) == ""


def test_short_names():
    """The part after the file, where no other evaluation has the same; parameters belong to it."""
    names = ["a.py::f", "b.py::f", "a.py::C::g", "a.py::h[x::y]"]

    assert short_name("a.py::h[x::y]") == "h[x::y]"
    assert short_names(names) == {
        "a.py::f": "a.py::f", "b.py::f": "b.py::f", "a.py::C::g": "g", "a.py::h[x::y]": "h[x::y]",
    }  # fmt: skip


# ------------------------------------------------------------------------------- list


def test_the_status_of_an_experiment_is_the_worst_of_its_evaluations():
    """While one of them is being run, it is running."""

    def status(*statuses: str) -> str:
        return Experiment("e", [summary(status=each) for each in statuses], 0.0).status

    assert status("complete", "complete") == "complete"
    assert status("complete", "incomplete", "stalled") == "stalled"
    assert status("running", "failed") == "running"
    assert status() == "incomplete"


def test_when_something_last_happened_in_an_experiment():
    """The end of a run, else its start, else when the experiment was made."""
    assert Experiment("e", [summary(), summary(finished=None, started=300.0)], 5.0).when == 300.0
    assert Experiment("e", [], 5.0).when == 5.0


def test_a_table_of_experiments():
    """An unknown total is a question mark, no score a dash; a metric beside the usual is named."""
    scores = {"length": {"median": Estimate(42.0, 4, None, None, None)}}
    rows = [
        Experiment("odd", [summary(scores=scores, total=None, failed=1)], 0.0),
        Experiment("empty", [], time.time()),
    ]
    lines = experiment_table(rows, time.time()).text(WIDE).splitlines()

    assert lines[2].split()[:8] == [
        "odd", "complete", "1", "5/?", "1", "length", "median", "42",
    ]  # fmt: skip
    assert lines[3].split() == [
        "empty", "incomplete", "0", "0/0", "0", "-", "-", "-", "just", "now", "0", "s",
    ]  # fmt: skip
    assert rows[0].to_dict()["total"] is None


# ---------------------------------------------------------------------------- records


def test_a_record_in_full():
    """Its row, prompt and answer beside their names."""
    assert list(record_lines(record(), WIDE)) == [
        "row 7 · exact True · 250 ms",
        "  q       2 + 2?",
        "  prompt  2 + 2?",
        "  answer  4",
    ]


def test_a_column_called_like_what_the_model_said_is_told_apart():
    """A dataset's column "answer" is what was expected."""
    lines = list(record_lines(record(row={"answer": "5", "error": ""}), WIDE))

    assert lines[1:] == [
        "  row: answer  5",
        "  row: error",
        "  prompt       2 + 2?",
        "  answer       4",
    ]


def test_a_record_tells_of_everything_unusual():
    """Repeats, attempts, waiting, tokens, figures, metadata and values that are no texts."""
    result = Result(
        Score("a", False), Score("b", 0.5), Score("c", float("nan")),
        metadata={"seed": 1}, usage=Usage(1000, 234),
    )  # fmt: skip
    lines = list(
        record_lines(
            record(outcome=result, repeat=2, attempts=3, waited=1.5, row={"q": ["é", None]}), WIDE
        )
    )

    assert lines == [
        "row 7 repeat 2 · a False · b 0.5 · c NaN · 250 ms · 3 attempts · waiting 1.50 s"
        " · 1,234 tokens",
        '  q         ["é", null]',
        '  metadata  {"seed": 1}',
    ]


def test_a_record_without_tokens():
    """A cost alone is no count of tokens."""
    result = Result(Score("a", True), usage=Usage(cost=0.1))

    assert "tokens" not in "".join(record_lines(record(outcome=result), WIDE))


def test_a_failed_record():
    """What went wrong, in brief and in full; prompt and answer where they were kept."""
    kept = Result(error="no", prompt="p")
    failure = Failure("ValueError", "bad\x07\nworse", "Traceback ...\n  line\n", kept)
    failed = record(outcome=failure, row={"question": "x" * 500})

    assert list(failure_lines(failed, Terminal(width=30))) == [
        "row 7 · ValueError · 250 ms",
        "  bad\\x07",
        "  worse",
        f"  question={'x' * 18}…",
        "  prompt: p",
    ]
    full = list(record_lines(failed, WIDE))
    assert full[2:] == [
        "  prompt     p",
        "  error      bad\\x07",
        "             worse",
        "  traceback  Traceback ...",
        "               line",
    ]
    plain = failed._replace(outcome=Failure("E", "m"))
    assert list(record_lines(plain, WIDE))[2:] == ["  error     m"]


def test_long_names_of_columns_are_cut():
    """Values keep their room."""
    lines = list(record_lines(record(row={"c" * 40: "v"}), WIDE))

    assert lines[1] == f"  {'c' * 15}…  v"


def test_a_record_as_plain_data():
    """With scores or with the error, never both."""
    scored = record_dict(record())
    failed = record_dict(record(outcome=Failure("E", "m", "t")))

    assert scored["scores"] == {"exact": True}
    assert scored["error"] is None
    assert failed["scores"] == {}
    assert failed["error"] == {"type": "E", "message": "m", "traceback": "t"}
    assert failed["prompt"] is None


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("short", ["short"]),
        ("", [""]),
        ("one two three four five six seven", ["one two three four", "five six seven"]),
        ("exactly twenty chars and more", ["exactly twenty chars", "and more"]),
        ("x" * 45, ["x" * 20, "x" * 20, "x" * 5]),
        ("a\n\nb", ["a", "", "b"]),
        ("中" * 15, ["中" * 10, "中" * 5]),
        ("tab\there", ["tab here"]),
    ],
)
def test_texts_are_broken_at_blanks(value, lines):
    """Long words are broken where they must be; nothing is lost but blanks at the breaks."""
    assert list(wrapped(Terminal(width=22), value, 2)) == lines


def test_texts_are_not_broken_without_room():
    """Neither in a pipe nor where it would leave a ragged strip."""
    assert list(wrapped(WIDE, "word " * 50, 2)) == ["word " * 50]
    assert list(wrapped(Terminal(width=10), "word " * 50, 2)) == ["word " * 50]


def test_a_long_answer_takes_no_quadratic_time():
    """Megabytes in one line are shown in a moment."""
    begun = time.process_time()
    n = sum(1 for _ in wrapped(Terminal(width=80), "word " * 400_000, 2))

    assert n > 20_000
    assert time.process_time() - begun < 10


# ----------------------------------------------------------------------------- limits


def run(*changes: tuple[float, int], duration: float = 10.0) -> Run:
    """A run whose limit moved: (seconds, limit)."""
    history = tuple(
        {"at": at, "limit": limit, "reason": "grew", "throughput": 12.0 if at else None}
        for at, limit in changes
    )
    return Run("u", "e", "x", 0.0, 10.0, duration, "complete", 1, {}, history)


def test_a_chart_of_the_limit():
    """A surface that grows to the right, above the moves and their reasons."""
    lines = limit_lines(run((0.0, 3), (5.0, 6)), Terminal(width=20))

    assert lines[:12] == [
        "  limit",
        "      6      ██████",
        "             ██████",
        "             ██████",
        "        ███████████",
        "        ███████████",
        "        ███████████",
        "      0 ───────────",
        "        0 s  10.0 s",
        "        throughput, at most 12.0 rows/s",
        "             ██████",
        "",
    ]
    assert lines[12].split() == ["at", "limit", "reason"]
    assert lines[-1] == "  not shown: throug…"


def test_a_chart_in_ascii_and_in_a_pipe():
    """Half-filled places are full or empty; the width is bounded."""
    lines = limit_lines(run((0.0, 1), (5.0, 6)), ASCII)

    assert lines[1] == f"      6 {' ' * 36}{'#' * 36}"
    assert all(line.isascii() for line in lines)


def test_a_run_without_a_known_throughput_has_no_curve_of_it():
    """Nothing is drawn for what was not measured."""
    lines = limit_lines(run((0.0, 2)), WIDE)

    assert not any("throughput, at most" in line for line in lines)


def test_a_limit_that_did_not_move():
    """Fixed strategies have no history."""
    assert "did not move" in limit_lines(run(), WIDE)[0]


def test_no_chart_where_there_is_no_room_for_one():
    """The moves are still listed."""
    lines = limit_lines(run((0.0, 2), duration=0.0), Terminal(width=15))

    assert lines[0] == ""
    assert "limit" in lines[1]
