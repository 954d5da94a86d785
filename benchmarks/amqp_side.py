"""What every AMQP client that is measured must do, and what all of them are measured with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

QUEUE = "dulse.bench.amqp"


class Shape(NamedTuple):
    """What is done with a message."""

    kind: str
    """publish, consume, ping, or json: publish a dict (bodies.TABLE)."""
    size: int = 1024
    confirms: str = "off"
    prefetch: int = 1000
    no_ack: bool = False


class Side(NamedTuple):
    """One library, open, with the queue declared and empty."""

    publish: Callable[[Any], None]
    """Publishes one transient message."""
    settle: Callable[[], None]
    """Returns when the broker has taken all that was published."""
    consume: Callable[[int, int, bool], None]
    """Takes so many at this prefetch; the last argument: without acknowledging."""
    ping: Callable[[int], list[float]]
    """Publishes one and waits for it, so many times; gives the seconds of each."""
    close: Callable[[], None]
    serializes: bool = False
    """`publish` takes a dict as well, and makes JSON of it."""
