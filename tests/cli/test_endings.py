"""How commands end that are stopped, killed, or left by whoever reads them: real processes, nothing lost."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dulse import Connection

DEADLINE = 30.0


def until(reached: Callable[[], Any]) -> None:
    """Wait for something to become true, in another process."""
    end = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.001)


def put(connection: Connection, queue: str, *bodies: str) -> None:
    connection.Producer().publish_many(bodies, routing_key=queue, exchange="")


def ready(connection: Connection, queue: str) -> int:
    return connection.manager.queues(queue)[0].ready


def holds(connection: Connection, queue: str, count: int) -> bool:
    return ready(connection, queue) >= count


def bodies(connection: Connection, queue: str) -> list[bytes]:
    return [message.body for message in connection.manager.peek(queue, 10_000)]


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Wait for the end of a process; gives its exit code and what it said."""
    assert process.stderr is not None
    said = process.stderr.read()
    return process.wait(DEADLINE), said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_consume_follows_until_it_is_stopped(
    start: Any, connection: Connection, work: str, number: signal.Signals, code: int
) -> None:
    process = start("consume", work, "--follow", stdout=subprocess.PIPE)
    put(connection, work, "one")
    assert process.stdout.readline() == b"one\n"
    put(connection, work, "two")
    assert process.stdout.readline() == b"two\n"
    process.send_signal(number)
    assert ended(process) == (code, b"")
    assert ready(connection, work) == 0


def test_what_nobody_reads_any_more_goes_back(start: Any, connection: Connection, work: str) -> None:
    size = 8192
    put(connection, work, *(f"{number:04}".ljust(size, ".") for number in range(100)))
    process = start("consume", work, stdout=subprocess.PIPE)
    assert process.stdout.readline()[:4] == b"0000"
    process.stdout.close()
    assert ended(process) == (0, b"")
    left = [int(body[:4]) for body in bodies(connection, work)]
    assert left == list(
        range(left[0], 100)
    )  # in their order, and none is missing behind the first that was not written
    in_a_pipe = 65536 // size
    in_the_reader = 65536 // size
    assert 1 <= left[0] <= 1 + in_a_pipe + in_the_reader
    assert connection.manager.queues(work)[0].leased == 0


def test_the_head_of_a_queue_can_be_shown_by_the_shells_head(connection: Connection, work: str, url: str) -> None:
    put(connection, work, *(str(number).ljust(8192, ".") for number in range(100)))
    command = f"'{sys.executable}' -m dulse.cli consume work | head -n 1 | cut -c 1-2"
    answer = subprocess.run(
        ["/bin/sh", "-c", command], check=True, capture_output=True, env={**os.environ, "DULSE_URL": url}
    )
    assert (answer.stdout, answer.stderr) == (b"0.\n", b"")
    assert ready(connection, work) >= 80


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_consumer_whose_reader_sleeps_can_be_stopped(
    start: Any, connection: Connection, work: str, number: signal.Signals
) -> None:
    put(connection, work, *("x" * 10_000 for _ in range(50)))
    reading, writing = os.pipe()
    process = start("consume", work, stdout=writing)
    until(lambda: not select.select((), (writing,), (), 0)[1])
    os.close(writing)
    process.send_signal(number)
    assert ended(process)[0] == 128 + number
    written = 0
    while chunk := os.read(reading, 1 << 16):
        written += len(chunk)
    os.close(reading)
    assert ready(connection, work) == 50 - written // 10_001
    assert connection.manager.queues(work)[0].leased == 0


def test_a_full_disk_is_a_failure_and_loses_nothing(start: Any, connection: Connection, work: str) -> None:
    put(connection, work, "one", "two")
    with Path("/dev/full").open("wb") as full:
        assert ended(start("consume", work, stdout=full)) == (1, b"dulse: No space left on device\n")
    assert bodies(connection, work) == [b"one", b"two"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_publish_sends_what_it_has_read_until_it_is_stopped(
    start: Any, connection: Connection, work: str, number: signal.Signals, code: int
) -> None:
    process = start("publish", "-q", work, stdin=subprocess.PIPE)
    process.stdin.write(b"one\ntwo\nunfinished")
    process.stdin.flush()
    until(lambda: ready(connection, work) == 2)
    process.send_signal(number)
    assert process.wait(DEADLINE) == code
    assert b"sent 2 messages to queue 'work'" in process.stderr.read()
    assert bodies(connection, work) == [b"one", b"two"]


def test_lines_of_a_slow_writer_are_not_held_back(start: Any, connection: Connection, work: str) -> None:
    process = start("publish", "-q", work, stdin=subprocess.PIPE)
    for number in range(3):
        process.stdin.write(b"line\n")
        process.stdin.flush()
        until(partial(holds, connection, work, number + 1))
    process.stdin.close()
    assert ended(process)[0] == 0


def test_a_move_that_is_interrupted_tells_how_far_it_came(start: Any, connection: Connection, work: str) -> None:
    connection.default_channel.queue_declare("there", durable=True)
    put(connection, work, *map(str, range(50_000)))
    process = start("move", work, "there")
    until(lambda: ready(connection, "there"))
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    moved = ready(connection, "there")
    assert code == 130
    assert f"moved {moved:,} of 50,000".encode() in said
    assert bodies(connection, "there") == [str(number).encode() for number in range(moved)][:10_000]
    assert ready(connection, work) == 50_000 - moved


@pytest.mark.kill
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(240)])])
def test_a_move_that_is_killed_loses_nothing_and_doubles_nothing(
    start: Any, connection: Connection, work: str, kills: int
) -> None:
    connection.default_channel.queue_declare("there", durable=True)
    count = 5000 * kills
    put(connection, work, *map(str, range(count)))
    midway = 0
    for _ in range(kills):
        before = ready(connection, "there")
        if before == count:  # this machine was too busy to kill in time
            break
        process = start("move", work, "there")
        until(partial(holds, connection, "there", before + 1))
        process.kill()
        process.wait(DEADLINE)
        midway += ready(connection, "there") < count
        until(lambda: connection.manager.queues(work)[0].leased == 0)
    assert midway
    until(lambda: connection.manager.queues(work)[0].leased == 0)
    assert ended(start("move", work, "there"))[0] == 0
    moved = [int(message.body) for message in connection.manager.peek("there", 2 * count)]
    assert sorted(moved) == list(range(count))
    assert ready(connection, work) == 0


@pytest.mark.kill
def test_a_consumer_that_is_killed_loses_at_most_what_it_has_written(
    start: Any, connection: Connection, work: str
) -> None:
    put(connection, work, *map(str, range(500)))
    process = start("consume", work, stdout=subprocess.PIPE)
    seen = [int(process.stdout.readline()) for _ in range(3)]
    process.kill()
    seen += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    until(lambda: connection.manager.queues(work)[0].leased == 0)
    left = [int(body) for body in bodies(connection, work)]
    assert set(seen) | set(left) == set(range(500))
