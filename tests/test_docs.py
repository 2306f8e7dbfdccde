"""
What README.md and the pages in docs/ say is true: their code runs, their commands print what they
show, their links lead somewhere, and no command or option is missing.

The rules that the pages follow, from top to bottom in one namespace and one empty folder:

- a ```python block runs; a block with title="x.py" is written to (or added to) that file instead,
  and a ```diff block changes it;
- the lines of a ```bash block that call pytest or doteval run, and succeed; a comment
  `# exits with 2` at the end says otherwise;
- in a ```console block they stand behind "$ ", and every word below them is printed;
- `<!-- not run: reason -->` above a block excuses it;
- where data/pages/ has a folder for a page, its files are there from the beginning and its setup.sh
  has been run; the output in such a page is an illustration, as it shows other data.
"""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import doteval
from doteval import concurrency, datasets, errors, evaluators, metrics
from doteval.cli import main

ROOT = Path(doteval.__file__).parent.parent
DOCS = ROOT / "docs"
GIVEN = Path(__file__).parent / "data" / "pages"
PAGES = [path for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))) if path.exists()]

pytestmark = [
    pytest.mark.skipif(not DOCS.exists(), reason="not a checkout of the project"),
    pytest.mark.long,
]

FENCE = re.compile(
    r"^(?P<excuse><!-- not run: [^\n]+ -->\n+)?"
    r"^(?P<indent> *)```(?P<language>\w+)?(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n"
    r"(?P<text>.*?)"
    r"^ *```$",
    re.MULTILINE | re.DOTALL,
)
COMMAND = re.compile(r"(time )?(pytest|doteval|python3? -m doteval) ")
EXIT = re.compile(r"# exits with (\d+)$")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the number of its first line."""

    language: str
    title: str | None
    text: str
    line: int


def name_of(page: Path) -> str:
    """A page as the ids of tests show it."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page that are to be run or written."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        if found["excuse"]:
            continue
        line = text.count("\n", 0, found.start("text")) + 1
        lines = [each.removeprefix(found["indent"]) for each in found["text"].splitlines(True)]
        yield Block(found["language"] or "", found["title"], "".join(lines), line)


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block that are run, each with the lines of output below it."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        output: list[str] = []
        for line in lines:
            if line.startswith("$ "):
                output = []
                if COMMAND.match(line[2:]):
                    yield line[2:], output
            else:
                output.append(line)
        return
    for line in lines:
        if COMMAND.match(line):
            yield line, []


@pytest.fixture
def folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands_on_path: Mapping[str, str]
) -> Iterator[Path]:
    """An empty working directory but for the examples, with the commands on the path."""
    for name, value in commands_on_path.items():
        monkeypatch.setenv(name, value)
    for room in (datasets, evaluators, metrics):  # what a page registers is gone after it
        known: Any = room.registry
        monkeypatch.setattr(known, "_registered", dict(known._registered))
    work = tmp_path / "work"
    shutil.copytree(
        DOCS / "examples", work / "docs" / "examples", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.chdir(work)
    monkeypatch.syspath_prepend(work)

    yield work

    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(work)):
            del sys.modules[name]  # the next page may have a file of the same name


def write(path: Path, block: Block) -> None:
    """Add a block to a file; a diff puts its lines with a plus in place of those with a minus."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if block.language == "diff":
        old, new = (
            "".join(line[1:] for line in block.text.splitlines(True) if line[0] == sign)
            for sign in "-+"
        )
        assert before.count(old) == 1, f"line {block.line}: {path.name} does not have these lines"
        path.write_text(before.replace(old, new), encoding="utf-8")
    else:
        path.write_text(before + block.text, encoding="utf-8")


def prepare(page: Path, folder: Path) -> bool:
    """Lay out what a page takes for granted; whether there is anything of the kind."""
    given = GIVEN / page.relative_to(ROOT).with_suffix("")
    if given.is_dir():
        shutil.copytree(given, folder, dirs_exist_ok=True)
        if (given / "setup.sh").exists():
            run_command("bash setup.sh", [])
    return given.is_dir()


def run_command(command: str, shown: list[str]) -> None:
    """Run a command as a reader would, and look for what the page shows of its output."""
    expected = EXIT.search(command)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == (int(expected[1]) if expected else 0), f"$ {command}\n{printed}"
    words = set(re.findall(r"[^\W\d_]{3,}", printed))
    for line in shown:
        missing = set(re.findall(r"[^\W\d_]{3,}", line)) - words
        assert not missing, f"$ {command}\n{printed}\nThe page shows, and nobody prints: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_fence_of_a_page_is_seen(page: Path) -> None:
    """No block hides in another: what is written as code is run, written or excused."""
    text = page.read_text(encoding="utf-8")
    fences = re.findall(r"^ *```", text, re.MULTILINE)

    assert 2 * len(list(FENCE.finditer(text))) == len(fences)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_code_of_a_page_runs(page: Path, folder: Path) -> None:
    """Top to bottom, in one namespace, as the reader is told to."""
    illustrated = prepare(page, folder)
    namespace: dict[str, object] = {"__name__": "docs"}
    for block in blocks(page):
        if block.language == "python" and block.title is None:
            # The empty lines make a traceback point into the page.
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            exec(code, namespace)
        elif block.title is not None:
            write(folder / block.title, block)
        elif block.language in ("bash", "console"):
            for command, shown in commands(block):
                run_command(command, [] if illustrated else shown)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Files exist, and headings that are linked to as well."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"(?:\]\(|\bsrc=\"|\bsrcset=\")([^)\"\s]+)[)\"]", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page

        assert goal.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            assert anchor in anchors(goal), f"{name_of(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_needs_no_builder(page: Path) -> None:
    """It reads on GitHub as it is: links are relative, and no generator has to run before."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))

    assert re.findall(r"\]\(/[^)]*\)|^(?:!!!|:::|\.\. |\{%).*", prose, re.MULTILINE) == []


def anchors(page: Path) -> set[str]:
    """The names of a page's headings as they are linked to."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def test_every_page_stands_in_the_index_once() -> None:
    """A page that nobody links to is a page that nobody reads."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = [(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)\)", index)]
    times = {name_of(page): linked.count(page) for page in PAGES if page.name != "index.md"}

    assert {name: n for name, n in times.items() if n != 1} == {}


# ------------------------------------------------------------------ nothing is missing


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What `doteval [command] --help` prints."""
    with pytest.raises(SystemExit) as left:
        raise SystemExit(main([*command, "--help"]))
    assert left.value.code == 0
    return capsys.readouterr().out


def options_in(text: str) -> set[str]:
    """The long options that a help text names at the beginning of a line."""
    return set(re.findall(r"^ +(?:-\w(?: [A-Z]+)?, )?(--[a-z][a-z-]*)", text, re.MULTILINE))


def commands_in(text: str) -> set[str]:
    """The commands that `doteval --help` lists."""
    return set(re.findall(r"^ {2,6}([a-z]+) {2,}\S", text, re.MULTILINE))


def section(page: str, title: str) -> str:
    """The part of a page below a heading that holds `title` as code, up to the next such one."""
    found = re.search(
        rf"^(#+) [^\n]*`{re.escape(title)}\b[^\n]*\n(.*?)(?=^#{{1,3}} |\Z)",
        page,
        re.MULTILINE | re.DOTALL,
    )
    return found[0] if found else ""


def test_every_command_and_option_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/reference/cli.md has a section for each command, and all options of it."""
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    overview = help_of(capsys)
    known = commands_in(overview)
    missing = {option for option in options_in(overview) if f"`{option}" not in page}
    for command in known:
        told = section(page, f"doteval {command}")
        if not told:
            missing.add(command)
        common = page.partition("\n## ")[0] + section(page, "--storage")
        for option in options_in(help_of(capsys, command)) - options_in(overview):
            if option not in told and option not in common and option != "--help":
                missing.add(f"{command} {option}")

    assert {"list", "show", "rename", "delete", "run"} <= known
    assert missing == set()


def test_every_option_of_pytest_is_documented() -> None:
    """docs/reference/pytest.md names each option and each key of the configuration."""
    page = (DOCS / "reference" / "pytest.md").read_text(encoding="utf-8")
    configuration = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    with_plugin, without = pytest_help(), pytest_help("-p", "no:doteval")
    options = options_in(with_plugin) - options_in(without)
    keys = ini_keys(with_plugin) - ini_keys(without)

    assert {"--experiment", "--samples", "--storage", "--fresh"} <= options
    assert {option for option in options if f"`{option}" not in page} == set()
    assert {key for key in keys if f"`{key}`" not in page + configuration} == set()


def pytest_help(*arguments: str) -> str:
    """What `pytest --help` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ini_keys(text: str) -> set[str]:
    """The keys of the configuration that pytest's help names."""
    return set(re.findall(r"^  (\w+) \([\w ]+\):", text, re.MULTILINE))


def test_every_public_name_is_documented() -> None:
    """docs/reference/python.md names everything that can be imported from the public rooms."""
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    names = {*doteval.__all__, *concurrency.__all__}
    for registry in (evaluators.registry, metrics.registry):
        names |= {each.name for each in registry.sources() if each.distribution == "built in"}

    assert {name for name in names if not re.search(rf"`[^`\n]*\b{name}\b", page)} == set()


@pytest.mark.parametrize(
    "thing",
    [
        doteval.ForEach,
        doteval.Result,
        doteval.Retry,
        doteval.RateLimit,
        doteval.run,
        doteval.run_async,
        concurrency.Adaptive,
    ],
    ids=lambda thing: thing.__name__,
)
def test_every_parameter_is_documented(thing: Any) -> None:
    """docs/reference/python.md names what can be passed to what people call most."""
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    parameters = inspect.signature(thing).parameters.values()
    names = {each.name for each in parameters if each.kind is not each.VAR_KEYWORD}

    assert {name for name in names if not re.search(rf"`[^`\n]*\b{name}\b", page)} == set()


def test_every_room_is_on_the_map() -> None:
    """docs/explanation/design.md names each module of the package."""
    page = (DOCS / "explanation" / "design.md").read_text(encoding="utf-8")
    package = Path(doteval.__file__).parent
    rooms = {path.stem for path in package.rglob("*.py")}

    assert {room for room in rooms if f"`{room}`" not in page} == set()


def test_the_readme_tells_how_to_run_and_test_in_one_line_each() -> None:
    """`.ci/run` takes the second one from there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert len(re.findall(r"^python3 -m doteval run docs/examples/", readme, re.MULTILINE)) == 1
    assert len(re.findall(r"^python3 -m venv .*tox run", readme, re.MULTILINE)) == 1
    assert readme.index("python3 -m doteval run") < 3_000


def test_every_error_is_documented() -> None:
    """Each class that a caller may catch, with the builtin that it also is."""
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    told = section(page, "DotevalError")
    known = [each for each in vars(errors).values() if isinstance(each, type)]

    for each in known:
        if each is not errors.Congested:  # what `congested` makes, to be raised, not caught
            assert f"`{each.__name__}`" in told
        if f"| `{each.__name__}` |" in told:
            assert f"| `{each.__name__}` | `{each.__bases__[-1].__name__}` |" in told
