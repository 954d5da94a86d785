"""dulse with its extra orjson, with a client process to itself."""

from __future__ import annotations

from benchmarks import amqp_dulse
from benchmarks.amqp_side import Side
from dulse.codecs.orjson import use_orjson


def opened(url: str, confirms: str) -> Side:
    """Open it as `amqp_dulse` does."""
    use_orjson()
    return amqp_dulse.opened(url, confirms)
