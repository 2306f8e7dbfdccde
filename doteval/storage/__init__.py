"""Where records are kept: `open_store` finds or makes a store by its address."""

from .place import NAMING, Named, Place, locate, named
from .stores import Address, Store, open_store, opened

__all__ = [
    "NAMING",
    "Address",
    "Named",
    "Place",
    "Store",
    "locate",
    "named",
    "open_store",
    "opened",
]
