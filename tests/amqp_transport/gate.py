"""A relay that holds up what a broker says, from a method of one kind on, so that a test can strike in between."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from dulse.amqp.frames import read_frame
from dulse.amqp.methods import BY_INDEX

LONG = 60.0
"""Seconds for which a test waits at most."""


class Gate:
    """Stands between clients and a broker; takes what comes after `shut_at` was said for the `after`-th time."""

    def __init__(self, broker: tuple[str, int], shut_at: str, after: int = 1) -> None:
        self._broker = broker
        self._index = next(each for each, kind in BY_INDEX.items() if kind.name == shut_at).to_bytes(4, "big")
        self._left = after
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._reached, self._opened = threading.Event(), threading.Event()
        self._links: list[socket.socket] = []
        self.connections = 0
        self._threads: list[threading.Thread] = []
        self._start(self._listen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(LONG)
        self._listening.close()
        self.cut()
        for each in self._threads[1:]:
            each.join(LONG)
        for link in self._links:
            link.close()

    def wait(self) -> None:
        """Wait until it holds something up."""
        assert self._reached.wait(LONG)

    def open(self) -> None:
        """Let everything pass."""
        self._opened.set()

    def cut(self) -> None:
        """End all connections there are."""
        for each in self._links:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _start(self, work: Callable[..., None], *links: socket.socket) -> None:
        self._threads.append(threading.Thread(target=work, args=links))
        self._threads[-1].start()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            broker = socket.create_connection(self._broker)
            self.connections += 1
            self._links += [client, broker]
            for each in (client, broker):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            self._start(self._pass_on, client, broker)
            self._start(self._watch, broker, client)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        self._end(target)

    def _watch(self, source: socket.socket, target: socket.socket) -> None:
        rest = b""
        with suppress(OSError):
            while data := source.recv(1 << 16):
                rest = self._pass_frames(rest + data, target)
        self._end(target)

    def _pass_frames(self, data: bytes, target: socket.socket) -> bytes:
        at = 0
        while True:
            frame, following = read_frame(data, at, 1 << 30)
            if frame is None:
                return data[at:]
            kind, _, payload = frame
            if kind == 1 and payload[:4] == self._index:
                self._left -= 1
                if not self._left:
                    self._reached.set()
                    self._opened.wait(LONG)
            target.sendall(data[at:following])
            at = following

    def _end(self, target: socket.socket) -> None:
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
