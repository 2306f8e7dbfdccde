"""How many rows are in flight at a time, and what happens to those that fail."""

from .pace import RateLimit
from .retry import Retry
from .strategies import Adaptive, AsyncSequential, Batch, Sequential, SlidingWindow, Strategy

__all__ = [
    "Adaptive",
    "AsyncSequential",
    "Batch",
    "RateLimit",
    "Retry",
    "Sequential",
    "SlidingWindow",
    "Strategy",
]
