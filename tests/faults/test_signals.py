"""Signals end a blocked call soon, may come at any moment, and their handlers may use the connection themselves."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from dulse import Connection, Queue
from tests.faults import parts, storming
from tests.faults.programs import Program

pytestmark = [pytest.mark.kill, pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")]


def test_sigterm_ends_a_blocked_drain_soon(url: str, programs: list[Program]) -> None:
    program = Program(parts.drain_until_terminated, url)
    programs.append(program)
    assert program.hear() == "ready"
    time.sleep(0.3)  # let it fall asleep

    sent_at = time.monotonic()
    program.signal(signal.SIGTERM)
    status = program.finish()

    assert time.monotonic() - sent_at < 15, "the drain has no end of its own"
    assert status == 7
    assert "Traceback" not in program.stderr()


def test_a_handler_may_publish_while_its_thread_publishes(url: str, programs: list[Program]) -> None:
    count = 10_000 if url.startswith("memory") else 2000
    program = Program(parts.publish_while_a_handler_publishes, url, count)
    programs.append(program)

    report = program.hear()

    assert report["interruptions"] > 10
    expected = [f"main:{number}" for number in range(count)]
    expected += [f"signal:{number}" for number in range(report["interruptions"])]
    assert sorted(report["found"]) == sorted(expected)
    assert program.finish() == 0
    assert "Traceback" not in program.stderr()


def test_a_handler_may_publish_while_its_thread_waits_for_messages(url: str, programs: list[Program]) -> None:
    program = Program(parts.drain_while_a_handler_publishes, url, 50)
    programs.append(program)

    assert sorted(program.hear()) == list(range(50))
    assert program.finish() == 0
    assert "Traceback" not in program.stderr()


def test_an_interrupted_drain_loses_nothing(shared_url: str, programs: list[Program]) -> None:
    with Connection(shared_url) as connection:
        Queue("work")(connection).declare()
        connection.Producer().publish_many(range(3000), routing_key="work")
    program = Program(parts.drain_while_interrupted, shared_url, 3000)
    programs.append(program)

    report = program.hear(45)

    assert report["interruptions"] > 10
    assert program.finish() == 0
    rest = []
    with Connection(shared_url) as connection:
        queue = Queue("work")(connection)
        while (message := queue.get(no_ack=True)) is not None:
            rest.append(message.payload)
    assert sorted({*report["settled"], *rest}) == list(range(3000))
    assert len(report["settled"]) > 100


def test_nothing_is_lost_and_nothing_stays_leased_in_a_storm_of_signals(url: str, programs: list[Program]) -> None:
    program = Program(storming.drain_in_a_storm, url, 20_000, 4000)
    programs.append(program)

    report = program.hear(90)

    assert report["struck"] > (100 if url.startswith("filesystem") else 500)
    assert report["left"] == [0, 0, 0]
    assert sorted(report["settled"]) == list(range(20_000))
    assert program.finish() == 0
