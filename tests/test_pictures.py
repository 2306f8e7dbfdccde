"""The pictures of the documentation show what is printed today."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.pictures import COMMANDS, FOLDER, WIDTH, prepared, steady

pytestmark = [
    pytest.mark.skipif(not FOLDER.exists(), reason="not a checkout of the project"),
    pytest.mark.long,
]


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_the_pictures_of_a_terminal_show_what_is_printed(
    tmp_path: Path, commands_on_path: Mapping[str, str]
) -> None:
    """But for times, and what follows from them; `python -m tests.pictures` draws them anew."""
    from tests.pictures.terminal import drawn, words_of

    folder = prepared(tmp_path)
    for name, command in COMMANDS:
        screen = drawn(command.split(), folder, WIDTH, commands_on_path)
        if name:
            shown = words_of((FOLDER / f"{name}.svg").read_text(encoding="utf-8"))
            assert steady(shown) == steady(f"$ {command}\n{screen.text()}")
        if name == "run":
            live = words_of((FOLDER / "live.svg").read_text(encoding="utf-8"))
            line = "".join(each for each, _ in screen.middle())
            for field in ("eval_tickets ", "/120 ", " err ", "/s ", "exact_match ", " in flight"):
                assert field in live
                assert field in line


def test_pictures_are_small_and_used() -> None:
    """Each stands in a page, and loads at once."""
    root = FOLDER.parents[1]
    pages = [root / "README.md", *FOLDER.parent.rglob("*.md")]
    told = "".join(page.read_text(encoding="utf-8") for page in pages)

    for picture in FOLDER.iterdir():
        assert f"pictures/{picture.name}" in told
        assert picture.stat().st_size < 150_000
