"""A package with a plugin of every kind, really installed, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGIN = Path(__file__).with_name("plugin")

EVALUATION = """
from doteval import Result, Score, foreach
from doteval.evaluators import rhymes

@foreach.planets("inner")
def eval_moons(planet, moons):
    return Result(Score("moons", moons + 1, ("geometric",)), rhymes(planet, "Mearth"))

@foreach("n", [1, 2])
def eval_plain(n):
    return True
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the plugin installed by pip, offline, and evaluations that use it."""
    pytest.importorskip("setuptools", "70.1", reason="the plugin is built with setuptools")
    pytest.importorskip("pip", reason="the plugin is installed with pip")
    folder = tmp_path_factory.mktemp("plugin")
    source = folder / "source"
    source.mkdir()
    for path in PLUGIN.rglob("*"):
        if path.is_file() and path.suffix in (".py", ".toml"):
            target = source / path.relative_to(PLUGIN)
            target.parent.mkdir(exist_ok=True)
            target.write_text(path.read_text())
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
            "--no-build-isolation", "--disable-pip-version-check", "--target", folder / "site",
            source,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (folder / "eval_planets.py").write_text(EVALUATION)
    return folder


def doteval(installed, *arguments):
    paths = os.pathsep.join([str(installed / "site"), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "doteval", *arguments],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_plugins_of_every_kind_are_found_by_their_names(installed):
    """The storage scheme, the dataset, the evaluator and the metric."""
    ran = doteval(
        installed, "run", "eval_planets.py", "--experiment", "e", "--storage", "folder://s"
    )
    shown = doteval(installed, "show", "e", "--json", "--storage", "folder://s")

    assert ran.returncode == 0, ran.stderr
    assert len(list((installed / "s").glob("*.jsonl"))) == 2
    first, _ = json.loads(shown.stdout)["evaluations"]
    assert first["scores"]["moons"]["geometric"]["value"] == pytest.approx(2**0.5)
    assert first["scores"]["rhymes"]["accuracy"]["value"] == 0.5


def test_plugins_are_listed_with_their_package_and_a_broken_one_harms_nothing(installed):
    listed = doteval(installed, "plugins", "--json")

    assert listed.returncode == 1
    theirs = {
        (each["kind"], each["name"]): each["error"]
        for each in json.loads(listed.stdout)
        if each["from"] == "doteval-example 1.2.0"
    }
    assert {name for _, name in theirs} == {
        "planets", "rhymes", "geometric", "folder", "broken",
    }  # fmt: skip
    (broken,) = [error for error in theirs.values() if error is not None]
    assert "doteval_example.not_there" in broken


def test_datasets_are_listed_with_splits_and_columns(installed):
    listed = doteval(installed, "datasets")

    assert listed.returncode == 0
    assert "planets" in listed.stdout
    assert "inner, outer" in listed.stdout
    assert "planet, moons" in listed.stdout


def test_a_broken_plugin_names_its_package_when_it_is_used(installed):
    ran = doteval(installed, "list", "--storage", "broken://x")

    assert ran.returncode == 4
    assert "doteval-example 1.2.0" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_list_and_show_load_no_plugin(installed):
    """Somebody's slow import is not paid for by who only looks at results."""
    doteval(installed, "run", "eval_planets.py::eval_plain", "--experiment", "plain")
    program = (
        "import sys\n"
        "from doteval.cli import main\n"
        "main(['list']); main(['show', 'plain', '--json'])\n"
        "print(sorted(name for name in sys.modules if name.startswith('doteval_example')))"
    )

    looked = subprocess.run(
        [sys.executable, "-c", program],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(installed / "site"), str(ROOT)])},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert looked.returncode == 0
    assert looked.stdout.splitlines()[-1] == "[]"
