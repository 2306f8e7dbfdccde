"""
Evaluations as pytest items.

    collected   core pytest makes an ordinary Function of each evaluation, because its
                `__signature__` leaves the dataset's columns out; fixtures, marks, parametrization,
                selection and reporting are then pytest's own
    called      `pytest_pyfunc_call` runs the evaluation over its dataset and judges how that went
    told        what came out travels with the item's report, so that it also reaches the
                controller of pytest-xdist, and is shown once, at the end

A session without evaluations pays nothing: of this wing it loads this room and the options, neither
asyncio nor a database is loaded before an evaluation runs, and evaluations are recognised only
where somebody has imported them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Generator, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import DatasetError, DotevalError, UsageError
from .options import Options, add_options, read_options

if TYPE_CHECKING:
    from ..storage.place import Place
    from .loop import SessionLoop
    from .terminal import Screen


class Setting:
    """
    What one session has for its evaluations.

    Attributes:
        options: what was asked for.
        loop: that evaluations run on; it and the screen are made when an evaluation needs them.
        screen: where progress is shown.
        told: what evaluations have told, by their node ids; it comes with the reports of the
            items, as those also come from the workers of pytest-xdist.
        item: the evaluation that is running; None for any other item.
        config_of_fixtures: what the fixtures that are set up have put into `eval_config`.
        filled_by: the names of these fixtures, by those of the entries.
        begun: names of the evaluations that --fresh has begun anew; a repeated item resumes.
        classes: those with evaluations that pytest does not collect, and where they stand.
        place: of the store, once it was looked for.
    """

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.told: dict[str, str] = {}
        self.item: pytest.Item | None = None
        self.begun: set[str] = set()
        self.config_of_fixtures: dict[str, Any] = {}
        self.filled_by: dict[str, str | None] = {}
        self.classes: list[tuple[pytest.Collector, type]] = []
        self._place: Place | None = None

    @cached_property
    def loop(self) -> SessionLoop:
        from .loop import SessionLoop

        return SessionLoop()

    @cached_property
    def screen(self) -> Screen:
        from .terminal import Screen

        return Screen(self.config)

    def filling(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """While a fixture is set up: what it puts into `eval_config` goes at its teardown."""
        config = self.config_of_fixtures
        before = dict(config)
        yield
        for name, value in config.items():
            if name not in before or before[name] is not value:
                self.filled_by[name] = request.fixturename
                request.addfinalizer(partial(config.pop, name, None))

    def config_for(self, item: pytest.Function) -> dict[str, Any]:
        """What the fixtures that an item uses have put into `eval_config`."""
        return {
            name: value
            for name, value in self.config_of_fixtures.items()
            if self.filled_by.get(name) in item.fixturenames
        }

    def close(self) -> None:
        """Close the event loop, if there was need of one."""
        if "loop" in vars(self):
            self.loop.close()

    @property
    def experiment(self) -> str:
        """The experiment of this session; a name is made when the first evaluation needs it."""
        if not self.options.experiment:
            from ..record import new_name

            self.options = self.options._replace(experiment=new_name())
        return self.options.experiment

    @property
    def place(self) -> Place:
        """
        Where results are kept; looked for once, before an evaluation changes the directory.

        Raises:
            pytest.UsageError: the address means nothing.
        """
        if self._place is None:
            from ..storage.place import locate

            try:
                self._place = locate(self.options.storage, self.config.rootpath)
            except DotevalError as error:
                raise pytest.UsageError(str(error)) from error
        return self._place


_SETTING = pytest.StashKey[Setting]()
_ENTRY = pytest.StashKey[str]()


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
    setting = config.stash[_SETTING] = Setting(config, options)
    if options.said:
        assert setting.place  # a wrong address is told at once


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The controller of pytest-xdist names the experiment for all of its workers."""
    node.workerinput["doteval_experiment"] = node.config.stash[_SETTING].experiment


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
    if not _is_evaluation(evaluation):
        if isinstance(obj, type) and _is_overlooked(collector, name, obj):
            collector.config.stash[_SETTING].classes.append((collector, obj))
        return None
    if getattr(evaluation, "__test__", True) is False or not _is_its_name(collector, name, obj):
        return []
    # Set here and not where the evaluation is made: without this plugin, pytest would call it.
    obj.__test__ = True  # type: ignore[attr-defined]
    marks: list[Any] = evaluation.pytestmark  # type: ignore[attr-defined]
    if pytest.mark.doteval not in marks:  # so that `-m "not doteval"` costs nothing
        marks.append(pytest.mark.doteval)
    return None


def _is_evaluation(obj: object) -> bool:
    """Whether it is an evaluation of this very package; a copy of it has a plugin of its own."""
    room = sys.modules.get(f"{__package__.rpartition('.')[0]}.evaluation")
    return room is not None and isinstance(obj, (room.Evaluation, room.BoundEvaluation))


def _is_overlooked(collector: pytest.Module | pytest.Class, name: str, owner: type) -> bool:
    """Whether pytest passes over a class of evaluations that does not say `__test__ = False`."""
    if not any(map(_is_evaluation, vars(owner).values())):
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


def _evaluation_of(item: pytest.Item) -> Any:
    """The evaluation that an item runs; None for any other item."""
    obj = getattr(item, "obj", None)
    return obj if _is_evaluation(obj) else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """
    Find the store before the first row is paid for, and tell of evaluations that nothing collects.

    Raises:
        pytest.UsageError: the store's address means nothing; or warnings are errors.
    """
    setting = session.config.stash[_SETTING]
    if any(_evaluation_of(item) is not None for item in session.items):
        assert setting.place
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


# ----------------------------------------------------------------------------- running


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Remember which evaluation is running: its async fixtures are ours to set up."""
    setting = item.config.stash[_SETTING]
    setting.item = None if _evaluation_of(item) is None else item
    yield
    setting.item = None


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Iterator[None]:
    """
    Set up an async fixture on the loop that evaluations run on.

    Outermost, so that plugins for async tests see a plain function and leave it alone. Fixtures
    of other items stay with those plugins.
    """
    function: Any = fixturedef.func
    setting = request.config.stash[_SETTING]
    if setting.item is None or not (
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    ):
        yield from setting.filling(request)
        return
    bound, owner = function, getattr(function, "__self__", None)
    if owner is not None and isinstance(request.instance, type(owner)):
        bound = function.__func__.__get__(request.instance)  # the very instance that runs
    definition: Any = fixturedef
    definition.func = setting.loop.stand_in(
        bound, request.fixturename or fixturedef.argname, request.addfinalizer
    )
    yield from setting.filling(request)
    definition.func = function


class _Recognised(type):
    def __instancecheck__(cls, error: object) -> bool:
        return isinstance(error, pytest.fail.Exception) and str(error).endswith(
            " from pytest-timeout."
        )


class _Alarm(BaseException, metaclass=_Recognised):
    """
    What pytest-timeout raises, told from `pytest.fail()` in a row by its message.

    Its alarm goes off in whatever the main thread is doing. Inside a plain function it would be
    taken for the row's own failure, and the next rows, without an alarm, could take for ever.
    """


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an evaluation over its dataset, and judge how that went."""
    evaluation = _evaluation_of(pyfuncitem)
    if evaluation is None:
        return None
    said, cause = _run(pyfuncitem, evaluation)
    if said is None:
        return True
    if pyfuncitem.config.getoption("usepdb", False) and isinstance(cause, Exception):
        raise cause  # the debugger stops where the row failed
    del cause  # Python keeps the last traceback, and so would the fixtures stay in it
    pytest.fail(said, pytrace=False)


def _run(item: pytest.Function, evaluation: Any) -> tuple[str | None, BaseException | None]:
    """Run it; why the item fails, and the exception behind that, where there is one."""
    from .item import Call

    setting = item.config.stash[_SETTING]
    call = Call(
        item,
        evaluation,
        options=setting.options,
        experiment=setting.experiment,
        place=setting.place,
        again=item.nodeid in setting.begun,
        screen=setting.screen,
        fatal=(KeyboardInterrupt, pytest.exit.Exception, _Alarm),
        config=setting.config_for(item),
        fixtures=_functions_of_fixtures(item),
    )
    setting.begun.add(item.nodeid)
    try:
        call.run(setting.loop)
        return call.verdict(), call.execution.first_error
    except DotevalError as error:
        return call.refusal(error), error.__cause__ if isinstance(error, DatasetError) else None
    finally:
        item.stash[_ENTRY] = entry = call.entry()
        setting.told[item.nodeid] = entry  # an interrupted item has no report


def _functions_of_fixtures(item: pytest.Function) -> list[Any]:
    """Of the fixtures that an item uses, those that it overrides not included."""
    known = item._fixtureinfo.name2fixturedefs
    return [known[name][-1].func for name in item.fixturenames if known.get(name)]


@pytest.fixture(scope="session")
def eval_params(pytestconfig: pytest.Config) -> Mapping[str, Any]:
    """What `--eval-param NAME=VALUE` gave, by name."""
    return dict(pytestconfig.stash[_SETTING].options.asked.get("params", {}))


@pytest.fixture(scope="session")
def eval_config(pytestconfig: pytest.Config) -> dict[str, Any]:
    """
    A dict for what decides over the answers, such as the model's name: fixtures fill it with plain
    values. What a fixture has put there is kept with the runs of the evaluations that use it, and
    goes when the fixture is torn down.
    """
    return pytestconfig.stash[_SETTING].config_of_fixtures


def pytest_enter_pdb(config: pytest.Config) -> None:
    """A debugger and a line that is drawn again and again can not share a terminal."""
    if "screen" in vars(setting := config.stash[_SETTING]):
        setting.screen.fall_silent()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the loop, after the last fixture of the session."""
    if _SETTING in config.stash:
        config.stash[_SETTING].close()


# ----------------------------------------------------------------------------- telling


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, None]:
    """Give the reports of an evaluation what it has told, for they travel further than we do."""
    outcome = yield
    setting = item.config.stash[_SETTING]
    if setting.item is not item:
        return
    report = outcome.get_result()
    if call.when == "call" and _ENTRY in item.stash:
        report.doteval = item.stash[_ENTRY]
        del item.stash[_ENTRY]
    elif call.when == "setup" and call.excinfo is None:  # until its call is over, it is unfinished
        from .item import begun

        report.doteval = begun(item, setting.place, setting.experiment)


@pytest.hookimpl(tryfirst=True)
def pytest_report_from_serializable(config: pytest.Config, data: dict[str, Any]) -> None:
    """The controller of pytest-xdist hears from its workers what evaluations have told."""
    if "doteval" in data:
        config.stash[_SETTING].told[data["nodeid"]] = data["doteval"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show what came out of the evaluations; nothing under -qq."""
    setting = config.stash[_SETTING]
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
