"""A program that does not call us has its messages confirmed and its acknowledgements sent all the same."""

from __future__ import annotations

import subprocess
import sys
import threading
from time import monotonic

import pytest

import dulse
from dulse import errors
from dulse.testing.proxy import FaultProxy
from tests.amqp_transport.conftest import PATIENCE, taken
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


ONCE = """
import logging, os, sys, time
import dulse

logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(message)s")
url, exchange, queue, rest = sys.argv[1:]
connection = dulse.Connection(url)
connection.Producer(exchange=dulse.Exchange(exchange, no_declare=True), routing_key=queue).publish(b"message")
time.sleep(float(rest))
os._exit(0)  # as a web process that is ended while it serves: nothing is closed, nothing is flushed
"""


def published_once(url: str, exchange: str, queue: str, rest: float) -> str:
    """What a program says that publishes one message, never calls us again, and ends after `rest` seconds."""
    command = [sys.executable, "-c", ONCE, url, exchange, queue, str(rest)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stderr


def test_a_program_that_publishes_once_has_its_message_confirmed(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        connection.default_channel.queue_declare(name)
    assert published_once(rabbitmq.url, "", name, 1) == ""
    assert taken(rabbitmq.url, name) == [b"message"]


def test_a_program_that_publishes_once_is_told_in_its_log(rabbitmq: RabbitMQ, name: str) -> None:
    said = published_once(rabbitmq.url, f"{name}-missing", name, 3)
    assert said.startswith("ERROR")
    assert f"{name}-missing" in said


def test_a_message_that_is_cut_off_is_sent_again_though_nobody_calls(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection, dulse.Connection(rabbitmq.url) as other:
        watcher = other.default_channel
        watcher.queue_declare(name)
        producer = connection.Producer(routing_key=name)
        producer.publish(b"first")
        producer.flush(PATIENCE)
        proxy.stall()
        producer.publish(b"second")
        proxy.cut()
        proxy.resume()
        found: list[bytes] = []
        watcher.basic_consume(name, no_ack=True, callback=lambda message: found.append(message.body))
        while b"second" not in found:
            other.drain_events(timeout=PATIENCE)
