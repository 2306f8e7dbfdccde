"""Insight: what is happening now, and what came out of it."""
