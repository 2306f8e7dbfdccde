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
from ..quantities import Allowance, Shard, parse_param, parse_rows, read

if TYPE_CHECKING:
    from ..budget import Budget
    from ..reporting.grammar import Gate


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
        shard: the part of the rows that is run; None: all.
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
    shard: Shard | None = None
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
    storage, samples, shard = given("storage"), given("samples"), given("shard")
    params = given("params") or ()
    return Options(
        experiment=name,
        named=bool(name),
        samples=None if samples is None else read(parse_rows, samples, "--samples"),
        storage=_beside(folder, written("storage").strip()) if storage is None else storage,
        said=storage is not None,
        fresh=bool(given("fresh")),
        allowance=_allowance(written("eval_max_errors").strip(), given("max_errors")),
        gates=_gates(given("gates") or written("eval_gate")),
        shard=None if shard is None else read(Shard.parse, shard, "--eval-shard"),
        budget=_budget(written("eval_budget").strip(), given("budget")),
        budget_said=given("budget") or "",
        params=dict(read(parse_param, each, "--eval-param") for each in params),
        params_said=tuple(params),
        keep_config=bool(given("keep_config")),
    )


def _allowance(written: str, given: str | None) -> Allowance:
    if given is not None:
        return read(Allowance.parse, given, "--eval-max-errors")
    return read(Allowance.parse, written, "eval_max_errors") if written else Allowance()


def _budget(written: str, given: str | None) -> Budget | None:
    if given is None and not written:
        return None
    from ..budget import Budget

    if given is not None:
        return read(Budget.parse, given, "--eval-budget")
    return read(Budget.parse, written, "eval_budget")


def _gates(texts: list[str]) -> tuple[Gate, ...]:
    if not texts:
        return ()
    from ..reporting.grammar import parse

    return tuple(map(parse, texts))


def _beside(folder: Path, address: str) -> str | None:
    """An address from the configuration file: a relative path counts from that file."""
    scheme, separator, path = address.rpartition("://")
    if not address or (separator and scheme != "sqlite"):
        return address or None
    return path if path.startswith("~") else str(folder / path)  # the store knows who ~ is
