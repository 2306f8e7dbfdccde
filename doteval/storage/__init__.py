"""Where records are kept: `open_store` finds or makes a store by its address."""

from .place import NAMING, Named, Place, locate, named
from .stores import Store, open_store
from .writer import Grouped, Inline, Writer

__all__ = [
    "NAMING",
    "Grouped",
    "Inline",
    "Named",
    "Place",
    "Store",
    "Writer",
    "locate",
    "named",
    "open_store",
]
