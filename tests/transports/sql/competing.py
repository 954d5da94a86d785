"""What one of many competing processes does."""

from __future__ import annotations

from dulse import Connection, Message, Queue, errors
from tests.faults.programs import say

EACH = 50
WORK = Queue("work")


def compete(url: str, number: int) -> None:
    """Publish some messages, and consume whatever comes until all have come to somebody."""
    found: list[str] = []

    def take(message: Message[str]) -> None:
        found.append(message.payload)
        message.ack()

    with Connection(url) as connection:
        WORK(connection.default_channel).declare()
        producer = connection.Producer()
        with connection.Consumer(WORK, on_message=take, prefetch_count=10):
            for step in range(EACH):
                producer.publish(f"{number}:{step}", routing_key="work")
            while True:
                try:
                    connection.drain_events(timeout=1)
                except errors.DeadlineExceeded:
                    (status,) = connection.manager.queues("work")
                    if status.ready + (status.leased or 0) == 0:
                        break
    say(found)
