"""
How the failures of an endpoint are read through each client that is installed: a table.

`python -m tests.clients` prints it as Markdown; what a client keeps back is in bold. With names of
clients behind it, also what each failure is told as. `tox -e all-clients` has them all.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings

import pytest

from doteval.views.table import Column, Table

from .calls import CALLS
from .conftest import Endpoint
from .failures import FAILURES, reading


def main(chosen: list[str]) -> None:
    warnings.simplefilter("ignore")
    logging.disable()
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it fetches prices otherwise
    rows, told, missing = [], [], {}
    for client in chosen or CALLS:
        row = [client]
        for name, failure in FAILURES.items():
            endpoint, messages = Endpoint(), []
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # some give advice there
                    cell = reading(CALLS[client], failure, endpoint, messages.append)
            except pytest.skip.Exception as skipped:
                missing[client] = str(skipped)
                break
            finally:
                endpoint.close()
            row.append(cell if cell == failure.read else f"**{cell}**")
            told.append([client, name, *messages])
        else:
            rows.append(row)
    columns = [Column("client"), *(Column(failure) for failure in FAILURES)]
    print("".join(Table(columns, rows).markdown()), end="")
    if chosen:
        columns = [Column("client"), Column("failure"), Column("told as")]
        print("\n" + "".join(Table(columns, told).markdown()), end="")
    for client, reason in missing.items():
        print(f"\nnot tried: {client}: {reason}", end="")


if __name__ == "__main__":
    main(sys.argv[1:])
