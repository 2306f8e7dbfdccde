"""
What pytest's command line and configuration file ask of evaluations.

No part of the store is loaded for this: most sessions have options and no evaluations. Named
tuples, because every session pays for making these classes: 0.1 ms each, a dataclass takes 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import UsageError

if TYPE_CHECKING:
    from ..budget import Budget
    from ..reporting.grammar import Gate


class Allowance(NamedTuple):
    """
    How many rows of an evaluation may fail before its item does.

    Attributes:
        rows: at most so many; None where a share is given.
        share: at most so large a part of the rows, 0 to 1.
    """

    rows: int | None = 0
    share: float = 0.0

    def covers(self, failed: int, rows: int) -> bool:
        """Whether so many failures of so many rows are allowed."""
        return failed <= (self.share * rows if self.rows is None else self.rows)


class Options(NamedTuple):
    """
    What is asked of the evaluations of a session.

    Attributes:
        experiment: name to store results under; "" for one that is made when it is needed.
        named: whether somebody chose that name.
        samples: only the first so many rows of each dataset; None: all.
        storage: address of the store; None: the default.
        said: whether the address stands on the command line.
        fresh: whether stored results are superseded.
        allowance: of failing rows.
        gates: that an evaluation must fulfil.
        shard: (i, n): only part i of n of the rows, from 0; None: all.
        budget: what each evaluation may use up; None: anything. budget_said: as it was given on
            the command line; "" for a budget of the configuration file.
        params: plain values by name, for the fixture `eval_params`; kept with the runs.
            params_said: as they were given.
        keep_config: whether a run goes on where the last one had another config.
    """

    experiment: str = ""
    named: bool = False
    samples: int | None = None
    storage: str | None = None
    said: bool = False
    fresh: bool = False
    allowance: Allowance = Allowance()
    gates: tuple[Gate, ...] = ()
    shard: tuple[int, int] | None = None
    budget: Budget | None = None
    budget_said: str = ""
    params: Mapping[str, Any] = {}
    params_said: tuple[str, ...] = ()
    keep_config: bool = False


def read_options(
    given: Callable[[str], Any], written: Callable[[str], Any], folder: Path
) -> Options:
    """
    Understand what was given.

    Args:
        given: value of an option of the command line by its name, None where it is absent.
        written: value of a key of the configuration file, "" where it is absent.
        folder: of the configuration file.

    Raises:
        UsageError: one of them makes no sense; the message names it.
    """
    name = given("experiment")
    if name is not None and not name.strip():
        raise UsageError("--experiment is empty; give it a name, as in --experiment baseline")
    name = name or written("experiment").strip()
    storage, samples = given("storage"), given("samples")
    errors = given("max_errors")
    return Options(
        experiment=name,
        named=bool(name),
        samples=None if samples is None else _samples(samples),
        storage=_beside(folder, written("storage").strip()) if storage is None else storage,
        said=storage is not None,
        fresh=bool(given("fresh")),
        allowance=_allowance(written("eval_max_errors") if errors is None else errors, errors),
        gates=_gates(given("gates") or written("eval_gate")),
        shard=_shard(given("shard")),
        budget=_budget(written("eval_budget").strip(), given("budget")),
        budget_said=given("budget") or "",
        params=dict(_param(each) for each in given("params") or ()),
        params_said=tuple(given("params") or ()),
        keep_config=bool(given("keep_config")),
    )


def _param(given: str) -> tuple[str, Any]:
    from ..quantities import parse_param

    try:
        return parse_param(given)
    except UsageError as error:
        raise UsageError(f"--eval-param={error}") from None


def _shard(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    from ..runner import parse_shard

    try:
        return parse_shard(given)
    except UsageError as error:
        raise UsageError(f"--eval-{error}") from None


def _budget(written: str, given: str | None) -> Budget | None:
    if given is None and not written:
        return None
    from ..budget import Budget

    try:
        return Budget.parse(written if given is None else given)
    except UsageError as error:
        raise UsageError(f"{'eval_' if given is None else '--eval-'}{error}") from None


def _gates(texts: list[str]) -> tuple[Gate, ...]:
    if not texts:
        return ()
    from ..reporting.grammar import parse

    return tuple(map(parse, texts))


def _samples(given: str) -> int:
    if given.isascii() and given.isdecimal() and len(given) < 19 and int(given) > 0:
        return int(given)
    raise UsageError(f"--samples={given}: expected a number of rows, 1 or more, as in --samples=10")


def _allowance(given: str, option: str | None) -> Allowance:
    if not given.strip() and option is None:
        return Allowance()
    number, percent, rest = given.strip().partition("%")
    try:
        value = float(number) if percent else int(number)
    except ValueError:
        value = -1
    if rest or not 0 <= value <= (100 if percent else float("inf")):
        named = "eval_max_errors" if option is None else "--eval-max-errors"
        raise UsageError(
            f"{named}={given}: expected a number of rows such as 5, or a share of them such as 2%"
        )
    return Allowance(None, value / 100) if percent else Allowance(int(value))


def _beside(folder: Path, address: str) -> str | None:
    """An address from the configuration file: a relative path counts from that file."""
    scheme, separator, path = address.rpartition("://")
    if not address or (separator and scheme != "sqlite"):
        return address or None
    return path if path.startswith("~") else str(folder / path)  # the store knows who ~ is
