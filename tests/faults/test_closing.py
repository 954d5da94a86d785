"""However a connection ends, what it had taken and not settled is somebody else's at once."""

from __future__ import annotations

import gc
import time
import weakref
from typing import Any

import pytest

from dulse import Connection, Message, Queue, errors
from tests.attempts import in_time
from tests.faults import parts
from tests.faults.programs import Program

QUEUE = Queue("work")

PROMISED = 1.0
"""Seconds within which others have what was prefetched, which are less than the lease."""


def fill(connection: Connection, count: int) -> None:
    QUEUE(connection).declare()
    connection.Producer().publish_many(range(count), routing_key="work")


def take(connection: Connection, count: int, prefetch: int) -> list[Message[Any]]:
    """Be handed so many messages, and settle none."""
    held: list[Message[Any]] = []
    connection.Consumer(QUEUE, on_message=held.append, prefetch_count=prefetch).consume()
    while len(held) < count:
        connection.drain_events(timeout=5)
    return held


def ready(connection: Connection) -> int:
    """Count what anybody may take now."""
    return connection.default_channel.queue_declare("work", passive=True).message_count


def get_all(connection: Connection, count: int, seconds: float) -> list[int]:
    """Get what comes in so many seconds, at most `count`."""
    found: list[int] = []

    def on_message(message: Message[Any]) -> None:
        found.append(message.payload)
        message.ack()

    connection.Consumer(QUEUE, on_message=on_message).consume()
    end = time.monotonic() + seconds
    while len(found) < count:
        try:
            connection.drain_events(timeout=max(0.0, end - time.monotonic()))
        except errors.DeadlineExceeded:
            break
    return found


def test_close_gives_back_all_that_was_prefetched(url: str) -> None:
    with Connection(url) as second:
        second.connect()

        def seconds_until_all_are_back() -> float:
            first = Connection(url)
            fill(first, 100)
            take(first, 30, prefetch=100)

            started = time.monotonic()
            first.close()
            found = get_all(second, 100, 20)

            assert found == list(range(100))
            return time.monotonic() - started

        in_time(PROMISED, seconds_until_all_are_back)


def test_an_exception_in_a_handler_gives_back_all_as_the_block_ends(url: str) -> None:
    second = Connection(url)
    fill(second, 20)

    def fail(message: Message[Any]) -> None:
        raise LookupError(message.payload)

    def drain() -> None:
        with Connection(url) as first:
            first.Consumer(QUEUE, on_message=fail, prefetch_count=10).consume()
            first.drain_events(timeout=5)

    with pytest.raises(LookupError, match="0"):
        drain()

    assert ready(second) == 20
    assert get_all(second, 20, 10) == list(range(20))
    second.close()


def test_closing_a_channel_gives_back_what_it_held_while_others_go_on(url: str) -> None:
    with Connection(url) as connection:
        fill(connection, 10)
        channel = connection.channel()
        queue = QUEUE(channel)
        messages = [queue.get() for _ in range(10)]
        assert all(message is not None for message in messages)

        channel.close()

        assert ready(connection) == 10
        assert get_all(connection, 10, 10) == list(range(10))


def test_what_was_acknowledged_just_before_close_stays_acknowledged(url: str) -> None:
    second = Connection(url)
    fill(second, 10)
    first = Connection(url)
    for message in take(first, 10, prefetch=10)[:7]:
        message.ack()

    first.close()

    assert ready(second) == 3
    assert get_all(second, 3, 10) == [7, 8, 9]
    second.close()


def test_close_twice_and_use_after_close_are_told(url: str) -> None:
    connection = Connection(url)
    fill(connection, 1)
    channel = connection.channel()

    connection.close()
    connection.close()

    with pytest.raises(errors.ConnectionClosed, match="closed"):
        connection.drain_events(timeout=0)
    with pytest.raises((errors.ChannelClosed, errors.ConnectionClosed), match="closed"):
        connection.Producer(channel).publish(1, routing_key="work")


@pytest.mark.kill
@pytest.mark.parametrize("how", ["return", "exit", "raise"])
def test_an_interpreter_that_ends_with_open_connections_loses_nothing(
    shared_url: str, programs: list[Program], how: str
) -> None:
    program = Program(parts.end_with_everything_open, shared_url, how)
    programs.append(program)

    status = program.finish()

    stderr = program.stderr()
    if how == "raise":
        assert status == 1
        assert stderr.count("Traceback") == 1
        assert stderr.rstrip().endswith("LookupError: on purpose")
    else:
        assert (status, stderr) == (0, "")
    with Connection(shared_url) as connection:
        assert ready(connection) == 18
        assert get_all(connection, 18, 10) == list(range(2, 20))


def test_a_connection_that_is_garbage_gives_its_messages_back_when_its_lease_ends(shared_url: str) -> None:
    second = Connection(shared_url)
    fill(second, 10)

    def forget() -> weakref.ref[Connection]:
        first = Connection(shared_url)
        take(first, 5, prefetch=10)
        return weakref.ref(first)

    gone = forget()
    end = time.monotonic() + 20
    while gone() is not None and time.monotonic() < end:  # its upkeep may be at work just now
        gc.collect()
        time.sleep(0.1)  # which it could not end: collecting keeps all other threads from running

    assert gone() is None
    assert sorted(get_all(second, 10, 20)) == list(range(10))
    second.close()
