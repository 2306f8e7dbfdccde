"""
A model as the judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ResultError, RowError, UsageError
from ..record import Result, Score
from ..text import one_line
from ..usage import usage_of
from .answers import fenced, plain, said, text_of
from .making import ACCURACY, MEAN, brief

if TYPE_CHECKING:
    from ..metrics import Metrics


Scale = Mapping[str, "bool | int | float"]

YES_OR_NO: Scale = {"yes": True, "no": False}

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _line_of(word: str, before: str, link: str) -> re.Pattern[str]:
    """The line that says it; what it says may stand on the next one."""
    return re.compile(
        rf"\W{{0,8}}(?:[0-9]{{1,2}}[.)]\s)?(?:{before}\s){{0,3}}?(?:{word})"
        rf"(?:\s?(?:is\s?)?[:=|\u2013\u2014-]\s?|\s?\Z{link})(.*)",
        re.IGNORECASE,
    )


_VERDICT = _line_of("verdict(?: on this)?", r"[\w']{1,12}", r"|\sis\s")
_OTHERWISE = _line_of(  # as judges call it that were told otherwise; "Answer:" may be another's
    "judge?ment|decision|conclusion|overall|score|rating|grade",
    "(?:my|the|final|overall|total)",
    "",
)
_OUT_OF = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s?(?:/|out of)\s?([0-9]+(?:\.[0-9]+)?)")
_KEYS = ("verdict", "final_verdict", "score", "rating", "grade", "answer", "result")
_DECORATION = "*_\"'`.!()[]{}<>#,;: \t\r\n"
_LONGEST_JUDGEMENT = 20_000  # characters kept of what the judge wrote


class Judge:
    """
    An evaluator that asks a model, and takes nothing but a clear verdict for an answer.

    ::

        is_polite = Judge(ask_model, "Is this answer polite?\\n<answer>{result}</answer>")

    The judge is told to end with a line such as `Verdict: yes`. A verdict is that line, whatever
    it wears ("**Final verdict:** yes (fully)", "8/10" on a scale to 10), as the last one of the
    answer; where no line is one, "Score: 8" and "Decision: no" are; or `{"verdict": "yes"}`, or an
    answer that consists of nothing else. Reasoning in blocks is left out. Any other answer, and one
    with contradicting verdicts, raises, so the row fails: it is never counted as a wrong answer.
    What the judge wrote and used is kept either way.

    Calling it takes the fields of the template, `judged(result, expected, other=…, name=…)`, and
    gives a Score, or something to await where `ask` does. With `label=`, one of the verdicts that
    somebody knows to be right or None, the Score has its value as `expected`, and the metrics
    `human`, `corrected` and `agreement` beside its own: what the labels say alone, the judge
    corrected by them, and how often both agree.

    Args:
        ask: takes the question and returns the text of the answer, a pair of that and its usage
            (anything that `Result(usage=…)` takes), or something to await that gives either.
        template: the question; `{result}`, `{expected}` and other names in it are replaced by
            the arguments of each call, once and literally. `{verdicts}` becomes the instruction
            how to end, which is appended where the template lacks it.
        scale: what the model may say, in whatever case, and the value of each.
        instructions: how the model is told to end; by default with a line for each verdict.
        parse: takes the text of the answer and returns one of the verdicts, or None for none; it
            replaces the reading described above.
        metrics: by default `accuracy` where all verdicts are true or false, else `mean`, and the
            range of the verdicts.
        name: of the scores.

    Raises:
        UsageError: the template has no fields, there are fewer than two verdicts, or (the
            evaluator) the arguments are not the fields of the template.
        RowError: (the evaluator) the model gave no clear verdict.
    """

    def __init__(
        self,
        ask: Callable[[str], Any],
        template: str,
        *,
        scale: Scale = YES_OR_NO,
        instructions: str | None = None,
        parse: Callable[[str], str | None] | None = None,
        metrics: Metrics | None = None,
        name: str = "judge",
    ) -> None:
        fields = tuple(dict.fromkeys(_FIELD.findall(template)))
        self.fields = tuple(field for field in fields if field != "verdicts")
        if not self.fields:
            raise UsageError("judge(): the template has no field such as {result}")
        self._values = {_bare(text): value for text, value in scale.items()}
        if len(self._values) < 2:
            raise UsageError(
                f"judge(verdicts={dict(scale)!r}): expected two different ones or more"
            )
        plainly = all(isinstance(value, bool) for value in scale.values())
        from ..metrics import JUDGED, names_of, span_name  # only for who has a judge

        points = min(self._values.values()), max(self._values.values())
        self._judged = JUDGED
        self._metrics = names_of(metrics or (ACCURACY if plainly else (*MEAN, span_name(points))))
        self._instructions = instructions or (
            "End your answer with one line that says exactly one of:\n"
            + "\n".join(f"Verdict: {text}" for text in scale)
        )
        self._template = template if "verdicts" in fields else f"{template}\n\n{{verdicts}}"
        self._ask, self._parse = ask, parse
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        own = self.__name__
        positional = [field for field in ("result", "expected") if field in self.fields]
        if len(args) > len(positional):
            raise UsageError(f"{own}() takes {len(positional)} by position, got {len(args)}")
        arguments = {**dict(zip(positional, args, strict=False)), **kwargs}
        asked = "label" in arguments and "label" not in self.fields
        label = arguments.pop("label") if asked else None
        if arguments.keys() != set(self.fields):
            raise UsageError(
                f"{own}() needs the fields of its template: {', '.join(self.fields)}; got: "
                f"{', '.join(arguments) or 'nothing'}"
            )
        if label is not None and _bare(str(label)) not in self._values:
            raise UsageError(
                f"{own}(label={label!r}): expected one of {', '.join(self._values)}, or None"
            )
        expected = None if label is None else self._values[_bare(str(label))]
        brief(arguments)  # none of them is still to be awaited
        texts = {**arguments, "verdicts": self._instructions}
        answer = self._ask(_FIELD.sub(lambda field: str(texts[field[1]]), self._template))
        if hasattr(answer, "__await__"):
            return self._later(answer, name, arguments, expected, asked)
        return self._score(answer, name, arguments, expected, asked)

    async def _later(self, answer: Awaitable[Any], *rest: Any) -> Score:
        return self._score(await answer, *rest)

    def _score(
        self,
        answer: Any,
        name: str | None,
        arguments: dict[str, Any],
        expected: Any,
        labelled: bool,
    ) -> Score:
        text, usage = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
        if not isinstance(text, str):
            raise ResultError(f"the judge answered with {type(text).__name__}, expected its text")
        judgement = text[:_LONGEST_JUDGEMENT]
        used = {} if usage is None else {"usage": usage_of(usage)._asdict()}
        verdict, problem = self._verdict(text)
        if verdict is None:
            told = f"the judge gave {problem}; expected a last line 'Verdict: …' with one of "
            told += f"{', '.join(self._values)}; it ended: {one_line(text[-200:])}"
            error = RowError(told)
            error.result = Result(
                error=told, metadata={**arguments, "judgement": text}, usage=usage
            )
            raise error
        metadata = {**brief(arguments), "judgement": judgement, "verdict": verdict, **used}
        metrics = (
            tuple(dict.fromkeys((*self._metrics, *self._judged))) if labelled else self._metrics
        )
        return Score(name or self.__name__, self._values[verdict], metrics, metadata, expected)

    def _verdict(self, text: str) -> tuple[str | None, str]:
        """The one verdict of a judge's answer, as a key of the values; or why there is none."""
        if self._parse is not None:
            parsed = self._parse(text)
            verdict = None if parsed is None else _bare(str(parsed))
            return verdict if verdict in self._values else None, "no clear verdict"
        text = said(text)
        for whole in (text, plain(text)):
            if _bare(whole) in self._values:
                return _bare(whole), ""
        lines = [line for line in plain(_in_json(text)).splitlines() if re.search(r"\w", line)]
        is_told = _VERDICT if any(map(_VERDICT.fullmatch, lines)) else _OTHERWISE
        given, ends = [], False
        for at, line in enumerate(lines):
            found = is_told.fullmatch(line)
            if found:
                below = not _bare(found[1])
                given.append("".join(lines[at + 1 : at + 2]) if below else found[1])
                ends = at + 1 + below >= len(lines)
        named = [self._named(each) for each in given]
        if len({each for each in named if each}) > 1 or any(each == "" for each in named):
            return None, "contradicting verdicts"
        marks = list(_OUT_OF.finditer(lines[0])) if len(lines) == 1 else []
        alone = self._named(lines[0][marks[0].start() :]) if len(marks) == 1 else None
        verdict = (named[-1] if ends else None) if named else alone
        return (verdict, "") if verdict else (None, "no clear verdict")

    def _named(self, text: str) -> str | None:
        """The verdict at the beginning of a text; "" where several are in it, None without one."""
        ratio = _OUT_OF.match(text.strip(_DECORATION))
        most = max((float(key) for key in self._values if _is_number(key)), default=None)
        if ratio and most is not None:
            text = ratio[1] if float(ratio[2]) == most else ""
        words = _bare(text)
        if _is_number(words):
            words = f"{float(words):g}"
        by_length = sorted(self._values, key=len, reverse=True)
        found = re.findall(
            rf"(?<![\w.-])(?:{'|'.join(map(re.escape, by_length))})(?![\w-]|\.[0-9])", words
        )
        first = next((key for key in by_length if _begins(words, key)), None)
        return "" if len(set(found)) > 1 else first


def judge(
    ask: Callable[[str], Any],
    template: str,
    *,
    verdicts: Scale = YES_OR_NO,
    parse: Callable[[str], str | None] | None = None,
    metrics: Metrics | None = None,
    name: str = "judge",
) -> Judge:
    """A `Judge` whose scale is called `verdicts`; see there."""
    return Judge(ask, template, scale=verdicts, parse=parse, metrics=metrics, name=name)


def _bare(text: str) -> str:
    return " ".join(text.strip(_DECORATION).casefold().split())


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", text) is not None


_REMARK = re.compile(  # and not the rest of a word, a number, a range or a share
    r"\s?(?:[^\w\s.%/'\u2019\u2013\u2014-]|\.(?![0-9])|[\u2013\u2014-](?!\s?[0-9]))"
    r"|\s(?:because|since|as)\b"
)


def _begins(text: str, verdict: str) -> bool:
    """Whether a text is the verdict, or goes on after it with a remark."""
    rest = text[len(verdict) :]
    return text.startswith(verdict) and (not rest or _REMARK.match(rest) is not None)


def _in_json(text: str) -> str:
    """The line that a judge who answers in JSON would have written; any other text as it is."""
    blocks = fenced(text)
    inner = blocks[0][1] if len(blocks) == 1 else text
    start, end = inner.find("{"), inner.rfind("}")
    if start < 0 or end < start:
        return inner if len(blocks) == 1 and not text.replace(inner, "").strip("`~ \n") else text
    try:
        document = json.loads(inner[start : end + 1])
    except (ValueError, RecursionError):
        return text
    for key in _KEYS:
        for name, value in document.items() if isinstance(document, dict) else ():
            if str(name).casefold().replace(" ", "_") == key:
                word = {True: "yes", False: "no"}.get(value) if isinstance(value, bool) else value
                return f"Verdict: {text_of(word) or ''}"
    return text
