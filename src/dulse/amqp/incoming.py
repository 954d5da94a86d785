"""What comes in: bytes to frames, frames to methods and contents, those to events."""

from __future__ import annotations

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.channel import Channel
from dulse.amqp.delivery import Content
from dulse.amqp.events import Arrived, Called, Ended, Event, Opened, Replied, Told
from dulse.amqp.faults import violation
from dulse.amqp.method import Method
from dulse.amqp.methods import BY_INDEX, basic, channel, connection
from dulse.amqp.session import Session
from dulse.amqp.states import CLIENT_CONTENTS, CLIENT_IS_TOLD, SERVER_CONTENTS, ChannelState, State, close_error


class Incoming(Session):
    """The half of `Engine` that receives; not for use by itself."""

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes as they come from the peer, in any pieces, and give what they say.

        ProtocolError: the peer broke the protocol; what it said before is in `events`.
        """
        self.inbox.append(data)
        self.take_in()
        found, self.events = self.events, []
        return found

    def take_in(self) -> None:
        """Move what is in `inbox` to `events`, as far as it is complete; for owners whose code may be interrupted.

        Such an owner appends to `inbox` and calls this; it may do so again after any exception (a signal handler's)
        that cut this off: nothing is lost and nothing comes twice. Only where it struck in a frame that changes more
        than it tells (a reply, a closing, a message of several frames), ConnectionLost is raised, and is final.
        """
        if self._torn:
            cut = self.error or errors.make(errors.ConnectionLost, "an exception struck in a frame; connect again")
            if self.state is not State.CLOSED:
                self.events.extend(self._end(cut))
            raise cut
        if self.state is State.CLOSED:
            self.inbox = []
            return
        self.has_heard = True
        self._weigh()
        if self._held < self._needed:
            return
        found = self.events.copy()
        needed = 0
        try:
            data, at = self._put_together(found)
            while not needed:
                if self.state is State.OPEN and not self.server:
                    at, needed = self._reader.read(data, at, found)
                if not needed:
                    at, needed = self._take_one(data, at, found)
        except errors.ProtocolError as error:
            self.inbox, self._torn, self.events = [], False, found
            found.extend(self._give_up(error))
            raise
        rest = [data[at:]] if at < len(data) else []
        left, pieces = len(data) - at, len(rest)
        self._torn, self.events = False, found
        self.inbox, self._counted, self._held, self._needed = rest, pieces, left, needed

    @property
    def awaited(self) -> int:
        """Octets of the frames that have begun to come, as far as those tell."""
        return self._needed

    def _put_together(self, found: list[Event]) -> tuple[bytes, int]:
        """Give what came in one piece, and where to begin in it.

        Where only the first message lies in two pieces, it is taken by itself, so that the others are not copied.
        """
        first, *others = self.inbox
        if not others:
            return first, 0
        last, missing = others[-1], self._needed - len(first)
        if len(others) == 1 and 0 < missing < len(last) and self.state is State.OPEN and not self.server:
            whole, known = b"".join((first, memoryview(last)[:missing])), len(found)
            at, _ = self._reader.read(whole, 0, found)
            if at == len(whole):
                return last, missing
            del found[known:]
        return b"".join(self.inbox), 0

    def _weigh(self) -> None:
        """Count what has come since, so that the pieces of a frame are put together once."""
        fresh = self.inbox[self._counted :]
        held, counted = self._held + sum(map(len, fresh)), self._counted + len(fresh)
        self._held, self._counted = held, counted

    def _take_one(self, data: bytes, at: int, events: list[Event]) -> tuple[int, int]:
        """Take the frame at `at`: where the next begins, and (if not 0) how many octets must be there."""
        if not self._greeted:
            return self._greet(data)
        frame, following = frames.read_frame(data, at, self._reader.largest + frames.OVERHEAD)
        if frame is None:
            return at, following
        self._torn = True
        self._take(*frame, events)
        return (len(data), 1) if self.closed else (following, 0)

    def _greet(self, data: bytes) -> tuple[int, int]:
        size = len(frames.PROTOCOL_HEADER)
        if not frames.read_protocol_header(data):
            return 0, len(data) + 1
        self._torn = True
        self._greeted, self.state = True, State.LOGIN
        names = b"PLAIN AMQPLAIN EXTERNAL"
        self._write(0, connection.Start(server_properties=self.settings.properties, mechanisms=names))
        return size, 0

    def _take(self, kind: int, number: int, payload: bytes, events: list[Event]) -> None:
        found = self._channels.get(number) if number else self._zero
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
            whole = found.take_header(payload) if kind == frames.HEADER else found.take_body(payload)
        except errors.ContentTooLarge as error:
            events.extend(Replied(found.number, each) for each in found.fail(error))
            self._part(found, channel.Close(311, "CONTENT_TOO_LARGE"))
            events.append(Ended(found.number, error))
            return
        if isinstance(whole, Content):
            events.append(Arrived(found.number, whole))
        elif whole is not None and whole.message_count is not None:
            events.append(Replied(found.number, found.answer(basic.GetOk, whole)))
        elif whole is not None:
            events.append(whole)

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
        found = self._channels[number] = Channel(
            number, ChannelState.OPENING, self.settings.message_max, self.frame_max
        )
        return found

    def _on_channel(self, found: Channel, method: Method, events: list[Event]) -> None:
        number = found.number
        if isinstance(method, channel.Close):
            self._write(number, channel.CloseOk())
            if found.state is ChannelState.CLOSING:
                return  # both closed at once: the answer to ours is on its way
            asked = BY_INDEX.get(method.class_id << 16 | method.method_id)
            self._drop(found, close_error(method, asked.name if asked else "", self.state, server=self.server), events)
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
        elif found.waiting and found.asked(type(method), method) is not None:
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
        zero = self._zero
        if isinstance(method, connection.Close):
            self._write(0, connection.CloseOk())
            events.extend(self._end(close_error(method, "connection", self.state, server=self.server)))
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
