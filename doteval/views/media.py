"""
Values as text, in which bytes are what they are: "<png 640×480, 200 kB>" in place of their base64.

What is stored keeps them; here they are only looked at, and no more of them is decoded than tells
what they are.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Iterator
from typing import NamedTuple

from ..text import one_line
from .figures import size

PICTURES = ("png", "jpeg", "gif", "webp")  # what a browser shows, and an answer may well hold

_SHORTEST = 60  # characters of base64 that are taken for bytes where nothing says so; a hash has 64
_UNKNOWN = 200  # the same of a kind that is not known, as names and tokens may be long
_HEAD = 350_000  # characters that are decoded of a JPEG, whose size stands behind its metadata
_LINE = r"[A-Za-z0-9+/_-]"  # and what stands for two of them in addresses (RFC 4648, 5)
_BASE64 = (
    rf"{_LINE}{{%s,}}(?:(?:\r?\n|\\r\\n|\\n){_LINE}{{{_SHORTEST},}})*"
    rf"(?:(?:\r?\n|\\r\\n|\\n){_LINE}{{1,76}}={{1,2}}"
    rf"|(?:\r?\n|\\r\\n|\\n)(?:{_LINE}{{4}}){{4,18}}(?=[\r\n\\\"]|$))?={{0,2}}"
)
_TYPE = r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;(?!base64,)[\w.+-]+(?:=[\w.+\"-]+)?)*"
# An address that says so, our own form of bytes, and base64 that stands alone.
_BYTES = re.compile(
    rf"{_TYPE};base64,(?P<told>{_BASE64 % 1})"
    rf"|{_TYPE.replace('type', 'other')},(?P<quoted>[^\s\"'<>()\\]{{{_SHORTEST},}})"
    r"|\{\s*\"base64\":\s*\"(?P<own>[A-Za-z0-9+/=]*)\"\s*\}"
    rf"|(?<!{_LINE})(?P<bare>{_BASE64 % _SHORTEST})"
)
_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"%PDF-": "pdf",
    b"ID3": "mp3",
    b"OggS": "ogg",
    b"fLaC": "flac",
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gzip",
}
_STANDARD = str.maketrans("-_", "+/")
_NAMES = {"mpeg": "mp3", "x-wav": "wav", "jpg": "jpeg", "octet-stream": "bytes", "plain": "text"}


class Blob(NamedTuple):
    """
    Bytes in a text.

    Attributes:
        start, end: where they stand in it.
        kind: png, jpeg, gif, webp, wav, mp3, pdf and the like; "bytes" where it is not known.
        pixels: (width, height) of a picture; None where it is none, or does not say.
        size: how many bytes there are.
        base64: of pictures, so that they can be shown; "" of all else.
    """

    start: int
    end: int
    kind: str
    pixels: tuple[int, int] | None
    size: int
    base64: str

    def told(self, unicode: bool = True) -> str:
        """ "<png 640×480, 200 kB>"; "<12 bytes>" where nothing else is known."""
        between = "×" if unicode else "x"
        kind = f"{self.kind} {between.join(map(str, self.pixels))}" if self.pixels else self.kind
        many = size(self.size)
        return f"<{many}>" if kind == "bytes" and many.endswith("bytes") else f"<{kind}, {many}>"


def as_text(
    value: object, indent: int | None = None, limit: int | None = None, unicode: bool = True
) -> str:
    """
    A text as it is, anything else as JSON, and bytes in it as what they are.

    Args:
        indent: blanks for each level of JSON over several lines; None: on one.
        limit: characters to look at for bytes, and of the outcome; None: all.
        unicode: whether "×" can be shown.
    """
    return named(written(value, indent), limit, unicode)


def brief(value: object, width: int) -> str:
    """The beginning of a value on one line, within so many columns of a terminal."""
    return one_line(as_text(value, limit=4 * width + 17), width)  # one more than is looked at


def written(value: object, indent: int | None = None) -> str:
    """A text as it is, anything else as JSON; what was stored is always JSON-like."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)  # as JSON has it, without making an encoder
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_other)


def _other(value: object) -> object:
    """What JSON does not know: of a row that is not stored yet."""
    if isinstance(value, (bytes, bytearray)):
        return _blob(0, 0, value[:_HEAD], len(value), "").told()
    return str(value)


def named(whole: str, limit: int | None = None, unicode: bool = True) -> str:
    """The text with a note in place of bytes; cut to so many characters."""
    told, at = "", 0
    for blob in blobs(whole, limit):
        told += whole[at : blob.start] + blob.told(unicode)
        at = blob.end
    rest = whole if not at else whole[at:] if limit is None else whole[at : at + limit]
    return told + rest if limit is None else (told + rest[:limit])[:limit]


def blobs(whole: str, limit: int | None = None) -> Iterator[Blob]:
    """
    The bytes in a text, in their order.

    Args:
        limit: where they may begin at most.
    """
    start = whole if limit is None else whole[: limit + _SHORTEST]
    # Of 60 characters of base64 30 that begin at a multiple of 30 are among them, without a blank.
    half, ends = _SHORTEST // 2, len(start) - _SHORTEST // 2 + 1
    if '"base64"' not in start and all(" " in start[at : at + half] for at in range(0, ends, half)):
        return  # most texts, for a tenth of what a search costs
    for found in _BYTES.finditer(whole):
        if limit is not None and found.start() > limit:
            return
        if blob := _found(found):
            yield blob


def _found(found: re.Match[str]) -> Blob | None:
    start, end = found.span()
    if (quoted := found["quoted"]) is not None:
        return Blob(start, end, _of_type(found["other"]), None, len(quoted), "")
    data = next(each for each in (found["told"], found["own"], found["bare"]) if each is not None)
    data = re.sub(r"\\r|\\n|\s", "", data) if "\n" in data or "\\" in data else data
    data = data.translate(_STANDARD)
    digits = len(data.rstrip("="))
    known = min(digits, _HEAD)
    known -= known % 4 == 1  # a text that was cut
    head = a2b_base64(data[:known] + "==")
    blob = _blob(start, end, head, digits * 3 // 4, data)
    if blob.kind != "bytes":
        return blob
    if found["bare"] is not None and not _is_binary(data, head):
        return None
    return blob._replace(kind=_of_type(found["type"]))


def _blob(start: int, end: int, head: bytes | bytearray, many: int, data: str) -> Blob:
    head = bytes(head)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "bytes")
    if head[:4] == b"RIFF":
        kind = {b"WEBP": "webp", b"WAVE": "wav"}.get(head[8:12], "bytes")
    elif head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        kind = "mp3"
    pixels = _PIXELS[kind](head) if kind in _PIXELS else None
    pixels = pixels if pixels and all(pixels) else None
    return Blob(start, end, kind, pixels, many, data if kind in PICTURES else "")


def _is_binary(data: str, head: bytes) -> bool:
    """Whether what stands alone is base64 of bytes rather than a long word, or base64 of a text."""
    start = data[:_UNKNOWN]  # two in five are capitals; of a path hardly one is
    return (
        len(start) == _UNKNOWN
        and sum(map(str.isupper, start)) >= _UNKNOWN / 10
        and any(map(str.islower, start))
        and any(map(str.isdigit, start))
        and any(byte < 9 or 13 < byte < 32 for byte in head)
    )


def _of_type(mime: str | None) -> str:
    """What a media type says in a word: "svg" of "image/svg+xml"."""
    sub = (mime or "/octet-stream").partition("/")[2].partition("+")[0].rpartition(".")[2]
    return _NAMES.get(sub, sub)


def _of_png(head: bytes) -> tuple[int, int] | None:
    return (_big(head[16:20]), _big(head[20:24])) if head[12:16] == b"IHDR" else None


def _of_gif(head: bytes) -> tuple[int, int] | None:
    return _little(head[6:8]), _little(head[8:10])


def _of_webp(head: bytes) -> tuple[int, int] | None:
    if head[12:16] == b"VP8X":
        return _little(head[24:27]) + 1, _little(head[27:30]) + 1
    if head[12:16] == b"VP8L":
        bits = _little(head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF


def _of_jpeg(head: bytes) -> tuple[int, int] | None:
    """From the start of its frame, behind segments that say how long they are (T.81, B.1.1.4)."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        if 0xC0 <= head[at + 1] <= 0xCF and head[at + 1] not in (0xC4, 0xC8, 0xCC):
            return _big(head[at + 7 : at + 9]), _big(head[at + 5 : at + 7])
        at += 2 + _big(head[at + 2 : at + 4])
    return None


def _big(part: bytes) -> int:
    return int.from_bytes(part, "big")


def _little(part: bytes) -> int:
    return int.from_bytes(part, "little")


_PIXELS = {"png": _of_png, "gif": _of_gif, "webp": _of_webp, "jpeg": _of_jpeg}
