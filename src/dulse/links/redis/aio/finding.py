"""Finds the server that takes writes, and connects to it."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from dulse import errors
from dulse.links.addresses import Place
from dulse.links.redis import codec
from dulse.links.redis.aio.line import Line
from dulse.links.redis.aio.opening import open_line, open_sentinel
from dulse.links.redis.problems import problem_of
from dulse.links.redis.resp import Command, ErrorReply
from dulse.links.redis.settings import Layout, Settings
from dulse.links.waiting.aio import sleep

_PAUSE: Final = 0.1
"""Seconds between two rounds over the sentinels, while they have not agreed on a master."""
_SHORTEST_TRY: Final = 0.5
"""Seconds that each sentinel is given at least."""


async def find(settings: Settings, until: float, greeting: Sequence[Command] = ()) -> Line:
    """Connect to it before `until` (monotonic). Errors: as `open_line`.

    Sentinels are asked one after the other, and again until the one they name says itself that it is a master:
    during a fail-over that takes some seconds.
    """
    if settings.layout is not Layout.SENTINEL:
        return await open_line(settings, settings.places[0], until, greeting)
    problem: errors.DulseError | None = None
    while True:
        for tried, sentinel in enumerate(settings.places):
            share = (until - monotonic()) / (len(settings.places) - tried + 1)
            try:
                place = await _master(settings, sentinel, min(until, monotonic() + max(share, _SHORTEST_TRY)))
                return await _as_master(settings, place, until, greeting)
            except errors.DulseError as failed:
                problem = failed
                if not failed.retryable and tried == len(settings.places) - 1:
                    raise
        if monotonic() + _PAUSE >= until:
            raise _nobody(settings, problem) from problem
        await sleep(_PAUSE)


async def _master(settings: Settings, sentinel: Place | str, until: float) -> Place:
    """Ask one sentinel who the master is."""
    name = "" if settings.sentinel is None else settings.sentinel.master_name
    line = await open_sentinel(settings, sentinel, until)
    try:
        asked = codec.packed([("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)])
        reply = (await line.exchange(asked, 1, until))[0]
    finally:
        line.close()
    if isinstance(reply, ErrorReply):
        raise problem_of(reply, sentinel)
    if reply is None:
        text = f"the sentinel at {sentinel} watches no master {name!r}: check master_name (SENTINEL MASTERS tells)"
        raise errors.make(errors.InvalidArgument, text)
    host, port = reply
    return Place(host.decode(), int(port))


async def _as_master(settings: Settings, place: Place, until: float, greeting: Sequence[Command]) -> Line:
    line = await open_line(settings, place, until, greeting)
    role: Any = line.server.get(b"role")
    if role != b"master":
        line.close()
        text = f"the sentinels name {place} as the master, which is a {role.decode()} yet: a fail-over goes on"
        raise errors.make(errors.ConnectionRefused, text)
    return line


def _nobody(settings: Settings, problem: Exception | None) -> Exception:
    name = "" if settings.sentinel is None else settings.sentinel.master_name
    text = f"the sentinels ({settings}) led to no master {name!r} in time; the last one tried: {problem}"
    return errors.make(errors.ConnectionRefused, text)
