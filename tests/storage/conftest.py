from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from .made import a_run, a_store

NOBODY = 65534
TESTS = Path(__file__).parents[1]


@pytest.fixture
def path(tmp_path):
    """Of a store that is not there yet."""
    return tmp_path / "results.db"


@pytest.fixture
def store(path):
    """An open store in a file."""
    store = a_store(path)
    yield store
    store.close()


@pytest.fixture
def number(store):
    """Of a run that has begun in the store."""
    return store.begin(a_run())


@pytest.fixture
def start(tmp_path):
    """
    Starts a Python process that runs some code, with arguments. Where the code still waits for
    input or works, it is ended with the test.
    """
    started = []

    def start(code, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{os.environ['PYTHONPATH']}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start

    for process in started:
        if process.poll() is None:
            process.kill()
        if not process.stdout.closed:
            process.communicate()


@pytest.fixture
def unprivileged():
    """A folder of a user whom file permissions bind; root, whom they do not, becomes another."""
    if os.name == "nt":
        pytest.skip("file permissions as POSIX has them")
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for inside in folder.rglob("*"):
            if inside.is_dir():
                inside.chmod(0o700)
        folder.chmod(0o700)
        shutil.rmtree(folder)
