"""A figure is the same wherever it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from doteval import foreach, run
from doteval.cli import main

FORMS = [
    ["list"],
    ["list", "--markdown"],
    ["show", "eight"],
    ["show", "eight", "--by", "half"],
    ["compare", "eight", "again"],
    ["compare", "eight", "again", "--markdown"],
    ["gate", "eight", "exact >= 50%"],
    ["export", "eight", "--format", "markdown"],
    ["report", "eight", "-o", "-"],
]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Two experiments of eight rows, seven of them right."""

    @foreach("n,half", [(n, "one") for n in range(8)])
    def exact(n, half):
        return n != 3

    path = str(tmp_path / "results.db")
    for name in ("eight", "again"):
        summary = run(exact, name, path, progress=False)
    assert "88%  95% CI 47–99.7%" in str(summary)
    assert "<td>88%</td><td>47–99.7%</td>" in summary._repr_html_()
    return path


@pytest.mark.parametrize("command", FORMS, ids=" ".join)
def test_a_figure_is_the_same_wherever_it_is_printed(
    store: str, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Seven of eight are 88%: their interval supports no digit behind the point."""
    main([*command, "--storage", store])
    shown = capsys.readouterr().out

    assert "88%" in shown
    assert "87.5%" not in shown
