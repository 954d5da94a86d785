"""What other processes do in the tests of faults; each function is run by a Program."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

from dulse import Connection, Message, Queue
from tests.faults.programs import say


def hold(url: str, queue: str, prefetch: int, count: int, ends: str = "") -> None:
    """Take so many messages, say the payload of each, and settle none until the file `ends` exists.

    Then acknowledge them, and say how many and what was logged.
    """
    logged: list[str] = []
    _log_to(logged)
    held: list[Message[Any]] = []

    def on_message(message: Message[Any]) -> None:
        held.append(message)
        say(message.payload)

    with Connection(url) as connection:
        connection.Consumer(Queue(queue), on_message=on_message, prefetch_count=prefetch).consume()
        while len(held) < count:
            connection.drain_events()
        while not ends or not Path(ends).exists():
            time.sleep(0.01)
        for message in held:
            message.ack()
        connection.default_channel.flush()
        say({"acknowledged": len(held), "logged": logged})


def own_queues(url: str) -> None:
    """Declare an exclusive queue, consume an auto-delete one, and wait for the end."""
    with Connection(url) as connection:
        Queue("exclusive", exclusive=True)(connection).declare()
        passing = Queue("passing", auto_delete=True)
        connection.Consumer(passing, on_message=lambda _: None).consume()
        say("ready")
        threading.Event().wait()


def consume_alone(url: str, name: str) -> None:
    """Consume a queue with a single active consumer, and say who got what."""
    queue = Queue("single", queue_arguments={"x-single-active-consumer": True})

    def on_message(message: Message[Any]) -> None:
        say([name, message.payload])
        message.ack()

    with Connection(url) as connection:
        connection.Consumer(queue, on_message=on_message).consume()
        say("ready")
        while True:
            connection.drain_events()


def _log_to(texts: list[str]) -> None:
    class Lister(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    logging.getLogger("dulse").addHandler(Lister())
