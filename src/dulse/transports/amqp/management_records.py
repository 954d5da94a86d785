"""What RabbitMQ's management API tells of a virtual host, as records; what it leaves out is None."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Item = Mapping[str, Any]
"""One object of the API's JSON."""


class BindingRecord(NamedTuple):
    """A binding from an exchange to a queue or to another exchange."""

    source: str
    """The exchange; empty: the default one, which every queue is bound to by its name."""
    destination: str
    destination_type: str
    """"queue" or "exchange"."""
    routing_key: str
    arguments: Mapping[str, Any]


class ExchangeRecord(NamedTuple):
    """An exchange as it was declared."""

    name: str
    type: str
    durable: bool
    auto_delete: bool
    internal: bool
    arguments: Mapping[str, Any]


class ConnectionRecord(NamedTuple):
    """A client's connection; fresh ones lack what statistics have not told yet."""

    name: str
    user: str | None
    peer_host: str | None
    peer_port: int | None
    protocol: str | None
    state: str | None
    channels: int | None
    is_tls: bool | None
    client_properties: Mapping[str, Any]


class ChannelRecord(NamedTuple):
    """A client's channel."""

    name: str
    number: int | None
    connection: str | None
    user: str | None
    state: str | None
    consumers: int | None
    prefetch: int | None
    unacknowledged: int | None
    unconfirmed: int | None


class ConsumerRecord(NamedTuple):
    """A consumer of a queue."""

    tag: str
    queue: str
    channel: str | None
    """The name of its channel; None: the channel is about to end."""
    ack_required: bool
    exclusive: bool
    active: bool | None
    """False: another one is the queue's single active consumer."""
    prefetch: int | None
    arguments: Mapping[str, Any]


class VirtualHostRecord(NamedTuple):
    """A virtual host that the user may see."""

    name: str
    description: str | None
    tags: tuple[str, ...]
    ready: int | None
    leased: int | None


def binding(item: Item) -> BindingRecord:
    """Read a binding."""
    return BindingRecord(
        item["source"], item["destination"], item["destination_type"], item["routing_key"], table(item, "arguments")
    )


def exchange(item: Item) -> ExchangeRecord:
    """Read an exchange."""
    flags = (item["durable"], item["auto_delete"], item.get("internal", False))
    return ExchangeRecord(item["name"], item["type"], *flags, table(item, "arguments"))


def connection(item: Item) -> ConnectionRecord:
    """Read a connection."""
    return ConnectionRecord(
        item["name"],
        item.get("user"),
        item.get("peer_host"),
        item.get("peer_port"),
        item.get("protocol"),
        item.get("state"),
        item.get("channels"),
        item.get("ssl"),
        table(item, "client_properties"),
    )


def channel(item: Item) -> ChannelRecord:
    """Read a channel."""
    return ChannelRecord(
        item["name"],
        item.get("number"),
        table(item, "connection_details").get("name"),
        item.get("user"),
        item.get("state"),
        item.get("consumer_count"),
        item.get("prefetch_count"),
        item.get("messages_unacknowledged"),
        item.get("messages_unconfirmed"),
    )


def consumer(item: Item) -> ConsumerRecord:
    """Read a consumer."""
    return ConsumerRecord(
        item["consumer_tag"],
        item["queue"]["name"],
        table(item, "channel_details").get("name"),
        item["ack_required"],
        item["exclusive"],
        item.get("active"),
        item.get("prefetch_count"),
        table(item, "arguments"),
    )


def virtual_host(item: Item) -> VirtualHostRecord:
    """Read a virtual host."""
    tags = item.get("tags") or ()
    return VirtualHostRecord(
        item["name"],
        item.get("description"),
        tuple(tags.split(",") if isinstance(tags, str) else tags),
        item.get("messages_ready"),
        item.get("messages_unacknowledged"),
    )


def table(item: Item, name: str) -> Mapping[str, Any]:
    """Give a table, which Erlang writes as ``[]`` where it is empty."""
    value = item.get(name)
    return value if isinstance(value, dict) else {}
