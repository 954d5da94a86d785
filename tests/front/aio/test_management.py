"""Looking at queues from outside, and moving messages between them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.drivers import find_driver
from dulse.transport import Driver


async def declared(connection: Connection, name: str, **options: Any) -> Queue:
    """Make a queue."""
    queue: Queue = Queue(name, **options)
    await queue.declare(channel=await connection.default_channel)
    return queue


async def put(connection: Connection, queue: str, *bodies: str, **options: Any) -> None:
    """Publish to a queue."""
    await connection.Producer().publish_many(bodies, routing_key=queue, exchange="", **options)


async def bodies(connection: Connection, queue: str) -> list[Any]:
    """Show what waits in a queue."""
    return [message.payload for message in await connection.manager.peek(queue, 100)]


async def test_the_manager_lists_all_queues_by_name(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "b")
        await declared(connection, "a", max_length=7, durable=False)
        await put(connection, "b", "one", "two")
        a, b = await connection.manager.queues()
        assert (a.name, a.ready, a.durable, a.arguments) == ("a", 0, False, {"x-max-length": 7})
        assert (b.name, b.ready, b.size) == ("b", 2, 6)


async def test_the_manager_counts_consumers_and_what_is_leased_and_delayed(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await put(connection, "a", "one", "two")
        await put(connection, "a", "later", delay=60)
        channel = await connection.channel()
        await channel.basic_get("a")
        await channel.basic_qos(0, 1)
        await channel.basic_consume("a", callback=print)
        (status,) = await connection.manager.queues("a")
        assert (status.ready, status.leased, status.delayed, status.consumers) == (1, 1, 1, 1)


async def test_the_manager_describes_queues_in_the_order_asked_for(url: str) -> None:
    async with Connection(url) as connection:
        for name in ("a", "b", "c"):
            await declared(connection, name)
        assert [each.name for each in await connection.manager.queues("c", "a", "c")] == ["c", "a", "c"]


async def test_the_manager_does_not_count_what_has_expired(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await put(connection, "a", "gone", expiration=0)
        assert [each.ready for each in await connection.manager.queues()] == [0]
        await put(connection, "a", "gone", expiration=0)
        assert await bodies(connection, "a") == []


@pytest.mark.parametrize("method", ["queues", "peek", "move"])
async def test_the_manager_names_a_queue_that_is_missing(url: str, method: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "there")
        arguments = ["nowhere", "there"] if method == "move" else ["nowhere"]
        with pytest.raises(errors.NotFound, match="'nowhere'"):
            await getattr(connection.manager, method)(*arguments)


async def test_peek_shows_what_comes_next_and_takes_nothing(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a", max_priority=5)
        await put(connection, "a", "low", headers={"tone": "d"}, correlation_id="7")
        await put(connection, "a", "high", priority=5)
        assert await bodies(connection, "a") == ["high", "low"]
        (first,) = await connection.manager.peek("a")
        assert first.payload == "high"
        _, second = await connection.manager.peek("a", 2)
        assert (second.headers, second.properties["correlation_id"]) == ({"tone": "d"}, "7")
        assert (second.delivery_info["routing_key"], second.delivery_info["redelivered"]) == ("a", False)


async def test_a_message_that_was_peeked_at_cannot_be_settled(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await put(connection, "a", "one")
        (message,) = await connection.manager.peek("a")
        with pytest.raises(errors.MessageStateError):
            await message.ack()


async def test_peek_tells_that_a_message_was_delivered_before(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await put(connection, "a", "one")
        message = await (await connection.channel()).basic_get("a")
        assert message is not None
        await message.requeue()
        (again,) = await connection.manager.peek("a")
        assert (again.delivery_info["redelivered"], again.headers["x-delivery-count"]) == (True, 1)


async def test_move_takes_the_next_messages_and_keeps_their_order(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b")
        await put(connection, "a", "one", "two", "three")
        assert await connection.manager.move("a", "b", 2) == 2
        assert await bodies(connection, "a") == ["three"]
        assert await bodies(connection, "b") == ["one", "two"]


async def test_move_goes_on_beyond_one_step(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b")
        await put(connection, "a", *map(str, range(250)))
        assert await connection.manager.move("a", "b") == 250
        assert [each.ready for each in await connection.manager.queues("a", "b")] == [0, 250]


async def test_a_moved_message_is_what_it_was(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b")
        await put(connection, "a", "one", headers={"x-death": [{"queue": "b"}]}, message_id="m", delay=0.001)
        (before,) = await peeked_at_once_it_is_there(connection, "a")
        await connection.manager.move("a", "b")
        (after,) = await connection.manager.peek("b")
        assert (after.body, after.headers, after.properties) == (before.body, before.headers, before.properties)
        assert after.delivery_info["routing_key"] == "a"


async def peeked_at_once_it_is_there(connection: Connection, queue: str) -> list[Any]:
    """Show the next message of a queue, waiting for it."""
    message = None
    while message is None:
        message = await (await connection.default_channel).basic_get(queue)
    await message.requeue()
    found = await connection.manager.peek(queue)
    for each in found:
        del each.headers["x-delivery-count"]
    return found


async def test_a_moved_message_has_the_priority_that_its_new_queue_gives_it(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b", max_priority=9)
        await put(connection, "a", "low")
        await put(connection, "a", "high", priority=9)
        await connection.manager.move("a", "b")
        assert await bodies(connection, "b") == ["high", "low"]


@pytest.mark.parametrize("limit", [{"max_length": 2}, {"max_length_bytes": 6}])
async def test_move_fills_a_queue_up_to_its_limit_and_drops_nothing(url: str, limit: dict[str, int]) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b", **limit)
        await put(connection, "a", "one", "two", "six")
        assert await connection.manager.move("a", "b") == 2
        with pytest.raises(errors.Refused, match="'b' is full"):
            await connection.manager.move("a", "b")
        assert await bodies(connection, "a") == ["six"]
        assert await bodies(connection, "b") == ["one", "two"]
        assert [each.leased for each in await connection.manager.queues()] == [0, 0]


async def test_what_was_not_moved_does_not_count_as_delivered(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b", max_length=1)
        await put(connection, "a", "one", "two")
        await connection.manager.move("a", "b")
        (left,) = await connection.manager.peek("a")
        assert left.delivery_info["redelivered"] is False


async def test_move_ends_though_what_it_moves_comes_back(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        back = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "a", "x-message-ttl": 0}
        await declared(connection, "b", queue_arguments=back)
        await put(connection, "a", "one", "two")
        assert await connection.manager.move("a", "b") == 2


async def test_move_leaves_exclusive_queues_of_others_alone(url: str) -> None:
    async with Connection(url) as connection, Connection(url) as other:
        await declared(connection, "a")
        await declared(other, "theirs", exclusive=True)
        with pytest.raises(errors.ResourceLocked):
            await connection.manager.move("theirs", "a")
        with pytest.raises(errors.ResourceLocked):
            await connection.manager.move("a", "theirs")


async def test_what_cannot_be_moved_is_refused_at_once(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        with pytest.raises(errors.InvalidArgument, match="'a' is both"):
            await connection.manager.move("a", "a")
        with pytest.raises(errors.InvalidArgument, match="at least 1"):
            await connection.manager.move("a", "b", 0)
        with pytest.raises(errors.InvalidArgument, match="at least 1"):
            await connection.manager.peek("a", 0)


async def before_each_forward(connection: Connection, act: Any) -> None:
    """Have something done before the store moves a message."""
    await connection.connect()
    storage: Any = cast("Any", connection.transport.transport).storage
    forward = storage.forward_many

    async def disturbed(*arguments: Any, **named: Any) -> Any:
        await act()
        return await forward(*arguments, **named)

    storage.forward_many = disturbed


async def test_move_goes_on_when_the_queue_is_bound_meanwhile(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b")
        await put(connection, "a", "one", "two")
        channel = await connection.channel()

        async def bind() -> None:
            await channel.queue_bind("b", "amq.fanout")
            await channel.queue_unbind("b", "amq.fanout")

        changes = iter((bind, bind))

        async def once_or_twice() -> None:
            change = next(changes, None)
            if change is not None:
                await change()

        await before_each_forward(connection, once_or_twice)
        assert await connection.manager.move("a", "b") == 2
        assert await bodies(connection, "b") == ["one", "two"]


async def test_a_message_stays_where_it_is_when_the_other_queue_is_deleted_meanwhile(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b")
        await put(connection, "a", "one", "two")
        channel = await connection.channel()

        async def delete() -> None:
            await channel.queue_delete("b")

        await before_each_forward(connection, delete)
        with pytest.raises(errors.NotFound, match="'b'"):
            await connection.manager.move("a", "b")
        (status,) = await connection.manager.queues()
        assert (status.name, status.ready, status.leased) == ("a", 2, 0)


async def test_a_move_that_is_interrupted_leaves_the_rest_where_it_is(url: str) -> None:
    async with Connection(url) as connection:
        await declared(connection, "a")
        await declared(connection, "b")
        await put(connection, "a", *map(str, range(150)))
        left = iter((None,))  # one step of a hundred messages goes through

        async def interrupt() -> None:
            if next(left, KeyboardInterrupt) is KeyboardInterrupt:
                raise KeyboardInterrupt

        await before_each_forward(connection, interrupt)
        with pytest.raises(KeyboardInterrupt):
            await connection.manager.move("a", "b")
        assert [(each.ready, each.leased) for each in await connection.manager.queues()] == [(50, 0), (100, 0)]
        assert (await bodies(connection, "b"))[:2] == ["0", "1"]


async def test_a_refusal_of_the_manager_closes_nothing(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.default_channel
        with pytest.raises(errors.NotFound):
            await connection.manager.peek("nowhere")
        assert channel.is_open


async def test_a_transport_without_management_says_so(url: str) -> None:
    connection = Connection("bare://", transport=bare(url))
    with pytest.raises(errors.NotSupported, match="bare transport cannot list"):
        await connection.manager.queues()
    await connection.close()


def bare(url: str) -> Driver:
    """Serve a broker in memory that offers channels only."""

    def make(settings: Any) -> Any:
        made: Any = find_driver("memory").open_asyncio(settings)
        made.management = None
        return made

    return Driver("bare", make, make)
