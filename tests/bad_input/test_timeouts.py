"""A timeout of 0 looks once, one below zero is refused, and either way the next call works."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from dulse import Connection, Queue, aio, errors

GoesOn = Callable[[], None]

AT_ONCE = 10.0
"""Seconds, on a machine under load: who waits here waits for ever."""

NEGATIVE = [-1, -0.001, float("nan")]


def test_drain_events_with_timeout_0_looks_once(connection: Connection, goes_on: GoesOn) -> None:
    started = time.monotonic()

    with pytest.raises(errors.DeadlineExceeded, match="no message within 0 seconds"):
        connection.drain_events(timeout=0)

    assert time.monotonic() - started < AT_ONCE
    goes_on()


def test_drain_events_with_timeout_0_gives_a_message_that_is_there(connection: Connection) -> None:
    found: list[Any] = []
    connection.Producer().publish("there", routing_key="work")
    connection.Consumer(Queue("work"), on_message=lambda message: found.append(message.payload)).consume()

    connection.drain_events(timeout=0)

    assert found == ["there"]


@pytest.mark.parametrize("timeout", NEGATIVE)
@pytest.mark.parametrize(
    ("what", "call"),
    [
        ("timeout is", lambda connection, timeout: connection.drain_events(timeout=timeout)),
        ("timeout is", lambda connection, timeout: connection.SimpleQueue("work").get(timeout=timeout)),
        ("'timeout'", lambda connection, timeout: connection.ensure_connection(timeout=timeout)),
        (
            "timeout must be more than 0",
            lambda connection, timeout: connection.Producer().publish("body", routing_key="work", timeout=timeout),
        ),
    ],
)
def test_a_negative_timeout_is_refused(
    connection: Connection, goes_on: GoesOn, what: str, call: Callable[[Connection, float], object], timeout: float
) -> None:
    with pytest.raises(errors.InvalidArgument, match=f"{what}.*{timeout}"):
        call(connection, timeout)

    connection.channel().exchange_delete("work")  # SimpleQueue has declared an exchange of that name
    goes_on()


@pytest.mark.parametrize("timeout", ["x", "1", [], float("nan")], ids=repr)
def test_a_timeout_that_is_no_number_is_refused(connection: Connection, goes_on: GoesOn, timeout: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"timeout is .*: give 0 to look once"):
        connection.drain_events(timeout=timeout)

    goes_on()


def test_publish_with_timeout_0_is_refused_since_it_could_do_nothing(connection: Connection, goes_on: GoesOn) -> None:
    with pytest.raises(errors.InvalidArgument, match="leave it out for the transport's default"):
        connection.Producer().publish("body", routing_key="work", timeout=0)

    goes_on()


def test_a_simple_queue_with_timeout_0_is_empty_at_once(connection: Connection) -> None:
    started = time.monotonic()

    with connection.SimpleQueue("work") as queue, pytest.raises(queue.Empty):
        queue.get(timeout=0)

    assert time.monotonic() - started < AT_ONCE


def test_ensure_connection_with_timeout_0_tries_once(connection: Connection) -> None:
    assert connection.ensure_connection(timeout=0) is connection


def test_the_asyncio_form_treats_timeouts_the_same() -> None:
    async def main() -> None:
        async with aio.Connection(f"memory://{uuid.uuid4().hex}") as connection:
            await connection.connect()
            with pytest.raises(errors.DeadlineExceeded):
                await connection.drain_events(timeout=0)
            with pytest.raises(errors.InvalidArgument, match="timeout is -1"):
                await connection.drain_events(timeout=-1)
            with pytest.raises(errors.InvalidArgument, match="more than 0"):
                await connection.Producer().publish("body", routing_key="work", timeout=0)

    asyncio.run(main())
