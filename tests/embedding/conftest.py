"""The examples of the documentation, to be imported and run in a folder of their own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"


@pytest.fixture
def examples(tmp_path, monkeypatch):
    """A copy of docs/examples, which is the working directory and can be imported from."""
    if not EXAMPLES.exists():
        pytest.skip("not a checkout of the project")
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)

    yield folder

    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
