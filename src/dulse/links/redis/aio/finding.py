"""Finds the server that takes writes, and connects to it."""

from __future__ import annotations

from collections.abc import Sequence

from dulse.links.redis.aio.line import Line
from dulse.links.redis.aio.opening import open_line
from dulse.links.redis.resp import Command
from dulse.links.redis.settings import Settings


async def find(settings: Settings, until: float, greeting: Sequence[Command] = ()) -> Line:
    """Connect to it before `until` (monotonic). Errors: as `open_line`."""
    return await open_line(settings, settings.places[0], until, greeting)
