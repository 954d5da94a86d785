"""What comes in by an asyncio link: each event is given to whom it concerns."""

from __future__ import annotations

from typing import Any, cast

from dulse.amqp.delivery import Delivery
from dulse.amqp.events import Arrived, Ended, Event, Replied, Told
from dulse.amqp.messages import returned
from dulse.amqp.methods import basic
from dulse.links.amqp_problems import refusal
from dulse.links.asynchronous.port import Port
from dulse.links.asynchronous.recovering import Recovering

MOST_UNREAD = 1 << 20
"""Bytes that are read ahead of `drain`; with one read more, that is what a consumer without prefetch costs."""


class Receiving(Recovering):
    """The half of a Link that is told what comes."""

    def take(self, events: list[Event], size: int) -> None:
        """Take what was said in a read of so many bytes."""
        ports, ready = self.ports, self.ready
        before = len(ready)
        answered: set[Port] = set()
        for event in events:
            kind = type(event)
            if kind is Delivery:
                ready.append(cast("Delivery", event))
            elif kind is Told and type(cast("Told", event).method) is basic.Ack:
                port = ports.get(event.channel)
                if port is not None:
                    self._confirm(port, cast("Any", event).method)
                    answered.add(port)
            else:
                self._take(event, answered)
        for port in answered:
            port.grant()
        if answered and self.watchers:
            self.notify()
        if len(ready) > before:
            self._arrived(len(ready) - before, size)

    def _arrived(self, count: int, size: int) -> None:
        self.unread += size
        while self.drainers and count:
            drainer = self.drainers.popleft()
            if not drainer.done():
                drainer.set_result(None)
                count -= 1
        if self.unread > MOST_UNREAD and not self.waits and self.wire is not None:
            self.wire.pause()

    def _confirm(self, port: Port, method: basic.Ack) -> None:
        if port.recheck is not None:
            tokens = [each.token for each in port.recheck.confirm(method.delivery_tag, method.multiple)]
        else:
            tokens = port.window.confirm(method.delivery_tag, method.multiple)
        token: Any
        for token in tokens:
            if token is not None and not token[0].done():
                token[0].set_result(None)

    def _take(self, event: Event, answered: set[Port]) -> None:
        """Take what is not as usual."""
        port = self.ports.get(event.channel)
        if isinstance(event, Replied):
            self.reply(event.expected)
        elif isinstance(event, Told):
            if not event.channel:
                self.flow()
            elif isinstance(event.method, basic.Nack) and port is not None:
                self._refuse(port, event.method)
                answered.add(port)
            elif isinstance(event.method, basic.Cancel) and port is not None:
                self.end_consumer(port, event.method.consumer_tag)
        elif isinstance(event, Arrived) and port is not None:
            port.take_returned(returned(event.content))
        elif isinstance(event, Ended) and port is not None and event.error is not None:
            self.channel_closed(port, event.error)

    def _refuse(self, port: Port, method: basic.Nack) -> None:
        if port.recheck is not None:
            port.recheck.refuse(method.delivery_tag, method.multiple)
            return
        for message in port.window.refuse(method.delivery_tag, method.multiple):
            self.fail(message, refusal(message.data))
