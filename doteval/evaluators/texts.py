"""
Evaluators that compare texts, and the choice that a text makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..errors import UsageError
from ..records import Score
from .making import ACCURACY, MEAN, brief


def exact_match(result: Any, expected: Any, *, name: str | None = None) -> Score:
    """Whether both are equal, to the last blank and the case of each letter."""
    return Score(
        name or "exact_match",
        bool(result == expected),
        ACCURACY,
        brief({"result": result, "expected": expected}),
    )


def contains(
    result: str | None, expected: str, *, ignore_case: bool = False, name: str | None = None
) -> Score:
    """
    Whether the expected text stands anywhere in the answer; never in an answer that is None.

    Args:
        ignore_case: compare without upper and lower case, in all scripts.

    Raises:
        UsageError: expected is empty, and so would be found in everything.
    """
    if not isinstance(expected, str) or not expected:
        raise UsageError(f"contains(): expected a text that is not empty, got {expected!r}")
    text = _answer("contains", result)
    found = expected.casefold() in text.casefold() if ignore_case else expected in text
    metadata = brief({"result": result, "expected": expected})
    return Score(name or "contains", found, ACCURACY, metadata)


def regex_match(
    result: str | None, pattern: str | re.Pattern[str], *, flags: int = 0, name: str | None = None
) -> Score:
    """
    Whether the pattern is found in the answer; write `^…$` or `\\A…\\Z` for all of it.

    Args:
        flags: of the `re` module, for a pattern that is a text.

    Raises:
        UsageError: the pattern is no regular expression.
    """
    try:
        compiled = re.compile(pattern, flags)
    except (re.error, ValueError, TypeError) as error:
        raise UsageError(f"regex_match(): {pattern!r} is no regular expression: {error}") from error
    found = compiled.search(_answer("regex_match", result)) is not None
    metadata = brief({"result": result, "pattern": compiled.pattern})
    return Score(name or "regex_match", found, ACCURACY, metadata)


def one_of(result: Any, expected: Iterable[Any], *, name: str | None = None) -> Score:
    """
    Whether the answer equals one of several that are accepted.

    Raises:
        UsageError: expected is a text, whose letters are hardly meant, or is empty.
    """
    accepted = [] if isinstance(expected, (str, bytes)) else list(expected)
    if not accepted:
        raise UsageError(f"one_of(): expected a list of accepted answers, got {expected!r}")
    metadata = brief({"result": result, "expected": accepted})
    return Score(name or "one_of", result in accepted, ACCURACY, metadata)


_LONGEST_COMPARED = 4_000  # characters; half a second, and the time grows with the product


def similarity(result: str | None, expected: str, *, name: str | None = None) -> Score:
    """
    How alike two texts are, 0 to 1: twice the matching characters over all characters.

    Raises:
        UsageError: a text is longer than 4,000 characters; comparing such would stall the run.

    Source: Ratcliff & Metzener (1988), as `difflib.SequenceMatcher` has it.
    """
    from difflib import SequenceMatcher

    text = _answer("similarity", result)
    longest = max(len(text), len(expected))
    if longest > _LONGEST_COMPARED:
        raise UsageError(
            f"similarity() compares texts of up to {_LONGEST_COMPARED:,} characters, got "
            f"{longest:,}; compare parts of them, or use f1"
        )
    ratio = SequenceMatcher(None, text, expected, autojunk=False).ratio()
    metadata = brief({"result": result, "expected": expected})
    return Score(name or "similarity", ratio, MEAN, metadata)


def f1(result: str | None, expected: str | Iterable[str], *, name: str | None = None) -> Score:
    """
    Overlap of the words of two texts, 0 to 1, without case, punctuation and English articles.

    Args:
        expected: one text or several that are accepted; the best of them counts.

    Returns:
        A score with the harmonic mean of precision and recall. Where either text has no words
        left it is 1.0 if neither has, else 0.0.

    Raises:
        UsageError: expected is an empty list.

    Source: Rajpurkar et al. (2016), SQuAD; for texts without words SQuAD 2.0 (2018).
    """
    accepted = [expected] if isinstance(expected, str) else list(expected)
    if not accepted:
        raise UsageError("f1(): expected a text, or a list with at least one")
    words = _words(_answer("f1", result))
    value = max(_overlap(words, _words(text)) for text in accepted)
    metadata = brief({"result": result, "expected": expected})
    return Score(name or "f1", value, MEAN, metadata)


_PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")  # also beside a quote or dash that is not ASCII


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _overlap(words: list[str], others: list[str]) -> float:
    from collections import Counter

    if not words or not others:
        return float(words == others)
    common = (Counter(words) & Counter(others)).total()
    return 2 * common / (len(words) + len(others))


def _answer(evaluator_name: str, result: str | None) -> str:
    """The text of an answer; None, what a client gives for an empty one, is the empty text."""
    if result is None:
        return ""
    if not isinstance(result, str):
        raise UsageError(
            f"{evaluator_name}() compares texts, got {type(result).__name__}; pass the text of "
            "the answer"
        )
    return result


# --- choices -----------------------------------------------------------------------------------

# What may stand before a letter. No run of it touches another: both would be tried at each length.
_OPENING = r"[\s*_(\[\"'`]*"
_CHOSEN = re.compile(
    r"(?<!not )(?<!n['\u2019]t )(answer|choice|option)(?![A-Z])"
    rf"{_OPENING}((?:is\b{_OPENING})?(?:[:=]{_OPENING})?)"
    r"(?-i:(?!a\s+[a-z]))([A-Z])(?![A-Z'\u2019])",  # "the answer is a mammal" picks nothing
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\{(?:\\text\{)?\s?\(?([A-Za-z])\)?\s?\}")  # as TeX marks an answer
_LABEL = re.compile(r"[*_(\[\"'`]*([A-Za-z])(?:[)\].:*_\"'`]|\s*$)", re.MULTILINE)


def choice_match(
    result: str | None, expected: str | int, choices: str = "ABCD", *, name: str | None = None
) -> Score:
    r"""
    Whether the answer to a multiple-choice question picks the expected letter.

    Read are, in this order: the last \boxed{B}; the last "answer is (B)", "**Answer:** B", "the
    right option is B" and the like; the last "option B" that no "not" stands before; a letter that
    is the whole answer, or its first line, or begins it as a label ("B", "(b) Paris", "B. Paris").
    An answer that picks nothing is wrong. The metadata have what was read as `choice`.

    Args:
        expected: the letter, or its position counted from 0.
        choices: the letters that there are.

    Raises:
        UsageError: the expected choice is not among the choices.
    """
    letters = choices.upper()
    if type(expected) is int and 0 <= expected < len(letters):
        right = letters[expected]
    else:
        right = str(expected).strip().upper()
    if len(right) != 1 or right not in letters:
        raise UsageError(
            f"choice_match(expected={expected!r}): expected one of {', '.join(letters)}, or its "
            "position from 0"
        )
    choice = _choice_in(_answer("choice_match", result), letters)
    metadata = {**brief({"result": result, "expected": expected}), "choice": choice}
    return Score(name or "choice_match", choice == right, ACCURACY, metadata)


def _choice_in(text: str, letters: str) -> str | None:
    boxed = [letter.upper() for letter in _BOXED.findall(text) if letter.upper() in letters]
    if boxed:
        return str(boxed[-1])
    mentioned: str | None = None
    stated: str | None = None
    for word, link, letter in _CHOSEN.findall(text):
        if letter.upper() in letters:
            mentioned = letter.upper()
            if link or word.lower() == "answer":  # and not "option A is wrong"
                stated = mentioned
    if mentioned:
        return stated or mentioned
    label = _LABEL.match(text.strip())
    letter = str(label[1]).upper() if label else ""
    return letter if letter and letter in letters else None
