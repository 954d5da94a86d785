"""The receiving end of a mailbox: a process that carries out commands."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.aio import messaging
from dulse.aio.channel import Channel
from dulse.aio.contracts import Client
from dulse.aio.message import Message
from dulse.links.waiting.aio import finished
from dulse.policy.matchers import match

if TYPE_CHECKING:
    from dulse.aio.pidbox import Mailbox

_logger = logging.getLogger(__name__)

_TAKEN = (
    "the mailbox {mailbox!r} of node {node!r} is in use by another process: stop that one, or give each node of a "
    "host a name of its own"
)


class Node:
    """One process with its mailbox; `handlers` are the commands it knows, by name, called with `state` first.

    A handler's result is the reply, and so is its exception, as `{"error": repr(exception)}`. Where calls are awaited,
    handlers and callbacks may be async.
    """

    def __init__(
        self,
        hostname: str,
        state: Any = None,
        channel: Channel | Client | None = None,
        handlers: dict[str, Callable[..., Any]] | None = None,
        mailbox: Mailbox | None = None,
    ) -> None:
        if mailbox is None:
            raise errors.make(errors.InvalidArgument, f"node {hostname!r} needs a mailbox: make it by Mailbox.Node()")
        self.hostname = hostname
        self.mailbox: Mailbox = mailbox
        self.state = state
        self.channel = channel
        self.handlers: dict[str, Callable[..., Any]] = {} if handlers is None else handlers
        self.adjust_clock: Callable[[int], Any] = mailbox.clock.adjust

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.hostname!r} of {self.mailbox.namespace!r}>"

    # ------------------------------------------------------------------------------------------- listen

    def handler(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        """Register a command under the name of its function: a decorator."""
        self.handlers[fun.__name__] = fun
        return fun

    def Consumer(  # noqa: N802 - the class it makes
        self,
        channel: Channel | Client | None = None,
        no_ack: bool = True,
        accept: Collection[str] | None = None,
        **options: Any,
    ) -> messaging.Consumer[Any]:
        """Make a consumer of the node's mailbox; further options are those of Consumer."""
        queue = self.mailbox.get_queue(self.hostname)
        queue.on_declared = self._warn_if_taken
        place = channel or self.channel or self.mailbox.connection
        accepted = self.mailbox.accept if accept is None else accept
        return messaging.Consumer(place, [queue], no_ack=no_ack, accept=accepted, **options)

    async def listen(
        self, channel: Channel | Client | None = None, callback: Callable[[Any, Message[Any]], Any] | None = None
    ) -> messaging.Consumer[Any]:
        """Start consuming the mailbox and give the consumer.

        Commands are carried out while the connection drains events; `callback` gets them in place of `handle_message`.
        ResourceLocked: another process has a node of that name.
        """
        try:
            consumer = self.Consumer(
                channel, callbacks=[callback or self.handle_message], on_decode_error=self.on_decode_error
            )
            await consumer.consume()
        except errors.ResourceLocked as refused:
            text = self._taken(self.mailbox.get_queue(self.hostname).name)
            raise errors.make(errors.ResourceLocked, text, method=refused.method) from refused
        return consumer

    def _warn_if_taken(self, name: str, messages: int, consumers: int) -> None:
        if consumers:
            warnings.warn(self._taken(name), stacklevel=2)

    def _taken(self, mailbox: str) -> str:
        return _TAKEN.format(mailbox=mailbox, node=self.hostname)

    def on_decode_error(self, message: Message[Any], exc: Exception) -> Any:
        """Handle a command that cannot be decoded: log it."""
        _logger.error("node %r got a command that cannot be decoded: %s", self.hostname, exc)

    # ------------------------------------------------------------------------------------------- handle

    async def handle_message(self, body: Any, message: Message[Any] | None = None) -> Any:
        """Carry out a command if it is for this node, and give its result."""
        if not isinstance(body, Mapping) or "method" not in body:
            _logger.error("node %r got a message that is no command: %.200r", self.hostname, body)
            return None
        if message is not None:
            self.adjust_clock(message.headers.get("clock") or 0)
        return await self.dispatch(**body) if self._is_meant(body) else None

    dispatch_from_message = handle_message

    def _is_meant(self, body: Mapping[str, Any]) -> bool:
        destination, pattern, matcher = (body.get(name) for name in ("destination", "pattern", "matcher"))
        if destination:
            return self.hostname in destination
        return match(self.hostname, pattern, matcher) if pattern and matcher else True

    async def dispatch(
        self,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        reply_to: Mapping[str, Any] | None = None,
        ticket: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Carry out a command, send its result to `reply_to` if that is given, and give it.

        `kwargs` is what else the command's message held.
        """
        _logger.debug("node %r: %s(%s), reply to %s", self.hostname, method, arguments, reply_to)
        handle = self.handle_call if reply_to else self.handle_cast
        try:
            result = await finished(handle(method, arguments or {}))
        except Exception as failure:
            _logger.exception("node %r: the command %r failed", self.hostname, method)
            result = {"error": repr(failure)}
        if reply_to:
            await self.reply({self.hostname: result}, reply_to["exchange"], reply_to["routing_key"], ticket)
        return result

    def handle_call(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """Carry out a command that wants a reply."""
        return self.handle(method, arguments)

    def handle_cast(self, method: str, arguments: Mapping[str, Any]) -> Any:
        """Carry out a command that wants no reply."""
        return self.handle(method, arguments)

    def handle(self, method: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Call the handler of a command."""
        return self.handlers[method](self.state, **(arguments or {}))

    async def reply(self, data: Any, exchange: str, routing_key: str, ticket: str | None, **kwargs: Any) -> None:
        """Send a reply."""
        await self.mailbox._publish_reply(  # noqa: SLF001 - the name that Kombu's users wrap
            data, exchange, routing_key, ticket, channel=self.channel, serializer=self.mailbox.serializer
        )
