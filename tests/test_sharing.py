"""The commands that hand on what is stored: report, export, import; and where they write."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doteval.cli import main
from doteval.cli.export import FORMATS, _pieces
from doteval.cli.output import write
from doteval.errors import NotFound, StoreError, UsageError
from doteval.storage import open_store
from doteval.storage.exchange import unchanged
from doteval.views.page import MARK
from tests.stocked import HOSTILE, recorded, right, stock, wrong


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with experiments "base" and "now"."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "argv", ["doteval"])
    (tmp_path / ".doteval").mkdir()
    store = open_store()
    stock(store, "base", [right(0), wrong(1), recorded(2)])
    stock(store, "now", [wrong(0), right(1), right(2, model_response=HOSTILE[6])])
    store.close()
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code of a command, what it wrote to stdout, and to stderr."""
    code = main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


# ------------------------------------------------------------------------- report


def test_report_writes_a_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To report.html; again over its own work."""
    for _ in range(2):
        code, out, err = said(capsys, "report", "now", "now", "--baseline", "base")

        assert (code, err) == (0, "")
        assert out.startswith("wrote report.html (") and out.endswith(" kB)\n")
    source = (folder / "report.html").read_bytes()
    assert source.startswith(MARK) and source.decode().count("<h1>") == 1
    assert sorted(os.listdir(folder)) == [".doteval", "report.html"]


def test_report_leaves_other_files_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless it is forced; an empty one is nobody's work."""
    (folder / "notes.html").write_text("<!doctype html>mine")
    (folder / "empty.html").touch()

    refused = said(capsys, "report", "now", "-o", "notes.html")
    assert refused[0] == 2 and "notes.html exists and is no report" in refused[2]
    assert (folder / "notes.html").read_text() == "<!doctype html>mine"
    assert said(capsys, "report", "now", "-o", "notes.html", "--force")[0] == 0
    assert (folder / "notes.html").read_bytes().startswith(MARK)
    assert said(capsys, "report", "now", "-o", "empty.html")[0] == 0


def test_report_of_nothing_leaves_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file appears whole or not at all."""
    code, _, err = said(capsys, "report", "nobody")

    assert code == 1 and "no experiment 'nobody'" in err
    assert [each.name for each in folder.iterdir()] == [".doteval"]


def test_report_goes_to_standard_output(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """With nothing beside it."""
    assert main(["report", "now", "-o", "-"]) == 0
    out = capfdbinary.readouterr().out

    assert out.startswith(MARK) and out.endswith(b"</html>\n")


# ------------------------------------------------------------------------- export and import


@pytest.mark.parametrize("format", ["jsonl", "csv", "json", "junit", "markdown"])
def test_export_writes_each_format(
    folder: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    """The same to a file and to standard output."""
    _, out, _ = said(capsys, "export", "now", "--format", format)
    code, told, _ = said(capsys, "export", "now", "--format", format, "-o", "x")

    assert code == 0 and told.startswith("wrote x (")
    assert (folder / "x").read_text(encoding="utf-8") == out != ""


def test_export_replaces_nothing_unless_forced(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that was mistyped costs nothing."""
    (folder / "x").write_text("mine")

    code, _, err = said(capsys, "export", "now", "-o", "x")

    assert code == 2 and "x exists; name another file, or say --force" in err
    assert (folder / "x").read_text() == "mine"
    assert said(capsys, "export", "now", "-o", "x", "--force")[0] == 0


def test_import_brings_it_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under its name in another store, under another name in the same."""
    said(capsys, "export", "now", "-o", "now.jsonl")

    assert said(capsys, "import", "now.jsonl", "--storage", "other/x.db")[1] == (
        "imported 'now': 1 evaluation, 3 records\n"
    )
    assert said(capsys, "import", "now.jsonl")[1] == "imported 'now': nothing new\n"
    assert said(capsys, "import", "now.jsonl", "--name", "copy")[0] == 0
    _, ours, _ = said(capsys, "export", "now")
    _, theirs, _ = said(capsys, "export", "now", "--storage", "other/x.db")
    assert theirs == ours
    assert said(capsys, "report", "copy", "--baseline", "now")[0] == 0


def test_import_reads_standard_input(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it can stand at the end of a pipe."""
    _, out, _ = said(capsys, "export", "now")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(out.encode())))

    assert said(capsys, "import", "-", "--name", "piped")[0] == 0


def test_import_tells_what_it_can_not_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is missing, a folder, a file of something else."""
    (folder / "x.jsonl").write_text("{}\n")

    for file, code, reason in (
        ("gone.jsonl", 1, "there is no file gone.jsonl"),
        (".", 2, ". is in no format that is known here"),
        ("x" * 300, 2, "can not be read"),
        ("x.jsonl", 2, "and the logs of deepeval, dotevals, inspect, lm-eval"),
    ):
        got, out, err = said(capsys, "import", file)
        assert (got, out) == (code, "")
        assert reason in err and err.count("\n") == 1


# ------------------------------------------------------------------------- where it goes


def pieces(*texts: str) -> Iterator[str]:
    """A document in pieces; an error where one is empty."""
    for text in texts:
        if not text:
            raise RuntimeError("half way")
        yield text


def test_a_document_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """What was there stays until the new one is complete."""
    file = tmp_path / "x"
    file.write_text("old")

    with pytest.raises(RuntimeError, match="half way"):
        write(pieces("new", ""), str(file), io.StringIO(), force=True)

    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]
    assert write(pieces("né", "w"), str(file), io.StringIO(), force=True) == 4
    assert file.read_text(encoding="utf-8") == "néw"


def test_a_link_is_followed(tmp_path: Path) -> None:
    """The file that it leads to is replaced, not the link."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")

    write(pieces("new"), str(tmp_path / "link"), io.StringIO(), force=True)

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """It can not be replaced by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write(pieces("a", "b"), str(pipe), io.StringIO(), force=False)
    reader.join()

    assert got == ["ab"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    """A folder, one that is missing, a file below a file."""
    (tmp_path / "file").write_text("x")

    for name, reason in (
        (".", "is a folder; name a file in it"),
        ("gone/x", "No such file or directory; check its folder"),
        ("file/x", "Not a directory"),
    ):
        with pytest.raises(UsageError, match=reason):
            write(pieces("a"), str(tmp_path / name), io.StringIO(), force=False)


def test_a_file_that_can_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it may be replaced is not known then."""
    file = tmp_path / "x"
    file.write_text("secret")

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, whatever the mode

    with pytest.raises(UsageError, match="is there and can not be read: Permission denied"):
        write(pieces("a"), str(file), io.StringIO(), force=False)


def test_a_stand_in_for_standard_output_gets_text() -> None:
    """One without bytes below it; what can not be encoded is escaped."""
    out = io.StringIO()

    assert write(pieces("a", "\ud800"), "-", out, force=False) == 7
    assert out.getvalue() == "a\\ud800"


def test_a_large_file_is_counted_in_megabytes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As people do."""
    store = open_store()
    stock(store, "big", [right(0, prompt="x" * 1_500_000)])
    store.close()

    assert said(capsys, "export", "big", "-o", "x")[1] == "wrote x (1.5 MB)\n"


# --------------------------------------------------------- whose experiment changes


def _deleted() -> None:
    assert main(["delete", "long", "--yes"]) == 0


def _replaced() -> None:
    store = open_store()
    store.delete("long")
    stock(store, "long", [right(0)])
    store.close()


def _renamed() -> None:
    assert main(["rename", "long", "other"]) == 0


def _begun_anew() -> None:
    store = open_store()
    stock(store, "long", [right(0)], fresh=True)
    store.close()


@pytest.mark.parametrize("change", [_deleted, _replaced, _renamed, _begun_anew])
@pytest.mark.parametrize("format", FORMATS)
def test_a_document_whose_experiment_changes_has_no_end(
    folder: Path, format: str, change: Callable[[], None]
) -> None:
    """Half an experiment must not look like a whole one: no file, and no last piece in a pipe."""
    store = open_store()
    stock(store, "long", [right(n, model_response="x" * 9_000) for n in range(1_201)])
    whole = list(_pieces(format)(store, "long"))
    told = []

    def pieces() -> Iterator[str]:
        for at, piece in enumerate(unchanged(store, ["long"], _pieces(format)(store, "long"))):
            if at == 0:
                change()
            told.append(piece)
            yield piece

    with pytest.raises((StoreError, NotFound)):
        write(pieces(), "x", io.StringIO(), force=False)

    store.close()
    assert not (folder / "x").exists()
    assert whole[-1] not in told


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_that_goes_on_spoils_no_document(folder: Path, format: str) -> None:
    """What it adds meanwhile is told or not; the document has its end."""
    store = open_store()
    whole = unchanged(store, ["base"], _pieces(format)(store, "base"))
    told = [next(whole)]
    other = open_store()
    stock(other, "base", [right(7)])
    other.close()

    told.extend(whole)

    store.close()
    assert "".join(told).endswith(_END[format])


_END = {
    "jsonl": "}\n",
    "csv": "\n",
    "json": "]}\n",
    "junit": "</testsuites>\n",
    "markdown": "</details>\n",
}
