"""
A terminal: what a command draws on it, and that as an SVG.

Of the control sequences it knows those that doteval writes.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

Line = list[tuple[str, str]]  # characters, each with the number of its style; "" for none

WIDE, HIGH = 8.4, 20  # a place of the picture, in its units
MARGIN, BAR = 16, 30
_PARTS = re.compile(r"\x1b\[(?P<codes>[\d;?]*)(?P<final>[A-Za-z])|(?P<one>.)", re.DOTALL)


class Screen:
    """
    The lines of a terminal; it is as high as what is written to it.

    Attributes:
        lines: what stands there. live: each line that was wiped for another, in their order.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = [[]]
        self.live: list[Line] = []
        self._row = self._column = 0
        self._style = ""

    def write(self, text: str) -> None:
        """Draw what a program has written."""
        for found in _PARTS.finditer(text):
            if found["final"] is not None:
                self._control(found["codes"], found["final"])
            elif found["one"] == "\n":
                self._row += 1
                self.lines += [[] for _ in range(self._row + 1 - len(self.lines))]
            elif found["one"] == "\r":
                self._column = 0
            else:
                line = self.lines[self._row]
                line += [(" ", "")] * (self._column + 1 - len(line))
                line[self._column] = (found["one"], self._style)
                self._column += 1

    def _control(self, codes: str, final: str) -> None:
        if final == "m":
            self._style = codes.strip("0")
        elif final in "JK":  # what is behind the cursor goes
            if self.lines[self._row] and not self._column:
                self.live.append(self.lines[self._row][:])
            del self.lines[self._row][self._column :]
            if final == "J":
                del self.lines[self._row + 1 :]

    def middle(self) -> Line:
        """The live line in the midst of the run."""
        return self.live[len(self.live) * 2 // 3]

    def text(self) -> str:
        """What stands there, without colours."""
        return "\n".join("".join(each for each, _ in line).rstrip() for line in self.lines)


def drawn(command: Sequence[str], folder: Path, columns: int, environ: Mapping[str, str]) -> Screen:
    """
    Run a command on a terminal of so many columns.

    Raises:
        AssertionError: it was not found, or was used wrongly.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    screen, decode = Screen(), codecs.getincrementaldecoder("utf-8")().decode
    environ = {**environ, "TERM": "xterm", "LANG": "C.UTF-8", "COLUMNS": str(columns)}
    environ.pop("NO_COLOR", None)
    with subprocess.Popen(
        command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    ) as process:
        os.close(theirs)
        while True:
            try:
                data = os.read(ours, 65_536)
            except OSError:  # how Linux says that nobody holds the other end any more
                break
            if not data:
                break
            screen.write(decode(data))
    os.close(ours)
    assert process.returncode in (0, 1), screen.text()
    return screen


_STYLE = """
.card{fill:#f6f8fa;stroke:#d0d7de} circle{fill:#d0d7de}
text{fill:#1f2328;white-space:pre;
 font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.s1{font-weight:700} .s2{fill:#656d76} .s31{fill:#c4232b} .s32{fill:#1a7f37} .s33{fill:#8a5a00}
.s36{fill:#0b6e8a}
@media (prefers-color-scheme:dark){.card{fill:#0d1117;stroke:#30363d} circle{fill:#30363d}
text{fill:#e6edf3} .s2{fill:#8d96a0} .s31{fill:#ff7b72} .s32{fill:#56d364} .s33{fill:#e3b341}
.s36{fill:#76e3ea}}
"""


def svg(command: str, drawn: Sequence[Line], columns: int) -> str:
    """A command and what it drew, for readers in light and in the dark, whatever font they have."""
    lines = [[(each, "1") for each in f"$ {command}"], *drawn]
    while not "".join(each for each, _ in lines[-1]).strip():
        del lines[-1]
    wide = round(2 * MARGIN + columns * WIDE)
    high = 2 * MARGIN + BAR + HIGH * len(lines) - 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'role="img" aria-label="{escape(command, {chr(34): "&quot;"})} on a terminal">',
        f"<style>{_STYLE}</style>",
        f'<rect class="card" x=".5" y=".5" width="{wide - 1}" height="{high - 1}" rx="8"/>',
        *(f'<circle cx="{MARGIN + 6 + 18 * at}" cy="20" r="5"/>' for at in range(3)),
    ]
    for at, line in enumerate(lines):
        y = MARGIN + BAR + HIGH * at + 6
        parts.append(f'<g class="line">{"".join(_runs(line, y))}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _runs(line: Line, y: int) -> list[str]:
    """What has one style is one text, as long as its places whatever the font is."""
    column, told = 0, []
    for style, places in groupby(line, key=lambda place: place[1]):
        shown = "".join(each for each, _ in places)
        if shown.strip():
            kind = f' class="s{style}"' if style else ""
            told.append(
                f'<text{kind} x="{MARGIN + column * WIDE:.1f}" y="{y}" '
                f'textLength="{len(shown) * WIDE:.1f}" xml:space="preserve">{escape(shown)}</text>'
            )
        column += len(shown)
    return told


def words_of(picture: str) -> str:
    """The command of an SVG and what it drew, line by line."""
    lines = ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}g")
    return "\n".join(" ".join(each.text or "" for each in line) for line in lines)
