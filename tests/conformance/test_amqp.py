"""RabbitMQ keeps what the conformance suite asks, by the AMQP transport, through both APIs."""

from __future__ import annotations

import pytest

from dulse.testing.conformance.suite import ConformanceSuite
from tests.servers.rabbitmq import RabbitMQ


class TestAmqp(ConformanceSuite):
    @pytest.fixture
    def broker_url(self, rabbitmq: RabbitMQ) -> str:
        return rabbitmq.url
