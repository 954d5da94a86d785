"""The delivery of a record that was delivered before."""

from __future__ import annotations

from dulse.model.message import Delivery, Record
from dulse.model.records import Leased


def redelivery(tag: int, leased: Leased, record: Record, consumer_tag: str | None) -> Delivery:
    """Make the delivery of a record that was delivered before, telling how often, as quorum queues do."""
    headers = {**(record.properties.get("headers") or {}), "x-delivery-count": leased.deliveries - 1}
    properties = {**record.properties, "headers": headers}
    return Delivery(tag, True, record.exchange, record.routing_key, properties, record.body, consumer_tag)
