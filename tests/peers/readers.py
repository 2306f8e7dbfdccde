"""
What doteval, Inspect and lm-eval read in the same answers, with the real packages.

Each is used as its own tasks use it: Inspect's scorers for letters, numbers and mathematics, and
the filters of lm-eval's tasks mmlu_pro, gpqa (cot, flexible) and gsm8k (flexible).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable

import lm_eval.filters.extraction as lm_eval
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import CORRECT, Scorer, Target, answer, match, math
from inspect_ai.solver import TaskState

from doteval.evaluators import choice_match, numeric_match
from doteval.views.table import Column, Table

OPTIONS = ["Rome", "Paris", "Bern", "Oslo"]
LETTERS = "ABCD"

CHOICES = [  # (answer, the letter that a reader would take from it; "" for none)
    ("ANSWER: B", "B"),
    ("B", "B"),
    ("The answer is (B).", "B"),
    ("The answer is B, because answer C would be too large.", "B"),
    ("**Answer:** B", "B"),
    (r"Therefore $\boxed{\text{B}}$.", "B"),
    ("<answer>B</answer>", "B"),
    ('{"answer": "B"}', "B"),
    ("<think>The answer is A? No.</think>\nThe answer is B.", "B"),
    ("The answer is A. Wait, that is wrong. The answer is B.", "B"),
    ("I rule out A, C and D.\n\nB", "B"),
    ("It is Paris.", "B"),
    ("正确答案是 B。", "B"),
    ("La respuesta correcta es la B.", "B"),
    ("The answer is A or B.", ""),
    ("ANSWER: A\nANSWER: B", ""),
    ("The answer is not B.", ""),
    ("A dog and I went home.", ""),
]

NUMBERS = [  # (answer, the number that stands in it)
    ("72", "72"),
    ("The answer is 72.", "72"),
    ("#### 72", "72"),
    ("**72**", "72"),
    ("She pays $1,200.", "1200"),
    ("She pays $1,200.50 in all", "1200.5"),
    (r"So it is $\boxed{1{,}200}$.", "1200"),
    (r"\frac{3}{4}", "0.75"),
    ("3/4", "0.75"),
    ("1 1/2", "1.5"),
    ("1.5e3", "1500"),
    ("-5", "-5"),
    ("It falls by 5 to −5", "-5"),
    ("45%", "0.45"),
    ("1.234.567,5", "1234567.5"),
    ("12,34,567", "1234567"),
    ("１２", "12"),
    ("<think>100?</think> It is 7", "7"),
]


def _scored(scorer: Scorer, said: str, target: str) -> bool:
    """Whether a scorer of Inspect calls this answer right."""
    state = TaskState(
        model="mockllm/model", sample_id=1, epoch=1, input="?", messages=[],
        output=ModelOutput.from_content("mockllm/model", said), choices=OPTIONS,
    )  # fmt: skip
    score = asyncio.run(scorer(state, Target(target)))
    return score is not None and score.value == CORRECT


def _filtered(filter: lm_eval.RegexFilter, said: str) -> str:
    """What a filter of lm-eval takes out of an answer."""
    (found,) = next(iter(filter.apply([[said]], [{"choices": OPTIONS}])))
    return str(found)


_LETTER = answer("letter")
_MMLU_PRO = lm_eval.RegexFilter(r"answer is \(?([ABCDEFGHIJ])\)?")
_GPQA = lm_eval.MultiChoiceRegexFilter(
    r"(\([A-Z]\))", group_select=-1, ignore_case=True, ignore_punctuation=True
)
_GSM8K = lm_eval.RegexFilter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1)
_IGNORED = (",", r"\$", r"(?s).*#### ", r"\.$")  # by the task's exact_match


def _gsm8k(said: str, target: str) -> bool:
    found = _filtered(_GSM8K, said)
    for pattern in _IGNORED:
        found = re.sub(pattern, "", found)
    return found == target


def _letter_of(found: str) -> str:
    return found.strip("()") if found.strip("()") in LETTERS else ""


CHOICE_READERS: dict[str, Callable[[str], str]] = {  # the letter that each takes, "" for none
    "doteval": lambda said: choice_match(said, "A", OPTIONS).metadata["choice"] or "",
    'Inspect `answer("letter")`': lambda said: "".join(
        letter for letter in LETTERS if _scored(_LETTER, said, letter)
    ),
    "lm-eval mmlu_pro": lambda said: _letter_of(_filtered(_MMLU_PRO, said)),
    "lm-eval gpqa, flexible": lambda said: _letter_of(_filtered(_GPQA, said)),
}
NUMBER_READERS: dict[str, Callable[[str, str], bool]] = {  # whether it calls this number right
    "doteval": lambda said, number: numeric_match(said, number).value is True,
    'doteval `extract="last"`': lambda said, number: (
        numeric_match(said, number, extract="last").value is True
    ),
    "Inspect `match(numeric=True)`": lambda said, number: _scored(
        match(numeric=True), said, number
    ),
    "Inspect `math()`": lambda said, number: _scored(math(), said, number),
    "lm-eval gsm8k, flexible": _gsm8k,
}


def choices() -> Table:
    """Which letter each takes from an answer."""
    rows = []
    for said, meant in CHOICES:
        read = [reader(said) for reader in CHOICE_READERS.values()]
        told = [_marked(each or "none", each == meant) for each in read]
        rows.append([_shown(said), meant or "none", *told])
    return _table("choice", CHOICE_READERS, rows)


def numbers() -> Table:
    """Whether each finds the number that stands in an answer."""
    rows = []
    for said, number in NUMBERS:
        read = [reader(said, number) for reader in NUMBER_READERS.values()]
        rows.append(
            [_shown(said), number, *(_marked("read" if each else "no", each) for each in read)]
        )
    return _table("number", NUMBER_READERS, rows)


def _table(what: str, readers: Iterable[str], rows: list[list[object]]) -> Table:
    columns = [Column("answer", foreign=True), Column(what), *(Column(name) for name in readers)]
    return Table(columns, rows)


def _shown(said: str) -> str:
    return said.replace("\n", "↵")


def _marked(shown: str, right: bool) -> str:
    return shown if right else f"**{shown}**"
