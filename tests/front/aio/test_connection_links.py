"""Opening, using and closing the link of a Connection."""

from __future__ import annotations

import logging
import socket

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.links.waiting.aio import Event, Lock, spawn
from dulse.model.message import Outgoing
from dulse.policy.clocks import VirtualClock
from tests.front.aio.faulty import FaultyBroker


class Watcher:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def published(self, message: Outgoing) -> None:
        self.told.append(f"published to {message.routing_key}")

    def received(self, delivery: object) -> None:
        self.told.append("received")

    def settled(self, delivery_tag: int, outcome: str) -> None:
        self.told.append(outcome)

    def reconnected(self, url: str) -> None:
        self.told.append(f"reconnected to {url}")


async def test_nothing_is_opened_before_it_is_needed(url: str) -> None:
    connection = Connection(url)
    states = [connection.connected]
    await connection.connect()
    states.append(connection.connected)
    await connection.close()
    states.append(connection.connected)
    assert states == [False, True, False]


async def test_a_connection_without_a_connect_timeout_has_a_finite_one(url: str) -> None:
    broker = FaultyBroker(url)
    given: list[float] = []
    async with Connection("a.example", transport=broker.driver, connect_timeout=None) as connection:
        session = connection.transport

        async def note(timeout: float) -> None:
            given.append(timeout)
            session.is_open = True

        session.open = note  # type: ignore[method-assign]
        await connection.connect()
        session.is_open = False
    assert given == [30]


async def test_connecting_twice_keeps_the_link(url: str) -> None:
    async with Connection(url) as connection:
        assert await connection.connect() is await connection.connect()


async def test_the_link_is_the_transport_and_knows_its_connection(url: str) -> None:
    async with Connection(url) as connection:
        link = await connection.connection
        assert link is connection.transport
        assert link is not None
        assert link.client is connection
        assert link.virtual_host == "/"
        assert link.channels == []
        channel = await connection.channel()
        assert channel.connection is link
        assert link.channels == [channel]
        await channel.close()
        assert link.channels == []


async def test_the_link_that_was_looked_at_is_the_one_that_is_opened(url: str) -> None:
    async with Connection(url) as connection:
        looked_at = connection.transport
        assert await connection.connect() is looked_at


async def test_a_part_assigned_after_looking_at_the_link_is_not_forgotten(url: str) -> None:
    broker = FaultyBroker(url)
    async with Connection("a.example", transport=broker.driver) as connection:
        assert connection.transport.host == "a.example:7"
        connection.hostname = "b.example"
        await connection.connect()
        assert broker.tried == ["b.example"]


async def test_the_default_channel_stays_until_it_is_closed(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.default_channel
        assert await connection.default_channel is channel
        with pytest.raises(errors.NotFound):
            await channel.queue_declare("missing", passive=True)
        assert await connection.default_channel is not channel


async def test_a_closed_connection_opens_no_channels(url: str) -> None:
    connection = Connection(url)
    await connection.close()
    with pytest.raises(errors.ConnectionClosed, match=r"connect\(\)"):
        await connection.channel()
    with pytest.raises(errors.ConnectionClosed):
        await connection.drain_events(timeout=1)
    assert await connection.connection is None


async def test_a_closed_connection_is_opened_again_by_connect_and_by_the_default_channel(url: str) -> None:
    async with Connection(url) as connection:
        await connection.close()
        await connection.connect()
        assert connection.connected
        await connection.close()
        assert (await connection.default_channel).is_open


async def test_closing_again_does_nothing(url: str) -> None:
    connection = Connection(url)
    await connection.connect()
    await connection.close()
    await connection.close()
    await connection.release()
    assert not connection.connected


async def test_leaving_the_context_closes(url: str) -> None:
    async with Connection(url) as connection:
        channel = await connection.default_channel
    assert not connection.connected
    assert not channel.is_open


async def test_closing_gives_back_what_was_not_settled(url: str) -> None:
    queue: Queue = Queue("tasks")
    async with Connection(url) as other, Connection(url) as connection:
        await connection.Producer().publish(b"1", routing_key="tasks", declare=[queue])
        async with connection.Consumer(queue, callbacks=[lambda _body, _message: None]):
            await connection.drain_events(timeout=5)
        await connection.close()
        message = await queue(other).get()
        assert message is not None
        assert message.delivery_info["redelivered"]


async def test_draining_looks_once_for_a_timeout_of_zero(url: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.DeadlineExceeded):
            await connection.drain_events(timeout=0)


async def test_a_drain_without_an_event_raises_what_sockets_raise(url: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(socket.timeout):
            await connection.drain_events(timeout=0.01)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
async def test_a_timeout_that_makes_no_sense_is_refused(url: str, timeout: float) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.InvalidArgument, match=str(timeout)):
            await connection.drain_events(timeout=timeout)


async def test_draining_connects_where_nothing_is_open(url: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.DeadlineExceeded):
            await connection.drain_events(timeout=0)
        assert connection.connected


async def test_a_link_that_breaks_while_draining_is_let_go(url: str) -> None:
    broker = FaultyBroker(url)
    async with Connection("a.example", transport=broker.driver) as connection:
        await connection.connect()
        broker.cut()
        with pytest.raises(errors.ConnectionLost):
            await connection.drain_events(timeout=1)
        assert not connection.connected


async def test_a_callbacks_own_connection_trouble_leaves_the_link_alone(url: str) -> None:
    queue: Queue = Queue("tasks")

    def fail(body: object, message: object) -> None:
        raise errors.make(errors.ConnectionLost, "another connection of the handler")

    async with Connection(url) as connection:
        await connection.Producer().publish(b"1", routing_key="tasks", declare=[queue])
        async with connection.Consumer(queue, callbacks=[fail]):
            with pytest.raises(errors.ConnectionLost, match="another"):
                await connection.drain_events(timeout=5)
        assert connection.connected


@pytest.mark.parametrize("kind", ["callback", "verb"])
async def test_a_deadline_of_a_callback_is_not_taken_for_the_drains_own(url: str, kind: str) -> None:
    queue: Queue = Queue("tasks")

    def be_late(*given: object) -> None:
        raise errors.make(errors.DeadlineExceeded, "publishing the answer took too long")

    async with Connection(url) as connection:
        await connection.Producer().publish(b"1", routing_key="tasks", declare=[queue])
        if kind == "verb":
            await (await connection.channel()).basic_consume("tasks", callback=be_late)
        else:
            await connection.Consumer(queue, callbacks=[be_late]).consume()
        with pytest.raises(errors.OperationalError, match="the answer took too long") as raised:
            await connection.drain_events(timeout=5)
        assert not isinstance(raised.value, TimeoutError)
        assert isinstance(raised.value.__cause__, errors.DeadlineExceeded)


async def test_the_default_channel_is_opened_on_a_new_link_when_the_old_one_broke(url: str) -> None:
    broker = FaultyBroker(url)
    async with Connection("a.example", transport=broker.driver) as connection:
        channel = await connection.default_channel
        broker.cut()
        await connection.collect()
        renewed = await connection.default_channel
        assert renewed is not channel
        assert renewed.is_open


async def test_a_heartbeat_check_finds_a_broken_link(url: str) -> None:
    broker = FaultyBroker(url)
    async with Connection("a.example", transport=broker.driver) as connection:
        await connection.connect()
        await connection.heartbeat_check()
        broker.cut()
        with pytest.raises(errors.ConnectionLost):
            await connection.heartbeat_check()


async def test_a_broker_out_of_reach_does_not_keep_a_connection_from_closing(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker = FaultyBroker(url)
    connection = Connection("a.example", transport=broker.driver)
    await connection.connect()
    broker.cut()
    with caplog.at_level(logging.WARNING):
        await connection.close()
    assert not connection.connected
    assert "the link was cut" in caplog.text


async def test_a_connection_closed_while_it_is_opened_stays_closed(url: str) -> None:
    opening, go_on = Event(), Event()
    broker = FaultyBroker(url)
    connection = Connection("a.example", transport=broker.driver)
    session = connection.transport

    async def hesitate(timeout: float) -> None:
        opening.set()
        await go_on.wait(5)
        await session.transport.open(timeout)
        session.is_open = True

    session.open = hesitate  # type: ignore[method-assign]
    outcome: list[Exception] = []

    async def connect() -> None:
        try:
            await connection.connect()
        except errors.ConnectionClosed as closed:
            outcome.append(closed)

    connecting = spawn(connect, "connecting")
    assert await opening.wait(5)
    await connection.close()
    go_on.set()
    assert await connecting.join(5)
    assert len(outcome) == 1
    assert not connection.connected
    assert not session.is_open


class CountingLock:
    """A lock that tells when so many have come to take it."""

    def __init__(self, enough: int) -> None:
        self.there_are_enough = Event()
        self._enough = enough
        self._came: list[object] = []
        self._lock = Lock()

    async def __aenter__(self) -> None:
        self._came.append(None)
        if len(self._came) == self._enough:
            self.there_are_enough.set()
        await self._lock.acquire()

    async def __aexit__(self, *error: object) -> None:
        self._lock.release()


async def test_those_who_come_while_a_link_is_opened_share_its_failure(url: str) -> None:
    broker = FaultyBroker(url)
    connection = Connection("a.example", transport=broker.driver)
    session = connection.transport
    lock = connection._lock = CountingLock(5)  # type: ignore[assignment]

    async def fail(timeout: float) -> None:
        assert await lock.there_are_enough.wait(10)
        raise errors.make(errors.ConnectionRefused, "nobody listens")

    session.open = fail  # type: ignore[method-assign]
    failures: list[Exception] = []

    async def connect() -> None:
        try:
            await connection.connect()
        except errors.ConnectionRefused as failure:
            failures.append(failure)

    several = [spawn(connect, f"connecting {number}") for number in range(5)]
    for each in several:
        assert await each.join(10)
    assert len(failures) == 5
    assert len(set(map(id, failures))) == 1


async def test_the_observer_is_told_of_a_reconnect_and_not_of_the_first_one(url: str) -> None:
    watcher = Watcher()
    broker = FaultyBroker(url)
    async with Connection("a.example", "user", "secret", transport=broker.driver, observer=watcher) as connection:
        await connection.connect()
        assert watcher.told == []
        broker.cut()
        await connection.collect()
        await connection.connect()
        assert watcher.told == ["reconnected to faulty://user:**@a.example/"]


async def test_declarations_are_forgotten_with_the_link(url: str) -> None:
    async with Connection(url) as connection:
        await connection.Producer().publish(b"1", routing_key="tasks", declare=[Queue("tasks")])
        assert connection.declared_entities
        declared = connection.declared_entities
        await connection.collect()
        assert connection.declared_entities is declared
        assert not declared


async def test_reviving_closes_the_former_default_channel(url: str) -> None:
    async with Connection(url) as connection:
        former = await connection.default_channel
        await connection.revive(former)
        assert former.is_open
        await connection.revive(await connection.channel())
        assert not former.is_open


async def test_a_channel_that_cannot_be_closed_any_more_is_no_error(url: str) -> None:
    broker = FaultyBroker(url)
    async with Connection("a.example", transport=broker.driver) as connection:
        channel = await connection.channel()

        async def close() -> None:
            raise errors.make(errors.ConnectionLost, "the link was cut")

        channel.close = close  # type: ignore[method-assign]
        await connection.maybe_close_channel(channel)


async def test_a_clock_can_be_given(url: str) -> None:
    clock = VirtualClock()
    async with Connection(url, clock=clock) as connection:
        queue = Queue("tasks", message_ttl=60)(connection)
        await queue.declare()
        await connection.Producer().publish(b"1", routing_key="tasks")
        clock.advance(61)
        assert await queue.get() is None
