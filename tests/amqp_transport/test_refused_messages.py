"""One message that the broker does not take fails alone, and is named by an error."""

from __future__ import annotations

import logging

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import PATIENCE, taken
from tests.servers.rabbitmq import RabbitMQ


def test_only_the_message_to_a_missing_exchange_fails(rabbitmq: RabbitMQ, name: str) -> None:
    told: list[tuple[str, Exception]] = []
    options = {"on_unconfirmed": lambda message, error: told.append((message.exchange, error))}
    with dulse.Connection(rabbitmq.url, transport_options=options) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        for number in range(900):
            channel.basic_publish(str(number), "missing" if number == 400 else "", name)
        with pytest.raises(errors.NotFound, match="missing"):
            channel.flush(PATIENCE)
        assert channel.is_open
        channel.basic_publish("after", "", name)
        channel.flush(PATIENCE)
    assert {exchange for exchange, _ in told} == {"missing"}

    came = taken(rabbitmq.url, name)
    assert set(came) == {str(number).encode() for number in range(900) if number != 400} | {b"after"}


def test_several_bad_messages_fail_and_no_other(rabbitmq: RabbitMQ, name: str) -> None:
    bad = {100, 101, 500, 899}
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        for number in range(900):
            expiration = "soon" if number in bad else None
            message = channel.prepare_message(str(number), properties={"expiration": expiration})
            channel.basic_publish(message, "", name)
        with pytest.raises(errors.PreconditionFailed):
            channel.flush(PATIENCE)

    came = taken(rabbitmq.url, name)
    assert set(came) == {str(number).encode() for number in range(900) if number not in bad}


def test_consumers_of_the_channel_go_on_after_a_bad_message(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        channel.basic_qos(0, 7)
        found: list[bytes] = []

        def on_message(message: dulse.Message) -> None:
            found.append(message.body)
            message.ack()

        channel.basic_consume(name, callback=on_message)
        channel.basic_publish(b"lost", "missing", name)
        with pytest.raises(errors.NotFound):
            channel.flush(PATIENCE)
        channel.basic_publish(b"message", "", name)
        while not found:
            connection.drain_events(timeout=PATIENCE)
        assert found == [b"message"]


def test_what_is_unconfirmed_when_its_channel_ends_by_a_mistake_is_sent_again(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        for number in range(500):
            channel.basic_publish(str(number), "", name)
        with pytest.raises(errors.NotFound):
            channel.queue_declare(f"{name}-missing", passive=True)
        assert not channel.is_open
    assert set(taken(rabbitmq.url, name)) == {str(number).encode() for number in range(500)}


def test_a_full_queue_refuses_by_a_nack(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        producer = connection.Producer(routing_key=name)
        arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
        producer.maybe_declare(dulse.Queue(name, queue_arguments=arguments)(connection))
        producer.publish(b"first")
        producer.flush(PATIENCE)
        producer.publish(b"second")
        with pytest.raises(errors.Refused) as caught:
            producer.flush(PATIENCE)
        assert caught.value.message.body == b"second"


def test_a_publish_that_waits_for_its_confirm_raises_by_itself(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url, transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        with pytest.raises(errors.NotFound):
            channel.basic_publish(b"lost", "missing", name)
        channel.basic_publish(b"message", "", name)
    assert taken(rabbitmq.url, name) == [b"message"]


def test_a_failure_that_nobody_asks_for_is_logged(
    rabbitmq: RabbitMQ, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = dulse.Connection(rabbitmq.url)
    connection.default_channel.basic_publish(b"lost", f"{name}-missing", name)
    with caplog.at_level(logging.ERROR), pytest.raises(errors.NotFound):
        connection.close()
    assert f"{name}-missing" in caplog.text


def test_nothing_is_confirmed_and_all_arrives_with_confirms_off(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url, transport_options={"confirm_publish": "off"}) as connection:
        producer = connection.Producer(routing_key=name)
        producer.maybe_declare(dulse.Queue(name)(connection))
        for number in range(5000):
            producer.publish(str(number).encode())
        producer.flush(PATIENCE)
    assert taken(rabbitmq.url, name) == [str(number).encode() for number in range(5000)]
