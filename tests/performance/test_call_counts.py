"""The hot path is short: exact counts of calls, which no busy machine can change."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import dulse

PACKAGE = str(Path(dulse.__file__).parent)
DOOR = "VirtualChannel.publish"


class Calls:
    """What was called: Python functions of ours, those of others, and C functions."""

    def __init__(self) -> None:
        self.ours: list[str] = []
        self.foreign = 0
        self.c = 0

    def record(self, work: Callable[[], object]) -> Calls:
        def profile(frame: FrameType, event: str, _argument: Any) -> None:
            if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
                self.ours.append(frame.f_code.co_qualname)
            elif event == "call":
                self.foreign += 1
            elif event == "c_call":
                self.c += 1

        sys.setprofile(profile)
        try:
            work()
        finally:
            sys.setprofile(None)
        return self

    @property
    def total(self) -> int:
        return len(self.ours) + self.foreign + self.c


def test_a_publish_reaches_the_transport_within_six_frames() -> None:
    with dulse.Connection("memory://call-counts-publish") as connection:
        queue = dulse.Queue("q", dulse.Exchange("x", type="direct"), routing_key="k")
        producer = dulse.Producer(connection, exchange=queue.exchange, routing_key="k")
        producer.publish(b"first", declare=[queue])
        producer.publish(b"second")

        calls = Calls().record(lambda: producer.publish(b"third"))

        assert DOOR in calls.ours
        assert calls.ours.index(DOOR) <= 6, calls.ours
        assert calls.total <= 26, calls.ours


def test_delivering_and_acknowledging_takes_few_calls() -> None:
    with dulse.Connection("memory://call-counts-deliver") as connection:
        queue = dulse.Queue("q")
        producer = dulse.Producer(connection, routing_key="q")
        for _ in range(10):
            producer.publish(b"body", declare=[queue])
        with dulse.Consumer(connection, [queue], on_message=lambda message: message.ack()):
            connection.drain_events(timeout=5)  # takes the rest ahead

            recorded = [Calls().record(lambda: connection.drain_events(timeout=5)) for _ in range(5)]

        calls = min(recorded, key=lambda each: each.total)  # what is 2 ms old on a busy machine is written at once
        assert "VirtualChannel.ack" in calls.ours
        assert calls.total <= 32, calls.ours
