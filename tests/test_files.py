"""Importing files of evaluations, and finding what they hold."""

from __future__ import annotations

import multiprocessing
import pickle
import re
import sys
from pathlib import Path

import pytest

from doteval.errors import NotFound, UsageError
from doteval.files import ImportFailed, evaluations_in, imported

ONE = "from doteval import foreach\n@foreach('n', [1])\ndef eval_one(n): return True\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(path: Path, text: str) -> Path:
    """A file with this text, in a folder that is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names(path: Path) -> list[str]:
    """The names of the evaluations in a file."""
    with imported(path) as module:
        return list(evaluations_in(module))


# ------------------------------------------------------------------------- importing


def test_what_stands_beside_the_file_can_be_imported(folder):
    """At its top, and late, while it runs."""
    written(folder / "helper_a.py", "A = 1\n")
    written(folder / "helper_b.py", "B = 2\n")
    file = written(
        folder / "eval_a.py",
        "from helper_a import A\ndef late():\n    from helper_b import B\n    return B\n",
    )
    path = list(sys.path)

    with imported(file) as module:
        assert (module.A, module.late()) == (1, 2)

    assert sys.path == path
    assert "eval_a" not in sys.modules


def test_functions_of_the_file_can_be_pickled(folder):
    """By the name that another process finds the module by."""
    file = written(folder / "eval_pickled.py", "def double(n): return 2 * n\n")

    with imported(file) as module:
        assert pickle.loads(pickle.dumps(module.double)) is module.double
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.apply(module.double, (21,)) == 42


def test_a_file_in_a_package_has_the_packages_name(folder):
    """Its relative imports work."""
    written(folder / "evalpack" / "__init__.py", "")
    written(folder / "evalpack" / "deep" / "__init__.py", "")
    written(folder / "evalpack" / "data.py", "N = 3\n")
    file = written(folder / "evalpack" / "deep" / "eval_p.py", "from ..data import N\n")

    with imported(file) as module:
        assert module.__name__ == "evalpack.deep.eval_p"
        assert module.N == 3


def test_a_file_that_its_package_imports_is_imported_once(folder):
    """There are no two copies of its evaluations."""
    written(folder / "onepack" / "__init__.py", "from .eval_o import eval_one\n")
    file = written(folder / "onepack" / "eval_o.py", ONE)

    with imported(file) as module:
        assert sys.modules["onepack"].eval_one is module.eval_one
        assert list(evaluations_in(module)) == ["eval_one"]


def test_names_that_others_have_are_avoided(folder):
    """A file called like a module of the standard library, or like another file, is no danger."""
    first = written(folder / "a" / "eval_same.py", "A = 1\n")
    second = written(folder / "b" / "eval_same.py", "A = 2\n")
    json = written(folder / "json.py", "A = 3\n")
    dotted = written(folder / "eval.v1.py", "A = 4\n")

    with imported(first) as one, imported(second) as two, imported(json) as three:
        assert (one.A, two.A, three.A) == (1, 2, 3)
        assert one.__name__ == "eval_same"
        assert two.__name__ != "eval_same"
        assert sys.modules["json"] is not three
    with imported(dotted) as four:
        assert four.A == 4


def test_a_file_is_imported_once_while_it_is_in_use(folder):
    """Asked for twice, it is the same module."""
    file = written(folder / "eval_twice.py", ONE)

    with imported(file) as one, imported(Path("eval_twice.py")) as two:
        assert one is two


def test_the_path_may_be_changed_by_the_file(folder):
    """What the file does to `sys.path` is its own affair."""
    file = written(folder / "eval_path.py", "import sys\nsys.path.pop(0)\n")
    before = list(sys.path)

    with imported(file):
        pass

    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("missing.py", NotFound, "there is no file missing.py"),
        ("", UsageError, r"\. is a folder; name a file, as in \./eval_x\.py"),
        ("notes.txt", UsageError, "notes.txt is not a Python file"),
    ],
)
def test_what_is_no_python_file_is_refused(folder, name, kind, message):
    """Each in its own words."""
    written(folder / "notes.txt", "")

    with pytest.raises(kind, match=message), imported(Path(name)):
        pass


# ------------------------------------------------------------------- what goes wrong


def refused(path: Path) -> ImportFailed:
    """The error that importing a file raises."""
    with pytest.raises(ImportFailed) as caught, imported(path):
        pass
    assert path.stem not in sys.modules
    return caught.value


def test_an_error_shows_the_frames_of_the_user_only(folder):
    """Neither ours nor those of the import machinery, in causes neither."""
    written(
        folder / "helper_c.py",
        "def f():\n    try:\n        {}['x']\n"
        "    except KeyError as e:\n        raise TypeError('no') from e\n",
    )
    file = written(folder / "eval_c.py", "import helper_c\n\nhelper_c.f()\n")
    error = refused(file)

    assert str(error) == "eval_c.py:3 can not be imported: TypeError: no"
    assert error.trace.count('  File "') == 3
    assert "KeyError: 'x'" in error.trace
    assert "importlib" not in error.trace
    assert "files.py" not in error.trace


def test_a_syntax_error_names_its_line(folder):
    """There is no frame to tell it."""
    error = refused(written(folder / "eval_s.py", "x = 1\ndef (:\n"))

    assert str(error).startswith("eval_s.py:2 can not be imported: SyntaxError: invalid syntax")
    assert "def (:" in error.trace


def test_a_mistake_in_an_evaluation_is_told_in_one_line(folder):
    """Our own errors say it all; the line is where the decorator stands."""
    error = refused(
        written(
            folder / "eval_m.py",
            "from doteval import foreach\n\n@foreach('q', [])\ndef f(p): ...\n",
        )
    )

    assert re.match(r"eval_m.py:[34]: f\(\) has no parameter 'q'", str(error))  # 3.10 says 4
    assert error.trace == ""


def test_pytest_may_be_missing(folder, monkeypatch):
    """A file that imports it is told what to do, in one line."""
    monkeypatch.setitem(sys.modules, "pytest", None)
    error = refused(written(folder / "eval_t.py", "import pytest\n"))

    assert str(error).startswith("eval_t.py:1 imports pytest, which is not installed")
    assert error.trace == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import sys\nsys.exit(3)\n", r"eval_e.py:2 called sys.exit\(3\) on import"),
        ("raise ValueError\n", "eval_e.py:1 can not be imported: ValueError"),
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere"),
    ],
)
def test_whatever_a_file_raises_is_told(folder, text, message):
    """No exception of a file is taken for one of ours."""
    with pytest.raises(ImportFailed, match=message), imported(written(folder / "eval_e.py", text)):
        pass


def test_a_file_elsewhere_is_named_in_full(folder, tmp_path_factory):
    """A path that does not begin here is not shortened."""
    file = written(tmp_path_factory.mktemp("elsewhere") / "eval_far.py", "x\n")

    assert str(refused(file)).startswith(f"{file}:1 can not be imported")


def test_an_interruption_while_a_file_is_imported_goes_on(folder):
    """Ctrl-C is no mistake of the file."""
    file = written(folder / "eval_i.py", "raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt), imported(file):
        pass


# --------------------------------------------------------------------------- finding


def test_evaluations_are_found_under_their_names(folder):
    """Once each: under the name equal to `__name__`, else under the first; in their order."""
    file = written(
        folder / "eval_n.py",
        "from doteval import foreach\n"
        "made = {}\n"
        "for kind in ('b', 'a'):\n"
        "    @foreach('n', [1])\n"
        "    def eval_made(n): return True\n"
        "    eval_made.__name__ = f'eval_{kind}'\n"
        "    globals()[f'eval_{kind}'] = eval_made\n"
        "@foreach('n', [1])\n"
        "def hidden(n): return True\n"
        "first = hidden\n"
        "second = hidden\n"
        "del hidden\n"
        "@foreach('n', [1])\n"
        "def eval_off(n): return True\n"
        "eval_off.__test__ = False\n",
    )

    assert sorted(names(file)) == ["eval_a", "eval_b", "first"]


def test_imported_evaluations_are_left_to_their_module(folder):
    """But one that a function of another module made belongs to who holds it."""
    written(
        folder / "eval_lib.py",
        f"{ONE}\ndef make():\n    @foreach('n', [1])\n    def eval_inner(n): return True\n"
        "    return eval_inner\n",
    )
    file = written(
        folder / "eval_user.py", "from eval_lib import eval_one, make\neval_mine = make()\n"
    )

    assert names(file) == ["eval_mine"]


def test_what_a_file_raises_is_told_without_credentials(tmp_path, monkeypatch):
    """The log of a build server is read by many: an import error may quote a key."""
    monkeypatch.setenv("MY_API_KEY", "abcdefgh12345678")
    file = tmp_path / "eval_login.py"
    file.write_text(
        "import os\nraise RuntimeError(f\"no login with {os.environ['MY_API_KEY']} sk-{'a' * 20}\")"
    )

    with pytest.raises(ImportFailed) as caught, imported(file):
        pass

    assert "no login with [redacted] [redacted]" in str(caught.value)
    assert "abcdefgh12345678" not in caught.value.trace
