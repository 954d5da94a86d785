"""A program that does not call us has its messages confirmed and its acknowledgements sent all the same."""

from __future__ import annotations

import threading
from time import monotonic

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import PATIENCE
from tests.servers.rabbitmq import RabbitMQ


def test_a_failure_is_told_to_a_program_that_published_once(rabbitmq: RabbitMQ, name: str) -> None:
    told = threading.Event()
    options = {"on_unconfirmed": lambda _message, _error: told.set()}
    connection = dulse.Connection(rabbitmq.url, transport_options=options)
    channel = connection.default_channel
    channel.basic_publish(b"lost", f"{name}-missing", "")
    assert told.wait(PATIENCE)
    with pytest.raises(errors.NotFound):
        connection.close()


def test_acknowledgements_go_out_while_a_handler_computes(rabbitmq: RabbitMQ, name: str) -> None:
    prefetch, total = 10, 30
    with dulse.Connection(rabbitmq.url) as other, dulse.Connection(rabbitmq.url) as connection:
        watcher = other.default_channel
        watcher.queue_declare(name)
        for number in range(total):
            watcher.basic_publish(str(number), "", name)
        watcher.flush(PATIENCE)
        channel = connection.channel()
        channel.basic_qos(0, prefetch)
        counts: list[int] = []

        def on_message(message: dulse.Message) -> None:
            counts.append(0)
            if len(counts) < prefetch:
                message.ack()
                return
            until = monotonic() + PATIENCE
            while watcher.queue_declare(name, passive=True).message_count > total - 2 * prefetch + 1:
                assert monotonic() < until

        channel.basic_consume(name, callback=on_message)
        while len(counts) < prefetch:
            connection.drain_events(timeout=PATIENCE)
