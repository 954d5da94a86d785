"""A program for gevent or eventlet, whose sockets, threads and waits are patched: ``python greenlets.py LIBRARY URL``.

It fails where a greenlet that waits keeps the others from running, or where an idle connection is lost.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

LIBRARY, URL = sys.argv[1:]
if LIBRARY == "gevent":
    import_module("gevent.monkey").patch_all()
else:
    with warnings.catch_warnings():  # it says of itself that it is deprecated
        warnings.simplefilter("ignore")
        import_module("eventlet").monkey_patch()
spawn: Callable[..., Any] = import_module(LIBRARY).spawn

# What follows is imported after patching, as programs of that kind do.
import threading  # noqa: E402
import time  # noqa: E402

import dulse  # noqa: E402

TASKS, EACH, PATIENCE = 5, 200, 60.0
QUEUE = f"greenlets-{LIBRARY}"


class Reconnects:
    """An observer that counts them."""

    count = 0

    def published(self, message: object) -> None: ...

    def received(self, delivery: object) -> None: ...

    def settled(self, delivery_tag: int, outcome: str) -> None: ...

    def reconnected(self, url: str) -> None:
        self.count += 1


class Ticks:
    """A greenlet that counts how often it came to run."""

    def __init__(self) -> None:
        self.count = 0
        self.is_over = False

    def run(self) -> None:
        while not self.is_over:
            self.count += 1
            time.sleep(0.01)


def publish(producer: dulse.Producer, task: int, left: list[int], done: threading.Event) -> None:
    for number in range(EACH):
        producer.publish(f"{task}:{number}".encode())
    left.remove(task)
    if not left:
        done.set()


def publish_together(connection: dulse.Connection) -> None:
    producer = connection.Producer(routing_key=QUEUE)
    producer.maybe_declare(dulse.Queue(QUEUE)(connection))
    left, done = list(range(TASKS)), threading.Event()
    for task in range(TASKS):
        spawn(publish, producer, task, left, done)
    assert done.wait(PATIENCE), f"greenlets {left} have not published"
    producer.flush(PATIENCE)


def consume_all(connection: dulse.Connection, ticks: Ticks) -> None:
    found: list[bytes] = []

    def on_message(message: dulse.Message) -> None:
        found.append(message.body)
        message.ack()

    with (
        dulse.Connection(URL) as own,
        dulse.Consumer(own, [dulse.Queue(QUEUE, no_declare=True)], on_message=on_message, prefetch_count=100),
    ):
        while len(found) < TASKS * EACH:
            own.drain_events(timeout=PATIENCE)
        assert len(set(found)) == TASKS * EACH
        before = ticks.count
        spawn(publish_later, connection)
        own.drain_events(timeout=PATIENCE)
        assert found[-1] == b"later"
        assert ticks.count > before + 10, "nobody else ran while a greenlet waited for a message"


def publish_later(connection: dulse.Connection) -> None:
    time.sleep(1)
    connection.Producer(routing_key=QUEUE).publish(b"later")


def main() -> None:
    observer, ticks = Reconnects(), Ticks()
    spawn(ticks.run)
    with dulse.Connection(URL, heartbeat=1, observer=observer) as connection:
        publish_together(connection)
        consume_all(connection, ticks)
        time.sleep(5)  # the keeper, a greenlet like others now, sends heartbeats
        connection.Producer(routing_key=QUEUE).publish(b"after a rest")
        connection.default_channel.flush(PATIENCE)
        assert observer.count == 0, "an idle connection was lost"
        assert connection.default_channel.queue_delete(QUEUE) == 1
    ticks.is_over = True
    sys.stdout.write("done\n")


main()
