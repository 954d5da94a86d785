"""What other processes do in the tests of faults; each function is run by a Program."""

from __future__ import annotations

import itertools
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dulse import Connection, Message, Queue, errors
from tests.faults.programs import say

DEEPEST = 4
"""Handlers of signals that interrupt one another at most."""


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
        message.ack()
        connection.default_channel.flush()
        say([name, message.payload])

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


def drain_until_terminated(url: str) -> None:
    """Wait for messages without end; SIGTERM ends the process by SystemExit, as a program's own handler would."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    with Connection(url) as connection:
        connection.Consumer(Queue("work"), on_message=lambda message: say(message.payload)).consume()
        say("ready")
        while True:
            connection.drain_events()


def publish_while_a_handler_publishes(url: str, count: int) -> None:
    """Publish so many messages, interrupted every few ms by a signal handler that publishes as well."""
    with Connection(url) as connection:
        Queue("work")(connection).declare()
        producer = connection.Producer()
        numbers = itertools.count()  # one handler may interrupt another

        def handler() -> None:
            producer.publish(f"signal:{next(numbers)}", routing_key="work")

        with _struck(0.01 if url.startswith(("filesystem", "django")) else 0.001, handler):
            for number in range(count):
                producer.publish(f"main:{number}", routing_key="work")
        queue = Queue("work")(connection)
        found = []
        while (message := queue.get(no_ack=True)) is not None:
            found.append(message.payload)
        say({"interruptions": next(numbers), "found": found})


def drain_while_a_handler_publishes(url: str, count: int) -> None:
    """Wait for messages that come from nobody but a signal handler of this very thread."""
    found: list[int] = []

    def on_message(message: Message[Any]) -> None:
        found.append(message.payload)
        message.ack()

    with Connection(url) as connection:
        connection.Consumer(Queue("work"), on_message=on_message).consume()
        producer = connection.Producer()
        numbers = iter(range(count))

        def handler() -> None:
            number = next(numbers, None)
            if number is not None:
                producer.publish(number, routing_key="work")

        with _struck(0.01, handler):
            while len(found) < count:
                connection.drain_events(timeout=10)
        say(found)


def drain_while_interrupted(url: str, count: int) -> None:
    """Settle messages, interrupted at any point of `drain_events` by KeyboardInterrupt; say which, and how often.

    What an interruption takes out of the hands of `drain_events` stays unsettled until the connection is closed.
    """
    settled: list[int] = []
    interruptions = 0

    def on_message(message: Message[Any]) -> None:
        settled.append(message.payload)
        message.ack()

    def handler(*_: object) -> None:
        nonlocal interruptions
        interruptions += 1
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, handler)
    # Files are taken one by one: many at a time could else never be taken to the end.
    most, longest = (300, 0.02) if url.startswith("filesystem") else (1000, 0.002)
    quiet = 0
    with Connection(url) as connection:
        connection.Consumer(Queue("work"), on_message=on_message).consume()
        chance = random.Random(7)
        while len(settled) < count and quiet < 5:
            try:
                if interruptions < most:
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00005, longest))
                known = interruptions
                while interruptions == known:  # Python swallows one that comes within a finalizer
                    connection.drain_events(timeout=0.1)
                    quiet = 0
            except errors.DeadlineExceeded:
                quiet += interruptions >= most  # until then a busy machine may not come to an end with any
            except KeyboardInterrupt:
                continue
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    say({"settled": settled, "interruptions": interruptions})


@contextmanager
def _struck(seconds: float, handler: Callable[[], None]) -> Iterator[None]:
    """Have it run again and again, also within itself, but not so often that nothing would ever come to an end."""
    chance = random.Random(7)
    depth = 0
    over = False

    def strike(*_: object) -> None:
        nonlocal depth
        if over:
            return
        depth += 1
        try:
            if depth < DEEPEST:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, seconds * 2))
            handler()
        finally:
            depth -= 1
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0001, seconds * 2))

    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)


def end_with_everything_open(url: str, how: str) -> None:
    """End with an open connection, channels, a producer, and messages that are held, settled and reserved."""
    connection = Connection(url)
    Queue("work")(connection).declare()
    connection.Producer().publish_many(range(20), routing_key="work")
    held: list[Message[Any]] = []
    connection.Consumer(Queue("work"), on_message=held.append, prefetch_count=10).consume()
    while len(held) < 5:
        connection.drain_events(timeout=5)
    for message in held[:2]:
        message.ack()
    globals()["_kept"] = connection, held
    if how == "exit":
        sys.exit(0)
    if how == "raise":
        raise LookupError("on purpose")
