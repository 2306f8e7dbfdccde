"""Stored answers, scored once more as an experiment of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from doteval import ForEach, Result, Score, compare, foreach, note, records, rescore, run
from doteval.cli import main
from doteval.concurrency import SlidingWindow
from doteval.errors import DatasetError, NotFound, UsageError
from doteval.evaluators import exact_match
from doteval.storage import open_store

ROWS = [(f"r{n}", f"q{n}", str(n)) for n in range(6)]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A store with answers of six rows, twice each: every other one has a blank before it."""
    asked: list[str] = []

    @ForEach(repeats=2)("id,question,answer", ROWS)
    def eval_qa(id, question, answer):
        asked.append(question)
        said = f" {answer}" if int(answer) % 2 else answer
        return Result(exact_match(said, answer), prompt=question, model_response=said)

    path = tmp_path / "x.db"
    run(eval_qa, "old", path, progress=False)
    assert len(asked) == 12
    return path


def stripped(model_response, answer):
    return exact_match(model_response.strip(), answer)


def again(storage: Path, function: Any = stripped, into: str = "new", **options: Any) -> Any:
    return rescore(function, "old", into=into, storage=storage, progress=False, **options)


def told(storage: Path, experiment: str, *names: str) -> list[Any]:
    found = records(experiment, storage=storage)
    return sorted(tuple(each.to_dict()[name] for name in names) for each in found)


def test_the_new_scores_stand_beside_the_old_answers(storage):
    """Rows, keys, repeats, prompts and answers are the old ones, so that flips can be seen."""
    summary = again(storage)

    same = ("key", "position", "repeat", "row.id", "prompt", "model_response", "evaluation")
    assert told(storage, "new", *same) == told(storage, "old", *same)
    assert summary.scores["exact_match"]["accuracy"].value == 1.0
    assert (summary.repeats, summary.total, summary.status) == (2, 12, "complete")
    assert summary.rescored["from"] == "old"
    (change,) = compare("old", "new", storage=storage).evaluations[0].scores
    assert (change.paired, change.better, change.worse) == (6, 3, 0)


def test_rows_are_known_by_what_they_are_known_by_there(storage):
    """The digest of a row with an id too."""
    again(storage)
    store: Any = open_store(storage, create=False)

    of = [
        {(each.key, each.digest, each.repeat) for each in store.stored_of(name, evaluation)}
        for name in ("old", "new")
        for evaluation in store.evaluations(name)
    ]
    store.close()

    assert of[0] == of[1]
    assert all(digest is not None for _, digest, _ in of[0])


def test_it_is_resumed_like_any_run(storage):
    """Only what has no score yet is scored; failures are tried again."""
    seen: list[tuple[str, str]] = []

    def flaky(id, model_response, answer):
        seen.append((id, answer))
        if len(seen) > 4 and len(seen) <= 12:
            raise ValueError("not now")
        return stripped(model_response, answer)

    first = again(storage, flaky)
    second = again(storage, flaky)
    third = again(storage, flaky)

    assert (first.scored, first.failed) == (4, 8)
    assert (second.scored, third.scored, len(seen)) == (12, 12, 12 + 8)


def test_a_judge_is_asked_for_many_answers_at_once(storage):
    """An asynchronous function has the strategies, retries and calls of an evaluation."""
    in_flight = most = 0

    async def judged(model_response, question, judge):
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.01)
        in_flight -= 1
        return await judge(model_response)

    async def judge(text):
        return not text.startswith(" ")

    summary = again(
        storage, judged, judge=judge, foreach=ForEach(concurrency=SlidingWindow(4), retries=1)
    )

    assert most == 4
    assert summary.strategy["name"] == "SlidingWindow"
    assert summary.scores["exact_match"]["accuracy"].value == 0.5  # the name of the only one


def test_answers_of_rows_that_failed_are_scored_where_there_are_any(tmp_path):
    """A scorer that raised is what one rescores for; without an answer there is nothing to."""

    @ForEach(retries=0)("n", [1, 2, 3])
    def eval_notes(n):
        if n == 1:
            raise ValueError("no model")
        note(prompt=f"q{n}", model_response=f"a{n}")
        if n == 2:
            raise KeyError("verdict")
        return True

    storage = tmp_path / "x.db"
    run(eval_notes, "old", storage, progress=False)

    summary = again(storage, lambda model_response, n: model_response == f"a{n}")

    assert (summary.scored, summary.failed) == (2, 1)
    (failed,) = records("new", storage=storage, where=lambda each: each.failed)
    assert failed.outcome.message == "no answer in 'old': ValueError: no model"


def test_rows_without_an_answer_end_nothing(tmp_path):
    """They cost nothing, and say nothing about the others; what the scorer raises does."""

    @ForEach(fail_fast=None)("n", range(60))
    def eval_late(n):
        return 1 / (n >= 30) if n < 30 else Result(True, model_response=str(n))

    def broken(model_response):
        return 1 / 0

    path = tmp_path / "x.db"
    run(eval_late, "old", path, progress=False)

    assert again(path, lambda model_response: True).scored == 30
    assert again(path, broken, "broken").status == "stopped"
    assert again(path, broken, "broken", keep_going=True).missing == 0


def test_an_answer_that_was_not_kept_is_told(tmp_path):
    """Its evaluation has to return it."""

    @foreach("n", [1])
    def eval_bare(n):
        return True

    storage = tmp_path / "x.db"
    run(eval_bare, "old", storage, progress=False)

    summary = again(storage, lambda model_response: True)

    (record,) = records("new", storage=storage)
    assert "its evaluation returned no model_response=" in record.outcome.message
    assert again(storage, lambda scores, usage, metadata: scores[0].value, "b").scored == 1
    assert summary.failed == 1


def test_what_a_scorer_adds_stands_beside_what_was_kept(storage):
    """Metadata and usage of its own; a score may be added to the old ones."""

    def both(scores, model_response):
        return Result(*scores, Score("length", len(model_response)), metadata={"by": "both"})

    again(storage, both)
    rescore(lambda model_response: 0.5, "new", into="newer", storage=storage, progress=False)

    assert told(storage, "new", "score.length", "metadata.by")[-1] == (2, "both")
    assert told(storage, "newer", "score.eval_qa")[0] == (0.5,)  # of two scores it is neither


def test_what_has_changed_since_is_told(storage, capsys):
    """Another experiment's answers, and answers that may be others now."""
    assert again(storage).scored == 12

    @ForEach(repeats=2)("id,question,answer", [*ROWS, ("r9", "q9", "9")])
    def eval_qa(id, question, answer):
        return Result(exact_match(answer, answer), model_response=answer)

    run(eval_qa, "old", storage, progress=False)
    run(eval_qa, "other", storage, progress=False)
    path = storage.parent / "scoring.py"
    path.write_text("def stripped(model_response, answer): return model_response.strip() == answer")
    command = ["rescore", "old", str(path), "--into", "new", "--storage", str(storage)]
    assert main(command) == 0
    assert "'old' has been run since" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(UsageError, match="another config: rescored was 'old', and is 'other'"):
        rescore(stripped, "other", into="new", storage=storage, progress=False)


def test_the_command_shows_what_has_changed(storage, tmp_path, capsys, monkeypatch):
    """From a file of functions; the same command resumes, and a run of OLD in between is told."""
    monkeypatch.chdir(tmp_path)
    Path("scoring.py").write_text(
        "def stripped(model_response, answer):\n    return model_response.strip() == answer\n"
    )
    command = ["rescore", "old", "scoring.py", "--into", "new", "--storage", str(storage)]

    assert main(command) == 0
    out = capsys.readouterr().out
    assert "of old, scored once more" in out
    assert "accuracy  100%" in out
    assert main(command) == 0
    assert "nothing to do: 12 rows stored before" in capsys.readouterr().out
    assert main([*command[:3], "-P", "x=1", *command[3:]]) == 2
    assert "has no parameter 'x'" in capsys.readouterr().err
    assert main([*command[:2], "scoring.py::striped", *command[3:]]) == 1
    assert "did you mean 'stripped'?" in capsys.readouterr().err
    assert main(command[:3]) == 2
    assert "--into NEW is missing" in capsys.readouterr().err
    Path("scoring.py").write_text("x = 1\n")
    assert main(command) == 1
    assert "has several functions, or none" in capsys.readouterr().err


# ---------------------------------------------------------------------------- by hand


def by_hand(storage: Path, lines: str, function: Any = None, into: str = "mended") -> Any:
    path = storage.parent / "fixes.csv"
    path.write_text(lines)
    return again(storage, function, into, edit=path)


def test_scores_are_put_right_by_hand_and_what_was_computed_stays(storage, capsys):
    """By the id of a row or its key; who and why is kept, and told."""
    key = next(each.key.hex() for each in records("old", storage=storage) if each.position == 3)
    summary = by_hand(
        storage,
        "id,key,score,value,repeat,who\nr1,,exact_match,TRUE,,ann\n"
        f",{key},exact_match,1,1,bob\nr0,,exact_match,false,,\n",
    )

    right = told(storage, "mended", "row.id", "repeat", "score.exact_match")
    assert [value for _, _, value in right].count(True) == 6 + 2 - 1
    assert summary.rescored["edits"] == 3
    (record,) = records("mended", storage=storage, where=lambda each: each[1:3] == (1, 0))
    assert record.outcome.scores[0].metadata["edited"] == {"computed": False, "who": "ann"}
    assert main(["show", "mended", "--row", "1", "--storage", str(storage)]) == 0
    assert '{"exact_match": {"computed": false, "who": "ann"}}' in capsys.readouterr().out
    assert main(["show", "mended", "--storage", str(storage)]) == 0
    assert "3 scores put right by hand" in capsys.readouterr().out


def test_other_edits_are_another_config(storage):
    """What is stored would not have them."""
    by_hand(storage, "id,score,value\nr1,exact_match,true\n")

    with pytest.raises(UsageError, match="another config: edits"):
        by_hand(storage, "id,score,value\nr3,exact_match,true\n")


def test_a_function_and_edits_go_together(storage):
    """What is computed first is put right then; a score may be new, a label or a number."""

    async def judged(model_response):
        return Result(Score("tone", "cold"), Score("length", 1))

    by_hand(storage, "id,score,value\nr1,tone,warm\nr1,length,2.5\nr1,new,true\nr1,x,\n", judged)

    assert ("warm", 2.5, True) in {
        (each.get("score.tone"), each.get("score.length"), each.get("score.new"))
        for each in (record.to_dict() for record in records("mended", storage=storage))
    }


def test_a_row_that_failed_can_be_scored_by_hand(tmp_path):
    """And one whose function says that it failed stays so."""

    @ForEach(retries=0)("id", ["a", "b", 7])
    def eval_fails(id):
        if id == "a":
            raise ValueError("no")
        return Result(Score("right", 1), Score("tone", "cold"), model_response="x")

    storage = tmp_path / "x.db"
    run(eval_fails, "old", storage, progress=False)

    summary = by_hand(storage, "id,score,value\na,right,3\n7,right,2\nb,tone,warm\n")
    assert (summary.scored, summary.failed) == (3, 0)
    failed = by_hand(
        storage, "id,score,value\nb,right,2\n", lambda scores: Result(error="no"), "failed"
    )
    assert failed.scored == 0


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("id,score\n", "expected a header with score, value, and key or id; got id, score"),
        ("", "got nothing"),
        ("id,score,value\nr9,exact_match,true\n", "line 2: 'old' has no row with id 'r9'"),
        ("key,score,value\nabc,exact_match,true\n", "line 2: "),
        ("id,score,value,repeat\nr1,exact_match,true,x\n", "repeat 'x': expected a number"),
        ("id,score,value,repeat\nr1,exact_match,true,2\n", "id 'r1' and repeat 2"),
        ("id,score,value\nr1,exact,true\n", "no score 'exact'; did you mean 'exact_match'?"),
        ("id,score,value\nr1,exact_match,maybe\n", "value 'maybe': expected true or false"),
        ("id,score,value\nr1,exact_match,\xff\n", "is no CSV in UTF-8"),
    ],
)
def test_a_line_that_fits_nothing_is_told(lines, said, storage):
    """Before anything is stored."""
    path = storage.parent / "fixes.csv"
    path.write_bytes(lines.encode("latin-1"))

    with pytest.raises(UsageError, match="fixes.csv") as caught:
        again(storage, None, edit=path)

    assert said in str(caught.value)
    with pytest.raises(UsageError, match="can not be read: No such file"):
        again(storage, None, edit=path.with_name("nothing.csv"))


def test_a_number_is_expected_where_the_score_is_one(tmp_path):
    @foreach("id", [1])
    def eval_number(id):
        return Result(Score("length", 3), model_response="x")

    storage = tmp_path / "x.db"
    run(eval_number, "old", storage, progress=False)

    with pytest.raises(UsageError, match="value 'long': expected a number"):
        by_hand(storage, "id,score,value\n1,length,long\n")


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (None, {}, "give a function to score by, or a file of edits"),
        (stripped, {"into": "old"}, "its scores are there already"),
        ("stripped", {}, "takes a plain function"),
        (lambda nothing: True, {}, "has no parameter that an answer of 'old' has; there are: id"),
        (stripped, {"into": " "}, "expected a name that is not blank"),
        (lambda answer, judge: True, {}, "needs a value for 'judge'"),
    ],
)
def test_what_can_not_be_rescored_is_told(function, options, said, storage):
    """Before anything is stored."""
    with pytest.raises(UsageError, match=said):
        again(storage, function, **options)


def test_one_evaluation_is_rescored_at_a_time(storage):
    """Where there are several, it has to be named; and it has to be there."""

    @foreach("n", [1, 2])
    def eval_other(n):
        return Result(True, model_response=str(n))

    run(eval_other, "old", storage, progress=False)

    with pytest.raises(UsageError, match="has several evaluations; name one of them"):
        again(storage)
    with pytest.raises(NotFound, match="no experiment 'oldest'"):
        rescore(stripped, "oldest", into="new", storage=storage)
    assert again(storage, lambda n, model_response: True, evaluation="eval_other").scored == 2


def test_an_experiment_without_records_is_told(storage):
    """There is nothing to score."""
    store: Any = open_store(storage, create=False)
    store.adopt("empty", 0.0, [])
    store.close()

    with pytest.raises(NotFound, match="has no evaluation"):
        rescore(stripped, "empty", into="new", storage=storage)
    with pytest.raises(KeyboardInterrupt):
        run(ForEach()("n", [1])(interrupted), "begun", storage, progress=False)
    with pytest.raises(NotFound, match="has no records yet"):
        rescore(stripped, "begun", into="new", storage=storage)


def interrupted(n):
    raise KeyboardInterrupt


def test_a_row_without_a_column_is_told(storage):
    """Rows of a dataset need not have the same keys."""
    store: Any = open_store(storage, create=False)
    (evaluation,) = store.evaluations("old")
    of = [record.key for record in store.records("old", evaluation)]
    with store.database.writing() as db:
        db.execute(
            "UPDATE bodies SET body = replace(body, '\"answer\"', '\"other\"') WHERE record = 2"
        )
    store.close()

    summary = again(storage)

    assert (len(of), summary.failed) == (12, 1)
    (failed,) = records("new", storage=storage, where=lambda each: each.failed)
    assert failed.outcome.message == "the row of 'old' has no column 'answer'"


def test_answers_that_change_while_they_are_read_are_told(storage, monkeypatch):
    """As those of an experiment that is being run."""
    monkeypatch.setattr("doteval.storage.contents.Contents.stored_of", lambda *arguments: iter(()))

    with pytest.raises(DatasetError, match="has changed while it was read"):
        again(storage)
