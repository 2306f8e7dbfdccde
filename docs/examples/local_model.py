"""
Stands in for a model behind an API, so that the examples run on any machine, offline and free.

It behaves as such endpoints do: an answer takes a few hundred milliseconds, some answers are
wrong, and who calls too often at a time is told to wait (HTTP 429).
"""

import asyncio
import random

SLOTS = 12  # calls that the endpoint serves at a time; it tells nobody

WORDS = {
    "billing": "charged invoice pay price card receipt money discount refund",
    "technical": "crashes error slow connect screen bug notifications upgrade battery",
    "account": "password account log logged login user profile locked name",
    "delivery": "delivered parcel ordered ship courier delivery order collect shipped",
}


class TooManyRequests(Exception):
    """What a client raises for an HTTP 429; doteval reads `status_code` and `headers`."""

    status_code = 429
    headers = {"Retry-After": "1"}


class LocalModel:
    """A model that knows a few words of each topic."""

    def __init__(self) -> None:
        self._busy = 0
        self.refused = 0

    async def classify(self, text: str) -> str:
        """The topic of a text, after a while."""
        if self._busy >= SLOTS:
            self.refused += 1
            raise TooManyRequests("too many requests")
        self._busy += 1
        try:
            # The same text always takes the same time: most 0.2 to 0.5 s, a few up to 1 s.
            await asyncio.sleep(0.2 + 0.8 * random.Random(text).random() ** 3)
        finally:
            self._busy -= 1
        said = set(text.lower().replace(".", " ").replace(";", " ").split())
        known = {topic: len(said & set(words.split())) for topic, words in WORDS.items()}
        return max(known, key=known.__getitem__)
