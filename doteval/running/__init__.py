"""One run of one evaluation, and how it is driven to its end."""

from .driver import drive
from .environment import evaluation_name
from .execution import Flow

__all__ = ["Flow", "drive", "evaluation_name"]
