"""Brokers in a folder; ``python -m benchmarks.filesystem`` measures waking, competing consumers and backlogs too."""

from __future__ import annotations

from benchmarks.filesystem import comparisons

__all__ = ["comparisons"]
