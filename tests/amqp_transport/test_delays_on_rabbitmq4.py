"""Messages with a delay keep on RabbitMQ 4, which denies what is deprecated, all that they keep on 3.10."""

from __future__ import annotations

import pytest

from tests.amqp_transport.test_delays import (
    connection,
    test_a_broker_that_is_killed_loses_no_delayed_message,
    test_a_consumer_sees_no_deaths_but_its_own_queues,
    test_a_ladder_that_somebody_has_deleted_is_made_again,
    test_a_message_arrives_as_it_was_sent,
    test_a_message_that_died_before_may_be_delayed_into_the_same_queue,
    test_a_user_who_may_not_declare_is_told_what_to_ask_for,
    test_an_exchange_that_is_missing_is_told_at_once_and_harms_no_channel,
    test_an_exchange_that_was_made_anew_meanwhile_gets_it,
    test_the_asyncio_api_does_the_same,
    test_what_nobody_is_bound_for_holds_up_nothing,
)
from tests.servers.rabbitmq import RabbitMQ

__all__ = [
    "connection",
    "test_a_broker_that_is_killed_loses_no_delayed_message",
    "test_a_consumer_sees_no_deaths_but_its_own_queues",
    "test_a_ladder_that_somebody_has_deleted_is_made_again",
    "test_a_message_arrives_as_it_was_sent",
    "test_a_message_that_died_before_may_be_delayed_into_the_same_queue",
    "test_a_user_who_may_not_declare_is_told_what_to_ask_for",
    "test_an_exchange_that_is_missing_is_told_at_once_and_harms_no_channel",
    "test_an_exchange_that_was_made_anew_meanwhile_gets_it",
    "test_the_asyncio_api_does_the_same",
    "test_what_nobody_is_bound_for_holds_up_nothing",
]

pytestmark = pytest.mark.slow


@pytest.fixture
def rabbitmq(rabbitmq4: RabbitMQ) -> RabbitMQ:
    """The broker of all these tests."""
    return rabbitmq4


@pytest.fixture
def rabbitmq_url(rabbitmq4_url: str) -> str:
    """A virtual host of it."""
    return rabbitmq4_url
