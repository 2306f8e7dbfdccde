"""
Evaluations as pytest items.

    collected   core pytest makes an ordinary Function of each evaluation, because its
                `__signature__` leaves the dataset's columns out; fixtures, marks, parametrization,
                selection and reporting are then pytest's own
    called      `pytest_pyfunc_call` runs the evaluation over its dataset and judges how that went
    told        what came out travels with the item's report, so that it also reaches the
                controller of pytest-xdist, and is shown once, at the end

A session without evaluations pays nothing: of this wing it loads what collects and reads options,
the hooks around an item come with the first evaluation, neither asyncio nor a database is loaded
before one runs, and evaluations are recognised only where somebody has imported them.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ..errors import UsageError
from .options import add_options, read_options
from .session import SETTING, Setting, evaluation_of, is_evaluation

# ----------------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """
    Read the options, so that a wrong one ends the session before anything is paid for.

    Raises:
        pytest.UsageError: one of them can not be understood.
    """
    try:
        options = read_options(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    config.addinivalue_line("markers", "doteval: evaluations, which every one of them carries")
    handed = getattr(config, "workerinput", {}).get("doteval_experiment")
    if handed is not None:  # by the controller of pytest-xdist
        options = options._replace(experiment=handed)
    setting = config.stash[SETTING] = Setting(config, options)
    if options.said:
        assert setting.place  # a wrong address is told at once


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The controller of pytest-xdist names the experiment for all of its workers."""
    node.workerinput["doteval_experiment"] = node.config.stash[SETTING].experiment


# -------------------------------------------------------------------------- collection


@pytest.hookimpl(hookwrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Generator[None, Any, None]:
    """
    Collect `eval_*.py` too, if it speaks of evaluations and pytest would not collect it anyway.

    An ML repository may have many an `eval_llama.py` that is a script: importing it could start
    a training run. So a file is read before it is imported.
    """
    outcome = yield
    name = file_path.name
    if not (name.startswith("eval_") and name.endswith(".py")):
        return
    collected = outcome.get_result()
    if any(_takes_functions(each) for each in collected):
        return  # named on the command line, or matched by the user's own python_files
    source = file_path.read_bytes()
    if b"foreach" not in source and b"ForEach" not in source:
        return
    _rewrite_asserts(file_path)
    hook = parent.session.gethookproxy(file_path)
    module = hook.pytest_pycollect_makemodule(module_path=file_path, parent=parent)
    outcome.force_result([*collected, module])


def _takes_functions(collector: pytest.Collector) -> bool:
    """Whether it is a module, and none of --doctest-modules, which takes nothing but examples."""
    doctest = collector.config.pluginmanager.get_plugin("doctest")
    examples = () if doctest is None else doctest.DoctestModule
    return isinstance(collector, pytest.Module) and not isinstance(collector, examples)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    """
    A file of evaluations that was named, and holds none to run, is an error.

    Beside other tests pytest would pass without it. (`--lf` leaves files out on purpose.)
    """
    outcome = yield
    if not _takes_functions(collector):
        return
    path, report = collector.path, outcome.get_result()
    if not (path.name.startswith("eval_") and collector.session.isinitpath(path)):
        return
    if report.passed and not report.result and not collector.config.getoption("lf", False):
        from ..files import why_none

        report.outcome = "failed"
        report.longrepr = f"{path.name} was named, and nothing of it would run: " + why_none(
            collector.obj  # type: ignore[attr-defined]
        )


def _rewrite_asserts(file: Path) -> None:
    """Failing asserts of its plain tests explain themselves, as in files that pytest collects."""
    parts, folder = [file.stem], file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    name = ".".join(parts)
    if name not in sys.modules:
        pytest.register_assert_rewrite(name)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> list[pytest.Item] | None:
    """
    Let core pytest collect an evaluation, whatever its name, once in a module.

    Returns:
        None: core goes on as it would (and now takes an evaluation for a test function); or no
        items, where this name of the evaluation is not the one to collect.
    """
    evaluation = obj.__func__ if isinstance(obj, staticmethod) else obj
    if not is_evaluation(evaluation):
        if isinstance(obj, type) and _is_overlooked(collector, name, obj):
            collector.config.stash[SETTING].classes.append((collector, obj))
        return None
    if getattr(evaluation, "__test__", True) is False or not _is_its_name(collector, name, obj):
        return []
    # Set here and not where the evaluation is made: without this plugin, pytest would call it.
    obj.__test__ = True  # type: ignore[attr-defined]
    marks: list[Any] = evaluation.pytestmark  # type: ignore[attr-defined]
    if pytest.mark.doteval not in marks:  # so that `-m "not doteval"` costs nothing
        marks.append(pytest.mark.doteval)
    return None


def _is_overlooked(collector: pytest.Module | pytest.Class, name: str, owner: type) -> bool:
    """Whether pytest passes over a class of evaluations that does not say `__test__ = False`."""
    if not any(map(is_evaluation, vars(owner).values())):
        return False
    module: Any = collector.getparent(pytest.Module)
    if owner.__module__ != module.obj.__name__:  # it is another file's
        return False
    if getattr(owner, "__test__", True) is False:
        return False
    return _is_test_case(owner) or not collector.istestclass(owner, name)


def _is_test_case(owner: type) -> bool:
    unittest = sys.modules.get("unittest")
    return unittest is not None and issubclass(owner, unittest.TestCase)


def _is_its_name(collector: pytest.Module | pytest.Class, name: str, obj: Any) -> bool:
    """
    Whether an evaluation is collected under this name.

    Evaluations made in a loop are bound to the loop's name and to their own; others are imported
    from the module that defines them and collected there.
    """
    if isinstance(collector, pytest.Module):
        home = sys.modules.get(obj.__module__, collector.obj)
        if home is not collector.obj and any(each is obj for each in vars(home).values()):
            return False
    names = [each for each, value in vars(collector.obj).items() if value is obj]
    own: str = obj.__name__
    return name == (own if own in names or not names else names[0])


def pytest_collection_finish(session: pytest.Session) -> None:
    """
    Find the store before the first row is paid for, see to it that evaluations are run as what they
    are, and tell of those that nothing collects.

    Raises:
        pytest.UsageError: the store's address means nothing; or warnings are errors.
    """
    setting = session.config.stash[SETTING]
    if any(evaluation_of(item) is not None for item in session.items):
        assert setting.place
        if not session.config.getoption("collectonly"):
            from . import hooks

            session.config.pluginmanager.register(hooks, hooks.__name__)
    for collector, owner in setting.classes:
        if _is_test_case(owner):
            why = "pytest takes nothing but test methods of a unittest.TestCase: use a plain class"
        elif owner.__subclasses__():  # they inherit the evaluations, and are collected
            continue
        else:
            why = f"its name does not match python_classes: call it Test{owner.__name__}"
        sentence = f"evaluations of the class {owner.__name__} are not collected; {why}"
        try:
            collector.warn(pytest.PytestCollectionWarning(sentence))
        except pytest.PytestCollectionWarning as error:
            raise pytest.UsageError(sentence) from error


@pytest.fixture(scope="session")
def eval_params(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """What `--eval-param NAME=VALUE` gave, by name."""
    return dict(pytestconfig.stash[SETTING].options.asked.get("params", {}))


@pytest.fixture(scope="session")
def eval_config(pytestconfig: pytest.Config) -> dict[str, Any]:
    """
    A dict for what decides over the answers, such as the model's name: fixtures fill it with plain
    values. What a fixture has put there is kept with the runs of the evaluations that use it, and
    goes when the fixture is torn down.
    """
    return pytestconfig.stash[SETTING].config_of_fixtures


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the loop, after the last fixture of the session."""
    if SETTING in config.stash:
        config.stash[SETTING].close()


# ----------------------------------------------------------------------------- telling


@pytest.hookimpl(tryfirst=True)
def pytest_report_from_serializable(config: pytest.Config, data: dict[str, Any]) -> None:
    """The controller of pytest-xdist hears from its workers what evaluations have told."""
    if "doteval" in data:
        config.stash[SETTING].told[data["nodeid"]] = data["doteval"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show what came out of the evaluations; nothing under -qq."""
    setting = config.stash[SETTING]
    if not setting.told or config.getoption("verbose") < -1:
        return
    from .terminal import told_lines

    terminalreporter.write_sep("=", "evaluations")
    arguments = [str(each) for each in config.invocation_params.args]
    setting.options = setting.options._replace(experiment=setting.experiment)
    for line in told_lines(
        setting.told, setting.screen.terminal(), setting.place, setting.options, arguments
    ):
        terminalreporter.write_line(line)
