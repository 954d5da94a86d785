"""Who of a connection's consumers gets which message next: windows, buffers and turns, without any waiting.

A store gives records of a queue ahead of time; here they wait until a consumer of that queue has room. Consumers of
one queue take turns, those of the highest priority first, and so do queues. A *window* is what a prefetch bounds: one
for each consumer (RabbitMQ's basic.qos, global=false) and one for each channel (global=true).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

from dulse.broker.rules import QueueRules
from dulse.model.records import Leased

AHEAD = 100
"""As many records of one queue are reserved ahead at most: what a killed process makes others wait for."""

UNBOUNDED = 1 << 62
"""What a limit of 0 stands for: none."""


class Window:
    """Deliveries that may be unsettled at once; a limit of 0 is none."""

    __slots__ = ("flowing", "held", "most")

    def __init__(self, limit: int = 0) -> None:
        self.most = limit or UNBOUNDED
        self.held = 0
        self.flowing = True

    @property
    def limit(self) -> int:
        """How many may be held, 0 for any number."""
        return 0 if self.most == UNBOUNDED else self.most

    @limit.setter
    def limit(self, limit: int) -> None:
        self.most = limit or UNBOUNDED

    def room(self) -> int:
        """How many more may be delivered now."""
        if not self.flowing:
            return 0
        return min(AHEAD, max(0, self.most - self.held))


class Consumer:
    """One consumer of a connection. `channel` is whose ledger its deliveries go to."""

    __slots__ = (
        "active",
        "channel",
        "claim",
        "no_ack",
        "on_cancel",
        "on_delivery",
        "priority",
        "queue",
        "shared",
        "tag",
        "window",
    )

    def __init__(
        self,
        tag: str,
        queue: str,
        channel: Any,
        *,
        window: Window,
        shared: Window,
        no_ack: bool,
        on_delivery: Any,
        on_cancel: Any,
        priority: int = 0,
        claim: Any = None,
    ) -> None:
        self.tag = tag
        self.queue = queue
        self.channel = channel
        self.window = window
        self.shared = shared
        self.no_ack = no_ack
        self.on_delivery = on_delivery
        self.on_cancel = on_cancel
        self.priority = priority
        """Consumers of a lower one are given what this one has no room for (x-priority)."""
        self.claim = claim
        """The decision by which the catalogue came to know it, to be made again if the catalogue forgets it."""
        self.active = True

    def __repr__(self) -> str:
        return f"<Consumer {self.tag!r} of queue {self.queue!r}: {self.window.held} held>"

    def room(self) -> int:
        """How many messages it can be given now, by its own window."""
        if not self.active or not self.shared.flowing:
            return 0
        return AHEAD if self.no_ack else self.window.room()


class _Source:
    """One queue that is consumed from."""

    __slots__ = ("buffer", "consumers", "queue", "rules")

    def __init__(self, queue: str, rules: QueueRules) -> None:
        self.queue = queue
        self.rules = rules
        self.consumers: deque[Consumer] = deque()
        self.buffer: deque[Leased] = deque()

    def next_consumer(self) -> Consumer | None:
        """Give the next one in turn that has room."""
        consumers = self.consumers
        for consumer in consumers:
            window, shared = consumer.window, consumer.shared
            open_to_more = consumer.no_ack or (window.held < window.most and shared.held < shared.most)
            if open_to_more and consumer.active and shared.flowing:
                if len(consumers) > 1:
                    consumers.remove(consumer)
                    self.line_up(consumer)
                return consumer
        return None

    def line_up(self, consumer: Consumer) -> None:
        """Let a consumer come after all others of its priority, and before those of lower ones."""
        consumers = self.consumers
        if not consumers or consumers[-1].priority >= consumer.priority:
            consumers.append(consumer)
        else:
            consumers.insert(sum(other.priority >= consumer.priority for other in consumers), consumer)


class Intake:
    """All consumers of one connection. Not locked: the owner holds its lock around each call."""

    __slots__ = ("_ready", "_sources", "consumers")

    def __init__(self) -> None:
        self.consumers: dict[str, Consumer] = {}
        self._sources: dict[str, _Source] = {}
        self._ready: deque[_Source] = deque()

    def __repr__(self) -> str:
        waiting = sum(len(source.buffer) for source in self._sources.values())
        return f"<Intake: {len(self.consumers)} consumers of {len(self._sources)} queues, {waiting} messages waiting>"

    def add(self, consumer: Consumer, rules: QueueRules) -> None:
        """Let a consumer take part from now on."""
        source = self._sources.get(consumer.queue)
        if source is None:
            source = self._sources[consumer.queue] = _Source(consumer.queue, rules)
        source.line_up(consumer)
        self.consumers[consumer.tag] = consumer

    def remove(self, tag: str) -> list[Leased]:
        """End a consumer; gives what had been reserved for its queue and now has nobody to go to."""
        consumer = self.consumers.pop(tag, None)
        if consumer is None:
            return []
        source = self._sources[consumer.queue]
        source.consumers.remove(consumer)
        if source.consumers:
            return []
        del self._sources[consumer.queue]
        if source.buffer:
            self._ready.remove(source)
        return list(source.buffer)

    def queues(self) -> list[str]:
        """Name the queues that are consumed from."""
        return list(self._sources)

    def idle(self, queue: str) -> list[Leased]:
        """Give what waits for a queue none of whose consumers is active, and keep it no longer."""
        source = self._sources.get(queue)
        if source is None or not source.buffer or any(consumer.active for consumer in source.consumers):
            return []
        waiting = list(source.buffer)
        source.buffer.clear()
        self._ready.remove(source)
        return waiting

    def of_queue(self, queue: str) -> list[Consumer]:
        """Give the consumers of one queue."""
        source = self._sources.get(queue)
        return list(source.consumers) if source else []

    def rules(self, queue: str) -> QueueRules | None:
        """Give the rules of a queue that is consumed from."""
        source = self._sources.get(queue)
        return source.rules if source else None

    def pick(self) -> tuple[Consumer, Leased] | None:
        """Choose who is handed a message now and which, and count it as held; None if nothing fits."""
        ready = self._ready
        turns = len(ready)
        while turns:
            turns -= 1
            source = ready[0]
            consumer = source.next_consumer()
            if consumer is None:
                ready.rotate(-1)
                continue
            buffer = source.buffer
            try:
                leased = buffer.popleft()
            except IndexError:  # an interrupted step has left it here
                ready.popleft()
                continue
            if not buffer:
                ready.popleft()
            elif len(ready) > 1:
                ready.rotate(-1)
            if not consumer.no_ack:
                consumer.window.held += 1
                consumer.shared.held += 1
            return consumer, leased
        return None

    def unpick(self, consumer: Consumer) -> None:
        """Count out again what `pick` counted as held and nobody was handed."""
        if not consumer.no_ack:
            consumer.window.held -= 1
            consumer.shared.held -= 1

    def has_room(self, queue: str) -> bool:
        """Tell whether a record of a queue could be handed over at once."""
        source = self._sources.get(queue)
        return source is not None and any(
            consumer.room() > 0 and (consumer.no_ack or consumer.shared.room() > 0) for consumer in source.consumers
        )

    def wants(self, empty: Collection[str] = ()) -> list[tuple[str, int]]:
        """Tell how many records of each queue could be used now; the queues take turns in being first.

        Queues that share a window may be more than its room: those that are known to be `empty` leave it to the others.
        """
        wanted = []
        budgets: dict[int, int] = {}
        passed_over = frozenset(empty)
        for source in self._sources.values():
            if source.queue in passed_over:
                continue
            room = sum(consumer.room() for consumer in source.consumers)
            count = self._within_shared(source, min(AHEAD, room) - len(source.buffer), budgets)
            if count > 0:
                wanted.append((source.queue, count))
        if len(self._sources) > 1 and not empty:
            first = next(iter(self._sources))
            self._sources[first] = self._sources.pop(first)
        return wanted

    def _within_shared(self, source: _Source, count: int, budgets: dict[int, int]) -> int:
        """Lower a count to what the windows of the channels allow, and take it off their budgets."""
        windows = {id(consumer.shared): consumer.shared for consumer in source.consumers if not consumer.no_ack}
        if any(not consumer.shared.limit or consumer.no_ack for consumer in source.consumers):
            return count
        granted = 0
        for key, shared in windows.items():
            left = budgets.get(key)
            if left is None:
                left = shared.room() - self._waiting_for(shared)
            share = max(0, min(count - granted, left))
            budgets[key] = left - share
            granted += share
        return granted

    def _waiting_for(self, shared: Window) -> int:
        """Count what waits in buffers that this channel's window may have to take."""
        return sum(
            len(source.buffer)
            for source in self._sources.values()
            if any(consumer.shared is shared for consumer in source.consumers)
        )

    def store(self, records: Iterable[Leased]) -> list[Leased]:
        """Keep what a store gave until somebody has room; gives back what nobody consumes any more."""
        orphans = []
        queue, source = None, None
        for leased in records:
            if leased.queue != queue:  # once for each run of one queue, which is how stores give them
                queue = leased.queue
                source = self._sources.get(queue)
            if source is None:
                orphans.append(leased)
                continue
            if not source.buffer:
                self._ready.append(source)
            source.buffer.append(leased)
        return orphans

    def waiting(self) -> list[Leased]:
        """Give everything that waits, and make sure that it has its turn, also after a step that was cut short."""
        sources = [source for source in self._sources.values() if source.buffer]
        self._ready = deque(sources)
        return [leased for source in sources for leased in source.buffer]

    def empty(self) -> list[Leased]:
        """Give everything that waits, and keep nothing."""
        waiting = [leased for source in self._sources.values() for leased in source.buffer]
        for source in self._sources.values():
            source.buffer.clear()
        self._ready.clear()
        return waiting
