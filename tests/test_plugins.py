"""The registry, with packages that are really on the path."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from doteval.errors import NotFound, PluginError, UsageError
from doteval.plugins import Plugin, Registry

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n\nVersion: 9 in a description\n"


@pytest.fixture
def registry():
    """A registry of a kind of its own, in the group `doteval.things`."""
    return Registry("thing", "things")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lay a package with entry points on the path: its metadata, and modules by name."""
    count = 0

    def lay(name, entry_points, metadata=METADATA, **modules):
        nonlocal count
        count += 1
        site = tmp_path / f"site{count}"
        info = site / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(metadata.format(name=name))
        (info / "entry_points.txt").write_text(textwrap.dedent(entry_points))
        for module, code in modules.items():
            (site / f"{module}.py").write_text(textwrap.dedent(code))
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(site)

    return lay


def test_what_is_registered_is_found(registry):
    """A name gives the very thing that was registered under it."""
    registry.register("length", len)

    @registry.register("mine")
    def mine():
        """A thing."""

    assert registry.get("length") is len
    assert registry.get("mine") is mine
    assert registry.names() == ["length", "mine"]


def test_what_is_built_in_is_loaded_when_it_is_asked_for():
    """Its name is known, listed and taken from the beginning."""
    registry = Registry("thing", "things", {"contains": "evaluators.texts"})

    assert registry.names() == ["contains"]
    assert registry.sources() == [Plugin("contains", "thing", "built in")]
    assert registry.get("contains").__name__ == "contains"
    with pytest.raises(UsageError, match="there is already a thing 'contains'"):
        registry.register("contains", len)


def test_registered_names_never_touch_the_package_metadata():
    """The metadata of installed packages are read only for a name that is not built in."""
    code = (
        "import sys; before = set(sys.modules)\n"  # what the interpreter's site loads is not ours
        "import doteval.metrics, doteval.evaluators, doteval.datasets\n"
        "doteval.metrics.find('accuracy'); doteval.metrics.find('pass@3')\n"
        "doteval.evaluators.exact_match('a', 'a')\n"
        "heavy = {'importlib.metadata', 'difflib', 'statistics', 'decimal', 'csv',\n"
        "         'random', 'gzip', 'jsonschema'} & (set(sys.modules) - before)\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)\n"
    )

    environment = {name: value for name, value in os.environ.items() if "COV" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )

    assert done.returncode == 0, done.stderr


def test_groups_are_named_after_the_package(registry):
    """A copy under another name would have groups of its own."""
    assert registry.group == "doteval.things"


def test_an_unknown_name_lists_the_known_ones(registry):
    """Who mistypes a name is told what there is, and what was probably meant."""
    registry.register("accuracy", len)
    registry.register("mean", sum)

    with pytest.raises(NotFound) as caught:
        registry.get("acuracy")

    assert str(caught.value) == (
        "there is no thing 'acuracy', did you mean 'accuracy'?; known: accuracy, mean"
    )


def test_where_nothing_is_known_the_message_says_so(registry):
    """An empty registry has no names to list."""
    with pytest.raises(NotFound, match="no thing 'x'; none is known"):
        registry.get("x")


def test_a_name_that_is_no_text_is_unknown(registry):
    """Whatever is asked for, the answer is NotFound and not a crash of the hint."""
    with pytest.raises(NotFound, match="no thing 5"):
        registry.get(5)


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_a_thing_needs_a_name(registry, name):
    """An empty name, or what is no text, is refused."""
    with pytest.raises(UsageError, match="needs a name"):
        registry.register(name, len)


def test_another_definition_can_not_take_a_name(registry):
    """Results are found again by name, so one name never means two things."""
    registry.register("x", len)

    with pytest.raises(UsageError, match=r"already a thing 'x' \(builtins.len\).*builtins.sum"):
        registry.register("x", sum)
    assert registry.get("x") is len


def test_the_same_definition_may_come_again(registry):
    """A cell that is run twice, or a file imported under two names, replaces its thing."""

    def define(module):
        def thing():
            """The same line of the same file."""

        thing.__module__ = module
        return thing

    again = define("b")
    registry.register("x", define("a"))
    registry.register("x", again)

    class One:
        __qualname__ = "Same"

    class Two:
        __qualname__ = "Same"

    class Far:
        __qualname__ = "Same"
        __module__ = "elsewhere"

    registry.register("class", One)
    registry.register("class", Two)

    assert registry.get("x") is again
    assert registry.get("class") is Two
    with pytest.raises(UsageError, match=r"elsewhere\.Same"):
        registry.register("class", Far)


def test_objects_without_a_definition_keep_their_name(registry):
    """Two instances are told apart by being two."""
    one = object()
    registry.register("x", one)
    registry.register("x", one)

    with pytest.raises(UsageError, match="object"):
        registry.register("x", object())


def test_an_installed_package_offers_by_name(registry, install):
    """An entry point is loaded when its name is used, and not before."""
    install("offers", "[doteval.things]\nnice = offering:nice\n", offering="nice = 'nice thing'")

    names = registry.names()

    assert names == ["nice"]
    assert "offering" not in sys.modules
    assert registry.get("nice") == "nice thing"
    assert registry.get("nice") == "nice thing"


def test_other_groups_and_comments_are_left_alone(registry, install):
    """Only the group of the kind counts."""
    install(
        "mixed",
        """
        # a comment
        [console_scripts]
        nice = offering:main

        [doteval.things]
        # another one
        nice = offering:nice
        """,
        offering="nice = 1",
    )

    assert registry.names() == ["nice"]
    assert registry.get("nice") == 1


def test_a_registered_name_comes_before_a_package(registry, install):
    """A package can not change what a built-in name means."""
    install("rival", "[doteval.things]\nlength = rivals:other\n", rivals="other = 0")
    registry.register("length", len)

    assert registry.get("length") is len
    assert [plugin.error for plugin in registry.sources()] == [
        None,
        "the name is taken: 'length' is registered already",
    ]


def test_a_broken_package_is_named_and_harms_nothing_else(registry, install):
    """A plugin that raises at import is told with its distribution; the others work."""
    install("broken", "[doteval.things]\nbad = breaking:bad\n", breaking="1 / 0")
    install("absent", "[doteval.things]\ngone = nowhere_at_all:x\n")
    install("fine", "[doteval.things]\ngood = working:good\n", working="good = 1")

    with pytest.raises(PluginError) as caught:
        registry.get("bad")

    assert str(caught.value) == (
        "the thing 'bad' of broken 1.2 can not be loaded from 'breaking:bad': "
        "ZeroDivisionError: division by zero"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert registry.get("good") == 1
    with pytest.raises(PluginError, match=r"absent 1\.2.*ModuleNotFoundError"):
        registry.get("gone")


def test_a_damaged_line_is_told_and_harms_no_other(registry, install):
    """A line of the metadata that is no `name = value` can be listed and not loaded."""
    install("damaged", "[doteval.things]\njunk\ngood = working:good\n", working="good = 1")

    junk, good = sorted(registry.sources(), key=lambda plugin: plugin.name != "junk")

    assert "the thing 'junk' of damaged 1.2 can not be loaded" in junk.error
    assert good == Plugin("good", "thing", "damaged 1.2")
    assert registry.get("good") == 1


def test_two_packages_that_offer_one_name_are_told(registry, install):
    """Which of two plugins is meant is not guessed."""
    install("first", "[doteval.things]\nnice = offering:nice\n", offering="nice = 1")
    install("second", "[doteval.things]\nnice = others:nice\n", others="nice = 2")

    with pytest.raises(PluginError, match=r"offered by second 1\.2 and first 1\.2; uninstall one"):
        registry.get("nice")


def test_a_package_that_is_met_twice_counts_once(registry, install):
    """An editable install beside its own metadata is one package."""
    for _ in range(2):
        install("offers", "[doteval.things]\nnice = offering:nice\n", offering="nice = 1")

    assert registry.get("nice") == 1
    assert len(registry.sources()) == 1


def test_the_listing_tells_origin_and_health(registry, install):
    """Every name is listed with where it comes from, and the broken ones with why."""
    install("broken", "[doteval.things]\nbad = breaking:bad\n", breaking="1 / 0")
    install("nameless", "[doteval.things]\nodd = working:odd\n", metadata="", working="odd = 1")
    registry.register("ours", Registry)
    registry.register("theirs", len)

    listed = {plugin.name: plugin for plugin in registry.sources()}

    assert listed["ours"].distribution == "built in"
    assert listed["theirs"].distribution == "registered"
    assert listed["odd"].distribution == "a package without a name"
    assert listed["bad"].distribution == "broken 1.2"
    assert "division by zero" in listed["bad"].error
