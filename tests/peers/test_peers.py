"""Who reads what, with the real packages of others."""

from __future__ import annotations

import pytest

pytest.importorskip("inspect_ai", reason="inspect-ai is not installed")
pytest.importorskip("lm_eval", reason="lm-eval is not installed")

from tests.peers import readers
from tests.peers.__main__ import PAGE, page


def test_the_page_tells_what_comes_out():
    """`python -m tests.peers` writes it anew."""
    assert page() == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(("said", "meant"), readers.CHOICES)
def test_doteval_reads_the_choice(said, meant):
    """Every one of the table, and takes none where there is none."""
    assert readers.CHOICE_READERS["doteval"](said) == meant


@pytest.mark.parametrize(("said", "number"), readers.NUMBERS)
def test_doteval_reads_the_number(said, number):
    """Every one of the table."""
    assert readers.NUMBER_READERS['doteval `extract="last"`'](said, number)
