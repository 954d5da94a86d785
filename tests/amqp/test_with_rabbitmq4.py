"""The same with RabbitMQ 4, all that it deprecates denied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.amqp.test_with_rabbitmq import (  # noqa: F401 -- pytest finds them here, with these fixtures
    talk,
    test_acknowledgements_in_any_order_are_never_refused,
    test_an_unroutable_mandatory_message_comes_back_before_its_confirm,
    test_every_command_is_carried_out_and_answered,
    test_every_type_of_a_table_and_every_property_comes_back,
    test_exactly_the_poisonous_messages_of_a_window_fail,
    test_what_was_lost_with_a_connection_comes_back_by_the_steps,
)
from tests.servers.fixtures import fresh_vhost
from tests.servers.rabbitmq import RabbitMQ


@pytest.fixture
def rabbitmq(rabbitmq4: RabbitMQ) -> RabbitMQ:
    return rabbitmq4


@pytest.fixture
def rabbitmq_vhost(rabbitmq4: RabbitMQ) -> Iterator[str]:
    with fresh_vhost(rabbitmq4) as name:
        yield name
