"""Evaluations as items of pytest: what the plugin's hooks call. Nothing here imports pytest."""

from .call import Call, begun
from .options import Options, read_options
from .screen import Screen
from .stage import Stage
from .told import Told

__all__ = ["Call", "Options", "Screen", "Stage", "Told", "begun", "read_options"]
