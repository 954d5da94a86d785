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
from dulse.links.redis.slots import master_of, nodes_of
from dulse.links.waiting.aio import sleep

_PAUSE: Final = 0.1
"""Seconds between two rounds over the sentinels, while they have not agreed on a master."""
_SHORTEST_TRY: Final = 0.5
"""Seconds that each sentinel is given at least."""


class Known:
    """What a link has learnt of the servers."""

    def __init__(self) -> None:
        self.hint: Place | None = None
        """Whom a node of the cluster named, to be tried first."""
        self.nodes: tuple[Place, ...] = ()
        """All nodes of the cluster, to be asked besides those in the settings."""

    def __repr__(self) -> str:
        return f"<Known {self.hint}, {self.nodes}>"


async def find(settings: Settings, known: Known, until: float, greeting: Sequence[Command] = ()) -> Line:
    """Connect to it before `until` (monotonic). Errors: as `open_line`.

    Sentinels, and nodes of a cluster, are asked one after the other, and again until the one they name says itself that
    it is a master: during a fail-over that takes some seconds.
    """
    if settings.layout is Layout.SINGLE:
        return await open_line(settings, settings.places[0], until, greeting)
    look = _by_sentinel if settings.layout is Layout.SENTINEL else _by_node
    problem: errors.DulseError | None = None
    while True:
        hint, known.hint = known.hint, None
        places = list(dict.fromkeys([*([] if hint is None else [hint]), *settings.places, *known.nodes]))
        for tried, place in enumerate(places):
            share = (until - monotonic()) / (len(places) - tried + 1)
            limit = min(until, monotonic() + max(share, _SHORTEST_TRY))
            try:
                return await look(settings, known, place, limit, until, greeting)
            except errors.DulseError as failed:
                problem = failed
                if not failed.retryable and tried == len(places) - 1:
                    raise
        if monotonic() + _PAUSE >= until:
            raise _nobody(settings, problem) from problem
        await sleep(_PAUSE)


async def _by_sentinel(
    settings: Settings, _known: Known, sentinel: Place | str, limit: float, until: float, greeting: Sequence[Command]
) -> Line:
    """Connect to the master that a sentinel names."""
    place = await _master(settings, sentinel, limit)
    return await _as_master(settings, sentinel, place, until, greeting)


async def _by_node(
    settings: Settings, known: Known, node: Place | str, limit: float, until: float, greeting: Sequence[Command]
) -> Line:
    """Connect to the node of the cluster that has our slot, by what another one says."""
    line = await open_line(settings, node, limit, greeting)
    try:
        reply = (await line.exchange(codec.packed([("CLUSTER", "SLOTS")]), 1, limit))[0]
        place = _owner(settings, known, node, reply)
    except BaseException:
        line.close()
        raise
    if place == node:
        return line
    line.close()
    return await _as_master(settings, node, place, until, greeting)


def _owner(settings: Settings, known: Known, node: Place | str, reply: Any) -> Place:
    """Find our slot in an answer to CLUSTER SLOTS, and remember the nodes that it names."""
    if isinstance(reply, ErrorReply):
        raise _no_cluster(reply, node)
    place = master_of(settings.slot, reply, node)
    if place is None:
        text = f"nobody in the cluster of {node} serves the slot {settings.slot} of our keys: try again"
        raise errors.make(errors.StorageBusy, text)
    known.nodes = tuple(nodes_of(reply, node))
    return place


async def _as_master(
    settings: Settings, by: Place | str, place: Place, until: float, greeting: Sequence[Command]
) -> Line:
    """Connect to whom somebody named, if that is a master by its own account."""
    line = await open_line(settings, place, until, greeting)
    role: Any = line.server.get(b"role")
    if role != b"master":
        line.close()
        text = f"{by} names {place} as the master, which is a {role.decode()} yet: a fail-over goes on"
        raise errors.make(errors.ConnectionRefused, text)
    return line


def _no_cluster(reply: ErrorReply, node: Place | str) -> Exception:
    if "cluster support disabled" in reply.text:
        text = f"Redis at {node} is no node of a cluster: write redis:// instead of redis+cluster://"
        return errors.make(errors.InvalidURL, text)
    return problem_of(reply, node)


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


def _nobody(settings: Settings, problem: Exception | None) -> Exception:
    if settings.sentinel is not None:
        text = f"the sentinels ({settings}) led to no master {settings.sentinel.master_name!r} in time"
    else:
        text = f"the nodes of the cluster ({settings}) led to no master of our slot {settings.slot} in time"
    return errors.make(errors.ConnectionRefused, f"{text}; the last one tried: {problem}")
