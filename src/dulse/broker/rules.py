"""What a queue's arguments make the broker do with its messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

Overflow = Literal["drop-head", "reject-publish", "reject-publish-dlx"]

FOREVER_MS = 2**42
"""Times beyond this (139 years) are cut to it, so that stores can add them to a clock."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """The arguments of a queue that are already known to be valid; None: no such rule.

    The kind of queue (x-queue-type) changes nothing: classic and quorum queues get the same, which is
    the sum of what both offer.
    """

    message_ttl_ms: int | None = None
    expires_ms: int | None = None
    max_length: int | None = None
    max_length_bytes: int | None = None
    overflow: Overflow = "drop-head"
    max_priority: int | None = None
    dead_letter_exchange: str | None = None
    dead_letter_routing_key: str | None = None
    delivery_limit: int | None = None
    single_active_consumer: bool = False

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> QueueRules:
        """Make the rules of a queue that was declared with these (valid) arguments."""
        get = arguments.get
        return cls(
            message_ttl_ms=_bounded(get("x-message-ttl")),
            expires_ms=_bounded(get("x-expires")),
            max_length=get("x-max-length"),
            max_length_bytes=get("x-max-length-bytes"),
            overflow=cast("Overflow", get("x-overflow") or "drop-head"),
            max_priority=get("x-max-priority"),
            dead_letter_exchange=get("x-dead-letter-exchange"),
            dead_letter_routing_key=get("x-dead-letter-routing-key"),
            delivery_limit=get("x-delivery-limit"),
            single_active_consumer=bool(get("x-single-active-consumer")),
        )

    @property
    def refuses(self) -> bool:
        """At a limit: reject what is published, instead of dropping the oldest."""
        return self.overflow != "drop-head"

    def exhausted(self, deliveries: int) -> bool:
        """Tell whether a record taken so often, this time included, may not be given to anybody any more.

        RabbitMQ's quorum queues let a message return x-delivery-limit times, and so be delivered once more than that.
        """
        return self.delivery_limit is not None and deliveries > self.delivery_limit + 1

    def may_return(self, deliveries: int) -> bool:
        """Tell whether a record taken so often may be put back, instead of being dead-lettered."""
        return self.delivery_limit is None or deliveries <= self.delivery_limit


def _bounded(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else min(milliseconds, FOREVER_MS)
