"""
How the failures of an endpoint are read through each client that is installed: a table.

`python -m tests.clients` prints it as Markdown; what a client keeps back is in bold.
"""

from __future__ import annotations

import logging
import os
import warnings

import pytest

from doteval.views.table import Column, Table

from .calls import CALLS
from .conftest import Endpoint
from .failures import FAILURES, reading


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable()
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it fetches prices otherwise
    rows = []
    for client, call in CALLS.items():
        cells = []
        for failure in FAILURES.values():
            endpoint = Endpoint()
            try:
                told = reading(call, failure, endpoint)
            except pytest.skip.Exception:
                break
            finally:
                endpoint.close()
            cells.append(told if told == failure.read else f"**{told}**")
        else:
            rows.append([client, *cells])
    columns = [Column("client"), *(Column(failure) for failure in FAILURES)]
    print("".join(Table(columns, rows).markdown()), end="")


if __name__ == "__main__":
    main()
