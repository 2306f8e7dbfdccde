"""
What people type to say how much, and of what: read in one place, for every door.
"""

from __future__ import annotations

from typing import Any

from .errors import UsageError


def parse_param(text: str) -> tuple[str, Any]:
    """
    A value for a parameter: "temperature=0.5" is ("temperature", 0.5).

    The value is JSON where it can be read as such, else a text: "model=large" is
    ("model", "large"), and so is 'model="large"'.

    Raises:
        UsageError: it is no NAME=VALUE.
    """
    import json  # here: an idle pytest plugin needs it not

    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise UsageError(f"{text!r}: expected NAME=VALUE, as in model=large")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value
