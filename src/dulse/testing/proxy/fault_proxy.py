"""The proxy itself: its door, its thread, and the faults as verbs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar
from weakref import WeakSet

from dulse.testing.proxy.flow import Direction, Flow, Mode
from dulse.testing.proxy.relay import Relay

Result = TypeVar("Result")

HOST = "127.0.0.1"
WITHIN = 10.0
"""Seconds that a verb may take; one that injects waits for peers that do not read."""
BACKLOG = 128


class FaultProxy:
    """A TCP proxy to one server on 127.0.0.1, whose connections can be broken in the ways that networks break them.

    Use it in a `with` block, or call `start` and `stop`. It listens on `port`, chosen by the system, and runs on a
    thread of its own. Every verb acts on all connections, may be called from any thread, and returns when the fault is
    in place, or raises TimeoutError after 10 s. While the server is down, clients are accepted and reset. A forked
    child has no proxy: its copies of the sockets are closed, so that faults still reach the peers.
    """

    def __init__(self, target_host: str, target_port: int) -> None:
        self.target = (target_host, target_port)
        self.port = 0
        """Where it listens, once it is started; kept until it is stopped, also while it refuses connections."""
        self.connections = 0
        """How many connections have been accepted since the start."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._running: asyncio.AbstractEventLoop | None = None
        self._flows = {Direction.TO_SERVER: Flow(), Direction.TO_CLIENT: Flow()}
        self._relays: dict[Relay, asyncio.Task[None]] = {}
        self._cutting: asyncio.Task[None] | None = None  # the loop itself keeps no more than a weak reference
        self._door: socket.socket | None = None
        self._reservation: socket.socket | None = None
        self._process = os.getpid()

    def __repr__(self) -> str:
        host, port = self.target
        return f"<FaultProxy on {HOST}:{self.port} to {host}:{port}, {self.open_connections} open>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to listen and to serve."""
        self._running = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._running.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        _proxies.add(self)
        self._do(self._open_door())

    def stop(self) -> None:
        """Reset all connections and end the thread; does nothing if it is not running, or in a forked child."""
        loop, thread = self._running, self._thread
        if loop is None or thread is None or os.getpid() != self._process:
            return
        self._do(self._close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(WITHIN)
        loop.close()
        self._running = self._thread = None
        _proxies.discard(self)

    @property
    def host(self) -> str:
        """Where it listens."""
        return HOST

    @property
    def open_connections(self) -> int:
        """How many connections have not ended yet."""
        return len(self._relays)

    @property
    def bytes_to_server(self) -> int:
        """How many bytes of clients have been passed on since the start."""
        return self._flows[Direction.TO_SERVER].moved

    @property
    def bytes_to_client(self) -> int:
        """How many bytes of the server have been passed on since the start."""
        return self._flows[Direction.TO_CLIENT].moved

    @property
    def bytes_dropped(self) -> int:
        """How many bytes have vanished in `half_open`, both ways together."""
        return sum(flow.dropped for flow in self._flows.values())

    def wait_until(self, condition: Callable[[], bool], timeout: float = WITHIN) -> None:
        """Block until a condition on the counters holds; it is looked at whenever one changes.

        TimeoutError after `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"{self!r} did not come to what was waited for within {timeout:g} s")

    def cut(self) -> int:
        """Reset all connections (RST to both sides); new ones are served. Gives how many there were."""
        return self._do(self._cut())

    def cut_after(self, count: int, direction: Direction = Direction.TO_SERVER) -> None:
        """Let exactly `count` more bytes pass one way, then `cut` once; another call replaces the first."""
        self._do(self._cut_after(count, direction))

    def finish(self) -> int:
        """End all connections in order (FIN to both sides); new ones are served. Gives how many there were."""
        return self._do(self._finish())

    def stall(self, direction: Direction = Direction.BOTH) -> None:
        """Hold all bytes, and ends of connections too, until `resume`; new connections are accepted and held.

        The kernel takes some megabytes from who sends, as it does on a path that is down, and then no more.
        """
        self._do(self._set(direction, Mode.HOLD))

    def half_open(self, direction: Direction = Direction.BOTH) -> None:
        """Drop all bytes, and ends of connections too; new connections are accepted and never answered.

        A connection that has lost bytes one way stays silent that way, also after `resume`.
        """
        self._do(self._set(direction, Mode.DROP))

    def slow(self, bytes_per_second: float, direction: Direction = Direction.BOTH) -> None:
        """Pass bytes at this rate, which all connections share, until `resume`."""
        if bytes_per_second <= 0:
            raise ValueError(f"bytes_per_second is {bytes_per_second}: give more than 0, or call stall()")
        self._do(self._set(direction, Mode.PASS, bytes_per_second))

    def refuse(self) -> None:
        """Refuse new connections, as a port does where nobody listens, until `resume`; the open ones go on."""
        self._do(self._shut_door())

    def resume(self, direction: Direction = Direction.BOTH) -> None:
        """Let bytes pass again, those that were held first, and accept connections."""
        self._do(self._resume(direction))

    def garbage(self, data: bytes, direction: Direction = Direction.TO_CLIENT) -> int:
        """Send bytes of your own into all connections, at once, whatever is stalled or slow; gives how many took them.

        They may come in the middle of a frame, as what passes is cut into pieces of any size.
        """
        return self._do(self._inject(data, direction))

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._running is None:
            raise RuntimeError(f"{self!r} is not running: use it in a `with` block, or call start()")
        return self._running

    def _do(self, action: Coroutine[Any, Any, Result]) -> Result:
        if self._running is None:
            action.close()
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(WITHIN)

    async def _set(self, directions: Direction, mode: Mode, rate: float | None = None) -> None:
        self._welcome()
        for direction in directions:
            self._flows[direction].set(mode, rate)

    async def _resume(self, directions: Direction) -> None:
        await self._set(directions, Mode.PASS)
        await self._open_door()

    async def _cut(self) -> int:
        self._welcome()
        relays = await self._stop_relays()
        for relay in relays:
            relay.reset()
        return len(relays)

    async def _cut_after(self, count: int, direction: Direction) -> None:
        flow = self._flows[direction]

        async def cut() -> None:
            await self._cut()
            flow.limit(None)

        def reached() -> None:
            self._cutting = self._loop.create_task(cut())

        flow.limit(count, reached)

    async def _finish(self) -> int:
        self._welcome()
        relays = await self._stop_relays()
        for relay in relays:
            self._serve(relay, relay.finish())
        await asyncio.sleep(0)  # the FINs go out in the first step
        return len(relays)

    async def _inject(self, data: bytes, directions: Direction) -> int:
        self._welcome()
        taken = [await relay.inject(data, each) for relay in list(self._relays) for each in directions]
        return sum(taken)

    async def _stop_relays(self) -> list[Relay]:
        """Stop what runs on all connections, and give those whose sockets are still to be closed."""
        stopped = list(self._relays.items())
        for _, task in stopped:
            task.cancel()
        await asyncio.gather(*(task for _, task in stopped), return_exceptions=True)
        return [relay for relay, _ in stopped]

    def _serve(self, relay: Relay, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._relays[relay] = task

        def ended(_: object) -> None:
            if self._relays.get(relay) is task:
                del self._relays[relay]
            self._notice()

        task.add_done_callback(ended)

    def _welcome(self) -> None:
        """Accept all who have knocked; called by the verbs too, so that a fault reaches who has just connected."""
        if self._door is None:
            return
        with contextlib.suppress(BlockingIOError):
            while True:
                client, _ = self._door.accept()
                self.connections += 1
                relay = Relay(client, self._flows, self._notice)
                self._serve(relay, relay.run(self.target))
                self._notice()

    def _notice(self) -> None:
        with self._changed:
            self._changed.notify_all()

    async def _open_door(self) -> None:
        if self._door is not None:
            return
        self._give_up_reservation()
        self._door = _bound(self.port)
        self.port = self._door.getsockname()[1]
        self._door.listen(BACKLOG)
        self._door.setblocking(False)
        self._loop.add_reader(self._door, self._welcome)

    async def _shut_door(self) -> None:
        if self._door is None:
            return
        self._welcome()
        self._loop.remove_reader(self._door)
        self._door.close()
        self._door = None
        self._reservation = _bound(self.port)

    async def _close(self) -> None:
        await self._shut_door()
        self._give_up_reservation()
        await self._cut()

    def _give_up_reservation(self) -> None:
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None

    def _forget(self) -> None:
        """Close this process's copies of all sockets."""
        links = [self._door, self._reservation, *(link for relay in self._relays for link in relay.links)]
        for link in links:
            if link is not None:
                link.close()


def _bound(port: int) -> socket.socket:
    """Make a socket that holds a port; as long as it does not listen, connections to the port are refused."""
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        link.bind((HOST, port))
    except OSError:
        link.close()
        raise
    return link


_proxies: WeakSet[FaultProxy] = WeakSet()


def _forget_all() -> None:
    for proxy in _proxies:
        proxy._forget()  # noqa: SLF001 - same module


os.register_at_fork(after_in_child=_forget_all)
