"""The page of a report: what stands in it, what can not happen in it, how large it gets."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from doteval import Score
from doteval.errors import NotFound
from doteval.metrics import Estimate
from doteval.records import Record, Run, Usage
from doteval.reporting.embedded import (
    BETTER,
    FAILED,
    RIGHT,
    SAME,
    SCORED,
    WORSE,
    WRONG,
    Chunks,
    Texts,
    Verdicts,
    inline_json,
    row_of,
    verdict,
)
from doteval.reporting.gathered import Bounds
from doteval.reporting.html import MARK, report_page
from doteval.reporting.pictures import (
    Histogram,
    Timeline,
    histogram_picture,
    timeline_pictures,
)
from doteval.storage import Store, open_store
from tests.stocked import BEGAN, HOSTILE, recorded, right, stock, wrong

NOW = BEGAN + 1_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that is empty."""
    opened = open_store(tmp_path / "one.db")
    yield opened
    opened.close()


class Page(HTMLParser):
    """
    A page as a browser's parser sees it.

    Attributes:
        tags: each element's name and attributes, in their order.
        scripts: the text of each script, by its class or id, and "" for the one that runs.
        shown: all text outside of scripts and styles.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str, list[str]] = {}
        self.shown = ""
        self._inside = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""
        if tag == "script":
            self._name = dict(attrs).get("class") or dict(attrs).get("id") or ""
            self.scripts.setdefault(self._name, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[self._name][-1] += data
        elif not self._inside:
            self.shown += data

    def rows(self) -> list[list[Any]]:
        """The rows of the table."""
        return [row for part in self.scripts.get("rows", ()) for row in json.loads(part)]

    def texts(self) -> list[list[list[Any]]]:
        """The texts of each row."""
        return [row for part in self.scripts.get("texts", ()) for row in json.loads(part)]


def page(store: Store, *experiments: str, **options: Any) -> Page:
    """The page of a report."""
    names = experiments or ("now",)
    return Page("".join(report_page(store, names, now=NOW, version="1.2", **options)))


# ------------------------------------------------------------------------- what can not happen


def policy(made: Page) -> str:
    """The page's content security policy."""
    found = [
        each["content"]
        for tag, each in made.tags
        if tag == "meta" and each.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(found) == 1 and found[0]
    return found[0]


def test_nothing_but_the_pages_own_script_and_style_is_allowed(store: Store) -> None:
    """They are named by their digests; nothing may be fetched."""
    stock(store, "now", [right(0)])
    made = page(store)
    allowed = policy(made)

    style = re.search("<style>(.*?)</style>", made.source, re.DOTALL)
    assert style
    for source, kind in ((made.scripts[""][0], "script"), (style[1], "style")):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in allowed
    assert allowed.startswith("default-src 'none';")
    assert "unsafe" not in allowed and "http" not in allowed


def test_no_element_names_another_file(store: Store) -> None:
    """Links within the page are all there are, and no element has a style or a handler."""
    stock(store, "now", [right(0)])
    made = page(store)
    for tag, attributes in made.tags:
        assert not {"src", "style", "srcset", "action"} & attributes.keys(), tag
        assert not any(name.startswith("on") for name in attributes), tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_wherever_it_stands(store: Store, text: str) -> None:
    """In names, rows, prompts, answers, errors, scores, headers, histories and reasons."""
    plain = [right(0), recorded(1)]
    stock(store, "now", plain, evaluation="eval_x.py::eval_x")
    stock(store, "base", [wrong(0)], evaluation="eval_x.py::eval_x")
    structure = page(store, baseline="base").tags
    store.delete("now")
    store.delete("base")
    score = Score(text, True, ("accuracy",), {text: text})
    hostile = [
        recorded(0, score, row={text: text}, prompt=text, model_response={text: text}),
        recorded(1, row={text: [text]}, type=text, message=text, traceback=text),
    ]
    name = f"eval_x.py::{text}"
    header = {"strategy": {"name": text, text: text}, "python": text, "commit": text}
    stock(
        store, "now", hostile, evaluation=name, header=header,
        ended={"status": "failed", "error": text},
    )  # fmt: skip
    stock(store, "base", [recorded(0, Score(text, False, ("accuracy",)), row={text: text})],
          evaluation=name)  # fmt: skip

    made = page(store, baseline="base")

    tags = {tag for tag, _ in made.tags}
    assert tags <= {tag for tag, _ in structure} | {"p", "div", "dt", "dd", "small"}
    assert "window.hurt" not in made.source.replace("window.hurt = 1", "", 0).split("<script>")[-1]
    for data in (*made.scripts["rows"], *made.scripts["texts"], *made.scripts["facts"]):
        assert not re.search("[<>&]", data)
        json.loads(data)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ud800-\udfff]",
                         made.source)  # fmt: skip


def test_json_inside_html_can_not_end_its_element() -> None:
    """Nor open a comment, nor be a reference; and it is the same data."""
    value = ["</script><!--<script>", "&lt;", "a\u2028b", 1.5, None, True]

    told = inline_json(value)

    assert not re.search("[<>&]", told)
    assert json.loads(told) == value


def test_a_file_is_known_for_a_report_by_its_beginning(store: Store) -> None:
    """So that an older report may be replaced, and nothing else."""
    assert page_source(store).startswith(MARK.decode("ascii"))


def page_source(store: Store) -> str:
    """The source of a small page."""
    stock(store, "now", [right(0)])
    return page(store).source


# ------------------------------------------------------------------------- what stands in it


def test_scores_stand_with_their_intervals(store: Store) -> None:
    """The figure, its interval as a picture and in words, and the rows it rests on."""
    stock(store, "now", [*map(right, range(8)), *map(wrong, range(8, 10))], total=12)

    made = page(store)

    assert "80.0%" in made.shown and "49.0–94.3%" in made.shown
    assert "8 of 12" not in made.shown and "10 of 12" in made.shown
    assert [each.get("class") for tag, each in made.tags if tag == "svg"].count("interval") == 1
    assert "run it again to resume" in made.shown
    assert "with the failures" not in made.shown  # there are none


def test_what_failures_leave_open_is_told(store: Store) -> None:
    """A figure over those that did not fail is not the whole truth."""
    stock(store, "now", [right(0), right(1), recorded(2), recorded(3)])

    assert "50.0% to 100% with the failures" in page(store).shown


def test_an_evaluation_without_scores_stands_among_those_with_scores(store: Store) -> None:
    """That all of its rows failed is seen where one looks first."""
    stock(store, "now", [right(0)])
    stock(store, "now", [recorded(0)], evaluation="eval_y.py::eval_y")

    scores = page(store).shown.partition("Time, throughput")[0]

    assert "eval_yno row has scores" in scores


def test_numbers_have_no_place_on_a_scale_from_0_to_1(store: Store) -> None:
    """A mean of 250 has an interval in words alone; NaN has none."""
    loss = [
        recorded(n, Score("loss", 100.0 * n, ("mean",)), Score("bad", math.nan, ("mean", "max")))
        for n in range(6)
    ]
    stock(store, "now", loss)

    made = page(store)

    assert "250" in made.shown and "NaN" in made.shown and "nan" not in made.shown
    assert "interval" not in [each.get("class") for tag, each in made.tags if tag == "svg"]
    assert [row[3] for row in made.rows()] == [SCORED] * 6
    assert [row[7] for row in made.rows()][1] == [100.0, "NaN"]


def test_errors_are_counted_by_type(store: Store) -> None:
    """The most frequent first, and the rest together."""
    stock(store, "now", [recorded(n, type=f"Kind{min(n, 20 - n)}Error") for n in range(40)])

    made = page(store)

    assert "Errors by type" in made.shown
    assert "8 other types" in made.shown


def test_circumstances_are_told(store: Store) -> None:
    """Strategy, versions, commit, tokens, cost, attempts, waiting, stale rows."""
    usage = Usage(1_000, 200, 0.25)
    records = [right(n, usage=usage, attempts=2, waited=1.5) for n in range(3)]
    header = {"strategy": {"name": "Adaptive", "initial_concurrency": 2}, "python": "3.11.7",
              "platform": "linux", "commit": "0123456789abcdef"}  # fmt: skip
    stock(store, "now", records, header=header)
    begun = Run(
        "ab" * 16, "now", "tests/eval_x.py::eval_x", BEGAN, None, 0.0, "running", 1, header
    )  # fmt: skip
    number = store.begin(begun)
    store.mark(number, [3], 1)
    ended = {"finished": BEGAN + 1, "status": "stalled", "error": "nothing succeeded"}
    store.end(number, replace(begun, **ended))

    shown = page(store).shown

    for said in (
        "Adaptive", "initial_concurrency=2", "2,000 in", "400 out", "0.5", "waiting 3.00 s",
        "stale", "stalled", "nothing succeeded",
    ):  # fmt: skip
        assert said in shown, said


def test_an_unknown_cost_or_side_is_a_dash(store: Store) -> None:
    """An endpoint may report one count alone."""
    stock(store, "now", [right(0, usage=Usage(5, None, None))])
    made = page(store)

    assert "5 in" in made.shown and "- out" in made.shown
    assert ["f", "tokens in, out", "5, -", 0] in made.texts()[0]


def test_only_what_counts_is_drawn(store: Store) -> None:
    """A run that began anew makes those before it history."""
    stock(store, "now", [wrong(0)])
    stock(store, "now", [right(0, usage=Usage(None, None, 0.5))], fresh=True, began=BEGAN + 900)

    made = page(store)

    assert [row[3] for row in made.rows()] == [RIGHT]
    assert made.shown.count("1 min 40 s") >= 2
    assert ["f", "cost", "0.5", 0] in made.texts()[0]


def test_several_experiments_stand_on_one_page(store: Store) -> None:
    """Each evaluation is called by both names."""
    stock(store, "a", [right(0)])
    stock(store, "b", [wrong(0)])

    made = page(store, "a", "b")

    assert "a · eval_x" in made.shown and "b · eval_x" in made.shown
    assert [row[0] for row in made.rows()] == [1, 0]
    assert ("option", {"value": "1"}) in made.tags


def test_many_evaluations_are_counted(store: Store) -> None:
    """A hundred are shown; three of them open."""
    for number in range(103):
        stock(store, "now", [], evaluation=f"eval_x.py::eval_{number}")

    made = page(store)

    opened = [each for tag, each in made.tags if tag == "details" and "open" in each]
    assert len(opened) == 3
    assert "and 3 other evaluations" in made.shown


def test_an_experiment_that_is_not_there_is_not_found(store: Store) -> None:
    """Nor is a baseline."""
    stock(store, "now", [right(0)])

    with pytest.raises(NotFound, match="'nobody'"):
        page(store, "nobody")
    with pytest.raises(NotFound, match="'nobody'"):
        page(store, baseline="nobody")


def test_an_experiment_without_records_has_a_page(store: Store) -> None:
    """It says what is missing."""
    stock(store, "now", [])

    shown = page(store).shown

    assert "No row has scores yet." in shown and "No records yet." in shown


def test_an_experiment_without_evaluations_has_a_page(store: Store) -> None:
    """As an import may leave one."""
    store.adopt("now", BEGAN, [])

    assert "Nothing was run yet." in page(store).shown


def test_a_date_beyond_the_calendar_is_a_dash(store: Store) -> None:
    """A clock can be wrong by any amount."""
    stock(store, "now", [right(0, started=1e300)], began=1e300)

    assert "-" in page(store).shown


# ------------------------------------------------------------------------- the records


def test_records_that_matter_come_first(store: Store) -> None:
    """Failed and wrong ones, so that a bound never takes them."""
    stock(store, "now", [right(0), wrong(1), recorded(2), right(3)])

    assert [(row[1], row[3]) for row in page(store).rows()] == [
        (1, WRONG),
        (2, FAILED),
        (0, RIGHT),
        (3, RIGHT),
    ]


def test_a_page_holds_no_more_records_than_it_may(store: Store) -> None:
    """It says how many it holds, and its filters count those."""
    stock(store, "now", [*map(right, range(20)), wrong(20)])

    made = page(store, bounds=Bounds(records=5))

    assert [row[1] for row in made.rows()] == [20, 0, 1, 2, 3]
    assert "5 of 21 records are in this file" in made.shown
    assert "all 5" in made.shown and "95.2%" in made.shown


def test_a_page_holds_no_more_text_than_it_may(store: Store) -> None:
    """Each record is sure of its share; each cut is told."""
    long = "x" * 10_000
    stock(store, "now", [right(n, prompt=long, model_response=long) for n in range(10)])

    made = page(store, bounds=Bounds(texts=30_000, longest=8_000))
    size = sum(len(part[2]) for row in made.texts() for part in row)

    assert size <= 30_100
    assert "texts cut to keep this file small" in made.shown
    for row in made.texts():
        for kind, _, shown, more in row:
            if kind in "pa":
                assert len(shown) + more == 10_000
    assert min(sum(len(part[2]) for part in row) for row in made.texts()) >= 600


def test_an_answer_of_10_mb_costs_what_is_shown(store: Store) -> None:
    """It is cut before it is made harmless."""
    stock(store, "now", [right(0, model_response="\x1b" * 10_000_000)])

    made = page(store)

    assert len(made.source) < 400_000
    assert ["a", "answer", "\\x1b" * 50_000, 9_950_000] in made.texts()[0]


def test_a_text_is_as_it_was_stored(store: Store) -> None:
    """Line ends stay, controls are shown; values that are no text are JSON."""
    stock(
        store, "now",
        [right(0, row={"a": "one\ntwo", "b": {"c": [1]}}, prompt="\x1b[1m", model_response="")],
    )  # fmt: skip

    texts = page(store).texts()[0]

    assert texts[0] == ["r", "row: a", "one\ntwo", 0]
    assert texts[1][2] == '{\n  "c": [\n    1\n  ]\n}'
    assert texts[2] == ["p", "prompt", "\\x1b[1m", 0]
    assert texts[3] == ["a", "answer", "", 0]
    assert texts[4:] == [["f", "in flight", "2", 0]]


def test_the_messages_of_a_conversation_stand_one_by_one(store: Store) -> None:
    """Anything else that is a list does not."""
    messages = [{"role": "system", "content": "Be terse."}, {"role": "user", "content": ["a"]}]
    stock(store, "now", [right(0, prompt=messages, model_response=[]), right(1, prompt=[{"a": 1}])])

    first, second = page(store).texts()

    assert [part[1] for part in first][2:5] == ["prompt: system", "prompt: user", "answer"]
    assert [part[1] for part in second][2] == "prompt"


def test_a_failure_tells_all_it_knows(store: Store) -> None:
    """The error first, then row, prompt, answer, traceback, metadata, usage."""
    told = recorded(
        0, type="Refused", message="no", traceback="Traceback: x", error="no", prompt="p",
        model_response="a", metadata={"k": 1}, usage=Usage(1, 2, 0.5), attempts=3, waited=2.0,
    )  # fmt: skip
    stock(store, "now", [told])
    made = page(store)

    assert [part[0] for part in made.texts()[0]] == [*"errpatmffff", "f"]
    assert made.texts()[0][0] == ["e", "Refused", "no", 0]
    assert made.rows()[0][9] == "Refused: no"


def test_what_a_score_noted_can_be_read(store: Store) -> None:
    """Of scores that noted something."""
    noted = [Score("a", True, ("accuracy",), {"got": 4}), Score("b", True, ("accuracy",))]
    stock(store, "now", [recorded(0, *noted)])

    assert [part[1] for part in page(store).texts()[0] if part[0] == "m"] == ["about a"]


def score(value: Any, *metrics: str) -> Score:
    """A score with metrics."""
    return Score("s", value, metrics or ("mean",))


@pytest.mark.parametrize(
    ("scores", "found"),
    [
        ([score(True)], RIGHT),
        ([score(False)], WRONG),
        ([score(True), score(3.5)], RIGHT),
        ([score(True), score(False)], WRONG),
        ([score(0.5)], SCORED),
        ([score(0.0)], SCORED),
        ([score(0.0, "accuracy")], WRONG),
        ([score(1, "accuracy")], RIGHT),
        ([], FAILED),
    ],
)
def test_a_verdict_needs_true_or_false(scores: list[Score], found: int) -> None:
    """All of them decide; numbers alone do not."""
    assert verdict(recorded(0, *scores)) == found


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, True),
        (2**60, "1,152,921,504,606,846,976"),
        (10**40, "huge"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (0.25, 0.25),
        (7, 7),
    ],
)
def test_a_score_in_the_table_is_what_a_script_can_hold(value: Any, shown: Any) -> None:
    """Anything else is a text."""
    assert row_of(recorded(0, score(value)), 0, SAME, ["s", "t"])[7] == [shown, None]


def test_a_preview_is_one_short_line() -> None:
    """Whatever the row and the answer are."""
    record = right(
        0, row={"a": "x  \n" * 1_000, "b": {"c": "y" * 9_000}}, model_response=["z"] * 999
    )
    row = row_of(record._replace(duration=math.inf), 0, SAME, [])

    assert len(row[8]) == 111 and "\n" not in row[8]
    assert len(row[9]) == 111 and row[9].startswith('["z", "z"')
    assert row[5] is None
    assert row_of(right(0), 0, SAME, [])[9] == ""
    assert row_of(right(0, row={"a": 5}), 0, SAME, [])[8] == "5"
    assert row_of(right(0, row={}), 0, SAME, [])[8] == ""


def test_records_come_in_elements_of_moderate_size() -> None:
    """Of 200 records, or fewer that are long."""
    chunks = Chunks()
    few = [chunks.add([n], []) for n in range(450)]
    many = chunks.rest()

    assert [bool(each) for each in few].count(True) == 2
    assert [bool(each) for each in (many, chunks.rest())] == [True, False]
    assert [bool(chunks.add([n], [["x" * 600_000]])) for n in range(4)] == [False, True] * 2


def test_the_floor_of_texts_gives_way_to_the_bound() -> None:
    """A million records have less than 600 characters each."""
    texts = Texts(1_000, 10_000, 5_000)
    sizes = [
        sum(len(part[2]) for part in texts.of(right(n, prompt="x" * 99)) if part[0] != "f")
        for n in range(1_000)
    ]

    assert set(sizes) == {10}
    assert texts.cut > 0


def test_what_fits_is_not_cut() -> None:
    """What a short record leaves of its share is there for a long one, early or late."""
    records = [right(n, prompt="x" * (1_950 if n % 2 else 10)) for n in range(100)]
    texts = Texts(100, 110_000, 50_000)
    for record in records:
        texts.of(record)

    assert texts.cut == 0


# ------------------------------------------------------------------------- the baseline


def test_what_became_of_a_record_is_told() -> None:
    """Right or not decides; what is new, or has numbers alone, did not change."""
    number = recorded(5, score(0.5))
    before = Verdicts([right(0), wrong(1), recorded(2), right(3), wrong(4), number])

    changes = [before.change(each) for each in (
        wrong(0), right(1), right(2), recorded(3), recorded(4), right(5), right(6),
        recorded(5, score(0.1)), right(0)._replace(repeat=1),
    )]  # fmt: skip

    assert changes == [WORSE, BETTER, BETTER, WORSE, SAME, SAME, SAME, SAME, SAME]


def test_a_page_shows_what_the_baseline_answered(store: Store) -> None:
    """For the records whose verdict changed, whether it answered, failed or said nothing."""
    stock(store, "base", [
        right(0, model_response="B0"), wrong(1, model_response="B1"), recorded(2), right(3),
        right(4, model_response="B4"),
    ])  # fmt: skip
    stock(store, "now", [wrong(0, model_response="N0"), right(1), right(2), wrong(3), right(4)])

    made = page(store, baseline="base")
    before = {
        row[1]: [part[2] for part in texts if part[0] == "b"]
        for row, texts in zip(made.rows(), made.texts(), strict=True)
    }

    assert before == {0: ["B0"], 1: ["B1"], 2: ["ValueError: no"], 3: [""], 4: []}
    assert {row[1]: row[4] for row in made.rows()} == {
        0: WORSE, 1: BETTER, 2: BETTER, 3: WORSE, 4: SAME,
    }  # fmt: skip
    assert [part[0] for part in made.texts()[0]][:4] == ["r", "r", "a", "b"]
    for said in ("flipped 4", "worse ▼ 2", "better ▲ 2", "compared with base", "pp"):
        assert said in made.shown, said


def test_a_difference_has_its_interval_and_verdict(store: Store) -> None:
    """And a line in the picture where the baseline was."""
    stock(store, "base", map(right, range(40)))
    stock(store, "now", [*map(wrong, range(20)), *map(right, range(20, 40))])

    made = page(store, baseline="base")

    assert "-50.0 pp" in made.shown and "regression" in made.shown
    assert ("path", {"class": "base", "d": "M100.00 0V18"}) in made.tags


def test_experiments_with_nothing_in_common_are_not_compared(store: Store) -> None:
    """The page says why, and shows the rest."""
    stock(store, "base", [right(0)])
    stock(store, "now", [right(1)])

    made = page(store, baseline="base")

    assert "not compared: " in made.shown and "no row in common" in made.shown
    assert "100%" in made.shown


def test_evaluations_that_one_side_lacks_are_named(store: Store) -> None:
    """On either side; an experiment is not compared with itself."""
    stock(store, "base", [right(0)])
    stock(store, "base", [right(0)], evaluation="eval_y.py::eval_gone")
    stock(store, "now", [right(0)])
    stock(store, "now", [recorded(1, score(math.nan))], evaluation="eval_z.py::eval_new")

    made = page(store, "base", "now", baseline="base")

    assert "only in the baseline: eval_y.py::eval_gone" in made.shown
    assert "only in 'now': eval_z.py::eval_new" in made.shown


# ------------------------------------------------------------------------- pictures


def ran(began: float, finished: float | None, *history: tuple[float, int]) -> Run:
    """A run, with the moves of its limit."""
    moves = tuple({"at": at, "limit": limit} for at, limit in history)
    return Run("ab", "x", "y", began, finished, 0.0, "complete", 1, {}, moves)


def at(started: float, duration: float, **changes: Any) -> Record:
    """A record of that time."""
    return right(0, started=started, duration=duration, **changes)


def test_a_timeline_adds_up_what_was_in_flight() -> None:
    """In flight is seconds of attempts per second; finished are counted where they end."""
    timeline = Timeline([ran(0.0, 24.0)], 10)
    for record in (at(0.0, 24.0), at(6.0, 12.0), at(2.25, 0.5)):
        timeline.add(record)

    assert timeline.in_flight[0] == pytest.approx(1)
    assert timeline.in_flight[2] == pytest.approx(1.5)
    assert timeline.in_flight[6:18] == pytest.approx([2] * 12)
    assert sum(timeline.in_flight) == pytest.approx(36.5)
    assert sum(timeline.per_second) == pytest.approx(3)
    assert not any(timeline.failures)


def test_a_timeline_leaves_pauses_out() -> None:
    """A run that was resumed a week later took as long as it worked."""
    timeline = Timeline([ran(100.0, 110.0), ran(5_000.0, 5_014.0), ran(105.0, 108.0)], 10)

    assert timeline.seconds == 24
    assert timeline.pauses() == [10]
    assert [timeline.at(moment) for moment in (0, 104, 1_000, 5_002, 9_999)] == [0, 4, 10, 12, 24]


def test_a_run_that_died_lasted_as_long_as_its_records() -> None:
    """It left no time of its end."""
    dead = ran(100.0, None, (0.0, 2), (1.0, 4))

    assert Timeline([dead], 10, 130.0).seconds == 30
    assert Timeline([dead], 10).seconds == 0
    assert Timeline([dead], 10, 130.0).limits() == [[(0, 2), (1, 4), (30, 4)]]
    assert Timeline([dead], 10).limits() == [[(0, 2), (0, 4), (0, 4)]]


def test_a_timeline_of_nothing_draws_nothing() -> None:
    """No run, or runs without any length."""
    for timeline in (Timeline([], 10), Timeline([ran(1.0, 1.0)], 10)):
        timeline.add(at(1.0, 1.0))

        assert timeline_pictures(timeline) == ""


def test_pictures_say_in_words_what_they_show() -> None:
    """For those who do not see them."""
    timeline = Timeline([ran(0.0, 10.0, (0.0, 2), (5.0, 8)), ran(50.0, 60.0)], 10)
    timeline.add(at(1.0, 4.0))
    timeline.add(recorded(1, started=52.0, duration=3.0))

    drawn = Page(timeline_pictures(timeline))
    labels = [each["aria-label"] for tag, each in drawn.tags if tag == "svg"]

    assert labels[0] == "In flight and its limit: mean 0.4, at most 1; limit from 2 to 8"
    assert labels[1] is not None and labels[1].startswith(
        "Rows finished per second, failures in red"
    )
    classes = [each.get("class") for tag, each in drawn.tags if tag == "path"]
    assert classes == ["area", "limit", "pause", "area", "failures", "pause"]


def test_a_limit_that_did_not_move_is_not_drawn() -> None:
    """Only Adaptive's does."""
    timeline = Timeline([ran(0.0, 10.0)], 3_000)
    for n in range(3_000):
        timeline.add(at(n / 300, 0.05))

    drawn = Page(timeline_pictures(timeline))

    assert "its limit" not in drawn.shown and "mean 15, at most 15" in drawn.shown
    assert "mean 300/s" in drawn.shown


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-7, 0.003, 1.0, 1e5, 1e9, math.inf])
def test_any_latency_has_its_bar(seconds: float) -> None:
    """The extremes at the edges."""
    histogram = Histogram()
    histogram.add(seconds)
    counts, edges = histogram.bars()

    assert sum(counts) == 1
    assert len(edges) == len(counts) + 1 == 17
    if 1e-5 < seconds < 1e5:
        where = counts.index(1)
        assert edges[where] <= seconds <= edges[where + 1]


def test_a_histogram_is_as_fine_as_its_width_allows() -> None:
    """At most 32 bars, whatever the range."""
    narrow, wide = Histogram(), Histogram()
    for n in range(1_000):
        narrow.add(1 + n / 10_000)
        wide.add(10 ** (n / 100 - 5))

    assert len(narrow.bars()[0]) == 16
    assert len(wide.bars()[0]) <= 32
    assert sum(wide.bars()[0]) == sum(narrow.bars()[0]) == 1_000


def test_a_histogram_marks_the_percentiles() -> None:
    """Where they are known."""
    histogram = Histogram()
    assert histogram_picture(histogram, None, None) == ""
    for n in range(100):
        histogram.add(0.1 + n / 100)

    drawn = Page(histogram_picture(histogram, 0.6, 99.0))
    marks = [each["d"] for tag, each in drawn.tags if each.get("class") == "mark"]

    assert "p50 0.60 s, p95 1 min 39 s" in drawn.shown
    assert len(marks) == 2 and marks[1] == "M600 0V100"
    assert "p50" not in histogram_picture(histogram, None, None)


def test_estimates_beside_the_scale_have_no_picture(store: Store) -> None:
    """An interval needs its ends."""
    stock(store, "now", [recorded(0, Score("s", 0.5, ("mean",)))])
    made = page(store)

    assert "interval" not in [each.get("class") for tag, each in made.tags if tag == "svg"]
    assert Estimate(0.5, 1).low is None


def test_a_difference_that_nothing_is_known_of_stands_alone(store: Store) -> None:
    """An extreme has no interval."""
    for name, value in (("base", 1.0), ("now", 3.0)):
        stock(store, name, [recorded(n, Score("s", value + n, ("max",))) for n in range(5)])

    made = page(store, baseline="base")

    assert "+2not judged" in made.shown
