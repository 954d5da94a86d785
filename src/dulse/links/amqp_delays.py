"""Messages that shall be delivered later, which AMQP itself does not know."""

from __future__ import annotations

from dulse import errors
from dulse.model.message import Properties


def refuse_delay(properties: Properties) -> None:
    """Raise NotSupported for a message with the header x-delay, which an AMQP broker would deliver at once."""
    headers = properties.get("headers")
    if headers and "x-delay" in headers:
        text = (
            "RabbitMQ delivers at once what has a delay (AMQP 0-9-1 knows none): publish to a queue with a time to "
            "live that dead-letters to the one that is meant"
        )
        raise errors.make(errors.NotSupported, text)
