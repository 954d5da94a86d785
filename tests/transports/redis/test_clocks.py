"""Clients whose clocks are an hour apart: all times are the server's."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from dulse import Connection, Message, Queue, errors
from tests.servers.redis import RedisServer

PUBLISH = """
import sys, time
plain = time.time
time.time = lambda: plain() + float(sys.argv[2])
import dulse
print(time.time(), flush=True)
with dulse.Connection(sys.argv[1]) as connection:
    producer = connection.Producer()
    producer.publish("mortal", routing_key="work", expiration=60)
    producer.publish("delayed", routing_key="work", headers={"x-delay": 700})
"""

HOLD = """
import sys, time
plain = time.time
time.time = lambda: plain() + float(sys.argv[2])
import dulse
print(time.time(), flush=True)
with dulse.Connection(sys.argv[1]) as connection:
    message = dulse.Queue("work")(connection.default_channel).get()
    print(message.payload, flush=True)
    time.sleep(4)
    message.ack()
"""


def started(script: str, url: str, seconds: float) -> subprocess.Popen[str]:
    """Run a program whose clock is wrong. libfaketime would do, but timed waits of Python's threads hang with it."""
    return subprocess.Popen([sys.executable, "-c", script, url, str(seconds)], stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def shifted_by(process: subprocess.Popen[str]) -> float:
    return float(said(process)) - time.time()


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    with Connection(redis_server.url) as connection:
        Queue("work")(connection.default_channel).declare()
    return f"{redis_server.url}?lease=1"


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_ages_and_delays_do_not_depend_on_the_publishers_clock(url: str, seconds: float) -> None:
    with started(PUBLISH, url, seconds) as publisher:
        assert abs(shifted_by(publisher) - seconds) < 60
        assert publisher.wait(30) == 0
    with Connection(url) as connection:
        found: list[object] = []

        def take(message: Message[object]) -> None:
            found.append(message.payload)
            message.ack()

        with connection.Consumer(Queue("work"), on_message=take):
            while len(found) < 2:
                connection.drain_events(timeout=20)

    assert found == ["mortal", "delayed"]


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_holder_with_another_clock_keeps_what_it_holds_for_longer_than_its_lease(url: str, seconds: float) -> None:
    with Connection(url) as connection:
        connection.Producer().publish("held", routing_key="work")
    with started(HOLD, url, seconds) as holder:
        assert abs(shifted_by(holder) - seconds) < 60
        assert said(holder) == "held"
        with (
            Connection(url) as connection,
            connection.Consumer(Queue("work"), on_message=print),
            pytest.raises(errors.DeadlineExceeded),
        ):
            connection.drain_events(timeout=3)
        assert holder.wait(30) == 0
    with Connection(url) as connection:
        assert connection.default_channel.queue_declare("work", passive=True).message_count == 0
