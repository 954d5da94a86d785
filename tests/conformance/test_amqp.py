"""RabbitMQ 3.10 and 4 keep what the conformance suite asks, by the AMQP transport, through both APIs."""

from __future__ import annotations

import pytest

from dulse.testing.conformance.suite import ConformanceSuite
from tests.servers.rabbitmq import RabbitMQ


class TestAmqp(ConformanceSuite):
    is_short = True

    @pytest.fixture
    def broker_url(self, rabbitmq: RabbitMQ) -> str:
        return rabbitmq.url


class TestAmqpOnRabbitMQ4(ConformanceSuite):
    """With all that is deprecated denied."""

    @pytest.fixture
    def broker_url(self, rabbitmq4_url: str) -> str:
        return rabbitmq4_url
