"""
Evaluators that compare texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from ..errors import UsageError
from ..record import DIFFERING, Score
from .answers import text_of, unread
from .making import ACCURACY, SHARE, brief

Patterns = Iterable["str | re.Pattern[str]"]

# --- what is left out of a comparison --------------------------------------------------------

_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_ASCII_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_APOSTROPHES = "\u2018\u2019\u02bc\u2032\uff07"
_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)  # also beside what is not ASCII
_TYPED = str.maketrans(  # what people type for what printers set
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u200b\u2060\ufeff\u00ad", ""),
    }
)


@lru_cache(maxsize=64)
def _without(
    strip: bool,
    ignore_case: bool,
    ignore_punctuation: bool,
    ignore_articles: bool,
    normalize: Any,
    ignore: tuple[str | re.Pattern[str], ...],
) -> Callable[[str], str] | None:
    """A function that makes a text what it is compared as; None where it stays as it is."""
    if normalize not in (None, *_FORMS):
        raise UsageError(f"normalize={normalize!r}: expected one of {', '.join(_FORMS)}, or None")
    try:
        patterns = [re.compile(pattern) for pattern in ignore]
    except (re.error, TypeError) as error:
        raise UsageError(
            f"ignore={list(ignore)!r}: expected regular expressions: {error}"
        ) from error
    if not (strip or ignore_case or ignore_punctuation or ignore_articles or normalize or ignore):
        return None

    def reduced(text: str) -> str:
        for pattern in patterns:
            text = pattern.sub("", text)
        if normalize is not None and not text.isascii():
            if "K" in normalize:
                text = text.translate(_TYPED)
            import unicodedata  # see _unpunctuated

            text = unicodedata.normalize(normalize, text)
        if ignore_case:
            text = text.casefold()
        if ignore_punctuation:
            text = _unpunctuated(text)
        if ignore_articles:
            text = _ARTICLES.sub(" ", text)
        if ignore_punctuation or ignore_articles:
            text = " ".join(text.split())
        return text.strip() if strip else text

    return reduced


_NO_PUNCTUATION = str.maketrans("", "", _ASCII_PUNCTUATION + _APOSTROPHES)


def _unpunctuated(text: str) -> str:
    """
    The text without punctuation: that of ASCII goes, as in SQuAD; other punctuation ends a word.
    """
    text = text.translate(_NO_PUNCTUATION)
    if text.isascii():
        return text
    import unicodedata  # 1 MB of tables, needed only for text that is not ASCII

    return "".join(" " if unicodedata.category(char)[0] == "P" else char for char in text)


# --- evaluators ------------------------------------------------------------------------------


def exact_match(
    result: Any,
    expected: Any,
    *,
    strip: bool = False,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_articles: bool = False,
    normalize: str | None = None,
    ignore: Patterns = (),
    name: str | None = None,
) -> Score:
    """
    Whether both are equal; without options to the last blank and the case of each letter.

    Args:
        strip: without blanks at either end.
        ignore_case: without upper and lower case, in all scripts.
        ignore_punctuation: without punctuation, in all scripts.
        ignore_articles: without the English articles.
        normalize: a Unicode form: "NFC" or "NFD" for one text in other code points, "NFKC" or
            "NFKD" also for other widths, blanks, quotes and dashes.
        ignore: regular expressions; what they match is left out first.

    Raises:
        UsageError: normalize is no such form, or ignore has what is no regular expression.
    """
    metadata = brief({"result": result, "expected": expected})
    reduced = _without(
        strip,
        ignore_case,
        ignore_punctuation,
        ignore_articles,
        normalize,
        _patterns(ignore) if ignore else (),
    )
    if type(result) is type(expected) is str:  # nearly always: at every row, and quick
        same = result == expected if reduced is None else reduced(result) == reduced(expected)
        if same or result.strip():
            return Score(name or "exact_match", same, ACCURACY, metadata)
    same = _equal(result, expected, reduced)
    if not same and type(result) is not type(expected) and _differ(result, (expected,)):
        metadata["problem"] = f"{DIFFERING}: {_kind(result)} and {_kind(expected)}"
    return _scored(name or "exact_match", same, ACCURACY, metadata, result)


def one_of(
    result: Any,
    expected: Iterable[Any],
    *,
    strip: bool = False,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_articles: bool = False,
    normalize: str | None = None,
    ignore: Patterns = (),
    name: str | None = None,
) -> Score:
    """
    Whether the answer equals one of several that are accepted; the options are `exact_match`'s.

    Raises:
        UsageError: expected is a text, whose letters are hardly meant, or is empty.
    """
    alone = isinstance(expected, (str, bytes)) or not isinstance(expected, Iterable)
    accepted = [] if alone else list(expected)
    if not accepted:
        raise UsageError(f"one_of(): expected a list of accepted answers, got {expected!r}")
    metadata = brief({"result": result, "expected": accepted})
    reduced = _without(
        strip,
        ignore_case,
        ignore_punctuation,
        ignore_articles,
        normalize,
        _patterns(ignore) if ignore else (),
    )
    found = any(_equal(result, each, reduced) for each in accepted)
    if not found and _differ(result, accepted):
        metadata["problem"] = f"{DIFFERING}: {_kind(result)} and {_kind(accepted[0])}"
    return _scored(name or "one_of", found, ACCURACY, metadata, result)


def contains(
    result: Any,
    expected: str,
    *,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_articles: bool = False,
    normalize: str | None = None,
    ignore: Patterns = (),
    name: str | None = None,
) -> Score:
    """
    Whether the expected text stands anywhere in the answer; the options are `exact_match`'s.

    Raises:
        UsageError: expected is empty, or nothing is left of it: it would be found in everything.
    """
    if not isinstance(expected, str) or not expected:
        raise UsageError(f"contains(): expected a text that is not empty, got {expected!r}")
    metadata = brief({"result": result, "expected": expected})
    text = text_of(result)
    if text is None:
        return unread(name or "contains", ACCURACY, metadata, result)
    reduced = _without(
        False,
        ignore_case,
        ignore_punctuation,
        ignore_articles,
        normalize,
        _patterns(ignore) if ignore else (),
    )
    if reduced is not None:
        text, expected = reduced(text), reduced(expected)
        if not expected:
            raise UsageError("contains(): of the expected text the options leave nothing")
    return _scored(name or "contains", expected in text, ACCURACY, metadata, result)


def regex_match(
    result: Any, pattern: str | re.Pattern[str], *, flags: int = 0, name: str | None = None
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
        return unread(name or "regex_match", ACCURACY, metadata, result)
    found = compiled.search(text) is not None
    return _scored(name or "regex_match", found, ACCURACY, metadata, result)


def _patterns(ignore: Patterns) -> tuple[str | re.Pattern[str], ...]:
    return (ignore,) if isinstance(ignore, (str, re.Pattern)) else tuple(ignore)


def _equal(result: Any, expected: Any, reduced: Callable[[str], str] | None) -> bool:
    """Whether both are equal; what can not be compared is not."""
    if reduced is not None and isinstance(result, str) and isinstance(expected, str):
        return reduced(result) == reduced(expected)
    try:
        return bool(result == expected)
    except (TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError):  # such as arrays
        return False


def _differ(result: Any, expected: Iterable[Any]) -> bool:
    """Whether the answer is of another type than all that is expected, so that none can match."""
    return result is not None and all(_kind(result) != _kind(each) for each in expected)


def _kind(value: Any) -> str:
    """The type of a value; numbers are of one type, and so are sequences."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    if isinstance(value, (list, tuple)):
        return "list"
    return "text" if isinstance(value, str) else type(value).__name__


def _scored(
    name: str, value: bool | float, metrics: tuple[str, ...], metadata: dict[str, Any], result: Any
) -> Score:
    """The score of a comparison; unread where the answer is empty and that is not right."""
    if not value and (result is None or (isinstance(result, str) and not result.strip())):
        return unread(name, metrics, metadata, result)
    return Score(name, value, metrics, metadata)


# --- likeness --------------------------------------------------------------------------------

_LONGEST_COMPARED = 20_000  # characters; prose of this length takes 0.2 s
_MOST_COMPARED = 2_000_000  # characters looked at, as often as they are: under a second


def similarity(result: str | None, expected: str, *, name: str | None = None) -> Score:
    """
    How alike two texts are, 0 to 1: twice the matching characters over all characters. Which of
    both is the answer does not matter: where several pieces are the longest, the first one of the
    shorter text counts.

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
        return unread(name or "similarity", SHARE, metadata, result)
    if max(len(text), len(expected)) > _LONGEST_COMPARED:
        metadata["compared"] = f"the first {_LONGEST_COMPARED:,} characters"
        text, expected = text[:_LONGEST_COMPARED], expected[:_LONGEST_COMPARED]
    of = len(text) + len(expected)
    ratio = 2 * _matching(*sorted((text, expected), key=_first)) / of if of else 1.0
    return _scored(name or "similarity", ratio, SHARE, metadata, result)


def _first(text: str) -> tuple[int, str]:
    return len(text), text


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


def f1(
    result: Any,
    expected: str | Iterable[str],
    *,
    ignore_case: bool = True,
    ignore_punctuation: bool = True,
    ignore_articles: bool = True,
    normalize: str | None = None,
    ignore: Patterns = (),
    name: str | None = None,
) -> Score:
    """
    Overlap of the words of two texts, 0 to 1, without case, punctuation and English articles.

    Where a script has no blanks between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese,
    Tibetan), each of its characters is a word. The options are `exact_match`'s.

    Args:
        expected: one text or several that are accepted; the best of them counts. Those without
            words count only where no other one is left.

    Returns:
        A score with the harmonic mean of precision and recall. Where neither text has words left
        it is 1.0, where one has none 0.0.

    Raises:
        UsageError: expected is no text, nor a list of some.

    Source: Rajpurkar et al. (2016), SQuAD; for texts without words SQuAD 2.0 (2018); characters
    as words as in MLQA (Lewis et al., 2020).
    """
    alone = isinstance(expected, str) or not isinstance(expected, Iterable)
    accepted: list[Any] = [expected] if alone else list(expected)
    if not accepted or not all(isinstance(each, str) for each in accepted):
        raise UsageError(f"f1(): expected a text, or a list with at least one, got {expected!r}")
    metadata = brief({"result": result, "expected": accepted})
    text = text_of(result)
    if text is None:
        return unread(name or "f1", SHARE, metadata, result)
    reduced = _without(
        True,
        ignore_case,
        ignore_punctuation,
        ignore_articles,
        normalize,
        _patterns(ignore) if ignore else (),
    )
    assert reduced is not None  # it strips at least
    words = _words(reduced(text))
    others = [_words(reduced(each)) for each in accepted]
    value = max(_overlap(words, each) for each in [each for each in others if each] or [[]])
    return _scored(name or "f1", value, SHARE, metadata, result)


# A text and not compiled: that takes 2 ms, and only answers in such scripts need it.
_WITHOUT_BLANKS = (
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)


def _words(text: str) -> list[str]:
    return text.split() if text.isascii() else re.sub(_WITHOUT_BLANKS, r" \g<0> ", text).split()


def _overlap(words: list[str], others: list[str]) -> float:
    from collections import Counter

    if not words or not others:
        return float(words == others)
    common = (Counter(words) & Counter(others)).total()
    return 2 * common / (len(words) + len(others))
