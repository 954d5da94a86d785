"""One channel of a blocking link: the short ways of publishing and acknowledging, and what is in flight on it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.amqp.acknowledging import Acknowledgements
from dulse.amqp.confirms import COST, Unconfirmed, Window
from dulse.amqp.delivery import Delivery
from dulse.amqp.life import CHANNEL, Deed, Standing, Turn
from dulse.amqp.messages import Writer
from dulse.amqp.recheck import Recheck
from dulse.links.amqp_consumer import Consumer
from dulse.links.amqp_problems import no_channel, refusal
from dulse.links.blocking.line import SPENT, Line
from dulse.links.blocking.stream import WOULD_BLOCK
from dulse.model.message import Outgoing, Properties, Returned

if TYPE_CHECKING:
    from dulse.links.blocking.link import Link


class Awaiting:
    """A publisher who waits for the broker's answer to one message."""

    __slots__ = ("done", "is_left", "problem")

    def __init__(self) -> None:
        self.done = False
        self.is_left = False
        """Nobody waits any more: what goes wrong is told otherwise."""
        self.problem: Exception | Returned | None = None


class Port:
    """A channel. Made by `Link.port`; threads may share it.

    It outlives the broker's channels: after a loss, and after the broker closed the channel because of one message, it
    goes on with another one of the same number. The tags of its deliveries are the broker's plus `offset`, so that
    those of a channel that is gone are known.
    """

    def __init__(self, link: Link, line: Line, number: int, writer: Writer) -> None:
        setup = line.setup
        self.number = number
        self.is_open = True
        self.closed_by: Exception | None = None
        self.on_returned: Callable[[Returned], Any] | None = None
        self.consumers: dict[str | None, Consumer] = {}
        self.confirms = setup.confirms
        self.link = link
        self._line = line
        self.waits = setup.waits_for_confirms and setup.confirms
        # What follows is guarded by the line's lock.
        self.writer = writer
        self.is_ready = True
        """The short way may be taken."""
        self.window = Window(setup.window_messages, setup.window_bytes)
        self.generation = 0
        """How often the window was numbered anew."""
        self.is_mending = False
        """Its unconfirmed messages are being looked through; they are not all in the window."""
        self.is_held = False
        """What is in the window is not to be sent yet."""
        self.recheck: Recheck | None = None
        """How far the looking through has got."""
        self.refuge_of: Port | None = None
        """It has no user any more: it sends the messages of this one, perhaps itself, and is closed then."""
        self.late: deque[bytes] = deque()
        """Messages of nested calls, which join the window later."""
        self.acks = Acknowledgements(number)
        self.offset = 0
        self.is_listed = False
        """It is among the line's `acked`."""
        self.has_settled = False
        """Acknowledgements were sent, and no answer since shows that the broker has taken them."""
        self.limit = 0
        """How many deliveries the program may have and not have settled, all consumers together; 0: any number."""
        self.is_paused = False
        self.aside: list[Delivery] = []
        """What came while it was paused, or beyond its limit."""

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Port {self.number}: {state}, {self.window!r}, {len(self.consumers)} consumers>"

    # ------------------------------------------------------------------------------------------- publish

    def publish(
        self,
        body: bytes,
        properties: Properties,
        exchange: str,
        routing_key: str,
        mandatory: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Send a message; when this returns, it is with the kernel and will be confirmed, or be told of.

        A mandatory one without a listener waits until the broker has confirmed or returned it; with one, what came
        back is handed over in a drain or flush.
        """
        if "headers" in properties and "x-delay" in (properties["headers"] or ()):
            properties, exchange, timeout = self.link.postpone(properties, exchange, routing_key, timeout)
        data = self.writer.write(body, properties, exchange, routing_key, mandatory)
        if self.waits or (mandatory and self.on_returned is None):
            self.link.publish_and_wait(self, data, timeout)
            return
        line = self._line
        size = len(data)
        tag = generation = 0
        with line.lock:
            room = line.room - size - COST
            if room >= 0 and self.is_ready and not line.inside:
                line.inside = True
                window = self.window
                try:
                    window.entries.append(data)
                    window.sent.extend(map(line.send, (data,)))
                    if window.sent[-1] == size:
                        line.room = room
                        if not self.confirms:
                            # Nobody asks for it again. No call in between: no signal handler strikes there.
                            del window.entries[-1], window.sent[-1]
                            window.base += 1
                        return
                    line.room = room - SPENT
                except WOULD_BLOCK:
                    line.room, line.stuck = room - SPENT, self
                except OSError as problem:
                    line.room, line.failure = room - SPENT, problem
                except BaseException:
                    line.room = room - SPENT
                    raise
                finally:
                    line.inside = False
                tag, generation = window.last, self.generation
        self.link.publish_slowly(self, data, tag, generation, timeout)

    def publish_many(self, messages: Sequence[Outgoing], timeout: float | None = None) -> None:
        """Send messages in order; those whose confirms are waited for are waited for together."""
        written: list[bytes] = []
        for body, properties, exchange, routing_key, mandatory in messages:
            route, to = properties, exchange
            if "x-delay" in (properties.get("headers") or ()):
                route, to, timeout = self.link.postpone(properties, exchange, routing_key, timeout)
            written.append(self.writer.write(body, route, to, routing_key, mandatory))
        if self.waits or (self.on_returned is None and any(each.mandatory for each in messages)):
            self.link.publish_together(self, written, timeout)
        else:
            self.link.publish_in_rows(self, written, timeout)

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all that was published here is confirmed; raises what the broker did not take."""
        self.link.flush(timeout, self)

    def is_sent(self, tag: int) -> bool:
        """Tell whether a message of the window is with the kernel; called under the lock."""
        window = self.window
        index, begun = tag - window.base, len(window.sent)
        return index < begun - 1 or (index == begun - 1 and window.is_whole())

    def confirm(self, tag: int, multiple: bool) -> None:
        """Take what a basic.ack says of messages; called under the lock."""
        for token in self.window.confirm(tag, multiple):
            if isinstance(token, Awaiting):
                token.done = True

    def refuse(self, tag: int, multiple: bool) -> None:
        """Take what a basic.nack says; called under the lock."""
        for each in self.window.refuse(tag, multiple):
            self.fail(each, refusal(each.data))

    def fail(self, message: Unconfirmed, problem: Exception) -> None:
        """Keep what went wrong with a message for who waits for it, or else for whoever comes; under the lock."""
        if isinstance(problem, errors.NotFound):
            self._line.remembered.ladder.forget()  # it may be of that that something is gone
        if isinstance(message.token, Awaiting) and not message.token.is_left:
            message.token.problem, message.token.done = problem, True
        else:
            self._line.problems.append((self.refuge_of or self, message.data, problem))

    # -------------------------------------------------------------------------------------------- settle

    def ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Settle a delivery, or all up to it. PreconditionFailed: unknown or settled; closes the channel."""
        line = self._line
        with line.lock:
            if multiple or not self.is_listed or not self.acks.ack(delivery_tag - self.offset):
                self._ack(delivery_tag, multiple)
            if not line.is_idle and (line.reader is None or (not line.limited and self.acks.may_wait())):
                return
        self.link.acked()

    def _ack(self, delivery_tag: int, multiple: bool) -> None:
        self.check_open()
        tag = delivery_tag and delivery_tag - self.offset
        if 0 < delivery_tag <= self.offset:
            self.link.drop_stale(self, delivery_tag)
        elif not (self.acks.ack_up_to(tag) if multiple else self.acks.ack(tag)) and not (multiple and not tag):
            raise self._unknown(delivery_tag, "basic.ack")
        elif not self.is_listed:
            self._line.acked.append(self)
            self.is_listed = True

    def reject(self, delivery_tag: int, requeue: bool = False, multiple: bool = False) -> None:
        """Put a delivery back (`requeue`), or let it be dead-lettered or dropped."""
        with self._line.lock:
            self.check_open()
            tag = delivery_tag and delivery_tag - self.offset
            if 0 < delivery_tag <= self.offset:
                self.link.drop_stale(self, delivery_tag)
            elif not self.acks.reject(tag, requeue, multiple) and not (multiple and not tag):
                raise self._unknown(delivery_tag, "basic.reject")
            elif not self.is_listed:
                self._line.acked.append(self)
                self.is_listed = True
        self.link.acked(now=True)

    def _unknown(self, delivery_tag: int, method: str) -> Exception:
        text = f"PRECONDITION_FAILED - unknown delivery tag {delivery_tag}"
        problem = errors.make(errors.PreconditionFailed, text, code=406, method=method)
        self.link.refuse(self, problem)
        return problem

    # -------------------------------------------------------------------------------------------- states

    def check_open(self) -> None:
        """Raise unless the channel can be used."""
        if not self.is_open:
            raise no_channel(self.number, self.closed_by)

    @property
    def standing(self) -> Standing:
        """Where it stands; called under the lock."""
        if self.is_mending or self.recheck is not None:
            return Standing.RECHECKING
        return Standing.IN_USE if self.is_open else Standing.SHUT

    def turn(self, turn: Turn) -> tuple[Deed, ...]:
        """Give what an event asks for; called under the lock."""
        return CHANNEL[turn, self.standing].deeds

    @property
    def has_room(self) -> bool:
        """Tell whether the program may be handed more; called under the lock."""
        return not self.is_paused and (not self.limit or self.acks.outstanding < self.limit)

    def end_consumer(self, tag: str) -> None:
        """Tell a consumer that the broker has ended it; called in a drain."""
        consumer = self.consumers.pop(tag, None)
        if consumer is not None and consumer.on_cancel is not None:
            consumer.on_cancel(tag)

    def forget_consumer(self, tag: str) -> None:
        """Know that a consumer has ended of which nobody knows; called in a drain."""
        self.consumers.pop(tag, None)

    def turn_away(self, tag: str) -> None:
        """Give back what a consumer gets whose start took too long; under the lock."""
        consumer = self.consumers.get(tag)
        if consumer is not None and not consumer.no_ack:
            consumer.on_delivery = self._return

    def _return(self, delivery: Delivery) -> None:
        self.reject(delivery.delivery_tag, requeue=True)

    def shut(self, reason: Exception | None) -> None:
        """Be closed; called under the lock."""
        self.is_open = self.is_ready = self.is_listed = False
        self.closed_by = reason
        self.consumers = {}

    def lose(self) -> None:
        """Know that the broker's channel is gone, with its deliveries; called under the lock."""
        self.is_ready = self.is_listed = False
        self.aside = []
        self.offset += self.acks.newest
        self.acks = Acknowledgements(self.number)

    def resume(self, writer: Writer) -> None:
        """Go on, on a channel that has just been opened; called under the lock."""
        self.writer = writer
        self.generation += 1
        self.is_mending = self.is_held = False
        self.is_ready = True

    def hold(self) -> None:
        """Have the unconfirmed messages looked through before anything is sent; called under the lock."""
        self.is_ready = False
        self.is_mending = self.is_held = True

    def unconfirmed(self) -> list[Unconfirmed]:
        """Give all that waits for the broker's answer; called under the lock."""
        return self.window.unconfirmed() if self.recheck is None else self.recheck.remaining()
