"""The redis transport beside Kombu's and redis-py alone, on one server: ``python -m benchmarks.redis [--rounds N]``.

Run it in an environment with dulse[redis], kombu and redis. It starts a server of its own, without persistence.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.bodies import BYTES, TABLE
from benchmarks.contenders import bare_redis, dulse_blocking, kombu
from benchmarks.measure import Comparison, Contender, compare
from benchmarks.report import lines
from dulse import Connection, Queue
from tests.servers.redis import RedisServer


class Server(RedisServer):
    """A server that keeps nothing on disk, for both sides alike."""

    def command(self) -> Sequence[str]:
        """Give the command of the tests, without its log of writes."""
        return ["no" if word == "yes" else word for word in super().command()]

    def database(self, number: int) -> str:
        """Give the URL of a database."""
        return self.url.replace("/0", f"/{number}")

    def cpu(self) -> float:
        """Give the seconds of CPU time that it has used."""
        found = dict(line.split(":") for line in self.cli("info", "cpu").split() if ":" in line)
        return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


def flushed(contender: Contender, url: str) -> Contender:
    """Count as published what is answered for: the last messages of a round too."""
    connection = Connection(url)
    channel = connection.default_channel

    def publish(number: int) -> None:
        contender.works["publish"](number)
        while channel.queue_declare("bench", passive=True).message_count < number:
            time.sleep(0.0002)

    def close() -> None:
        connection.close()
        contender.close()

    return contender._replace(works={**contender.works, "publish": publish}, close=close)


def comparisons(server: Server) -> Iterable[Comparison]:
    """Give what is compared."""
    database = server.database
    yield Comparison(
        "Redis: one by one, takes of one",
        [
            flushed(dulse_blocking.one_by_one(database(1), BYTES, 3_000, prefetch=1), database(1)),
            kombu.one_by_one(database(2), BYTES, 1_000, prefetch=1),
            bare_redis.singly(database(3), BYTES, 3_000),
        ],
        {("publish", "kombu"): 12, ("deliver + ack", "kombu"): 4},
        note="publish: until the server has stored the last one",
    )
    yield Comparison(
        "Redis: batches of 100, prefetch 100",
        [
            flushed(dulse_blocking.in_batches(database(4), BYTES, 10_000), database(4)),
            kombu.one_by_one(database(5), BYTES, 1_000, prefetch=100),
            bare_redis.pipelined(database(6), BYTES, 10_000),
        ],
        {("publish", "kombu"): 25, ("deliver + ack", "kombu"): 15},
        note="kombu has no batches: one by one",
    )
    yield Comparison(
        "Redis: JSON, one by one, prefetch 100",
        [
            dulse_blocking.decoding(database(7), TABLE, 5_000),
            kombu.decoding(database(8), TABLE, 1_000),
        ],
        {("publish", "kombu"): 12, ("deliver + ack", "kombu"): 15},
    )


def waking(url: str, count: int = 200) -> str:
    """Measure from a publish until the handler of an idle consumer has the message."""
    took: list[float] = []
    heard = threading.Event()
    is_over = False

    def consume() -> None:
        with Connection(url) as connection:
            queue = Queue("idle")(connection.default_channel)
            queue.declare()

            def take(message: Any) -> None:
                took.append((time.monotonic_ns() - int(message.body)) / 1e6)
                message.ack()
                heard.set()

            with connection.Consumer(queue, on_message=take):
                heard.set()
                while not is_over:
                    connection.drain_events(timeout=60)

    consumer = threading.Thread(target=consume)
    consumer.start()
    heard.wait(30)
    with Connection(url) as connection:
        producer = connection.Producer()
        for number in range(count):
            time.sleep(0.03)
            heard.clear()
            is_over = number == count - 1
            producer.publish(str(time.monotonic_ns()), routing_key="idle")
            heard.wait(30)
    consumer.join(30)
    cuts = quantiles(took, n=100)
    return f"an idle consumer is woken in p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms (publishing included)"


def idling(url: str, seconds: float = 5.0) -> str:
    """Measure what a consumer costs to which nothing comes."""
    with Connection(url) as connection:
        queue = Queue("idle")(connection.default_channel)
        queue.declare()
        with connection.Consumer(queue, on_message=lambda message: message.ack()):
            before, end = spent(), time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    connection.drain_events(timeout=end - time.monotonic())
                except TimeoutError:
                    break
            return f"an idle consumer takes {(spent() - before) / seconds:.2%} of a core"


def spent() -> float:
    """Give the seconds of CPU time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def backlog(server: Server, number: int, count: int) -> str:
    """Measure taking and acknowledging from a queue of so many messages."""
    url = server.database(number)
    contender = dulse_blocking.in_batches(url, BYTES[:100], count)
    try:
        contender.works["publish"](count)
        rate = timed(lambda: contender.works["deliver + ack"](1_000), 1_000)
        before = server.cpu()
        contender.works["deliver + ack"](1_000)
        return f"of {count:,} messages: {rate:,.0f}/s, {(server.cpu() - before) * 1e3:.1f} us of the server's CPU each"
    finally:
        contender.close()
        server.cli("-n", str(number), "flushdb")


def timed(call: Callable[[], object], count: int) -> float:
    """Give how many a second."""
    began = time.perf_counter()
    call()
    return count / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redis")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backlog", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dulse-bench-") as made:
        server = Server(Path(made) / "server", None)
        server.start()
        try:
            for comparison in comparisons(server):
                print("\n".join(lines(comparison, compare(comparison, chosen.rounds, 1.0))), flush=True)
            print(waking(server.database(9)), flush=True)
            print(idling(server.database(10)), flush=True)
            for number, count in ((11, 2_000), (12, chosen.backlog)):
                print(backlog(server, number, count), flush=True)
        finally:
            server.kill()


if __name__ == "__main__":
    sys.exit(main())
