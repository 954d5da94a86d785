"""What `publish` promises when its process ends at once, and when the clocks of two machines disagree."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from dulse import Connection, Message, Queue, errors
from tests.faults.programs import Program, say
from tests.servers.absence import Absent, program, skip_or_fail

WORK = Queue("work")
BURSTS = [(1000, 1024), (300, 64 * 1024)]
TIMES = 10
HOUR = 3600
KINDS = ["postgresql", "mariadb", "sqlite"]
SERVERS = pytest.mark.parametrize("url", ["postgresql", "mariadb"], indirect=True)
"""SQLite has the clock of its machine."""


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqla+sqlite:///{tmp_path}/broker.sqlite"
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


def burst(url: str, count: int, size: int, end: str) -> None:
    """Publish one by one, and end in the very next moment."""
    connection = Connection(url)
    producer = connection.Producer()
    for number in range(count):
        producer.publish(number.to_bytes(4, "big") + b"x" * (size - 4), routing_key="work")
    if end == "exit":
        os._exit(7)
    os.kill(os.getpid(), 9)


def emptied(connection: Connection) -> list[int]:
    """Take all that is there; gives the number in each body, in order of coming."""
    found: list[int] = []

    def take(message: Message[bytes]) -> None:
        found.append(int.from_bytes(bytes(message.body)[:4], "big"))
        message.ack()

    with connection.Consumer(WORK, on_message=take, prefetch_count=100):
        while True:
            try:
                connection.drain_events(timeout=0.5)
            except errors.DeadlineExceeded:
                return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("count", "size"), BURSTS)
@pytest.mark.parametrize("end", ["exit", "kill"])
def test_nothing_of_a_burst_is_missing_when_its_process_ends_at_once(url: str, count: int, size: int, end: str) -> None:
    with Connection(url) as connection:
        WORK(connection.default_channel).declare()
        for _ in range(TIMES):
            publisher = Program(burst, url, count, size, end)
            try:
                assert publisher.finish(120) == (7 if end == "exit" else -9), publisher.stderr()
            finally:
                publisher.end()

            assert emptied(connection) == list(range(count))


@pytest.fixture
def faketime() -> str:
    try:
        return program("faketime", "faketime")
    except Absent as absent:
        skip_or_fail(absent)


def at_another_time(url: str, offset: int, name: str) -> None:
    """Run `name` of this module with a clock that is so many seconds off."""
    if "FAKETIME" not in os.environ:
        again = [sys.executable, "-m", "tests.faults.programs", __name__, name, json.dumps([url])]
        environment = {**os.environ, "DONT_FAKE_MONOTONIC": "1"}
        os.execvpe("faketime", ["faketime", "-f", f"{offset:+}s", *again], environment)


def publish_delayed(url: str) -> None:
    """Publish at once, delayed, and with times to live."""
    with Connection(url) as connection:
        producer = connection.Producer()
        producer.publish("delayed", routing_key="work", delay=3)
        producer.publish("short-lived", routing_key="mortal", expiration=0.2)
        producer.publish("long-lived", routing_key="mortal", expiration=600)
        producer.publish("now", routing_key="work")
        say("published")


def hold(url: str) -> None:
    """Take a message and work on it for longer than the lease, then acknowledge."""
    with Connection(url) as connection:
        message = WORK(connection.default_channel).get()
        assert message is not None
        say(message.payload)
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=4)
        message.ack()
    say("done")


@pytest.mark.slow
@SERVERS
@pytest.mark.parametrize("offset", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_clocks_an_hour_apart_change_no_delay_and_no_time_to_live(url: str, faketime: str, offset: int) -> None:
    assert faketime
    with Connection(url) as connection:
        for name in ("work", "mortal"):
            Queue(name)(connection.default_channel).declare()
        publisher = Program(at_another_time, url, offset, "publish_delayed")
        try:
            assert publisher.hear(60) == "published"
            assert publisher.finish(60) == 0
        finally:
            publisher.end()
        found = []
        with connection.Consumer(WORK, on_message=lambda message: found.append(message.payload), no_ack=True):
            while len(found) < 2:
                connection.drain_events(timeout=30)
        mortal = Queue("mortal")(connection.default_channel)
        left = [mortal.get(no_ack=True), mortal.get(no_ack=True)]

    assert found == ["now", "delayed"]
    assert [None if message is None else message.payload for message in left] == ["long-lived", None]


@pytest.mark.slow
@SERVERS
@pytest.mark.parametrize("offset", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_lease_holds_between_clocks_an_hour_apart(url: str, faketime: str, offset: int) -> None:
    assert faketime
    url += "?lease=1"
    with Connection(url) as connection:
        WORK(connection.default_channel).declare()
        connection.Producer().publish("mine", routing_key="work")
        holder = Program(at_another_time, url, offset, "hold")
        try:
            assert holder.hear(60) == "mine"
            found: list[object] = []
            with connection.Consumer(WORK, on_message=found.append), pytest.raises(errors.DeadlineExceeded):
                connection.drain_events(timeout=3)
            assert holder.hear(60) == "done"
        finally:
            holder.end()
        (status,) = connection.manager.queues("work")

    assert found == []
    assert (status.ready, status.leased) == (0, 0)
