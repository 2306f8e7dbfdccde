"""Beside the tools that others use for the same."""
