"""A quorum queue that does not answer, as RabbitMQ 3.10 leaves one now and then, holds nobody up for ever."""

from __future__ import annotations

import pytest

import dulse
from dulse import errors
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
