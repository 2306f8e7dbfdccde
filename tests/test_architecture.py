"""The house stands as docs/explanation/design.md describes it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import doteval
from doteval.storage import open_store
from tests.stocked import right, stock

PACKAGE = Path(doteval.__file__).parent

# Top to bottom: an import may only point at a room that stands above. A new module gets its
# place here, and its reason in docs/explanation/design.md.
ORDER = """
errors text redaction flags quantities record usage keys plugins

concurrency.evidence     # what attempts show; this room and the next eight are arithmetic alone
concurrency.gates        # fixed ones, and what each gate is asked
concurrency.startup      # the beginning of a limit
concurrency.probing      # resting at a level, and trying others
concurrency.limit        # how many may be in flight
concurrency.refusals     # congestion, or chance
concurrency.learned_rate # how many may start in a second
concurrency.outage       # nothing succeeds
concurrency.adaptive     # all of them behind one gate
concurrency.reading      # exceptions into outcomes
concurrency.breaker      # when nothing can succeed
concurrency.retry        # the policy
concurrency.pace         # beside retry: the loop asks both
concurrency.notes        # what an attempt has said so far
concurrency.executors    # above the loop, which hands it the plain functions
concurrency.ahead        # an asynchronous source, read ahead
concurrency.row          # one object from the dataset to the store
concurrency.schedule     # what starts when: decides
concurrency.attempts     # each in its task or thread, until its time is up
concurrency.loop         # and does it
concurrency.strategies   # each makes a gate for the loop
concurrency              # the face

statistics.distributions # quantiles and tails
statistics.intervals     # one sample
statistics.resampling    # any statistic
statistics.shares        # means of what has a known range
statistics.clusters      # rows that belong together
statistics.tests         # two samples of the same rows
statistics.sequential    # valid at every look
statistics.power         # how much would be enough
statistics.labels        # labels against the truth, forecasts against what happened
statistics.correction    # a judge, by a few labels of people
statistics.noise         # the spread between and within rows
statistics               # the face
estimates                # a metric, and a figure with its interval
means                    # estimates of means and shares
agreement                # metrics of what was said against what was expected
metrics                  # by their names

evaluators.answers       # what an answer says, out of its dress
evaluators.making        # the decorator; what a score keeps of its arguments
evaluators.texts
evaluators.labels
evaluators.numbers
evaluators.choices
evaluators.structure     # JSON
evaluators.calls         # of functions
evaluators.judges
evaluators               # the face, with those of plugins

datafiles                # rows in files
datasets                 # anything to rows

storage.columns          # what may stand in a column of a file that may come from anywhere
storage.diagnosis        # what an error of SQLite means
storage.schema           # opens a database
storage.place            # addresses; knows no SQL
storage.locks
storage.encoding         # values and documents as JSON
storage.entries          # records to rows of tables and back
storage.writer           # the thread; knows entries, no tables
storage.database         # one connection: transactions, pages, errors
storage.tally            # aggregates, from the tables
storage.archive          # an experiment as facts, between any two stores
storage.claims           # who may run what, on top of the locks
storage.history          # what earlier runs took
storage.deletion         # a page at a time
storage.parts            # what runs say together: shards, and whether they are of one evaluation
storage.rivals           # which of several records of one row counts
storage.destination      # an evaluation in a store, and what comes to it
storage.transfer         # facts into a store: what import and merge are
storage.contents         # the experiments of a store: read, renamed, deleted, handed on
storage.sqlite           # needs all of the above
storage.lines            # facts as JSON, and back
storage.backend          # what a plugin writes, and the store that is made of it
storage.pruning          # deletes what no longer counts
storage.merging          # several stores into one
storage.stores           # which store an address means
storage.salvage          # what can be read of a damaged file, as facts for a new one
storage.doctor           # what is the matter with a file, and making it anew
storage.exchange         # facts to lines and back
storage                  # the face

importers.fields         # what stands in files of other tools
importers.log            # what a log tells, as lines of an export
importers.dotevals
importers.inspect_samples
importers.inspect_ai
importers.lm_eval
importers.promptfoo
importers.pydantic_evals
importers.deepeval
importers.openai_evals
importers                # the face

cassette                 # calls as they are kept: requests, responses
replay                   # calls that are kept, and served again
budget                   # what a run may use up
declarations             # columns, tags and config, read
outcomes                 # what came of a row
evaluation
files                    # finds evaluations in files, for those who run them without pytest

views.json               # plain data as JSON; this room and the next four stand below no data
views.terminal           # widths, colours, lines that flow
views.figures            # values, intervals, changes, as people read them
views.media              # values as text, bytes as what they are
views.table              # columns and rows, for a terminal, Markdown, CSV and a notebook

reporting.progress       # the state of a run, in one line
reporting.display        # and shown while it changes
reporting.figures        # figures that a run has kept
reporting.people         # what people said of some rows
reporting.values         # what is stored, row by row
reporting.scores         # figures of the scores
reporting.summary        # records to numbers
reporting.pairs          # rows that two experiments share
reporting.difference     # what differs in them
reporting.views          # numbers to lines
reporting.experiments    # as they are listed
reporting.overview       # several evaluations as one table, a matrix, a trend
reporting.details        # records to lines, in the words of the views
reporting.slices         # records to numbers by the values of columns
reporting.noise          # what repeats tell
reporting.compare        # two experiments: verdicts on all that differs
reporting.league         # three and more: each against each, and ranks
reporting.comparison     # a comparison to lines, and to Markdown
reporting.grammar        # a text to a gate, or a caret under the mistake
reporting.evidence       # what gates are judged by
reporting.gate           # gates and what is stored to verdicts
reporting.judgement      # gates asked of an experiment, as lines and tables
reporting.documents      # an experiment for other programs
reporting                # the face
reader                   # what is stored, read from Python

views.bins               # records to bins, for pictures
views.excerpts           # records to plain data of a bounded size
views.page               # what is stored, as plain data in page.html
views                    # the face

running.environment      # names, the time, the commit
running.syntax           # a file: what is defined, what is named, a form to digest
running.version          # what made a record: the code that an evaluation reaches
running.driver           # a coroutine to its end, wherever; signals
running.copies           # each attempt's own copy of a row
running.options          # what is asked of a run, whichever the door
running.known            # what is stored of the rows that come
running.answers          # of another experiment, as a dataset
running.rows             # the dataset as it comes, for run and plan alike
running.batches          # one call for many of them
running.channel          # the one way to who listens
running.troubles         # what failures say, and what ends a run that can not succeed
running.sink             # records to the writer, and what is durable to who listens
running.ledger           # a run in its store: what it begins with, what counts, how it ended
running.submissions      # batches of a provider: submitted, and collected later
running.until            # rows by their keys, and whether more are needed
running.monitor          # what is seen of it while it goes on
running.execution        # one run: what ends it, and what is said about it
running.plan             # what it would do
running                  # the face
runner                   # run and run_async

pytest_plugin.options    # what pytest's command line asks for
pytest_plugin.loop       # the event loop of evaluations and their async fixtures
pytest_plugin.terminal   # progress on pytest's terminal, and the section at the end
pytest_plugin.session    # what one session has for its evaluations
pytest_plugin.item       # one evaluation in its item: run, judged, told
pytest_plugin.hooks      # around items, where a session has evaluations
pytest_plugin            # the other hooks; the wing is the only one that imports pytest

testing                  # the checks for authors of stores

__init__                 # the lazy face

cli.output               # a document to a file, whole or not at all
cli.call                 # what a command is, one use of it, and its answer
cli.parser               # what was typed
cli.watch                # drawing again and again
cli.list                 # from here on a room a command, named as it is typed
cli.show
cli.compare
cli.gate
cli.report
cli.export
cli.import
cli.round                # the evaluations of a command, one after the other
cli.plan                 # of run: what it would do, shown
cli.run
cli.rescore
cli.merge
cli.delete
cli.rename
cli.prune
cli.datasets
cli.plugins
cli.doctor
cli.program              # main
cli                      # the face

__main__
"""
ROOMS = [room for line in ORDER.splitlines() for room in line.partition("#")[0].split()]

# What a module may import beside the standard library: the plugin's wing is loaded by pytest, the
# others do it inside the one function whose user already has the package.
OPTIONAL = {
    **{room: {"pytest"} for room in ROOMS if room.partition(".")[0] == "pytest_plugin"},
    "evaluators.structure": {"jsonschema"},
}

# Modules that cost milliseconds to load, or tens of them.
HEAVY = {"asyncio", "sqlite3", "argparse", "inspect", "statistics", "importlib.metadata"}


def modules() -> dict[str, Path]:
    """Every module by its name within the package; a wing's face has the wing's name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> Iterator[tuple[int, str, list[str]]]:
    """Each import of a module, wherever it stands in it: (level, module, names)."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, alias.name, []
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", [alias.name for alias in node.names]


def rooms_imported(name: str) -> set[str]:
    """The modules of the package that a module imports."""
    is_package = MODULES[name].name == "__init__.py"
    here = [] if name == "__init__" else name.split(".")
    package = here if is_package else here[:-1]
    found = set()
    for level, module, names in imports(name):
        if level == 0:
            continue
        base = package[: len(package) - (level - 1)] + (module.split(".") if module else [])
        for imported in names:
            inside = ".".join([*base, imported])
            found.add(inside if inside in MODULES else ".".join(base) or "__init__")
    return found


def test_every_module_has_its_place_in_the_order() -> None:
    """The order names each module of the package, and nothing that is gone."""
    assert set(MODULES) == set(ROOMS)


@pytest.mark.parametrize("name", MODULES)
def test_a_room_imports_only_rooms_above_it(name: str) -> None:
    """No import points downwards, not even one inside a function; so there are no circles."""
    above = set(ROOMS[: ROOMS.index(name)])

    assert rooms_imported(name) <= above


@pytest.mark.parametrize("name", MODULES)
def test_imports_of_the_package_itself_are_relative(name: str) -> None:
    """A copy of the package under another name never imports the original."""
    absolute = {module.partition(".")[0] for level, module, _ in imports(name) if level == 0}

    assert "doteval" not in absolute


@pytest.mark.parametrize("name", MODULES)
def test_nothing_but_the_standard_library_is_imported(name: str) -> None:
    """Run-time code needs no other package; only the plugin's wing imports pytest."""
    absolute = {module.partition(".")[0] for level, module, _ in imports(name) if level == 0}
    allowed = set(sys.stdlib_module_names) | OPTIONAL.get(name, set())

    assert absolute <= allowed


@pytest.mark.parametrize("name", [room for room in OPTIONAL if "pytest" not in OPTIONAL[room]])
def test_what_is_optional_is_imported_inside_functions(name: str) -> None:
    """Only the plugin's wing, which pytest loads, imports another package at its top."""
    body = ast.parse(MODULES[name].read_text(encoding="utf-8")).body
    top = set()
    for node in body:
        if isinstance(node, ast.Import):
            top |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            top.add((node.module or "").partition(".")[0])

    assert not top & OPTIONAL[name]


@pytest.mark.parametrize("wing", ["concurrency", "storage", "importers", "cli"])
def test_a_wings_init_is_a_face_and_nothing_else(wing: str) -> None:
    """It has a docstring, imports and `__all__`."""
    tree = ast.parse(MODULES[wing].read_text(encoding="utf-8"))
    others = [
        node
        for node in tree.body[1:]
        if not isinstance(node, (ast.ImportFrom, ast.Assign, ast.AnnAssign))
    ]

    assert isinstance(tree.body[0], ast.Expr)
    assert not others


def test_nothing_prints_but_the_doors() -> None:
    """`print` belongs to the command line."""
    callers = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    }

    assert not callers


# ----------------------------------------------------------------- what is loaded when


def loaded(code: str, *, cwd: Path) -> set[str]:
    """The modules that a new interpreter holds at the end of a piece of code."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("COVERAGE_")  # measuring loads sqlite3 itself
    }
    code = f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_doteval_loads_nothing_of_it(tmp_path: Path) -> None:
    """The face is lazy: each public name loads its room when it is first asked for."""
    before = loaded("import __future__, importlib, typing", cwd=tmp_path)
    after = loaded("import __future__, importlib, typing, doteval", cwd=tmp_path)

    assert after - before == {"doteval"}
    assert not HEAVY & after


def test_writing_an_evaluation_loads_nothing_of_a_run(tmp_path: Path) -> None:
    """Of the evaluators their own room, of a strategy its parameters: the rest is for a run."""
    held = loaded(
        "from doteval import ForEach, Result\n"
        "from doteval.concurrency import Adaptive\n"
        "from doteval.evaluators import exact_match\n"
        "@ForEach(concurrency=Adaptive())('text', ['a'])\n"
        "async def eval_a(text): return Result(exact_match(text, 'a'))\n",
        cwd=tmp_path,
    )
    rooms = {name.partition(".")[2] for name in held if name.startswith("doteval.")}

    assert {room for room in rooms if room.startswith("evaluators.")} == {
        "evaluators.answers", "evaluators.making", "evaluators.texts"
    }  # fmt: skip
    assert not rooms & {"concurrency.adaptive", "concurrency.loop", "metrics", "storage", "running"}


def test_every_public_name_is_there(tmp_path: Path) -> None:
    """`__all__`, `dir()` and what can be imported are the same names."""
    for name in doteval.__all__:
        assert getattr(doteval, name) is not None
        assert name in dir(doteval)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        doteval.nothing  # noqa: B018


PLAIN_SESSION = """
import os
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # other plugins may load whatever they like
import pytest
assert pytest.main(["-q", "-p", "no:cacheprovider"{more}]) == 0
"""


def test_a_session_without_evaluations_loads_no_loop_and_no_database(tmp_path: Path) -> None:
    """With nothing to evaluate, the plugin costs next to nothing: its hooks and its options."""
    tmp_path.joinpath("test_plain.py").write_text("def test_plain():\n    pass\n")
    tmp_path.joinpath("pytest.ini").write_text("[pytest]\n")

    idle = loaded(PLAIN_SESSION.format(more=', "-p", "doteval.pytest_plugin"'), cwd=tmp_path)

    assert {name for name in idle if name.partition(".")[0] == "doteval"} == {
        "doteval",
        "doteval.errors",
        "doteval.flags",
        "doteval.pytest_plugin",
        "doteval.pytest_plugin.options",
        "doteval.pytest_plugin.session",
    }
    assert not {"asyncio", "sqlite3"} & idle


@pytest.mark.parametrize(
    "command",
    ["list", "show a", "gate a errors==0", "compare a b", "delete a --yes"],
)
def test_who_looks_at_a_store_loads_no_loop(command: str, tmp_path: Path) -> None:
    """Commands that run nothing load neither asyncio nor ssl, nor another command."""
    store = open_store(tmp_path / "x.db")
    for experiment in ("a", "b"):
        stock(store, experiment, [right(0)])
    store.close()
    words = [*command.split(), "--storage", "x.db"]

    held = loaded(f"from doteval.cli import main\nassert main({words}) in (0, 3)", cwd=tmp_path)

    assert f"doteval.cli.{words[0]}" in held
    assert not {"asyncio", "ssl", "doteval.cli.run", "doteval.running", "importlib.metadata"} & held
