"""Consumers, which get messages from queues: by callbacks, or by iteration."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, ClassVar, Generic, Self

from dulse import errors
from dulse.aio.attached import Attached
from dulse.aio.channel import Channel
from dulse.aio.contracts import Client, OnMessage
from dulse.aio.entity import Queue
from dulse.aio.inbox import Inbox
from dulse.aio.message import Message
from dulse.codecs import prepare_accept_content
from dulse.links.waiting.aio import eagerly, finished
from dulse.model.entities import QueueDescription, name_of
from dulse.model.generic import Payload
from dulse.model.mistakes import check_callable, listed

__all__ = ["Consumer"]

Callback = Callable[[Any, Message[Any]], Any]
"""Called with the payload and the message; plain or async."""

OnDecodeError = Callable[[Message[Any], Exception], Any]
"""Called with the message and the error; plain or async."""


class Consumer(Attached, Generic[Payload]):
    """Gets messages from queues, by callbacks or by iteration.

    The queues are declared unless `auto_declare` is off, at the latest by the first operation. `consume`
    starts to consume, as entering `async with consumer:` and iterating do, and messages arrive while the connection
    drains events. Each goes to `on_message`, or decoded to each of the `callbacks`; an exception of one of these comes
    out of `drain_events`, and the message stays unsettled. A message that cannot be decoded, or whose content type is
    not in `accept`, goes to `on_decode_error` with the error, or else the error comes out of `drain_events`. Without
    callbacks, `async for message in consumer:` gives the messages, decoded when their payload is read.

    `channel` is a Channel or a Connection. `expansion_limit` bounds the bytes that a compressed body may expand to, by
    default 64 MiB. Class attributes are the defaults of subclasses.
    """

    ContentDisallowed: ClassVar[type[Exception]] = errors.ContentDisallowed
    no_ack: bool | None = None
    auto_declare: bool = True
    callbacks: list[Callback]
    on_message: OnMessage | None = None
    on_decode_error: OnDecodeError | None = None
    accept: Collection[str] | None = None
    prefetch_count: int | None = None
    expansion_limit: int | None = None

    _tags: ClassVar[count[int]] = count(1)

    def __init__(
        self,
        channel: Channel | Client | None,
        queues: Iterable[QueueDescription] | QueueDescription | None = None,
        no_ack: bool | None = None,
        auto_declare: bool | None = None,
        callbacks: Iterable[Callback] | None = None,
        on_decode_error: OnDecodeError | None = None,
        on_message: OnMessage | None = None,
        accept: Collection[str] | None = None,
        prefetch_count: int | None = None,
        tag_prefix: str | None = None,
        expansion_limit: int | None = None,
    ) -> None:
        self.channel: Channel | None = channel if isinstance(channel, Channel) else None
        if isinstance(queues, QueueDescription | str):  # a text is refused whole, not letter by letter
            queues = [queues]
        check_callable(on_message=on_message, on_decode_error=on_decode_error)
        self.queues = listed("queues", queues or (), "a Queue, or a list of them")
        self.no_ack = self.no_ack if no_ack is None else no_ack
        if auto_declare is not None:
            self.auto_declare = auto_declare
        given = getattr(type(self), "callbacks", ()) if callbacks is None else callbacks
        self.callbacks = given if isinstance(given, list) else listed("callbacks", given, "a list of callables")
        for callback in self.callbacks:
            check_callable(callback=callback)
        self.on_message = on_message or self.on_message
        self.on_decode_error = on_decode_error or self.on_decode_error
        self.accept = prepare_accept_content(self.accept if accept is None else accept)
        self.prefetch_count = self.prefetch_count if prefetch_count is None else prefetch_count
        self.tag_prefix = tag_prefix or ""
        self.expansion_limit = self.expansion_limit if expansion_limit is None else expansion_limit
        self._active: dict[str, tuple[str, bool | None]] = {}
        self._inbox: Inbox[Payload] | None = None
        self._started = False
        if channel is not None:
            self._move_to(channel)
            eagerly(self._ready)

    # --------------------------------------------------------------------------------------------------- channel

    @property
    def queues(self) -> list[Queue[Payload]]:
        """The queues that it consumes, or will when `consume` is called."""
        return list(self._queues)

    @queues.setter
    def queues(self, queues: Iterable[QueueDescription]) -> None:
        self._queues: list[Any] = list(queues)

    async def revive(self, channel: Channel | Client) -> None:
        """Move to another channel, as after a reconnect: declare again, and consume what was being consumed."""
        self._move_to(channel)
        active, self._active = self._active, {}
        if self._inbox is not None:
            self._inbox.forget()
        await self._start(await channel.default_channel)
        await self._consume({name: no_ack for name, (_, no_ack) in active.items()})

    async def _start(self, channel: Channel) -> Channel:
        self.channel = channel
        self._queues = [channel.adopt(queue).maybe_bind(channel) for queue in self._queues]
        if self.auto_declare:
            for queue in self._queues:
                await queue.declare()
        self._started = True
        return channel

    async def _ready(self) -> Channel:
        """Do what the constructor could not wait for; a consumer of a Connection gets over a closed channel."""
        if self.channel is None or not self._started:
            return await self._start(await self._current_channel())
        if not self.channel.is_open and self.channel is not self._anchor:
            await self.revive(self._client())
        return self.channel

    # ---------------------------------------------------------------------------------------------------- queues

    async def declare(self) -> None:
        """Declare the queues with their exchanges and bindings."""
        await self._ready()
        for queue in self._queues:
            await queue.declare()

    async def add_queue(self, queue: QueueDescription) -> Queue[Payload]:
        """Add a queue, which the next `consume` consumes too; gives it, bound to the channel."""
        channel = await self._ready()
        bound: Queue[Payload] = channel.adopt(queue).maybe_bind(channel)
        if self.auto_declare:
            await bound.declare()
        self._queues = [*(other for other in self._queues if other.name != bound.name), bound]
        return bound

    async def purge(self) -> int:
        """Delete all messages of the queues that are ready and give their number."""
        await self._ready()
        return sum([await queue.purge() for queue in self._queues])

    # --------------------------------------------------------------------------------------------------- consume

    async def consume(self, no_ack: bool | None = None) -> None:
        """Start to consume the queues that it does not consume yet; `no_ack` None leaves it to consumer and queue."""
        await self._ready()
        given = self.no_ack if no_ack is None else no_ack
        await self._consume({queue.name: given for queue in self._queues})

    async def _consume(self, wanted: Mapping[str, bool | None]) -> None:
        new = [queue for queue in self._queues if queue.name in wanted and queue.name not in self._active]
        if new and self.prefetch_count is not None and self.channel is not None:
            # Right before, as another consumer on this channel may have set its own.
            await self.channel.basic_qos(0, self.prefetch_count, False)
        for queue in new:
            tag = f"{self.tag_prefix}{next(self._tags)}"
            self._active[queue.name] = tag, wanted[queue.name]
            try:
                await queue.consume(tag, self._receive_callback, wanted[queue.name], on_cancel=self._on_cancel)
            except BaseException:
                self._active.pop(queue.name, None)
                raise

    async def cancel(self) -> None:
        """Stop consuming all queues; messages that were handed over stay to be settled, others go back."""
        active, self._active = self._active, {}
        for tag, _ in active.values():
            await self._cancel(tag)
        if self._inbox is not None:
            await self._inbox.give_back()

    close = cancel

    async def cancel_by_queue(self, queue: QueueDescription | str) -> None:
        """Stop consuming one queue, and forget it."""
        name = name_of(queue)
        tag, _ = self._active.pop(name, ("", None))
        self._queues = [other for other in self._queues if other.name != name]
        if tag:
            await self._cancel(tag)

    async def _cancel(self, tag: str) -> None:
        if self.channel is not None and self.channel.is_open:
            await self.channel.basic_cancel(tag)

    def consuming_from(self, queue: QueueDescription | str) -> bool:
        """Tell whether it consumes a queue at the moment."""
        return name_of(queue) in self._active

    def _on_cancel(self, tag: str) -> None:
        """Notice that the broker has ended a consumer."""
        for name, (active, _) in list(self._active.items()):
            if active == tag:
                del self._active[name]
                if self._inbox is not None:
                    self._inbox.ended.append(name)

    async def qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:
        """Bound how many messages it is handed and has not settled; 0 is no bound.

        For queues that are consumed from now on; with `apply_global`, for all of the channel together.
        """
        channel = await self._ready()
        if not apply_global:
            self.prefetch_count = prefetch_count
        await channel.basic_qos(prefetch_size, prefetch_count, apply_global)

    async def flow(self, active: bool) -> None:
        """Pause (False) or resume (True) deliveries on the channel."""
        await (await self._ready()).flow(active)

    async def recover(self, requeue: bool = True) -> None:
        """Give back all that the channel has not settled, to be delivered again."""
        await (await self._ready()).basic_recover(requeue)

    # --------------------------------------------------------------------------------------------------- receive

    def register_callback(self, callback: Callback) -> None:
        """Have `callback` called with the payload and the message from now on, after those registered before."""
        self.callbacks.append(callback)

    async def receive(self, body: Payload, message: Message[Payload]) -> None:
        """Hand a decoded message to the callbacks; subclasses may do otherwise."""
        if not self.callbacks:
            raise NotImplementedError(f"{self!r} has no callbacks: register one, give on_message, or iterate over it")
        for callback in self.callbacks:
            await finished(callback(body, message))

    async def _receive_callback(self, message: Message[Payload]) -> None:
        """Take each delivery."""
        if self.accept is not None:
            message.accept = self.accept
        if self.expansion_limit is not None:
            message.expansion_limit = self.expansion_limit
        on_message = self.on_message
        if on_message is not None and (self.on_decode_error is None or not message.errors):
            await finished(on_message(message))
            return
        inbox = None if self.callbacks else self._inbox
        if inbox is not None and self.on_decode_error is None:
            inbox.messages.append(message)
            return
        try:
            body = message.decode()
        except Exception as error:
            if self.on_decode_error is None:
                raise
            await finished(self.on_decode_error(message, error))
            return
        if inbox is None:
            await self.receive(body, message)
        else:
            inbox.messages.append(message)

    # --------------------------------------------------------------------------------------------------- iterate

    def __aiter__(self) -> AsyncIterator[Message[Payload]]:
        return self.messages()

    async def messages(self, limit: int | None = None, timeout: float | None = None) -> AsyncIterator[Message[Payload]]:
        """Iterate over messages while draining the connection's events.

        Gives at most `limit`, and ends when none comes for `timeout` seconds, or within a second of `cancel`. Raises
        ConsumerCancelled when the broker has ended a consumer, for instance because its queue was deleted, and
        ChannelClosed when an error has closed the channel. Leaving the loop early loses nothing: another loop may go
        on, and `cancel` gives back what was not given out.
        """
        if self.callbacks or self.on_message is not None:
            text = f"{self!r} hands its messages to callbacks: to iterate, make one without"
            raise errors.make(errors.InvalidArgument, text)
        if self._inbox is None:
            self._inbox = Inbox()
        self._inbox.raise_if_ended()
        await self.consume()
        given = 0
        while limit is None or given < limit:
            message = await self._inbox.take(self._client(), timeout, self._still_consumes)
            if message is None:
                return
            given += 1
            yield message

    def _still_consumes(self) -> bool:
        if self._active and self.channel is not None and not self.channel.is_open:
            text = f"{self.channel!r} was closed, and {self!r} gets no more messages by it: iterate again to go on"
            raise errors.make(errors.ChannelClosed, text)
        return bool(self._active)

    async def __aenter__(self) -> Self:
        await self.consume()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A consumer that cannot be cancelled any more ends with its connection.
        with suppress(errors.OperationalError, errors.ChannelError):
            await self.cancel()

    def __repr__(self) -> str:
        queues = ", ".join(f"{queue.name}{'*' if queue.name in self._active else ''}" for queue in self._queues)
        return f"<{type(self).__name__} of {queues or 'no queue'} (* consuming): on {self.channel or self._anchor!r}>"
