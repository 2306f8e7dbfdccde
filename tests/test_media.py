"""Values as text, in which bytes are what they are."""

from __future__ import annotations

import os
import struct
from base64 import b64encode, encodebytes, urlsafe_b64encode

import pytest

from doteval.record import Failure, Record, Result, Score
from doteval.reporting.details import failure_lines, record_lines
from doteval.views.media import as_text, blobs, brief, named
from doteval.views.terminal import Terminal

REST = os.urandom(2_000)


def riff(kind: bytes, chunk: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 1_000) + kind + chunk + REST


def le3(number: int) -> bytes:
    return number.to_bytes(3, "little")


EXIF = b"\xff\xe1" + struct.pack(">H", 60_000) + bytes(59_998)
HUFFMAN = b"\xff\xc4\x00\x04\x00\x00"
FRAME = b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", 480, 640)
SIZED = {
    "png 640×480": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 640, 480) + REST,
    "gif 640×480": b"GIF89a" + struct.pack("<HH", 640, 480) + REST,
    "jpeg 640×480": b"\xff\xd8" + EXIF + HUFFMAN + FRAME + REST,
    "webp 640×480": riff(b"WEBP", b"VP8X" + bytes(8) + le3(639) + le3(479)),
    "webp 640×480 ": riff(b"WEBP", b"VP8L" + bytes(5) + struct.pack("<I", 639 | 479 << 14)),
    "webp 640×480  ": riff(b"WEBP", b"VP8 " + bytes(10) + struct.pack("<HH", 640, 480)),
    "jpeg": b"\xff\xd8\xff\x00" + bytes(200),
    "png": b"\x89PNG\r\n\x1a\n" + REST,
    "wav": riff(b"WAVE", b"fmt "),
    "mp3": b"\xff\xfb" + REST,
    "mp3 ": b"ID3\x04" + REST,
    "pdf": b"%PDF-1.7" + REST,
    "bytes": b"\x00\xf0\x9f" + REST,
}


def base64(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize(("kind", "data"), SIZED.items())
def test_bytes_are_what_they_are_wherever_they_stand(kind: str, data: bytes) -> None:
    """In an answer, an address, a message, a row, over several lines, before they are stored."""
    size = f"{len(data) / 1000:.1f} kB" if len(data) > 999 else f"{len(data)} bytes"
    told = f"<{kind.strip()}, {size}>"
    part = {"type": "input", "data": base64(data)}

    assert named(f"Look: {base64(data)} there") == f"Look: {told} there"
    assert named(f"![](data:application/octet-stream;base64,{base64(data)})") == f"![]({told})"
    assert as_text([part]) == f'[{{"type": "input", "data": "{told}"}}]'
    assert as_text({"image": {"base64": base64(data)}}) == f'{{"image": {told}}}'
    assert as_text({"image": {"base64": base64(data)}}, indent=2) == f'{{\n  "image": {told}\n}}'
    assert as_text({"image": data}) == f'{{"image": "{told}"}}'
    assert max(map(len, named(f"{encodebytes(data).decode()}\nyes").split())) < 16
    assert named(urlsafe_b64encode(data).decode()) == told


def test_an_address_says_what_it_holds() -> None:
    """Where the bytes themselves do not; also one that is no base64."""
    assert named(f"data:image/svg+xml;charset=utf-8;base64,{base64(b'<svg>' * 20)}") == (
        "<svg, 100 bytes>"
    )
    assert named("data:image/svg+xml;utf8," + "%3Csvg" * 20) == "<svg, 120 bytes>"
    assert named(f"data:audio/mpeg;base64,{base64(bytes(100))}") == "<mp3, 100 bytes>"
    assert named(f"data:;base64,{base64(bytes(100))}") == "<100 bytes>"


@pytest.mark.parametrize(
    "whole",
    [
        "",
        "a" * 64,
        "0123456789abcdef" * 20,
        "x" * 10_000,
        "-" * 500,
        "https://example.com/" + "a-long-path/of-Words/1" * 30,
        "sk-" + "abC3" * 20,
        base64("ein Text, den jemand verschlüsselt hat ".encode() * 20),
        "data:image/png",
        "RIFF" * 40,
    ],
)
def test_what_is_no_bytes_stays(whole: str) -> None:
    """Hashes, keys, paths, rules, long words, and base64 of a text, which is a task of its own."""
    assert named(whole) == whole


def test_a_beginning_costs_no_more_than_itself() -> None:
    """It is cut where it is told to, and an image in it is counted as a whole."""
    whole = f"see {base64(SIZED['gif 640×480'])} and {'words ' * 100_000}"

    assert as_text(whole, limit=40) == "see <gif 640×480, 2.0 kB> and words words"[:40]
    assert as_text("abc", limit=2) == "ab"
    assert list(blobs(f"{'w/.' * 30} {base64(REST)}", limit=10)) == []
    assert brief({"a": bytes(5)}, 40) == '{"a": "<5 bytes>"}'
    assert brief("word " * 100, 10) == "word word…"
    assert as_text({"a": {1}}) == '{"a": "{1}"}'


@pytest.mark.parametrize("outcome", ["result", "failure"])
def test_no_base64_reaches_a_terminal(outcome: str) -> None:
    """Whatever part of a record it stands in; ASCII where the terminal has no more."""
    image = base64(SIZED["png 640×480"])
    result = Result(Score("ok", True), prompt=[{"role": "user", "content": image}],
                    model_response=image, metadata={"seen": image})  # fmt: skip
    failed = Failure("BadRequest", f"can not read {image}", "", result)
    record = Record(key=b"k", position=0, repeat=0, row={"scan": {"base64": image}},
                    outcome=result if outcome == "result" else failed, started=0.0, duration=0.1,
                    waited=0.0, attempts=1, concurrency=1)  # fmt: skip
    lines = [*record_lines(record, Terminal(width=80, unicode=False, encoding="ascii"))]
    lines += failure_lines(record, Terminal(width=80)) if outcome == "failure" else []

    assert "iVBOR" not in "".join(lines)
    assert "<png 640x480, 2.0 kB>" in "".join(lines)
