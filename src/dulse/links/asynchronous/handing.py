"""What waits to be handed over on an asyncio link, and what is taken back from there; who may publish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dulse import errors
from dulse.amqp.delivery import Delivery
from dulse.amqp.life import Status
from dulse.links.amqp_setup import LinkSetup
from dulse.links.asynchronous.core import Core
from dulse.links.asynchronous.port import Port

_TICK = 0.25
"""Seconds."""


class Handing(Core):
    """The part of a Link that keeps deliveries until somebody drains."""

    def __init__(self, setup: LinkSetup) -> None:
        super().__init__(setup)
        self._sweeper: asyncio.TimerHandle | None = None
        self._now = 0.0
        """The loop's time at the last tick of the sweeper."""

    def stop_sweeping(self) -> None:
        """Look for late confirms no more."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def wake_drainer(self) -> None:
        """Have one of those who drain look."""
        while self.drainers:
            drainer = self.drainers.popleft()
            if not drainer.done():
                drainer.set_result(None)
                return

    def end_consumer(self, port: Port, tag: str) -> None:
        """Know that the broker has ended a consumer; the next `drain` tells."""
        consumer = port.consumers.get(tag)
        if consumer is not None:
            self.drop_consumer(port, tag)
            if consumer.on_cancel is not None:
                self.ready.append((consumer.on_cancel, tag))
                self.wake_drainer()

    def drop_consumer(self, port: Port, tag: str) -> None:
        """Forget a consumer that has ended. What it was not handed goes back, or to it all the same if it cannot."""
        consumer = port.consumers.pop(tag, None)
        self.remembered.cancel(port.number, tag)
        if consumer is None:
            return
        for event in self._taken_out(lambda each: each.channel == port.number and each.consumer_tag == tag):
            port.acks.newest = max(port.acks.newest, event.delivery_tag)
            if consumer.no_ack:
                port.acks.skip(event.delivery_tag)
                event.delivery_tag += port.offset
                self.ready.append((consumer.on_delivery, event))
            else:
                port.put_back(event.delivery_tag + port.offset)

    def purge(self, port: Port) -> int:
        """Drop what was not handed out of a channel that is gone, or that gives all of it back; gives its newest tag.

        0: there was nothing.
        """
        gone = self._taken_out(lambda each: each.channel == port.number)
        return max((each.delivery_tag for each in gone), default=0)

    def _taken_out(self, wanted: Callable[[Delivery], bool]) -> list[Delivery]:
        for port in self.ports.values():
            if port.held:  # those of a paused flow are sought with the others
                self.ready.extendleft(reversed(port.held))
                port.held.clear()
        found = [each for each in self.ready if isinstance(each, Delivery) and wanted(each)]
        if found:
            kept = [each for each in self.ready if not isinstance(each, Delivery) or not wanted(each)]
            self.ready.clear()
            self.ready.extend(kept)
        return found

    def hold_or_release(self, port: Port) -> None:
        """Hold what comes on a channel that is paused or limited; hand over what was held as far as there is room."""
        held, is_bound = port.held or [], port.is_paused or port.limit > 0
        if not held or not port.has_room:
            port.held = held if is_bound else None
            return
        self.ready.extendleft(reversed(held))
        port.held = [] if is_bound else None
        for _ in range(len(self.ready)):
            self.wake_drainer()

    # -------------------------------------------------------------------------------------------- flow

    @property
    def takes_messages(self) -> bool:
        """Whether messages may be sent now."""
        wire = self.wire
        return self.status is Status.OPEN and wire is not None and not wire.is_congested and wire.engine.blocked is None

    @property
    def blocked(self) -> str | None:
        """Why the broker takes no messages now, or None."""
        return self.wire.engine.blocked if self.wire is not None else None

    def why_no_room(self, port: Port, seconds: float, *, patient: bool) -> Exception:
        """Build the error for a message that was not sent in time."""
        if self.blocked is not None:
            text = (
                f"the broker takes no messages for now ({self.blocked}); this one was not sent within {seconds:.3g} s"
            )
            return errors.make(errors.Blocked if patient else errors.DeadlineExceeded, text)
        why = "there is no connection" if self.wire is None else f"{port.unconfirmed} messages wait for their confirms"
        text = f"a message was not sent within {seconds:g} s: {why}"
        return errors.make(errors.DeadlineExceeded, text)

    def flow(self) -> None:
        """Stop publishers, or let them go on."""
        for port in list(self.ports.values()):
            port.grant()
            if self.takes_messages:
                port.wake(1)

    def late_after(self, timeout: float | None) -> float:
        """Give by when a confirm has to be there, and see to it that somebody looks then.

        A timer for each message would cost more than the message: all that name no time share one that ticks.
        """
        if self._sweeper is None:
            self._now = self.loop.time()
            self._sweeper = self.loop.call_later(_TICK, self._sweep)
        if timeout is None:
            return self._now + self.setup.timeout
        due = self.loop.time() + timeout
        if timeout < 1:
            self.loop.call_at(due, self._expire)
        return due

    def _sweep(self) -> None:
        self._now = self.loop.time()
        going = self._expire()
        self._sweeper = self.loop.call_later(_TICK, self._sweep) if going and self.is_open else None

    def _expire(self) -> bool:
        now = self.loop.time()
        going = [each.expire(now) for each in self.ports.values()]
        return any(going)

    def acks_wait(self, port: Port) -> None:
        """Have acknowledgements sent at the end of this turn of the loop; `drain` sends them when they are 2 ms old."""
        if not self.acking:
            self.acks_due = self.loop.time() + 0.002
            self.loop.call_soon(self.send_acks)
        self.acking.append(port)

    def send_acks(self) -> None:
        """Send what was acknowledged."""
        acking, self.acking = self.acking, []
        for port in acking:
            port.send_acks()
            if port.held:
                self.hold_or_release(port)
