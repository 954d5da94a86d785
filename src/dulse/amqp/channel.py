"""One channel's part of the engine: puts contents together and matches replies with calls."""

from __future__ import annotations

from collections import deque

from dulse import errors
from dulse.amqp import properties
from dulse.amqp.delivery import Content, Delivery
from dulse.amqp.expected import Expected
from dulse.amqp.faults import violation
from dulse.amqp.messages import Writer
from dulse.amqp.method import Method
from dulse.amqp.methods import basic
from dulse.amqp.states import ChannelState

_MANY = 1024


class Channel:
    """The state of one channel number, from open to close-ok."""

    __slots__ = (
        "_chunks",
        "_header",
        "_held",
        "_kind",
        "_payload",
        "_pieces",
        "_size",
        "largest",
        "number",
        "state",
        "waiting",
        "writer",
    )

    def __init__(self, number: int, state: ChannelState, largest: int, frame_max: int) -> None:
        self.number = number
        self.writer = Writer(number, frame_max)
        self.state = state
        self.largest = largest
        """Bytes of body that are taken."""
        self.waiting: deque[Expected] = deque()
        self._kind: type[Method] | None = None
        self._payload = b""
        self._header = b""
        self._chunks: list[bytes] = []
        self._pieces: list[bytes] = []
        self._size = -1
        self._held = 0

    def __repr__(self) -> str:
        return f"<Channel {self.number}: {self.state.value}, {len(self.waiting)} calls waiting>"

    @property
    def assembling(self) -> bool:
        """Tell whether the frames of a content are still coming."""
        return self._kind is not None

    @property
    def is_idle(self) -> bool:
        """Tell whether it is open and the next frame may be a method."""
        return self.state is ChannelState.OPEN and self._kind is None

    def begin(self, kind: type[Method], payload: bytes) -> None:
        """Take a method that announces a content."""
        self._kind, self._payload, self._header = kind, payload, b""
        self._chunks, self._pieces, self._held, self._size = [], [], 0, -1

    def take_header(self, payload: bytes) -> Delivery | Content | None:
        """Take a content header: the message, if its body is empty. ContentTooLarge (311): it announces too much."""
        if self._kind is None or self._size >= 0:
            raise violation(f"a content header on channel {self.number} that no method announced", 505)
        self._size = properties.body_size(payload)
        if self._size > self.largest:
            text = f"a message of {self._size} bytes was announced, and {self.largest} are allowed"
            raise errors.make(errors.ContentTooLarge, text, code=311, method=self._kind.name)
        self._header = payload
        return self._finished() if self._size == 0 else None

    def take_body(self, payload: bytes) -> Delivery | Content | None:
        """Take a piece of the body: the message, if it is the last."""
        if self._size < 0:
            raise violation(f"a body frame on channel {self.number} without a header", 505)
        self._held += len(payload)
        if self._held > self._size:
            raise violation(f"a body of {self._held} bytes, where {self._size} were announced", 501)
        if payload:
            self._pieces.append(payload)
            if len(self._pieces) == _MANY:  # a peer may send octet by octet, at 40 octets of ours each
                self._chunks.append(b"".join(self._pieces))
                self._pieces = []
        return self._finished() if self._held == self._size else None

    def abandon(self) -> None:
        """Forget a content that is half there."""
        self._kind, self._size, self._chunks, self._pieces = None, -1, [], []

    def asked(self, kind: type[Method], reply: Method | Delivery) -> Expected | None:
        """Find the oldest call that this answers.

        It may not be the oldest of all: RabbitMQ has a queue answer to consume and cancel, and does the next meanwhile.
        """
        tag = reply.consumer_tag if isinstance(reply, basic.ConsumeOk | basic.CancelOk) else ""
        for each in self.waiting:
            if kind in each.method.replies and (not tag or getattr(each.method, "consumer_tag", "") in {"", tag}):
                return each
        return None

    def answer(self, kind: type[Method], reply: Method | Delivery) -> Expected:
        """Complete the call that this answers; ProtocolError (505): nothing of the kind was asked."""
        expected = self.asked(kind, reply)
        if expected is None:
            asked = ", ".join(each.method.name for each in self.waiting) or "nothing"
            raise violation(f"{kind.name} on channel {self.number}, where {asked} waits for an answer", 505)
        expected.reply = reply  # first: were it cut off behind the other, nobody would ever answer
        self.waiting.remove(expected)
        return expected

    def fail(self, error: Exception) -> list[Expected]:
        """Fail all calls that wait and give them."""
        failed = list(self.waiting)
        for each in failed:
            each.error = error
        self.waiting.clear()  # last: who is cut off before can do it again
        return failed

    def _finished(self) -> Delivery | Content:
        kind = self._kind
        if kind is None:
            raise violation(f"a body on channel {self.number} that no method announced", 505)
        pieces = [*self._chunks, *self._pieces]
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.abandon()
        if kind is basic.Deliver:
            came = basic.Deliver.decode(self._payload)
            names = came.exchange, came.routing_key
            return Delivery(
                self.number, came.consumer_tag, came.delivery_tag, came.redelivered, names, self._header, body
            )
        if kind is basic.GetOk:
            got = basic.GetOk.decode(self._payload)
            names = got.exchange, got.routing_key
            return Delivery(
                self.number, None, got.delivery_tag, got.redelivered, names, self._header, body, got.message_count
            )
        return Content(kind, self._payload, self._header, body)
