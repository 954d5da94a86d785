"""Messages with a delay arrive when it is over, as they were sent, on brokers without a plug-in for that."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

import pytest

import dulse
from dulse import errors
from dulse.aio import Connection, Queue
from dulse.model.commands import DeleteExchange
from tests.amqp_transport.conftest import PATIENCE
from tests.servers.rabbitmq import RabbitMQ

SHORT = 0.3


@pytest.fixture
def connection(rabbitmq_url: str) -> Iterator[dulse.Connection]:
    with dulse.Connection(rabbitmq_url) as opened:
        yield opened


def awaited(connection: dulse.Connection, queue: str) -> dulse.Message[Any]:
    """Get one message when it comes."""
    until = monotonic() + PATIENCE
    while monotonic() < until:
        message = connection.default_channel.basic_get(queue)
        if message is not None:
            message.ack()
            return message
        sleep(0.01)
    raise AssertionError(f"nothing came to {queue}")


def declared(connection: dulse.Connection, name: str, exchange: dulse.Exchange | None = None, **more: Any) -> None:
    dulse.Queue(name, exchange, **more)(connection.default_channel).declare()


@pytest.mark.parametrize("kind", ["", "direct", "topic", "headers", "fanout"])
def test_a_message_arrives_as_it_was_sent(connection: dulse.Connection, kind: str) -> None:
    exchange = dulse.Exchange(f"to-{kind}", kind) if kind else None
    arguments = {"x-match": "all", "colour": "red"} if kind == "headers" else None
    declared(connection, "q", exchange, routing_key="q", binding_arguments=arguments)
    declared(connection, "copied", exchange, routing_key="copied", binding_arguments=arguments)
    headers = {"colour": "red", "CC": ["copied"], "list": [1, {"deep": True}]}
    producer = connection.Producer(exchange=exchange)
    began = monotonic()
    sent: dict[str, Any] = {"message_id": "m", "correlation_id": "c", "reply_to": "r", "priority": 7}
    producer.publish(b"\x00body", routing_key="q", headers=headers, delay=SHORT, **sent)
    message = awaited(connection, "q")
    assert monotonic() - began >= SHORT
    assert message.body == b"\x00body"
    assert message.headers == {**headers, "x-delay": 300}
    assert {name: message.properties[name] for name in sent} == sent
    where = message.delivery_info
    assert (where["exchange"], where["routing_key"], where["redelivered"]) == (f"to-{kind}" if kind else "", "q", False)
    assert awaited(connection, "copied").headers == message.headers


def test_a_consumer_sees_no_deaths_but_its_own_queues(connection: dulse.Connection) -> None:
    declared(connection, "dead")
    declared(connection, "work", queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    connection.Producer(routing_key="work").publish(b"task", delay=SHORT)
    until = monotonic() + PATIENCE
    while (message := connection.default_channel.basic_get("work")) is None:
        assert monotonic() < until
        sleep(0.01)
    assert "x-death" not in message.headers
    message.reject()
    dead = awaited(connection, "dead")
    assert [(each["queue"], each["reason"], each["count"]) for each in dead.headers["x-death"]] == [
        ("work", "rejected", 1)
    ]
    assert dead.headers["x-first-death-queue"] == "work"


def test_a_message_that_died_before_may_be_delayed_into_the_same_queue(connection: dulse.Connection) -> None:
    """RabbitMQ drops a dead letter that it takes for one in circles: what it must not know of, it is not told."""
    declared(connection, "dead")
    declared(connection, "work", queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    producer = connection.Producer(routing_key="work")
    producer.publish(b"task", expiration=0.01)
    dead = awaited(connection, "dead")
    assert dead.headers["x-death"][0]["queue"] == "work"
    for _ in range(2):
        producer.publish(b"task", headers=dead.headers, delay=SHORT)
        again = awaited(connection, "work")
        assert again.headers["x-death"] == dead.headers["x-death"]


def test_an_exchange_that_is_missing_is_told_at_once_and_harms_no_channel(connection: dulse.Connection) -> None:
    producer = connection.Producer(exchange=dulse.Exchange("missing", no_declare=True), auto_declare=False)
    with pytest.raises(errors.NotFound, match="missing"):
        producer.publish(b"body", delay=1)
    declared(connection, "q")
    connection.Producer(routing_key="q").publish(b"next")
    assert awaited(connection, "q").body == b"next"


def test_an_exchange_that_was_made_anew_meanwhile_gets_it(connection: dulse.Connection) -> None:
    exchange = dulse.Exchange("renewed", "direct")
    declared(connection, "q", exchange, routing_key="key")
    connection.Producer(exchange=exchange, routing_key="key").publish(b"body", delay=1)
    connection.default_channel.exchange_delete("renewed")
    declared(connection, "q", exchange, routing_key="key")
    assert awaited(connection, "q").body == b"body"


def test_what_nobody_is_bound_for_holds_up_nothing(connection: dulse.Connection) -> None:
    exchange = dulse.Exchange("events", "topic")
    declared(connection, "q", exchange, routing_key="wanted")
    producer = connection.Producer(exchange=exchange)
    for _ in range(200):
        producer.publish(b"body", routing_key="unwanted", delay=0.1)
    producer.publish(b"body", routing_key="wanted", delay=SHORT)
    assert awaited(connection, "q").body == b"body"


def test_a_ladder_that_somebody_has_deleted_is_made_again(connection: dulse.Connection) -> None:
    declared(connection, "q")
    producer = connection.Producer(routing_key="q")
    producer.publish(b"first", delay=SHORT)
    assert awaited(connection, "q").body == b"first"
    connection.default_channel.transport_channel.execute(DeleteExchange("dulse.delay.250"))
    producer.publish(b"lost", delay=SHORT)
    with pytest.raises(errors.NotFound, match=r"dulse\.delay\.250"):
        producer.flush()
    producer.publish(b"next", delay=SHORT)
    assert awaited(connection, "q").body == b"next"


def test_a_user_who_may_not_declare_is_told_what_to_ask_for(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    rabbitmq.add_user("narrow", "narrow")
    try:
        rabbitmq.permit("narrow", rabbitmq_vhost, configure="^own", write="^own|^amq.default$", read="^own")
        with dulse.Connection(rabbitmq.url_of(rabbitmq_vhost, "narrow", "narrow")) as connection:
            declared(connection, "own")
            producer = connection.Producer(routing_key="own")
            with pytest.raises(errors.AccessRefused, match=r"configure, write and read \^dulse\[\.\]delay"):
                producer.publish(b"body", delay=1)
            producer.publish(b"next")
            assert awaited(connection, "own").body == b"next"
    finally:
        rabbitmq.remove_user("narrow")


def test_the_asyncio_api_does_the_same(rabbitmq_url: str) -> None:
    asyncio.run(delayed_with_asyncio(rabbitmq_url))


async def delayed_with_asyncio(url: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")(await connection.channel())
        await queue.declare()
        began = monotonic()
        producer = connection.Producer(routing_key="q")
        await producer.publish(b"body", headers={"a": 1}, delay=SHORT)
        async with producer.batch():
            await producer.publish(b"second", routing_key="q", delay=2 * SHORT)
        for expected in (b"body", b"second"):
            while (message := await queue.get(no_ack=True)) is None:
                assert monotonic() - began < PATIENCE
            assert message.body == expected
        assert monotonic() - began >= 2 * SHORT


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["", "direct"])
def test_a_broker_that_is_killed_loses_no_delayed_message(rabbitmq: RabbitMQ, name: str, kind: str) -> None:
    """Wherever they are: waiting, between two levels, or handed to a queue of the oldest kind."""
    total = 5000
    exchange = dulse.Exchange(name, kind) if kind else None
    with dulse.Connection(rabbitmq.url) as connection:
        declared(connection, name, exchange, routing_key=name)
        producer = connection.Producer(exchange=exchange, routing_key=name)
        for number in range(total):
            producer.publish(b"%d" % number, delay=0.1 + number % 50 / 10)
        producer.flush()
        rabbitmq.save_topology()
        sleep(1)  # some have arrived, some are on their way
    rabbitmq.kill()
    rabbitmq.start()
    found: Counter[int] = Counter()
    with dulse.Connection(rabbitmq.url) as connection:
        until = monotonic() + PATIENCE
        while len(found) < total and monotonic() < until:
            message = connection.default_channel.basic_get(name, no_ack=True)
            if message is None:
                sleep(0.01)
            else:
                found[int(message.body)] += 1
        if kind:
            connection.default_channel.exchange_delete(name)
    assert len(found) == total
