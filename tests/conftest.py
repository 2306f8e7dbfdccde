"""
What the whole suite needs: pytester, and a doteval that other processes find.

The suite runs from a bare clone as well as in an environment where doteval is installed. Where it
is not, the metadata that an installation would have made are laid beside the suite's temporary
files and put on the path, so that pytest finds the plugin by its entry point either way, in this
process and in those that tests start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path

import pytest

import doteval

pytest_plugins = ["pytester"]
collect_ignore = ["data"]  # files for tests: where the plugin is installed, pytest would run them

ROOT = Path(doteval.__file__).parent.parent
BUILD_SERVERS = ("GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")
ENTRY_POINTS = """\
[console_scripts]
doteval = doteval.cli:main

[pytest11]
doteval = doteval.pytest_plugin
"""


@pytest.fixture(autouse=True, scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A doteval that pytest finds by its entry point, and other processes can import."""
    path = [str(ROOT)]
    if not any(found.metadata["Name"] == "doteval" for found in distributions()):
        path.insert(0, str(_metadata(tmp_path_factory.mktemp("metadata"))))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*path, before] if before else path)
    sys.path[:0] = path

    yield

    for entry in path:
        sys.path.remove(entry)
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    A home directory around all that tests make: what lies above it, such as somebody's `.doteval/`
    or `pyproject.toml`, is no project of theirs. Nor is there a build server, for which
    texts are shown in another way.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
        for name in BUILD_SERVERS:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """
    Every test begins in the same folder.

    On the oldest pytest, `monkeypatch.chdir` inside a folder of pytester's returns to that folder.
    """
    before = os.getcwd()
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def commands_on_path(
    installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, str]:
    """
    Environment variables for a shell in which `pytest`, `doteval` and `python` are the interpreter
    that runs this suite, the width is 100 columns, and there are no colours.
    """
    folder = tmp_path_factory.mktemp("bin")
    for name, module in {"pytest": "-m pytest", "doteval": "-m doteval", "python": ""}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    (folder / "python3").symlink_to("python")
    return {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "PYTHONIOENCODING": "utf-8",
    }


def _metadata(folder: Path) -> Path:
    """A folder to put on the path, with the metadata of an installed doteval."""
    info = folder / f"doteval-{doteval.__version__}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: doteval\nVersion: {doteval.__version__}\n", encoding="ascii"
    )
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="ascii")
    return folder
