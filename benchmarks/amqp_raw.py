"""A socket that sends prepared frames and only counts what comes: the limit of the broker and the kernel."""

from __future__ import annotations

import socket
import struct
import time
from urllib.parse import unquote, urlsplit

from benchmarks.amqp_side import QUEUE, Side

NAME = bytes([len(QUEUE)]) + QUEUE.encode()
PIECE = 131_072 - 8
WINDOW = 1000
DELIVER, CONFIRM = (60, 60), (60, 80)


def method(channel: int, group: int, number: int, arguments: bytes = b"") -> bytes:
    """Make a method frame."""
    return frame(1, channel, struct.pack(">HH", group, number) + arguments)


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Make any frame."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def message(body: bytes) -> bytes:
    """Make the frames of a publish to the queue."""
    header = struct.pack(">HHQHB", 60, 0, len(body), 0x1000, 1)
    return method(1, 60, 40, b"\0\0\0" + NAME + b"\0") + frame(2, 1, header) + frame(3, 1, body)


class Link:
    """A connection with one channel."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        vhost = unquote(parts.path[1:]).encode() or b"/"
        login = f"\0{parts.username}\0{parts.password}".encode()
        self.socket = socket.create_connection((parts.hostname or "localhost", parts.port or 5672))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.socket.sendall(b"AMQP\0\0\x09\x01")
        self.until((10, 10))
        answer = b"\0\0\0\0\x05PLAIN" + struct.pack(">I", len(login)) + login + b"\x05en_US"
        self.call(method(0, 10, 11, answer), (10, 30))
        self.socket.sendall(method(0, 10, 31, struct.pack(">HIH", 2047, PIECE + 8, 0)))
        self.call(method(0, 10, 40, bytes([len(vhost)]) + vhost + b"\0\0"), (10, 41))
        self.call(method(1, 20, 10, b"\0"), (20, 11))
        self.declare()

    def declare(self) -> None:
        """Declare the queue: also a barrier behind what was sent."""
        self.call(method(1, 50, 10, b"\0\0" + NAME + b"\x02\0\0\0\0"), (50, 11))

    def frames(self) -> list[tuple[tuple[int, int], bytes]]:
        """Give what methods came, with their arguments."""
        data = self.rest + self.socket.recv(262_144)
        at, found = 0, []
        while at + 7 <= len(data):
            kind, _, size = struct.unpack_from(">BHI", data, at)
            if at + size + 8 > len(data):
                break
            if kind == 1:
                group, number = struct.unpack_from(">HH", data, at + 7)
                found.append(((group, number), data[at + 11 : at + 7 + size]))
            at += size + 8
        self.rest = data[at:]
        return found

    def until(self, wanted: tuple[int, int]) -> None:
        """Wait for a method."""
        while wanted not in [which for which, _ in self.frames()]:
            pass

    def call(self, request: bytes, wanted: tuple[int, int]) -> None:
        """Send a method and wait for its answer."""
        self.socket.sendall(request)
        self.until(wanted)


def opened(url: str, confirms: str) -> Side:  # noqa: C901 - closures, each a step of the protocol
    """Open it; `confirms` is "off", "each" or "pipelined"."""
    link = Link(url)
    link.call(method(1, 50, 30, b"\0\0" + NAME + b"\0"), (50, 31))
    if confirms != "off":
        link.call(method(1, 85, 10, b"\0"), (85, 11))
    prepared: dict[bytes, bytes] = {}
    sent = confirmed = 0

    def confirms_until(number: int) -> None:
        nonlocal confirmed
        while confirmed < number:
            for which, arguments in link.frames():
                if which == CONFIRM:
                    confirmed = max(confirmed, int.from_bytes(arguments[:8], "big"))

    def publish(body: bytes) -> None:
        nonlocal sent
        link.socket.sendall(prepared.get(body) or prepared.setdefault(body, message(body)))
        sent += 1
        if confirms == "each":
            confirms_until(sent)
        elif confirms == "pipelined" and sent - confirmed >= WINDOW:
            confirms_until(sent - WINDOW // 2)

    def settle() -> None:
        if confirms != "off":
            confirms_until(sent)
        link.declare()

    def deliveries() -> list[bytes]:
        return [arguments for which, arguments in link.frames() if which == DELIVER]

    def acknowledge(delivery: bytes) -> None:
        at = 1 + delivery[0]
        link.socket.sendall(method(1, 60, 80, delivery[at : at + 8] + b"\x01"))

    def start(prefetch: int, no_ack: bool) -> None:
        link.call(method(1, 60, 10, struct.pack(">IHB", 0, prefetch, 0)), (60, 11))
        link.socket.sendall(method(1, 60, 20, b"\0\0" + NAME + b"\x01t" + bytes([2 * no_ack]) + b"\0\0\0\0"))

    def consume(count: int, prefetch: int, no_ack: bool) -> None:
        start(prefetch, no_ack)
        got = unacknowledged = 0
        while got < count:
            came = deliveries()
            got += len(came)
            unacknowledged += len(came)
            if came and not no_ack and (unacknowledged >= prefetch // 2 or got >= count):
                acknowledge(came[-1])
                unacknowledged = 0

    def ping(count: int) -> list[float]:
        start(10, no_ack=False)
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            publish(b"ping")
            while not (came := deliveries()):
                pass
            acknowledge(came[-1])
            taken.append(time.perf_counter() - began)
        return taken

    return Side(publish, settle, consume, ping, link.socket.close)
