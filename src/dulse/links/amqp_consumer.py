"""Who gets the deliveries of one consumer tag, on either AMQP link."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dulse.amqp.delivery import Delivery
from dulse.amqp.methods import basic

NOBODY = "dulse.nobody"
"""The tag of a consumer that there never is."""


class Consumer:
    """One consumer that the broker knows."""

    __slots__ = ("method", "no_ack", "on_cancel", "on_delivery", "tag")

    def __init__(
        self,
        method: basic.Consume,
        on_delivery: Callable[[Delivery], Any],
        on_cancel: Callable[[str], Any] | None,
    ) -> None:
        self.tag = method.consumer_tag
        self.method = method
        """How it was started, and is started again after a loss."""
        self.no_ack = method.no_ack
        self.on_delivery = on_delivery
        self.on_cancel = on_cancel
