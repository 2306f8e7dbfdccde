"""Records of two versions of the code or the config are never one figure without saying so."""

from __future__ import annotations

import sys

import pytest

from doteval import ForEach, foreach, run
from doteval.cli import main
from doteval.errors import UsageError
from doteval.reporting.summary import summarise
from doteval.storage import open_store

pytest_plugins = ["pytester"]

FILE = """
import os
from doteval import foreach

MODEL = "small"

@foreach("q", [f"q{i}" for i in range(4)])
def eval_f(q, model="x", params=None):
    return bool(MODEL)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with an evaluation, in its own folder."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "eval_f.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def summary_of(project, name):
    store = open_store(create=False)
    try:
        return summarise(store, name, store.evaluations(name)[0])
    finally:
        store.close()


def doteval(*arguments):
    return main(["run", "eval_f.py", "--experiment", "n", *arguments])


def test_code_that_changed_is_told_by_name_and_counted_apart(project, capsys):
    """In the note of the run, in what is shown, in JSON, and for gates."""
    assert doteval("--samples", "3") == 0
    (project / "eval_f.py").write_text(FILE.replace("small", "large"))

    assert doteval() == 0

    told = capsys.readouterr().out
    assert "changed since the last run: the code of eval_f.py::MODEL; stored" in told
    assert "versions  1 row · latest" in told
    assert "3 rows · other code: eval_f.py::MODEL" in told
    now, before = summary_of(project, "n").to_dict()["versions"]
    assert (now["records"], now["changed"]) == (1, [])
    assert (before["records"], before["changed"]) == (3, ["eval_f.py::MODEL"])
    assert main(["gate", "n", "versions == 1"]) == 1
    capsys.readouterr()
    said = "'n' has rows of 2 versions of the code or the config"
    assert main(["list"]) == 0
    assert f"{said}: " in capsys.readouterr().out
    assert main(["run", "eval_f.py", "--experiment", "one"]) == 0
    main(["compare", "n", "one"])
    assert said in " ".join(capsys.readouterr().out.split())
    assert doteval("--fresh") == 0
    assert summary_of(project, "n").versions == ()
    assert main(["gate", "n", "versions == 1"]) == 0


def test_many_changes_are_counted(project, capsys):
    """A sentence names five, and how many more there are."""
    names = [f"N{i}" for i in range(8)]
    text = "\n".join(f"{name} = 1" for name in names) + FILE.replace(
        "bool(MODEL)", f"bool({' + '.join(names)})"
    )
    (project / "eval_f.py").write_text(text)
    assert doteval("--samples", "1") == 0

    (project / "eval_f.py").write_text(text.replace(" = 1", " = 2"))

    assert doteval() == 0
    assert "eval_f.py::N4 and 3 more; stored" in capsys.readouterr().out


def test_another_config_is_refused_with_the_ways_out(project, capsys):
    """Exit code 2 before a row is paid for; --keep-config goes on, and the figure says so."""
    assert doteval("--samples", "2", "-P", "model=small", "-P", "t=0.5", "-P", "a=1") == 0

    assert doteval("-P", "model=large", "-P", "t=0.5", "-P", "b=2") == 2

    told = capsys.readouterr().err
    assert "model was 'small', and is 'large'; a was 1, and is not given; b was not given" in told
    assert "--fresh makes all rows anew, --keep-config" in told
    assert summary_of(project, "n").scored == 2
    assert doteval("-P", "model=large", "--plan") == 1
    assert "the last run had another config" in capsys.readouterr().out
    assert doteval("-P", "model=large", "--keep-config") == 0
    told = capsys.readouterr().out
    assert "2 rows · model = large" in told
    assert doteval("-P", "model=large", "-P", "t=[1]") == 2
    assert doteval("-P", "model=large") == 0
    assert "to run anew: " in (again := capsys.readouterr().out) and "-P model=large" in again
    assert doteval("-P", "model=other", "--fresh") == 0


def test_a_parameter_goes_where_its_name_is(project, capsys):
    """To the parameter of its name, else into `params`; what nobody takes is refused."""
    seen = []

    @foreach("q", ["a"])
    def eval_both(q, model, params):
        seen.append((model, params))
        return True

    @foreach("q", ["a"])
    def eval_none(q):
        return True

    run(eval_both, storage="memory://", progress=False, params={"model": "m", "t": 1})

    assert seen == [("m", {"t": 1})]
    with pytest.raises(UsageError, match="has no parameter 't', and none called `params`"):
        run(eval_none, storage="memory://", progress=False, params={"t": 1})
    assert doteval("-P", "model") == 2
    assert "expected NAME=VALUE, as in model=large" in capsys.readouterr().err


def test_a_config_is_plain(tmp_path):
    """What decides over answers is kept with the run, so it is data."""
    made = []

    def settings():
        made.append(1)
        return {"prompt": ["a", {"b": None}]}

    @ForEach(config=settings)("q", ["a"])
    def eval_c(q):
        return True

    for _ in range(2):
        run(eval_c, "n", tmp_path / "r.db", progress=False)

    assert made == [1, 1]
    with pytest.raises(UsageError, match=r"ForEach\(config=\.\.\.\)\['a'\]\[0\] is of type object"):
        ForEach(config={"a": [object()]})
    with pytest.raises(UsageError, match="expected a mapping by text, got 5"):
        ForEach(config=5)


CONFTEST = """
import pytest

@pytest.fixture(scope="session", params=["small", "large"])
def model(request, eval_config):
    eval_config["model"] = request.param
    return request.param

@pytest.fixture
def scale(eval_params):
    return eval_params["scale"] * 1
"""
ITEMS = """
from doteval import foreach

@foreach("q", ["a", "b"])
def eval_model(q, model, scale):
    return bool(scale)

@foreach("q", ["a", "b"])
def eval_plain(q):
    return True
"""


def test_fixtures_are_a_part_of_the_version(pytester):
    """What they put into eval_config, --eval-param, and their own code; each item has its own."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(eval_x=ITEMS)
    options = ("eval_x.py", "--experiment", "n", "--eval-param", "scale=2")
    first = pytester.runpytest_subprocess(*options)
    first.assert_outcomes(passed=3)

    refused = pytester.runpytest_subprocess(*options[:-1], "scale=3")

    refused.assert_outcomes(failed=2, passed=1)
    refused.stdout.fnmatch_lines(["*the last run had another config: scale was 2, and is 3.*"])
    store = open_store(pytester.path / ".doteval" / "results.db", create=False)
    configs = {name: store.runs("n", name)[-1].header["config"] for name in store.evaluations("n")}
    store.close()
    assert configs == {
        "eval_x.py::eval_model[small]": {"scale": 2, "model": "small"},
        "eval_x.py::eval_model[large]": {"scale": 2, "model": "large"},
        "eval_x.py::eval_plain": {},
    }
    pytester.makeconftest(CONFTEST.replace("* 1", "* 1 + 0"))
    changed = pytester.runpytest_subprocess(*options[:-1], "scale=3", "--eval-keep-config")
    changed.assert_outcomes(passed=3)
    changed.stdout.fnmatch_lines(["*scale was 2, and is 3; the code of conftest.py::scale;*"])
    wrong = pytester.runpytest_subprocess("eval_x.py", "--eval-param", "scale")
    wrong.stderr.fnmatch_lines(["*--eval-param='scale': expected NAME=VALUE*"])


GRID = """
from doteval import foreach

@foreach("text", ["a", "bb", "ccc"])
def eval_long(text, least, prompt="none"):
    return len(text) >= least

@foreach("text", ["a"])
def eval_all(text, params):
    return params == {"least": 2, "prompt": "v1", "size": "s"}
"""


def test_a_grid_runs_every_combination_under_a_name_of_its_own(tmp_path, monkeypatch, capsys):
    """Like items that pytest parametrizes; each has its config, and the same command resumes."""
    (tmp_path / "eval_grid.py").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    typed = ["run", "eval_grid.py", "--experiment", "g", "--grid", "least=1,2", "--grid"]
    typed += ["prompt=v1, v2", "-P", "size=s"]

    assert main([*typed[:-2], "--plan"]) == 0
    planned = capsys.readouterr().out
    assert main([*typed[:1], "eval_grid.py::eval_all", *typed[2:], "-q"]) == 0
    capsys.readouterr()
    assert main([*typed[:1], "eval_grid.py::eval_long", *typed[2:-2], "-q"]) == 0
    capsys.readouterr()
    assert main([*typed[:1], "eval_grid.py::eval_long", *typed[2:-2], "-q"]) == 0
    again = " ".join(capsys.readouterr().out.split())

    assert "eval_long[1-v1] · 3 to run" in planned and "eval_all[2-v2] · 1 to run" in planned
    assert "--grid least=1,2 --grid 'prompt=v1, v2' --fresh" in again
    store = open_store(tmp_path / ".doteval" / "results.db", create=False)
    told = {
        name.partition("::")[2]: store.runs("g", name)[-1].header["config"]
        for name in store.evaluations("g")
    }
    right = [
        sum(record.outcome.scores[0].value for record in store.records("g", name))
        for name in store.evaluations("g")
    ]
    store.close()
    assert list(told) == [
        f"{name}[{least}-{prompt}]"
        for name in ("eval_all", "eval_long") for least in (1, 2) for prompt in ("v1", "v2")
    ]  # fmt: skip
    assert told["eval_long[2-v1]"] == {"least": 2, "prompt": "v1"}
    assert right == [0, 0, 1, 0, 3, 3, 2, 2]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--grid", "least=1,1"], "expected NAME=VALUE,VALUE with different values"),
        (["--grid", "least=1,"], "expected NAME=VALUE,VALUE"),
        (["--grid", "least"], "expected NAME=VALUE,VALUE"),
        (["--grid", "least=1,2", "--grid", "least=3"], "the parameter 'least' is given twice"),
        (["--grid", "least=1,2", "-P", "least=3"], "the parameter 'least' is given twice"),
        (["--grid", "leats=1,2"], "has no parameter 'leats'"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(tmp_path, monkeypatch, capsys, typed, said):
    """Before anything is called."""
    (tmp_path / "eval_grid.py").write_text(GRID)
    monkeypatch.chdir(tmp_path)

    assert main(["run", "eval_grid.py::eval_long", *typed]) == 2
    assert said in capsys.readouterr().err
