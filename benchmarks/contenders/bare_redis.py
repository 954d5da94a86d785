"""redis-py alone, doing what cannot be left out: the limit."""

from __future__ import annotations

from typing import Any

from redis import Redis

from benchmarks.measure import Contender

BATCH = 100


def singly(url: str, body: bytes, count: int) -> Contender:
    """Push and pop, each in a round trip of its own, and keep nothing until it is acknowledged."""
    client: Any = Redis.from_url(url)

    def publish(number: int) -> None:
        for _ in range(number):
            client.lpush("bare", body)

    def consume(number: int) -> None:
        for _ in range(number):
            client.rpop("bare")

    return Contender("redis-py", {"publish": publish, "deliver + ack": consume}, client.close, count)


def pipelined(url: str, body: bytes, count: int) -> Contender:
    """Push a hundred in a pipeline, pop a hundred at once."""
    client: Any = Redis.from_url(url)

    def publish(number: int) -> None:
        for _ in range(number // BATCH):
            pipe = client.pipeline(transaction=False)
            for _ in range(BATCH):
                pipe.lpush("bare batch", body)
            pipe.execute()

    def consume(number: int) -> None:
        for _ in range(number // BATCH):
            client.rpop("bare batch", BATCH)

    return Contender("redis-py", {"publish": publish, "deliver + ack": consume}, client.close, count)
