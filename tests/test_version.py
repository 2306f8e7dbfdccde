"""What an evaluation reaches is known by a fingerprint: changes are told by name."""

from __future__ import annotations

import linecache
import sys

import pytest

from doteval.files import evaluations_in, imported
from doteval.running.version import changes, fingerprint

EVALUATION = '''
"""Questions about capitals."""
import os
from pathlib import Path

import prompts
from asking import ask
from doteval import Result, foreach
from doteval.evaluators import evaluator

MODEL = "small"
LIMITS = {"tokens": 10}
SEED = os.environ.get("SEED", "1")
WORDS = Path(__file__).with_name("words.txt").read_text()
data = [("France", "Paris"), ("Peru", "Lima")]


@evaluator
def close(answer, expected):
    """Near enough."""
    return answer[:3] == expected[:3]


def clean(text):
    # blanks mean nothing
    return text.strip(CHARACTERS)


CHARACTERS = " ."


class Client:
    """A client."""

    size: int = 3

    def call(self, question):
        return ask(question, self.size)


client = Client()


@foreach("question,expected", data)
def eval_capitals(question, expected, retries=2):
    """One question."""
    answer = client.call(prompts.TEXT + question + MODEL)
    limit = LIMITS["tokens"]
    return Result(close(clean(answer), expected), prompt=[question, limit, SEED, WORDS, retries])


@foreach("question,expected", data)
def eval_other(question, expected):
    return True
'''
ASKING = """
def ask(question, size):
    from later import cut
    return cut(question)[:size]


def unrelated():
    return 1
"""
HELPERS = ("asking", "prompts", "later", "helpers")
FILES = {
    "pyproject.toml": "",
    "eval_capitals.py": EVALUATION,
    "asking.py": ASKING,
    "prompts.py": 'TEXT = "Capital of "\nOTHER = "?"\n',
    "later.py": "def cut(text):\n    return text.rstrip()\n",
    "words.txt": "some words",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with an evaluation and its helpers."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def taken(project, name="eval_capitals"):
    """The fingerprint, as a new process would take it."""
    for module in HELPERS:
        sys.modules.pop(module, None)
    with imported(project / "eval_capitals.py") as module:
        return fingerprint(evaluations_in(module)[name], project)


def edit(project, file, old, new):
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))


def test_everything_that_is_reached_has_an_entry(project):
    """Helpers, evaluators, constants, classes and what they reach; and nothing else."""
    assert list(taken(project)) == [
        "asking.py::ask",
        "eval_capitals.py::CHARACTERS",
        "eval_capitals.py::Client",
        "eval_capitals.py::LIMITS",
        "eval_capitals.py::MODEL",
        "eval_capitals.py::SEED",
        "eval_capitals.py::WORDS",
        "eval_capitals.py::clean",
        "eval_capitals.py::client",
        "eval_capitals.py::close",
        "eval_capitals.py::eval_capitals",
        "later.py",
        "prompts.py::TEXT",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("eval_capitals.py", '["tokens"]', '["tokens"] + 1', "eval_capitals.py::eval_capitals"),
        ("eval_capitals.py", "retries=2", "retries=3", "eval_capitals.py::eval_capitals"),
        ("eval_capitals.py", '"small"', '"large"', "eval_capitals.py::MODEL"),
        ("eval_capitals.py", "10}", "11}", "eval_capitals.py::LIMITS"),
        ("eval_capitals.py", "text.strip(", "text.rstrip(", "eval_capitals.py::clean"),
        ("eval_capitals.py", '" ."', '" .!"', "eval_capitals.py::CHARACTERS"),
        ("eval_capitals.py", "answer[:3]", "answer[:4]", "eval_capitals.py::close"),
        ("eval_capitals.py", "int = 3", "int = 4", "eval_capitals.py::Client"),
        ("eval_capitals.py", "Client()", "Client(*[])", "eval_capitals.py::client"),
        ("asking.py", "[:size]", "[size:]", "asking.py::ask"),
        ("prompts.py", "Capital of", "The capital of", "prompts.py::TEXT"),
        ("later.py", "rstrip", "strip", "later.py"),
        ("words.txt", "some", "other", "eval_capitals.py::WORDS"),
    ],
)
def test_a_change_that_alters_answers_is_told_by_name(project, file, old, new, told):
    """In the function, its defaults, constants, helpers here and elsewhere, evaluators, classes."""
    before = taken(project)

    edit(project, file, old, new)

    assert changes(before, taken(project)) == [told]


HARMLESS = [
    *[
        ("eval_capitals.py", old, new)
        for old, new in [
            ("# blanks mean nothing", "# other words"),
            ("    # blanks mean nothing\n", ""),
            ('    """Near enough."""\n', ""),
            ('"""Near enough."""', '"""Nearer."""'),
            ('"""A client."""', '"""A better client."""'),
            ('"""Questions about capitals."""', '"""Capitals."""'),
            ('"""One question."""', "'''One\n    question.'''"),
            ("\n\n\ndef clean", "\n\n\n\n\n\ndef clean"),
            ("import os\n", "import os\nimport json\n"),
            ("import os\nfrom pathlib import Path\n", "from pathlib import Path\nimport os\n"),
            ("question, expected, retries=2", "question: str, expected: str, retries: int = 2"),
            ("retries=2):", "retries=2) -> Result:"),
            ("answer = client", "answer: str = client"),
            ("def clean(text)", "def clean(text: str) -> str"),
            ('MODEL = "small"', "MODEL = 'small'"),
            ('MODEL = "small"', 'MODEL: str = "small"'),
            ('MODEL = "small"', 'MODEL = ("small")'),
            ('MODEL = "small"', 'MODEL = "sm" "all"  # no change'),
            ("10}", "10,}"),
            ("10}", "0xA}"),
            ('{"tokens": 10}', '{\n    "tokens": 10,\n}'),
            ("answer[:3] == expected[:3]", "(answer[:3]) == (expected[:3])"),
            ("return text.strip(CHARACTERS)", "return text.strip(\n        CHARACTERS,\n    )"),
            ("    return True\n", "    return False\n"),
            ("    return True\n", "    return True\n\n\ndef helper():\n    return 2\n"),
            ("def eval_other(", "def eval_another("),
            ('("Peru", "Lima")', '("Peru", "Lima"), ("Kenya", "Nairobi")'),
            ("data = [", "unused = 1\ndata = ["),
            (
                '@foreach("question,expected", data)\ndef eval_cap',
                '@foreach( "question, expected",data )\ndef eval_cap',
            ),
            (
                "from doteval import Result, foreach",
                "from doteval import ForEach, Result\nforeach = ForEach(repeats=1)",
            ),
            ("@evaluator\n", "@evaluator()\n"),
            ("import prompts\n", "import prompts  # texts\n"),
            ('limit = LIMITS["tokens"]', 'limit = (\n        LIMITS["tokens"]\n    )'),
            ("prompt=[question, limit,", "prompt=[\n        question,\n        limit,"),
            ("    size: int = 3\n", "    size: int = 3  # three\n"),
            ("    return ask(question, self.size)", "    return ask(question, (self.size))"),
            ("client = Client()\n", "client = Client()\n\n"),
            ('CHARACTERS = " ."', "CHARACTERS = ' .'"),
        ]
    ],
    ("asking.py", "return 1", "return 2"),
    ("asking.py", "def unrelated", "def renamed"),
    ("asking.py", "def ask(", "# asks\ndef ask("),
    ("asking.py", "    from later import cut\n", "    from later import cut  # later\n"),
    ("asking.py", "def unrelated():\n    return 1\n", ""),
    ("prompts.py", '"?"', '"!"'),
    ("prompts.py", 'OTHER = "?"\n', ""),
    ("prompts.py", 'TEXT = "Capital of "\nOTHER = "?"\n', 'OTHER = "?"\nTEXT = "Capital of "\n'),
    ("later.py", "def cut", '"""Cuts."""\n\n\ndef cut'),
    ("later.py", "    return", "    # cut\n    return"),
    ("asking.py", "def unrelated():", "X = 1\n\n\ndef unrelated():"),
    ("pyproject.toml", "", "[project]"),
]


@pytest.mark.parametrize(("file", "old", "new"), HARMLESS)
def test_a_harmless_edit_is_not_told(project, file, old, new):
    """Comments, blanks, docstrings, annotations, imports, other evaluations, the dataset."""
    before = taken(project)

    edit(project, file, old, new)

    assert changes(before, taken(project)) == []


ODD = """
import functools
import json
import math
import tempfile
import threading
import time
from importlib import util

import asking
import prompts
from doteval import foreach

STARTED = time.time()
LOCK = threading.Lock()
if True:
    SIZES: list = [1, 2]
both = functools.partial(asking.ask, size=STARTED)
longest = lambda text: max(text)
generated = eval("lambda x: x")
later = json.loads


def logged(function):
    @functools.wraps(function)
    def inner(*arguments):
        return function(*arguments)
    return inner


@(logged if True else logged)
@logged
@functools.lru_cache
def known(text):
    return math.pi, text, prompts.OTHER, prompts.MISSING


class Base:
    word = "a"


class Suite(Base):
    @property
    def name(self):
        return self.__class__.__name__

    @foreach("x", [1])
    def eval_odd(self, x, asking=None):
        import json as json_now
        import helpers
        from . import nothing
        from os.path import join
        from helpers.deep import deeper
        longest(x), generated(x), both(x), SIZES, LOCK, later, undefined, asking, tempfile
        return Suite.call(self, known(x)), suited, [LOCKS], undecided, also

    def call(self, x):
        return len(Base.word)

    size = None


def make(word):
    @foreach("x", [1])
    def eval_made(x):
        return helper(x) + word

    def helper(x):
        return word and unset(x)

    if word is None:
        unset = 1
    return eval_made


suited = Suite().eval_odd
LOCKS = (LOCK,)
exec("undecided = [LOCK]")
exec("also = LOCK")


@foreach("x", [1])
def eval_bound(x):
    return call_bound(x)


call_bound = Suite().call
made, other = make("a"), make("b")
"""


def test_methods_closures_and_odd_objects_are_followed(project):
    """Also partials, lambdas, decorators, and packages that are imported when it is called."""
    (project / "eval_odd.py").write_text(ODD)
    (project / "helpers").mkdir()
    (project / "helpers" / "__init__.py").write_text("from .base import *\nfrom . import deep\n")
    (project / "helpers" / "base.py").write_text("import asking\n")
    (project / "helpers" / "deep.py").write_text("from . import broken\n")
    (project / "helpers" / "broken.py").write_text("broken = (\n")

    for module in HELPERS:
        sys.modules.pop(module, None)
    with imported(project / "eval_odd.py") as module:
        suite = fingerprint(module.Suite().eval_odd, project, [module.longest])
        bound = fingerprint(module.eval_bound, project)
        made, other = (fingerprint(each, project) for each in (module.made, module.other))

    assert list(suite) == [
        "asking.py",
        "asking.py::ask",
        "eval_odd.py::Base",
        "eval_odd.py::LOCK",
        "eval_odd.py::SIZES",
        "eval_odd.py::STARTED",
        "eval_odd.py::Suite",
        "eval_odd.py::Suite.eval_odd",
        "eval_odd.py::both",
        "eval_odd.py::known",
        "eval_odd.py::logged",
        "eval_odd.py::longest",
        "helpers/__init__.py",
        "helpers/base.py",
        "helpers/deep.py",
        "later.py",
        "prompts.py::OTHER",
    ]
    assert {"eval_odd.py::eval_bound", "eval_odd.py::Suite"} <= set(bound)
    assert changes(made, other) == ["eval_odd.py::word"]


def test_a_sum_of_a_thousand_terms_is_no_trouble(project):
    """Generated code may be nested more deeply than Python walks."""
    edit(project, "eval_capitals.py", "10}", f"{' + '.join(['1'] * 900)}}}")

    assert "eval_capitals.py::LIMITS" in taken(project)


def test_a_notebook_is_its_cells(tmp_path):
    """What its cells define is the user's own, whatever their numbers."""

    def taken_after(text):
        cell = f"/tmp/ipykernel_1/{abs(hash(text))}.py"
        linecache.cache[cell] = (len(text), None, text.splitlines(True), cell)
        module = type(sys)("__main__")
        exec(compile(text, cell, "exec"), vars(module))
        return fingerprint(module.eval_cell, tmp_path)

    text = (
        "from doteval import foreach\n"
        "class Client:\n    def ask(self): return 1\n"
        "class Bare: pass\n"
        "@foreach('x', [1])\ndef eval_cell(x): return Client().ask(), Bare\n"
    )

    before = taken_after(text)

    assert list(before) == ["<notebook>::Client", "<notebook>::eval_cell"]
    assert changes(before, taken_after(f"# a comment\n{text}")) == []
    assert changes(before, taken_after(text.replace("1]", "2]"))) == []
    assert changes(before, taken_after(text.replace("return 1", "return 2"))) == [
        "<notebook>::Client"
    ]


def test_the_order_of_definitions_is_harmless(project):
    """Functions may move within their file."""
    before = taken(project)
    clean = EVALUATION[EVALUATION.index("def clean") : EVALUATION.index("CHARACTERS = ")]

    edit(project, "eval_capitals.py", clean, "")
    edit(project, "eval_capitals.py", "@foreach(", f"{clean}@foreach(")

    assert len(HARMLESS) >= 50
    assert changes(before, taken(project)) == []


FORMS = """
from doteval import foreach
import functools

VALUES = (1, 1.5, "x", b"y", None, True, 2**70, frozenset({1}))
RULES = {**{"a": [1, -2]}, "b": {3}, "c": (4,)}


@functools.lru_cache(maxsize=None)
def cached(x, /, y=1, *rest, z=None, **more):
    return f"{x!r:>{y}} and {y=} {'nested'}" "joined" f"{z}"


async def stream(values):
    async with values as opened, opened.other:
        async for each in opened:
            yield await each
    return


@foreach("x", [1])
def eval_forms(x):
    global written
    try:
        written = [each if each else (y := 2) for each in VALUES if not each or x @ x]
        match RULES:
            case {"a": [first, *_], **rest} if first > 1:
                del rest["b"]
            case int() | None:
                raise ValueError from None
    except (KeyError, TypeError) as error:
        assert error, "none"
    else:
        while x is not None and x not in VALUES:
            x += ~x << 2 if x else lambda *a, k=1: a[1:2, ...]
            break
    finally:
        with open(x) as file:
            pass
    return cached(x, *VALUES, **RULES) == {**RULES}, {a: b for a, b in RULES.items()}, stream
"""


def test_all_versions_of_python_take_the_same(tmp_path):
    """Known digests: a resume under another interpreter is no other version."""
    (tmp_path / "eval_forms.py").write_text(FORMS)

    with imported(tmp_path / "eval_forms.py") as module:
        found = fingerprint(module.eval_forms, tmp_path)

    assert found == {
        "eval_forms.py::RULES": "d864b5730929023e",
        "eval_forms.py::VALUES": "477912b67dce3faf",
        "eval_forms.py::cached": "2946fe9608df7dfb",
        "eval_forms.py::eval_forms": "c3fd8aad64cf8284",
        "eval_forms.py::stream": "e47cc33924de2ca7",
    }
