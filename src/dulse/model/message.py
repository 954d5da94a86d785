"""A message on its way: what a transport is given to publish, and what it hands over."""

from __future__ import annotations

from typing import Any, NamedTuple

Properties = dict[str, Any]
"""AMQP's basic properties by name (AMQP 0-9-1 §4.2.6.1), `headers` among them; absent ones are left out.

`content_type`, `content_encoding`, `headers`, `delivery_mode`, `priority`, `correlation_id`, `reply_to`, `expiration`
(str of milliseconds), `message_id`, `timestamp`, `type`, `user_id`, `app_id`, `cluster_id`.
Once handed to a transport, nobody changes it.
"""


class Outgoing(NamedTuple):
    """A message to publish."""

    body: bytes
    properties: Properties
    exchange: str
    routing_key: str
    mandatory: bool = False


class Record(NamedTuple):
    """A message as a virtual broker keeps it."""

    exchange: str
    routing_key: str
    properties: Properties
    body: bytes


class Returned(NamedTuple):
    """A mandatory message that came back (AMQP's basic.return)."""

    code: int
    text: str
    exchange: str
    routing_key: str
    properties: Properties
    body: bytes


class Delivery:
    """A message as a transport hands it over, with the tag that settles it."""

    __slots__ = (
        "body",
        "consumer_tag",
        "delivery_tag",
        "exchange",
        "message_count",
        "properties",
        "redelivered",
        "routing_key",
    )

    def __init__(
        self,
        delivery_tag: int,
        redelivered: bool,
        exchange: str,
        routing_key: str,
        properties: Properties,
        body: bytes,
        consumer_tag: str | None = None,
        message_count: int | None = None,
    ) -> None:
        self.delivery_tag = delivery_tag
        self.redelivered = redelivered
        self.exchange = exchange
        self.routing_key = routing_key
        self.properties = properties
        self.body = body
        self.consumer_tag = consumer_tag
        self.message_count = message_count

    def __repr__(self) -> str:
        return (
            f"<Delivery {self.delivery_tag} of {len(self.body)} bytes from exchange {self.exchange!r} "
            f"with routing key {self.routing_key!r}{', redelivered' if self.redelivered else ''}>"
        )
