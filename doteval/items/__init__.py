"""
Evaluations as items of pytest: what the plugin's hooks call. Nothing here imports pytest.

Every session needs the options. The other rooms are loaded where an evaluation runs.
"""

from .options import Options, read_options

__all__ = ["Options", "read_options"]
