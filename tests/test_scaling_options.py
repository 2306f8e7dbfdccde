"""Shards and budgets, as `doteval run` and pytest are asked for them."""

from __future__ import annotations

import re

import pytest

from doteval.cli import main
from doteval.storage import open_store

EVALUATIONS = """
import asyncio
from doteval import ForEach, Result
from doteval.concurrency import Sequential

@ForEach(retries=0)("n", range({rows}))
async def eval_cheap(n):
    return Result(True, usage={{"input_tokens": 0, "output_tokens": 0, "cost": 0}})

@ForEach(concurrency=Sequential(), retries=0)("n", [*range({rows}), "{bad}"])
async def eval_dear(n):
    await asyncio.sleep(0.01)  # so long that the disk keeps up
    if n == "bad":
        raise ValueError("bad")
    return Result(True, usage={{"input_tokens": 60, "output_tokens": 40, "cost": 1}})
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a file of evaluations."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".doteval").mkdir()
    written(tmp_path)
    return tmp_path


def written(folder, rows=40, bad=""):
    (folder / "eval_x.py").write_text(EVALUATIONS.format(rows=rows, bad=bad), encoding="utf-8")


def stored(storage=None, experiment="e"):
    """How many records each evaluation has, by its short name."""
    store = open_store(storage)
    found = {
        name.rpartition("::")[2]: store.tally(experiment, name).scored
        for name in store.evaluations(experiment)
    }
    store.close()
    return found


def said(capsys, *arguments):
    capsys.readouterr()
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


# ----------------------------------------------------------------------- doteval run


def test_shards_of_doteval_run_share_the_rows(folder, capsys):
    parts = [
        said(capsys, "run", "eval_x.py::eval_cheap", "--experiment", "e", "--shard", f"{at}/3")
        for at in (1, 2, 3)
    ]

    assert [code for code, _, _ in parts] == [0, 0, 0]
    assert "shard 1/3: the other rows are left to the other shards" in parts[0][1]
    assert "incomplete" in parts[0][1]
    assert "40 of 40 scored" in parts[2][1]


def test_what_resumes_a_shard_is_its_own_command(folder, capsys):
    written(folder, bad="bad")
    arguments = ["eval_x.py::eval_dear", "--experiment", "e", "--budget", "time=1h"]
    shards = [said(capsys, "run", *arguments, "--shard", f"{at}/2") for at in (1, 2)]

    ((code, out, _),) = [each for each in shards if each[0]]

    assert code == 1
    assert re.search(
        r"to try them again: +\S.* run eval_x.py::eval_dear --experiment e --shard [12]/2 "
        r"--budget time=1h\n",
        out,
    )


def test_a_budget_that_ends_a_run_is_inconclusive(folder, capsys):
    """Rows are missing, so it is no success; none has failed, so it is no failure."""
    arguments = ["run", "eval_x.py", "--experiment", "e", "--budget", "tokens=1k"]
    code, out, err = said(capsys, *arguments)
    first = stored()
    again, _, _ = said(capsys, *arguments)

    assert (code, again) == (3, 3)
    assert first["eval_cheap"] == 40
    assert 10 <= first["eval_dear"] < stored()["eval_dear"] < 41
    assert re.fullmatch(r"doteval: eval_dear: stopped: [\d,]+ of 1,000 tokens are used up\n", err)
    assert "to resume: " in out
    assert "--budget tokens=1k" in out
    assert said(capsys, "run", "eval_x.py", "--experiment", "e")[0] == 0


def test_failures_weigh_more_than_a_budget(folder, capsys):
    written(folder, rows=0, bad="bad")
    with_rows = (folder / "eval_x.py").read_text().replace('"bad"]', '"bad", *range(40)]')
    (folder / "eval_x.py").write_text(with_rows)
    arguments = ["run", "eval_x.py::eval_dear", "--budget", "cost=5"]

    code, _, err = said(capsys, *arguments)
    allowed, _, _ = said(capsys, *arguments, "--max-errors", "1")

    assert (code, allowed) == (1, 3)
    assert "failed; first: row 0, ValueError: bad" in err


def test_a_budget_that_the_last_row_spends_has_stopped_nothing(folder, capsys):
    code, out, _ = said(capsys, "run", "eval_x.py::eval_dear", "--budget", "cost=41")

    assert "41 of 41 scored" in out
    assert code == 0


def test_one_evaluation_that_is_stopped_makes_the_command_inconclusive(folder, capsys):
    """The others run all the same, and each has the whole budget."""
    code, _, _ = said(capsys, "run", "eval_x.py", "--experiment", "e", "--budget", "cost=5")

    assert code == 3
    assert stored()["eval_cheap"] == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "5/4"], "--shard: '5/4': expected i/n with 1 <= i <= n"),
        (["--budget", "lots"], "'lots' is no limit of time, tokens, cost or errors"),
        (["--json"], "--json is for --plan"),
    ],
)
def test_bad_usage_is_told_before_anything_runs(folder, capsys, arguments, message):
    code, _, err = said(capsys, "run", "eval_x.py", *arguments)

    assert code == 2
    assert message in err
    assert not (folder / ".doteval" / "results.db").exists()


# --------------------------------------------------------------------------- pytest


@pytest.fixture
def session(folder, pytester, monkeypatch):
    """Runs pytest in a folder with the evaluations."""
    monkeypatch.chdir(pytester.path)
    (pytester.path / ".doteval").mkdir()
    written(pytester.path)

    def run(*arguments):
        return pytester.runpytest("eval_x.py", "--experiment", "e", *arguments)

    return run


def test_shards_under_pytest_share_the_rows(session):
    first = session("--eval-shard", "1/2", "-k", "cheap")
    half = stored()["eval_cheap"]
    second = session("--eval-shard", "2/2", "-k", "cheap")

    assert (first.ret, second.ret) == (0, 0)
    assert 5 < half < 35
    assert stored() == {"eval_cheap": 40}


def test_xdist_workers_and_shards_write_one_store(session):
    """Evaluations go to the workers, rows to the shards, and both into one file."""
    pytest.importorskip("xdist")

    for shard in ("1/2", "2/2"):
        assert session("--eval-shard", shard, "-n", "2").ret == 0

    assert stored() == {"eval_cheap": 40, "eval_dear": 41}


def test_gates_wait_for_the_other_shards_under_pytest(session):
    """Alone a shard can not judge them, so it leaves them to `doteval gate`; the last one can."""
    gate = ("-k", "cheap", "--eval-gate", "eval_cheap < 1")
    first = session("--eval-shard", "1/2", *gate)
    second = session("--eval-shard", "2/2", *gate)

    assert (first.ret, second.ret) == (0, 1)
    first.stdout.fnmatch_lines(["*gates are about all shards: merge them, then*doteval gate*"])


def test_a_budget_fails_the_item_and_tells_how_to_go_on(session):
    result = session("--eval-budget", "tokens=1k", "--eval-shard", "1/1")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "stopped: * of 1,000 tokens are used up; the same command resumes the run",
            "resume: *pytest eval_x.py::eval_dear --experiment e --eval-shard 1/1 "
            "--eval-budget tokens=1k",
        ]
    )
    assert session().ret == 0


def test_a_budget_that_the_last_row_spends_fails_nothing(session):
    assert session("--eval-budget", "cost=41").ret == 0


def test_a_budget_may_stand_in_the_configuration(session, pytester):
    """The command that resumes needs not say it again."""
    pytester.makeini("[pytest]\neval_budget = cost=5\n")

    result = session()

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["resume: *pytest eval_x.py::eval_dear --experiment e"])
    assert session("--eval-budget", "cost=100").ret == 0


def test_failures_that_are_allowed_do_not_hide_the_budget(session, pytester):
    written(pytester.path, bad="bad")
    text = (pytester.path / "eval_x.py").read_text().replace("[*range(40), ", "[")
    (pytester.path / "eval_x.py").write_text(text.replace('"bad"]', '"bad", *range(40)]'))

    result = session("--eval-budget", "cost=5", "--eval-max-errors", "1")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["stopped: a cost of * has reached the limit of 5;*"])
    result.stdout.no_fnmatch_line("first: row*")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--eval-shard", "0/4"], "--eval-shard='0/4': expected i/n with 1 <= i <= n"),
        (["--eval-budget", "lots"], "--eval-budget='lots': 'lots' is no limit"),
    ],
)
def test_bad_usage_ends_the_session(session, arguments, message):
    result = session(*arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


def test_a_bad_budget_in_the_configuration_is_named(session, pytester):
    pytester.makeini("[pytest]\neval_budget = lots\n")

    result = session()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "eval_budget='lots'" in result.stderr.str()
