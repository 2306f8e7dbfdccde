"""Tests in a real browser; they skip, with a reason, where there is none."""
