"""Lua scripts, known to the server by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from dulse.links.redis.resp import Command, Word


class Script:
    """One script. Its digest (SHA-1, as EVALSHA wants it) is computed once."""

    __slots__ = ("digest", "name", "source")

    def __init__(self, name: str, source: str | bytes) -> None:
        self.name = name
        self.source = source.encode() if isinstance(source, str) else source
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest().encode()

    def command(self, keys: Sequence[Word], arguments: Sequence[Word]) -> Command:
        """Give the command that runs it on a server which knows it."""
        return (b"EVALSHA", self.digest, len(keys), *keys, *arguments)

    def __repr__(self) -> str:
        return f"<Script {self.name} {self.digest[:8].decode()}>"
