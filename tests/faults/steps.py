"""Kills a process at each operation of its store while it moves messages or changes the topology.

Started with a case, a folder, and the moment; prints by how many kills it got to the end.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

from dulse import Connection, Exchange, Queue, errors
from dulse.testing.killing import Child, Failpoint
from tests.faults.brokers import broker_url, mortal_driver

Moment = Literal["before", "after"]

MESSAGES = 30
SOURCE, DESTINATION = Queue("source"), Queue("destination")

EXCHANGE = Exchange("exchange", "topic")
KEPT = Queue("kept", EXCHANGE, "a.#")
PASSING = Queue("passing", EXCHANGE, "b.#", auto_delete=True)
OWN = Queue("own", EXCHANGE, "c.#", exclusive=True)
SHORT = Queue("short", EXCHANGE, "d.#")


def url(folder: Path) -> str:
    return broker_url("sqlite", folder)


def move(connection: Connection) -> None:
    connection.manager.move("source", "destination")


def shape(connection: Connection) -> None:
    """Declare, bind, consume, unbind and delete, with queues that must not outlive this process."""
    channel = connection.channel()
    for queue in (KEPT, OWN, SHORT):
        queue(channel).declare()
    connection.Consumer(PASSING, channel, on_message=lambda message: message.ack()).consume()
    producer = connection.Producer(channel, exchange=EXCHANGE)
    for key in ("a.1", "b.1", "c.1", "d.1"):
        producer.publish(key, routing_key=key)
    connection.drain_events(timeout=5)
    KEPT(channel).unbind_from(EXCHANGE, "a.#")
    SHORT(channel).delete()
    KEPT(channel).bind_to(EXCHANGE, "a.#")
    KEPT(channel).purge()


CASES: dict[str, Callable[[Connection], None]] = {"move": move, "shape": shape}


def run(case: str, folder: Path, moment: Moment) -> int:
    """Start the case again and again, each time killed one operation later; gives the number of kills."""
    work = CASES[case]
    for number in range(1, 1000):

        def dying(number: int = number) -> None:
            with connected(folder, Failpoint(number, moment)) as connection:
                work(connection)

        status = Child(dying).wait(20)
        if status == 0:
            return number - 1
        if status != -signal.SIGKILL:
            raise SystemExit(f"killed {moment} operation {number}, it ended with {status}")
        if case == "shape":
            await_burial(folder)
    raise SystemExit("it never came to its end")


def connected(folder: Path, failpoint: Failpoint) -> Connection:
    return Connection(url(folder), transport=mortal_driver("sqlite", failpoint))


def await_burial(folder: Path) -> None:
    """Wait until a living process has buried the dead one: no exclusive queue and no consumer is left.

    An auto-delete queue that nobody had begun to consume stays, as with RabbitMQ.
    """

    def living() -> None:
        end = time.monotonic() + 5
        with Connection(url(folder)) as connection:
            connection.connect()
            while any(status.exclusive or status.consumers for status in connection.manager.queues()):
                if time.monotonic() > end:
                    raise TimeoutError(f"of a dead owner there are still {connection.manager.queues()}")
                time.sleep(0.01)
            try:
                KEPT(connection.channel()).declare()
            except errors.ChannelError as error:
                raise AssertionError("the topology is broken") from error

    status = Child(living).wait(20)
    if status:
        raise SystemExit("what a killed process left behind is not in order")


def fill(folder: Path) -> None:
    with Connection(url(folder)) as connection:
        for queue in (SOURCE, DESTINATION):
            queue(connection).declare()
        connection.Producer().publish_many(range(MESSAGES), routing_key="source")


if __name__ == "__main__":
    filled = Child(lambda: fill(Path(sys.argv[2]))).wait(20)
    if filled:
        raise SystemExit("the queues could not be filled")
    sys.stdout.write(str(run(sys.argv[1], Path(sys.argv[2]), cast("Moment", sys.argv[3]))))
