"""What an installation gets: the contents and the metadata of wheel and sdist."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import doteval

ROOT = Path(doteval.__file__).parent.parent
BACKEND = """
import os
from setuptools import build_meta
os.makedirs("dist")
print(build_meta.build_wheel("dist"))
print(build_meta.build_sdist("dist"))
"""


def setuptools_is_new_enough() -> bool:
    """Whether this environment can build the project: setuptools knows PEP 639 from 77 on."""
    try:
        return int(version("setuptools").partition(".")[0]) >= 77
    except PackageNotFoundError:
        return False


pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="not a checkout of the project"
)
buildable = pytest.mark.skipif(
    not setuptools_is_new_enough(), reason="building needs setuptools 77 or later"
)


def belonging(*options: str) -> list[str]:
    """The files that belong to the project, as git lists them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, text=True
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    if not any(names):
        pytest.skip("git does not say which files belong to the project")
    return [*filter(None, names)]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist, built without a network from a copy of the project."""
    source = tmp_path_factory.mktemp("project")
    for name in belonging("--cached", "--others", "--exclude-standard"):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", BACKEND], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deprecat" not in done.stdout + done.stderr
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> dict[str, str]:
    """The text of each file in the wheel."""
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name).decode("utf-8") for name in file.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, str]) -> Message:
    """The metadata in the wheel."""
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel[name])


def test_nothing_strays_into_the_project() -> None:
    """What is committed by mistake is never gone again; the first level says what there may be."""
    known = "doteval tests docs README.md LICENSE CHANGELOG.md pyproject.toml tox.ini"
    found = {name.partition("/")[0] for name in belonging("--cached")}

    assert {name for name in found if not name.startswith(".")} == {*known.split()}


@buildable
def test_the_wheel_holds_the_package_and_nothing_else(wheel: dict[str, str]) -> None:
    """Every module, the page of a report and the marker of typing; no tests, no docs."""
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "doteval").rglob("*")
        if path.suffix in (".py", ".html") or path.name == "py.typed"
    }
    packed = {name for name in wheel if ".dist-info/" not in name}

    assert packed == package


@buildable
def test_the_wheel_brings_the_license(wheel: dict[str, str]) -> None:
    """The license travels with every installation."""
    (name,) = (name for name in wheel if name.endswith("LICENSE"))

    assert wheel[name] == (ROOT / "LICENSE").read_text(encoding="utf-8")


@buildable
def test_the_wheel_offers_a_command_and_a_plugin(wheel: dict[str, str]) -> None:
    """`doteval` on the command line, and `doteval` among pytest's plugins."""
    (name,) = (name for name in wheel if name.endswith("entry_points.txt"))
    points = configparser.ConfigParser()
    points.read_string(wheel[name])

    assert dict(points["console_scripts"]) == {"doteval": "doteval.cli:main"}
    assert dict(points["pytest11"]) == {"doteval": "doteval.pytest_plugin"}


@buildable
def test_an_installation_needs_nothing_else(metadata: Message) -> None:
    """Python 3.10, and no other package."""
    assert metadata.get_all("Requires-Dist") is None
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Version"] == doteval.__version__


@buildable
def test_the_page_of_the_package_is_the_readme(metadata: Message) -> None:
    """What an index shows of doteval is its README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert metadata["Description-Content-Type"].startswith("text/markdown")
    assert str(metadata.get_payload()).strip() == readme.strip()


@buildable
def test_the_sdist_can_be_built_from(dist: Path) -> None:
    """It holds the sources, the README and the license."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as file:
        names = {name.partition("/")[2] for name in file.getnames()}

    assert {"pyproject.toml", "README.md", "LICENSE", "doteval/py.typed"} <= names


def test_the_version_is_a_literal() -> None:
    """It can be read without importing anything, by build tools and by a vendored copy."""
    tree = ast.parse((ROOT / "doteval" / "__init__.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "__version__"
    )

    assert isinstance(value, ast.Constant)
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+|\.dev\d+)?", value.value)


def test_all_packages_are_listed() -> None:
    """A folder of modules that pyproject.toml forgets would be missing from the wheel."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^packages = \[(.*?)\]$", text, re.MULTILINE | re.DOTALL)
    assert listed is not None
    folders = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in (ROOT / "doteval").rglob("__init__.py")
    }

    assert set(re.findall(r'"([^"]+)"', listed[1])) == folders


def test_bare_clones_need_no_installation(tmp_path: Path) -> None:
    """`python -m doteval` works from the folder of the project."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "doteval", "--version"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"doteval {doteval.__version__}"
