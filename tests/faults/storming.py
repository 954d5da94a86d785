"""A consumer under a storm of signals whose handler raises, to be run in a program of its own."""

from __future__ import annotations

import random
import signal
from time import monotonic, sleep
from typing import Any

from dulse import Connection, Queue, errors
from dulse.model.message import Outgoing
from tests.faults.programs import say

SHORTEST, LONGEST = 0.00002, 0.001
STORM = 15.0
"""Seconds after which it abates: where a step takes longer than the longest calm, nothing at all gets done in it."""


class Interruption(BaseException):
    """What the handler raises."""


def drain_in_a_storm(url: str, count: int, interruptions: int) -> None:
    """Drain a queue, struck at any point of `drain_events`; say what was got, how often, and what stays leased."""
    chance = random.Random(11)
    struck = 0
    armed = False

    def handler(*_: object) -> None:
        nonlocal struck
        if armed:
            struck += 1
            raise Interruption

    signal.signal(signal.SIGALRM, handler)
    got: list[Any] = []
    with Connection(url) as connection:
        channel = connection.channel()
        link: Any = channel.transport_channel
        transport = link._transport
        Queue("work")(channel).declare()
        _publish(link, count)
        channel.basic_qos(0, 50, False)
        link.consume("work", got.append)
        settled: list[bytes] = []
        last = began = monotonic()
        while monotonic() - last < 6:
            try:
                armed = struck < interruptions and monotonic() - began < STORM
                if armed:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(SHORTEST, LONGEST))
                transport.drain(0.02)
                armed = False
            except (Interruption, errors.DeadlineExceeded):
                armed = False
            if got or monotonic() - began < STORM:
                last = monotonic()
            for delivery in got:
                link.ack(delivery.delivery_tag)
                settled.append(delivery.body)
            got.clear()
            if len(settled) >= count:
                break
        link.flush(10)
        depth = _depth_at_last(transport.storage)
        say({"settled": sorted(map(int, settled)), "struck": struck, "left": list(depth[:3])})


def _publish(link: Any, count: int) -> None:
    for start in range(0, count, 1000):
        bodies = range(start, min(start + 1000, count))
        link.publish_many([Outgoing(str(number).encode(), {}, "", "work") for number in bodies])


def _depth_at_last(storage: Any) -> Any:
    """Give the depth once the queue is empty, or after 10 s."""
    deadline = monotonic() + 10
    while (depth := storage.depth(["work"])[0]) != (0, 0, 0, 0) and monotonic() < deadline:
        sleep(0.05)
    return depth
