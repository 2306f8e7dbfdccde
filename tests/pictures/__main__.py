"""
Draw the pictures of the documentation anew: `python -m tests.pictures`.

The terminal's come from commands that run; the report's need Chromium and its driver, and stay as
they are where these are not there.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import Browser, missing

from . import COMMANDS, FOLDER, WIDTH, prepared
from .terminal import drawn, svg


def main() -> None:
    """Into docs/pictures, with a line for each."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = prepared(Path(temporary))
        own = Path(sys.executable).parent  # where this interpreter's commands are
        environ = {**os.environ, "PATH": f"{own}{os.pathsep}{os.environ.get('PATH', '')}"}
        for name, command in COMMANDS:
            screen = drawn(command.split(), folder, WIDTH, environ)
            if name:
                _write(FOLDER / f"{name}.svg", svg(command, screen.lines, WIDTH).encode())
            if name == "run":
                _write(FOLDER / "live.svg", svg(command, [screen.middle()], WIDTH).encode())
        if why := missing():
            print(f"the report stays as it is: {why}")
            return
        browser = Browser(folder / "profile")
        try:
            _report(browser, folder / "report.html")
        finally:
            browser.close()


def _report(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.resize(1_280, 800)
    for scheme in ("light", "dark"):
        browser.prefer("prefers-color-scheme", scheme)
        _shot(browser, f"report-{scheme}.png")
    browser.prefer("prefers-color-scheme", "light")
    browser.wait_for("document.querySelector('tr.row')")
    browser.run("document.querySelector('#table').scrollIntoView()")
    browser.run("document.querySelectorAll('tr.row')[4].click()")
    browser.wait_for("document.querySelector('#texts h3')")
    _shot(browser, "report-record.png")


def _shot(browser: Browser, name: str) -> None:
    browser.screenshot(FOLDER / name)
    print(name, (FOLDER / name).stat().st_size, "bytes")


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    print(path.name, len(data), "bytes")


if __name__ == "__main__":
    main()
