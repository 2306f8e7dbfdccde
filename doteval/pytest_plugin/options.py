"""
What pytest's command line and configuration file ask of evaluations.

No part of the store is loaded for this: most sessions have options and no evaluations. Named
tuples, because every session pays for making these classes: 0.1 ms each, a dataclass takes 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..errors import UsageError
from ..flags import AGAIN, FLAGS

if TYPE_CHECKING:
    import pytest

    from ..budget import Budget
    from ..quantities import Allowance
    from ..reporting.grammar import AnyGate, Gate

Value = TypeVar("Value")

_KEYS = ("experiment", "storage", "eval_max_errors", "eval_budget", "eval_gate")


class Options(NamedTuple):
    """
    What is asked of the evaluations of a session.

    Attributes:
        experiment: name to store results under; "" for one that is made when it is needed.
        named: whether somebody chose that name.
        storage: address of the store; None: the default.
        said: whether the address stands on the command line.
        allowance: of failing rows; None: none may fail.
        gates: that an evaluation must fulfil.
        asked: of each run, by the names of `running.Options`; its `params` are for the fixture
            `eval_params`.
        repeated: what the command that resumes a run says again.
    """

    experiment: str = ""
    named: bool = False
    storage: str | None = None
    said: bool = False
    allowance: Allowance | None = None
    gates: tuple[AnyGate, ...] = ()
    asked: Mapping[str, Any] = {}
    repeated: tuple[str, ...] = ()


def add_options(parser: pytest.Parser) -> None:
    """Tell pytest's parser of them."""
    group = parser.getgroup("doteval", "evaluations (doteval)")
    group.addoption(
        "--experiment",
        dest="doteval_experiment",
        metavar="NAME",
        help="store results under this name; the same name again resumes: only rows without a "
        "result run (default: a new name for each session)",
    )
    group.addoption(
        "--storage",
        dest="doteval_storage",
        metavar="ADDRESS",
        help="where results are kept: a path, sqlite://results.db or memory:// "
        "(default: the .doteval/ of the project)",
    )
    group.addoption(
        "--eval-gate",
        dest="doteval_gates",
        metavar="GATE",
        action="append",
        help="fail an evaluation unless this holds, as in 'exact_match.accuracy >= 0.8' or "
        "'errors <= 2%%'; can be given several times",
    )
    for name, settings in FLAGS.items():
        kept = settings.get("dest", name).replace("-", "_")
        group.addoption(_option(name), **{**settings, "dest": f"doteval_{kept}"})
    parser.addini("experiment", "default for --experiment")
    parser.addini("storage", "default for --storage, from the folder of this file")
    parser.addini("eval_max_errors", "default for --eval-max-errors")
    parser.addini("eval_budget", "default for --eval-budget")
    parser.addini("eval_gate", "default for --eval-gate, one in a line", type="linelist")


def _option(name: str) -> str:
    """How an option is typed that `doteval run` has too; two are older than the prefix."""
    return f"--{name}" if name in ("samples", "fresh") else f"--eval-{name}"


def read_options(config: pytest.Config) -> Options:
    """
    Understand what was given, on the command line or in the configuration file.

    Raises:
        UsageError: one of them makes no sense; the message names it.
    """
    given = {name: value for name, value in vars(config.option).items() if name[:8] == "doteval_"}
    if all(value in (None, False) for value in given.values()) and not any(
        map(config.getini, _KEYS)
    ):
        return Options()  # as most sessions have it: there is nothing to read
    from ..quantities import Allowance, Param, Shard, parse_rows, read, tag, words

    def value(parse: Callable[[str], Value], option: str, key: str = "") -> Value | None:
        text = config.getoption(option)
        if text is not None:
            return read(parse, text, option)
        written = config.getini(key).strip() if key else ""
        return read(parse, written, key) if written else None

    folder = config.rootpath if config.inipath is None else config.inipath.parent
    name, storage = given["doteval_experiment"], given["doteval_storage"]
    params = [read(Param.parse, each, "--eval-param") for each in given["doteval_params"] or ()]
    if name is not None and not name.strip():
        raise UsageError("--experiment is empty; give it a name, as in --experiment baseline")
    if given["doteval_calls_from"] and given["doteval_calls"] in (None, "live"):
        raise UsageError("--eval-calls-from: say also --eval-calls reuse, or --eval-calls replay")
    name = name or config.getini("experiment").strip()
    return Options(
        experiment=name,
        named=bool(name),
        storage=_beside(folder, config.getini("storage").strip()) if storage is None else storage,
        said=storage is not None,
        allowance=value(Allowance.parse, "--eval-max-errors", "eval_max_errors"),
        gates=_gates(given["doteval_gates"] or config.getini("eval_gate")),
        asked={
            "samples": value(parse_rows, "--samples"),
            "fresh": given["doteval_fresh"],
            "shard": value(Shard.parse, "--eval-shard"),
            "budget": value(_budget, "--eval-budget", "eval_budget"),
            "params": {each.name: each.value for each in params},
            "keep_config": given["doteval_keep_config"],
            "keep_going": given["doteval_keep_going"],
            "tags": dict(read(tag, each, "--eval-tag") for each in given["doteval_tags"] or ()),
            "note": given["doteval_note"],
            "calls": given["doteval_calls"] or "live",
            "calls_from": given["doteval_calls_from"],
            "until": value(_until, "--eval-until"),
        },
        repeated=tuple(
            word
            for each in ("--storage", *map(_option, AGAIN))
            for word in words(each, config.getoption(each))
        ),
    )


def _budget(text: str) -> Budget:
    from ..budget import Budget

    return Budget.parse(text)


def _until(text: str) -> Gate | None:
    from ..running.options import as_until

    return as_until(text)


def _gates(texts: list[str]) -> tuple[AnyGate, ...]:
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
