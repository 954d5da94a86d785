"""An entity of one front end, used with a channel of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dulse import errors
from dulse.aio import entity as aio
from dulse.aio.connection import Connection as AsyncConnection
from dulse.sync import entity as sync
from dulse.sync.connection import Connection


class Mine(sync.Queue):
    can_cache_declaration = False


def test_an_asyncio_entity_works_on_a_blocking_connection(url: str) -> None:
    with Connection(url) as connection:
        queue: sync.Queue = aio.Queue("q", aio.Exchange("x", "fanout"), max_length=5)(connection)  # type: ignore[arg-type, assignment]
        assert isinstance(queue, sync.Queue)
        assert isinstance(queue.exchange, sync.Exchange)
        queue.declare()
        connection.Producer(exchange=aio.Exchange("x", "fanout")).publish(b"1")
        assert queue.purge() == 1


async def test_a_blocking_entity_works_on_an_asyncio_connection(url: str) -> None:
    async with AsyncConnection(url) as connection:
        given = Mine("q", [sync.binding(sync.Exchange("x", "fanout"))], on_declared=lambda *_: None)
        queue: aio.Queue = given(connection)  # type: ignore[arg-type, assignment]
        assert isinstance(queue, aio.Queue)
        assert queue == given
        await connection.Producer(exchange=sync.Exchange("x", "fanout")).publish(b"1", declare=[given])
        assert await queue.purge() == 1


async def test_declaring_for_a_message_names_a_queue_of_the_other_front_end(url: str) -> None:
    async with AsyncConnection(url) as connection:
        queue = sync.Queue("", exclusive=True)
        await connection.Producer().publish(b"1", declare=[queue])
        assert queue.name


async def test_an_exchange_of_the_other_front_end_feeds_a_queue(url: str) -> None:
    async with AsyncConnection(url) as connection:
        queue = aio.Queue("q", sync.Exchange("x", "fanout"))(connection)
        await queue.declare()
        await aio.Exchange("x", "fanout")(connection).publish(b"1")
        assert await queue.purge() == 1


def test_entities_of_both_are_equal_by_value() -> None:
    assert aio.Queue("q", aio.Exchange("x"), "k") == sync.Queue("q", sync.Exchange("x"), "k")
    assert hash(aio.Queue("q")) == hash(sync.Queue("q"))


@pytest.mark.parametrize(
    "use",
    [
        lambda connection: connection.Consumer("orders"),
        lambda connection: connection.Consumer(["orders"]),
        lambda connection: connection.Consumer([]).add_queue("orders"),
        lambda connection: connection.Producer(exchange=["orders"]),
    ],
)
def test_what_is_no_entity_is_refused_by_its_name_and_type(url: str, use: Callable[[Connection], Any]) -> None:
    with Connection(url) as connection, pytest.raises(errors.InvalidArgument, match=r"orders.*no exchange, queue or"):
        use(connection)
