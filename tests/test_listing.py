from __future__ import annotations

import json

import pytest

from doteval import datasets
from doteval.cli import main


@pytest.fixture
def registered(monkeypatch):
    """The registry of datasets, as it was afterwards."""
    monkeypatch.setattr(datasets.registry, "_registered", {})
    return datasets.registry


def test_plugins_are_listed_in_a_table(capsys):
    assert main(["plugins"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["kind", "name", "from", "state"]
    assert ["evaluator", "exact_match", "built", "in", "ok"] in [line.split() for line in lines]


def test_plugins_are_listed_as_json(capsys):
    assert main(["plugins", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)
    assert {"kind": "metric", "name": "mean", "from": "built in", "error": None} in listed


def test_without_datasets_a_sentence_says_so(registered, capsys):
    assert main(["datasets"]) == 0

    assert "no dataset is registered" in capsys.readouterr().out


def test_datasets_are_listed_with_what_they_say_of_themselves(registered, capsys):
    class Capitals:
        """Countries and their capitals."""

        splits = ("test",)
        columns = ("country", "capital")
        num_rows = 3

    class Endless:
        splits = ()
        columns = ("n",)

    registered.register("capitals", Capitals)
    registered.register("endless", Endless)

    assert main(["datasets"]) == 0
    table = capsys.readouterr().out
    assert main(["datasets", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)

    assert ["capitals", "test", "country,", "capital", "3"] in [
        line.split() for line in table.splitlines()
    ]
    assert listed[0]["about"] == "Countries and their capitals."
    assert listed[1]["num_rows"] is None


def test_a_dataset_that_can_not_be_loaded_does_not_hide_the_others(
    registered, tmp_path, monkeypatch, capsys
):
    """Here, one of a package that is really on the path and lacks the module that it names."""
    metadata = tmp_path / "a_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: a-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[doteval.datasets]\nbroken = gone:Dataset\n")
    monkeypatch.syspath_prepend(tmp_path)
    registered.register("fine", type("Fine", (), {"columns": ("n",), "splits": ()}))

    assert main(["datasets"]) == 1

    told = capsys.readouterr().out
    assert "a-package 1.0 can not be loaded" in told
    assert "fine" in told
