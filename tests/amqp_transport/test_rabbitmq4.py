"""RabbitMQ 4 with all that is deprecated denied: prefetch counts of both kinds, mailboxes, buffers and broadcasts."""

from __future__ import annotations

import secrets
import threading
from contextlib import ExitStack
from typing import Any

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import PATIENCE

HELD = 5


def fill(connection: dulse.Connection, queue: str, total: int) -> None:
    channel = connection.default_channel
    channel.queue_declare(queue, durable=True)
    for number in range(total):
        channel.basic_publish(str(number), "", queue)
    channel.flush(PATIENCE)


def test_a_prefetch_count_of_each_consumer(rabbitmq4_url: str) -> None:
    with dulse.Connection(rabbitmq4_url) as connection:
        fill(connection, "jobs", 40)
        held: dict[str, list[dulse.Message]] = {"one": [], "two": []}
        channel = connection.channel()
        channel.basic_qos(0, HELD)
        for tag, found in held.items():
            channel.basic_consume("jobs", consumer_tag=tag, callback=found.append)
        while min(map(len, held.values())) < HELD:
            connection.drain_events(timeout=PATIENCE)
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0.5)
        assert [len(found) for found in held.values()] == [HELD, HELD]


def test_a_prefetch_count_of_the_whole_channel(rabbitmq4_url: str) -> None:
    with dulse.Connection(rabbitmq4_url) as connection:
        fill(connection, "jobs", 40)
        held: list[dulse.Message] = []
        channel = connection.channel()
        channel.basic_qos(0, HELD, apply_global=True)
        for tag in ("one", "two"):
            channel.basic_consume("jobs", consumer_tag=tag, callback=held.append)
        while len(held) < HELD:
            connection.drain_events(timeout=PATIENCE)
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0.5)
        assert len(held) == HELD
        for message in held:
            message.ack()
        while len(held) < 2 * HELD:
            connection.drain_events(timeout=PATIENCE)
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=0.5)
        assert len(held) == 2 * HELD


def test_what_is_denied_is_refused_in_the_brokers_words_and_others_go_on(rabbitmq4_url: str) -> None:
    with dulse.Connection(rabbitmq4_url) as connection:
        kept = connection.default_channel
        name = kept.queue_declare("kept", durable=True).queue
        with pytest.raises((errors.ConnectionError, errors.ChannelError), match="transient_nonexcl_queues"):
            connection.channel().queue_declare("shared", durable=False)
        kept.basic_publish(b"message", "", name)
        kept.flush(PATIENCE)
        assert kept.queue_declare(name, passive=True).message_count == 1


def test_a_buffer(rabbitmq4_url: str) -> None:
    with dulse.Connection(rabbitmq4_url) as connection, connection.SimpleBuffer("buffer") as buffer:
        buffer.put({"number": 1})
        assert buffer.get(timeout=PATIENCE).payload == {"number": 1}


@pytest.mark.parametrize("unique", [False, True])
def test_a_broadcast_reaches_everybody(rabbitmq4_url: str, unique: bool) -> None:
    found: list[tuple[int, Any]] = []

    def noting(who: int) -> Any:
        def on_message(body: Any, message: dulse.Message) -> None:
            found.append((who, body))
            message.ack()

        return on_message

    with ExitStack() as stack:
        readers = [stack.enter_context(dulse.Connection(rabbitmq4_url)) for _ in range(3)]
        for who, reader in enumerate(readers):
            queue = dulse.Broadcast("news", unique=unique)
            stack.enter_context(reader.Consumer([queue], callbacks=[noting(who)]))
        writer = stack.enter_context(dulse.Connection(rabbitmq4_url))
        exchange = dulse.Exchange("news", type="fanout")
        writer.Producer(exchange=exchange).publish("hello")
        for reader in readers:
            reader.drain_events(timeout=PATIENCE)
    assert sorted(found) == [(0, "hello"), (1, "hello"), (2, "hello")]


def add(_state: Any, left: int, right: int) -> int:
    return left + right


@pytest.mark.parametrize("kind", ["direct", "fanout"])
def test_a_mailbox_asks_and_is_answered(rabbitmq4_url: str, kind: str) -> None:
    namespace = f"box{secrets.token_hex(3)}"
    ready, done = threading.Event(), threading.Event()

    def serve() -> None:
        with dulse.Connection(rabbitmq4_url) as connection:
            node = dulse.Mailbox(namespace, type=kind)(connection).Node("worker", handlers={"add": add})
            with node.listen():
                ready.set()
                while not done.is_set():
                    try:
                        connection.drain_events(timeout=0.2)
                    except errors.DeadlineExceeded:
                        continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        with dulse.Connection(rabbitmq4_url) as connection:
            mailbox = dulse.Mailbox(namespace, type=kind)(connection)
            replies = mailbox.call(["worker"], "add", {"left": 2, "right": 3}, timeout=PATIENCE)
        assert replies == [{"worker": 5}]
    finally:
        done.set()
        thread.join(PATIENCE)
