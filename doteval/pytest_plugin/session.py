"""
What one session of pytest has for its evaluations, and what it takes for one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pytest

from ..errors import DotevalError
from .options import Options

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


SETTING = pytest.StashKey[Setting]()


def is_evaluation(obj: object) -> bool:
    """Whether it is an evaluation of this very package; a copy of it has a plugin of its own."""
    room = sys.modules.get(f"{__package__.rpartition('.')[0]}.evaluation")
    return room is not None and isinstance(obj, (room.Evaluation, room.BoundEvaluation))


def evaluation_of(item: pytest.Item) -> Any:
    """The evaluation that an item runs; None for any other item."""
    obj = getattr(item, "obj", None)
    return obj if is_evaluation(obj) else None
