"""Servers that are killed, ways that fall silent, publishers that end at once: nothing that was published is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dulse import Connection, Message, Queue, errors
from dulse.testing.proxy import FaultProxy
from tests.servers.redis import RedisServer

PATIENCE = 60.0
ENOUGH = 10_000
"""Messages that are published without a pause: all have to be consumed in time, however slowly servers start."""
WORK = Queue("work")


def declare(url: str) -> None:
    with Connection(url) as connection:
        WORK(connection.default_channel).declare()


def consumed(url: str, wanted: set[int]) -> list[int]:
    """Consume until all these messages have come, through whatever happens."""
    found: list[int] = []
    give_up = time.monotonic() + PATIENCE

    def take(message: Message[dict[str, int]]) -> None:
        found.append(message.payload["ident"])
        message.ack()

    while not wanted <= set(found):
        assert time.monotonic() < give_up, f"{len(wanted - set(found))} of {len(wanted)} are missing"
        try:
            with Connection(url) as connection, connection.Consumer(WORK, on_message=take, accept=["json"]):
                while not wanted <= set(found):
                    connection.drain_events(timeout=5)
        except errors.OperationalError:
            time.sleep(0.05)
    return found


@contextmanager
def killed_and_started(server: RedisServer, times: int) -> Iterator[threading.Event]:
    """Kill the server again and again meanwhile; gives what is set when it runs for good."""
    is_over = threading.Event()

    def kill() -> None:
        for _ in range(times):
            time.sleep(0.5)
            server.kill()
            server.start()
        is_over.set()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield is_over
    finally:
        thread.join(PATIENCE)


def test_what_was_published_is_there_once_although_the_server_was_killed(redis_server: RedisServer) -> None:
    declare(redis_server.url)
    count = 0
    with Connection(redis_server.url) as connection:
        producer = connection.Producer()
        with killed_and_started(redis_server, 3) as is_over:
            while not is_over.is_set():
                producer.publish({"ident": count}, routing_key="work")
                count += 1
                if count > ENOUGH:
                    time.sleep(0.001)
        producer.flush(timeout=PATIENCE)

    assert count > 100
    assert consumed(redis_server.url, set(range(count))) == list(range(count))


def test_consumers_go_on_after_the_server_was_killed(redis_server: RedisServer) -> None:
    declare(redis_server.url)
    with Connection(redis_server.url) as connection:
        producer = connection.Producer()
        for number in range(3000):
            producer.publish({"ident": number}, routing_key="work")

    with killed_and_started(redis_server, 2):
        found = consumed(f"{redis_server.url}?lease=1", set(range(3000)))

    assert len(found) < 3000 + 2 * 200, "no more came again than a connection takes ahead, for each kill"


def test_an_exclusive_queue_is_free_at_once_for_who_connects_again_after_the_server_was_away(
    redis_server: RedisServer,
) -> None:
    mine = Queue("mine", exclusive=True)
    connection = Connection(redis_server.url, connect_timeout=1)
    mine(connection.default_channel).declare()
    redis_server.kill()
    connection.close()
    redis_server.start()

    with Connection(redis_server.url) as again:
        mine(again.default_channel).declare()


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[FaultProxy]:
    with FaultProxy(redis_server.host, redis_server.port) as made:
        yield made


def ended_within(seconds: float, call: Callable[[], object]) -> None:
    began = time.monotonic()
    with pytest.raises(errors.OperationalError):
        call()
    assert time.monotonic() - began < seconds


def test_publishing_fails_in_time_when_the_way_falls_silent_and_all_is_written_later(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    declare(redis_server.url)
    count = 0
    connection = Connection(f"redis://{proxy.host}:{proxy.port}/0")
    producer = connection.Producer()
    producer.publish({"ident": 0}, routing_key="work")
    proxy.stall()

    def publish_much() -> None:
        nonlocal count
        while True:
            count += 1
            producer.publish({"ident": count, "more": "x" * 100_000}, routing_key="work", timeout=8)

    ended_within(30, publish_much)

    proxy.resume()
    producer.flush(timeout=PATIENCE)
    connection.close()
    found = consumed(redis_server.url, set(range(count)))
    assert sorted(set(found)) == sorted(found)


def test_a_flush_fails_in_time_when_the_way_falls_silent(redis_server: RedisServer, proxy: FaultProxy) -> None:
    declare(redis_server.url)
    connection = Connection(f"redis://{proxy.host}:{proxy.port}/0?lease=600")  # nothing is renewed meanwhile
    producer = connection.Producer()
    producer.publish({"ident": 0}, routing_key="work")
    producer.flush()
    proxy.stall()
    producer.publish({"ident": 1}, routing_key="work")

    ended_within(12, lambda: producer.flush(timeout=9))

    proxy.resume()
    producer.flush(timeout=PATIENCE)
    connection.close()
    assert consumed(redis_server.url, {0, 1}) == [0, 1]


def test_a_waiting_consumer_notices_that_the_way_has_fallen_silent(
    redis_server: RedisServer, proxy: FaultProxy
) -> None:
    declare(redis_server.url)
    connection = Connection(f"redis://{proxy.host}:{proxy.port}/0")
    with connection.Consumer(WORK, on_message=lambda message: message.ack()):
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0.5)
        proxy.stall()

        ended_within(20, lambda: connection.drain_events(timeout=40))

        proxy.resume()
    connection.close()


BURST = """
import os, signal, sys
import dulse
url, count, size, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
producer = dulse.Connection(url).Producer()
body = bytes(size)
for number in range(count):
    producer.publish(body, routing_key="work", headers={"ident": number})
print("published", flush=True)
os._exit(0) if end == "exit" else os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.kill
@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fleet", ["dulse", pytest.param("mixed", marks=pytest.mark.slow)])
@pytest.mark.parametrize("end", ["exit", "kill"])
@pytest.mark.parametrize(("count", "size"), [(1000, 1024), (300, 64 * 1024)])
def test_nothing_is_missing_of_a_burst_after_which_the_publisher_ends_at_once(
    redis_server: RedisServer, count: int, size: int, end: str, times: int, fleet: str
) -> None:
    url = f"{redis_server.url}?fleet={fleet}"
    declare(url)
    for _ in range(times):
        words = [sys.executable, "-c", BURST, url, str(count), str(size), end]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=PATIENCE)
        assert done.stdout == "published\n", done.stderr
        assert done.returncode == (0 if end == "exit" else -signal.SIGKILL)
        with Connection(url) as connection:
            channel = connection.default_channel
            give_up = time.monotonic() + PATIENCE
            while channel.queue_declare("work", passive=True).message_count < count and time.monotonic() < give_up:
                time.sleep(0.01)  # the server still reads what the kernel has for it
            assert channel.queue_purge("work") == count
