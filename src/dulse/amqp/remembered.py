"""What has to come back with a new connection: channels and their consumers, and what would vanish with us."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dulse.amqp.commands import method_for
from dulse.amqp.delays import Ladder
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, confirm
from dulse.amqp.tables import encode_table
from dulse.model.commands import (
    BindExchange,
    BindQueue,
    Command,
    DeclareExchange,
    DeclareQueue,
    DeleteExchange,
    DeleteQueue,
    UnbindExchange,
    UnbindQueue,
)

Binding = BindExchange | BindQueue
_Key = tuple[str, str, str, str, bytes]


@dataclass(slots=True)
class RememberedChannel:
    """One channel that is open for the program."""

    confirms: bool = False
    prefetch: int = 0
    """For each consumer that is started from now on."""
    shared: int = 0
    """For all consumers together."""
    consumers: dict[str, tuple[basic.Consume, int]] = field(default_factory=dict)
    """By tag: how it was started, and the prefetch then."""

    def methods(self) -> list[Method]:
        """Give what makes a new channel as this one is, but for the consumers."""
        found: list[Method] = [confirm.Select()] if self.confirms else []
        if self.shared:
            found.append(basic.Qos(prefetch_count=self.shared, global_=True))
        if self.prefetch:
            found.append(basic.Qos(prefetch_count=self.prefetch))
        return found

    def starts(self, tag: str) -> list[Method]:
        """Give what starts a consumer again with the prefetch it had."""
        method, prefetch = self.consumers[tag]
        if prefetch == self.prefetch:
            return [method]
        then, now = basic.Qos(prefetch_count=prefetch), basic.Qos(prefetch_count=self.prefetch)
        return [then, method, now]


class Remembered:
    """What one connection has made, told after the broker agreed to it.

    Of exchanges and queues only those that may vanish with the connection or the broker: exclusive, auto-delete, not
    durable, or with ``x-expires``; and the bindings of these. The broker keeps the others by itself. An auto-delete
    queue is forgotten with our last consumer, an auto-delete exchange with our last binding. Not locked.
    """

    def __init__(self) -> None:
        self.channels: dict[int, RememberedChannel] = {}
        self.ladder = Ladder()
        """Not ours alone, but messages that are sent again need it, perhaps on a broker that does not know it."""
        self._exchanges: dict[str, DeclareExchange] = {}
        self._queues: dict[str, DeclareQueue] = {}
        self._bindings: dict[_Key, Binding] = {}

    def __repr__(self) -> str:
        consumers = sum(len(each.consumers) for each in self.channels.values())
        return (
            f"<Remembered: {len(self.channels)} channels, {consumers} consumers, {len(self._exchanges)} exchanges, "
            f"{len(self._queues)} queues, {len(self._bindings)} bindings>"
        )

    def topology(self) -> list[Method]:
        """Give what declares and binds everything again, in an order that works."""
        commands = (
            *self.ladder.everything(),
            *self._exchanges.values(),
            *self._queues.values(),
            *self._bindings.values(),
        )
        return [method_for(each) for each in commands]

    # ------------------------------------------------------------------------------------------------- topology

    def note(self, command: Command) -> None:
        """Know what was carried out; the name of a queue is the one in the broker's reply."""
        match command:
            case DeclareExchange(passive=False, auto_delete=True) | DeclareExchange(passive=False, durable=False):
                self._exchanges[command.exchange] = command
            case DeclareQueue(passive=False) if _may_vanish(command):
                self._queues[command.queue] = command
            case BindExchange() | BindQueue() if self._touches(command):
                self._bindings[_key(command)] = command
            case UnbindExchange():
                self._unbind([_key(BindExchange(*command))])
            case UnbindQueue():
                self._unbind([_key(BindQueue(*command))])
            case DeleteExchange():
                self._forget_exchange(command.exchange)
            case DeleteQueue():
                self._forget_queue(command.queue)
            case _:
                pass  # it stays by itself, or leaves nothing

    def _touches(self, binding: Binding) -> bool:
        kind, destination, source, _, _ = _key(binding)
        return source in self._exchanges or destination in (self._queues if kind == "queue" else self._exchanges)

    def _unbind(self, keys: list[_Key]) -> None:
        gone = [each for each in keys if self._bindings.pop(each, None) is not None]
        for _, _, source, _, _ in gone:
            found = self._exchanges.get(source)
            if found is not None and found.auto_delete and not any(key[2] == source for key in self._bindings):
                self._forget_exchange(source)

    def _forget_exchange(self, name: str) -> None:
        self._exchanges.pop(name, None)
        self._unbind([key for key in self._bindings if key[2] == name or key[:2] == ("exchange", name)])

    def _forget_queue(self, name: str) -> None:
        self._queues.pop(name, None)
        self._unbind([key for key in self._bindings if key[:2] == ("queue", name)])

    # ------------------------------------------------------------------------------------------------- channels

    def open_channel(self, number: int, *, confirms: bool) -> None:
        """Know a channel that is open."""
        self.channels[number] = RememberedChannel(confirms)

    def close_channel(self, number: int) -> None:
        """Know that a channel is closed for the program, with its consumers."""
        found = self.channels.get(number)
        if found is not None:
            for tag in list(found.consumers):
                self.cancel(number, tag)
            del self.channels[number]

    def prefetch(self, number: int, count: int, *, shared: bool) -> None:
        """Know a basic.qos."""
        found = self.channels[number]
        if shared:
            found.shared = count
        else:
            found.prefetch = count

    def consume(self, number: int, method: basic.Consume) -> None:
        """Know a consumer; its tag is the one in the broker's reply."""
        found = self.channels[number]
        found.consumers[method.consumer_tag] = method, found.prefetch

    def cancel(self, number: int, consumer_tag: str) -> None:
        """Know that a consumer has ended, by the program or the broker."""
        found = self.channels.get(number)
        ended = found.consumers.pop(consumer_tag, None) if found is not None else None
        if ended is None:
            return
        queue = self._queues.get(ended[0].queue)
        others = any(
            method.queue == ended[0].queue for each in self.channels.values() for method, _ in each.consumers.values()
        )
        if queue is not None and queue.auto_delete and not others:
            self._forget_queue(queue.queue)


def _may_vanish(command: DeclareQueue) -> bool:
    arguments: Any = command.arguments
    return command.exclusive or command.auto_delete or not command.durable or "x-expires" in arguments


def _key(binding: Binding) -> _Key:
    arguments = encode_table(binding.arguments)
    if isinstance(binding, BindQueue):
        return "queue", binding.queue, binding.exchange, binding.routing_key, arguments
    return "exchange", binding.destination, binding.source, binding.routing_key, arguments
