"""Readers of other tools' logs: each format in its smallest form; whole, cut short, hostile."""

from __future__ import annotations

import datetime
import json
import sys
import textwrap
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from doteval.cli import main
from doteval.errors import UsageError
from doteval.importers import Answer, Part, lines, lines_of
from doteval.keys import Identities
from doteval.record import Failure, Record, Result
from doteval.storage import open_store

NAN = float("nan")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["doteval"])
    (tmp_path / ".doteval").mkdir()
    return tmp_path


def refused(file: Path | str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of a file that it does not take; nothing of it is stored."""
    assert main(["import", str(file)]) == 2
    with closing(open_store()) as store:
        assert store.experiments() == []
    return capsys.readouterr().err


def told(experiment: str) -> dict[str, Any]:
    """What the store has of an experiment with one evaluation."""
    with closing(open_store()) as store:
        (evaluation,) = store.evaluations(experiment)
        (run,) = store.runs(experiment)
        return {
            "evaluation": evaluation,
            "run": run,
            "total": store.total_of(experiment, evaluation),
            "records": list(store.records(experiment, evaluation)),
            "attempts": list(store.attempts(experiment, evaluation)),
        }


def imported(file: Path | str, *arguments: str, name: str) -> dict[str, Any]:
    """As `told`, after the file was imported by the command."""
    assert main(["import", str(file), *arguments]) == 0
    return told(name)


def figures(experiment: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Value and number of rows by score, as `doteval show --json` has them."""
    capsys.readouterr()
    assert main(["show", experiment, "--json"]) == 0
    (evaluation,) = json.loads(capsys.readouterr().out)["evaluations"]
    return {
        score: {metric: (each["value"], each["n"]) for metric, each in metrics.items()}
        for score, metrics in evaluation["scores"].items()
    }


def scores(record: Record) -> dict[str, Any]:
    """Values by the names of the scores."""
    assert isinstance(record.outcome, Result)
    return {score.name: score.value for score in record.outcome.scores}  # type: ignore[union-attr]


def failure(record: Record) -> Failure:
    """Of a row that failed."""
    assert isinstance(record.outcome, Failure)
    return record.outcome


def written(file: Path, *values: Any) -> Path:
    """A file of JSON Lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(json.dumps(value) for value in values), encoding="utf-8")
    return file


# ------------------------------------------------------------------------- Inspect


def sample(id: Any, epoch: int, scores: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A sample as Inspect logs it."""
    return {
        "id": id,
        "epoch": epoch,
        "input": f"question {id}",
        "target": "yes",
        "messages": [
            {"role": "user", "content": f"question {id}"},
            {"role": "assistant", "content": "yes"},
        ],
        "output": {"choices": [{}], "completion": "yes"},
        "scores": scores,
        "model_usage": {"local/a": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}},
        "started_at": "2026-11-27T01:00:00.500Z",
        "total_time": 0.25,
        **more,
    }


def value(of: Any, **more: Any) -> dict[str, Any]:
    """A score as Inspect logs it."""
    return {"value": of, "history": [], **more}


def header(status: str = "success", **more: Any) -> dict[str, Any]:
    """A log of Inspect without its samples."""
    return {
        "version": 2,
        "status": status,
        "eval": {
            "run_id": "r",
            "task_id": "t",
            "task": "facts",
            "created": "2026-11-26T20:00:00-05:00",
            "model": "local/a",
            "task_args": {"hard": True},
            "dataset": {"sample_ids": ["3", 3]},
            "config": {"epochs": 2},
            "revision": {"commit": "abc1234"},
            "packages": {"inspect_ai": "0.3"},
        },
        "stats": {
            "started_at": "2026-11-27T01:00:00+00:00",
            "completed_at": "2026-11-27T01:00:09+00:00",
        },
        **more,
    }


RIGHT, WRONG = {"match": value("C")}, {"match": value("I")}
SAMPLES = [sample(3, 1, RIGHT), sample("3", 1, WRONG), sample(3, 2, RIGHT), sample("3", 2, RIGHT)]


def zipped(file: Path, log: Mapping[str, Any] | None, *samples: Mapping[str, Any]) -> Path:
    """An .eval; without a header it is what a process that was killed leaves."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zip:
        begun = {name: each for name, each in header().items() if name in ("version", "eval")}
        zip.writestr("_journal/start.json", json.dumps(begun))
        for each in samples:
            zip.writestr(f"samples/{each['id']!r}_epoch_{each['epoch']}.json", json.dumps(each))
        if log is not None:
            zip.writestr("header.json", json.dumps(log))
    return file


@pytest.mark.parametrize("suffix", ["eval", "json"])
def test_a_log_of_inspect_is_an_experiment(
    suffix: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Epochs are repeats, ids 3 and "3" are two rows, and the figure is the tool's."""
    if suffix == "eval":
        file = zipped(folder / "facts.eval", header(), *SAMPLES)
    else:
        file = written(folder / "facts.json", {**header(), "samples": SAMPLES})

    found = imported(file, name="facts")

    run, records = found["run"], found["records"]
    assert (found["evaluation"], found["total"], run.status) == ("facts", 4, "complete")
    assert (run.started, run.duration, run.error) == (1795741200.0, 9.0, None)
    assert run.header["commit"] == "abc1234" and run.header["repeats"] == 2
    assert run.header["config"] == {"model": "local/a", "task_args": {"hard": True}}
    assert [(each.position, each.repeat) for each in records] == [(1, 0), (0, 0), (1, 1), (0, 1)]
    assert records[0].row == {"id": 3, "input": "question 3", "target": "yes"}
    assert records[0].outcome.prompt == [{"role": "user", "content": "question 3"}]
    assert records[0].outcome.model_response == "yes"
    assert records[0].outcome.usage[:2] == (5, 2)
    assert (records[0].started, records[0].duration) == (1795741200.5, 0.25)
    assert figures("facts", capsys) == {"match": {"accuracy": (0.75, 2)}}


def test_scores_of_inspect_are_numbers_and_what_is_none_is_kept(folder: Path) -> None:
    """Grades are numbers, an object is a score for each name, NaN and texts are no scores."""
    given = {
        "verdict": value("P", explanation="half", history=[{"value": "C"}]),
        "rubric": value({"polite": "N", "length": 2}),
        "pair": value([1, 0.5]),
        "judge": value(NAN, reason="grader_failed"),
        "label": value("blue"),
    }
    file = written(
        folder / "x.json",
        {**header(), "samples": [sample(1, 1, given), sample(2, 1, {"judge": value(NAN)})]},
    )

    first, second = imported(file, name="x")["records"]

    assert scores(first) == {
        "verdict": 0.5, "rubric/polite": False, "rubric/length": 2, "pair/0": 1, "pair/1": 0.5,
    }  # fmt: skip
    notes = {score.name: score.metadata for score in first.outcome.scores}
    assert notes["verdict"] == {"explanation": "half", "history": [{"value": "C"}]}
    kept = first.outcome.metadata["no_scores"]
    assert kept["label"] == {"value": "blue"} and kept["judge"]["reason"] == "grader_failed"
    assert failure(second).type == "Unscored" and "judge" in failure(second).message


def test_rows_of_inspect_are_the_same_in_every_run(folder: Path) -> None:
    """Ids of messages, which are new in each, do not count; choices do."""
    asked = [{"role": "user", "content": "?"}]
    for id in "ab":
        told = sample(1, 1, RIGHT, input=[{**asked[0], "id": id}, "x"], choices=["yes", "no"])
        written(folder / f"{id}.json", {**header(), "samples": [told]})

    a, b = (imported(f"{id}.json", name=id)["records"][0] for id in "ab")

    assert a.row == b.row == {
        "id": 1, "input": [*asked, "x"], "target": "yes", "choices": ["yes", "no"],
    }  # fmt: skip
    assert a.key == b.key == Identities(("id",)).meet((1,))[0]


def test_failures_and_retries_of_inspect_are_in_the_ledger(folder: Path) -> None:
    """An errored sample is a failure with its traceback; a failed try, an attempt."""
    gone = {"message": "httpx.ReadError('gone')", "traceback": "Traceback …"}
    told = sample(
        3, 1, {}, error=gone, error_retries=[{"message": "slow"}], output={"choices": []},
        model_usage={}, invalidation={"author": "me"},
    )  # fmt: skip
    mended = sample("3", 1, RIGHT, error_retries=[gone])
    file = zipped(folder / "x.eval", header(), told, mended)

    found = imported(file, name="x")

    first, second = found["records"]
    assert (failure(first).type, failure(first).message) == ("ReadError", gone["message"])
    assert failure(first).traceback == gone["traceback"] and first.attempts == 2
    assert second.attempts == 2 and scores(second) == {"match": True}
    assert [(each.number, each.error) for each in found["attempts"]] == [
        (1, "Error"), (2, "ReadError"), (1, "ReadError"),
    ]  # fmt: skip


def test_the_tokens_of_a_judge_are_apart(folder: Path) -> None:
    """Other models than the one under test do not count as its usage; cached input does."""
    used = {
        "local/a": {
            "input_tokens": 5, "output_tokens": 2, "total_tokens": 17, "reasoning_tokens": 1,
            "input_tokens_cache_read": 10,
        },
        "local/judge": {"input_tokens": 90},
    }  # fmt: skip
    file = zipped(folder / "x.eval", header(), sample(3, 1, RIGHT, model_usage=used))

    outcome = imported(file, name="x")["records"][0].outcome

    assert outcome.usage == (15, 2, None, 10, 1)
    assert outcome.metadata == {"other_models": {"local/judge": {"input_tokens": 90}}}


@pytest.mark.parametrize(
    ("log", "status", "error"),
    [
        (None, "interrupted", "never finished"),
        (header("cancelled"), "interrupted", "it was cancelled"),
        (header("error", error={"message": "boom"}), "failed", "boom"),
    ],
)
def test_what_did_not_end_well_is_told_as_such(
    log: Any, status: str, error: str, folder: Path
) -> None:
    """A killed, a cancelled and a failed run of Inspect hold what they had."""
    found = imported(zipped(folder / "x.eval", log, SAMPLES[0]), name="x")

    assert (found["run"].status, found["total"], len(found["records"])) == (status, 4, 1)
    assert error in found["run"].error


def repacked(file: Path, method: int) -> Path:
    """The zip with members that say that they are packed in another way."""
    packed = bytearray(file.read_bytes())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = packed.find(mark)
        while start >= 0:
            packed[start + at : start + at + 2] = method.to_bytes(2, "little")
            start = packed.find(mark, start + 4)
    file.write_bytes(packed)
    return file


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="it reads zstd")
def test_zstd_is_refused_with_the_way_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where Python can not read it, the message says what to install and how to convert."""
    file = repacked(zipped(folder / "x.eval", header(), *SAMPLES), 93)

    said = refused(file, capsys)

    assert "pip install backports.zstd" in said and "inspect log convert" in said


def test_the_zip_reader_that_knows_zstd_is_taken_where_it_is_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stand-in for it that reads method 93; its own errors are told as damage."""
    package = folder / "site" / "backports" / "zstd"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("class ZstdError(Exception): pass\n")
    (package / "zipfile.py").write_text(
        textwrap.dedent("""
        from zipfile import BadZipFile, ZipFile as _ZipFile
        from backports import zstd

        class ZipFile(_ZipFile):
            def read(self, name):
                if "epoch_2" in name:
                    raise zstd.ZstdError("bad frame")
                return super().read(name)
        """)
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "backports"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder / "site")
    try:
        whole = zipped(folder / "x.eval", header(), *SAMPLES[:2])
        bad = zipped(folder / "y.eval", header(), *SAMPLES)

        assert "bad frame" in refused(bad, capsys)
        assert len(imported(whole, name="x")["records"]) == 2
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "backports"]:
            del sys.modules[name]


# ------------------------------------------------------------------------- promptfoo


def cell(test: int, column: int, **more: Any) -> dict[str, Any]:
    """A result of promptfoo."""
    return {
        "testIdx": test,
        "promptIdx": column,
        "vars": {"q": f"q{test}"},
        "testCase": {"vars": {"q": f"q{test}"}},
        "prompt": {"raw": f"Say q{test}", "label": "short"},
        "provider": {"id": "file://p.js", "label": "terse"},
        "response": {"output": "a"},
        "success": True,
        "score": 0.75,
        "namedScores": {"names_it": 1, "score": 0.5},
        "gradingResult": {"reason": "fine", "componentResults": [{"pass": True}]},
        "tokenUsage": {"prompt": 8, "completion": 3, "assertions": {"total": 20}},
        "cost": 0.01,
        "latencyMs": 40,
        "failureReason": 0,
        **more,
    }


def results(*cells: Any, version: int = 3) -> dict[str, Any]:
    """What promptfoo writes."""
    return {
        "evalId": "eval-1",
        "results": {"version": version, "timestamp": "2026-11-27T00:00:00Z", "results": cells},
        "config": {"env": {"OPENAI_API_KEY": "hidden-from-everyone"}},
        "metadata": {"promptfooVersion": "0.123.1", "exportedAt": "2026-11-27T00:00:05Z"},
    }


def test_results_of_promptfoo_are_an_experiment(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verdict and weighted score are two scores; the judge's tokens stand apart; no config."""
    wrong = cell(
        1, 0, success=False, score=0.25, failureReason=1, error="Expected", namedScores=None,
        vars={"n": 2}, prompt={"raw": '[{"role": "user", "content": "hi"}]', "label": "short"},
    )  # fmt: skip
    broken = cell(2, 0, failureReason=2, error="Error: gone\n at x.js", gradingResult=None)
    file = written(folder / "out.json", results(broken, wrong, cell(0, 0)))

    found = imported(file, name="out")

    right, wrong, broken = found["records"]
    assert (found["evaluation"], found["total"]) == ("terse · short", 3)
    assert (found["run"].status, found["run"].duration) == ("complete", 5.0)
    assert "hidden" not in json.dumps(found["run"].header)
    assert scores(right) == {"success": True, "score": 0.75, "names_it": 1, "metric/score": 0.5}
    assert right.row == {"q": "q0", "n": None} and right.duration == 0.04
    assert right.outcome.usage[:3] == (8, 3, 0.01)
    assert right.outcome.metadata == {
        "assertions": [{"pass": True}], "judge_usage": {"total": 20},
    }  # fmt: skip
    assert scores(wrong) == {"success": False, "score": 0.25}
    assert wrong.outcome.prompt == [{"role": "user", "content": "hi"}]
    assert (failure(broken).message, failure(broken).traceback) == ("Error: gone", " at x.js")
    assert figures("out", capsys)["success"] == {"accuracy": (0.5, 2)}


def test_repeats_of_promptfoo_are_repeats_of_one_row(folder: Path) -> None:
    """Each has a test number of its own; what they have in common is the test."""
    same = {"vars": {"q": "q"}, "testCase": {"vars": {"q": "q"}}}
    other = {"vars": {"q": "q"}, "testCase": {"assert": []}}  # other assertions: another row
    cells = cell(0, 0, **same), cell(1, 0, **same), cell(2, 0, **other)
    file = written(folder / "out.json", results(*cells))

    records = imported(file, name="out")["records"]

    assert [(each.position, each.repeat) for each in records] == [(0, 0), (0, 1), (2, 0)]
    assert records[0].key == records[1].key != records[2].key


def test_a_column_of_promptfoo_is_an_evaluation(folder: Path) -> None:
    """Prompts that are called alike are told apart, and a long label is cut."""
    long = {"raw": "word " * 40}
    cells = cell(0, 0), cell(0, 1), cell(0, 2, prompt=long, provider={"id": "echo"})
    written(folder / "out.json", results(*cells))

    assert main(["import", "out.json"]) == 0
    with closing(open_store()) as store:
        first, second, third = store.evaluations("out")
    assert (first, second) == ("terse · short", "terse · short (1)")
    assert third.startswith("echo · word word") and third.endswith("…") and len(third) < 80


# ------------------------------------------------------------------------- lm-eval


def line(place: int, filter: Any = "none", **more: Any) -> dict[str, Any]:
    """A line of lm-eval."""
    return {
        "doc_id": place,
        "doc": {"q": f"q{place}"},
        "target": "a",
        "arguments": {"gen_args_0": {"arg_0": f"Q: q{place}\nA:"}},
        "resps": [["b", "a"]],
        "filtered_resps": ["a"],
        "filter": filter,
        "metrics": ["exact_match", "f1"],
        "exact_match": 1.0,
        "f1": 1.0,
        **more,
    }


STAMP = "2026-11-27T00-45-05.699778"


def test_samples_of_lm_eval_are_an_experiment(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Metrics that say right or wrong are true or false; what the results file tells is kept."""
    wrong = line(1, exact_match=0.0, f1=0.5, arguments={}, filtered_resps=["x", "y"])
    file = written(folder / "m" / f"samples_zoo_qa_{STAMP}.jsonl", line(0), wrong)
    told = {"config": {"model": "hf", "limit": 2.0}, "model_name": "zoo/m", "lm_eval_version": "0"}
    written(folder / "m" / f"results_{STAMP}.json", told)

    found = imported(file, name="m")

    first, second = found["records"]
    assert (found["evaluation"], found["total"]) == ("zoo_qa", 2)
    assert found["run"].header["config"] == {"model": "zoo/m", "limit": 2.0}
    assert scores(first) == {"exact_match": True, "f1": 1.0}
    assert first.row == {"q": "q0"} and first.key == Identities(("q",)).meet(("q0",))[0]
    assert (first.outcome.prompt, first.outcome.model_response) == ("Q: q0\nA:", "a")
    assert first.outcome.metadata == {"target": "a", "resps": [["b", "a"]]}
    assert (second.outcome.prompt, second.outcome.model_response) == (None, ["x", "y"])
    assert figures("m", capsys) == {
        "exact_match": {"accuracy": (0.5, 2)}, "f1": {"mean": (0.75, 2)},
    }  # fmt: skip


def test_each_filter_of_lm_eval_is_an_evaluation(folder: Path) -> None:
    """A folder is all tasks of a model; a document has a line for each filter."""
    written(folder / "m" / f"samples_a_{STAMP}.jsonl", line(0, "first"), line(0, "vote"))
    written(folder / "m" / "samples_b.jsonl", line(0, metrics=["ppl"], ppl=[-12.6, 5]))

    assert main(["import", "m"]) == 0
    with closing(open_store()) as store:
        assert list(store.evaluations("m")) == ["a[first]", "a[vote]", "samples_b"]
        (record,) = store.records("m", "samples_b")
    assert failure(record).type == "Unscored"
    assert "[-12.6, 5]" in failure(record).message


def test_credentials_in_settings_and_failures_are_taken_out(folder: Path) -> None:
    """As they are of what doteval itself stores; lists of settings are kept."""
    key = "sk-proj-" + "A1b2C3d4" * 5
    told = {"config": {"model_args": {"api_key": key, "stop": [key, 1]}}}
    written(folder / "m" / f"results_{STAMP}.json", told)
    written(folder / "m" / f"samples_zoo_qa_{STAMP}.jsonl", line(0))
    written(folder / "first" / "x.jsonl", evaluation(), item(0, result=None, error=f"bad {key}"))

    header = imported("m", name="m")["run"].header
    found = imported("first", name="first")

    assert header["config"]["model_args"] == {"api_key": "[redacted]", "stop": ["[redacted]", 1]}
    assert failure(found["records"][0]).message == "bad [redacted]"
    assert found["attempts"][0].message == "bad [redacted]"


def test_two_runs_of_a_task_in_a_folder_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which of them is meant, nobody can know."""
    for minute in "12":
        written(folder / "m" / f"samples_a_2026-11-27T00-0{minute}-00.500000.jsonl", line(0))

    assert "several files of task 'a'" in refused("m", capsys)


# ------------------------------------------------------------------------- dotevals


def item(id: int, **more: Any) -> dict[str, Any]:
    """A line of dotevals."""
    judged = {"name": "odd", "value": True, "metrics": ["accuracy"], "metadata": {"expected": 1}}
    result = {"prompt": f"{id}", "scores": [judged], "error": None, "model_response": "1"}
    row = {"n": id}
    return {"item_id": id, "result": result, "dataset_row": row, "error": None, **more}


def evaluation(status: str | None = "completed") -> dict[str, Any]:
    """The first line of dotevals."""
    name = "eval_n[None-None]"
    return {"evaluation_name": name, "metadata": {}, "started_at": 1e9, "status": status}


def test_a_store_of_dotevals_is_an_experiment(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named by its folder; failures are no wrong answers; the rows are those of a doteval run."""
    typed = {
        "n": {"__type__": "tuple", "data": [1, {"x": 2}]},
        "s": {"__type__": "set", "data": ["a"]},
        "t": [{"__type__": "set", "data": [{"y": 1}]}],
    }
    bad = item(1, result=None, error="ConnectionError: gone", timestamp=1e9 + 1)
    file = written(folder / "first" / "x.jsonl", evaluation(), item(2, dataset_row=typed), bad)

    found = imported(file, name="first")

    good, bad = found["records"]
    assert (found["evaluation"], found["total"]) == ("eval_n", 2)
    key = Identities(("n", "s", "t")).meet(((1, {"x": 2}), {"a"}, [({"y": 1},)]))[0]
    assert good.key == key and good.row == {"n": [1, {"x": 2}], "s": ["a"], "t": [[{"y": 1}]]}
    assert good.outcome.scores[0].metadata == {"expected": 1}
    assert failure(bad).type == "ConnectionError" and bad.started == 1e9 + 1
    assert figures("first", capsys) == {"odd": {"accuracy": (1.0, 1)}}


def test_a_folder_of_dotevals_is_one_experiment(folder: Path) -> None:
    """All its evaluations; a run that was killed is interrupted; a later answer counts."""
    again = item(1, result=None, error="gone"), item(1)
    file = written(folder / "first" / "x.jsonl", evaluation("running"), *again)
    file.write_text(file.read_text().replace("\n", "\n\n"))  # as a resume of dotevals leaves it
    written(folder / "first" / "y.jsonl", {**evaluation(), "evaluation_name": "eval_y"}, item(0))

    assert main(["import", "first"]) == 0
    with closing(open_store()) as store:
        assert list(store.evaluations("first")) == ["eval_n", "eval_y"]
        runs = store.runs("first")
        assert [run.status for run in runs] == ["interrupted", "complete"]
        assert "killed" in str(runs[0].error)
        (live,) = store.records("first", "eval_n")
        (former,) = store.records("first", "eval_n", state=2)
    assert scores(live) == {"odd": True} and former.failed


# ------------------------------------------------------------------------- what they share


def test_rows_of_one_id_are_known_by_what_is_in_them(folder: Path) -> None:
    """Logs have what a dataset of doteval may not have."""
    rows = [{"id": 1, "q": "a"}, {"id": 1, "q": "b"}, {"id": 1, "q": "b"}]
    items = [item(at, dataset_row=row) for at, row in enumerate(rows)]

    records = imported(written(folder / "first" / "x.jsonl", evaluation(), *items), name="first")[
        "records"
    ]

    assert len({record.key for record in records}) == 3


def test_a_log_that_grows_while_it_is_read_is_refused(folder: Path) -> None:
    """What was not there when the scores were gathered has no place in the experiment."""
    told = [Answer(0, {"q": "a"}, {"s": 1})]

    def answers() -> Iterator[Answer]:
        yield from tuple(told)
        told.append(Answer(len(told), {"q": "b"}, {"s": 1}))

    found = lines("x", 0.0, [Part("eval_x", "x", answers, 0.0)])

    with pytest.raises(UsageError, match="the log of 'eval_x' changed while it was read"):
        list(found)


def test_infinite_scores_come_through(folder: Path) -> None:
    """As the store has them."""
    given = {"up": value(float("inf")), "down": value(-float("inf"))}
    file = written(folder / "x.json", {**header(), "samples": [sample(1, 1, given)]})

    (record,) = imported(file, name="x")["records"]

    assert scores(record) == {"up": float("inf"), "down": -float("inf")}


def test_an_imported_log_is_judged_like_any_experiment(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is compared, gated and reported."""
    written(folder / "a.json", {**header(), "samples": SAMPLES})
    written(folder / "b.json", {**header(), "samples": [sample(i, 1, RIGHT) for i in (3, "3")]})
    for file in ("a.json", "b.json"):
        assert main(["import", file]) == 0

    assert main(["compare", "a", "b"]) == 0
    assert "2 rows paired" in capsys.readouterr().out
    assert main(["gate", "a", "match >= 0.7"]) == 0
    assert main(["gate", "a", "match >= 0.8"]) == 1
    assert main(["report", "a", "--baseline", "b"]) == 0


def test_what_may_be_ours_is_left_to_the_import_of_exports(folder: Path) -> None:
    """What `export` wrote, and what is empty."""
    for text in ('{"type": "experiment", "doteval": 1}', ' { "type":', " \n", ""):
        (folder / "own.jsonl").write_text(text)

        assert lines_of(folder / "own.jsonl") is None


@pytest.mark.parametrize("text", ["{}", "[1]", '{"foo": 1}', "text", None])
def test_a_file_that_no_reader_knows_names_the_formats(folder: Path, text: str | None) -> None:
    """Those of plugins too; a folder without logs is such a file."""
    if text is None:
        (folder / "x.json").mkdir()
    else:
        (folder / "x.json").write_text(text)

    with pytest.raises(
        UsageError,
        match=r"x\.json is in no format .* inspect, lm-eval, openai",
    ):
        lines_of(folder / "x.json")


LOG = {**header(), "samples": SAMPLES}
UNSTARTED = {name: each for name, each in header().items() if name != "eval"}


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("x.json", [{**LOG, "version": 9}], "logs of version 9 are not known here, only 2"),
        ("x.json", [{**LOG, "status": "odd"}], "'status' is 'odd', expected one of: success"),
        ("x.json", [UNSTARTED], "'eval' is None, expected an object"),
        ("x.json", [{**LOG, "samples": []}], "'facts' has no rows: they were not logged"),
        ("x.json", [{**LOG, "samples": ["x"]}], "'x' stands where an object with 'error' should"),
        ("x.json", [{**LOG, "samples": [sample(1, True, {})]}], "'epoch' is True, expected"),
        ("x.json", [LOG, LOG], "the file is no JSON (Extra data"),
        ("x.json", [{**LOG, "stats": {"started_at": "noon"}}], "'noon' is no ISO time"),
        ("x.json", [results(version=2)], "results of version 2 are not known here, only 3"),
        ("x.json", [results("x")], "'x' stands where an object with 'testIdx' should"),
        ("x.jsonl", [line(0), [1]], "line 2 is [1], expected an object"),
        ("x.jsonl", [line(0, doc=None)], "'doc' is None, expected an object"),
        ("x.jsonl", [line(0, filter=[])], "'filter' is [], expected a text"),
        ("x.jsonl", [evaluation("odd"), item(0)], "'status' is 'odd', expected one of: completed"),
        ("x.jsonl", [evaluation(), item(0, result=[])], "'result' is [], expected an object"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(
    name: str, values: list[Any], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the file, the tool that it seems to be of, and what is wrong; nothing is stored."""
    said = refused(written(folder / name, *values), capsys)

    assert f"{name}, read as a log of " in said and expected in said


def test_what_is_cut_short_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the middle of a line, of a document, and of a zip; and a zip that is no log."""
    for name, values in (("a.json", [LOG]), ("b.jsonl", [line(0), line(1)])):
        file = written(folder / name, *values)
        file.write_bytes(file.read_bytes()[:-9])
        assert "was it cut short?" in refused(file, capsys)
    file = zipped(folder / "x.eval", header(), *SAMPLES)
    file.write_bytes(file.read_bytes()[:-99])
    assert "the zip is damaged" in refused(file, capsys)
    with zipfile.ZipFile(folder / "y.eval", "w") as zip:
        zip.writestr("readme", "")
    assert "a zip without the header of a log" in refused("y.eval", capsys)


def test_deep_nesting_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not with a traceback."""
    (folder / "x.json").write_text('{"version": 2, "status": ' + "[" * 100_000)

    assert "x.json, read as a log of inspect: the file is no JSON" in refused("x.json", capsys)


# ------------------------------------------------------------------------- pydantic-evals


def case(name: str, of: str | None, value: float, **more: Any) -> dict[str, Any]:
    """A case as a report of pydantic-evals has it."""
    return {
        "name": name, "source_case_name": of, "inputs": {"q": name[:2]}, "metadata": {"topic": "t"},
        "expected_output": "x", "output": "y", "metrics": {"input_tokens": 3}, "attributes": {},
        "scores": {"close": {"value": value, "reason": "near", "source": {}}},
        "assertions": {"close": {"value": True, "reason": None}},
        "labels": {"kind": {"value": "short"}}, "task_duration": 0.5, "evaluator_failures": [],
        **more,
    }  # fmt: skip


def test_a_report_of_pydantic_evals_is_an_experiment(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repeats are those of the case, a label is kept, and what raised is a failure."""
    lost = {
        "name": "b1 [2/2]", "inputs": 1, "metadata": None, "expected_output": None,
        "error_message": "KeyError: 'b'", "error_stacktrace": "Traceback ...",
    }  # fmt: skip
    report = {
        "name": "run-1",
        "cases": [case("a1 [1/2]", "a1", 0.5), case("a1 [2/2]", "a1", 0.7), case("b1", None, 0.9)],
        "failures": [lost], "analyses": [],
        "experiment_metadata": {"model": "m"}, "dataset_name": "facts",
    }  # fmt: skip
    (folder / "report.json").write_text(json.dumps(report, indent=1))

    found = imported("report.json", name="run-1")

    run, records = found["run"], found["records"]
    assert (found["evaluation"], found["total"], run.status) == ("facts", 4, "complete")
    assert run.header["config"] == {"model": "m"}
    assert [(each.position, each.repeat) for each in records] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert records[0].row == {
        "case": "a1", "inputs": {"q": "a1"}, "expected_output": "x", "metadata": {"topic": "t"},
    }  # fmt: skip
    assert scores(records[0]) == {"close": 0.5, "close (assertions)": True}
    assert records[0].outcome.metadata["no_scores"] == {"kind": {"value": "short"}}
    assert failure(records[3]).type == "KeyError"
    assert figures("run-1", capsys)["close"]["mean"] == (pytest.approx(0.75), 2)


# ------------------------------------------------------------------------- DeepEval


@pytest.mark.parametrize(
    ("name", "started"), [("test_run_20261127_005943.json", True), ("full.json", False)]
)
def test_a_run_of_deepeval_is_an_experiment(
    name: str, started: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each metric is a score, and so is whether the test passed; one that raised has none."""
    metrics = [
        {"name": "Exact", "score": 1.0, "success": True, "threshold": 1.0, "reason": "same"},
        {"name": "Broken", "success": False, "error": "ValueError: gone"},
    ]
    cases = [
        {"name": "a", "input": "q", "actualOutput": "A", "success": False, "metricsData": metrics,
         "tokenCost": 0.5, "completionTime": 0.25, "comments": "hm"},
        {"name": "b", "input": "r", "success": False, "metricsData": metrics[1:],
         "runDuration": 0.1},
        {"name": "c", "input": "s", "success": True},
    ]  # fmt: skip
    (folder / name).write_text(
        json.dumps({"testCases": cases, "identifier": "d", "runDuration": 2})
    )

    found = imported(name, name="d")

    first, second, third = found["records"]
    assert scores(first) == {"success": False, "Exact": 1.0}
    assert first.outcome.metadata == {"comments": "hm", "errors": ["ValueError: gone"]}
    assert (first.outcome.usage.cost, first.duration, second.duration) == (0.5, 0.25, 0.1)
    assert (failure(second).type, failure(second).message) == ("ValueError", "ValueError: gone")
    assert scores(third) == {"success": True}
    assert figures("d", capsys)["Exact"]["mean"] == (1.0, 1)
    moment = datetime.datetime.fromtimestamp(found["run"].started)
    assert (moment == datetime.datetime(2026, 11, 27, 0, 59, 43)) is started


# ------------------------------------------------------------------------- OpenAI evals


def event(sample: str, kind: str, **data: Any) -> dict[str, Any]:
    """An event as a record of OpenAI evals has it."""
    at = "2026-11-27 01:11:16.5+00:00"
    return {"sample_id": sample, "type": kind, "data": data, "created_at": at}


@pytest.mark.parametrize("reported", [True, False])
def test_a_record_of_openai_evals_is_an_experiment(
    reported: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The events of a sample are one row; one that was not judged is none, without a report it is
    of a run that was interrupted."""
    spec = {"eval_name": "zoo.dev.v0", "run_id": "r", "completion_fns": ["gpt"], "created_at": None}
    used = {"prompt_tokens": 7, "completion_tokens": 2}
    lines = [
        {"spec": spec},
        *([{"final_report": {"accuracy": 0.5}}] if reported else []),
        event("zoo.1", "sampling", prompt="p", sampled="A", usage=used),
        event("zoo.1", "sampling", prompt="p2", sampled="B", usage=used),
        event("zoo.1", "match", correct=True, expected="B", picked="B"),
        event("zoo.0", "match", correct=False, expected="C", picked=None),
        event("odd", "metrics", distance=0.5, note="x"),
        event("zoo.4", "error", type="KeyError", message="gone"),
        event("zoo.5", "sampling", prompt="p", sampled="A"),
        {"sample_id": "zoo.6", "type": "error", "data": "TimeoutError: late", "created_at": None},
    ]

    found = imported(written(folder / "zoo.jsonl", *lines), name="zoo.dev.v0")

    records = {each.row["id"]: each for each in found["records"]}
    assert found["run"].status == ("complete" if reported else "interrupted")
    assert list(records) == ["zoo.1", "zoo.0", "odd", "zoo.4", "zoo.6"]
    assert records["zoo.1"].position == 1
    one = records["zoo.1"].outcome
    assert (one.prompt, one.model_response, one.usage.input_tokens) == ("p2", "B", 14)
    assert failure(records["zoo.4"]).type == "KeyError"
    assert figures("zoo.dev.v0", capsys) == {
        "match": {"accuracy": (0.5, 2)}, "distance": {"mean": (0.5, 1)},
    }  # fmt: skip
