"""Where records are kept: `open_store` finds or makes a store by its address."""

from .place import Place, locate, name_from
from .stores import Store, open_store
from .writer import Grouped, Inline, Writer

__all__ = ["Grouped", "Inline", "Place", "Store", "Writer", "locate", "name_from", "open_store"]
