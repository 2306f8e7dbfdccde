"""
What an answer says, out of the dress that models put it in: reasoning, TeX, Markdown, tags, quotes.

Every pattern here is linear in the length of the answer: no repeat is unbounded where another one
could begin within it.
"""

from __future__ import annotations

import re
from typing import Any

from ..record import EMPTY, Score

_ONLY_REASONING = "there is nothing but reasoning"
_MOST_BITS = 8_192  # of an integer; from about 14,000 on the interpreter refuses to print it


def text_of(result: Any) -> str | None:
    """
    The text of an answer: what clients give for an empty one is the empty text, numbers are
    written out, bytes are UTF-8. None: it is no text.
    """
    if isinstance(result, str):
        return result
    if result is None:
        return ""
    if isinstance(result, (bytes, bytearray)):
        return bytes(result).decode("utf-8", "replace")
    if isinstance(result, float) or (isinstance(result, int) and result.bit_length() <= _MOST_BITS):
        return str(result)
    return None


def unread(
    name: str, metrics: tuple[str, ...], metadata: dict[str, Any], result: Any, problem: str = ""
) -> Score:
    """
    The score of an answer that could not be read, which counts as a wrong one and is told apart.

    Args:
        problem: why; without it, that the answer is empty or no text.
    """
    if not problem:
        kind = type(result).__name__
        problem = f"it reads texts, got {kind}; pass the text of the answer"
    text = text_of(result)
    if text is not None and not text.strip():
        problem = EMPTY
    elif text is not None and not said(text).strip():
        problem = _ONLY_REASONING
    value = False if metrics == ("accuracy",) else 0.0
    return Score(name, value, metrics, {**metadata, "problem": problem}, unread=True)


# --- reasoning -------------------------------------------------------------------------------

# A text and not compiled: that takes 1 ms, and few answers have such a mark.
_THOUGHT = (
    r"(?i)<\s?(/?)(?:[a-z]{0,4}[:_])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|scratch_?pad|analysis"
    r"|reflection|inner_?monologue)(?:\s[^<>\n]{0,200})?>"
    r"|\[(/?)think(?:ing)?\]|\u25c1(/?)think\u25b7|<\|(?:begin|(end))_of_thought\|>"
)
_FINAL_CHANNEL = "<|channel|>final<|message|>"  # as gpt-oss marks what is for the user


def said(text: str) -> str:
    """
    The answer without the reasoning that stands in blocks: `<think>`, `<reasoning>`,
    `<scratchpad>` and their kind, `[THINK]`, and channels that are not the final one.

    A block that is not closed goes on to the end. What is closed and was not opened began in the
    prompt, so everything before it is reasoning.
    """
    if not any(mark in text for mark in "<[\u25c1"):
        return text
    text = text[max(text.rfind(_FINAL_CHANNEL), 0) :].removeprefix(_FINAL_CHANNEL)
    kept: list[str] = []
    depth = at = 0
    for tag in re.finditer(_THOUGHT, text):
        if not any(tag.groups()):
            if not depth:
                kept.append(text[at : tag.start()])
            depth += 1
        elif depth:
            depth -= 1
        else:
            kept.clear()
        at = tag.end()
    return "".join(kept) + ("" if depth else text[at:])


# --- wrappers --------------------------------------------------------------------------------

MARK, END_MARK = "\x02", "\x03"  # what an answer is put between where it was marked as one
_BRACES = re.compile(r"\\(?:boxed|fbox|framebox)\s?\{|\\[{}]|[{}]")
_ANSWER_TAG = re.compile(
    r"<(/?)(?:(?:final|correct|my)[_ ]?)?(?:answer|choice|option|solution|result)>", re.IGNORECASE
)


def boxed(text: str) -> list[tuple[int, int, int]]:
    r"""Start, content and end of each `\boxed{…}` that is within no other one, in their order."""
    found: list[tuple[int, int, int]] = []
    opened: list[tuple[int, int]] = []  # start and content of each brace; start is -1 without a box
    boxes = 0
    for brace in _BRACES.finditer(text):
        if brace[0] == "{":
            opened.append((-1, 0))
        elif len(brace[0]) > 2:
            opened.append(brace.span())
            boxes += 1
        elif brace[0] == "}" and opened:
            start, content = opened.pop()
            if start >= 0:
                boxes -= 1
                if not boxes:
                    found.append((start, content, brace.start()))
    return found


def marked(text: str) -> str:
    r"""The text with marks around what stands in `\boxed{…}` and `<answer>…</answer>`."""
    spans = [(start, content, end, end + 1) for start, content, end in boxed(text)]
    opening = None
    for tag in _ANSWER_TAG.finditer(text):
        if not tag[1]:
            opening = tag
        elif opening is not None:
            spans.append((*opening.span(), *tag.span()))
            opening = None
    parts, at = [], 0
    for start, content, end, after in sorted(spans):
        if start >= at:  # else it stands within another one
            parts += [text[at:start], MARK, text[content:end], END_MARK]
            at = after
    return "".join(parts) + text[at:]


_TEX = re.compile(
    r"\\(?:text(?:bf|it|rm|tt|sf|sc|normal)?|math(?:bf|rm|it|sf|tt|bb|cal)|mbox|boxed|fbox|framebox"
    r"|operatorname|left|right|displaystyle|textstyle|[()\[\]])(?![a-z])\*?|[{}$]"
)
_TEX_BLANK = re.compile(r"\\(?:q?quad(?![a-z])|[,;:!\s])")
_TAG = re.compile(r"</?[A-Za-z][\w:-]{0,30}(?:\s[^<>\n]{0,200})?/?>|<\|[\w]{1,30}\|>|</s>")
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
_LINE = re.compile(r"^[ \t]*(?:(?:#{1,6}|>|[-+\u2022\u25cf])[ \t]+|#{3,6})", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<![^\W_])_{1,3}|_{1,3}(?![^\W_])")  # and not what joins a name
_QUOTES = str.maketrans("", "", '*`~"\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f')
_CONTROLS = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")


def plain(text: str) -> str:
    """
    The answer without TeX, Markdown, tags and quotes, in compatible characters (NFKC): what is
    full-width, bold or in a circle becomes the letter that it is.
    """
    if not text.isascii():
        import unicodedata  # 1 MB of tables, needed only for text that is not ASCII

        text = _CONTROLS.sub("", unicodedata.normalize("NFKC", text))
    text = _TEX_BLANK.sub(" ", text)
    for pattern in (_STRUCK, _TEX, _TAG, _LINE, _EMPHASIS):
        text = pattern.sub("", text)
    return text.translate(_QUOTES)


# --- fences ----------------------------------------------------------------------------------

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*([\w+-]*)[^\n`]*$", re.MULTILINE)


def fenced(text: str) -> list[tuple[str, str]]:
    """(language, content) of each block between ``` or ~~~; the last one may be open."""
    marks = list(_FENCE.finditer(text))
    return [
        (
            opening[1].lower(),
            text[opening.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)],
        )
        for at, opening in enumerate(marks)
        if at % 2 == 0
    ]
