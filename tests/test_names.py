"""An evaluation has one name, and what an earlier version stored under another is found again."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from doteval.cli import main
from doteval.errors import Busy
from doteval.storage import open_store
from tests.storage.made import a_run

EARLIER = Path(__file__).parent / "data" / "earlier"
OLD, NEW = "nested/eval_old.py::eval_old", "eval_old.py::eval_old"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where an earlier version has run `nested/eval_old.py`, which is a project of its own."""
    (tmp_path / ".doteval").mkdir()
    (tmp_path / "nested").mkdir()
    (tmp_path / "nested" / "pyproject.toml").write_text("")
    shutil.copy(EARLIER / "eval_old.py", tmp_path / "nested")
    laid(tmp_path / ".doteval" / "results.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def laid(path, name=OLD):
    """The store of the earlier version, with the evaluation under one of its old names."""
    connection = sqlite3.connect(path)
    connection.executescript((EARLIER / "version_1.sql").read_text(encoding="utf-8"))
    connection.execute("DELETE FROM evaluations WHERE name <> ?", (OLD,))
    connection.execute("DELETE FROM experiments WHERE name <> 'old'")
    connection.execute("UPDATE evaluations SET name = ?", (name,))
    connection.commit()
    connection.close()
    return path


def names_in(path):
    connection = sqlite3.connect(path)
    found = [name for (name,) in connection.execute("SELECT name FROM evaluations")]
    connection.close()
    return found


def calls(folder):
    return sum(len(each.read_text().splitlines()) for each in folder.rglob("calls.txt"))


def command_line(folder, *arguments):
    return main(["run", "nested/eval_old.py", "--experiment", "old", *arguments])


def pytest_session(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "nested/eval_old.py",
         "--experiment", "old", *arguments],
        cwd=folder, timeout=60,
    ).returncode  # fmt: skip


def script(folder, *arguments):
    storage = f", storage={arguments[1]!r}" if arguments else ""
    code = f"import nested.eval_old as e, doteval; doteval.run(e.eval_old, 'old'{storage})"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, timeout=60).returncode


@pytest.mark.parametrize("door", [command_line, pytest_session, script])
def test_what_an_earlier_version_stored_is_resumed(folder, door):
    """Nothing is paid for a second time, and the evaluation has its one name from then on."""
    assert door(folder) == 0

    assert calls(folder) == 0
    assert names_in(folder / ".doteval" / "results.db") == [NEW]


@pytest.mark.parametrize("old", ["nested/eval_old.py", "{}/nested/eval_old.py"])
def test_an_earlier_store_elsewhere_is_resumed(folder, old):
    """Its names counted from the working directory, or were whole paths."""
    (folder / "elsewhere").mkdir()
    store = laid(folder / "elsewhere" / "x.db", f"{old.format(folder.as_posix())}::eval_old")
    (folder / ".doteval" / "results.db").unlink()

    assert command_line(folder, "--storage", str(store)) == 0

    assert calls(folder) == 0
    assert names_in(store) == [NEW]


def test_a_plan_knows_the_earlier_name(folder, capsys):
    """It counts what would run, and changes nothing."""
    main(["run", "nested/eval_old.py", "--experiment", "old", "--plan", "--json"])
    (plan,) = json.loads(capsys.readouterr().out)["plans"]

    assert (plan["finished"], plan["to_run"], plan["evaluation"]) == (5, 0, NEW)
    assert names_in(folder / ".doteval" / "results.db") == [OLD]


def test_a_name_that_another_evaluation_has_today_is_not_taken(folder, monkeypatch, capsys):
    """In one store, what one file is called now may be what another was called once."""
    store = folder / "x.db"
    shutil.rmtree(folder / ".doteval")
    shutil.move(folder / "nested" / "pyproject.toml", folder)
    shutil.copy(EARLIER / "eval_old.py", folder)
    assert main(["run", "eval_old.py", "--experiment", "e", "--storage", str(store)]) == 0
    monkeypatch.chdir(folder / "nested")

    for more in (["--plan"], []):
        main(["run", "eval_old.py", "--experiment", "e", "--storage", str(store), *more])
    planned = capsys.readouterr().out

    assert "5 to run" in planned
    assert calls(folder) == 10
    assert names_in(store) == ["eval_old.py::eval_old", "nested/eval_old.py::eval_old"]


def test_an_earlier_version_that_is_still_running_is_waited_for(folder):
    """Its evaluation is not renamed under its hands."""
    store, other = open_store(), open_store()
    store.begin(a_run(experiment="old", evaluation=OLD))

    with pytest.raises(Busy, match="is being run by process"):
        other.begin(a_run(experiment="old", evaluation=NEW), formerly=OLD)

    other.close()
    store.close()


# --- which store ------------------------------------------------------------------------------


def test_commands_say_which_store_they_use(folder, monkeypatch, capsys):
    """Where it is not `./.doteval`, and nobody named it; on stderr, so that JSON stays clean."""
    here = f"store: {folder / '.doteval' / 'results.db'}\n"

    def err(*arguments):
        main(list(arguments))
        return capsys.readouterr().err

    assert err("list", "--json") == ""
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder / "sub")
    for command in (
        ["list"],
        ["list", "--json"],
        ["show", "old"],
        ["doctor"],
        ["prune", "--keep=0d"],
    ):
        assert err(*command) == here
    assert err("run", "../nested/eval_old.py", "--experiment", "old", "-q") == here
    assert err("list", "--storage", "../.doteval/results.db") == ""


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["show", "old"], ["doctor"]])
def test_a_named_store_that_is_not_there_is_an_error(folder, command, capsys):
    """Who only reads has misspelt it; "nothing is there" is told of the default alone."""
    assert main([*command, "--storage", "no/such.db"]) != 0

    said = capsys.readouterr()
    assert said.out == ""
    assert f"there is no store at {folder / 'no' / 'such.db'}" in said.err
