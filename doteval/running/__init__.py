"""One run of one evaluation, and how it is driven to its end."""

from .circumstances import evaluation_name
from .drive import drive
from .execution import Flow

__all__ = ["Flow", "drive", "evaluation_name"]
