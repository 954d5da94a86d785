"""AMQP 0-9-1 as one object without I/O: bytes in, events out; calls in, bytes out; for a client or a server."""

from __future__ import annotations

from collections.abc import Container
from struct import Struct

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.channel import Channel
from dulse.amqp.events import Event
from dulse.amqp.expected import Expected
from dulse.amqp.faults import misuse
from dulse.amqp.incoming import Incoming
from dulse.amqp.messages import Writer
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel, connection
from dulse.amqp.properties import content_header, encode
from dulse.amqp.states import ChannelState, State
from dulse.model.message import Properties

_ACK = Struct(">BHIIQBB")  # the whole frame


class Engine(Incoming):
    """One connection of either peer.

    Not locked: the owner holds its lock around each call. Nothing waits; after every call there may be
    `data_to_send`. `receive` raises ProtocolError when the peer breaks the protocol: send what is left and
    close the socket.
    """

    def __repr__(self) -> str:
        role = "server" if self.server else "client"
        return f"<Engine: {role}, {self.state.value}, {len(self._channels)} channels>"

    # What goes out

    def data_to_send(self) -> bytes:
        """Take all bytes that shall be sent now, in order."""
        data = b"".join(self.out)
        self.out.clear()
        self.has_spoken = self.has_spoken or bool(data)
        return data

    def open_channel(self, number: int = 0, *, reserved: Container[int] = ()) -> Expected:
        """Open the channel of this number, or the lowest free one, which is in the Expected's `channel`.

        None of the `reserved` is chosen: an owner may mean to open those again that the peer has closed.
        ChannelLimitExceeded: the peers have agreed on fewer, or none is free.
        """
        self._check_open()
        limit = self.channel_max or 65535
        if number in self._channels or not 0 <= number <= limit:
            text = f"channel {number} is open already, or over the limit of {limit}; take another"
            raise errors.make(errors.ChannelLimitExceeded, text)
        free = (each for each in range(1, limit + 1) if each not in self._channels and each not in reserved)
        number = number or next(free, 0)
        if not number:
            raise errors.make(errors.ChannelLimitExceeded, f"all {limit} channels are open; close one")
        self._channels[number] = Channel(number, ChannelState.OPENING, self.settings.message_max, self.frame_max)
        return self._ask(self._channels[number], channel.Open())

    def is_channel_open(self, number: int) -> bool:
        """Tell whether a channel is open, for both peers as far as we know."""
        found = self._channels.get(number)
        return found is not None and found.state is ChannelState.OPEN

    def close_channel(self, number: int, code: int = 200, text: str = "", blamed: type[Method] = Method) -> Expected:
        """Close a channel, because of the method `blamed` if one is given; its other calls fail with ChannelClosed."""
        found = self._usable(number)
        found.fail(errors.make(errors.ChannelClosed, f"channel {number} was closed by us", code=504))
        return self._part(found, channel.Close(code, text, blamed.index >> 16, blamed.index & 0xFFFF))

    def close(self, code: int = 200, text: str = "") -> Expected:
        """Say goodbye; what comes until close-ok is dropped."""
        self._check_open()
        self._fail_all(errors.make(errors.ConnectionClosed, "the connection was closed by us"))
        expected = self._ask(self._zero, connection.Close(code, text, 0, 0))
        self.state = State.CLOSING
        return expected

    def call(self, number: int, method: Method) -> Expected:
        """Send a method; what is answered by nothing (or asked not to be) is complete at once, with itself as reply."""
        found = self._usable(number)
        if (number == 0) != (method.index >> 16 == 10):
            raise misuse(f"{method.name} on channel {number}; channel 0 is for the connection's methods alone")
        if method.has_content:
            raise misuse(f"{method.name} carries a content; use send_content or publish")
        if method.replies and not getattr(method, "no_wait", False):
            return self._ask(found, method)
        self._write(number, method)
        expected = Expected(method, number)
        expected.reply = method
        return expected

    def ack(self, number: int, tag: int, multiple: bool = False) -> None:
        """Acknowledge a delivery, or all up to it: `call` with a basic.ack, quicker."""
        found = self._channels.get(number)
        if self.state is not State.OPEN or not found or found.state is not ChannelState.OPEN:
            self._for_messages(number)
        self.out.append(_ACK.pack(frames.METHOD, number, 13, basic.Ack.index, tag, multiple, 0xCE))

    def reply(self, number: int, method: Method) -> None:
        """As a server, answer a Called."""
        self._usable(number)
        self._write(number, method)

    def publish(
        self,
        number: int,
        body: bytes,
        properties: Properties,
        exchange: str,
        routing_key: str,
        mandatory: bool = False,
    ) -> None:
        """Publish a message; a mandatory one is returned by the broker if no queue wants it.

        EncodeError names what AMQP cannot carry; nothing is written then. Properties alike are encoded once if they are
        one and the same object; nobody changes it then.
        """
        found = self._channels.get(number)
        if found is None or found.state is not ChannelState.OPEN or self.state is not State.OPEN:
            found = self._for_messages(number)
        self.out.append(found.writer.write(body, properties, exchange, routing_key, mandatory))

    def writer(self, number: int) -> Writer:
        """Give what writes messages for an open channel, for owners who send and keep the bytes themselves."""
        return self._for_messages(number).writer

    def send_content(self, number: int, method: Method, properties: Properties, body: bytes) -> None:
        """Send any method with a content; a server's deliver, return and get-ok."""
        self._for_messages(number)
        header = content_header(len(body), encode(properties))
        self.out += (
            frames.method_frame(number, method.encode(), self.frame_max),
            frames.header_frame(number, header, self.frame_max),
            *frames.body_frames(number, body, self.frame_max),
        )

    def tick(self, now: float) -> list[Event]:
        """Send a heartbeat if due, and end a connection whose peer is silent for two; call twice an interval or more.

        `now` is seconds of any steady clock, always the same.
        """
        if self.has_heard:
            self._received_at, self.has_heard = now, False
        if self.has_spoken:
            self._sent_at, self.has_spoken = now, False
        if not self.heartbeat or self.state not in {State.OPEN, State.CLOSING}:
            return []
        if now - self._received_at >= 2 * self.heartbeat:
            text = f"nothing came for {now - self._received_at:.0f} s, two heartbeats of {self.heartbeat} s"
            return self._end(errors.make(errors.ConnectionLost, text))
        if now - self._sent_at >= self.heartbeat / 2:
            self.out.append(frames.HEARTBEAT_FRAME)
        return []

    def lost(self, error: Exception) -> list[Event]:
        """Say that the socket is gone: all calls fail with `error`."""
        return [] if self.state is State.CLOSED else self._end(error)
