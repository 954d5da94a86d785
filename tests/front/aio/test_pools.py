"""Pools of connections, channels and producers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dulse import errors
from dulse.aio import pools
from dulse.aio.connection import Connection
from dulse.aio.connection_pools import ConnectionPool
from dulse.aio.entity import Queue


async def test_a_pool_gives_connections_to_the_same_place_that_are_not_open(url: str) -> None:
    connection = Connection(url, transport_options={"lease": 30})
    pool = connection.Pool(2)
    member = await pool.acquire()
    assert member is not connection
    assert member.info() == connection.info()
    assert not member.connected
    await pool.force_close_all()


async def test_leaving_the_context_gives_a_connection_back_open(url: str) -> None:
    pool = Connection(url).Pool(1)
    async with await pool.acquire() as member:
        await member.connect()
    assert member.connected
    assert await pool.acquire() is member
    await pool.force_close_all()
    assert not member.connected


async def test_a_connection_is_closed_for_good_by_close_and_given_back_by_release(url: str) -> None:
    pool = Connection(url).Pool(1)
    member = await pool.acquire()
    await member.connect()
    await member.close()
    assert not member.connected
    await member.release()
    assert await pool.acquire() is member


async def test_a_full_pool_of_connections_says_so(url: str) -> None:
    pool = Connection(url).Pool(1)
    await pool.acquire()
    with pytest.raises(errors.ConnectionLimitExceeded):
        await pool.acquire()


async def test_after_an_exception_nobody_inherits_unsettled_messages(url: str) -> None:
    queue: Queue = Queue("tasks")
    pool = Connection(url).Pool(1)
    member = await pool.acquire()

    async def fail() -> None:
        async with member:
            await member.Producer().publish(b"1", routing_key="tasks", declare=[queue])
            assert await queue(member).get() is not None
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        await fail()
    assert not member.connected
    async with await pool.acquire() as other:
        assert other is not member
        message = await queue(other).get()
        assert message is not None
        assert message.delivery_info["redelivered"]
    await pool.force_close_all()


async def test_a_connection_and_its_default_channel_may_be_acquired_together(url: str) -> None:
    pool = Connection(url).Pool(1)
    async with pool.acquire_channel() as (member, channel):
        assert channel is await member.default_channel
    assert await pool.acquire() is member
    await pool.force_close_all()


async def test_channels_of_one_connection_are_pooled(url: str) -> None:
    async with Connection(url) as connection:
        pool = connection.ChannelPool(1)
        channel = await pool.acquire()
        assert channel.client is connection
        with pytest.raises(errors.ChannelLimitExceeded):
            await pool.acquire()
        await pool.release(channel)
        assert await pool.acquire() is channel
        await pool.force_close_all()
        assert not channel.is_open


async def test_a_pooled_channel_that_was_closed_is_replaced(url: str) -> None:
    async with Connection(url) as connection:
        pool = connection.ChannelPool(1)
        channel = await pool.acquire()
        await channel.close()
        await pool.release(channel)
        assert (await pool.acquire()).is_open


# --------------------------------------------------------------------------------------------------- groups


async def test_connections_to_one_place_share_a_pool(url: str) -> None:
    group = pools.Connections(limit=3)
    pool = group[Connection(url)]
    assert group[Connection(url)] is pool
    assert group[Connection(f"{url}-other")] is not pool
    assert pool.limit == 3
    assert len(group) == 2


async def test_a_group_is_a_mapping(url: str) -> None:
    group = pools.Connections(limit=3)
    connection = Connection(url)
    assert connection not in group
    pool = group[connection]
    assert connection in group
    assert list(group.values()) == [pool]
    assert [value for _, value in group.items()] == [pool]
    del group[connection]
    assert connection not in group
    assert "nonsense" not in group


async def test_a_producer_of_the_pool_publishes(url: str) -> None:
    queue: Queue = Queue("tasks")
    connection = Connection(url)
    async with await pools.producers[connection].acquire(block=True) as producer:
        await producer.publish({"a": 1}, routing_key="tasks", declare=[queue])
    async with await pools.connections[connection].acquire(block=True) as member:
        message = await queue(member).get()
        assert message is not None
        assert message.payload == {"a": 1}
        await message.ack()
    await pools.reset()


async def test_a_producer_has_its_connection_for_as_long_as_it_is_out(url: str) -> None:
    connections = Connection(url).Pool(1)
    producers = pools.ProducerPool(connections, limit=2)
    producer = await producers.acquire()
    with pytest.raises(errors.ConnectionLimitExceeded):
        await connections.acquire()
    with pytest.raises(errors.ConnectionLimitExceeded):
        await producers.acquire()
    await producer.release()
    assert await producers.acquire() is producer


async def test_a_producer_given_back_twice_gives_its_connection_back_once(url: str) -> None:
    connections = Connection(url).Pool(1)
    producers = pools.ProducerPool(connections, limit=1)
    producer = await producers.acquire()
    await producer.release()
    member = await connections.acquire()
    await producer.release()
    with pytest.raises(errors.ConnectionLimitExceeded):
        await connections.acquire()
    await member.release()


async def test_a_broken_producer_is_replaced_with_its_connection(url: str) -> None:
    connections = Connection(url).Pool(1)
    producers = pools.ProducerPool(connections, limit=1)
    producer = await producers.acquire()
    member = producer.connection
    await producers.replace(producer)
    other = await producers.acquire()
    assert other is not producer
    assert other.connection is not member


async def test_a_pool_of_producers_may_make_them_of_another_class(url: str) -> None:
    from dulse.aio.messaging import Producer

    class Mine(Producer[Any]):
        pass

    producers = pools.ProducerPool(Connection(url).Pool(1), limit=1, Producer=Mine)
    assert isinstance(await producers.acquire(), Mine)


@pytest.fixture
def group() -> Callable[[], pools.Connections]:
    def make() -> pools.Connections:
        return pools.register_group(pools.Connections(limit=pools.use_global_limit))

    return make


async def test_the_global_limit_reaches_the_groups_that_ask_for_it(
    url: str, group: Callable[[], pools.Connections]
) -> None:
    former = pools.get_limit()
    assert former == 10
    own, common = pools.register_group(pools.Connections(limit=3)), group()
    connection = Connection(url)
    pool: ConnectionPool = common[connection]
    assert pool.limit == 10
    assert await pools.set_limit(20) == 20
    try:
        assert pools.get_limit() == 20
        assert pool.limit == 20
        assert own[connection].limit == 3
        assert group()[connection].limit == 20
    finally:
        await pools.set_limit(former)
        await pools.reset()


async def test_lowering_the_global_limit_below_what_is_in_use_is_refused(
    url: str, group: Callable[[], pools.Connections]
) -> None:
    pool = group()[Connection(url)]
    members = [await pool.acquire() for _ in range(3)]
    with pytest.raises(errors.InvalidArgument, match="3 resources are in use"):
        await pools.set_limit(2)
    await pools.set_limit(2, ignore_errors=True)
    for member in members:
        await member.release()
    assert pool.limit == 2
    await pools.set_limit(10)
    await pools.reset()


async def test_a_global_limit_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="True"):
        await pools.set_limit(True)
    with pytest.raises(errors.InvalidArgument, match="-1"):
        await pools.set_limit(-1)
    assert pools.get_limit() == 10


async def test_resetting_closes_and_forgets_everything(url: str, group: Callable[[], pools.Connections]) -> None:
    common, connection = group(), Connection(url)
    pool = common[connection]
    member = await pool.acquire()
    await member.connect()
    await pools.reset()
    assert not member.connected
    assert connection not in common
    with pytest.raises(errors.ConnectionClosed):
        await pool.acquire()
    assert await common[connection].acquire() is not member
    await pools.reset()
