"""The link of a store to its Redis server: calls one after the other, over a connection that is made when needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final, TypeVar

from dulse import errors
from dulse.links.redis import codec
from dulse.links.redis.aio.finding import Known, find
from dulse.links.redis.aio.line import Line
from dulse.links.redis.problems import problem_of
from dulse.links.redis.resp import Command, ErrorReply, Word
from dulse.links.redis.scripts import Script
from dulse.links.redis.settings import Layout, Settings
from dulse.links.redis.slots import MOVING, NOT_NOW, moved_to
from dulse.links.waiting.aio import Lock, acquired, sleep

T = TypeVar("T")

_AGAIN: Final = frozenset({"NOSCRIPT", *MOVING, *NOT_NOW})
"""Refusals after which a call is made again."""

_PAUSE: Final = 0.05
"""Seconds until that, where it is the server that has to get ready."""

_AT_LEAST: Final = 0.5
"""Seconds that a call has, however late it is made: an answer that nobody waits for costs the connection, and leaves
what it tells of for nobody."""

_TRUSTED: Final = 1.0
"""Seconds for which a connection that was used is believed to be there; later the socket is looked at first."""


class RedisLink:
    """One connection to the server that takes writes. Threads (tasks) may share it; each call waits for the one before.

    A connection that failed is replaced by the next call. A call of which bytes may have gone out is never repeated by
    itself: it raises ConnectionLost or DeadlineExceeded, and nobody knows whether it was done. Other errors of
    `dulse.errors` say that nothing was done, but for an error reply in the middle of a script of one's own.
    """

    def __init__(self, settings: Settings, *, greeting: Sequence[Command] = ()) -> None:
        self.settings = settings
        self._greeting = tuple(greeting)
        self._longest = settings.timeout
        self._lock = Lock()
        self._line: Line | None = None
        self._known = Known()
        self._is_inside = False
        """Somebody holds the lock; true again on the same thread only below a signal's handler or a destructor."""
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.settings}, {'no connection' if self._line is None else self._line}>"

    @property
    def server(self) -> dict[bytes, Any]:
        """What the server said of itself in answer to HELLO (`version`, `role`, `mode`); empty before `open`."""
        return {} if self._line is None else self._line.server

    def limit(self, seconds: float) -> None:
        """Have every later call end within so many seconds, and within `answer_timeout` as before."""
        self._longest = min(seconds, self.settings.timeout)

    async def open(self, until: float) -> None:
        """Connect before `until` (monotonic), unless that is done already. Errors: as `open_line`."""
        self._is_closed = False
        await self._run(_nothing, until)

    async def call(self, *command: Word, until: float | None = None) -> Any:
        """Give the reply to one command; an error reply is raised as an error of dulse."""
        reply = (await self._exchange(codec.pack(command), 1, until))[0]
        if isinstance(reply, ErrorReply):
            reply = await self._asked_again(reply, codec.pack(command), 1, until)
        return reply

    async def pipeline(self, commands: Sequence[Command], until: float | None = None) -> list[Any]:
        """Send commands at once and give their replies; an error reply is an item (ErrorReply) and not raised."""
        return await self._exchange(codec.packed(commands), len(commands), until)

    async def script(
        self, script: Script, keys: Sequence[Word], arguments: Sequence[Word], until: float | None = None
    ) -> Any:
        """Run a script and give its reply; the server is told its source when it does not know it."""
        data = codec.pack((b"EVALSHA", script.digest, len(keys), *keys, *arguments))
        reply = (await self._exchange(data, 1, until))[0]
        if isinstance(reply, ErrorReply):
            if reply.code == "NOSCRIPT":
                self.forget_scripts()
            # A node of a cluster that is asked instead may know as little of the script.
            data = codec.pack(("SCRIPT", "LOAD", script.source)) + data
            reply = await self._asked_again(reply, data, 2, until)
        return reply

    async def send(
        self, commands: Sequence[Command], until: float | None = None, *, scripts: Sequence[Script] = ()
    ) -> None:
        """Give commands to the kernel, in order with all other calls, and have the server answer none of them.

        `scripts` are those that the commands run: the server is told each once a connection. Whether they were done,
        a later call has to find out: a connection that breaks takes with it what the server has not read.
        """
        await self._run(lambda line, limit: _send(line, commands, scripts, limit), until)

    def forget_scripts(self) -> None:
        """Tell the server all scripts again when they are used: it may have lost them (SCRIPT FLUSH)."""
        if self._line is not None:
            self._line.scripts.clear()

    def problem(self, reply: ErrorReply) -> Exception:
        """Build the error of dulse that an error reply means."""
        line = self._line
        made = problem_of(reply, self.settings if line is None else line.place)
        if self.settings.layout is Layout.CLUSTER and reply.code in MOVING:
            self._follow(reply)
            return errors.make(errors.StorageBusy, f"{self.settings}: another node has our slot now: try again")
        if line is not None and isinstance(made, errors.StorageReadOnly):
            line.close()  # it is no master any more: the next call looks for who is
        return made

    async def close(self, until: float) -> None:
        """Close the connection; calls that run end first, or are cut at `until`. Later calls raise ConnectionClosed."""
        self._is_closed = True
        held = await acquired(self._lock, until - monotonic())
        try:
            self._drop()
        finally:
            if held:
                self._lock.release()

    def discard(self) -> None:
        """In a forked child: forget the parent's connection without I/O; the next call makes one of the child's own."""
        line, self._line = self._line, None
        self._lock = Lock()
        self._is_inside = False
        if line is not None:
            line.stream.discard()

    async def _exchange(self, data: bytes, count: int, until: float | None) -> list[Any]:
        return await self._run(lambda line, limit: line.exchange(data, count, limit), until)

    async def _asked_again(self, reply: ErrorReply, data: bytes, count: int, until: float | None) -> Any:
        """Ask again what was refused, and nothing done, for a reason that may pass; raise any other refusal."""
        found: Any = reply
        end = monotonic() + self._longest
        end = end if until is None else min(end, until)
        while isinstance(found, ErrorReply):
            if found.code not in _AGAIN or (found.code != "NOSCRIPT" and self.settings.layout is not Layout.CLUSTER):
                raise self.problem(found)
            if found.code in NOT_NOW:
                if monotonic() + _PAUSE >= end:
                    raise self.problem(found)
                await sleep(_PAUSE)
            self._follow(found)
            replies = await self._exchange(data, count, end)
            found = replies[-1]
            if found is not replies[0] and isinstance(replies[0], ErrorReply):  # the script could not be loaded
                found = replies[0]
        return found

    def _follow(self, reply: ErrorReply) -> None:
        """Leave a node that does not have our slot, for the one that it names."""
        line = self._line
        if line is not None and reply.code in MOVING:
            self._known.hint = moved_to(reply.text, line.place)
            line.close()

    async def _run(self, call: Callable[[Line, float], Awaitable[T]], until: float | None) -> T:
        """Call with the connection, which nobody else uses meanwhile, and the time (monotonic) at which to end."""
        now = monotonic()
        limit = now + self._longest
        if until is not None:
            limit = min(limit, max(until, now + _AT_LEAST))
        if not await acquired(self._lock, limit - now):
            text = f"others used the connection to Redis at {self.settings} all the time; nothing was done: try again"
            raise errors.make(errors.StorageBusy, text)
        if self._is_inside:
            self._lock.release()
            return await self._beside(call, limit)
        self._is_inside = True
        try:
            line = self._line
            if line is None or not line.is_open or (now - line.used_at > _TRUSTED and line.stream.has_ended()):
                line = await self._connected(limit)
            return await call(line, limit)
        finally:
            self._is_inside = False
            self._lock.release()

    async def _beside(self, call: Callable[[Line, float], Awaitable[T]], limit: float) -> T:
        """Call with a connection for this once: we interrupt, on its own thread, somebody who uses ours."""
        line = await find(self.settings, self._known, limit, self._greeting)
        try:
            return await call(line, limit)
        finally:
            line.close()

    async def _connected(self, limit: float) -> Line:
        self._drop()
        if self._is_closed:
            raise errors.make(errors.ConnectionClosed, f"the link to Redis at {self.settings} is closed: open it")
        line = self._line = await find(self.settings, self._known, limit, self._greeting)
        return line

    def _drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()


async def _nothing(line: Line, limit: float) -> None:
    """Only have a connection."""


async def _send(line: Line, commands: Sequence[Command], scripts: Sequence[Script], limit: float) -> None:
    new = [script for script in scripts if script.digest not in line.scripts]
    every = [*[("SCRIPT", "LOAD", script.source) for script in new], *commands]
    await line.send(codec.packed(every), len(every), limit)
    line.scripts.update(script.digest for script in new)
