"""Messages on their way out, as bytes that are ready to be sent; and those that come back."""

from __future__ import annotations

from struct import Struct

from dulse.amqp import frames, properties
from dulse.amqp.delays import exchange_of, restored
from dulse.amqp.delivery import Content
from dulse.amqp.faults import misuse, unwritable
from dulse.amqp.methods import basic
from dulse.model.message import Properties, Returned

_MOST_ROUTES = 1000
_MOST_ALIKE = 256
_MOST_FRONTS = 1000
_HEADER_FRONT = Struct(">BHIHH")
_HEADER_SIZE = Struct(">Q")
_BODY_FRONT = Struct(">BBHI")  # behind the last byte of the header frame
_END = frames.END


class Writer:
    """Writes messages for one channel.

    Remembers what many messages have alike: their method frame by exchange and routing key, properties without headers
    that are one and the same object (nobody changes what was given), and, where those come again, all that stands
    before a body of one length. Threads may share it without a lock: what is known by an object's id keeps the object.
    """

    __slots__ = ("_alike", "_channel", "_frame_max", "_fronts", "_mandatory", "_plain")

    def __init__(self, channel: int, frame_max: int) -> None:
        self._channel = channel
        self._frame_max = frame_max
        self._plain: dict[tuple[str, str], bytes] = {}
        self._mandatory: dict[tuple[str, str], bytes] = {}
        self._alike: dict[int, tuple[bytes, bytes, Properties]] = {}
        self._fronts: dict[tuple[str, str, int, int], tuple[bytes, Properties]] = {}

    def __repr__(self) -> str:
        return f"<Writer: channel {self._channel}, frames up to {self._frame_max}>"

    def write(self, body: bytes, header: Properties, exchange: str, routing_key: str, mandatory: bool = False) -> bytes:
        """Write method, header and body frames in one piece; EncodeError names what AMQP cannot carry."""
        size, number = len(body), id(header)
        if not mandatory:
            front = self._fronts.get((exchange, routing_key, number, size))
            if front is not None:
                return b"".join((front[0], body, _END))
        routes = self._mandatory if mandatory else self._plain
        method = routes.get((exchange, routing_key)) or self._learn_route(routes, exchange, routing_key)
        known = self._alike.get(number)
        head, tail, _ = known or self._learn_properties(header)
        whole = _HEADER_SIZE.pack(size)
        if not 0 < size <= self._frame_max - frames.OVERHEAD:
            pieces = frames.body_frames(self._channel, body, self._frame_max)
            return b"".join((method, head, whole, tail, _END, *pieces))
        start = _BODY_FRONT.pack(0xCE, frames.BODY, self._channel, size)
        if known is not None and not mandatory:
            if len(self._fronts) >= _MOST_FRONTS:
                self._fronts.clear()
            self._fronts[exchange, routing_key, number, size] = b"".join((method, head, whole, tail, start)), header
        return b"".join((method, head, whole, tail, start, body, _END))

    def _learn_route(self, routes: dict[tuple[str, str], bytes], exchange: str, routing_key: str) -> bytes:
        method = basic.Publish(exchange, routing_key, mandatory=routes is self._mandatory)
        front = frames.method_frame(self._channel, method.encode(), self._frame_max)
        if len(routes) >= _MOST_ROUTES:
            routes.clear()
        routes[exchange, routing_key] = front
        return front

    def _learn_properties(self, header: Properties) -> tuple[bytes, bytes, Properties]:
        tail = properties.encode(header)
        length = properties.HEAD.size + len(tail)
        room = self._frame_max - frames.OVERHEAD
        if length > room:
            raise unwritable(f"the headers take {length} bytes and the frame maximum leaves {room}; shorten them")
        written = (_HEADER_FRONT.pack(frames.HEADER, self._channel, length, properties.BASIC, 0), tail, header)
        if "headers" not in header:  # those with headers are made for one message alone
            if len(self._alike) >= _MOST_ALIKE:
                self._alike.clear()
            self._alike[id(header)] = written
        return written


def written_anew(data: bytes, channel: int, frame_max: int) -> bytes:
    """Write a message of a Writer's for another channel number or a smaller frame maximum; EncodeError: too small."""
    found = frames.read_frames(data)
    method, header = found[0][2], found[1][2]
    body = b"".join(payload for _, _, payload in found[2:])
    pieces = frames.body_frames(channel, body, frame_max)
    front = frames.method_frame(channel, method, frame_max), frames.header_frame(channel, header, frame_max)
    return b"".join((*front, *pieces))


def read_written(data: bytes) -> tuple[basic.Publish, Properties, bytes]:
    """Read a message of a Writer's: the method, the properties and the body; for errors that name the message."""
    found = frames.read_frames(data)
    body = b"".join(payload for _, _, payload in found[2:])
    return basic.Publish.decode(found[0][2]), properties.decode(found[1][2]), body


def returned(content: Content) -> Returned:
    """Give a message that the broker returned, in the words of the transport's contract."""
    method = content.method
    if not isinstance(method, basic.Return):
        raise misuse(f"{content.kind.name} returns no message to its publisher; only basic.return does")
    properties = content.properties
    exchange = exchange_of(properties, method.exchange)
    return Returned(
        method.reply_code, method.reply_text, exchange, method.routing_key, restored(properties), content.body
    )
