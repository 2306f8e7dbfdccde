"""
Start: what an import costs, and a pytest session that has no evaluations.

Counted is the processes' time on a processor: they wait for nothing, and a busy machine makes the
time on the wall longer by more than the differences looked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from .figures import Figure, Size, in_turns, of_children, python

_TUTORIAL = """
from doteval import ForEach, Result
from doteval.evaluators import exact_match
from doteval.concurrency import SlidingWindow
"""


def figures(size: Size) -> Iterator[Figure]:
    rounds = size.rounds * 6  # processes are short, and what disturbs them is not

    nothing, package, tutorial, library = map(
        min,
        in_turns(
            rounds,
            lambda turn: python("-c", "pass"),
            lambda turn: python("-c", "import doteval"),
            lambda turn: python("-c", _TUTORIAL),
            lambda turn: python("-c", "import asyncio, sqlite3, json"),
            clock=of_children,
        ),
    )
    yield Figure(
        "import doteval, above python -c pass", (package - nothing) * 1e3, 3, "ms",
        detail=f"python -c pass {nothing * 1e3:.1f} ms",
    )  # fmt: skip
    yield Figure(
        "the tutorial's imports: times asyncio, sqlite3, json", tutorial / library, 1.25,
        detail=f"{tutorial * 1e3:.1f} ms, the libraries {library * 1e3:.1f} ms",
    )  # fmt: skip

    folder = size.folder / "idle"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="ascii")
    (folder / "no_plugin.py").touch()  # looking for a plugin by its name costs 4 ms either way
    (folder / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="ascii")

    def session(plugin: str) -> None:
        python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", plugin, cwd=folder,
               PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")  # fmt: skip

    without, idle = map(
        min,
        in_turns(
            rounds,
            lambda turn: session("no_plugin"),
            lambda turn: session("doteval.pytest_plugin"),
            clock=of_children,
        ),
    )
    yield Figure(
        "a pytest session without evaluations: added", (idle - without) * 1e3, 5, "ms",
        detail=f"{idle * 1e3:.1f} ms, without the plugin {without * 1e3:.1f} ms",
    )  # fmt: skip
