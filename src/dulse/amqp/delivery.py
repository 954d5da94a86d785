"""Messages as they came, decoded only as far as somebody reads them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from dulse.amqp import properties
from dulse.amqp.delays import MARK, OUT, exchange_of, restored
from dulse.amqp.method import Method
from dulse.model import message
from dulse.model.message import Properties


class Delivery(message.Delivery):
    """A message for a consumer, or the answer to a basic.get; its properties are decoded when they are first read.

    Reading damaged properties raises ProtocolError, each time. Nobody changes what is read.
    """

    __slots__ = ("_header", "channel")

    def __init__(  # noqa: PLR0913, PLR0917 -- one call a message, and every field of it
        self,
        channel: int,
        consumer_tag: str | None,
        delivery_tag: int,
        redelivered: bool,
        names: tuple[str, str],
        header: bytes,
        body: bytes,
        message_count: int | None = None,
    ) -> None:
        self.channel = channel
        self.consumer_tag = consumer_tag
        self.delivery_tag = delivery_tag
        self.redelivered = redelivered
        self.exchange, self.routing_key = names
        if self.exchange == OUT:
            del self.exchange
        self.body = body
        self.message_count = message_count
        self._header = header

    if not TYPE_CHECKING:  # for a type checker `properties` is simply there

        def __getattr__(self, name: str) -> Any:
            """Decode the properties, whose slot is empty until then; find the exchange that a delayed message is of."""
            if name == "exchange":
                self.exchange = exchange_of(properties.decode(self._header), OUT)
                return self.exchange
            if name != "properties":
                raise AttributeError(name)
            found = properties.decode(self._header)
            if "headers" in found and MARK in found["headers"]:
                found = restored(found)
            self.properties = found
            return found


class Content:
    """A message that came by another way: returned to a client, or published to a server.

    Reading a damaged part raises ProtocolError, each time.
    """

    def __init__(self, kind: type[Method], payload: bytes, header: bytes, body: bytes) -> None:
        self.kind = kind
        """The class of `method`: known without decoding."""
        self.body = body
        self._payload = payload
        self._header = header

    def __repr__(self) -> str:
        return f"<Content: {self.kind.name}, {len(self.body)} bytes>"

    @cached_property
    def method(self) -> Method:
        """The method with its arguments."""
        return self.kind.decode(self._payload)

    @cached_property
    def properties(self) -> Properties:
        """The properties with the headers."""
        return properties.decode(self._header)
