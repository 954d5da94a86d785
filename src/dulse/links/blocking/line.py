"""What the parts of a blocking link share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple, final

from dulse import errors
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.expected import Expected
from dulse.amqp.life import LINK, Action, Happening, Status
from dulse.amqp.remembered import Remembered
from dulse.links.amqp_problems import no_connection
from dulse.links.amqp_setup import LinkSetup
from dulse.links.blocking.beacon import Beacon
from dulse.links.blocking.stream import Stream
from dulse.links.waiting.signal_sync import Signal

if TYPE_CHECKING:
    from dulse.links.blocking.port import Port

SPENT = 1 << 40
"""Taken off `room`, it sends the next publish the long way."""


@final
class Call(NamedTuple):
    """A callback that `drain` shall call, and its argument."""

    callback: Callable[[Any], Any]
    argument: Any


class Line:
    """The state of a blocking link. `lock` guards every field but where one says otherwise.

    The lock is never held while somebody waits: for the socket, a callback, a log or a connection. Under it `inside` is
    True, so that a signal handler or destructor that struck there, on the same thread, knows.
    """

    def __init__(self, setup: LinkSetup) -> None:
        self.setup = setup
        self.forget()

    def forget(self) -> None:
        """Be as new: at the start, and in a forked child."""
        self.lock = RLock()
        self.inside = False
        self.changed = Signal()
        """Told whenever somebody who waits may find what he waits for."""
        self.status = Status.NEW
        self.error: Exception | None = None
        """Why the link was lost."""
        self.failure: Exception | None = None
        """What ends the connection, until somebody without the lock attends to it."""
        self.stream: Stream | None = None
        self.send: Callable[[bytes], int] = _unconnected
        """The stream's."""
        self.engine: Engine | None = None
        self.ports: dict[int, Port] = {}
        self.room = -SPENT
        """Bytes that may be published before the long way has to be taken."""
        self.is_full = False
        """The windows were full, and are not yet empty enough to go on."""
        self._forget_sending()
        self._forget_receiving()
        self.abandoned: list[Expected] = []
        """Calls that nobody waits for any more."""
        self.is_idle = True
        """The keeper looks seldom: who brings work calls it."""
        self.call_keeper: Callable[[], None] = _nobody
        self.is_behind = False
        """What was read may not have been taken in: an exception struck. Set before the reading, by a plain store."""
        self.beacon: Beacon | None = None
        """For a foreign event loop, if there is one."""
        self.reads = 0
        self.reconnects = 0
        self.remembered = Remembered()
        self.frame_max = 0
        self.broken_ports: deque[tuple[Port, Exception]] = deque()
        """Channels of which one message has to be found that made the broker close them."""
        self.is_mending = False
        """A thread is at work that mends."""
        self.notices: deque[Callable[[], object]] = deque()
        """Callbacks that are to be called without the lock."""
        self.endings: deque[tuple[Port, Exception]] = deque()
        """Channels that the broker has closed, until somebody attends to it."""
        self.problems: deque[tuple[Port, bytes | None, Exception]] = deque()
        """What the broker did not take, before it is logged."""
        self.tellers: list[int] = []
        """The threads that log and tell of what the broker did not take; each adds and removes itself."""
        self.told: list[tuple[Port, Exception]] = []
        """The same after that, for the next flush to raise."""

    def _forget_receiving(self) -> None:
        self.ready: deque[Delivery | Call] = deque()
        """What `drain` hands over next."""
        self.reader: object | None = None
        """The token of who reads now; others wait for him. Taken under the lock, given back by a plain store."""
        self.leader = 0
        """The thread that reads."""
        self.is_drained = False
        """The last reading took all that the socket had; only who leads stores it."""
        self.limited: list[Port] = []
        """Those with a limit, or paused."""
        self.acked: list[Port] = []
        """Who has acknowledgements that are not sent."""
        self.acks_due = 0.0

    def _forget_sending(self) -> None:
        self.tail: list[bytes] = []
        """Frames of ours that are no messages, in order."""
        self.tail_sent: list[int] = []
        """Bytes of them that the kernel has taken, added to by C code alone."""
        self.stuck: Port | None = None
        """Whose message was begun or refused by the socket: TLS wants the very same bytes next."""

    def __repr__(self) -> str:
        return f"<Line: {self.status.value}, {len(self.ports)} channels, {len(self.ready)} ready>"

    @property
    def is_open(self) -> bool:
        """Tell whether there is a connection."""
        return self.status is Status.OPEN

    @property
    def is_broken(self) -> bool:
        """Tell whether the connection is lost, and another is being made."""
        return self.status is Status.BROKEN

    @property
    def is_over(self) -> bool:
        """Tell whether there is no connection, and none is being made."""
        return self.status is not Status.OPEN and self.status is not Status.BROKEN

    def turn(self, happening: Happening) -> tuple[Action, ...]:
        """Stand where an event leads, and give what has to be done; called under the lock."""
        self.status, actions = LINK[happening, self.status]
        return actions

    def need_engine(self) -> Engine:
        """Give the engine of an open link; raises what ended it."""
        if self.status is not Status.OPEN or self.engine is None:
            raise self.why_not()
        return self.engine

    def why_not(self) -> Exception:
        """Build the error that says why nothing can be done."""
        return no_connection(self.status, self.error)

    def tell(self) -> None:
        """Have all who wait look again, the one who waits for the socket too."""
        self.changed.notify()
        if self.beacon is not None:
            self.beacon.set()
        stream = self.stream
        if self.reader is not None and stream is not None:
            stream.wake()

    def gather(self) -> None:
        """Move what the engine wants to say behind what is waiting to be sent."""
        if self.engine is not None and self.engine.out:
            # One statement without a call that could be cut off between the two stores.
            out = [*self.tail, *self.engine.out]
            self.tail, self.engine.out = out, []

    def spend(self) -> None:
        """Have the next publish take the long way."""
        if self.room >= 0:
            self.room -= SPENT

    def wake_keeper(self) -> None:
        """Have the keeper look soon, if it rests."""
        if self.is_idle:
            self.is_idle = False
            self.call_keeper()


def _unconnected(_data: bytes) -> int:
    raise errors.make(errors.ConnectionLost, "there is no connection")


def _nobody() -> None:
    """Before there is a keeper."""
