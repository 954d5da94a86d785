"""Deliveries of a blocking link: consumers, handing over, settling."""

from __future__ import annotations

import logging
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from dulse import errors
from dulse.amqp.delivery import Delivery
from dulse.amqp.expected import Expected
from dulse.amqp.methods import basic
from dulse.links.amqp_consumer import NOBODY, Consumer
from dulse.links.amqp_setup import is_rabbitmq_4
from dulse.links.blocking import turns
from dulse.links.blocking.delaying import Delaying
from dulse.links.blocking.line import Call
from dulse.links.blocking.port import Port
from dulse.links.blocking.sending import push

_logger = logging.getLogger(__name__)

_HOLD = 0.002
"""Seconds for which finished deliveries may be collected while more are handed over."""


class Delivering(Delaying):
    """The part of `Link` that consumes; not for use by itself."""

    def drain(self, timeout: float | None = None) -> None:
        """Hand over one event on this thread; DeadlineExceeded if there was none within `timeout` seconds."""
        line = self._line
        now = monotonic()
        if now > line.acks_due:
            if line.acked:
                self.acked(now=True)
            line.acks_due = now + _HOLD
        event: Delivery | Call | None = None
        callback: Callable[[Any], Any] | None = None
        try:
            while callback is None:
                if line.limited:
                    self._release()
                with line.lock:
                    if line.ready:
                        event = line.ready[0]
                        del line.ready[0]  # without a call in between: no signal handler strikes there
                        callback = self._receiver(event)
                if event is None:
                    event, callback = self._await_event(None if timeout is None else now + timeout, timeout)
                if callback is None:
                    event = None
        except BaseException:
            self._put_back(event)
            raise
        callback(event.argument if type(event) is Call else event)

    def _receiver(self, event: Delivery | Call) -> Callable[[Any], Any] | None:
        """Give who is to be called with an event; None: nobody, or not now. Under the lock: its tag is of now."""
        if type(event) is Call:
            return event.callback
        # Subscripts and no calls: each message comes by here.
        line = self._line
        try:
            port = line.ports[event.channel]
            consumer = port.consumers[event.consumer_tag]
        except KeyError:  # both are gone when another thread closes the channel
            return None
        if line.limited and not port.has_room:
            port.aside.append(event)
            return None
        acks = port.acks
        if event.delivery_tag > acks.newest:  # noqa: PLR1730 - max() is a call for each message
            acks.newest = event.delivery_tag
        if consumer.no_ack:
            acks.skip(event.delivery_tag)
        event.delivery_tag += port.offset
        return consumer.on_delivery

    def _put_back(self, event: Delivery | Call | None) -> None:
        """Make ready again what an exception kept from being handed over."""
        line = self._line
        if event is not None:
            with line.lock:
                line.ready.appendleft(event)

    def _await_event(
        self, deadline: float | None, timeout: float | None
    ) -> tuple[Delivery | Call, Callable[[Any], Any] | None]:
        line = self._line
        found: list[Delivery | Call] = []
        receiver: Callable[[Any], Any] | None = None
        with line.lock:
            if line.beacon is not None and not line.ready:
                line.beacon.clear()
        if timeout is not None and timeout <= 0:  # there is no time to wait, but what has come counts
            turns.glance(line, self.broke)

        def look() -> bool:
            nonlocal receiver
            if line.limited:
                self._release()
            if line.ready:
                found.append(line.ready[0])
                del line.ready[0]
                receiver = self._receiver(found[0])
                return True
            if line.is_over:
                raise line.why_not()
            push(line)
            return False

        try:
            turns.wait(line, look, deadline, self.broke)
            self.attend()
            line.wake_keeper()
        except BaseException:
            if found and (not line.ready or line.ready[0] is not found[0]):
                self._put_back(found[0])
            raise
        if not found:
            raise errors.make(errors.DeadlineExceeded, f"no message within {timeout} seconds")
        return found[0], receiver

    def consume(
        self,
        port: Port,
        method: basic.Consume,
        on_delivery: Callable[[Delivery], Any],
        on_cancel: Callable[[str], Any] | None,
        timeout: float | None = None,
    ) -> None:
        """Start a consumer, whose tag is ours."""
        if method.consumer_tag in port.consumers:
            text = f"NOT_ALLOWED - consumer tag {method.consumer_tag!r} is in use on channel {port.number}"
            raise errors.make(errors.NotAllowed, text, code=530, method=method.name)
        port.consumers[method.consumer_tag] = Consumer(method, on_delivery, on_cancel)
        try:
            self.call(port, method, timeout, lambda _: self._line.remembered.consume(port.number, method))
        except BaseException:
            # Else it is cancelled as soon as it is there, and what it is given goes back.
            if not any(each.method is method for each in self._line.abandoned):
                port.consumers.pop(method.consumer_tag, None)
            raise

    def cancel(self, port: Port, consumer_tag: str, timeout: float | None = None) -> None:
        """End a consumer; what was not handed over goes back. Unknown tags are no error.

        A signal handler that struck inside a wait may call it too, as Celery's does when it is told to stop at once: it
        cannot wait, so the consumer ends soon after.
        """
        if consumer_tag not in port.consumers:
            port.check_open()
        elif turns.is_nested(self._line):
            # threading.Thread waits for its thread to begin, by locks that this one may be holding.
            start_new_thread(self._cancel_aside, (port, consumer_tag, timeout))
        else:
            self._cancel(port, consumer_tag, timeout)

    def _cancel_aside(self, port: Port, consumer_tag: str, timeout: float | None) -> None:
        """End a consumer on a thread of its own, which nobody asks how that went."""
        try:
            self._cancel(port, consumer_tag, timeout)
        except errors.DulseError as failure:
            _logger.warning("consumer %r could not be cancelled in order: %s", consumer_tag, failure)

    def _cancel(self, port: Port, consumer_tag: str, timeout: float | None) -> None:
        self.call(port, basic.Cancel(consumer_tag), timeout)
        line = self._line
        with line.lock:
            consumer = port.consumers.pop(consumer_tag, None)
            line.remembered.cancel(port.number, consumer_tag)
            for event in self.take_ready(port, consumer_tag):
                port.acks.newest = max(port.acks.newest, event.delivery_tag)
                if consumer is not None and consumer.no_ack:  # it cannot go back: the broker has forgotten it
                    port.acks.skip(event.delivery_tag)
                    event.delivery_tag += port.offset
                    line.ready.append(Call(consumer.on_delivery, event))
                else:
                    port.acks.reject(event.delivery_tag, requeue=True, multiple=False)
            line.acked.append(port)
        self.acked(now=True)

    def recover(self, port: Port, timeout: float | None = None) -> None:
        """Give back all that a channel was handed and has not settled."""
        self.call(port, basic.Recover(requeue=True), timeout)

    def set_flow(self, port: Port, active: bool) -> None:
        """Pause handing over what comes on a channel, or go on.

        RabbitMQ does not implement channel.flow by a client: what has been sent ahead waits here.
        """
        line = self._line
        with line.lock:
            port.check_open()
            port.is_paused = not active
            self._note_limit(port)
        line.tell()

    def _note_limit(self, port: Port) -> None:
        """Know whether a channel is limited; under the lock."""
        line = self._line
        line.limited = [each for each in line.limited if each is not port]
        if port.is_paused or port.limit:
            line.limited.append(port)
        elif port.aside:
            line.ready, port.aside = deque([*port.aside, *line.ready]), []

    def _release(self) -> None:
        """Make ready again what waited for room on its channel, one at a time and before what came later."""
        line = self._line
        with line.lock:
            for port in line.limited:
                if port.aside and port.has_room and port.is_open:
                    line.ready, port.aside = deque([port.aside[0], *line.ready]), port.aside[1:]

    def prefetch(self, port: Port, count: int, *, shared: bool, timeout: float | None = None) -> None:
        """Bound what is delivered and not settled.

        RabbitMQ 4 may deny a bound for a whole channel, and says nothing: there it is kept here, and each consumer
        started from now on has it for itself at the broker.
        """
        remembered, engine = self._line.remembered, self._line.engine
        kept_here = shared and engine is not None and is_rabbitmq_4(engine.peer_properties)
        if not kept_here:
            method = basic.Qos(prefetch_count=count, global_=shared)
            self.call(port, method, timeout, lambda _: remembered.prefetch(port.number, count, shared=shared))
            return
        found = remembered.channels.get(port.number)
        if found is not None and not found.prefetch:
            self.prefetch(port, count, shared=False, timeout=timeout)
        with self._line.lock:
            port.check_open()
            port.limit = count
            self._note_limit(port)
        self._line.tell()

    def get(self, port: Port, queue: str, *, no_ack: bool, timeout: float | None) -> Delivery | None:
        """Take one message."""

        def taken(expected: Expected) -> None:
            reply = expected.reply
            if isinstance(reply, Delivery):
                port.acks.newest = max(port.acks.newest, reply.delivery_tag)
                if no_ack:
                    port.acks.skip(reply.delivery_tag)
                reply.delivery_tag += port.offset

        reply = self.call(port, basic.Get(queue, no_ack), timeout, taken)
        return reply if isinstance(reply, Delivery) else None

    # ------------------------------------------------------------------------------------------- settle

    def flush(self, timeout: float | None = None, port: Port | None = None) -> None:
        """Send everything, and wait until the broker has taken it; raises what it did not take."""
        deadline = self.deadline(timeout)
        self.await_confirms(timeout, port)
        for each in list(self._line.ports.values()) if port is None else [port]:
            if each.has_settled and each.is_open:
                each.has_settled = False
                # An acknowledgement has no answer. What the broker says to the end of a consumer that there never was
                # shows that it has taken everything before.
                self.call(each, basic.Cancel(NOBODY), deadline - monotonic())

    def acked(self, *, now: bool = False) -> None:
        """See to it that collected acknowledgements go out: now, where somebody waits for the broker meanwhile."""
        line = self._line
        line.wake_keeper()
        if line.limited:
            line.tell()
        if now or line.reader is not None:
            turns.push_now(line, self.broke)

    def drop_stale(self, port: Port, delivery_tag: int) -> None:
        """Drop an acknowledgement of a delivery that came by a lost connection: the broker delivers it again."""
        _logger.debug("%r: delivery %d came by a connection that was lost; it comes again", port, delivery_tag)
