from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from doteval.storage import stores

from .recording import Recording

TESTS = Path(__file__).parents[1]


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Of a store that is not there yet, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results.db"


@pytest.fixture
def schemes(monkeypatch):
    """The registry of storage plugins; what a test registers goes with it."""
    monkeypatch.setattr(stores.registry, "_registered", dict(stores.registry._registered))
    return stores.registry


@pytest.fixture
def recording():
    """What reaches the operating system of stores that are opened with its connection."""
    try:
        recording = Recording()
    except (OSError, AttributeError) as error:
        pytest.skip(f"the SQLite of this Python can not be reached: {error}")
    yield recording
    recording.close()


@pytest.fixture
def start(tmp_path):
    """Starts a Python process in the temporary folder; it ends with the test."""
    started = []

    def start(*arguments, **options):
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{os.environ['PYTHONPATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield start

    for process in started:
        if process.poll() is None:
            process.kill()
        if not process.stdout.closed:
            process.communicate()
