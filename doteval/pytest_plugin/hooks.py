"""
The hooks around the items of a session that has evaluations.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from ..errors import DatasetError, DotevalError
from .item import Call, begun
from .session import SETTING, evaluation_of

_ENTRY = pytest.StashKey[str]()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Remember which evaluation is running: its async fixtures are ours to set up."""
    setting = item.config.stash[SETTING]
    setting.item = None if evaluation_of(item) is None else item
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
    setting = request.config.stash[SETTING]
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
    evaluation = evaluation_of(pyfuncitem)
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
    setting = item.config.stash[SETTING]
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


def pytest_enter_pdb(config: pytest.Config) -> None:
    """A debugger and a line that is drawn again and again can not share a terminal."""
    if "screen" in vars(setting := config.stash[SETTING]):
        setting.screen.fall_silent()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, None]:
    """Give the reports of an evaluation what it has told, for they travel further than we do."""
    outcome = yield
    setting = item.config.stash[SETTING]
    if setting.item is not item:
        return
    report = outcome.get_result()
    if call.when == "call" and _ENTRY in item.stash:
        report.doteval = item.stash[_ENTRY]
        del item.stash[_ENTRY]
    elif call.when == "setup" and call.excinfo is None:  # until its call is over, it is unfinished
        report.doteval = begun(item, setting.place, setting.experiment)
