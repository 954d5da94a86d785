"""Processes whose clocks are an hour apart: leases go by a clock that nobody sets."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from dulse import Connection, Message, Queue, errors

HOLD = """
import sys, time
plain, plain_ns = time.time, time.time_ns
time.time = lambda: plain() + float(sys.argv[2])
time.time_ns = lambda: plain_ns() + int(sys.argv[2]) * 10**9
import dulse
print(time.time(), flush=True)
with dulse.Connection(sys.argv[1]) as connection:
    message = dulse.Queue("work")(connection.default_channel).get()
    print(message.payload, flush=True)
    sys.stdin.readline()
    message.ack()
"""


def holding(url: str, seconds: int) -> subprocess.Popen[str]:
    """Hold a message in a process whose clock is wrong. libfaketime would have waits of Python's threads hang."""
    program = [sys.executable, "-c", HOLD, url, str(seconds)]
    return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"filesystem://{tmp_path}/broker?lease=2&durability=normal"
    with Connection(url) as connection:
        Queue("work")(connection).declare()
        connection.Producer().publish("held", routing_key="work")
    return url


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_living_holder_keeps_what_it_holds_for_longer_than_its_lease(url: str, seconds: int) -> None:
    with holding(url, seconds) as holder:
        assert abs(float(said(holder)) - time.time() - seconds) < 60
        assert said(holder) == "held"
        with (
            Connection(url) as connection,
            connection.Consumer(Queue("work"), on_message=print),
            pytest.raises(errors.DeadlineExceeded),
        ):
            connection.drain_events(timeout=5)
        holder.communicate("done\n", timeout=60)
        assert holder.returncode == 0
    with Connection(url) as connection:
        assert connection.default_channel.queue_declare("work", passive=True).message_count == 0


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_what_a_killed_holder_held_comes_back(url: str, seconds: int) -> None:
    found: list[object] = []
    with holding(url, seconds) as holder:
        said(holder)
        assert said(holder) == "held"
        holder.kill()

    def take(body: object, message: Message[object]) -> None:
        found.append(body)
        message.ack()

    with Connection(url) as connection, connection.Consumer(Queue("work"), callbacks=[take]):
        connection.drain_events(timeout=60)

    assert found == ["held"]
