"""
What may be asked of a run on a command line: declared once for `doteval run` and for pytest.

The plugin of every pytest session loads this, so it is data alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By the name of the option, as `ArgumentParser.add_argument` takes it: `--NAME`, and under pytest
# `--eval-NAME` but for the first two. What they read the texts with is their own.
FLAGS: Mapping[str, Mapping[str, Any]] = {
    "samples": {"metavar": "N", "help": "run only the first N rows of each dataset"},
    "fresh": {
        "action": "store_true",
        "help": "run every row anew, in place of what the experiment has stored",
    },
    "max-errors": {
        "metavar": "N|P%",
        "help": "pass in spite of so many failed rows of an evaluation, or such a share of them: 5 "
        "or 2%% (default: none)",
    },
    "shard": {
        "metavar": "I/N",
        "help": "run only part I of N of the rows of each dataset, chosen by what is in them, so "
        "on every machine the same; `doteval merge` brings the stores of all parts together",
    },
    "budget": {
        "metavar": "LIMITS",
        "help": "what each evaluation may use up, such as time=30m,tokens=2M,cost=5,errors=5%%: "
        "then nothing new starts, and the same command resumes",
    },
    "until": {
        "metavar": "GATE",
        "help": "end each evaluation as soon as it is decided, as in 'exact_match >= 0.8 @ 95%%': "
        "it passes if that holds, and not if it does not hold or can not be decided",
    },
    "param": {
        "dest": "params",
        "metavar": "NAME=VALUE",
        "action": "append",
        "help": "a value that decides over the answers, kept with the runs: for the parameter NAME "
        "or in a mapping for `params`, under pytest for the fixture eval_params; JSON, or else a "
        "text; can be given several times",
    },
    "keep-config": {
        "action": "store_true",
        "help": "resume although the last run had another config; its rows and new ones then stand "
        "in one figure, which says so",
    },
    "keep-going": {
        "action": "store_true",
        "help": "go on although nothing succeeds: a run that can not succeed ends early otherwise",
    },
    "tag": {
        "dest": "tags",
        "metavar": "NAME=VALUE",
        "action": "append",
        "help": "a tag of the experiment, which `doteval list` shows and finds; can be given "
        "several times",
    },
    "note": {
        "metavar": "TEXT",
        "help": "a sentence about the experiment, for `doteval list` and `doteval show`",
    },
    "calls": {
        "choices": ("live", "reuse", "replay"),
        "help": "of calls that are replayable: make them, and keep them (the default); serve those "
        "that are known; or serve all, where one that is not known raises, so that nothing is paid",
    },
    "calls-from": {
        "metavar": "NAME",
        "help": "the only experiment whose calls are served (default: all of the store)",
    },
}
# Those that the command that resumes repeats.
AGAIN = (
    "samples", "max-errors", "shard", "param", "budget", "keep-going", "calls", "calls-from",
    "until",
)  # fmt: skip
