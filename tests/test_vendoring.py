"""
The folder `doteval/`, copied into another package under another name, works whole.

Every test runs a copy of it as `acme._vendor.evals` in a new interpreter.
"""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import doteval

PACKAGE = Path(doteval.__file__).parent

# -I: no environment variables, no working directory on the path; -S: no site-packages, so no
# pytest and no metadata of installed packages; -B: no bytecode is written beside the sources.
ALONE = ("-I", "-S", "-B")

EVALUATIONS = """
import asyncio
from acme._vendor.evals import ForEach, Result
from acme._vendor.evals.concurrency import (
    Adaptive, AsyncSequential, Batch, Sequential, SlidingWindow,
)
from acme._vendor.evals.evaluators import exact_match

ROWS = [(f"{n} + {n}", n + n) for n in range(6)]
STRATEGIES = (Sequential(), AsyncSequential(), Batch(2), SlidingWindow(2), Adaptive())

for strategy in STRATEGIES:
    @ForEach(concurrency=strategy)("question,answer", ROWS)
    def eval_plain(question, answer):
        return Result(exact_match(eval(question), answer), prompt=question)

    @ForEach(concurrency=strategy)("question,answer", ROWS)
    async def eval_async(question, answer):
        await asyncio.sleep(0)
        return Result(exact_match(eval(question), answer), prompt=question)

    for made in (eval_plain, eval_async):
        made.__name__ += "_" + type(strategy).__name__.lower()
        globals()[made.__name__] = made
del made, eval_plain, eval_async
"""

RUN_ALL = """
import json
import eval_all
from acme._vendor.evals import run

found = {name: thing for name, thing in vars(eval_all).items() if name.startswith("eval_")}
summaries = [run(each, "vendored", progress=False) for each in found.values()]
assert "pytest" not in sys.modules
assert not any(name.partition(".")[0] == "doteval" for name in sys.modules), sys.modules
print(json.dumps([summary.scored for summary in summaries]))
"""

COMMAND = """
import runpy
sys.argv = ["evals", *{arguments!r}]
runpy.run_module("acme._vendor.evals", run_name="__main__")
"""


class Vendored:
    """
    A copy of the package, and a folder to work in.

    Attributes:
        path: what to put on `sys.path`: a folder or a zip file.
        work: the working directory.
    """

    def __init__(self, path: Path, work: Path) -> None:
        self.path = path
        self.work = work

    def python(self, code: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run code with the copy on the path."""
        begin = (
            f"import sys\nsys.dont_write_bytecode = True\n"
            f"sys.path[:0] = [{str(self.path)!r}, {str(self.work)!r}]\n"
        )
        return subprocess.run(
            [sys.executable, *(options or ALONE), "-c", begin + code],
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command line of the copy."""
        return self.python(COMMAND.format(arguments=list(arguments)))


def copied(folder: Path) -> Path:
    """The package below a folder as acme._vendor.evals."""
    target = folder / "acme" / "_vendor" / "evals"
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "acme" / "__init__.py").write_text("")
    (folder / "acme" / "_vendor" / "__init__.py").write_text("")
    return folder


def listing(folder: Path) -> dict[str, int]:
    """Every file and folder below a folder, with its size."""
    return {
        str(path.relative_to(folder)): path.stat().st_size if path.is_file() else 0
        for path in folder.rglob("*")
    }


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working directory with evaluations that import the copy."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "eval_all.py").write_text(EVALUATIONS, encoding="utf-8")
    return folder


@pytest.fixture
def vendored(tmp_path: Path, work: Path) -> Iterator[Vendored]:
    """A copy in folders that can not be written to; nothing is changed in them."""
    site = copied(tmp_path / "site")
    folders = [site, *(path for path in site.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    before = listing(site)

    yield Vendored(site, work)

    after = listing(site)
    for folder in folders:
        folder.chmod(stat.S_IRWXU)
    assert after == before  # root may write anywhere, so the mode alone proves nothing


@pytest.fixture
def zipped(tmp_path: Path, work: Path) -> Vendored:
    """A copy inside a zip file."""
    site = copied(tmp_path / "unzipped")
    archive = tmp_path / "site.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(site.rglob("*")):
            file.write(path, str(path.relative_to(site)))
    shutil.rmtree(site)
    return Vendored(archive, work)


@pytest.mark.parametrize("form", ["vendored", "zipped"])
def test_a_copy_runs_all_strategies(form: str, request: pytest.FixtureRequest) -> None:
    """Five strategies, `def` and `async def`, from a read-only folder and from a zip file."""
    copy: Vendored = request.getfixturevalue(form)

    done = copy.python(RUN_ALL)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [6] * 10


@pytest.mark.parametrize("form", ["vendored", "zipped"])
def test_the_command_line_of_a_copy_works(form: str, request: pytest.FixtureRequest) -> None:
    """`python -m acme._vendor.evals` runs, lists, shows and writes a report."""
    copy: Vendored = request.getfixturevalue(form)

    ran = copy.command("run", "eval_all.py", "--experiment", "by-hand")
    listed = copy.command("list")
    shown = copy.command("show", "by-hand", "--json")
    told = copy.command("report", "by-hand")

    assert ran.returncode == 0, ran.stderr
    assert listed.returncode == 0, listed.stderr
    assert "by-hand" in listed.stdout
    summaries = json.loads(shown.stdout)["evaluations"]
    assert [summary["scored"] for summary in summaries] == [6] * 10
    assert told.returncode == 0, told.stderr
    assert "</html>" in (copy.work / "report.html").read_text(encoding="utf-8")


def test_the_groups_of_plugins_follow_the_name_of_the_copy(vendored: Vendored) -> None:
    """A copy has plugins of its own: the original's never show up in it, nor the reverse."""
    offers = vendored.work / "offer-1.0.dist-info"
    offers.mkdir()
    (offers / "METADATA").write_text("Metadata-Version: 2.1\nName: offer\nVersion: 1.0\n")
    (offers / "entry_points.txt").write_text(
        "[acme._vendor.evals.evaluators]\ntheirs = offer:evaluate\n"
        "[doteval.evaluators]\nours = offer:evaluate\n"
    )
    (vendored.work / "offer.py").write_text("def evaluate(): ...\n")

    done = vendored.python(
        "from acme._vendor.evals.evaluators import registry\n"
        "assert registry.group == 'acme._vendor.evals.evaluators', registry.group\n"
        "print(registry.get('theirs').__module__, 'ours' in registry.names())\n"
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["offer", "False"]


def test_the_plugin_of_a_copy_serves_pytest(vendored: Vendored) -> None:
    """`-p acme._vendor.evals.pytest_plugin` collects and runs evaluations of the copy."""
    (vendored.work / "pytest.ini").write_text("[pytest]\n")

    done = vendored.python(
        "import pytest\n"
        "raise SystemExit(pytest.main(['-p', 'no:doteval', '-p', 'no:cacheprovider',\n"
        "    '-p', 'acme._vendor.evals.pytest_plugin', '--experiment', 'under-pytest',\n"
        "    'eval_all.py']))\n",
        "-B",
    )
    shown = vendored.command("show", "under-pytest", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout
    assert len(json.loads(shown.stdout)["evaluations"]) == 10


def test_a_copy_needs_no_pytest(vendored: Vendored) -> None:
    """In the interpreter that these tests use there is none, and no installed package at all."""
    done = vendored.python("import importlib.util\nprint(importlib.util.find_spec('pytest'))")

    assert done.stdout.strip() == "None"
