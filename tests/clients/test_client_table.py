"""Every client tells every failure: the table that `python -m tests.clients` prints."""

from __future__ import annotations

import pytest

from .calls import CALLS
from .failures import FAILURES, KEPT_BACK, reading


@pytest.mark.parametrize("client", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_the_endpoint_can_answer(client, endpoint):
    """The stand-in is a model as far as the client can tell."""
    assert CALLS[client](endpoint.url, 5.0, 0) == "42"


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("client", CALLS)
@pytest.mark.filterwarnings("ignore")
def test_a_failure_is_read_through_the_client(client, failure, endpoint):
    """Whatever the client makes of the answer, it is read as the answer it was."""
    told = reading(CALLS[client], FAILURES[failure], endpoint)

    assert told == KEPT_BACK.get(client, {}).get(failure, FAILURES[failure].read)
