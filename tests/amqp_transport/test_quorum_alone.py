"""A quorum queue of a broker that stands alone: it survives a kill, and one that does not answer holds nobody up."""

from __future__ import annotations

import threading

import pytest

import dulse
from dulse import errors
from tests.amqp_transport.conftest import PATIENCE, Meanwhile
from tests.servers.rabbitmq import RabbitMQ


def test_a_queue_that_does_not_answer_ends_a_call_at_its_limit_and_others_go_on(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.default_channel
        channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
        rabbitmq.ctl("eval", f'sys:suspend(list_to_atom("%2F_{name}")).')
        try:
            with pytest.raises(errors.DeadlineExceeded, match=r"basic\.get"):
                connection.channel().transport_channel.get(name, no_ack=False, timeout=1)
            assert channel.queue_declare("", exclusive=True).queue
        finally:
            rabbitmq.ctl("eval", f'sys:resume(list_to_atom("%2F_{name}")).')


@pytest.mark.slow
@pytest.mark.kill
def test_a_consumer_gets_all_though_its_broker_is_killed(rabbitmq: RabbitMQ, name: str) -> None:
    total, halfway = 2000, threading.Event()
    missing, came = set(range(total)), 0

    def kill() -> None:
        assert halfway.wait(PATIENCE)
        rabbitmq.kill()
        rabbitmq.start()

    def on_message(message: dulse.Message) -> None:
        nonlocal came
        came += 1
        if came == total // 2:
            halfway.set()
        missing.discard(int(message.body))
        message.ack()

    with dulse.Connection(rabbitmq.url) as connection:
        queue: dulse.Queue = dulse.Queue(name, queue_arguments={"x-queue-type": "quorum"})(connection)
        queue.declare()
        rabbitmq.save_topology()
        producer = connection.Producer(routing_key=name)
        for number in range(total):
            producer.publish(str(number).encode())
        producer.flush(PATIENCE)
        with dulse.Consumer(connection, [queue], on_message=on_message, prefetch_count=50), Meanwhile(kill):
            while missing:
                connection.drain_events(timeout=2 * PATIENCE)
