"""Several consumers of one queue in processes of their own, and queues of different lengths.

``python -m benchmarks.sql_crowd dulse|kombu URL`` is one consumer: it says that it is ready, waits for a line, takes
all that it can get, and says how much that was and when the last came.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from typing import IO, Any, cast

from benchmarks.measure import Cost, timed

QUEUE = "crowd"
IDLE = 1.5
"""Seconds without a message until a consumer thinks that all have been taken."""


def consume(kind: str, url: str) -> None:
    """Be one of the consumers."""
    made: Any
    if kind == "dulse":
        import dulse as made
    else:
        import kombu as made
    times: list[float] = []

    def take(message: Any) -> None:
        message.ack()
        times.append(time.monotonic())

    with made.Connection(url) as connection:
        queue = made.Queue(QUEUE)(connection.default_channel)
        queue.declare()
        print("ready", flush=True)
        sys.stdin.readline()
        with connection.Consumer(queue, on_message=take, prefetch_count=100), suppress(TimeoutError):
            while True:
                connection.drain_events(timeout=IDLE)
    print(len(times), times[-1] if times else 0.0, time.process_time(), flush=True)


def crowd(kind: str, url: str, consumers: int, messages: int) -> str:
    """Have so many consumers empty a queue; gives a line about it."""
    made: Any
    if kind == "dulse":
        import dulse as made
    else:
        import kombu as made
    with made.Connection(url) as connection:
        queue = made.Queue(QUEUE)(connection.default_channel)
        queue.declare()
        producer = connection.Producer()
        for _ in range(messages):
            producer.publish(b"x" * 1024, routing_key=QUEUE)
    command = [sys.executable, "-m", "benchmarks.sql_crowd", kind, url]
    crew = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(consumers)
    ]
    for each in crew:
        cast("IO[str]", each.stdout).readline()
    began = time.monotonic()
    for each in crew:
        cast("IO[str]", each.stdin).write("go\n")
        cast("IO[str]", each.stdin).flush()
    told = [cast("IO[str]", each.stdout).readline().split() for each in crew]
    for each in crew:
        each.communicate()
    taken = [int(number) for number, _, _ in told]
    seconds = max(float(last) for _, last, _ in told) - began
    text = f"  {kind:6} {consumers} consumers: {sum(taken) / seconds:9,.0f} messages/s"
    return f"{text}   {sum(taken)} of {messages} came, to each {min(taken)} to {max(taken)}"


def backlog(server: Any, database: str, waiting: int, count: int = 1_000) -> str:
    """Time taking and publishing with so many messages waiting, one at a time and a hundred ahead."""
    from dulse import Connection, Consumer, Queue

    server.query(f"CREATE DATABASE {database}")
    with Connection(server.url_of(database)) as connection:
        queue = Queue("long")(connection.default_channel)
        queue.declare()
        producer = connection.Producer()
        producer.publish(b"x" * 1024, routing_key="long")
        columns = "queue, step, since, dies, due, fresh, size, deliveries, payload"
        copy = f"INSERT INTO dulse_record ({columns}) SELECT {columns} FROM dulse_record, generate_series(2, {waiting})"  # noqa: S608 - ours
        server.query(copy, database)  # all are copies of the one that is there
        server.query("CHECKPOINT", database)

        def publish(number: int) -> None:
            for _ in range(number):
                producer.publish(b"x" * 1024, routing_key="long")

        def take(number: int) -> None:
            for _ in range(number):
                connection.drain_events(timeout=30)

        def taking(prefetch: int, number: int) -> Cost:
            with Consumer(connection, [queue], on_message=lambda message: message.ack(), prefetch_count=prefetch):
                take(prefetch)  # a consumer that starts counts its queue, once
                return timed(take, number)

        half = min(count, waiting // 2)
        publish(50)
        put = timed(publish, half)
        one = taking(1, half // 2)
        many = taking(100, half // 2)
    text = f"  {waiting:9,} waiting: publish {put.wall_us:6.0f} us"
    return f"{text}, consume at prefetch 1 {one.wall_us:6.0f} us, at 100 {many.wall_us:6.0f} us (wall time a message)"


if __name__ == "__main__":
    consume(*sys.argv[1:])
