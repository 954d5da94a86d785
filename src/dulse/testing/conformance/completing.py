"""Carrying a call through, whether it is a plain one or a coroutine."""

from __future__ import annotations

import asyncio
from inspect import iscoroutine
from typing import Any


def completed(called: Any) -> Any:
    """Give what a call gave, or if that is a coroutine, what comes of it in an event loop of its own."""
    return asyncio.run(called) if iscoroutine(called) else called
