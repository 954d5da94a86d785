"""The kinds of queues that RabbitMQ has: streams, quorum queues, lazy and classic ones, on 3.10 and on 4."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from time import sleep
from typing import Any

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import PATIENCE

FEW = 10


@pytest.fixture(params=["rabbitmq_url", "rabbitmq4_url"], ids=["3.10", "4"])
def url(request: pytest.FixtureRequest) -> str:
    """A virtual host of one's own on either release."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def connection(url: str) -> Iterator[dulse.Connection]:
    with dulse.Connection(url) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    return f"kind-{secrets.token_hex(4)}"


def declared(connection: dulse.Connection, name: str, kind: str, **arguments: object) -> dulse.Queue:
    more = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
    queue: dulse.Queue = dulse.Queue(name, queue_arguments={"x-queue-type": kind, **more})(connection)
    queue.declare()
    return queue


def filled(connection: dulse.Connection, queue: str, numbers: range) -> None:
    producer = connection.Producer(routing_key=queue)
    for number in numbers:
        producer.publish(str(number).encode())
    producer.flush(PATIENCE)


def consumed(connection: dulse.Connection, queue: str, count: int, **arguments: Any) -> list[dulse.Message]:
    """The first so many, each acknowledged, of a channel with a prefetch count."""
    found: list[dulse.Message] = []

    def on_message(message: dulse.Message) -> None:
        found.append(message)
        message.ack()

    more = {f"x-{key.replace('_', '-')}": value for key, value in arguments.items()}
    with connection.channel() as channel:
        channel.basic_qos(0, FEW)
        channel.basic_consume(queue, callback=on_message, arguments=more)
        while len(found) < count:
            connection.drain_events(timeout=PATIENCE)
    return found[:count]


def numbers_of(messages: list[dulse.Message]) -> list[int]:
    return [int(message.body) for message in messages]


# -------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize(("offset", "first"), [("first", 0), (70, 70), (None, 100)])
def test_a_stream_is_read_from(connection: dulse.Connection, name: str, offset: str | int | None, first: int) -> None:
    declared(connection, name, "stream")
    filled(connection, name, range(100))
    where = {} if offset is None else {"stream_offset": offset}
    found: list[dulse.Message] = []

    def on_message(message: dulse.Message) -> None:
        found.append(message)
        message.ack()

    with connection.channel() as channel:
        channel.basic_qos(0, FEW)
        arguments = {f"x-{key.replace('_', '-')}": value for key, value in where.items()}
        channel.basic_consume(name, callback=on_message, arguments=arguments)
        filled(connection, name, range(100, 120))
        while len(found) < 120 - first:
            connection.drain_events(timeout=PATIENCE)
    assert numbers_of(found) == list(range(first, 120))
    assert [message.headers["x-stream-offset"] for message in found] == list(range(first, 120))


def test_a_stream_is_read_from_its_last_chunk(connection: dulse.Connection, name: str) -> None:
    declared(connection, name, "stream")
    filled(connection, name, range(50))
    filled(connection, name, range(50, 51))
    (message,) = consumed(connection, name, 1, stream_offset="last")
    assert 0 < int(message.body) <= 50


def test_a_stream_is_read_from_a_time(connection: dulse.Connection, name: str) -> None:
    declared(connection, name, "stream")
    filled(connection, name, range(30))
    sleep(2.1)  # the broker tells times apart by their seconds
    now = datetime.now(UTC)
    filled(connection, name, range(30, 60))
    found = consumed(connection, name, 30, stream_offset=now)
    assert numbers_of(found) == list(range(30, 60))


def test_a_stream_is_read_again_by_everybody(connection: dulse.Connection, name: str) -> None:
    declared(connection, name, "stream")
    filled(connection, name, range(40))
    for _ in range(2):
        assert numbers_of(consumed(connection, name, 40, stream_offset="first")) == list(range(40))


def test_a_stream_that_is_read_without_a_prefetch_count_is_refused_in_clear_words(
    connection: dulse.Connection, name: str
) -> None:
    declared(connection, name, "stream")
    channel = connection.channel()
    with pytest.raises(errors.PreconditionFailed, match="prefetch"):
        channel.basic_consume(name, callback=print, arguments={"x-stream-offset": "first"})
    assert not channel.is_open
    assert connection.default_channel.is_open


def test_a_stream_that_is_read_without_acknowledging_is_refused_and_others_go_on(
    connection: dulse.Connection, name: str
) -> None:
    declared(connection, name, "stream")
    other = connection.default_channel
    found: list[bytes] = []
    mine = other.queue_declare("", exclusive=True).queue
    other.basic_consume(mine, no_ack=True, callback=lambda message: found.append(message.body))
    channel = connection.channel()
    channel.basic_qos(0, FEW)
    with pytest.raises((errors.ConnectionError, errors.NotSupported), match="stream"):  # the broker ends the connection
        channel.basic_consume(name, no_ack=True, callback=print)
    other.basic_publish(b"message", "", mine)
    while not found:
        connection.drain_events(timeout=PATIENCE)


def test_a_stream_gives_what_was_held_back_as_its_messages_are_acknowledged(
    connection: dulse.Connection, name: str
) -> None:
    declared(connection, name, "stream")
    for number in range(3 * FEW):
        filled(connection, name, range(number, number + 1))  # a chunk each: RabbitMQ 3.10 counts by chunks
    held: list[dulse.Message] = []
    with connection.channel() as channel:
        channel.basic_qos(0, FEW)
        channel.basic_consume(name, callback=held.append, arguments={"x-stream-offset": "first"})
        while len(held) < FEW:
            connection.drain_events(timeout=PATIENCE)
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0.5)
        for message in held:
            message.ack()
        while len(held) < 2 * FEW:
            connection.drain_events(timeout=PATIENCE)
    assert numbers_of(held) == list(range(2 * FEW))


# ------------------------------------------------------------------------------------------------- quorum queues


def test_a_message_that_a_quorum_queue_has_given_too_often_is_dead_lettered(
    connection: dulse.Connection, name: str
) -> None:
    dead = declared(connection, f"{name}-dead", "quorum")
    declared(connection, name, "quorum", delivery_limit=2, dead_letter_exchange="", dead_letter_routing_key=dead.name)
    filled(connection, name, range(1))
    counts: list[object] = []

    def on_message(message: dulse.Message) -> None:
        counts.append(message.headers.get("x-delivery-count"))
        message.requeue()

    with connection.channel() as channel:
        channel.basic_qos(0, 1)
        channel.basic_consume(name, callback=on_message)
        (buried,) = consumed_beside(connection, dead.name)
    assert counts in ([None, 1, 2], [0, 1, 2])
    assert buried.body == b"0"
    assert buried.headers["x-death"][0]["reason"] == "delivery_limit"


def consumed_beside(connection: dulse.Connection, queue: str) -> list[dulse.Message]:
    """One message of a queue, taken on another channel while the consumers of the first go on."""
    found: list[dulse.Message] = []
    with connection.channel() as channel:
        channel.basic_consume(queue, callback=found.append)
        while not found:
            connection.drain_events(timeout=PATIENCE)
        found[0].ack()
    return found


def test_a_quorum_queue_refuses_what_it_cannot_be_in_clear_words(connection: dulse.Connection, name: str) -> None:
    channel = connection.channel()
    with pytest.raises(errors.PreconditionFailed, match=r"(?i)durable|exclusive|quorum"):
        channel.queue_declare(name, exclusive=True, durable=False, arguments={"x-queue-type": "quorum"})
    assert connection.default_channel.is_open


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_one_consumer_at_a_time_is_active(connection: dulse.Connection, name: str, kind: str) -> None:
    declared(connection, name, kind, single_active_consumer=True)
    first, second = connection.channel(), connection.channel()
    taken: list[tuple[str, bytes]] = []

    def taker(who: str) -> Any:
        def on_message(message: dulse.Message) -> None:
            taken.append((who, message.body))
            message.ack()

        return on_message

    first.basic_consume(name, callback=taker("first"))
    second.basic_consume(name, callback=taker("second"))
    filled(connection, name, range(20))
    while len(taken) < 20:
        connection.drain_events(timeout=PATIENCE)
    first.close()
    filled(connection, name, range(20, 40))
    while len(taken) < 40:
        connection.drain_events(timeout=PATIENCE)
    assert [who for who, _ in taken] == ["first"] * 20 + ["second"] * 20


# ------------------------------------------------------------------------------------- lazy and classic queues


@pytest.mark.parametrize(
    "arguments", [{}, {"queue_mode": "lazy"}, {"queue_version": 2}], ids=["plain", "lazy", "second version"]
)
def test_a_classic_queue_keeps_the_order(connection: dulse.Connection, name: str, arguments: dict[str, Any]) -> None:
    declared(connection, name, "classic", **arguments)
    filled(connection, name, range(2000))
    assert numbers_of(consumed(connection, name, 2000)) == list(range(2000))


def test_a_queue_that_is_declared_as_another_kind_is_told_of(connection: dulse.Connection, name: str) -> None:
    declared(connection, name, "quorum")
    with pytest.raises(errors.PreconditionFailed, match="x-queue-type"):
        declared(connection, name, "classic")
