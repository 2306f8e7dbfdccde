"""Tags, notes and the checkout: what an experiment is found by, and which code it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from doteval import experiments, foreach, run
from doteval.cli import main
from doteval.errors import UsageError
from doteval.running.environment import Checkout


@foreach("text", ["a", "b"])
def eval_text(text):
    return text == "a"


@pytest.fixture
def storage(tmp_path):
    """A store with an experiment that has tags and a note, one that was told anew, and one more."""
    path = str(tmp_path / "results.db")
    quiet = {"storage": path, "progress": False}
    run(eval_text, "first", tags={"prompt": "v1", "size": 7}, note="hello <there>", **quiet)
    run(eval_text, "second", tags={"prompt": "v1", "team": "red army"}, **quiet)
    run(eval_text, "second", tags={"prompt": "v2"}, note=" told later ", **quiet)
    run(eval_text, "plain", note="", **quiet)
    return path


def test_tags_and_notes_are_of_the_experiment(storage):
    """A later run adds tags, gives a new value to a name, and its note takes the place."""
    told = {each.name: (each.tags, each.note) for each in experiments(storage)}

    assert told == {
        "first": ({"prompt": "v1", "size": "7"}, "hello <there>"),
        "second": ({"prompt": "v2", "team": "red army"}, "told later"),
        "plain": ({}, None),
    }
    assert experiments(storage)[0].summaries[0].to_dict()["tags"] == {"prompt": "v1", "size": "7"}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["prompt=v2"], {"second"}),
        (["prompt"], {"first", "second"}),
        (["prompt=v1", "size=7"], {"first"}),
        (["team=red army"], {"second"}),
    ],
)
def test_list_finds_by_tags(storage, capsys, asked, found):
    """By name, or by name and value; by several of them."""
    words = [word for each in asked for word in ("--tag", each)]

    assert main(["list", *words, "--json", "--storage", storage]) == 0

    listed = json.loads(capsys.readouterr().out)["experiments"]
    assert {each["experiment"] for each in listed} == found


def test_list_says_which_tags_there_are(storage, tmp_path, monkeypatch, capsys):
    """Where none is found; where nothing was run yet it says how to."""
    assert main(["list", "--tag", "promt=v2", "--storage", storage]) == 1
    assert "no experiment has promt=v2; the tags that there are: " in capsys.readouterr().err
    other = str(tmp_path / "other.db")
    run(eval_text, "e", storage=other, progress=False)
    assert main(["list", "--tag", "a", "--storage", other]) == 1
    assert "no experiment has a; none has a tag" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert main(["list", "--tag", "a"]) == 0
    assert "There are no experiments here yet" in capsys.readouterr().out


def test_list_and_show_and_the_report_tell_them(storage, tmp_path, capsys):
    """Columns where an experiment has some, and lines below its name."""
    assert main(["list", "--storage", storage]) == 0
    listed = capsys.readouterr().out
    assert main(["show", "second", "--storage", storage]) == 0
    shown = capsys.readouterr().out
    page = tmp_path / "page.html"
    assert main(["report", "second", "--storage", storage, "-o", str(page)]) == 0
    assert main(["delete", "second", "--yes", "--storage", storage]) == 0
    assert main(["delete", "first", "--yes", "--storage", storage]) == 0
    capsys.readouterr()
    assert main(["list", "--storage", storage]) == 0

    assert "prompt=v2, team=red army" in listed
    assert "told later" in listed
    assert "tags      prompt=v2 · team=red army\n  note      told later\n" in shown
    assert '"red army"' in page.read_text("utf-8")
    assert "tags" not in capsys.readouterr().out.splitlines()[0]


def test_the_command_line_and_pytest_take_them(pytester, capsys):
    """Under either door the same experiment."""
    pytester.makepyfile(eval_x="from doteval import foreach\n\n@foreach('n', [1])\ndef eval_x(n):\n"
                               "    return True\n")  # fmt: skip
    given = ["--tag", "prompt = v2", "--tag", "empty=", "--note", "by hand"]
    assert main(["run", "eval_x.py", "--experiment", "e", "-qq", *given]) == 0
    pytester.runpytest_subprocess(
        "eval_x.py", "--experiment", "e", "--eval-tag", "ci=yes", "--eval-note", "by pytest"
    ).assert_outcomes(passed=1)

    (found,) = experiments()
    assert found.tags == {"prompt": "v2", "empty": "", "ci": "yes"}
    assert found.note == "by pytest"
    wrong = pytester.runpytest_subprocess("eval_x.py", "--eval-tag", "ci")
    wrong.stderr.fnmatch_lines(["*--eval-tag='ci': expected NAME=VALUE, as in prompt=v2*"])
    assert main(["run", "eval_x.py", "--tag", "=v2"]) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tags": "a=b"}, "tags='a=b': expected names and texts"),
        ({"tags": {"a": []}}, "expected names and texts"),
        ({"tags": {" ": "x"}}, "expected names and texts"),
        ({"note": 5}, "note=5: expected a text"),
    ],
)
def test_what_is_no_tag_and_no_note_is_refused(given, said):
    """Before anything runs."""
    with pytest.raises(UsageError, match=said):
        run(eval_text, storage="memory://", **given)


# --- the checkout ----------------------------------------------------------------------------


def checkout_of(folder, patience=60.0):
    """What is known of it once git has looked."""
    checkout = Checkout(folder)
    checkout.wait(patience)
    return checkout.told()


def git(folder, *words):
    """Run git there."""
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_checkout_is_clean_until_a_file_changes(tmp_path, monkeypatch, capsys):
    """Files that git does not follow change nothing; without git nobody knows."""
    git(tmp_path, "init", "-b", "dev/x")
    (tmp_path / "prompt.txt").write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "other.txt").write_text("new")
    clean = checkout_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    run(eval_text, "e", progress=False)

    (tmp_path / "prompt.txt").write_text("two")

    assert (clean["branch"], clean["clean"]) == ("dev/x", True)
    assert checkout_of(tmp_path) == {**clean, "clean": False}
    assert main(["show", "e"]) == 0
    assert f"commit    {clean['commit'][:12]} on dev/x\n" in capsys.readouterr().out
    run(eval_text, "e", fresh=True, progress=False)
    assert main(["show", "e"]) == 0
    assert "on dev/x · and changes that are in no commit" in capsys.readouterr().out
    git(tmp_path, "checkout", "--detach")
    assert checkout_of(tmp_path)["branch"] is None
    run(eval_text, "detached", progress=False)
    assert main(["show", "detached"]) == 0
    assert f"commit    {clean['commit'][:12]} · and changes" in capsys.readouterr().out
    monkeypatch.setenv("PATH", "")
    assert checkout_of(tmp_path)["clean"] is None


def test_nobody_waits_for_a_git_that_takes_long(tmp_path, monkeypatch):
    """As in a repository of millions of files: whether it is clean is not known then."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("b" * 40)
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert checkout_of(tmp_path, 0.01) == {"commit": "b" * 40, "branch": None, "clean": None}
