"""Opening a connection to one Redis server: TCP, TLS, the greeting, and its wait until the server has its data."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from dulse import errors
from dulse.links.addresses import Place
from dulse.links.redis import codec
from dulse.links.redis.aio.line import Line
from dulse.links.redis.credentials import Credentials, Secret
from dulse.links.redis.problems import problem_of
from dulse.links.redis.resp import Command, ErrorReply
from dulse.links.redis.settings import Settings
from dulse.links.streams.aio import connect
from dulse.links.tls import Tls
from dulse.links.waiting.aio import run_blocking, sleep

OLDEST: Final = (6, 2)
"""The version of Redis from which on all is there that is needed."""

_LOADING_PAUSE: Final = 0.05
"""Seconds between two looks at a server that is still loading."""


async def open_line(settings: Settings, place: Place | str, until: float, greeting: Sequence[Command] = ()) -> Line:
    """Connect, log in, choose the database and say `greeting`, all before `until` (monotonic).

    A server that is still reading its data is waited for. Raises ConnectionRefused, AuthenticationFailed,
    CertificateInvalid, ProtocolError, NotSupported (too old), StorageBusy (still loading), DeadlineExceeded.
    """
    more: list[Command] = [("SELECT", settings.db)] if settings.db else []
    return await _greeted(settings, place, settings.credentials, settings.tls, [*more, *greeting, ("PING",)], until)


async def open_sentinel(settings: Settings, place: Place | str, until: float) -> Line:
    """Connect to a sentinel and log in there, before `until` (monotonic)."""
    assert settings.sentinel is not None  # noqa: S101 - for the type checker: only its layout comes here
    return await _greeted(settings, place, settings.sentinel.credentials, settings.sentinel.tls, [], until)


async def _greeted(
    settings: Settings, place: Place | str, credentials: Credentials, tls: Tls | None, more: list[Command], until: float
) -> Line:
    secret = credentials.ask() if credentials.is_fixed else await run_blocking(credentials.ask)
    until = min(until, monotonic() + settings.connect_timeout)
    stream = await connect(place, until, tls=tls, dead_after=settings.dead_after)
    line = Line(stream, place, settings.max_reply_size)
    try:
        await _greet(line, _hello(secret, settings.client_name), more, until)
    except BaseException:
        line.close()
        raise
    line.pushes.clear()
    return line


async def _greet(line: Line, hello: Command, more: list[Command], until: float) -> None:
    answered = sum(command[0] != "PSUBSCRIBE" for command in more)  # a push answers that one
    try:
        replies = await line.exchange(codec.packed([hello, *more]), 1 + answered, until)
    except errors.ConnectionLost as problem:
        text = f"{line.place} ended the connection instead of answering: is it a port of Redis, and does it want TLS?"
        raise errors.make(errors.ConnectionLost, text) from problem
    _check(replies[0], line.place)
    line.server = replies[0]
    while (refusal := _first_error(replies)) is not None:
        if refusal.code != "LOADING" or monotonic() + _LOADING_PAUSE > until:
            raise problem_of(refusal, line.place)
        await sleep(_LOADING_PAUSE)
        try:
            replies = await line.exchange(codec.packed(more), answered, until)
        except errors.DeadlineExceeded as silence:  # while it loads it answers now and then
            raise problem_of(refusal, line.place) from silence


def _hello(secret: Secret, client_name: str | None) -> Command:
    user, password = secret
    words: list[bytes | str | int] = ["HELLO", 3]
    if user is not None or password is not None:
        words += ["AUTH", user or "default", password or ""]
    if client_name is not None:
        words += ["SETNAME", client_name]
    return words


def _check(reply: Any, place: Place | str) -> None:
    if isinstance(reply, ErrorReply):
        raise problem_of(reply, place)
    version = reply.get(b"version", b"") if isinstance(reply, dict) else b""
    numbers = tuple(int(each) for each in version.split(b".")[:2] if each.isdigit())
    if numbers and numbers < OLDEST:
        text = f"Redis at {place} is version {version.decode()}, and 6.2 or newer is needed, or Valkey"
        raise errors.make(errors.NotSupported, text)


def _first_error(replies: Sequence[Any]) -> ErrorReply | None:
    return next((each for each in replies if isinstance(each, ErrorReply)), None)
