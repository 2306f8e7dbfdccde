"""
A model as the judge.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ResultError, RowError, UsageError
from ..records import Score
from ..text import one_line
from .making import ACCURACY, MEAN, brief

if TYPE_CHECKING:
    from ..metrics import Metrics

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_VERDICT = re.compile(r"[*_#>\"'`\s]*verdict[*_\s]*[:=](.*)", re.IGNORECASE)
_DECORATION = "*_\"'`.!() \t\r\n"

YES_OR_NO: Mapping[str, bool | int | float] = {"yes": True, "no": False}


def judge(
    ask: Callable[[str], Any],
    template: str,
    *,
    verdicts: Mapping[str, bool | int | float] = YES_OR_NO,
    metrics: Metrics | None = None,
    name: str = "judge",
) -> Callable[..., Any]:
    """
    An evaluator that asks a model, and takes nothing but a clear verdict for an answer.

    ```python
    is_polite = judge(ask_model, "Is this answer polite?\\n<answer>{result}</answer>")
    ```

    The judge is told to end with a line such as `Verdict: yes`. A verdict is that line, or an
    answer that consists of nothing else. Any other answer, and one with contradicting verdicts,
    raises, so the row fails: it is never counted as a wrong answer.

    Args:
        ask: takes the question and returns the text of the answer, or something to await.
        template: the question; `{result}`, `{expected}` and other names in it are replaced by
            the arguments of each call, once and literally. `{verdicts}` becomes the instruction
            how to end, which is appended where the template lacks it.
        verdicts: what the model may say, in whatever case, and the value of each.
        metrics: by default `accuracy` where all verdicts are true or false, else `mean`, and the
            range of the verdicts.
        name: of the scores.

    Returns:
        an evaluator: `judged(result, expected, other=…, name=…)`. It gives a Score, or something
        to await where `ask` does.

    Raises:
        UsageError: the template has no fields, there are fewer than two verdicts, or (the
            evaluator) the arguments are not the fields of the template.
        RowError: (the evaluator) the model gave no clear verdict.
    """
    fields = tuple(dict.fromkeys(_FIELD.findall(template)))
    wanted = [field for field in fields if field != "verdicts"]
    if not wanted:
        raise UsageError("judge(): the template has no field such as {result}")
    values = {_bare(text): value for text, value in verdicts.items()}
    if len(values) < 2:
        raise UsageError(f"judge(verdicts={dict(verdicts)!r}): expected two different ones or more")
    plain = all(isinstance(value, bool) for value in values.values())
    from ..metrics import names_of, span_name  # only for who has a judge

    points = min(values.values()), max(values.values())
    summaries = names_of(metrics or (ACCURACY if plain else (*MEAN, span_name(points))))
    instruction = "End your answer with one line that says exactly one of:\n" + "\n".join(
        f"Verdict: {text}" for text in verdicts
    )
    if "verdicts" not in fields:
        template += "\n\n{verdicts}"
    default = name

    def question(arguments: dict[str, Any]) -> str:
        if arguments.keys() != set(wanted):
            raise UsageError(
                f"{default}() needs the fields of its template: {', '.join(wanted)}; got: "
                f"{', '.join(arguments) or 'nothing'}"
            )
        texts = {**arguments, "verdicts": instruction}
        return _FIELD.sub(lambda field: str(texts[field[1]]), template)

    def score(text: Any, own_name: str | None, arguments: dict[str, Any]) -> Score:
        verdict = _verdict_in(text, values)
        metadata = {**arguments, **brief({"judgement": text, "verdict": verdict})}
        return Score(own_name or default, values[verdict], summaries, metadata)

    def judged(*args: Any, name: str | None = None, **kwargs: Any) -> Any:
        positional = [field for field in ("result", "expected") if field in wanted]
        if len(args) > len(positional):
            raise UsageError(f"{default}() takes {len(positional)} by position, got {len(args)}")
        arguments = {**dict(zip(positional, args, strict=False)), **kwargs}
        kept = brief(arguments)  # so that none of them is still to be awaited
        answer = ask(question(arguments))
        if hasattr(answer, "__await__"):
            return later(answer, name, kept)
        return score(answer, name, kept)

    async def later(
        answer: Awaitable[Any], own_name: str | None, arguments: dict[str, Any]
    ) -> Score:
        return score(await answer, own_name, arguments)

    judged.__name__ = judged.__qualname__ = name
    return judged


def _bare(text: str) -> str:
    return text.strip(_DECORATION).casefold()


def _verdict_in(text: Any, values: Mapping[str, Any]) -> str:
    """The one verdict of a judge's answer, as a key of the values."""
    if not isinstance(text, str):
        raise ResultError(f"the judge answered with {type(text).__name__}, expected its text")
    if _bare(text) in values:
        return _bare(text)
    lines = [line for line in text.splitlines() if line.strip()]
    given = [_bare(found[1]) for line in lines if (found := _VERDICT.fullmatch(line))]
    ends = bool(lines) and _VERDICT.fullmatch(lines[-1]) is not None
    if ends and len(set(given)) == 1 and given[0] in values:
        return given[0]
    problem = "contradicting verdicts" if len(set(given)) > 1 else "no clear verdict"
    raise RowError(
        f"the judge gave {problem}; expected a last line 'Verdict: …' with one of "
        f"{', '.join(values)}; it ended: {one_line(text[-200:])}"
    )
