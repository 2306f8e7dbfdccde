"""Evaluations as pytest items: what is collected, how it runs, how it is judged, what is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

# pytester forgets what inner sessions import; these are to be the same inside and outside.
import doteval.evaluation
import doteval.pytest_plugin
import doteval.reporting.views
import doteval.running.monitor
from doteval.pytest_plugin import hooks
from doteval.pytest_plugin.loop import SessionLoop
from doteval.pytest_plugin.options import Options
from doteval.pytest_plugin.session import SETTING
from doteval.pytest_plugin.terminal import Screen, command, told_lines
from doteval.reporting.summary import Summary, summarise
from doteval.storage import locate, open_store
from doteval.views.terminal import Terminal

INSIDE = (doteval.evaluation, doteval.pytest_plugin, doteval.reporting.views, doteval.running)

OTHERS = "randomly asyncio anyio xdist timeout rerunfailures cov"

SUMS = """
from doteval import foreach

@foreach("a,b", [(1, 1), (2, 2), (3, 4)])
def eval_sums(a, b):
    return a == b
"""

ERRORS = """
from doteval import foreach

@foreach("a", [1, 0, 0, 4])
def eval_errors(a):
    return 1 / a > 0
"""


class Project:
    """A folder with evaluations, and pytest run in it without other plugins."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.configure()

    def configure(self, *lines: str) -> None:
        others = " ".join(f"-p no:{name}" for name in OTHERS.split())
        self.pytester.makeini("\n".join(["[pytest]", f"addopts = {others}", *lines]))

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_inprocess(*arguments)

    def start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A process of its own, for whatever has to do with signals and exits."""
        return subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=self.path,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            timeout=60,
        )

    def collected(self, *arguments: str) -> list[str]:
        """The node ids that a session would run."""
        result = self.run("--collect-only", "-q", *arguments)
        return [line for line in result.outlines if "::" in line]

    def summary(self, name: str, experiment: str = "x") -> Summary:
        store = open_store(locate(self.path / ".doteval" / "results.db"))
        try:
            return summarise(store, experiment, name)
        finally:
            store.close()


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    return Project(pytester)


# -------------------------------------------------------------------------- collection


def test_every_evaluation_carries_a_mark(project):
    """Plain tests can be run without paying, and evaluations alone; strict markers know it."""
    project.write("eval_sums.py", SUMS)
    project.write("test_plain.py", "def test_plain():\n    pass\n")

    for words, passed in (["not doteval"], 1), (["doteval"], 1), ([""], 2):
        result = project.run("--strict-markers", "eval_sums.py", "test_plain.py", "-m", *words)
        result.assert_outcomes(passed=passed, deselected=2 - passed)


def test_an_evaluation_runs_as_an_item(project: Project) -> None:
    """Its rows are stored under the experiment, and named from the store's folder."""
    project.write("eval_sums.py", SUMS)

    result = project.run("eval_sums.py::eval_sums", "--experiment", "x")

    result.assert_outcomes(passed=1)
    assert project.summary("eval_sums.py::eval_sums").scored == 3


def test_files_of_evaluations_are_found_in_folders(project: Project) -> None:
    """`eval_*.py` is collected without being named, beside pytest's own files."""
    project.write("deep/er/eval_sums.py", SUMS)
    project.write("test_plain.py", "def test_plain(): pass")

    assert sorted(project.collected()) == [
        "deep/er/eval_sums.py::eval_sums",
        "test_plain.py::test_plain",
    ]


def test_a_script_that_knows_no_evaluations_is_not_imported(project: Project) -> None:
    """An `eval_*.py` may be a script that starts a training run when it is imported."""
    project.write("eval_llama.py", "raise SystemExit('imported')")
    project.write("eval_sums.py", SUMS)

    result = project.run("--experiment", "x")

    result.assert_outcomes(passed=1)


def test_a_file_that_is_named_is_collected_by_pytest_itself(project: Project) -> None:
    """What the user names is collected, whatever stands in it."""
    project.write("eval_plain.py", "def test_plain(): pass")

    assert project.collected("eval_plain.py") == ["eval_plain.py::test_plain"]


@pytest.mark.parametrize("arguments", [(), ("eval_sums.py",), (".", ".")])
def test_a_file_is_collected_once(project: Project, arguments: tuple[str, ...]) -> None:
    """Also where the user's own python_files matches, and where its folder is named twice."""
    project.configure("python_files = eval_*.py test_*.py")
    project.write("eval_sums.py", SUMS)

    assert project.collected(*arguments) == ["eval_sums.py::eval_sums"]


def test_plain_tests_in_a_file_of_evaluations_explain_their_asserts(project: Project) -> None:
    """They run as tests do elsewhere, in packages too."""
    plain = "\ndef test_plain():\n    found = [1, 2]\n    assert found == [1, 3]\n"
    project.write("eval_sums.py", SUMS + plain)
    project.write("package/__init__.py", "")
    project.write("package/eval_inside.py", SUMS + plain)

    result = project.run("-k", "plain")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*eval_sums.py::test_plain - assert [[]1, 2] == [[]1, 3]"])
    result.stdout.fnmatch_lines(["*eval_inside.py::test_plain - assert [[]1, 2] == [[]1, 3]"])


def test_a_file_that_was_imported_before_is_collected_too(project: Project) -> None:
    """By a conftest.py, say; its asserts stay plain then, without a warning."""
    project.write("eval_sums.py", SUMS)
    project.write("conftest.py", "import sys; sys.path.insert(0, '.'); import eval_sums")

    result = project.run("--experiment", "x", "-W", "error")

    result.assert_outcomes(passed=1)


def test_an_evaluation_in_a_test_file_works(project: Project) -> None:
    """Evaluations need no file of their own, and no particular name."""
    project.write("test_sums.py", SUMS.replace("eval_sums", "sums_are_right"))

    assert project.collected() == ["test_sums.py::sums_are_right"]


def test_functions_that_only_look_like_evaluations_are_left_alone(project: Project) -> None:
    """A helper `eval_model(x)` is no item."""
    project.write("eval_sums.py", SUMS + "\ndef eval_model(x): return x\n")

    assert project.collected() == ["eval_sums.py::eval_sums"]


def test_evaluations_made_in_a_loop_are_collected_under_their_own_names(project: Project) -> None:
    """The loop's variable is not a second name of the last one."""
    project.write(
        "eval_loop.py",
        """
from doteval import foreach

for name in ("first", "second"):
    @foreach("a", [1, 2])
    def eval_each(a, said=name):
        return said in ("first", "second")

    eval_each.__name__ = f"eval_{name}"
    globals()[f"eval_{name}"] = eval_each
""",
    )

    assert project.collected() == ["eval_loop.py::eval_first", "eval_loop.py::eval_second"]
    project.run("--experiment", "x").assert_outcomes(passed=2)


def test_an_evaluation_of_many_names_is_collected_once(project: Project) -> None:
    """Under its own name, else under the first that holds it."""
    project.write(
        "eval_names.py",
        SUMS
        + """
another = eval_sums

def made():
    @foreach("a", [1])
    def eval_inner(a):
        return True
    return eval_inner

eval_first = eval_second = made()
""",
    )

    assert project.collected() == ["eval_names.py::eval_sums", "eval_names.py::eval_first"]


def test_an_import_is_not_collected_again(project: Project) -> None:
    """An evaluation belongs to the module that defines it; one from a library has no other home."""
    project.write("eval_sums.py", SUMS)
    project.write(
        "library.py",
        "from doteval import foreach\n\ndef make():\n"
        + SUMS.replace("\n", "\n    ")
        + "\n    return eval_sums\n",
    )
    project.write(
        "eval_more.py",
        "from eval_sums import eval_sums  # foreach\nimport library\neval_made = library.make()\n",
    )

    assert project.collected() == ["eval_more.py::eval_made", "eval_sums.py::eval_sums"]


def test_methods_are_evaluations_too(project: Project) -> None:
    """With `self` and its fixtures, static, and inherited by each class that pytest collects."""
    project.write(
        "eval_class.py",
        """
import pytest
from doteval import foreach

class Base:
    threshold = 2

    @pytest.fixture
    def limit(self):
        return self.threshold

    @pytest.fixture
    async def me(self):
        return self

    @foreach("a", [1, 2])
    async def eval_method(self, a, limit, me):
        assert me is self
        return a <= limit

class TestOne(Base):
    @staticmethod
    @foreach("a", [1])
    def eval_static(a):
        return True

class TestTwo(Base):
    threshold = 1
""",
    )

    collected = project.collected()
    result = project.run("--experiment", "x")

    assert collected == [
        "eval_class.py::TestOne::eval_method",
        "eval_class.py::TestOne::eval_static",
        "eval_class.py::TestTwo::eval_method",
    ]
    result.assert_outcomes(passed=3)
    for name, right in (("TestOne", 1.0), ("TestTwo", 0.5)):
        summary = project.summary(f"eval_class.py::{name}::eval_method")
        assert summary.scores["eval_method"]["accuracy"].value == right


def test_what_is_marked_as_no_test_is_not_collected(project: Project) -> None:
    """`__test__ = False` means to evaluations what it means to tests."""
    project.write("eval_sums.py", SUMS + "\neval_sums.__test__ = False\n")

    assert project.collected() == []


def test_doctests_of_modules_leave_the_evaluations(project: Project) -> None:
    """`--doctest-modules`, often in addopts, collects a file's examples beside its evaluations."""
    project.write(
        "eval_sums.py",
        SUMS + '\ndef one():\n    """\n    >>> one()\n    1\n    """\n    return 1\n',
    )

    for arguments in ((), ("eval_sums.py",)):
        collected = project.collected("--doctest-modules", *arguments)
        assert sorted(collected) == ["eval_sums.py::eval_sums", "eval_sums.py::eval_sums.one"]
    assert project.collected("-p", "no:doctest") == ["eval_sums.py::eval_sums"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 1", "no function in it is decorated with @foreach(...)"),
        ("from eval_sums import eval_sums", "its evaluations are imported from eval_sums; run *"),
        (SUMS + "eval_sums.__test__ = False", "it says `__test__ = False`"),
        (SUMS + "__test__ = False", "it says `__test__ = False`"),
    ],
)
def test_a_named_file_of_which_nothing_runs_is_an_error(
    project: Project, text: str, why: str
) -> None:
    """Beside other tests the session would be green without it; in a folder it may be a helper."""
    project.write("eval_sums.py", SUMS)
    project.write("eval_empty.py", text)
    project.write("test_plain.py", "def test_plain(): pass")

    named = project.run("eval_empty.py", "test_plain.py")
    found = project.run("--experiment", "x")

    assert named.ret == pytest.ExitCode.INTERRUPTED
    why = why.replace("[", "[[]")
    named.stdout.fnmatch_lines([f"eval_empty.py was named, and nothing of it would run: {why}"])
    found.assert_outcomes(passed=2)


def test_a_named_file_may_be_left_out_on_purpose(project: Project) -> None:
    """By `--lf`, `-k`, or `--deselect`: pytest says how many."""
    project.write("eval_sums.py", SUMS)
    project.write("test_plain.py", "def test_plain(): assert False")
    project.run("test_plain.py")

    last = project.run("--lf", "eval_sums.py", "test_plain.py")
    deselected = project.run("--deselect", "eval_sums.py::eval_sums", "eval_sums.py")

    last.assert_outcomes(failed=1)
    assert deselected.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_evaluations_of_a_class_that_is_not_collected_are_told(project: Project) -> None:
    """Of another name, or a TestCase; not one to inherit from, nor with `__test__ = False`."""
    body = SUMS.partition("\n\n")[2].replace("\n", "\n    ").replace("(a, b)", "(self, a, b)")
    start = "from doteval import foreach\nclass Elsewhere:\n    "
    project.write("library.py", f"{start}{body}\n")
    project.write(
        "eval_class.py",
        "import unittest\nfrom doteval import foreach\nfrom library import Elsewhere\n"
        + "".join(
            f"\nclass {head}:\n    {body}\n"
            for head in ("EvalThing", "Case(unittest.TestCase)", "Base", "TestGood(Base)", "Meant")
        )
        + "    __test__ = False\n",
    )

    result = project.run("--experiment", "x", "-W", "default")
    refused = project.run("--experiment", "x", "-W", "error")

    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["ERROR: evaluations of the class EvalThing are not collected;*"])
    result.assert_outcomes(passed=1, warnings=2)
    result.stdout.fnmatch_lines_random(
        [
            "*evaluations of the class EvalThing are not collected; its name does not match "
            "python_classes: call it TestEvalThing*",
            "*evaluations of the class Case are not collected; pytest takes nothing but *",
        ]
    )


def test_each_parameter_set_is_an_evaluation_of_its_own(project: Project) -> None:
    """Parameters come beside the columns, above or below the decorator."""
    project.write(
        "eval_styles.py",
        """
import pytest
from doteval import foreach

@pytest.mark.parametrize("style", ["plain", "a::b"])
@foreach("a", [1, 2])
@pytest.mark.parametrize("times", [1, 2])
def eval_styles(a, style, times):
    return a * times == 2
""",
    )

    result = project.run("--experiment", "x", "-k", "plain")

    result.assert_outcomes(passed=2, deselected=2)
    assert project.summary("eval_styles.py::eval_styles[1-plain]").scored == 2


def test_selection_sees_names_and_marks_and_nothing_of_ours(project: Project) -> None:
    """`-k` does not match the attributes of evaluations; `-m` matches marks on both sides."""
    project.configure("markers =", "    above", "    below")
    project.write(
        "eval_marks.py",
        """
import pytest
from doteval import foreach

@pytest.mark.above
@foreach("a", [1])
def eval_one(a): return True

@foreach("a", [1])
@pytest.mark.below
def eval_two(a): return True
""",
    )

    for word in ["source", "policy", "timeout", "strategy", "function", "doc", "name", "test"]:
        assert project.collected("-k", word) == []
    assert project.collected("-m", "above") == ["eval_marks.py::eval_one"]
    assert project.collected("-m", "below") == ["eval_marks.py::eval_two"]


def test_the_plugin_can_be_turned_off(project: Project) -> None:
    """With `-p no:doteval` nothing is collected, and nothing called by mistake."""
    project.write("eval_sums.py", SUMS)
    project.write("test_sums.py", SUMS)

    result = project.run("-p", "no:doteval")

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_evaluations_are_named_from_the_stores_folder(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command from another folder resumes the same evaluation."""
    project.write("deep/eval_sums.py", SUMS)
    (project.path / ".doteval").mkdir()

    project.run("--experiment", "x")
    monkeypatch.chdir(project.path / "deep")
    result = project.run("eval_sums.py", "--experiment", "x")

    result.stdout.fnmatch_lines(["*nothing to do: 3 rows stored before*"])
    assert project.summary("deep/eval_sums.py::eval_sums").runs == 2


# ---------------------------------------------------------------------------- fixtures

SHARED = """
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace

story = []
who = ContextVar("who", default="nobody")
"""


def test_async_fixtures_share_a_loop_with_the_rows(project: Project) -> None:
    """From setup to teardown, whatever their scope; what they set in context variables is seen."""
    project.write("shared.py", SHARED)
    project.write(
        "eval_fixtures.py",
        """
import asyncio
import pytest
from doteval import foreach
from shared import story, who

@pytest.fixture(scope="module")
async def client():
    who.set("client")
    loop = asyncio.get_running_loop()
    yield loop
    assert asyncio.get_running_loop() is loop
    story.append("closed")

@pytest.fixture
async def number(client):
    return 41

@pytest.fixture
def plain(number):
    return number + 1

@pytest.fixture(autouse=True)
async def around():
    story.append("before")
    yield
    story.append("after")

@foreach("a", [1, 2])
async def eval_async(a, client, plain):
    assert asyncio.get_running_loop() is client
    assert who.get() == "client"
    return plain == 42

@foreach("a", [1])
def eval_plain(a, number, request):
    assert who.get() == "client"
    assert request.node.name == "eval_plain"
    return number == 41
""",
    )
    project.write(
        "test_later.py",
        """
from shared import story, who

def test_later():
    assert story == ["before", "after", "before", "after", "closed"]
    assert who.get() == "nobody"
""",
    )

    result = project.run("--experiment", "x", "eval_fixtures.py", "test_later.py")

    result.assert_outcomes(passed=3)


def test_an_async_generator_fixture_is_one_task(project: Project) -> None:
    """So that cancel scopes and task groups may stand around its `yield`."""
    project.write(
        "eval_task.py",
        """
import asyncio
import pytest
from doteval import foreach

@pytest.fixture
async def task():
    mine = asyncio.current_task()
    yield mine
    assert asyncio.current_task() is mine

@foreach("a", [1])
async def eval_task(a, task):
    return not task.done()
""",
    )

    project.run("--experiment", "x").assert_outcomes(passed=1)
    assert project.summary("eval_task.py::eval_task").scores["eval_task"]["accuracy"].value == 1


BROKEN_FIXTURES = {
    "raises": ("raise OSError('no network')\n    yield", "OSError: no network", "errors"),
    "never yields": ("if False: yield", "the fixture 'broken' did not yield a value", "errors"),
    "yields twice": ("yield 1\n    yield 2", "the fixture 'broken' yields more than once", "both"),
    "teardown": ("yield\n    raise OSError('lost')", "OSError: lost", "both"),
    "skips": ("pytest.skip('no key')\n    yield", None, "skipped"),
    "plain": ("raise OSError('no network')", "OSError: no network", "errors"),
    "cancelled": (
        "task = asyncio.current_task()\n"
        "    asyncio.get_running_loop().call_later(0, task.cancel)\n"
        "    try:\n        yield\n"
        "    except asyncio.CancelledError:\n        raise OSError('connection lost')",
        "OSError: connection lost",
        "both",
    ),
    "cancelled, says nothing": (
        "task = asyncio.current_task()\n"
        "    asyncio.get_running_loop().call_later(0, task.cancel)\n"
        "    try:\n        yield\n"
        "    except asyncio.CancelledError:\n        pass",
        None,
        "passed",
    ),
}


@pytest.mark.parametrize("body", BROKEN_FIXTURES)
def test_what_a_fixture_raises_is_told_as_everywhere_in_pytest(project: Project, body: str) -> None:
    """Before the rows it is an error of the setup, after them one of the teardown."""
    code, message, outcome = BROKEN_FIXTURES[body]
    project.write(
        "eval_broken.py",
        f"""
import asyncio
import pytest
from doteval import foreach

@pytest.fixture
async def broken():
    {code}

@foreach("a", [1])
async def eval_broken(a, broken):
    await asyncio.sleep(0)
    return True
""",
    )

    result = project.run("--experiment", "x")

    outcomes = {"both": {"passed": 1, "errors": 1}}.get(outcome, {outcome: 1})
    result.assert_outcomes(**outcomes)
    if message is not None:
        result.stdout.fnmatch_lines([f"E *{message}"])


def test_a_missing_fixture_is_pytests_own_error(project: Project) -> None:
    """It names the fixtures that there are."""
    project.write("eval_sums.py", SUMS.replace("(a, b)", "(a, b, nowhere)"))

    result = project.run("--experiment", "x")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E *fixture 'nowhere' not found"])


def test_async_fixtures_of_other_items_are_not_ours(project: Project) -> None:
    """Whoever runs async tests sets up their fixtures, or nobody does."""
    project.write(
        "test_other.py",
        """
import inspect
import pytest
from doteval import foreach

@pytest.fixture
async def value():
    return 1

@foreach("a", [1])
def eval_value(a, value): return value == 1

@pytest.mark.filterwarnings("ignore")
def test_value(value):
    assert inspect.iscoroutine(value)
    value.close()
""",
    )

    result = project.run("--experiment", "x")

    assert result.parseoutcomes()["passed"] >= 1
    assert project.summary("test_other.py::eval_value").scored == 1
    result.stdout.no_fnmatch_line("*eval_value FAILED*")


def test_an_async_fixture_asked_for_by_a_row_comes_too_late(project: Project) -> None:
    """The loop is busy with the rows; the message says what to do."""
    project.write(
        "eval_late.py",
        """
import pytest
from doteval import foreach

@pytest.fixture
async def value():
    return 1

@foreach("a", [1])
async def eval_late(a, request):
    return request.getfixturevalue("value")
""",
    )

    result = project.run("--experiment", "x")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["first: row 0: Failed: an async fixture was asked for while*"])


def test_a_loop_that_runs_already_is_told(project: Project) -> None:
    """In a notebook, pytest's thread belongs to another loop."""
    project.write("eval_sums.py", SUMS)
    script = """
import asyncio, pytest
async def main():
    return pytest.main(["eval_sums.py", "--experiment", "x"])
raise SystemExit(asyncio.run(main()))
"""

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.path, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "an event loop is running in this thread already" in done.stdout


def test_what_is_left_on_the_loop_is_cancelled_at_the_end(project: Project) -> None:
    """Tasks that fixtures leave running do not outlive the session."""
    project.write(
        "eval_left.py",
        """
import asyncio
import pytest
from doteval import foreach
from pathlib import Path
from types import SimpleNamespace

async def forever():
    try:
        await asyncio.Event().wait()
    finally:
        Path("ended").touch()

@pytest.fixture
async def background():
    return asyncio.create_task(forever())

@foreach("a", [1])
async def eval_left(a, background):
    await asyncio.sleep(0)
    return True
""",
    )

    project.run("--experiment", "x").assert_outcomes(passed=1)

    assert (project.path / "ended").exists()


# ----------------------------------------------------------------------------- verdict


def test_wrong_answers_fail_nothing(project: Project) -> None:
    """A wrong answer is a result; the summary has the score."""
    project.write("eval_sums.py", SUMS)

    result = project.run("--experiment", "x")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*accuracy  67%*"])


def test_failed_rows_fail_the_item(project: Project) -> None:
    """With the counts, the first message and its line, the command that resumes, no traceback."""
    project.write("eval_errors.py", ERRORS)

    result = project.run("--experiment", "a name")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "2 of 4 rows failed: ZeroDivisionError 2",
            "first: row 1: ZeroDivisionError: division by zero (eval_errors.py:6)",
            "resume: *pytest eval_errors.py::eval_errors --experiment 'a name'",
        ],
        consecutive=True,
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*hidden*")


def test_the_command_that_resumes_starts_as_the_session_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever typed `pytest` types it again."""
    monkeypatch.setattr(sys, "argv", [str(Path("bin", "pytest"))])

    assert command(["-k", "a b"]) == "pytest -k 'a b'"


def test_the_command_that_resumes_repeats_what_was_asked_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store, samples, and a path from where pytest was called; under `python -m` that too."""
    project.write("deep/eval_errors.py", ERRORS)
    monkeypatch.chdir(project.path / "deep")
    monkeypatch.setattr(sys, "argv", [str(Path("pytest", "__main__.py"))])
    monkeypatch.setattr(sys, "executable", str(Path("bin", "python3.99")))

    result = project.run("--storage", "my.db", "--samples", "2", "--experiment", "x")

    result.stdout.fnmatch_lines(
        [
            "resume: python3.99 -m pytest eval_errors.py::eval_errors --experiment x "
            "--storage my.db --samples 2"
        ]
    )


def test_nothing_that_is_shown_can_move_the_cursor(project: Project) -> None:
    """Names, messages of exceptions and commands are made safe."""
    project.write("eval_errors.py", ERRORS.replace("return", "raise OSError('\\x1b[2J') #"))

    result = project.run("--experiment", "\x1b[31mred", "--storage", "re\x1b[31md.db")

    result.stdout.fnmatch_lines(["first: row 0: OSError: *x1b[[]2J (eval_errors.py:6)"])
    result.stdout.fnmatch_lines(
        ["resume: *--experiment '*x1b[[]31mred' --storage '*x1b[[]31md.db'"]
    )
    result.stdout.fnmatch_lines(["experiment *x1b[[]31mred in re*x1b[[]31md.db"])
    assert "\x1b" not in result.stdout.str()


@pytest.mark.parametrize(
    ("allowed", "outcome"), [("2", "passed"), ("50%", "passed"), ("1", "failed"), ("49%", "failed")]
)
def test_a_number_of_errors_can_be_allowed(project: Project, allowed: str, outcome: str) -> None:
    """As rows, or as a share of them; the summary says so."""
    project.write("eval_errors.py", ERRORS)

    result = project.run("--experiment", "x", f"--eval-max-errors={allowed}")

    result.assert_outcomes(**{outcome: 1})
    if outcome == "passed":
        result.stdout.fnmatch_lines(["*2 of 4 rows failed, which --eval-max-errors allows"])


def test_a_failed_row_runs_again_and_nothing_else(project: Project) -> None:
    """The same experiment resumes; when all is done it says so, and how to begin anew."""
    project.write(
        "eval_once.py",
        """
from pathlib import Path
from types import SimpleNamespace
from doteval import foreach

@foreach("a", [1, 2, 3])
def eval_once(a):
    with open("calls", "a") as file:
        file.write(f"{a} ")
    if a == 2 and Path("calls").read_text().count("2") == 1:
        raise OSError("away")
    return True
""",
    )

    first = project.run("--experiment", "x")
    second = project.run("--experiment", "x")
    third = project.run("--experiment", "x")
    fresh = project.run("--experiment", "x", "--fresh")

    first.assert_outcomes(failed=1)
    for result in (second, third, fresh):
        result.assert_outcomes(passed=1)
    assert (project.path / "calls").read_text() == "1 2 3 2 1 2 3 "
    third.stdout.fnmatch_lines(
        ["*note *nothing to do: 3 rows stored before; to run anew: *::eval_once *x --fresh"]
    )


def test_samples_are_the_first_rows(project: Project) -> None:
    """Both `--samples n` and a later run of all rows count the same rows."""
    project.write("eval_sums.py", SUMS)

    project.run("--experiment", "x", "--samples", "2").assert_outcomes(passed=1)
    sampled = project.summary("eval_sums.py::eval_sums").scored
    project.run("--experiment", "x").assert_outcomes(passed=1)

    assert (sampled, project.summary("eval_sums.py::eval_sums").scored) == (2, 3)


def test_a_skip_in_a_row_is_the_rows_outcome(project: Project) -> None:
    """It does not skip the item, which would hide that rows are missing."""
    project.write(
        "eval_skip.py",
        """
import pytest
from doteval import Result, foreach

@foreach("a", [1, 2, 3])
def eval_skip(a):
    if a == 2:
        pytest.skip("not today")
    return a

@foreach("a", [1])
def eval_error(a):
    return Result(True, error="the answer was cut")
""",
    )

    result = project.run("--experiment", "x")
    under_pdb = project.run("--experiment", "y", "--pdb", "--pdbcls", "pdb:Pdb", "-k", "nothing")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "first: row 1: Skipped: not today (a row can not be skipped: leave it out of the "
            "dataset, or skip in a fixture) (eval_skip.py:8)"
        ]
    )
    result.stdout.fnmatch_lines(["first: row 0: error: the answer was cut"])
    assert project.summary("eval_skip.py::eval_skip").scored == 2
    assert under_pdb.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_exit_in_a_row_ends_the_session(project: Project) -> None:
    """What was finished before is stored, and the summary says how to go on."""
    project.write(
        "eval_exit.py",
        """
import pytest
from doteval import foreach

@foreach("a", [1, 2, 3])
def eval_exit(a):
    if a == 3:
        pytest.exit("enough")
    return a

def test_never(): raise AssertionError
""",
    )

    result = project.start("--fresh")

    assert result.returncode == pytest.ExitCode.INTERRUPTED, result.stdout
    assert "!!! _pytest.outcomes.Exit: enough !!!" in result.stdout
    assert "eval_exit · interrupted" in result.stdout
    assert "  rows      2 of 3 scored" in result.stdout
    resume = next(line for line in result.stdout.splitlines() if line.startswith("resume: "))
    assert "pytest --experiment 2" in resume  # a name made of the time; without --fresh


def test_what_is_kept_in_memory_is_gone_after_an_interruption(project: Project) -> None:
    """The summary then knows no more than that."""
    project.write(
        "eval_exit.py",
        """
import pytest
from doteval import foreach

@foreach("a", [1, 2])
def eval_exit(a):
    if a == 2:
        pytest.exit("enough")
    return a
""",
    )

    result = project.start("--storage", "memory://")

    lines = result.stdout.splitlines()
    at = lines.index("eval_exit · interrupted")
    assert lines[at + 1] == ""


def test_a_dataset_without_rows_fails(project: Project) -> None:
    """An evaluation of nothing proves nothing."""
    project.write("eval_sums.py", SUMS.replace("[(1, 1), (2, 2), (3, 4)]", "[]"))

    result = project.run("--experiment", "x")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the dataset of eval_sums has no rows*", "eval_sums * failed"])


def test_a_dataset_that_raises_fails_the_item(project: Project) -> None:
    """The rows before it are stored; the message is made safe and says how to go on."""
    project.write(
        "eval_rows.py",
        """
from doteval import foreach

def rows():
    yield 1
    raise OSError("disk \\x1b[31m gone")

@foreach("a", rows)
def eval_rows(a): return True
""",
    )

    result = project.run("--experiment", "x")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "the dataset of eval_rows raised OSError after 1 row: disk *x1b[[]31m gone*",
            "resume: *eval_rows.py::eval_rows --experiment x",
        ],
        consecutive=True,
    )
    assert project.summary("eval_rows.py::eval_rows").scored == 1
    assert "\x1b[31m" not in result.stdout.str()


def test_a_store_that_can_not_be_read_fails_with_one_line(project: Project) -> None:
    """No traceback: it is no bug of the evaluation's."""
    project.write("eval_sums.py", SUMS)
    project.write("other.db", "this is no database, but it is long enough to look like one" * 20)

    result = project.run("--experiment", "x", "--storage", "other.db")

    result.assert_outcomes(failed=1)
    message = next(line for line in result.outlines if "other.db" in line)
    assert result.outlines[result.outlines.index(message) + 1].startswith("====")
    result.stdout.no_fnmatch_line("*sqlite3.*")
    result.stdout.fnmatch_lines(["eval_sums · failed"])  # and not "running", nor to be resumed
    result.stdout.no_fnmatch_line("resume: *")


def test_an_evaluation_that_another_process_runs_is_refused(project: Project) -> None:
    """The second run pays for no row."""
    project.write(
        "eval_busy.py",
        """
import subprocess, sys
from pathlib import Path
from types import SimpleNamespace
from doteval import foreach

@foreach("a", [1])
def eval_busy(a):
    if Path("inside").exists():
        raise SystemExit("called twice")
    Path("inside").touch()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "eval_busy.py", "--experiment", "x"],
        capture_output=True, text=True)
    Path("inside").unlink()
    Path("said").write_text(done.stdout)
    return True
""",
    )

    project.run("--experiment", "x").assert_outcomes(passed=1)

    said = (project.path / "said").read_text()
    assert f"{os.getpid()}" in said
    assert "1 failed" in said
    assert "called twice" not in said


def test_a_run_that_stalls_fails(project: Project) -> None:
    """When nothing succeeds for longer than the policy's patience."""
    project.write(
        "eval_stalled.py",
        """
from doteval import ForEach, Retry

class Busy(Exception):
    status_code = 429

@ForEach(retries=Retry(patience=0.0))("a", [1, 2])
async def eval_stalled(a):
    raise Busy("come back later")
""",
    )

    result = project.run("--experiment", "x", "--eval-max-errors=100%")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["stalled: nothing succeeded*", "*resume: *eval_stalled*"])


def test_the_debugger_stops_where_the_row_failed(project: Project) -> None:
    """With --pdb it is the row's exception that is raised, or the dataset's."""
    project.write(
        "fake.py",
        """
import pdb

class Quiet(pdb.Pdb):
    def interaction(self, frame, problem):  # an exception from Python 3.13 on
        traceback = getattr(problem, "__traceback__", problem)
        while traceback.tb_next is not None:
            traceback = traceback.tb_next
        print("STOPPED IN", traceback.tb_frame.f_code.co_name, traceback.tb_frame.f_locals)
""",
    )
    project.write(
        "eval_errors.py",
        ERRORS
        + """
def rows():
    local = "dataset"
    yield 1
    raise OSError

@foreach("a", rows)
def eval_rows(a): return True

@foreach("a", [1])
def eval_skip(a):
    import pytest
    pytest.skip("no")
""",
    )
    project.pytester.syspathinsert()

    result = project.run("--experiment", "x", "--pdb", "--pdbcls", "fake:Quiet")

    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "STOPPED IN eval_errors {'a': 0}",
            "STOPPED IN rows {'local': 'dataset'}",
            "STOPPED IN *1 of 1 row failed*",
        ]
    )


def test_an_alarm_of_pytest_timeout_ends_the_item(project: Project) -> None:
    """It goes off inside a plain function, as the function's own failure would; no row follows."""
    project.write(
        "eval_alarm.py",
        """
import pytest
from doteval import foreach

@foreach("a", [1, 2, 3])
def eval_alarm(a):
    print("row", a)
    pytest.fail("Timeout (>1.0s) from pytest-timeout.")
""",
    )

    result = project.run("--experiment", "x")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*eval_alarm - *Timeout (>1.0s) from pytest-timeout."])
    result.stdout.no_fnmatch_line("row 2")


# ----------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--experiment=", "--experiment is empty; give it a name*"),
        ("--samples=0", "--samples='0': expected a number of rows, 1 or more*"),
        ("--samples=ten", "--samples='ten': expected a number of rows*"),
        ("--eval-max-errors=abc", "--eval-max-errors='abc': expected a number of rows such as 5*"),
        ("--eval-max-errors=101%", "--eval-max-errors='101%': expected*"),
        ("--eval-max-errors=-1", "--eval-max-errors='-1': expected*"),
        ("--eval-max-errors=nan%", "--eval-max-errors='nan%': expected*"),
        ("--eval-max-errors=2%%", "--eval-max-errors='2%%': expected*"),
        ("--eval-max-errors=", "--eval-max-errors='': expected*"),
        ("--storage=sqlite://", "*names no file*"),
        ("--storage=.", "*is a folder; name a file inside it"),
    ],
)
def test_a_wrong_option_ends_the_session_at_once(
    project: Project, option: str, message: str
) -> None:
    """With pytest's code for bad usage, before anything runs."""
    project.write("eval_sums.py", SUMS)

    result = project.run(option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])


def test_the_configuration_file_has_defaults(project: Project) -> None:
    """A path counts from the file; the command line comes first."""
    project.configure("experiment = nightly", "storage = kept/here.db", "eval_max_errors = 2")
    project.write("kept/readme", "")
    project.write("eval_errors.py", ERRORS)

    result = project.run()
    strict = project.run("--eval-max-errors=0", "--storage=memory://", "--experiment=x")

    result.assert_outcomes(passed=1)
    strict.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"experiment nightly in kept{os.sep}here.db"])
    strict.stdout.fnmatch_lines(["experiment x in memory://"])


def test_a_wrong_key_of_the_configuration_file_is_told(project: Project) -> None:
    """As wrong options are: an address only when there is an evaluation to store."""
    project.write("test_plain.py", "def test_plain(): pass")
    project.configure("storage = sqlite://kept")
    project.write("kept/readme", "")
    plain = project.run()
    project.write("eval_sums.py", SUMS)
    stored = project.run()
    project.configure("eval_max_errors = many", "storage = memory://")
    errors = project.run()

    plain.assert_outcomes(passed=1)
    assert stored.ret == errors.ret == pytest.ExitCode.USAGE_ERROR
    stored.stderr.fnmatch_lines(["ERROR: *kept is a folder; name a file inside it"])
    errors.stderr.fnmatch_lines(["ERROR: eval_max_errors='many': expected a number of rows*"])


def test_a_session_without_a_name_gets_one(project: Project) -> None:
    """One for all of its evaluations, printed, so that it can be resumed."""
    project.write("eval_sums.py", SUMS)
    project.write("eval_errors.py", ERRORS)

    result = project.run()

    named = next(line for line in result.outlines if line.startswith("experiment 2"))
    name = named.split()[1]
    assert f"--experiment {name}" in result.stdout.str()
    assert project.summary("eval_sums.py::eval_sums", name).scored == 3
    assert project.summary("eval_errors.py::eval_errors", name).scored == 2


def test_a_place_outside_the_working_directory_is_shown_whole(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Only paths below it are shown relative to it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "my.db"
    project.write("eval_sums.py", SUMS)

    result = project.run("--experiment", "x", "--storage", str(elsewhere))

    result.stdout.fnmatch_lines([f"experiment x in {elsewhere}"])


# ----------------------------------------------------------------------- what is shown


def test_the_summary_has_scores_and_timing(project: Project) -> None:
    """For Adaptive also the path of its limit."""
    project.write(
        "eval_adaptive.py",
        """
import asyncio
from doteval import ForEach
from doteval.concurrency import Adaptive

@ForEach(concurrency=Adaptive(initial_concurrency=2, max_concurrency=8))("a", range(30))
async def eval_adaptive(a):
    await asyncio.sleep(0.01)
    return a % 2 == 0
""",
    )

    result = project.run("--experiment", "x")

    result.stdout.fnmatch_lines(
        [
            "*= evaluations =*",
            "experiment x in .doteval*results.db",
            "",
            "eval_adaptive * complete",
            "  rows      30 of 30 scored * 100% answered",
            "  scores    eval_adaptive  accuracy  50%  95% CI 31*69%  n = 30",
            "  time      * rows/s * latency p50 *, p95 *",
            "  strategy  Adaptive(initial_concurrency=2,*",
            "  limit     2 * 4*",
            "*= 1 passed in *",
        ],
        consecutive=True,
    )


def test_evaluations_of_one_name_are_told_apart(project: Project) -> None:
    """By their files."""
    project.write("one/eval_sums.py", SUMS)
    project.write("two/eval_sums.py", SUMS)

    result = project.run("--experiment", "x", "--import-mode=importlib")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["one/eval_sums.py::eval_sums *", "two/eval_sums.py::eval_sums *"])


@pytest.mark.parametrize(("option", "shown"), [("-v", True), ("-q", True), ("-qq", False)])
def test_the_summary_goes_with_two_qs(project: Project, option: str, shown: bool) -> None:
    """One takes only the progress."""
    project.write("eval_sums.py", SUMS)

    result = project.run("--experiment", "x", option)

    assert ("experiment x in" in result.stdout.str()) is shown


def test_a_session_without_evaluations_shows_nothing(project: Project) -> None:
    """Whoever has doteval installed does not see it in other projects."""
    project.write("test_plain.py", "def test_plain(): pass")

    result = project.run()

    result.stdout.no_fnmatch_line("*= evaluations =*")


def test_importing_the_plugin_loads_neither_a_loop_nor_a_database() -> None:
    """All of a session without evaluations is tested with the architecture."""
    script = (
        "import pytest, sys; import doteval.pytest_plugin\n"
        "raise SystemExit({'asyncio', 'sqlite3', 'doteval.evaluation'} & set(sys.modules) or 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True,
        # measuring coverage loads sqlite3 itself
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


# Every snapshot is this one, so that the first is due.
HEARTBEAT = """
from doteval.reporting.progress import Snapshot
import doteval.running.monitor

def snapshot(monitor):
    return Snapshot("eval_x", 3, 10, 0, 0, 1, 0, 1, 0.1, 11.0, 0.1, {})

doteval.running.monitor.Monitor.snapshot = snapshot
"""


def test_where_nobody_looks_a_line_is_written_now_and_then(project: Project) -> None:
    """After 10 seconds for the first time, on a line of its own, captured output or not."""
    project.write("conftest.py", HEARTBEAT)
    project.write("eval_sums.py", SUMS)

    captured = project.start("--experiment", "x", "-v")
    uncaptured = project.start("--experiment", "y", "-p", "no:capture")
    quiet = project.start("--experiment", "z", "-q")

    for each in (captured, uncaptured):
        assert "\neval_x: 3/10 rows (30.0%), " in each.stdout
        assert ", 11.0 s elapsed\n" in each.stdout
    assert "eval_x" not in quiet.stdout


def test_pytest_may_have_no_terminal(project: Project) -> None:
    """Without its reporter there is nowhere to show anything."""
    project.write("eval_sums.py", SUMS)

    result = project.start("--experiment", "x", "-p", "no:terminal")

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("option", "columns", "shown", "returns"),
    [
        ("-v", "80", True, True),
        ("-rA", "80", True, True),
        ("-rA", "13", True, False),  # as wide as what pytest has written: where does it stand?
        ("-s", "80", True, False),
        ("-q", "80", False, False),
    ],
)
def test_a_terminal_has_a_live_line(
    project: Project, option: str, columns: str, shown: bool, returns: bool
) -> None:
    """Below pytest's line, to which the cursor returns, unless user code prints; not under -q."""
    pty = pytest.importorskip("pty", reason="pseudo terminals are a thing of Unix")
    project.write(
        "eval_live.py",
        """
import time
from doteval import foreach

@foreach("a", range(4))
def eval_live(a):
    print("printed", a)
    time.sleep(0.12)
    return True
""",
    )
    master, slave = pty.openpty()

    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "--experiment", "x", option],
        cwd=project.path, stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": columns, "PYTHONIOENCODING": "utf-8"},
    ) as process:  # fmt: skip
        os.close(slave)
        seen = b""
        try:
            while chunk := os.read(master, 65_536):
                seen += chunk
        except OSError:  # Linux says so when the other end was closed
            pass
        os.close(master)

    screen = seen.decode()
    assert process.returncode == 0
    assert ("/4" in screen) is shown
    assert ("\x1b[J" in screen) is shown
    assert ("\x1b[A\x1b[" in screen) is returns
    assert ("printed 3\r\n" in screen) is (option in ("-s", "-rA"))
    assert "4 of 4 scored" in " ".join(screen.split())  # a narrow terminal breaks lines


def test_a_debugger_has_the_terminal_for_itself(project: Project) -> None:
    """When it is entered, the progress falls silent."""
    project.write("conftest.py", HEARTBEAT)
    project.write(
        "eval_sums.py",
        SUMS.replace(
            "return a == b", "import pdb\n    if a == 1: pdb.set_trace()\n    return a == b"
        ),
    )

    project.write("a_test.py", "def test_plain():\n    breakpoint()\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--experiment", "x", "a_test.py", "eval_sums.py"],
        cwd=project.path, input="c\nc\nc\n", capture_output=True, text=True,
    )  # fmt: skip

    assert "PDB set_trace" in done.stdout
    assert "eval_x: " not in done.stdout.rpartition("PDB set_trace")[2]
    assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------------- interruptions

INTERRUPTED = """
import asyncio, os, signal, time
from pathlib import Path
from types import SimpleNamespace
import pytest
from doteval import ForEach, foreach
from doteval.concurrency import SlidingWindow

def press(number):
    os.kill(os.getpid(), number)

@pytest.fixture
async def client():
    yield
    Path("closed").touch()

@ForEach(concurrency=SlidingWindow(4))("a", range(20))
async def eval_async(a, client):
    if a == 8:
        press(signal.SIGNAL)
    await asyncio.sleep(0.01 if a < 8 else 60)
    return True

@foreach("a", range(20))
def eval_plain(a, client):
    if a == 8:
        press(signal.SIGNAL)
        time.sleep(60)
    return True

@ForEach(concurrency=SlidingWindow(2))("a", range(20))
async def eval_stubborn(a, client):
    if a < 4:
        return True
    if a == 4:
        press(signal.SIGNAL)
        asyncio.get_running_loop().call_later(0.1, press, signal.SIGNAL)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(60)
"""


@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("name", ["eval_async", "eval_plain"])
def test_an_interrupted_run_keeps_what_is_finished(project: Project, name: str, sign: str) -> None:
    """In-flight rows are cancelled, fixtures torn down; exit code 2, and how to resume."""
    project.write("eval_long.py", INTERRUPTED.replace("SIGNAL", sign))

    result = project.start(f"eval_long.py::{name}", "--experiment", "x", "--fresh")

    summary = project.summary(f"eval_long.py::{name}")
    assert result.returncode == pytest.ExitCode.INTERRUPTED, result.stdout
    assert summary.status == "interrupted"
    assert summary.scored >= (5 if name == "eval_async" else 8)
    assert (project.path / "closed").exists()
    assert f"{name} · interrupted" in result.stdout
    assert f"pytest eval_long.py::{name} --experiment x\n" in result.stdout
    assert (f"KeyboardInterrupt: {sign}" in result.stdout) is (sign != "SIGINT")


def test_a_second_interruption_ends_at_once(project: Project) -> None:
    """Rows that ignore their cancellation are not waited for."""
    project.write("eval_long.py", INTERRUPTED.replace("SIGNAL", "SIGINT"))

    result = project.start("eval_long.py::eval_stubborn", "--experiment", "x", "--durations=1")

    assert result.returncode == pytest.ExitCode.INTERRUPTED, result.stdout
    assert project.summary("eval_long.py::eval_stubborn").scored == 4


def test_an_async_fixture_can_be_interrupted(project: Project) -> None:
    """While it waits for its server to come up, say; its own cleaning up is done."""
    project.write(
        "eval_slow.py",
        """
import asyncio, os, signal
from pathlib import Path
from types import SimpleNamespace
import pytest
from doteval import foreach

@pytest.fixture
async def server():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)
        yield
    finally:
        Path("closed").touch()

@foreach("a", [1])
def eval_slow(a, server): return True
""",
    )

    result = project.start("--experiment", "x")

    assert result.returncode == pytest.ExitCode.INTERRUPTED, result.stdout
    assert (project.path / "closed").exists()


# ------------------------------------------------------------------------ with workers


def test_the_controller_of_xdist_names_the_experiment(project: Project) -> None:
    """And hears from the workers' reports what came out; their combinations are in the matrix."""
    config = project.pytester.parseconfigure()
    node = SimpleNamespace(config=config, workerinput={})
    entry = json.dumps({"name": "eval_x.py::eval_x", "experiment": "x", "status": "interrupted"})

    doteval.pytest_plugin.pytest_configure_node(node)
    data = {"nodeid": "eval_x.py::eval_x", "doteval": entry}
    heard = doteval.pytest_plugin.pytest_report_from_serializable(config, data)
    doteval.pytest_plugin.pytest_report_from_serializable(config, {"nodeid": "test_x.py::test_x"})

    assert node.workerinput["doteval_experiment"].startswith("2")
    assert heard is None  # pytest makes the report


def test_an_evaluation_that_has_not_reported_is_looked_up(project: Project) -> None:
    """A worker may have crashed; what it had finished is in the store."""
    project.write("eval_sums.py", SUMS)
    project.run("--experiment", "x")
    told = {
        name: json.dumps({"name": name, "experiment": "x", "status": "interrupted"})
        for name in ("eval_sums.py::eval_sums", "eval_sums.py::eval_never")
    }
    place = locate(project.path / ".doteval" / "results.db")
    options = Options(experiment="x")

    lines = list(told_lines(told, Terminal(), place, options, ["-k", "sums"]))

    assert lines[2:5] == [
        "eval_sums · complete",
        "  rows      3 of 3 scored · 100% answered",
        "  scores    eval_sums  accuracy  67%  95% CI 9–99%  n = 3",
    ]
    assert lines[-3] == "eval_never · interrupted"
    assert lines[-1].endswith("pytest -k sums --experiment x")


def test_workers_are_handed_the_name(project: Project) -> None:
    """They store under the experiment that the controller has made."""
    config = project.pytester.parseconfig()
    config.workerinput = {"doteval_experiment": "from the controller"}

    config._do_configure()
    screen = Screen(config)

    setting = config.stash[SETTING]
    assert setting.experiment == "from the controller"
    assert screen.listener is None
    config._ensure_unconfigure()


def test_a_debugger_without_evaluations_needs_no_line(project: Project) -> None:
    """What would show one is not even loaded."""
    config = project.pytester.parseconfigure()

    hooks.pytest_enter_pdb(config)

    setting = config.stash[SETTING]
    assert "screen" not in vars(setting)
    setting.screen.fall_silent()  # nor where it shows nothing yet
    hooks.pytest_enter_pdb(config)


def test_a_loop_that_was_never_needed_closes() -> None:
    """Closing twice is fine too."""
    loop = SessionLoop()

    async def value() -> int:
        return 1

    loop.close()
    driven = loop.drive(value)
    loop.close()
    loop.close()

    assert driven == 1


def test_the_section_of_many_evaluations_is_one_table(pytester):
    """With a matrix of what stands in brackets, and what must not be overlooked below."""
    pytester.makepyfile(
        eval_m="""
        import pytest
        from doteval import foreach

        @pytest.mark.parametrize("model", ["small", "big"])
        @foreach("n", [1, 2])
        def eval_mail(n, model):
            return n == 1 or model == "big"

        @pytest.mark.parametrize("model", ["small", "big"])
        @foreach("n", [1, 2])
        def eval_chat(n, model):
            if model == "big" and n == 2:
                raise ValueError("no")
            return True
        """
    )

    shown = pytester.runpytest("eval_m.py", "--experiment", "e").outlines

    table = [line.split()[:2] for line in shown]
    assert [line for line in table if line[1:] == ["complete"]] == [
        [f"eval_{task}[{model}]", "complete"]
        for task in ("mail", "chat")
        for model in ("small", "big")
    ]
    assert ["small", "50%", "100%"] in [line.split() for line in shown]
    at = shown.index("eval_chat[big]")
    assert shown[at + 1].split() == ["errors", "1", "ValueError"]
    assert not any(" · complete" in line for line in shown)


def test_calls_from_an_experiment_need_a_mode_that_serves_them(pytester):
    pytester.makepyfile(eval_x="from doteval import foreach")

    result = pytester.runpytest("eval_x.py", "--eval-calls-from", "first")

    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--eval-calls-from: say also --eval-calls reuse, or*"])
