"""A store that is a folder of JSON Lines: all that a storage plugin must write."""

import json
import os
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path

from doteval.errors import Busy
from doteval.record import SUPERSEDED, Run, Stored
from doteval.storage.backend import Line
from doteval.storage.claims import Claims


class FolderStore:
    """
    A journal for each evaluation, whose lines are only added: runs as they begin and end, and what
    they add. Whoever asks reads it from its beginning.
    """

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.claims = Claims(folder / "lock")
        self.begun = []  # by number: experiment and evaluation, and the claim

    def begin(self, run, part):
        claim = self.claims.make(run, part)
        if claim is None:
            raise Busy(f"{run.evaluation} of experiment {run.experiment!r} is being run")
        of = run.experiment, run.evaluation
        self._write(of, {"of": of, "run": asdict(run), "part": part})
        self.begun.append((of, claim, part))
        return len(self.begun) - 1

    def stored(self, number, after, limit):
        lines, _ = self._read(self.begun[number][0])
        rows = [line.stored for line in lines[after:] if line.stored]
        return [row for row in rows if row.state != SUPERSEDED][:limit]

    def add(self, number, lines, states):
        told = [(line.text, line.stored and _plain(line.stored)) for line in lines]
        self._write(self.begun[number][0], {"lines": told, "states": states})

    def end(self, number, run):
        of, claim, part = self.begun[number]
        self._write(of, {"of": of, "run": asdict(run), "part": part})
        self.claims.give_back(claim)

    def names(self):
        found = []
        for journal in self.folder.glob("*.jsonl"):
            first = json.loads(journal.read_text().partition("\n")[0])
            found.append((*first["of"], first["run"]["started"]))
        return sorted(found, key=lambda each: each[2])

    def runs(self, experiment, evaluation):
        return self._read((experiment, evaluation))[1]

    def records(self, experiment, evaluation):
        return self._read((experiment, evaluation))[0]

    def delete(self, experiment):
        gone = 0
        for name, evaluation, _ in self.names():
            if name == experiment:
                gone += sum(line.stored is not None for line in self.records(name, evaluation))
                self._journal((name, evaluation)).unlink()
        return gone

    def close(self):
        self.claims.close()

    def _journal(self, of):
        name = "\0".join(of).encode("utf-8", "backslashreplace")
        return self.folder / f"{blake2b(name, digest_size=16).hexdigest()}.jsonl"

    def _write(self, of, what):
        with open(self._journal(of), "a") as journal:
            journal.write(f"{json.dumps(what)}\n")
            journal.flush()
            os.fsync(journal.fileno())

    def _read(self, of):
        lines, runs, parts = [], {}, {}
        journal = self._journal(of)
        text = journal.read_text() if journal.exists() else ""
        for told in map(json.loads, text.splitlines()):
            if "run" in told:
                run = Run(**{**told["run"], "history": tuple(told["run"]["history"])})
                runs[run.uid], parts[run.uid] = run, told["part"]
                continue
            for id, state in told["states"].items():
                line = lines[int(id) - 1]
                lines[int(id) - 1] = Line(line.text, line.stored._replace(state=state))
            for text, stored in told["lines"]:
                lines.append(Line(text, stored and _stored(stored, len(lines) + 1)))
        for uid, run in runs.items():
            if run.status == "running" and not self.claims.is_running(run, parts[uid]):
                runs[uid] = replace(run, status="interrupted", error="it was killed")
        return lines, list(runs.values())


def _plain(stored):
    digest = stored.digest and stored.digest.hex()
    return {**stored._asdict(), "key": stored.key.hex(), "digest": digest}


def _stored(plain, id):
    digest = plain["digest"] and bytes.fromhex(plain["digest"])
    return Stored(**{**plain, "id": id, "key": bytes.fromhex(plain["key"]), "digest": digest})


def open_folder(rest: str, anchor: Path, create: bool) -> FolderStore:
    """A store at `folder://NAME`."""
    return FolderStore(anchor / rest)
