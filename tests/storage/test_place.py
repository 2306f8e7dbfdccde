from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from doteval.errors import StoreError, UsageError
from doteval.storage.place import Place, home, locate, make_room, name_from


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working directory, with nothing in or above it that is a store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_without_a_store_the_default_is_made_in_the_working_directory(here):
    """The first run makes `.doteval/results.db` where it was started."""
    place = locate()

    assert place == Place("sqlite", here / ".doteval" / "results.db", here)


def test_pytest_makes_the_default_store_in_its_rootdir(here):
    """The root that is given counts where there is no store above."""
    place = locate(None, here / "root")

    assert place.path == here / "root" / ".doteval" / "results.db"
    assert place.anchor == here / "root"


def test_the_nearest_store_upward_is_found(here, monkeypatch):
    """A command in a subfolder works on the store of the project, whatever root says."""
    (here / ".doteval").mkdir()
    (here / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(here / "a" / "b")

    place = locate(None, here / "a")

    assert place.path == here / ".doteval" / "results.db"
    assert home(here / "a") == here


def test_a_file_named_like_the_folder_is_no_store(here):
    """Only a folder `.doteval` is one."""
    (here / ".doteval").write_text("")

    assert home(here) != here


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite://relative.db", "relative.db"),
        ("sqlite://folder/relative.db", "folder/relative.db"),
        ("bare.db", "bare.db"),
        ("./a/../bare.db", "bare.db"),
        ("odd #?% name.db", "odd #?% name.db"),
        ("~/own.db", "home/own.db"),
        ("sqlite://~/own.db", "home/own.db"),
        (Path("path.db"), "path.db"),
        (b"bytes.db", "bytes.db"),
    ],
)
def test_addresses_of_files(here, address, path):
    """Relative paths start at the working directory, and nothing in them is special."""
    assert locate(address).path == here / path


def test_an_absolute_address(here):
    """Three slashes: two belong to the scheme, the third is the root."""
    assert locate(f"sqlite://{here}/x.db").path == here / "x.db"
    assert locate(f"{here}/x.db").path == here / "x.db"


def test_evaluations_are_named_from_the_folder_that_holds_the_store(here):
    """A store in a `.doteval/` is anchored beside it, another where the default would be."""
    assert locate(here / "p" / ".doteval" / "other.db").anchor == here / "p"
    assert locate(here / "p" / "other.db").anchor == here


def test_other_schemes_are_kept_for_plugins(here):
    """Only what follows the scheme is theirs."""
    assert locate("memory://") == Place("memory", None, here)
    place = locate("postgres://user@host/x?y#z")
    assert (place.scheme, place.path, place.rest) == ("postgres", None, "user@host/x?y#z")
    assert str(place) == "postgres://user@host/x?y#z"
    assert str(locate("x.db")) == str(here / "x.db")


@pytest.mark.parametrize("address", ["", "sqlite://", "  ", "a\0b"])
def test_an_address_without_a_file_is_refused(address):
    """It says what an address looks like."""
    with pytest.raises(UsageError, match="names no file"):
        locate(address)


def test_a_folder_is_no_store(here):
    """A folder's name is taken for a mistake, before anything is made."""
    with pytest.raises(StoreError, match="is a folder; name a file inside it"):
        locate(here)


def test_a_working_directory_that_is_gone_is_told(here, monkeypatch):
    """Whatever has deleted it, the message is no traceback."""
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(StoreError, match="working directory was deleted"):
        locate("x.db")


def test_room_is_made_once(here):
    """Folders, a .gitignore of everything, and an empty file for its owner alone."""
    path = here / "a" / "b" / ".doteval" / "results.db"

    make_room(path)
    make_room(path)

    assert path.read_bytes() == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (path.parent / ".gitignore").read_text() == "*\n"
    assert sorted(os.listdir(path.parent)) == [".gitignore", "results.db"]


def test_a_folder_of_ones_own_gets_no_gitignore(here):
    """Only `.doteval/` is ours."""
    make_room(here / "mine" / "x.db")

    assert os.listdir(here / "mine") == ["x.db"]


def test_a_gitignore_of_ones_own_stays(here):
    """Who shares a store by git keeps doing so."""
    (here / ".doteval").mkdir()
    (here / ".doteval" / ".gitignore").write_text("!results.db\n")

    make_room(here / ".doteval" / "results.db")

    assert (here / ".doteval" / ".gitignore").read_text() == "!results.db\n"


def test_no_room_below_a_file(here):
    """The message has the reason and what to do."""
    (here / "file").write_text("")

    with pytest.raises(StoreError, match=r"can not be made: .*another place with --storage"):
        make_room(here / "file" / "x.db")


def test_no_room_in_a_folder_that_may_not_be_written(unprivileged):
    """A read-only folder is told as such."""
    unprivileged.chmod(0o500)

    with pytest.raises(StoreError, match="Permission denied; name another place"):
        make_room(unprivileged / "x.db")


def test_evaluations_are_named_by_their_file_from_the_anchor(here):
    """With forward slashes, and absolute where the file lies elsewhere."""
    assert name_from(here, here / "evals" / "eval_x.py") == "evals/eval_x.py"
    assert name_from(here, "eval_x.py") == "eval_x.py"
    assert name_from(here / "a", here / "eval_x.py") == (here / "eval_x.py").as_posix()
