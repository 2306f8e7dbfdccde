"""
The page of a report: what data stands in it, what can not happen in it, how large it gets.

How it looks and works is tested in a browser: tests/browser.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from doteval import Score
from doteval.errors import NotFound, UsageError
from doteval.record import Record, Run, Usage
from doteval.reporting.compare import compare
from doteval.reporting.details import FAILED, RIGHT, SCORED, WRONG, verdict
from doteval.reporting.noise import spreads
from doteval.reporting.people import Labels
from doteval.reporting.summary import summarise
from doteval.storage import Store, open_store
from doteval.views.bins import Histogram, Timeline
from doteval.views.excerpts import (
    Columns,
    Slices,
    Texts,
    Verdicts,
    answer_of,
    parts_of,
    row_of,
)
from doteval.views.page import MARK, Bounds, inline_json, report_page
from tests.stocked import BEGAN, EVALUATION, HOSTILE, recorded, right, stock, wrong

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
        shown: all text outside of scripts and styles, which is for who runs no scripts.
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

    @property
    def facts(self) -> dict[str, Any]:
        """What the page knows beside its records."""
        (told,) = self.scripts["facts"]
        return dict(json.loads(told))

    @property
    def notes(self) -> str:
        """What stands above all else, together."""
        return "\n".join(self.facts["notes"])

    def part(self, at: int = 0) -> dict[str, Any]:
        """An evaluation on the page."""
        return dict(self.facts["parts"][at])

    def befores(self) -> dict[int, tuple[Any, list[list[Any]]]]:
        """What the baseline has of each record: the scores, and what was answered."""
        names = ("marks", "befores")
        marks, told = (
            [each for part in self.scripts.get(name, ()) for each in json.loads(part)]
            for name in names
        )
        return {at: (values, parts) for (at, values), parts in zip(marks, told, strict=True)}

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
    structure = {tag for tag, _ in page(store, baseline="base").tags}
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

    assert {tag for tag, _ in made.tags} == structure
    assert "window.hurt" not in made.source.split("<script>")[-1]
    names = ("rows", "texts", "marks", "befores", "facts")
    for data in (data for name in names for data in made.scripts[name]):
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


def test_who_runs_no_scripts_reads_the_figures(store: Store) -> None:
    """As the command line shows them; the table of records is what needs a script."""
    stock(store, "base", map(right, range(10)))
    stock(store, "now", [*map(right, range(8)), *map(wrong, range(8, 10))], total=12)

    shown = page(store, baseline="base").shown

    for said in ("80%", "44–97%", "10 of 12 scored", "base → now", "-20 pp", "JavaScript"):
        assert said in shown, said


def test_a_page_tells_what_repeats_tell(store: Store) -> None:
    """The figures of `show --noise`, with what twice the rows or repeats would buy; in text too."""
    flips = (at == 0 or (at < 6 and repeat) for at in range(12) for repeat in range(2))
    stock(store, "now", [(right if each else wrong)(at // 2, repeat=at % 2)
                         for at, each in enumerate(flips)])  # fmt: skip

    made = page(store)

    (found,) = spreads(store, ("now", EVALUATION))
    (told,) = made.part()["noise"]
    plans = {(each["rows"], each["repeats"]): each["half_width"] for each in found.plans()}
    assert told["half_widths"] == [plans[12, 2], plans[24, 2], plans[12, 4]]
    assert (told["flaky"], told["rows"]) == (found.noise.flaky, 12) == (5, 12)
    assert told["flips"] == round(12 * found.noise.flips, 1)
    assert "5 rows flaky (41.7%)" in made.shown


def test_a_page_holds_a_judge_against_people(store: Store, tmp_path: Path) -> None:
    """As `show --labels`; a file that fits no score is refused."""
    stock(store, "now", map(right, range(20)))
    said = tmp_path / "people.csv"
    said.write_text("question,exact\n" + "".join(f"question {n},{n > 4}\n" for n in range(20)))

    made = page(store, people=Labels(said))

    people = Labels(said)
    known = summarise(store, "now", EVALUATION, people=people).to_dict()["scores"]["exact"]
    assert made.part()["summary"]["scores"]["exact"] == json.loads(json.dumps(known))
    assert known["agreement"]["value"] == 0.75
    said.write_text("question,other,kind\nquestion 1,True,x\n")
    with pytest.raises(UsageError, match="no column is named as a score"):
        page(store, people=Labels(said))


def test_a_page_has_the_summary_of_each_evaluation(store: Store) -> None:
    """As `show --json` prints it, and the header of the last run."""
    header = {"python": "3.11.7", "platform": "linux", "commit": "0123456789abcdef", "x": 1}
    stock(store, "now", [right(0), right(1), recorded(2)], header=header)

    part = page(store).part()

    known = json.loads(json.dumps(summarise(store, "now", EVALUATION).to_dict()))
    assert part["summary"] == known
    assert part["summary"]["bounds"] == {"exact": {"accuracy": [2 / 3, 1.0]}}
    told = {name: header[name] for name in ("python", "platform", "commit")}
    assert part["header"] == {**told, "branch": None, "clean": None}
    assert part["called"] == part["short"] == "eval_x"
    assert part["timeline"]["seconds"] == 100
    assert sum(part["latencies"]["counts"]) == 3


def test_figures_that_json_lacks_are_texts(store: Store) -> None:
    """NaN, infinities and integers beyond those of a script."""
    loss = [
        recorded(n, Score("bad", math.nan, ("mean",)), Score("far", math.inf, ("max",)),
                 Score("big", 10**400, ("min",)))
        for n in range(3)
    ]  # fmt: skip
    stock(store, "now", loss)

    made = page(store)
    scores = made.part()["summary"]["scores"]

    assert scores["bad"]["mean"]["value"] == "NaN"
    assert scores["far"]["max"]["value"] == "∞"
    assert [row[3] for row in made.rows()] == [SCORED] * 3
    assert made.rows()[0][6] == ["NaN", "∞", "huge"]


def test_only_what_counts_is_drawn(store: Store) -> None:
    """A run that began anew makes those before it history."""
    stock(store, "now", [wrong(0)])
    stock(store, "now", [right(0, usage=Usage(None, None, 0.5))], fresh=True, began=BEGAN + 900)

    made = page(store)

    assert [row[3] for row in made.rows()] == [RIGHT]
    assert made.part()["timeline"]["seconds"] == made.part()["summary"]["duration"] == 100
    assert ["f", "cost", "0.5", 0] in made.texts()[0]


def test_several_experiments_stand_on_one_page(store: Store) -> None:
    """Each evaluation is called by both names, and each record tells whose it is."""
    stock(store, "a", [right(0)])
    stock(store, "b", [wrong(0)])

    made = page(store, "a", "b")

    assert [part["called"] for part in made.facts["parts"]] == ["a · eval_x", "b · eval_x"]
    assert [part["short"] for part in made.facts["parts"]] == ["eval_x", "eval_x"]
    assert made.facts["names"] == [f"a · {EVALUATION}", f"b · {EVALUATION}"]
    assert [row[0] for row in made.rows()] == [1, 0]


def test_many_evaluations_are_counted(store: Store) -> None:
    """A hundred are shown one by one; of the others there are the names."""
    for number in range(103):
        stock(store, "now", [], evaluation=f"eval_x.py::eval_{number}")

    parts = page(store).facts["parts"]

    assert ["summary" in part for part in parts] == [True] * 100 + [False] * 3
    assert parts[102] == {"called": "eval_102"}


def test_an_experiment_that_is_not_there_is_not_found(store: Store) -> None:
    """Nor is a baseline."""
    stock(store, "now", [right(0)])

    with pytest.raises(NotFound, match="'nobody'"):
        page(store, "nobody")
    with pytest.raises(NotFound, match="'nobody'"):
        page(store, baseline="nobody")


def test_an_experiment_without_records_has_a_page(store: Store) -> None:
    """Nor need there be an evaluation, as an import may leave it."""
    stock(store, "now", [])
    store.adopt("empty", BEGAN, [])

    assert page(store).rows() == []
    assert page(store).part()["timeline"] is not None
    assert page(store).part()["latencies"] is None
    assert page(store, "empty").facts["parts"] == []
    assert "Nothing was run yet." in page(store, "empty").shown


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
    assert "5 of 21 records are in this file" in made.notes
    assert made.part()["summary"]["scored"] == 21 and "95%" in made.shown
    assert sum(made.part()["latencies"]["counts"]) == 21


def test_a_page_holds_no_more_text_than_it_may(store: Store) -> None:
    """Each record is sure of its share; each cut is told."""
    long = "x" * 10_000
    stock(store, "now", [right(n, prompt=long, model_response=long) for n in range(10)])

    made = page(store, bounds=Bounds(texts=30_000, longest=8_000))
    size = sum(len(part[2]) for row in made.texts() for part in row)

    assert size <= 30_100
    assert "texts cut to keep this file small" in made.notes
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
        [right(0, row={"a": "one\ntwo", "b": {"c": [1]}}, prompt="\x1b[1m", model_response="",
               usage=Usage(7, None, None))],
    )  # fmt: skip

    texts = page(store).texts()[0]

    assert texts[0] == ["a", "answer", "", 0]
    assert texts[1] == ["p", "prompt", "\\x1b[1m", 0]
    assert texts[2] == ["r", "a", "one\ntwo", 0]
    assert texts[3] == ["r", "b", '{\n  "c": [\n    1\n  ]\n}', 0]
    assert texts[4:] == [["f", "tokens in, out", "7, -", 0], ["f", "in flight", "2", 0]]


def test_the_messages_of_a_conversation_stand_one_by_one(store: Store) -> None:
    """By role, blocks of text as texts, what else there is as JSON; another list is no message."""
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}
    blocks = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": PNG}}]
    messages = [{"role": "system", "content": "Be terse."}, {"role": "user", "content": blocks}]
    stock(store, "now", [
        right(0, prompt=messages, model_response=[call]),
        right(1, prompt=[{"a": 1}], model_response=[]),
    ])  # fmt: skip

    first, second = page(store).texts()

    assert [part[:2] for part in first][:4] == [
        ["A", "assistant"], ["P", "system"], ["P", "user"], ["i", "user"],
    ]  # fmt: skip
    assert json.loads(first[0][2]) == {"tool_calls": [{"id": 1}]}
    assert first[2][2] == "Look:\n\n<png, 93 bytes>"
    assert [part[:2] for part in second][:2] == [["a", "answer"], ["p", "prompt"]]


PNG = "data:image/png;base64,iVBORw0KGgo" + "A" * 114


def test_images_are_images_within_a_bound(store: Store) -> None:
    """However they were stored; a text that only looks like one stays a text."""
    jpeg = "/9j/" + "B" * 400
    row = {"scan": {"base64": jpeg}, "url": f"![]({PNG})", "path": "/9j/x", "word": "RIFF" * 40}
    stock(store, "now", [right(0, row=row, model_response="R0lGOD" + "C" * 900)])

    made = page(store)
    images = [part[1:3] for part in made.texts()[0] if part[0] == "i"]
    bounded = page(store, bounds=Bounds(texts=600))

    assert images == [
        ["answer", "data:image/gif;base64,R0lGOD" + "C" * 900],
        ["scan", f"data:image/jpeg;base64,{jpeg}"],
        ["url", PNG],
    ]
    assert ["r", "url", "![](<png, 93 bytes>)", 0] in made.texts()[0]
    assert made.rows()[0][7].startswith("<jpeg, 303 bytes> · ![](<png, 93 bytes>) · RIFF")
    assert made.rows()[0][10].startswith("<gif ")
    assert [part[1] for part in bounded.texts()[0] if part[0] == "i"] == ["scan", "url"]


def test_a_failure_tells_all_it_knows(store: Store) -> None:
    """The error first, then answer, prompt, row, traceback, metadata, usage."""
    told = recorded(
        0, type="Refused", message="no", traceback="Traceback: x", error="no", prompt="p",
        model_response="a", metadata={"k": 1}, usage=Usage(1, None, 0.5), attempts=3, waited=2.0,
    )  # fmt: skip
    stock(store, "now", [told])
    made = page(store)

    assert [part[0] for part in made.texts()[0]] == [*"eaprrtmffff", "f"]
    assert made.texts()[0][0] == ["e", "Refused", "no", 0]
    assert ["f", "tokens in, out", "1, -", 0] in made.texts()[0]
    assert made.rows()[0][10] == "Refused: no"


def test_what_was_expected_has_a_cell_and_stands_first() -> None:
    """Equal ones once; the column of the row that holds it is not said twice."""
    scores = [Score("a", True, ("accuracy",), {"expected": "4", "result": "four"}),
              Score("b", True, ("accuracy",), {"expected": "4"}),
              Score("c", 0.5, ("mean",), {"expected": ["4", "IV"]})]  # fmt: skip
    record = recorded(0, *scores, row={"question": "2 + 2", "answer": "4"}, model_response="four")

    assert row_of(record, 0, [], [])[7:10] == ["2 + 2", [], '4 · ["4", "IV"]']
    assert list(parts_of(record))[:3] == [
        ("x", "expected", "4"), ("x", "expected by c", ["4", "IV"]), ("a", "answer", "four"),
    ]  # fmt: skip
    held = recorded(0, Score("label", False, ("accuracy",), None, expected="yes"), row={"q": "x"})
    assert row_of(held, 0, [], [])[9] == "yes"
    assert [part[1] for part in parts_of(record) if part[0] == "m"] == []


def test_what_a_score_noted_can_be_read() -> None:
    """Reasoning as a text, the rest as JSON; an argument that is the answer is not repeated."""
    long = "word " * 400
    kept = {
        "result": f"{long[:1000]}… (2,000 characters)",
        "verdict": "GOOD",
        "why": "It is\nshort.",
    }
    record = recorded(0, Score("judge", True, ("accuracy",), kept), Score("b", 1.0),
                      model_response=long)  # fmt: skip

    noted = [part for part in parts_of(record) if part[0] in "jm"]

    assert noted == [
        ("j", "judge: why", "It is\nshort."),
        ("m", "about judge", {"verdict": "GOOD"}),
    ]
    other = recorded(0, Score("a", True, ("accuracy",), {"result": "4"}), model_response="four")
    assert ("m", "about a", {"result": "4"}) in parts_of(other)


def test_short_columns_have_cells_of_their_own() -> None:
    """At most two, never all of them, none that few rows have, and none that is expected."""
    columns = Columns()
    for n in range(10):
        expects = Score("s", True, ("accuracy",), {"expected": "yes"})
        row = {"q": "x" * n * 5, "level": n, "kind": "hard", "on": True, "is": "yes", "l": [n]}
        columns.add(recorded(n, expects, row={**row, f"only {n}": n}))
    short = Columns()
    for n in range(100):
        short.add(right(n, row={"a": n, f"b{n}": 1}))

    assert columns.short() == ["level", "kind"]
    assert short.short() == []
    record = right(0, row={"q": "x", "level": 2, "kind": True})
    assert row_of(record, 0, [], ["level", "kind", "gone"])[7:9] == ["x", [2, "true", ""]]


def test_slices_are_counted_by_the_values_that_many_rows_share() -> None:
    """
    The mean of each score by value; what tells rows apart, or is long, is no slice, and neither is
    a column with one value. Failures and NaN count nowhere.
    """
    slices = Slices()
    for n in range(40):
        row = {"n": n, "text": "x" * 17, "level": ("easy", "hard")[n % 2], "one": 1, "on": n > 19}
        scores = score(n % 4 == 0), Score("odd", float("nan") if n % 2 else 2, ("mean",))
        slices.add(recorded(n, *scores, row=row))
    slices.add(recorded(40, row={"level": "easy"}))

    found = slices.to_dict()

    assert set(found) == {"level", "on"}
    assert found["level"] == [
        ["easy", {"s": [20, 0.5], "odd": [20, 2.0]}],
        ["hard", {"s": [20, 0.0]}],
    ]
    assert [value for value, _ in found["on"]] == ["false", "true"]


def test_slices_are_looked_for_in_the_first_columns_alone() -> None:
    slices = Slices()
    for n in range(4):
        slices.add(recorded(n, score(True), row={f"c{at}": n % 2 for at in range(49)} | {"id": n}))
        slices.add(recorded(n, score(True), row={f"d{at}": n % 2 for at in range(9)}))

    assert len(slices.to_dict()) == 49  # the id tells each row from the others


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
        ("a\x1blabel", "a\\x1blabel"),
    ],
)
def test_a_score_in_the_table_is_what_a_script_can_hold(value: Any, shown: Any) -> None:
    """Anything else is a text that does no harm."""
    assert row_of(recorded(0, score(value)), 0, ["s", "t"], [])[6] == [shown, None]


def test_a_preview_is_one_short_line() -> None:
    """Whatever the row and the answer are."""
    record = right(
        0, row={"a": "x  \n" * 1_000, "b": {"c": "y" * 9_000}}, model_response=["z"] * 999
    )
    row = row_of(record._replace(duration=math.inf), 0, [], [])

    assert len(row[7]) == 111 and "\n" not in row[7]
    assert len(row[10]) == 111 and row[10].startswith('["z", "z"')
    assert row[4] is None
    assert answer_of(right(0)) == ""
    assert row_of(right(0, row={"a": 5}), 0, [], [])[7] == "5"
    assert row_of(right(0, row={}), 0, [], [])[7] == ""


def test_records_come_in_elements_of_moderate_size(store: Store) -> None:
    """Of 200 records, or fewer that are long."""
    stock(store, "now", map(right, range(450)))
    stock(store, "long", [right(n, prompt="x" * 600_000) for n in range(4)])

    small, large = page(store), page(store, "long", bounds=Bounds(longest=2**20))

    assert [len(json.loads(part)) for part in small.scripts["rows"]] == [200, 200, 50]
    assert [len(json.loads(part)) for part in large.scripts["texts"]] == [2, 2]


def test_the_floor_of_texts_gives_way_to_the_bound() -> None:
    """A million records have less than 600 characters each."""
    texts = Texts(1_000, 10_000, 5_000)
    sizes = [
        sum(
            len(part[2]) for part in texts.of(parts_of(right(n, prompt="x" * 99))) if part[0] != "f"
        )
        for n in range(1_000)
    ]

    assert set(sizes) == {10}
    assert texts.cut > 0


def test_what_fits_is_not_cut() -> None:
    """What a short record leaves of its share is there for a long one, early or late."""
    records = [right(n, prompt="x" * (1_950 if n % 2 else 10)) for n in range(100)]
    texts = Texts(100, 110_000, 50_000)
    for record in records:
        texts.of(parts_of(record))

    assert texts.cut == 0


# ------------------------------------------------------------------------- the baseline


def test_a_record_is_news_where_its_verdict_changed() -> None:
    """What is new did not change; which row and which repeat decide."""
    number = recorded(5, score(0.5))
    before = Verdicts([right(0), wrong(1), recorded(2), right(3), number])

    differ = [before.differ(each) for each in (
        wrong(0), right(1), right(2), right(3), recorded(5, score(0.1)), right(6),
        wrong(0)._replace(repeat=1),
    )]  # fmt: skip

    assert differ == [True, True, True, False, False, False, False]


def test_a_page_knows_what_the_baseline_answered(store: Store) -> None:
    """Its scores, or that it failed; and what it said, unless that is the same."""
    stock(store, "base", [
        right(0, model_response="B0"), wrong(1, model_response="B1"), recorded(2), right(3),
        right(4, model_response="B4"), right(5, model_response="5"), right(6),
    ])  # fmt: skip
    stock(store, "now", [wrong(0, model_response="N0"), right(1), right(2), wrong(3), right(4),
                         right(5, model_response="5"), right(7)])  # fmt: skip

    made = page(store, baseline="base")
    befores = made.befores()
    before = {made.rows()[at][1]: told for at, told in befores.items()}

    assert before == {
        0: ([True], [["a", "answer", "B0", 0]]), 1: ([False], [["a", "answer", "B1", 0]]),
        2: (0, [["e", "ValueError", "no", 0]]), 3: ([True], []),
        4: ([True], [["a", "answer", "B4", 0]]), 5: ([True], []),
    }  # fmt: skip


def test_the_comparison_is_what_compare_says(store: Store) -> None:
    """So that the page and the command line count alike."""
    stock(store, "base", map(right, range(40)))
    stock(store, "now", [*map(wrong, range(20)), *map(right, range(20, 40))])

    facts = page(store, baseline="base").facts

    told = compare("base", "now", storage=store, examples=0).to_dict()
    assert facts["comparisons"] == [json.loads(json.dumps(told))]
    assert told["evaluations"][0]["scores"][0]["worse"] == 20
    assert [each["experiment"] for each in facts["before"]] == ["base"]
    assert facts["baseline"] == "base"


def test_experiments_with_nothing_in_common_are_not_compared(store: Store) -> None:
    """The page says why, and shows the rest."""
    stock(store, "base", [right(0)])
    stock(store, "now", [right(1)])

    made = page(store, baseline="base")

    assert "not compared: " in made.notes and "no row in common" in made.notes
    assert "100%" in made.shown


def test_evaluations_that_one_side_lacks_are_named(store: Store) -> None:
    """On either side; an experiment is not compared with itself."""
    stock(store, "base", [right(0)])
    stock(store, "base", [right(0)], evaluation="eval_y.py::eval_gone")
    stock(store, "now", [right(0)])
    stock(store, "now", [recorded(1, score(math.nan))], evaluation="eval_z.py::eval_new")

    made = page(store, "base", "now", baseline="base")

    assert "only in the baseline: eval_y.py::eval_gone" in made.notes
    assert "only in 'now': eval_z.py::eval_new" in made.notes


# ------------------------------------------------------------------------- bins


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

        assert timeline.to_dict() is None


def test_a_timeline_is_plain_data() -> None:
    """Of bins, moves of the limit, and pauses."""
    timeline = Timeline([ran(0.0, 10.0, (0.0, 2), (5.0, 8)), ran(50.0, 60.0)], 10)
    timeline.add(at(1.0, 4.0))
    timeline.add(recorded(1, started=52.0, duration=3.0))

    told = timeline.to_dict()

    assert told is not None
    assert told["seconds"] == 20 and told["pauses"] == [10]
    assert told["limits"] == [[(0, 2), (5, 8), (10, 8)]]
    assert sum(told["in_flight"]) * 20 / 24 == pytest.approx(7)
    assert sum(told["failures"]) * 20 / 24 == pytest.approx(1)


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


def test_a_histogram_of_nothing_is_nothing() -> None:
    """Else it says how far apart its labels may stand."""
    histogram = Histogram()
    assert histogram.to_dict() is None
    histogram.add(1.0)

    told = histogram.to_dict()
    assert told is not None and told["every"] == 8 and sum(told["counts"]) == 1


def test_a_histogram_is_as_fine_as_its_width_allows() -> None:
    """At most 32 bars, whatever the range."""
    narrow, wide = Histogram(), Histogram()
    for n in range(1_000):
        narrow.add(1 + n / 10_000)
        wide.add(10 ** (n / 100 - 5))

    assert len(narrow.bars()[0]) == 16
    assert len(wide.bars()[0]) <= 32
    assert sum(wide.bars()[0]) == sum(narrow.bars()[0]) == 1_000
