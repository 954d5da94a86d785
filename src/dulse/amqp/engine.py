"""AMQP 0-9-1 as one object without I/O: bytes in, events out; calls in, bytes out; for a client or a server."""

from __future__ import annotations

from struct import Struct

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.channel import Channel
from dulse.amqp.events import Arrived, Called, Ended, Event, Opened, Replied, Told
from dulse.amqp.expected import Expected
from dulse.amqp.faults import misuse, violation
from dulse.amqp.method import Method
from dulse.amqp.methods import BY_INDEX, basic, channel, connection
from dulse.amqp.session import Session
from dulse.amqp.states import CLIENT_CONTENTS, CLIENT_IS_TOLD, SERVER_CONTENTS, ChannelState, State, close_error

_ACK = Struct(">BHIIQBB")  # the whole frame


class Engine(Session):
    """One connection of either peer.

    Not locked: the owner holds its lock around each call. Nothing waits; after every call there may be
    `data_to_send`. `receive` raises ProtocolError when the peer breaks the protocol: send what is left and
    close the socket.
    """

    def __repr__(self) -> str:
        role = "server" if self.server else "client"
        return f"<Engine: {role}, {self.state.value}, {len(self._channels) - 1} channels>"

    # What goes out

    def data_to_send(self) -> bytes:
        """Take all bytes that shall be sent now, in order."""
        data = b"".join(self._out)
        self._out.clear()
        self._spoke = self._spoke or bool(data)
        return data

    def open_channel(self) -> Expected:
        """Open the channel of the lowest free number, which is in the Expected's `channel`."""
        self._check_open()
        limit = self.channel_max or 65535
        number = next((each for each in range(1, limit + 1) if each not in self._channels), 0)
        if not number:
            raise errors.make(errors.ChannelLimitExceeded, f"all {limit} channels are open; close one")
        self._channels[number] = Channel(number, ChannelState.OPENING, self.settings.message_max)
        return self._ask(self._channels[number], channel.Open())

    def close_channel(self, number: int, code: int = 200, text: str = "", blamed: type[Method] = Method) -> Expected:
        """Close a channel, because of the method `blamed` if one is given; its other calls fail with ChannelClosed."""
        found = self._usable(number)
        failed = errors.make(errors.ChannelClosed, f"channel {number} was closed by us", code=504)
        found.fail(failed)
        found.abandon()
        expected = self._ask(found, channel.Close(code, text, blamed.index >> 16, blamed.index & 0xFFFF))
        found.state = ChannelState.CLOSING
        return expected

    def close(self, code: int = 200, text: str = "") -> Expected:
        """Say goodbye; what comes until close-ok is dropped."""
        self._check_open()
        self._fail_all(errors.make(errors.ConnectionClosed, "the connection was closed by us"))
        expected = self._ask(self._channels[0], connection.Close(code, text, 0, 0))
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
        if self.state is not State.OPEN or number == 0 or not found or found.state is not ChannelState.OPEN:
            self._for_messages(number)
        self._out.append(_ACK.pack(frames.METHOD, number, 13, basic.Ack.index, tag, multiple, 0xCE))

    def reply(self, number: int, method: Method) -> None:
        """As a server, answer a Called."""
        self._usable(number)
        self._write(number, method)

    def publish(self, number: int, exchange: str, routing_key: str, header: bytes, body: bytes) -> None:
        """Publish a message whose properties `properties.encode` wrote."""
        found = self._channels.get(number)
        if found is None or found.state is not ChannelState.OPEN or number == 0 or self.state is not State.OPEN:
            found = self._for_messages(number)
        key = (number, exchange, routing_key, False)
        front = self._routes.get(key)
        if front is None:
            front = self._route(key)
        self._content(number, front, header, body)

    def publish_mandatory(self, number: int, exchange: str, routing_key: str, header: bytes, body: bytes) -> None:
        """Publish as `publish` does; the broker returns the message if no queue wants it."""
        self._for_messages(number)
        key = (number, exchange, routing_key, True)
        self._content(number, self._routes.get(key) or self._route(key), header, body)

    def send_content(self, number: int, method: Method, header: bytes, body: bytes) -> None:
        """Send any method with a content; a server's deliver, return and get-ok."""
        self._for_messages(number)
        self._content(number, frames.method_frame(number, method.encode(), self.frame_max), header, body)

    def tick(self, now: float) -> list[Event]:
        """Send a heartbeat if due, and end a connection whose peer is silent for two; call twice an interval or more.

        `now` is seconds of any steady clock, always the same.
        """
        if self._heard:
            self._received_at, self._heard = now, False
        if self._spoke:
            self._sent_at, self._spoke = now, False
        if not self.heartbeat or self.state not in {State.OPEN, State.CLOSING}:
            return []
        if now - self._received_at >= 2 * self.heartbeat:
            text = f"nothing came for {now - self._received_at:.0f} s, two heartbeats of {self.heartbeat} s"
            return self._end(errors.make(errors.ConnectionLost, text))
        if now - self._sent_at >= self.heartbeat / 2:
            self._out.append(frames.HEARTBEAT_FRAME)
        return []

    # What comes in

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the peer and give what they mean; ProtocolError: they mean nothing, and all is over."""
        if self.closed:
            return []
        self._heard = True
        events: list[Event] = []
        try:
            if not self._greeted:
                rest = self._greet(data)
                if rest is None:
                    return events
                data = rest
            for kind, number, payload in self._splitter.feed(data):
                self._take(kind, number, payload, events)
        except errors.ProtocolError as error:
            self._give_up(error)
            raise
        return events

    def lost(self, error: Exception) -> list[Event]:
        """Say that the socket is gone: all calls fail with `error`."""
        return [] if self.state is State.CLOSED else self._end(error)

    def _greet(self, data: bytes) -> bytes | None:
        rest = self._splitter.take_protocol_header(data)
        if rest is not None:
            self._greeted, self.state = True, State.LOGIN
            names = b"PLAIN AMQPLAIN EXTERNAL"
            self._write(0, connection.Start(server_properties=self.settings.properties, mechanisms=names))
        return rest

    def _take(self, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        if self.closed:
            return
        found = self._channels.get(number)
        if kind == frames.HEARTBEAT:
            if number:
                raise violation(f"a heartbeat on channel {number}", 501)
        elif kind == frames.METHOD:
            self._take_method(found, number, payload, events)
        elif found is None or number == 0:
            raise violation(f"a content on channel {number}, which is not open", 504)
        elif found.state is ChannelState.OPEN and self.state is State.OPEN:
            self._take_content(found, kind, payload, events)

    def _take_content(self, found: Channel, kind: int, payload: bytes, events: list[Event]) -> None:
        try:
            delivery = found.take_header(payload) if kind == frames.HEADER else found.take_body(payload)
        except errors.ContentTooLarge as error:
            self.close_channel(found.number, 311, "CONTENT_TOO_LARGE")
            events.append(Ended(found.number, error))
            return
        if delivery is None:
            return
        if delivery.kind is basic.GetOk:
            events.append(Replied(found.number, found.answer(basic.GetOk, delivery)))
        else:
            events.append(Arrived(found.number, delivery))

    def _take_method(self, found: Channel | None, number: int, payload: bytes, events: list[Event]) -> None:
        kind = BY_INDEX.get(int.from_bytes(payload[:4], "big")) if len(payload) >= 4 else None
        if kind is None:
            raise violation(f"an unknown method {payload[:4].hex()}", 503)
        if (number == 0) != (kind.index >> 16 == 10):
            raise violation(f"{kind.name} on channel {number}", 503)
        if found is None:
            if not self.server or kind is not channel.Open or self.state is not State.OPEN:
                raise violation(f"{kind.name} on channel {number}, which is not open", 504)
            found = self._accept(number)
        if found.assembling and kind is not channel.Close:
            raise violation(f"{kind.name} on channel {number} inside a content", 505)
        if kind.has_content:
            self._begin(found, kind, payload)
            return
        method = kind.decode(payload)
        if number == 0:
            self._on_connection(method, events)
        else:
            self._on_channel(found, method, events)

    def _begin(self, found: Channel, kind: type[Method], payload: bytes) -> None:
        if kind not in (SERVER_CONTENTS if self.server else CLIENT_CONTENTS):
            raise violation(f"{kind.name}, which only the other peer may send", 503)
        if found.state is ChannelState.OPEN and self.state is State.OPEN:
            found.begin(kind, payload)

    def _accept(self, number: int) -> Channel:
        if self.channel_max and number > self.channel_max:
            raise violation(f"channel {number}, and {self.channel_max} are allowed", 504)
        found = self._channels[number] = Channel(number, ChannelState.OPENING, self.settings.message_max)
        return found

    def _on_channel(self, found: Channel, method: Method, events: list[Event]) -> None:
        number = found.number
        if isinstance(method, channel.Close):
            self._write(number, channel.CloseOk())
            if found.state is ChannelState.CLOSING:
                return  # both closed at once: the answer to ours is on its way
            asked = BY_INDEX.get(method.class_id << 16 | method.method_id)
            self._drop(found, close_error(method, asked.name if asked else "", self.state), events)
        elif isinstance(method, channel.CloseOk):
            if found.state is not ChannelState.CLOSING:
                raise violation(f"channel.close-ok on channel {number}, which is open", 505)
            events.append(Replied(number, found.answer(channel.CloseOk, method)))
            self._drop(found, None, events)
        elif found.state is ChannelState.CLOSING or self.state is State.CLOSING:
            return
        elif self.server and isinstance(method, channel.Open):
            if found.state is not ChannelState.OPENING:
                raise violation(f"channel {number} was opened twice", 504)
            found.state = ChannelState.OPEN
            self._write(number, channel.OpenOk())
            events.append(Opened(number))
        elif found.waiting and type(method) in found.waiting[0].method.replies:
            found.state = ChannelState.OPEN
            events.append(Replied(number, found.answer(type(method), method)))
        else:
            self._on_told(number, method, events)

    def _on_told(self, number: int, method: Method, events: list[Event]) -> None:
        if self.server:
            events.append(Called(number, method) if method.replies else Told(number, method))
            return
        if type(method) not in CLIENT_IS_TOLD:
            raise violation(f"{method.name} on channel {number}, which nobody asked for", 505)
        if isinstance(method, channel.Flow):
            self._write(number, channel.FlowOk(method.active))
        elif isinstance(method, basic.Cancel) and not method.no_wait:
            self._write(number, basic.CancelOk(method.consumer_tag))
        events.append(Told(number, method))

    def _on_connection(self, method: Method, events: list[Event]) -> None:
        zero = self._channels[0]
        if isinstance(method, connection.Close):
            self._write(0, connection.CloseOk())
            events.extend(self._end(close_error(method, "connection", self.state)))
        elif isinstance(method, connection.CloseOk):
            if self.state is not State.CLOSING:
                raise violation("connection.close-ok, and nobody asked for it", 505)
            events.append(Replied(0, zero.answer(connection.CloseOk, method)))
            events.extend(self._end(None))
        elif self.state is State.CLOSING:
            return
        elif self.state is State.OPEN and zero.waiting and type(method) in zero.waiting[0].method.replies:
            events.append(Replied(0, zero.answer(type(method), method)))
        elif self.state is State.OPEN:
            if isinstance(method, connection.Blocked):
                self.blocked = method.reason
            elif isinstance(method, connection.Unblocked):
                self.blocked = None
            if isinstance(method, connection.UpdateSecret) or type(method) in CLIENT_IS_TOLD:
                self._on_told(0, method, events)
            else:
                raise violation(f"{method.name} on an open connection", 503)
        else:
            self._step(method, events)
