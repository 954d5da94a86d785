"""The hash slots of Redis Cluster: which one a key has, and who serves it (redis.io, "Redis cluster specification")."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from typing import Any, Final

from dulse.links.addresses import Place

SLOTS: Final = 16384

MOVING: Final = frozenset({"MOVED"})
"""What a node answers that does not have the slot (any more); nothing was done."""
NOT_NOW: Final = frozenset({"ASK", "TRYAGAIN", "CLUSTERDOWN"})
"""What a node answers that has done nothing, and may be asked again after a while."""


def slot_of(key: bytes) -> int:
    """Give the slot of a key: that of what stands in its first braces, if anything does."""
    return crc_hqx(_tag(key) or key, 0) % SLOTS


def tagged(prefix: str) -> str:
    """Give a prefix by which all keys have one slot: with braces around all of it, unless it has some."""
    if _tag(prefix.encode("utf-8", "surrogatepass")):
        return prefix
    return f"{{dulse}}{prefix}" if "{" in prefix or "}" in prefix else f"{{{prefix or 'dulse'}}}"


def _tag(key: bytes) -> bytes:
    """Give what stands in the first braces; nothing if they are empty or not closed."""
    _, _, rest = key.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return tag if closed else b""


def moved_to(text: str, asked: Place | str) -> Place | None:
    """Give the node that an error reply names as having the slot for good; None: it is no such reply."""
    words = text.split(" ")
    if words[0] not in MOVING or len(words) < 3:  # noqa: PLR2004 - code, slot, address
        return None
    host, _, port = words[2].rpartition(":")
    if not port.isdigit():
        return None
    return Place(host or _host(asked), int(port))


def master_of(slot: int, reply: Sequence[Any], asked: Place | str) -> Place | None:
    """Find in an answer to CLUSTER SLOTS who serves a slot; None: nobody, as far as this node knows."""
    for first, last, master, *_ in reply:
        if first <= slot <= last:
            return _place(master, asked)
    return None


def nodes_of(reply: Sequence[Any], asked: Place | str) -> list[Place]:
    """Give all nodes that an answer to CLUSTER SLOTS names."""
    return list(dict.fromkeys(_place(node, asked) for _, _, *nodes in reply for node in nodes))


def _place(node: Sequence[Any], asked: Place | str) -> Place:
    host = node[0].decode() if node[0] else ""
    return Place(_host(asked) if host in {"", "?"} else host, int(node[1]))


def _host(asked: Place | str) -> str:
    """Say where a node is reached that does not know its own address: where it was asked."""
    return "localhost" if isinstance(asked, str) else asked.host
