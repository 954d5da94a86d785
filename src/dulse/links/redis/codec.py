"""Packs commands and parses replies by hiredis where it is installed, else by our own code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Protocol

from dulse.links.redis import resp
from dulse.links.redis.resp import NOTHING, Command, ErrorReply, Malformed, Push

OLDEST = 3
"""The major version of hiredis from which on pushes are a type of their own, and nothing leaks."""


class Reader(Protocol):
    """Gives the replies in what it is fed."""

    def feed(self, data: bytes, /) -> None:
        """Take what came."""

    def gets(self) -> Any:
        """Give the next whole reply, or NOTHING."""


def _hiredis() -> Any:
    try:
        found = import_module("hiredis")
    except ImportError:
        return None
    return found if int(found.__version__.partition(".")[0]) >= OLDEST else None


_FAST = _hiredis()


def reader() -> Reader:
    """Make the reader of a connection. It raises Malformed."""
    if _FAST is None:
        return resp.Parser()
    made: Reader = _FAST.Reader(protocolError=Malformed, replyError=ErrorReply, notEnoughData=NOTHING)
    return made


pack: Callable[[Command], bytes] = resp.pack if _FAST is None else _FAST.pack_command
"""Give the bytes of one command; a tuple of words."""

push_type: type[list[Any]] = Push if _FAST is None else _FAST.PushNotification
"""What a push is an instance of."""


def packed(commands: Iterable[Command]) -> bytes:
    """Give the bytes of several commands."""
    return b"".join([pack(tuple(command)) for command in commands])
