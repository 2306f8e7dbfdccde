"""What people read of the public names is markup that Sphinx makes pages of."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

docutils = pytest.importorskip("docutils.core", reason="docutils is not installed")
napoleon = pytest.importorskip("sphinx.ext.napoleon", reason="sphinx is not installed")

ROOMS = (
    "doteval",
    "doteval.concurrency",
    "doteval.evaluators",
    "doteval.metrics",
    "doteval.testing",
)


def documented() -> Iterator[tuple[str, str]]:
    """The docstrings of the public names, and of what is public in public classes."""
    for room in map(import_module, ROOMS):
        yield room.__name__, room.__doc__ or ""
        names = getattr(room, "__all__", None) or [
            name for name, each in vars(room).items()
            if not name.startswith("_") and getattr(each, "__module__", "") == room.__name__
        ]  # fmt: skip
        for name in names:
            thing = getattr(room, name)
            yield f"{room.__name__}.{name}", _doc(thing)
            for inner, each in vars(thing).items() if inspect.isclass(thing) else ():
                if inner == "__call__" or not inner.startswith("_"):
                    yield f"{room.__name__}.{name}.{inner}", _doc(each)


def _doc(thing: Any) -> str:
    plain = (str, int, float, tuple, dict, type(None))  # whose docstrings are Python's
    return "" if isinstance(thing, plain) else inspect.cleandoc(thing.__doc__ or "")


def test_docstrings_pass_docutils():
    """Read as Sphinx reads Google's form, without a warning."""
    config = napoleon.Config(napoleon_google_docstring=True, napoleon_use_ivar=True)
    told = []
    for name, text in documented():
        warnings = io.StringIO()
        docutils.publish_doctree(
            str(napoleon.GoogleDocstring(text, config, what="function")),
            settings_overrides={
                "report_level": 2, "halt_level": 6, "warning_stream": warnings,
            },
        )  # fmt: skip
        told += [
            f"{name}: {line}" for line in warnings.getvalue().splitlines() if "<string>" in line
        ]

    assert not told, "\n".join(told)
