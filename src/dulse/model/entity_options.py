"""The options of exchanges and queues: their names and types, and how Celery's way of writing them is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from dulse.model.delivery_modes import DeliveryMode
from dulse.model.descriptions import Description

Arguments = Mapping[str, Any]


class ExchangeOptions(TypedDict, total=False):
    """What an exchange may be given by keyword; None leaves the default of the class."""

    arguments: Arguments | None
    durable: bool | None
    passive: bool | None
    auto_delete: bool | None
    delivery_mode: DeliveryMode | None
    no_declare: bool | None
    internal: bool | None
    alternate_exchange: Description | str | None


class QueueOptions(TypedDict, total=False):
    """What a queue may be given by keyword; None leaves the default of the class."""

    key: str | None
    """The routing key, as the quick overview of Kombu's documents calls it."""
    queue_arguments: Arguments | None
    binding_arguments: Arguments | None
    consumer_arguments: Arguments | None
    durable: bool | None
    exclusive: bool | None
    auto_delete: bool | None
    passive: bool | None
    no_ack: bool | None
    alias: str | None
    no_declare: bool | None
    expires: float | None
    message_ttl: float | None
    max_length: int | None
    max_length_bytes: int | None
    max_priority: int | None


_SHARED = ("durable", "auto_delete")
_OF_EXCHANGE = {"exchange_type": "type", "exchange_arguments": "arguments", "delivery_mode": "delivery_mode"}


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell a queue's options from those of its exchange, in Celery's spelling: see `QueueDescription.from_dict`."""
    for_queue = {name: value for name, value in options.items() if name != "name"}
    for_exchange = {own: for_queue.pop(name, None) for name, own in _OF_EXCHANGE.items()}
    for name in _SHARED:
        both = for_queue.pop(name, None)
        for owner, kept in (("exchange", for_exchange), ("queue", for_queue)):
            value = for_queue.pop(f"{owner}_{name}", None)
            kept[name] = both if value is None else value
    binding_key = for_queue.pop("binding_key", None)
    for_queue["routing_key"] = binding_key or for_queue.get("routing_key") or ""
    return for_queue, {name: value for name, value in for_exchange.items() if value is not None}
