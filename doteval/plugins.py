"""
One generic registry: what is built in, what a user registers, and what installed packages offer.

A package offers something through an entry point in the group of its kind, for example
`doteval.metrics`. It is loaded by name when somebody uses that name, and never before; names that
are built in never touch the package metadata. Groups are named after this package, so a copy
of it under another name has plugins of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from .errors import NotFound, PluginError, UsageError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

T = TypeVar("T")
S = TypeVar("S")


class Plugin(NamedTuple):
    """
    One entry of the listing of plugins.

    Attributes:
        name: what it is used by.
        kind: "metric", "dataset", …
        distribution: the installed package with its version, "built in", or "registered" for
            what a program registered itself.
        error: why it can not be used; None where it works.
    """

    name: str
    kind: str
    distribution: str
    error: str | None = None


class Registry(Generic[T]):
    """
    Things of one kind by name.

    Args:
        kind: what one of them is called in messages, such as "metric".
        group: last part of the entry points' group: "metrics" stands for `doteval.metrics`.
        own: the rooms of what is built in, by its name; a room is loaded when it is asked for.

    `T` is what the registered things are; of what a package offers it is only a promise.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str] = {}) -> None:
        self.kind = kind
        self.group = f"{__package__}.{group}"
        self._own = own
        self._registered: dict[str, T] = {}
        self._loaded: dict[str, T] = {}

    @overload
    def register(self, name: str, thing: S) -> S: ...

    @overload
    def register(self, name: str) -> Callable[[S], S]: ...

    def register(self, name: str, thing: Any = None) -> Any:
        """
        Make a thing known under a name, for this process.

        Without `thing` it is a decorator. The same definition may come again (a notebook cell that
        is run twice, a file that is imported under two names) and replaces the former.

        Raises:
            UsageError: the name is empty, or belongs to another definition.
        """
        if thing is None:
            return lambda decorated: self.register(name, decorated)
        if not isinstance(name, str) or not name.strip():
            raise UsageError(f"a {self.kind} needs a name, a text that is not empty, not {name!r}")
        former = self._known(name)
        if former is not None and former is not thing and not _same_definition(former, thing):
            raise UsageError(
                f"there is already a {self.kind} {name!r} ({_where(former)}); give the one in "
                f"{_where(thing)} another name, because results are found again by it"
            )
        self._registered[name] = thing
        return thing

    def get(self, name: str) -> T:
        """
        What the name stands for: registered here, else loaded from the package that offers it.

        Raises:
            NotFound: nobody offers it; the message has the known names.
            PluginError: it can not be loaded, or two packages offer it.
        """
        known = self._known(name)
        if known is not None:
            return known
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def names(self) -> list[str]:
        """Every known name, sorted; nothing is loaded for it."""
        offered = (point.name for point, _ in self._offers())
        return sorted({*self._own, *self._registered, *offered})

    def sources(self) -> list[Plugin]:
        """Every known name with its origin and whether it works; this loads all of them."""
        for name in self._own:
            self._known(name)
        listed, own = [], dict(self._registered)
        for point, distribution in self._offers():
            error = None
            try:
                thing = self._loaded_from(point, distribution)
                if point.name not in self._registered:
                    self.get(point.name)
                elif self._registered[point.name] is thing:
                    own.pop(point.name, None)  # its decorator registered it when it was loaded
                else:
                    error = f"the name is taken: {point.name!r} is registered already"
            except PluginError as problem:
                error = str(problem)
            listed.append(Plugin(point.name, self.kind, _label(distribution), error))
        for name, thing in own.items():
            origin = "built in" if is_ours(thing) else "registered"
            listed.append(Plugin(name, self.kind, origin))
        return sorted(listed, key=lambda plugin: (plugin.name, plugin.distribution))

    def _known(self, name: str) -> T | None:
        """What is registered under a name, or built in."""
        if name in self._own and name not in self._registered:
            room = import_module(f".{self._own[name]}", __package__)
            self._registered[name] = getattr(room, name)
        return self._registered.get(name)

    def _load(self, name: str) -> T:
        offers = [offer for offer in self._offers() if offer[0].name == name]
        if not offers:
            raise NotFound(self._unknown(name))
        if len({point.value for point, _ in offers}) > 1:
            rivals = " and ".join(_label(distribution) for _, distribution in offers)
            raise PluginError(f"the {self.kind} {name!r} is offered by {rivals}; uninstall one")
        return self._loaded_from(*offers[0])

    def _loaded_from(self, point: EntryPoint, distribution: Distribution) -> T:
        try:
            thing: T = point.load()
        except Exception as error:  # whatever foreign code does at import, it is named and told
            from .redaction import safe_error  # its patterns are for who has something to tell

            raise PluginError(
                f"the {self.kind} {point.name!r} of {_label(distribution)} can not be loaded from "
                f"{point.value!r}: {type(error).__name__}: {safe_error(error, 1_000)}"
            ) from error
        return thing

    def _unknown(self, name: str) -> str:
        known = self.names()
        return f"there is no {self.kind} {name!r}{hint(name, known)}; {_list_of(known)}"

    def _offers(self) -> Iterator[tuple[EntryPoint, Distribution]]:
        """
        The entry points of this group, the first of each distribution on the path.

        `importlib.metadata.entry_points()` would do, if one package with damaged metadata did not
        make it fail for all.
        """
        from importlib.metadata import distributions  # 10 ms, for those who use plugins

        seen: set[tuple[str, str, str]] = set()
        for distribution in distributions():
            for point in _points_of(distribution, self.group):
                offer = (_name_of(distribution), point.name, point.value)
                if offer not in seen:  # an editable install may be met twice
                    seen.add(offer)
                    yield point, distribution


def hint(name: str, known: Iterable[str]) -> str:
    """`, did you mean 'accuracy'?` where a known name is close, else nothing."""
    from difflib import get_close_matches  # only for those who mistype

    close = get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f", did you mean {close[0]!r}?" if close else ""


def _list_of(known: list[str]) -> str:
    return f"known: {', '.join(known)}" if known else "none is known"


def _points_of(distribution: Distribution, group: str) -> Iterator[EntryPoint]:
    """
    What one package offers in the group.

    A line that is no `name = value` is kept as a name without a value, which can be listed and
    not loaded: so a damaged line is told and harms no other.
    """
    from importlib.metadata import EntryPoint

    section = None
    for line in (distribution.read_text("entry_points.txt") or "").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == group and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip(), group)


def _name_of(distribution: Distribution) -> str:
    return _header(distribution, "Name") or "a package without a name"


def _header(distribution: Distribution, field: str) -> str:
    """A field of the metadata, "" where there is none; parsing all of it costs milliseconds."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    found = re.search(rf"^{field}: *(.*)$", text.partition("\n\n")[0], re.MULTILINE)
    return found[1].strip() if found else ""


def _label(distribution: Distribution) -> str:
    return f"{_name_of(distribution)} {_header(distribution, 'Version')}".strip()


def _definition(thing: Any) -> Any:
    """The function or class that a thing is or was made from."""
    return getattr(thing, "__wrapped__", thing)


def _same_definition(former: Any, thing: Any) -> bool:
    """Whether both are one definition, read twice: same name, and same module or same file."""
    old, new = _definition(former), _definition(thing)
    if getattr(old, "__qualname__", None) != getattr(new, "__qualname__", ""):
        return False
    if old.__module__ == new.__module__:
        return True
    file = _file_of(old)
    return file is not None and file == _file_of(new)


def _file_of(thing: Any) -> str | None:
    code = getattr(thing, "__code__", None)
    return None if code is None else code.co_filename


def _where(thing: Any) -> str:
    definition = _definition(thing)
    if not hasattr(definition, "__qualname__"):  # an instance
        definition = type(definition)
    return f"{definition.__module__}.{definition.__qualname__}"


def is_ours(thing: Any) -> bool:
    module: str = getattr(_definition(thing), "__module__", "")
    return module == __package__ or module.startswith(f"{__package__}.")
