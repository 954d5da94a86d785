"""What a queue's arguments mean."""

from __future__ import annotations

import pytest

from dulse.broker.rules import FOREVER_MS, QueueRules


def test_rules_are_read_from_the_arguments() -> None:
    rules = QueueRules.of(
        {
            "x-message-ttl": 1,
            "x-expires": 2,
            "x-max-length": 3,
            "x-max-length-bytes": 4,
            "x-overflow": "reject-publish-dlx",
            "x-max-priority": 5,
            "x-dead-letter-exchange": "dlx",
            "x-dead-letter-routing-key": "key",
            "x-delivery-limit": 6,
            "x-single-active-consumer": True,
            "x-mine": 7,
        }
    )

    assert rules == QueueRules(1, 2, 3, 4, "reject-publish-dlx", 5, "dlx", "key", 6, single_active_consumer=True)


def test_without_arguments_there_are_no_rules() -> None:
    assert QueueRules.of({}) == QueueRules()


def test_times_beyond_every_clock_are_cut() -> None:
    assert QueueRules.of({"x-message-ttl": 2**62}).message_ttl_ms == FOREVER_MS


@pytest.mark.parametrize(("deliveries", "exhausted"), [(1, False), (2, False), (3, False), (4, True)])
def test_a_delivery_limit_of_two_lets_a_message_return_twice(deliveries: int, exhausted: bool) -> None:
    rules = QueueRules(delivery_limit=2)

    assert rules.exhausted(deliveries) is exhausted
    assert rules.may_return(deliveries) is (deliveries <= 2)


def test_without_a_limit_a_message_returns_for_ever() -> None:
    assert not QueueRules().exhausted(10**9)
    assert QueueRules().may_return(10**9)
