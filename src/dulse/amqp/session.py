"""The connection below its channels: handshake, endings and what is waiting to be sent."""

from __future__ import annotations

from typing import Final

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.channel import Channel
from dulse.amqp.events import Ended, Event, Opened, Replied
from dulse.amqp.expected import Expected
from dulse.amqp.faults import misuse, violation
from dulse.amqp.method import Method
from dulse.amqp.methods import channel, connection
from dulse.amqp.reading import Reader
from dulse.amqp.sasl import choose
from dulse.amqp.settings import Settings, agreed, frame_maximum
from dulse.amqp.states import CLIENT_STEPS, SERVER_STEPS, ChannelState, State


class Session:
    """What `Engine` stands on; not for use by itself."""

    def __init__(self, settings: Settings | None = None, *, server: bool = False) -> None:
        self.settings: Final = settings or Settings()
        self.server: Final = server
        self.state = State.GREETING
        self.blocked: str | None = None
        """Why the broker takes no messages now, or None."""
        self.peer_properties: dict[str, object] = {}
        self.frame_max = frames.SMALLEST_MAXIMUM
        self.channel_max = self.settings.channel_max
        self.heartbeat = 0
        """Seconds, as agreed; 0: none."""
        self.error: Exception | None = None
        self.is_spoiled = False
        """What came was no AMQP, and it is us who ended the connection."""
        self.events: list[Event] = []
        """What was taken in and nobody has seen yet."""
        self._channels: dict[int, Channel] = {}
        self._zero = Channel(0, ChannelState.OPEN, 0, 0)
        self._reader = Reader(self._channels, frames.SMALLEST_MAXIMUM - frames.OVERHEAD, self.settings.message_max)
        self.inbox: list[bytes] = []
        """What came from the peer and is not taken in yet."""
        self.out: list[bytes] = [] if server else [frames.PROTOCOL_HEADER]
        """What shall be sent, in order."""
        self.has_spoken = True
        """Set when anything was sent; only who sends without `data_to_send` sets it."""
        self._counted = self._held = self._needed = 0
        self._torn = False
        self._greeted = not server
        self._received_at = self._sent_at = -1.0
        self.has_heard = True
        """Set when something came; who lets it wait unread in the socket sets it too."""

    @property
    def closed(self) -> bool:
        """Tell whether all is over."""
        return self.state is State.CLOSED

    def _step(self, method: Method, events: list[Event]) -> None:
        step = (SERVER_STEPS if self.server else CLIENT_STEPS).get((self.state, type(method)))
        if step is None:
            raise violation(f"{method.name} from a peer that {self.state.value}", 503)
        self.state = step
        if isinstance(method, connection.Start):
            events.extend(self._on_start(method))
        elif isinstance(method, connection.StartOk):
            events.extend(self._on_start_ok(method))
        elif isinstance(method, connection.Tune):
            self._on_tune(method)
        elif isinstance(method, connection.TuneOk):
            self._tuned(method.channel_max, method.frame_max)
            self.heartbeat = method.heartbeat
        elif isinstance(method, connection.Secure):
            text = "the server asks a second question, which PLAIN, AMQPLAIN and EXTERNAL have no answer for"
            events.extend(self._end(errors.make(errors.AuthenticationFailed, text)))
        else:
            if self.server:
                self._write(0, connection.OpenOk())
            events.append(Opened(0))

    def _on_start(self, method: connection.Start) -> list[Event]:
        if (method.version_major, method.version_minor) != (0, 9):
            raise violation(f"the server speaks AMQP {method.version_major}-{method.version_minor}", 501)
        self.peer_properties = dict(method.server_properties)
        try:
            mechanism = choose(self.settings.mechanisms, method.mechanisms)
        except errors.AuthenticationFailed as error:
            return self._end(error)
        self._write(0, connection.StartOk(self.settings.properties, mechanism.name, mechanism.response()))
        return []

    def _on_start_ok(self, method: connection.StartOk) -> list[Event]:
        self.peer_properties = dict(method.client_properties)
        if not self.settings.check(method.mechanism, method.response):
            self._write(0, connection.Close(403, "ACCESS_REFUSED - login was refused", 0, 0))
            return self._end(
                errors.make(errors.AuthenticationFailed, f"a client failed to log in by {method.mechanism}")
            )
        wish = self.settings
        self._write(0, connection.Tune(wish.channel_max, wish.frame_max, wish.heartbeat))
        return []

    def _on_tune(self, method: connection.Tune) -> None:
        self._tuned(method.channel_max, method.frame_max)
        self.heartbeat = agreed(self.settings.heartbeat, method.heartbeat)
        self._write(0, connection.TuneOk(self.channel_max, self.frame_max, self.heartbeat))
        self._write(0, connection.Open(self.settings.virtual_host))

    def _tuned(self, channels: int, size: int) -> None:
        if 0 < size < frames.SMALLEST_MAXIMUM:
            raise violation(f"a frame maximum of {size}, and every peer takes {frames.SMALLEST_MAXIMUM}", 501)
        self.channel_max = agreed(self.settings.channel_max, channels)
        self.frame_max = frame_maximum(self.settings.frame_max, size)
        self._reader.largest = self.frame_max - frames.OVERHEAD

    # Endings

    def _drop(self, found: Channel, error: Exception | None, events: list[Event]) -> None:
        del self._channels[found.number]
        failed = error or errors.make(errors.ChannelClosed, f"channel {found.number} is closed", code=504)
        events.extend(Replied(found.number, each) for each in found.fail(failed))
        events.append(Ended(found.number, error))

    def _part(self, found: Channel, close: channel.Close) -> Expected:
        """Ask the peer to close a channel; until it has, what comes on it is dropped."""
        found.abandon()
        expected = self._ask(found, close)
        found.state = ChannelState.CLOSING
        return expected

    def _fail_all(self, error: Exception) -> list[Event]:
        every = [self._zero, *self._channels.values()]
        return [Replied(each.number, failed) for each in every for failed in each.fail(error)]

    def _end(self, error: Exception | None) -> list[Event]:
        failed = self._fail_all(error or errors.make(errors.ConnectionClosed, "the connection is closed"))
        self.state, self.error = State.CLOSED, error
        return [*failed, Ended(0, error)]

    def _give_up(self, error: Exception) -> list[Event]:
        """Tell the peer what it did wrong, as far as it would understand, and fail all calls."""
        self.is_spoiled = True
        if not self._greeted:
            self.out.append(frames.PROTOCOL_HEADER)
        elif self.state not in {State.GREETING, State.CLOSED}:
            self._write(0, connection.Close(501, str(error)[:80].encode("ascii", "replace").decode(), 0, 0))
        return self._end(error)

    # Writing

    def _check_open(self) -> None:
        if self.state is not State.OPEN:
            raise errors.make(errors.ConnectionClosed, f"the connection is not open: {self.state.value}")

    def _usable(self, number: int) -> Channel:
        self._check_open()
        found = self._channels.get(number) if number else self._zero
        if found is None or found.state is not ChannelState.OPEN:
            raise errors.make(errors.ChannelClosed, f"channel {number} is not open; open a new one", code=504)
        return found

    def _for_messages(self, number: int) -> Channel:
        if number == 0:
            raise misuse("channel 0 is the connection; open a channel for messages")
        return self._usable(number)

    def _ask(self, found: Channel, method: Method) -> Expected:
        self._write(found.number, method)
        expected = Expected(method, found.number)
        found.waiting.append(expected)
        return expected

    def _write(self, number: int, method: Method) -> None:
        self.out.append(frames.method_frame(number, method.encode(), self.frame_max))
