"""
Evaluators that compare texts, and the choice that a text makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..errors import UsageError
from ..records import Score
from .making import ACCURACY, SHARE, brief, text_of


def exact_match(result: Any, expected: Any, *, name: str | None = None) -> Score:
    """Whether both are equal, to the last blank and the case of each letter."""
    metadata = brief({"result": result, "expected": expected})
    return Score(name or "exact_match", _equal(result, expected), ACCURACY, metadata)


def _equal(result: Any, expected: Any) -> bool:
    """Whether both are equal; what can not be compared is not."""
    try:
        return bool(result == expected)
    except (TypeError, ValueError, RecursionError):  # arrays; nested too deeply
        return False


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
    metadata = brief({"result": result, "expected": expected})
    text = text_of(result)
    if text is None:
        return _no_text(name or "contains", False, ACCURACY, metadata, result)
    found = expected.casefold() in text.casefold() if ignore_case else expected in text
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
    metadata = brief({"result": result, "pattern": compiled.pattern})
    text = text_of(result)
    if text is None:
        return _no_text(name or "regex_match", False, ACCURACY, metadata, result)
    return Score(name or "regex_match", compiled.search(text) is not None, ACCURACY, metadata)


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
    found = any(_equal(result, each) for each in accepted)
    return Score(name or "one_of", found, ACCURACY, metadata)


_LONGEST_COMPARED = 20_000  # characters; prose of this length takes 0.2 s
_MOST_COMPARED = 2_000_000  # characters looked at, as often as they are: under a second


def similarity(result: str | None, expected: str, *, name: str | None = None) -> Score:
    """
    How alike two texts are, 0 to 1: twice the matching characters over all characters. Where
    several pieces are the longest the first of the answer counts, so the order may matter.

    Of longer texts the first 20,000 characters are compared, which the metadata say. Texts that
    share a great many short pieces are compared until two million characters were looked at; the
    pieces found by then are the longest ones.

    Raises:
        UsageError: expected is no text.

    Source: Ratcliff & Metzener (1988), as `difflib.SequenceMatcher` has it, found with a suffix
    automaton (Blumer et al., 1985), which does not take the product of the lengths.
    """
    if not isinstance(expected, str):
        raise UsageError(f"similarity(): expected a text, got {type(expected).__name__}")
    metadata = brief({"result": result, "expected": expected})
    text = text_of(result)
    if text is None:
        return _no_text(name or "similarity", 0.0, SHARE, metadata, result)
    if max(len(text), len(expected)) > _LONGEST_COMPARED:
        metadata["compared"] = f"the first {_LONGEST_COMPARED:,} characters"
        text, expected = text[:_LONGEST_COMPARED], expected[:_LONGEST_COMPARED]
    of = len(text) + len(expected)
    ratio = 2 * _matching(text, expected) / of if of else 1.0
    return Score(name or "similarity", ratio, SHARE, metadata)


def _matching(one: str, other: str) -> int:
    """How many characters match: those of the longest common piece, and so on beside it."""
    from collections import deque

    total = seen = 0
    parts = deque([(one, other)])
    while parts and seen < _MOST_COMPARED:
        left, right = parts.popleft()
        if left and right:
            seen += len(left) + len(right)
            i, j, size = _longest_common(left, right)
            if size:
                total += size
                parts += (left[:i], right[:j]), (left[i + size :], right[j + size :])
    return total


def _longest_common(one: str, other: str) -> tuple[int, int, int]:
    """
    Where the longest common piece begins in both, and its length; of several that which begins
    first in one, and there first in other.
    """
    # The suffix automaton of other: for each state its transitions, the length of its longest
    # text, the state of its next shorter suffix, and where that text first ends.
    steps: list[dict[str, int]] = [{}]
    length, suffix, end = [0], [-1], [-1]
    last = 0
    for at, char in enumerate(other):
        state, last = last, len(steps)
        steps.append({})
        length.append(at + 1)
        suffix.append(0)
        end.append(at)
        while state >= 0 and char not in steps[state]:
            steps[state][char] = last
            state = suffix[state]
        if state < 0:
            continue
        known = steps[state][char]
        if length[known] > length[state] + 1:  # it is split: the shorter texts get their own
            split = len(steps)
            steps.append(steps[known].copy())
            length.append(length[state] + 1)
            suffix.append(suffix[known])
            end.append(end[known])
            suffix[known] = split
            while state >= 0 and steps[state].get(char) == known:
                steps[state][char] = split
                state = suffix[state]
            known = split
        suffix[last] = known
    state = size = best = best_at = best_in = 0
    for at, char in enumerate(one):
        while state and char not in steps[state]:
            state = suffix[state]
            size = length[state]
        if char not in steps[state]:
            continue
        state, size = steps[state][char], size + 1
        if size > best:
            best, best_at, best_in = size, at, end[state]
    return best_at - best + 1, best_in - best + 1, best


def f1(result: str | None, expected: str | Iterable[str], *, name: str | None = None) -> Score:
    """
    Overlap of the words of two texts, 0 to 1, without case, punctuation and English articles.

    Args:
        expected: one text or several that are accepted; the best of them counts.

    Returns:
        A score with the harmonic mean of precision and recall. Where either text has no words
        left it is 1.0 if neither has, else 0.0.

    Raises:
        UsageError: expected is no text, nor a list of some.

    Source: Rajpurkar et al. (2016), SQuAD; for texts without words SQuAD 2.0 (2018).
    """
    alone = isinstance(expected, str) or not isinstance(expected, Iterable)
    accepted: list[Any] = [expected] if alone else list(expected)
    if not accepted or not all(isinstance(each, str) for each in accepted):
        raise UsageError(f"f1(): expected a text, or a list with at least one, got {expected!r}")
    metadata = brief({"result": result, "expected": accepted})
    text = text_of(result)
    if text is None:
        return _no_text(name or "f1", 0.0, SHARE, metadata, result)
    words = _words(text)
    value = max(_overlap(words, _words(each)) for each in accepted)
    return Score(name or "f1", value, SHARE, metadata)


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


def _no_text(
    name: str, value: bool | float, metrics: tuple[str, ...], metadata: dict[str, Any], result: Any
) -> Score:
    """The score of an answer that is no text."""
    kind = type(result).__name__
    metadata["problem"] = f"it compares texts, got {kind}; pass the text of the answer"
    return Score(name, value, metrics, metadata, unread=True)


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
    metadata = brief({"result": result, "expected": expected})
    text = text_of(result)
    if text is None:
        return _no_text(name or "choice_match", False, ACCURACY, metadata, result)
    choice = metadata["choice"] = _choice_in(text, letters)
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
