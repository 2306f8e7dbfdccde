"""An experiment for other programs: spreadsheets, CI, GitHub's pages."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doteval import Score
from doteval.errors import NotFound
from doteval.record import Usage
from doteval.reporting.documents import csv_pieces, json_pieces, junit_pieces, markdown_pieces
from doteval.storage import Store, open_store
from tests.stocked import HOSTILE, recorded, right, stock, wrong


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that is empty."""
    opened = open_store(tmp_path / "one.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("pieces", [csv_pieces, json_pieces, junit_pieces, markdown_pieces])
def test_an_experiment_that_is_not_there_is_not_found(store: Store, pieces: Any) -> None:
    """Whatever it should become."""
    with pytest.raises(NotFound, match="'nobody'"):
        list(pieces(store, "nobody"))


# ------------------------------------------------------------------------- CSV


def table(store: Store) -> list[dict[str, str]]:
    """The records of "now" as a program reads them from CSV."""
    source = "".join(csv_pieces(store, "now"))
    return list(csv.DictReader(io.StringIO(source, newline="")))


def test_a_record_is_a_line(store: Store) -> None:
    """With its row, its scores, its texts and its figures in columns."""
    answered = right(0, prompt="p", model_response="a", metadata={"k": [1]}, usage=Usage(1, 2, 0.5))
    told = recorded(1, error="no", prompt="p1", type="error")
    stock(store, "now", [answered, recorded(2, message="down"), told])

    first, second, third = table(store)

    assert first == {
        "evaluation": "tests/eval_x.py::eval_x", "position": "0", "repeat": "0", "verdict": "right",
        "score.exact": "True", "row.question": "question 0", "row.answer": "0", "unread": "",
        "error": "",
        "message": "", "prompt": "p", "model_response": "a", "metadata": '{"k": [1]}',
        "attempts": "1", "started": "1760000000.0", "duration": "0.5", "waited": "0.0",
        "concurrency": "2", "input_tokens": "1", "output_tokens": "2", "cost": "0.5", "other": "",
    }  # fmt: skip
    assert (second["error"], second["message"], second["score.exact"]) == ("ValueError", "down", "")
    assert (third["error"], third["prompt"], third["verdict"]) == ("error", "p1", "failed")


def test_columns_are_those_of_all_evaluations(store: Store) -> None:
    """What a row has beside them stands in the last one."""
    stock(store, "now", [right(0)], header={"columns": ["question", "answer"]})
    stock(store, "now", [right(0, row={"n": 1}), right(1, row={"n": 2, "new": 3})],
          evaluation="eval_y.py::eval_y", header={"columns": []})  # fmt: skip

    lines = table(store)

    assert [each["row.n"] for each in lines] == ["", "1", "2"]
    assert [each["other"] for each in lines] == ["", "", '{"new": 3}']


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\n=1", "  =1", "\u00a0=1", "\uff1d1",
        "\uff0b1", "\uff0d1", "\uff20x", '=HYPERLINK("http://x","y")', "-", "+a",
    ],
)  # fmt: skip
def test_a_formula_is_text(store: Store, text: str) -> None:
    """In rows, prompts, answers, names and errors."""
    stock(store, "now", [
        right(0, row={"a": text}, prompt=text, model_response=text),
        recorded(1, row={"a": 1}, type=text, message=text),
    ], evaluation=text)  # fmt: skip

    first, second = table(store)

    for value in (first["row.a"], first["prompt"], first["model_response"], first["evaluation"],
                  second["error"], second["message"]):  # fmt: skip
        assert value == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+0.5", "-1.5e-7", "a=1", "", "5-3", "plain"])
def test_what_is_no_formula_stays(store: Store, text: str) -> None:
    """Negative numbers among them."""
    stock(store, "now", [right(0, model_response=text)])

    assert table(store)[0]["model_response"] == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\r=1", "\\r=1"),
        ("\x00=1", "\\x00=1"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\ud800", "\\ud800"),
        ("a\u202eb", "a\\u202eb"),
        ('say "a", b', 'say "a", b'),
        ("one\ntwo", "one\ntwo"),
    ],
)
def test_controls_are_shown_and_lines_stay(store: Store, text: str, shown: str) -> None:
    """A cell holds any text, and a terminal bears the file."""
    stock(store, "now", [right(0, model_response=text)])

    assert table(store)[0]["model_response"] == shown


def test_numbers_are_not_rounded(store: Store) -> None:
    """Whatever their size; NaN is NaN."""
    odd = [Score("a", 0.1 + 0.2), Score("b", 2**70), Score("c", math.nan), Score("d", -math.inf)]
    stock(store, "now", [recorded(0, *odd)])

    line = table(store)[0]

    assert [line[f"score.{name}"] for name in "abcd"] == [
        "0.30000000000000004", "1180591620717411303424", "NaN", "-inf",
    ]  # fmt: skip


def test_many_records_come_in_pieces(store: Store) -> None:
    """So that memory stays flat, also where the last piece is full."""
    stock(store, "now", map(right, range(401)))

    assert len(table(store)) == 401
    for pieces in (csv_pieces, json_pieces, junit_pieces):
        lengths = list(map(len, pieces(store, "now")))
        assert 4 <= len(lengths) <= 9
        assert max(lengths) < sum(lengths) / 1.9


def test_no_records_are_a_header(store: Store) -> None:
    """And a whole number of pieces of records is nothing more."""
    stock(store, "now", [])
    assert "".join(csv_pieces(store, "now")).count("\n") == 1
    stock(store, "now", map(right, range(199)))

    assert "".join(csv_pieces(store, "now")).count("\n") == 200


# ------------------------------------------------------------------------- JSON


def test_a_document_has_summaries_and_records(store: Store) -> None:
    """Strict JSON: what it does not know is null."""
    stock(
        store, "now", [right(0), recorded(1, Score("loss", math.nan), metadata={"n": [math.inf]})]
    )
    stock(store, "now", [], evaluation="eval_y.py::eval_y")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    told = json.loads("".join(json_pieces(store, "now")), parse_constant=refuse)

    first, second = told["evaluations"]
    assert told["experiment"] == "now" and len(told["runs"]) == 2
    assert first["scored"] == 2 and second["records"] == []
    assert [each["scores"] for each in first["records"]] == [{"exact": True}, {"loss": None}]
    assert first["records"][1]["metadata"] == {"n": [None]}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_document_is_ascii(store: Store, text: str) -> None:
    """A terminal bears it, and the texts are to the letter."""
    stock(store, "now", [right(0, model_response=text + "\x7f")])
    source = "".join(json_pieces(store, "now"))

    assert source.isascii() and source.replace("\n", "").isprintable()
    record = json.loads(source)["evaluations"][0]["records"][0]
    assert record["model_response"] == text + "\x7f"


# ------------------------------------------------------------------------- JUnit


def suites(store: Store) -> ElementTree.Element:
    """The XML of "now"."""
    return ElementTree.fromstring("".join(junit_pieces(store, "now")))


def test_a_record_is_a_case(store: Store) -> None:
    """A failed one an error, a wrong one a failure; the suite has their counts."""
    stock(
        store, "now",
        [right(0), wrong(1, prompt="p", model_response="a"), right(2)._replace(repeat=1),
         recorded(3, message="down", traceback="Traceback: x"), recorded(4, error="e", prompt="q")],
    )  # fmt: skip
    suite = suites(store)[0]
    cases = list(suite)

    assert {name: suite.get(name) for name in ("name", "tests", "failures", "errors")} == {
        "name": "tests/eval_x.py::eval_x", "tests": "5", "failures": "1", "errors": "2",
    }  # fmt: skip
    assert suite.get("timestamp") == "2025-10-09T08:53:20"
    assert [each.get("name") for each in cases] == [
        "eval_x row 0", "eval_x row 1", "eval_x row 2 repeat 1", "eval_x row 3", "eval_x row 4",
    ]  # fmt: skip
    assert {each.get("classname") for each in cases} == {"tests.eval_x"}
    assert [[part.tag for part in each] for each in cases] == [
        [],
        ["failure"],
        [],
        ["error"],
        ["error"],
    ]
    assert cases[1][0].get("message") == "exact is False"
    assert cases[1][0].text == "question: question 1\nrow: answer: 1\nprompt: p\nanswer: a"
    assert (cases[3][0].get("type"), cases[3][0].get("message")) == ("ValueError", "down")
    assert (cases[3][0].text or "").startswith("Traceback: x\nquestion: ")
    assert "prompt: q" in (cases[4][0].text or "")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text_in_xml(store: Store, text: str) -> None:
    """In names, messages, rows and answers; every parser reads it."""
    stock(store, "now", [
        recorded(0, Score(text, False), row={text: text}, prompt=text + "\n\t"),
        recorded(1, type=text, message=text + "\n\t\"", traceback=text),
    ], evaluation=f"eval_x.py::{text}")  # fmt: skip

    suite = suites(store)[0]

    assert [each[0].tag for each in suite] == ["failure", "error"]
    assert (suite[1][0].get("message") or "").endswith('\n\t"')


def test_long_texts_are_cut(store: Store) -> None:
    """A report is read by people; the end of a traceback says most."""
    stock(store, "now", [recorded(0, message="m" * 9_999, traceback="t" * 9_999 + "END")])

    error = suites(store)[0][0][0]

    assert len(error.get("message") or "") == 4_000
    assert "tEND\n" in (error.text or "") and len(error.text or "") < 9_000


def test_a_case_without_a_sensible_time_takes_none(store: Store) -> None:
    """No calendar has that year, and the date is left out."""
    stock(store, "now", [right(0, started=9e18)])
    stock(store, "now", [], evaluation="eval_y.py::eval_y")
    first, second = suites(store)

    assert first.get("timestamp") is None and second.get("timestamp") is None


# ------------------------------------------------------------------------- Markdown


def summary(store: Store) -> str:
    """The Markdown of "now"."""
    return "".join(markdown_pieces(store, "now"))


def test_a_summary_is_a_table(store: Store) -> None:
    """Scores with their intervals; an evaluation is not named twice."""
    both = (Score("exact", True, ("accuracy",)), Score("loss", 0.5, ("mean", "max")))
    stock(store, "now", [recorded(n, *both) for n in range(4)], total=5)

    assert summary(store).splitlines()[2:] == [
        "| evaluation | status | rows | failed | score | value | 95% CI | took |",
        "|---|---|--:|--:|---|--:|--:|--:|",
        "| `eval_x` | incomplete | 4 of 5 | 0 | `exact` | **100%** | 40–100% | 1 min 40 s |",
        "|  |  |  |  | `loss` | **0.5** | - |  |",
        "|  |  |  |  | `loss max` | **0.5** | - |  |",
    ]


def test_rows_that_failed_can_be_unfolded(store: Store) -> None:
    """Ten of them, of all evaluations; the others are counted."""
    stock(store, "now", [right(0)])
    stock(store, "now", map(recorded, range(8)), evaluation="eval_y.py::eval_y")
    stock(store, "now", map(recorded, range(8)), evaluation="eval_z.py::eval_z")
    stock(store, "now", map(recorded, range(8)), evaluation="eval_z.py::eval_zz")

    told = summary(store)

    assert "<details><summary>24 rows failed</summary>" in told
    assert told.count("\n- `eval_") == 10
    assert "- and 14 others" in told and told.endswith("\n</details>\n")
    assert "| `eval_y` | complete | 8 | 8 |  |  |  | 1 min 40 s |" in told


def test_all_rows_that_failed_are_shown_where_they_are_few(store: Store) -> None:
    """Nothing is left to be counted."""
    stock(store, "now", map(recorded, range(2)))

    assert "others" not in summary(store)


def test_repeats_of_a_row_that_failed_are_told_apart(store: Store) -> None:
    """By the names that they have in JUnit's cases."""
    stock(store, "now", [recorded(3), recorded(3)._replace(repeat=1)])

    told = summary(store)

    assert "- `eval_x row 3` " in told and "- `eval_x row 3 repeat 1` " in told


def test_a_summary_stays_small(store: Store) -> None:
    """However many evaluations and scores there are."""
    many = [Score(f"s{n}", True, ("accuracy",)) for n in range(14)]
    stock(store, "now", [recorded(0, *many)])
    for number in range(201):
        stock(store, "now", [], evaluation=f"eval_y.py::eval_{number}")

    told = summary(store)

    assert "| 4 more scores |" in told
    assert "and 2 more evaluations" in told


def test_an_experiment_without_evaluations_has_a_summary(store: Store) -> None:
    """As an import may leave one."""
    store.adopt("now", 1.0, [])

    assert summary(store) == "### `now`\n\nNo evaluations.\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stands_in_code(store: Store, text: str) -> None:
    """It neither ends its cell, nor formats, nor mentions anybody."""
    plain = summary_of(store, "x")
    hostile = summary_of(store, text)

    assert hostile.count("\n") == plain.count("\n")
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", hostile)
    assert not re.search(r"<(?!/?details|/?summary)|@|\*\*b|\x1b|\u202e", outside)
    for line in hostile.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 9


def summary_of(store: Store, text: str) -> str:
    """The summary of an experiment where everything is called so."""
    name = f"now {text}"
    records = [recorded(0, Score(text, True)), recorded(1, type=text, message=text)]
    stock(store, name, records, evaluation=f"eval_x.py::{text}")
    return "".join(markdown_pieces(store, name))


def test_no_base64_reaches_markdown_or_junit(store: Store) -> None:
    """What an error quotes is told as what it is."""
    image = base64.b64encode(b"\xff\xd8\xff\xe0" + bytes(900)).decode()
    stock(store, "now", [recorded(0, message=f"can not read {image}")])

    for pieces in (markdown_pieces, junit_pieces):
        document = "".join(pieces(store, "now"))
        assert image[:40] not in document
        assert "jpeg, 904 bytes" in document
