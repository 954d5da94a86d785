"""One connection to one Redis server: commands go out, replies and pushes come in."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any

from dulse import errors
from dulse.links.addresses import Place
from dulse.links.redis import codec
from dulse.links.redis.problems import foreign, late, lost
from dulse.links.redis.resp import NOTHING, Malformed
from dulse.links.streams.aio import Cancelled, Stream

_REPLIES_ON = codec.packed([("CLIENT", "REPLY", "ON")])
_REPLIES_OFF = codec.packed([("CLIENT", "REPLY", "OFF")])


class Line:
    """Used by one task at a time. After any error but a cancellation it is closed."""

    def __init__(self, stream: Stream, place: Place | str, max_reply_size: int) -> None:
        self.stream = stream
        self.place = place
        self.pushes: deque[list[Any]] = deque()
        """What the server said unasked."""
        self.scripts: set[bytes] = set()
        """The digests of the scripts that the server was given on this connection."""
        self.server: dict[bytes, Any] = {}
        """What it says of itself."""
        self.used_at = monotonic()
        """When it was last sent something."""
        self.heard_at = self.used_at
        """When something came last."""
        self._reader = codec.reader()
        self._max_reply_size = max_reply_size
        self._partial = 0
        """Bytes that came since the last whole reply."""
        self._owed = 0
        """Replies that will come and nobody wants: who asked was cancelled."""
        self._is_quiet = False
        """The server was told not to reply."""

    def __repr__(self) -> str:
        return f"<Line to {self.place}, {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Tell whether there is use in asking; the server may have gone all the same."""
        return self.stream.is_open

    async def exchange(self, data: bytes, count: int, until: float) -> list[Any]:
        """Send packed commands and give their replies; those that are errors stand among them."""
        if self._is_quiet:
            data = _REPLIES_ON + data
        try:
            await self.stream.send(data, until)
        except BaseException as problem:
            self._give_up(problem, "take a call")
            raise
        self.used_at = monotonic()
        self._owed += count + self._is_quiet
        self._is_quiet = False
        unwanted = self._owed - count
        try:
            while unwanted:
                await self._reply(until)
                unwanted -= 1
            return [await self._reply(until) for _ in range(count)]
        except Cancelled:
            raise
        except BaseException as problem:
            self._give_up(problem, "answer")
            raise

    async def send(self, data: bytes, count: int, until: float) -> None:
        """Send packed commands that are not answered; the kernel has all bytes then, and no reply is left unread."""
        if not self.stream.is_exact:  # only an answer proves that they have left this process
            await self.exchange(data, count, until)
            return
        if self._owed:
            await self.exchange(b"", 0, until)
        if not self._is_quiet:
            data = _REPLIES_OFF + data
        try:
            await self.stream.send(data, until)
        except BaseException as problem:
            self._give_up(problem, "take what was sent")
            raise
        self._is_quiet = True
        self.used_at = monotonic()

    async def ask_for_life(self, until: float) -> None:
        """Send a PING whose answer comes among what is heard."""
        try:
            await self.stream.send(codec.packed([("PING",)]), until)
        except BaseException as problem:
            self._give_up(problem, "take a call")
            raise
        self.used_at = monotonic()
        self._owed += 1

    async def hear(self, until: float) -> bool:
        """Wait for anything to come, a `wake` of the stream, or that time; False: nothing came. Fills `pushes`."""
        try:
            if self._sort():  # it came together with a reply
                return True
            data = await self.stream.read(until)
            if not data:
                return False
            self._take(data)
            self._sort()
            return True
        except Cancelled:
            raise
        except BaseException as problem:
            self._give_up(problem, "answer")
            raise

    def close(self) -> None:
        """Close it, whatever was on its way."""
        self.stream.close()

    def _sort(self) -> bool:
        """Take all that is there whole; False: nothing was."""
        found = False
        while (value := self._reader.gets()) is not NOTHING:
            found = True
            self._partial = 0
            if isinstance(value, codec.push_type):
                self.pushes.append(value)
            else:
                self._owed -= 1
        return found

    async def _reply(self, until: float) -> Any:
        while True:
            value = self._reader.gets()
            if value is NOTHING:
                data = await self.stream.read(until)
                if data:
                    self._take(data)
                elif monotonic() >= until:
                    raise TimeoutError
                continue
            self._partial = 0
            if isinstance(value, codec.push_type):
                self.pushes.append(value)
                continue
            self._owed -= 1
            return value

    def _take(self, data: bytes) -> None:
        self._partial += len(data)
        self.heard_at = monotonic()
        if self._partial > self._max_reply_size:
            text = f"Redis at {self.place} sends a reply of more than {self._max_reply_size} bytes: see max_reply_size"
            raise errors.make(errors.ProtocolError, text)
        self._reader.feed(data)

    def _give_up(self, problem: BaseException, what: str) -> None:
        """Close the connection, of which nobody knows where it stands; raise what is more telling than `problem`."""
        self.close()
        if isinstance(problem, errors.DulseError):
            return
        if isinstance(problem, Malformed):
            raise foreign(self.place, problem) from problem
        if isinstance(problem, TimeoutError):
            raise late(self.place, what) from problem
        if isinstance(problem, OSError):
            raise lost(self.place, problem.strerror or problem) from problem
