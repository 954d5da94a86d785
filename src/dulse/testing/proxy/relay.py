"""One proxied connection: two sockets and what passes between them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Mapping

from dulse.testing.proxy.flow import Direction, Flow, Mode

CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
DRAINING = 5.0
"""Seconds in which the far ends of a finished connection may go on sending before it is closed under them."""


class End:
    """One of the two sockets, and the lock that keeps apart what two tasks send on it."""

    def __init__(self, link: socket.socket) -> None:
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.link = link
        self._sending = asyncio.Lock()

    async def receive(self) -> bytes:
        """Wait for bytes; none are the end."""
        return await asyncio.get_running_loop().sock_recv(self.link, CHUNK)

    async def send(self, data: bytes | memoryview) -> None:
        """Send all of it."""
        async with self._sending:
            await asyncio.get_running_loop().sock_sendall(self.link, data)

    def finish(self) -> None:
        """Send FIN, unless the connection is gone."""
        with contextlib.suppress(OSError):
            self.link.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close it so that the peer is told by RST, unless it is closed already."""
        if self.link.fileno() >= 0:
            with contextlib.suppress(OSError):  # the peer was faster
                self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.link.close()

    async def drain(self) -> None:
        """Receive until the end comes, and forget it: closing with bytes unread would send RST."""
        with contextlib.suppress(OSError):
            while await self.receive():
                pass


class Relay:
    """An accepted client and its connection to the server; `noticed` is called whenever bytes or an end have passed."""

    def __init__(self, client: socket.socket, flows: Mapping[Direction, Flow], noticed: Callable[[], None]) -> None:
        self._flows = flows
        self._noticed = noticed
        self._ends = {Direction.TO_CLIENT: End(client)}

    @property
    def links(self) -> list[socket.socket]:
        """Its sockets."""
        return [end.link for end in self._ends.values()]

    async def run(self, target: tuple[str, int]) -> None:
        """Connect to the server and pass bytes until both sides have ended, or one is gone; can be cancelled."""
        try:
            async with asyncio.TaskGroup() as pumps:
                if all(flow.mode is Mode.DROP for flow in self._flows.values()):
                    pumps.create_task(self._swallow(Direction.TO_SERVER))
                else:
                    await self._connect(target)
                    for direction in self._flows:
                        pumps.create_task(self._pump(direction))
        except* OSError:
            self.reset()
        else:
            for link in self.links:
                link.close()

    async def finish(self) -> None:
        """Send FIN to both sides, and close once they have ended too; `run` must have been stopped."""
        for end in self._ends.values():
            end.finish()
        try:
            async with asyncio.timeout(DRAINING):
                await asyncio.gather(*(end.drain() for end in self._ends.values()))
        except TimeoutError:
            pass
        finally:
            self.reset()

    async def inject(self, data: bytes, direction: Direction) -> bool:
        """Send bytes that the other side never sent; tell whether they could be."""
        end = self._ends.get(direction)
        if end is None:
            return False
        try:
            await end.send(data)
        except OSError:
            return False
        return True

    def reset(self) -> None:
        """Send RST to both sides, unless they are closed; `run` must have been stopped."""
        for end in self._ends.values():
            end.reset()

    async def _connect(self, target: tuple[str, int]) -> None:
        server = socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET)
        self._ends[Direction.TO_SERVER] = End(server)
        await asyncio.get_running_loop().sock_connect(server, target)

    async def _pump(self, direction: Direction) -> None:
        source, flow = self._ends[~direction], self._flows[direction]
        passing = True
        while passing:
            try:
                data = await source.receive()
            except OSError:
                if await flow.allow(1):  # a reset takes the path that bytes take
                    raise
                return
            if data:
                passing = await self._forward(data, direction)
            elif await flow.allow(1):
                self._ends[direction].finish()
                return
            else:
                return
        await self._swallow(direction)

    async def _forward(self, data: bytes, direction: Direction) -> bool:
        """Pass bytes on; tell whether all could be."""
        sink, flow = self._ends[direction], self._flows[direction]
        rest = memoryview(data)
        while rest:
            count = await flow.allow(len(rest))
            if not count:
                self._drop(len(rest), flow)
                return False
            await sink.send(rest[:count])
            rest = rest[count:]
            flow.count(count)
            self._noticed()
        return True

    async def _swallow(self, direction: Direction) -> None:
        """Drop all that still comes: a stream with a hole in it is of no use to anybody."""
        with contextlib.suppress(OSError):
            while data := await self._ends[~direction].receive():
                self._drop(len(data), self._flows[direction])

    def _drop(self, count: int, flow: Flow) -> None:
        flow.dropped += count
        self._noticed()
