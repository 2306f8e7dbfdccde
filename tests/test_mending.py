from __future__ import annotations

import json
import os

import pytest

from doteval import foreach, run
from doteval.cli import main


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with a run of 50 rows, named by a path."""
    monkeypatch.chdir(tmp_path)

    @foreach("n", range(50))
    def eval_n(n):
        return True

    run(eval_n, "e", "results.db", progress=False)
    return tmp_path / "results.db"


def test_a_whole_store_is_healthy(store, capsys):
    assert main(["doctor", "--storage", "results.db"]) == 0

    assert capsys.readouterr().out.splitlines()[-1].endswith("results.db: healthy")


def test_the_findings_are_told_as_json(store, capsys):
    assert main(["doctor", "--json", "--storage", "results.db"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["healthy"], told["store"]) == (True, str(store))


def damage(store):
    """Overwrite a page in the middle of the file."""
    with open(store, "r+b") as file:
        file.seek(os.path.getsize(store) // 8192 * 4096)
        file.write(b"\xff" * 4096)


def test_a_damaged_store_is_told_and_mended_after_a_backup(store, capsys):
    damage(store)

    assert main(["doctor", "--storage", "results.db"]) == 1
    told = capsys.readouterr().out
    assert "damage: " in told
    assert told.splitlines()[-1].endswith("needs mending")

    assert main(["doctor", "--fix", "--storage", "results.db"]) == 0
    mended = capsys.readouterr().out
    assert "as it was: " in mended
    assert mended.splitlines()[-1].endswith("healthy")


def test_mending_is_told_as_json(store, capsys):
    assert main(["doctor", "--fix", "--json", "--storage", "results.db"]) == 0
    nothing = json.loads(capsys.readouterr().out)
    damage(store)
    assert main(["doctor", "--fix", "--json", "--storage", "results.db"]) == 0
    something = json.loads(capsys.readouterr().out)

    assert (nothing["backup"], nothing["healthy"]) == (None, True)
    assert os.path.exists(something["backup"])
    assert something["done"]


def test_nothing_to_mend_says_nothing(store, capsys):
    assert main(["doctor", "--fix", "--storage", "results.db"]) == 0

    assert "as it was" not in capsys.readouterr().out


def test_without_a_store_there_is_nothing_to_look_at(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["doctor", "--storage", "none.db"]) in (1, 4)
    assert "there is no store" in capsys.readouterr().err
