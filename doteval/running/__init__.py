"""One run of one evaluation, and how it is driven to its end."""

from .answers import Answers
from .driver import drive
from .environment import evaluation_name
from .execution import Execution
from .options import Options

__all__ = ["Answers", "Execution", "Options", "drive", "evaluation_name"]
