"""A judge, and what people say of some rows: from a column or a file to the figures and gates."""

from __future__ import annotations

import json
from contextlib import closing
from random import Random

import pytest

from doteval import ForEach, Result, Score, run
from doteval.cli.program import main
from doteval.errors import UsageError
from doteval.evaluators import Judge
from doteval.metrics import find
from doteval.reporting.people import Labels
from doteval.reporting.summary import summarise
from doteval.statistics.correction import corrected
from doteval.storage import open_store

DRAW = Random(5)
TRUTH = [DRAW.random() < 0.7 for _ in range(200)]
SAID = [truth if DRAW.random() < 0.85 else not truth for truth in TRUTH]
LABELLED = sorted(DRAW.sample(range(200), 60))


@pytest.fixture
def path(tmp_path):
    """A store with what a judge said of 200 rows, and the folder of the file of labels."""
    made = ForEach()("id", [(id,) for id in range(200)])(
        lambda id: Result(Score("good", SAID[id], ("accuracy",)), Score("grade", id / 200))
    )
    made.__name__ = "eval_x"
    run(made, "e", str(tmp_path / "r.db"), progress=False)
    return tmp_path / "r.db"


def written(path, text):
    file = path.parent / "people.csv"
    file.write_text(text, encoding="utf-8")
    return file


def labels(path, head="id,good", yes="yes", no="no"):
    lines = [f"{id},{yes if TRUTH[id] else no}" for id in LABELLED]
    return written(path, "\n".join([head, *lines, "199999,", ""]))


def summary_with(path, file):
    with closing(open_store(path, create=False)) as store:
        return summarise(store, "e", store.evaluations("e")[0], people=Labels(file))


@pytest.mark.parametrize("head", ["id,good", "row.id,human.good"])
def test_a_file_of_labels_corrects_the_judge(path, head):
    """As the formula says; the labels alone, and how often both agree, stand beside it."""
    scores = summary_with(path, labels(path, head)).scores["good"]

    human = [float(TRUTH[id]) for id in LABELLED]
    judge = [float(SAID[id]) for id in LABELLED]
    rest = [float(SAID[id]) for id in range(200) if id not in LABELLED]
    wanted = corrected(human, judge, rest, span=(0.0, 1.0))
    found = scores["corrected"]
    assert (found.value, found.low, found.high) == pytest.approx(
        (wanted.value, wanted.low, wanted.high)
    )
    assert (found.n, scores["human"].n, scores["agreement"].n) == (200, 60, 60)
    assert scores["human"].value == pytest.approx(sum(human) / 60)
    same = sum(TRUTH[id] == SAID[id] for id in LABELLED)
    assert scores["agreement"].value == pytest.approx(same / 60)
    assert "human" not in summary_with(path, labels(path, head)).scores["grade"]


def test_the_command_line_shows_and_judges_the_corrected_figure(path, capsys):
    """In `show`, in JSON, and by gates."""
    file = str(labels(path))

    assert main(["show", "e", "--labels", file, "--storage", str(path)]) == 0
    assert "corrected" in capsys.readouterr().out
    assert main(["show", "e", "--labels", file, "--json", "--storage", str(path)]) == 0
    told = json.loads(capsys.readouterr().out)["evaluations"][0]["scores"]["good"]
    assert told["corrected"]["method"] == "PPI++, 60 labels of people"
    gates = ["good.corrected >= 0.5 @ 95%", "good.agreement >= 99%"]
    assert main(["gate", "e", *gates[:1], "--labels", file, "--storage", str(path)]) == 0
    assert main(["gate", "e", *gates, "--labels", file, "--storage", str(path)]) == 1
    assert main(["show", "e", "--labels", file, "--noise", "--storage", str(path)]) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("number,good\n1,yes\n", "no column tells which row is meant; the rows have id, the file"),
        ("id,good\n1,maybe\n", "the label 'maybe': expected true or false"),
        ("id,grade\n1,high\n", "the label 'high': expected a number"),
        ("id,good\n1,yes\n1,no\n", "two labels of the row 1"),
        ("id,good\n", "expected rows with named columns"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(path, text, said):
    """With what was expected of it."""
    with pytest.raises(UsageError, match=said):
        summary_with(path, written(path, text))


def test_labels_of_no_score_are_a_mistake(path, capsys):
    """Of no evaluation of the experiment; others than the one that is meant may be there."""
    other = ForEach()("id", [(1,)])(lambda id: Result(Score("else", True)))
    other.__name__ = "eval_other"
    run(other, "e", str(path), progress=False)
    wrong = str(written(path, "id,better\n1,yes\n"))

    for command in (["show", "e"], ["show", "e", "--json"], ["gate", "e", "missing == 0"]):
        assert main([*command, "--labels", wrong, "--storage", str(path)]) == 2
        said = capsys.readouterr().err
        assert "no column is named as a score; the scores are good, grade, else" in said
    assert main(["show", "e", "--labels", str(labels(path)), "--storage", str(path)]) == 0


def test_labels_in_a_column_go_with_the_judge():
    """Rows that nobody has judged have None; a judge without labels has none of the figures."""
    judge = Judge(lambda text: "Verdict: yes", "{result}", scale={"yes": True, "no": False})
    made = ForEach()("id", [(id,) for id in range(20)])(
        lambda id: judge("x", label=("yes" if id % 4 else "no") if id < 12 else None)
    )
    made.__name__ = "eval_x"

    scores = run(made, storage="memory://", progress=False).scores["judge"]

    assert list(scores) == ["accuracy", "human", "corrected", "agreement"]
    assert (scores["human"].value, scores["agreement"].value) == (0.75, 0.75)
    assert "corrected" not in judge("x").metrics


@pytest.mark.parametrize(
    ("rows", "value", "method"),
    [
        ([[(1.0, None)]] * 5, None, "no row has a label of people"),
        ([[(1.0, 1.0)], [(1.0, 0.0)]], 0.5, "clopper-pearson"),
        ([[(1.0, 1.0)]] * 2 + [[(1.0, None)]] * 5, None, "too few different labels of people, 2"),
    ],
)
def test_labels_may_be_too_few_or_of_all_rows(rows, value, method):
    """Then people alone are right, or nothing is known."""
    found = find("corrected").estimate(rows, span=(0.0, 1.0))

    assert (found.value, found.method) == (value, method)
    assert find("corrected")([pair for row in rows for pair in row]) == value


def test_rows_that_belong_together_have_no_corrected_interval():
    """The labels alone have one, of clusters."""
    rows = [[(float(at % 3 > 0), float(at % 2) if at < 12 else None)] for at in range(40)]
    groups = [at // 2 for at in range(40)]

    found = find("corrected").estimate(rows, groups, span=(0.0, 1.0))

    assert found.low is None and found.method.startswith("no interval: rows that belong together")
    assert find("human").estimate(rows, groups, span=(0.0, 1.0)).method == "gaffke, 6 clusters"
    assert find("agreement").estimate([[(1.0, None)]]).method == "no row has a label of people"


def test_a_judge_of_labels_has_agreement_alone():
    """What a label would be worth nobody knows."""
    rows = [[("a", "a")], [("a", "b")], [("b", None)]]

    assert find("agreement").estimate(rows).value == 0.5
    with pytest.raises(UsageError, match="by `agreement` alone"):
        find("corrected").estimate(rows)


def test_one_score_may_have_its_labels_as_label(path):
    """And texts are labels as they are."""
    people = Labels(written(path, "id,label\n1,a\n2,\n"))
    people.begin(["verdict"])

    assert (people.of({"id": 1}, "verdict", "b"), people.of({"id": 2}, "verdict", "b")) == (
        "a",
        None,
    )
    assert "verdict" in people and "other" not in people
