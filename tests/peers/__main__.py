"""
The tables of docs/explanation/readers.md, made anew and written into it: `python -m tests.peers`.

A table stands between `<!-- NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.peers import readers

PAGE = Path(__file__).parents[2] / "docs/explanation/readers.md"


def page() -> str:
    """The page with its tables as they come out now."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in (("choices", readers.choices()), ("numbers", readers.numbers())):
        made = "".join(table.markdown())
        there = re.compile(f"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = there.sub(lambda found, made=made: f"{found[1]}{made}{found[2]}", text)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
