"""What the processes of a kill test do, and the notes they take of it before they die."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dulse import Connection, Message, Queue, errors
from dulse.testing.killing import Failpoint
from tests.faults.brokers import Store, broker_url, die_at_statement, mortal_driver

WORK = Queue("work", queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
DEAD = Queue("dead")

Fault = tuple[Literal["before", "after", "statement"], int]
"""Where a process kills itself: at an operation of its store, or at a statement or change of the disk within one."""


class Notes:
    """Lines in a file that survive the process: each is with the kernel once it is written."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, event: str, ident: str, more: object = "") -> None:
        os.write(self._file, f"{time.monotonic_ns()} {event} {ident} {more}\n".encode())


@dataclass
class Worker:
    """One process: what it does, for which store, and where it dies."""

    folder: Path
    name: str
    prefetch: int
    fault: Fault | None = None
    pause: float = 0.0
    """Seconds of work for each message, so that there is something to be interrupted."""
    store: Store = "sqlite"

    def connect(self) -> Connection:
        url = broker_url(self.store, self.folder)
        if self.fault is None:
            return Connection(url)
        moment, number = self.fault
        if moment == "statement":
            die_at_statement(self.store, number)
            return Connection(url)
        return Connection(url, transport=mortal_driver(self.store, Failpoint(number, moment)))

    def notes(self) -> Notes:
        return Notes(self.folder / f"{self.name}.notes")

    # ------------------------------------------------------------------------------------------- publish

    def publish(self, count: int) -> None:
        notes = self.notes()
        with self.connect() as connection:
            channel = connection.channel()
            declare(channel)
            producer = connection.Producer(channel)
            for number in range(count):
                ident = f"{self.name}:{number}"
                time.sleep(self.pause)
                notes.write("publishing", ident)
                producer.publish({"ident": ident, "number": number}, routing_key="work")
                notes.write("published", ident)

    # ------------------------------------------------------------------------------------------- consume

    def consume(self) -> None:
        """Settle messages until something ends this process."""
        with self.connect() as connection:
            self._start(connection)
            while True:
                connection.drain_events()

    def finish(self) -> None:
        """Settle messages until none is left, held by anybody or delayed."""
        with self.connect() as connection:
            self._start(connection)
            while True:
                try:
                    connection.drain_events(timeout=0.5)
                except errors.DeadlineExceeded:
                    (status,) = connection.manager.queues("work")
                    if status.ready + (status.leased or 0) + (status.delayed or 0) == 0:
                        return

    def _start(self, connection: Connection) -> None:
        notes = self.notes()
        channel = connection.channel()
        declare(channel)

        def on_message(message: Message[Any]) -> None:
            payload = message.payload
            again = bool((message.delivery_info or {})["redelivered"])
            notes.write("delivered", payload["ident"], again)
            time.sleep(self.pause)
            what, settle = self._choose(payload["number"], message, again=again)
            notes.write(f"to-{what}", payload["ident"])
            settle()
            notes.write(what, payload["ident"])

        connection.Consumer(WORK, channel, on_message=on_message, prefetch_count=self.prefetch).consume()

    def _choose(self, number: int, message: Message[Any], *, again: bool) -> tuple[str, Callable[[], None]]:
        if number % 10 == 0:
            return "reject", message.reject
        if number % 7 == 0 and not again:
            return "requeue", message.requeue
        return "ack", message.ack

    def collect_dead(self) -> None:
        notes = self.notes()
        with self.connect() as connection:
            channel = connection.channel()
            while True:
                message = DEAD(channel).get(accept=["json"])
                if message is None:
                    return
                notes.write("dead", message.payload["ident"])
                message.ack()


def declare(channel: Any) -> None:
    DEAD(channel).declare()
    WORK(channel).declare()
