from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from doteval.errors import StoreError, UsageError
from doteval.storage.place import Named, Place, locate, make_room, named, project


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working directory, a project of nobody; nothing above it is looked into."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_without_a_store_the_default_is_made_in_the_working_directory(here):
    """The first run makes `.doteval/results.db` where it was started."""
    place = locate()

    assert place == Place("sqlite", here / ".doteval" / "results.db", here)


def test_pytest_makes_the_default_store_in_its_rootdir(here):
    """The root that is given counts where there is no store above."""
    place = locate(None, here / "root")

    assert place.path == here / "root" / ".doteval" / "results.db"
    assert place.anchor == here / "root"


def test_a_rootdir_out_of_reach_is_not_used(here):
    """pytest takes a configuration file for its own wherever it lies above."""
    assert locate(None, here.parent).path == here.parent / ".doteval" / "results.db"
    assert locate(None, here.parent.parent).path == here / ".doteval" / "results.db"


def test_the_nearest_store_upward_is_found(here, monkeypatch):
    """A command in a subfolder works on the store of the project, whatever root says."""
    (here / ".doteval").mkdir()
    (here / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(here / "a" / "b")

    place = locate(None, here / "a")

    assert place.path == here / ".doteval" / "results.db"


@pytest.mark.parametrize("mark", [".doteval", ".git", "pyproject.toml"])
def test_a_store_belongs_to_a_project(here, mark, monkeypatch):
    """One that another project further up has is not looked at."""
    (here / ".doteval").mkdir()
    (here / "a" / "b").mkdir(parents=True)
    (here / "a" / mark).mkdir()
    monkeypatch.chdir(here / "a" / "b")

    assert locate().path == here / "a" / ".doteval" / "results.db"
    assert locate().anchor == here / "a"


def test_nothing_above_the_home_directory_is_a_project(here):
    """What is in the home directory itself is one's own."""
    (here.parent.parent / ".doteval").mkdir()
    assert project(here) is None

    (here.parent / ".doteval").mkdir()
    assert project(here) == here.parent


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root")
def test_a_store_of_a_stranger_is_not_used(here):
    """Neither what lies in a folder of another owner nor what another owner has put there."""
    (here / ".doteval").mkdir()
    (here / "mine").mkdir()
    assert project(here / "mine") == here

    os.chown(here / ".doteval", 65534, -1)
    assert project(here / "mine") is None

    os.chown(here / ".doteval", 0, -1)
    os.chown(here, 65534, -1)
    assert project(here / "mine") is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs to be root")
def test_the_folder_that_a_stranger_has_put_here_is_refused(here, monkeypatch):
    """As into /tmp; who names the store has chosen it."""
    (here / ".doteval").mkdir()
    os.chown(here / ".doteval", 65534, -1)
    monkeypatch.chdir(here)

    with pytest.raises(StoreError, match=r"belongs to another user \(uid 65534\).*--storage"):
        locate()
    assert locate(".doteval/results.db").path == here / ".doteval" / "results.db"


def test_the_root_of_the_disk_ends_the_search(here):
    """Where neither the home directory nor somebody else's folder did."""
    top = Path(here.anchor)

    assert project(top) in (None, top)


def test_a_folder_that_is_not_there_belongs_to_no_project(here):
    """Nothing can be known of it."""
    assert project(here / "gone") is None


def test_a_file_named_like_the_folder_is_no_store(here):
    """Only a folder `.doteval` is one."""
    (here / ".doteval").write_text("")

    assert project(here) is None


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite://relative.db", "relative.db"),
        ("sqlite://folder/relative.db", "folder/relative.db"),
        ("bare.db", "bare.db"),
        ("./a/../bare.db", "bare.db"),
        ("odd #?% name.db", "odd #?% name.db"),
        ("~/own.db", "../own.db"),
        ("sqlite://~/own.db", "../own.db"),
        (Path("path.db"), "path.db"),
        (b"bytes.db", "bytes.db"),
    ],
)
def test_addresses_of_files(here, address, path):
    """Relative paths start at the working directory, and nothing in them is special."""
    assert locate(address).path == Path(os.path.normpath(here / path))


def test_an_absolute_address(here):
    """Three slashes: two belong to the scheme, the third is the root."""
    assert locate(f"sqlite://{here}/x.db").path == here / "x.db"
    assert locate(f"{here}/x.db").path == here / "x.db"


def test_a_store_belongs_to_the_folder_that_holds_it(here):
    """One in a `.doteval/` beside it, another where the default would be."""
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


def test_a_gitignore_is_not_written_through_a_link(here):
    """Somebody else may have laid it, to have a file made elsewhere."""
    (here / ".doteval").mkdir()
    (here / ".doteval" / ".gitignore").symlink_to(here / "victim")

    make_room(here / ".doteval" / "results.db")

    assert not (here / "victim").exists()


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


# --- names ------------------------------------------------------------------------------------


@pytest.fixture
def file(here):
    """An evaluation's file in a folder of a project."""
    folder = here / "project" / "evals"
    folder.mkdir(parents=True)
    (here / "project" / "pyproject.toml").write_text("")
    (folder / "eval_x.py").write_text("")
    return folder / "eval_x.py"


def test_an_evaluation_has_one_name(here, file, monkeypatch):
    """Whatever the working directory, the place of the store, and the link that leads there."""
    (here / "link").symlink_to(file.parent)
    (here / "elsewhere" / ".doteval").mkdir(parents=True)
    names = set()
    for folder in (here, file.parent, here / "elsewhere"):
        monkeypatch.chdir(folder)
        for store in (None, "x.db", here / "elsewhere" / ".doteval" / "results.db", "memory://"):
            for way in (file, here / "link" / "eval_x.py", os.path.relpath(file)):
                names.add(named(way, "eval_x[gpt]", locate(store)).name)

    assert names == {"evals/eval_x.py::eval_x[gpt]"}


def test_without_a_project_an_evaluation_is_named_from_its_folder(here, file):
    """It may be moved as a whole."""
    (here / "project" / "pyproject.toml").unlink()

    assert named(file, "eval_x", locate("x.db")).name == "eval_x.py::eval_x"


def test_the_store_that_a_run_makes_counts_at_once(here, file, monkeypatch):
    """Else the second run, which finds it, would know the evaluation by another name."""
    (here / "project" / "pyproject.toml").unlink()
    monkeypatch.chdir(here / "project")
    before = named(file, "eval_x", locate()).name
    make_room(locate().path)

    assert before == named(file, "eval_x", locate()).name == "evals/eval_x.py::eval_x"


def test_what_is_in_no_file_has_its_own_kind_of_name():
    """A notebook's cells are in none."""
    assert named("<notebook>", "eval_x", locate()) == Named("<notebook>::eval_x")


def test_earlier_names_counted_from_the_store_or_the_working_directory(here, file, monkeypatch):
    """Whatever lay outside was named as a whole."""
    (here / "link").symlink_to(file.parent)
    absolute, by_link = file.as_posix(), (here / "link" / "eval_x.py").as_posix()

    def formerly(way, store=None):
        return tuple(each.removesuffix("::f") for each in named(way, "f", locate(store)).formerly)

    (here / ".doteval").mkdir()
    assert formerly(file) == ("project/evals/eval_x.py", absolute)
    assert formerly(here / "link" / "eval_x.py", "x.db") == (
        "link/eval_x.py", by_link, "project/evals/eval_x.py", absolute,
    )  # fmt: skip
    assert formerly(file, here / "other" / ".doteval" / "x.db") == (absolute,)
    monkeypatch.chdir(file.parent)
    assert formerly(file, "x.db") == ("project/evals/eval_x.py", absolute)
    assert formerly(file) == (absolute,)  # the store is the project's, and so are its names


def test_earlier_names_counted_from_pytests_rootdir_where_there_was_no_store(here, file):
    """Else from the working directory itself."""
    top = Path(here.anchor)  # nothing can lie above it
    place = Place("sqlite", here / "x.db", here, here=top)

    assert named(file, "f", place, file.parent).formerly[0] == "eval_x.py::f"
    assert named(file, "f", place).formerly[0] == f"{file.relative_to(top).as_posix()}::f"
