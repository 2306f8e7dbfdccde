"""
An evaluation: a function, its dataset, its columns and its policy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Generic, NoReturn, ParamSpec, TypeVar, overload

from .concurrency import executors
from .concurrency.pace import RateLimit, as_rate_limit
from .concurrency.retry import Retry, Wrapper, as_policy
from .concurrency.strategies import Strategy, as_strategy
from .datasets import Source, open_dataset
from .declarations import Config, as_config, parse_columns, parse_tags
from .errors import UsageError
from .record import ATOMS
from .text import safe

REPLY = "reply"  # the parameter that takes what a provider's batch has for a row


P = ParamSpec("P")  # the parameters of an evaluation's function, as its author wrote them
R = TypeVar("R")  # and what it returns


class Evaluation(Generic[P, R]):
    """
    A function together with the dataset that it judges row by row.

    Calling it calls the plain function, so that one row can be tried by hand or in a unit test.
    `run(evaluation)` runs it over its dataset. Made by `foreach` and `ForEach`.

    Attributes:
        function: the plain function.
        attempt: the function, with another library's retries around it if there are any.
        columns: its parameters that come from the dataset, in the dataset's order.
        tags: keys of the rows that are kept with the records, and decide nothing.
        source: the dataset.
        strategy: how many rows are in flight.
        policy: which failed attempts are tried again.
        timeout: seconds for one attempt, None for no limit.
        rate_limit: what holds back the starts, None for nothing.
        repeats: how often each row is run.
        executor: where rows run; None: in this process.
        config: what decides over its answers beside the code: a mapping of plain values, or a
            callable that makes one at the start of a run; None: nothing is declared.
        cluster: the column or tag whose equal values make rows that are not independent; None: all
            are.
        fail_fast: rows at the beginning that all fail in one way, and end the run; 0: nothing does.
        batch: what submits rows to a provider and collects the replies; None: nothing does.
        size: rows that a call of the function gets, as lists; 0: it gets one row.
        is_default: whether the strategy was nobody's choice.
        resources: names of the parameters that have no default and are no columns: fixtures
            under pytest, keyword arguments of `run`.
        is_async: whether the function is an `async def`.
    """

    def __init__(
        self,
        function: Callable[P, R],
        columns: tuple[str, ...],
        source: Source,
        *,
        strategy: Strategy,
        policy: Retry,
        timeout: float | None,
        rate_limit: RateLimit | None,
        repeats: int,
        executor: Any = None,
        config: Config | None = None,
        cluster: str | None = None,
        fail_fast: int = 0,
        size: int = 0,
        batch: Any = None,
        is_default: bool = False,
        retries: Wrapper | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        given = columns if batch is None else (*columns, REPLY)
        signature = _check_function(function, given)
        self.function = function
        self.attempt = function if retries is None else retries(function)
        self.columns = columns
        self.tags = tags
        self.source = source
        self.strategy = strategy
        self.policy = policy
        self.timeout = timeout
        self.rate_limit = rate_limit
        self.repeats = repeats
        self.executor = executor
        self.config = config
        self.cluster = cluster
        self.fail_fast = fail_fast
        self.size = size
        self.batch = batch
        self.is_default = is_default
        self.is_async = inspect.iscoroutinefunction(function)
        others = [p for name, p in signature.parameters.items() if name not in given]
        self.resources = tuple(
            p.name
            for index, p in enumerate(others)
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
            and p.default is p.empty
            and not (index == 0 and _is_method(function) and p.name == "self")
        )
        self.__name__ = function.__name__
        self.__qualname__ = function.__qualname__
        self.__module__ = function.__module__
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self.__signature__ = signature.replace(
            parameters=[p for p in others if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        )
        # Marks that stand below @foreach; those above it are added by pytest.
        self.pytestmark: list[Any] = list(getattr(function, "pytestmark", ()))

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """
        Empty: pytest takes what it finds here for keywords.

        With our own attributes among them, `-k timeout` would select every evaluation, and
        `-k test` do so because of `pytestmark`. Marks are found without it.
        """
        return {}

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        return self.function(*arguments, **named)

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Evaluation[P, R]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> BoundEvaluation: ...

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return BoundEvaluation(self, instance)

    def __reduce__(self) -> str:
        return self.__qualname__  # pickled as functions are: by the name to import

    def __repr__(self) -> str:
        return f"<Evaluation {self.__name__}({', '.join(self.columns)})>"

    @property
    def file(self) -> str:
        """Path of the source file; "<notebook>" and the like where there is none."""
        name = executors.file_of(self.function)
        if "ipykernel" in name or name.startswith("<ipython"):
            return "<notebook>"
        return name

    def is_variant_of(self, other: Evaluation[..., Any]) -> bool:
        """Whether both are made of one `def`, with different values around it."""
        mine, theirs = self.function, other.function
        return (
            self is not other
            and mine.__code__ is theirs.__code__
            and _around(mine) != _around(theirs)
        )

    def digest(self) -> str | None:
        """A digest of the function's source, to tell when it has changed; None without source."""
        try:
            source = inspect.getsource(self.function)
        except (OSError, TypeError, SyntaxError, IndentationError):
            return None
        from hashlib import blake2b  # loads OpenSSL; only a run asks for digests

        return blake2b(source.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _around(function: Callable[..., Any]) -> list[Any]:
    """What a function has from where it was made, to be compared: plain values, and identities."""
    variables = inspect.getclosurevars(function).nonlocals.values()
    values = [*variables, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [(type(each), each) if type(each) in ATOMS else id(each) for each in values]


class BoundEvaluation:
    """An evaluation that is a method, together with its instance."""

    def __init__(self, evaluation: Evaluation[..., Any], instance: object) -> None:
        self.__func__ = evaluation
        self.__self__ = instance
        self.__name__ = evaluation.__name__
        self.__wrapped__ = evaluation.function
        parameters = list(evaluation.__signature__.parameters.values())
        self.__signature__ = evaluation.__signature__.replace(parameters=parameters[1:])

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.__func__.function(self.__self__, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)


def _is_method(function: Callable[..., Any]) -> bool:
    owner = function.__qualname__.rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>")


def _check_function(function: Callable[..., Any], columns: tuple[str, ...]) -> inspect.Signature:
    """
    The function's signature.

    Raises:
        UsageError: it can not be an evaluation of these columns.
    """
    if isinstance(function, Evaluation):
        raise UsageError(
            f"{function.__name__}() has a dataset already; decorate it with @foreach once"
        )
    if not inspect.isfunction(function):
        raise UsageError(
            f"@foreach(...) decorates a function, not {type(function).__name__} "
            f"{safe(function, 80)}"
        )
    name = function.__name__
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"{name}() is a generator; an evaluation returns one Result for each row, "
            "so write `return` in place of `yield`"
        )
    signature = inspect.signature(function)
    parameters = signature.parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for column in columns:
        parameter = parameters.get(column)
        if parameter is None and column == REPLY and not takes_any and column not in columns[:-1]:
            raise UsageError(
                f"{name}() has no parameter {REPLY!r}, which takes what collect() returns for its "
                f"row; its parameters are: {', '.join(parameters) or 'none'}"
            )
        if parameter is None or parameter.kind in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            if not takes_any:
                raise UsageError(
                    f"{name}() has no parameter {column!r}, a column of its dataset; its "
                    f"parameters are: {', '.join(parameters) or 'none'}"
                )
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            raise UsageError(
                f"{name}() takes {column!r} by position only; columns are passed by name, "
                "so remove the `/` from its parameters"
            )
    return signature


_NONE: Any = object()  # None is given by mistake, and told as what it is


class ForEach:
    """
    Makes evaluations that share a policy:

        foreach = ForEach(concurrency=SlidingWindow(10), timeout=60)

        @foreach("question,answer", data)
        async def eval_math(question, answer, model): ...

    Args:
        concurrency: a strategy; None: Adaptive() for an `async def`, Sequential() for a `def`.
        retries: None for the default Retry(); the number of retries after the first attempt;
            a Retry; or an object with `wraps(function)`, such as tenacity's.
        timeout: seconds for one attempt; None: no limit. A plain `def` needs a strategy that runs
            it in a thread.
        rate_limit: a RateLimit, or a text such as "500/min"; None: no limit. Evaluations that
            are given the same object share it.
        repeats: how often each row is run, 1 or more; each repeat is a record of its own.
        executor: an executor of `concurrent.futures`, or a zero-argument callable that makes one,
            such as ProcessPoolExecutor (importing the module then makes none); a Dask client does
            too. Rows run there, at most as many at a time as the strategy allows. None: in this
            process.
        config: what decides over the answers beside the code, such as the model, its temperature
            or a prompt: a mapping of plain values, or a callable that makes one at the start of a
            run. It is kept with the run; a resume under another one is refused.
        cluster: a column or a tag: rows with an equal value in it, such as questions about one
            document, are not independent of each other, and intervals count clusters in place of
            rows. A row with None is on its own.
        fail_fast: a run that can not succeed ends early, as *stopped*: when so many rows at its
            beginning have all failed in one way, when the account or a proxy refuses everybody, or
            when the endpoint asks for a pause that is longer than `Retry(patience=)`. None or 0:
            it goes on.

    Raises:
        ValueError: an argument is out of its range; the message names it.
    """

    def __init__(
        self,
        concurrency: Strategy | None = None,
        retries: Any = None,
        timeout: float | None = None,
        rate_limit: RateLimit | str | None = None,
        repeats: int = 1,
        executor: Any = None,
        config: Config | None = None,
        cluster: str | None = None,
        fail_fast: int | None = 20,
    ) -> None:
        as_strategy(concurrency, plain=True)
        self._concurrency = concurrency
        self._policy, self._retries = as_policy(retries)
        if timeout is not None and not (_is_number(timeout) and 0 < timeout < float("inf")):
            raise UsageError(f"ForEach(timeout={timeout!r}): expected seconds above 0, or None")
        self._timeout = timeout
        self._rate_limit = as_rate_limit(rate_limit)
        if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
            raise UsageError(f"ForEach(repeats={repeats!r}): expected a whole number, 1 or more")
        self._repeats = repeats
        self._executor = executors.as_executor(executor)
        self._config = config if callable(config) else as_config(config, "ForEach(config=...)")
        self._cluster = cluster
        if fail_fast is not None and (type(fail_fast) is not int or fail_fast < 0):
            raise UsageError(
                f"ForEach(fail_fast={safe(repr(fail_fast), 80)}): expected a whole number of rows, "
                "or None to go on whatever fails"
            )
        self._fail_fast = fail_fast or 0

    def __call__(
        self,
        column_spec: str,
        dataset: Any = _NONE,
        *,
        tags: str = "",
        batch: Any = None,
        **misplaced: NoReturn,
    ) -> Callable[[Callable[P, R]], Evaluation[P, R]]:
        """
        A decorator that makes an evaluation of a function.

        Args:
            column_spec: comma-separated names; each is a parameter of the function.
            dataset: rows: any iterable, async iterable, path of a JSONL, CSV, TSV or JSON file,
                or zero-argument callable that returns one. Read lazily.
            tags: comma-separated keys of the rows that are kept with the records, such as
                "difficulty,source"; they are no parameters and no part of what a row is known by.
            batch: an object that submits rows to a provider, and later collects what it made of
                them, as its batch API does at half the price. It has the methods

                - `submit(rows, key)`: rows are mappings by column. Returns a ticket, plain data.
                - `collect(ticket)`: None while it is not ready; else a list with the reply to each
                  row, or a mapping of them by number from 0. The function gets that of its row as
                  the parameter `reply`. None, or none at all, and an exception fail their row.
                - `find(key)`, if it can: the ticket of what was submitted under a key, or None. It
                  is asked where a run was killed within `submit`.

                both plain or asynchronous; and, where the defaults do not do, the attributes
                `size`, the most rows of one submission (10,000); `wait`, seconds that a run waits
                for replies (None: as long as it takes); `idempotent`, whether submitting the same
                rows under the same key again makes no second batch (False).

        Raises:
            UsageError: the spec, the dataset or the function does not fit; at decoration.
        """
        if misplaced:
            options = ", ".join(f"{name}=..." for name in misplaced)
            raise UsageError(
                f"foreach(...) takes columns, a dataset and tags=, not {' and '.join(misplaced)}; "
                f'options stand in ForEach, as in ForEach({options})("question,answer", dataset)'
            )
        return self._made(column_spec, dataset, tags, 0, _checked_batch(batch))

    def batched(
        self, column_spec: str, dataset: Any = _NONE, *, size: int, tags: str = ""
    ) -> Callable[[Callable[P, R]], Evaluation[P, R]]:
        """
        A decorator for a function of many rows, such as a model that computes batches::

            @foreach.batched("question,answer", data, size=16)
            def eval_qa(question, answer, model):    # lists of 16, the last ones may be shorter
                said = model.generate(question)
                return [exact_match(*pair) for pair in zip(said, answer)]

        It gets a list for each column, and returns one outcome for each row, in their order: what
        a function of one row may return, or an exception where that row would have raised it.
        Strategies, `timeout` and `rate_limit` count its calls; records, `samples`, `repeats` and
        budgets count rows. A call that fails is tried again where waiting may help; where it does
        not, each of its rows is tried by itself, in a list of one.

        Args:
            size: rows in a call, 1 or more. The others are those of `foreach(...)`.

        Raises:
            UsageError: the spec, the dataset or the function does not fit; at decoration.
        """
        if type(size) is not int or size < 1:
            raise UsageError(
                f"foreach.batched(size={safe(repr(size), 80)}): expected a whole number of rows, "
                "1 or more"
            )
        return self._made(column_spec, dataset, tags, size, None)

    def _made(
        self, column_spec: str, dataset: Any, tags: str, size: int, batch: Any
    ) -> Callable[[Callable[P, R]], Evaluation[P, R]]:
        if dataset is _NONE:
            raise UsageError(
                "foreach needs columns and a dataset; write for example "
                '@foreach("question,answer", dataset) above the function'
            )
        columns = parse_columns(column_spec)
        beside = parse_tags(tags)
        if self._cluster is not None and self._cluster not in (*columns, *beside):
            raise UsageError(
                f"ForEach(cluster={safe(repr(self._cluster), 80)}): expected one of the columns: "
                f"{', '.join((*columns, *beside))}"
            )
        source = dataset if isinstance(dataset, Source) else Source(dataset)

        def decorate(function: Callable[P, R]) -> Evaluation[P, R]:
            source.beside(function)
            plain = not inspect.iscoroutinefunction(function)
            strategy = as_strategy(self._concurrency, plain)
            if self._timeout is not None and self._runs_here(function, strategy):
                raise UsageError(
                    f"ForEach(timeout={self._timeout!r}): {function.__name__}() is a plain `def`, "
                    f"which {strategy!r} runs in the calling thread, where nothing can end it; add "
                    "concurrency=AsyncSequential(), or SlidingWindow(...) for several at a time"
                )
            return Evaluation(
                function,
                columns,
                source,
                strategy=strategy,
                policy=self._policy,
                timeout=self._timeout,
                rate_limit=self._rate_limit,
                repeats=self._repeats,
                executor=self._executor,
                config=self._config,
                cluster=self._cluster,
                fail_fast=self._fail_fast,
                size=size,
                batch=batch,
                is_default=self._concurrency is None,
                retries=self._retries,
                tags=beside,
            )

        return decorate

    def _runs_here(self, function: Callable[..., Any], strategy: Strategy) -> bool:
        """Whether an attempt is a call in the thread of the event loop, and nothing else."""
        return (
            self._executor is None
            and strategy.threads() is None
            and not inspect.iscoroutinefunction(inspect.unwrap(function))  # it returns an awaitable
        )

    def __getattr__(self, name: str) -> Any:
        """`foreach.NAME(split, **options)`: a registered dataset, which brings its columns."""
        if name.startswith("_"):
            raise AttributeError(name)

        def opened(
            split: str | None = None, *, tags: str = "", batch: Any = None, **options: Any
        ) -> Callable[[Callable[P, R]], Evaluation[P, R]]:
            dataset = open_dataset(name, split, **options)
            return self(",".join(dataset.columns), dataset, tags=tags, batch=batch)

        return opened


foreach = ForEach()


def _checked_batch(batch: Any) -> Any:
    """
    What `batch=` was given.

    Raises:
        UsageError: it has not what is needed; says what.
    """
    lacks = [name for name in ("submit", "collect") if not callable(getattr(batch, name, None))]
    if batch is not None and (lacks or isinstance(batch, type)):
        what = f"an object with {lacks[0]}()" if lacks else f"an instance: {batch.__name__}(...)"
        raise UsageError(f"foreach(batch={safe(repr(batch), 80)}): expected {what}")
    for name, least in (("size", 1), ("wait", 0)):
        value = getattr(batch, name, None)
        if not (value is None or (_is_number(value) and value >= least)):
            raise UsageError(
                f"foreach(batch=...): its {name} is {safe(repr(value), 80)}; expected a number, "
                f"{least} or more"
            )
    return batch


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
