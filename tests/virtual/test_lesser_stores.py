"""What a store does not declare is never asked of it: it is refused, or done in another way."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.model.commands import BindQueue, DeclareExchange, DeclareQueue
from dulse.model.message import Delivery, Outgoing
from dulse.virtual.sync.channel import VirtualChannel
from dulse.virtual.sync.transport import VirtualTransport
from tests.virtual.lesser import LesserStorage, lesser
from tests.virtual.test_debts import eventually

DEAD = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}


def declared(transport: VirtualTransport, *queues: str, **arguments: Any) -> VirtualChannel:
    channel = transport.channel()
    for queue in queues:
        channel.execute(DeclareQueue(queue, arguments=arguments))
    return channel


def got(channel: VirtualChannel, queue: str) -> Delivery:
    delivery = channel.get(queue, no_ack=True)
    assert delivery is not None
    return delivery


def bodies(channel: VirtualChannel, queue: str) -> list[bytes]:
    return [each.body for each in iter(lambda: channel.get(queue, no_ack=True), None)]


# ------------------------------------------------------------------------------------------------- max_record


def test_a_message_that_is_too_large_is_refused_with_its_size_and_the_limit() -> None:
    with lesser(max_record=1000) as transport:
        channel = declared(transport, "q")
        channel.publish(b"x" * 800, {}, "", "q")

        with pytest.raises(errors.NotSupported, match=r"takes 10\d\d bytes with its headers, .* at most 1000"):
            channel.publish(b"x" * 1000, {}, "", "q")

        channel.publish(b"next", {}, "", "q")
        assert bodies(channel, "q") == [b"x" * 800, b"next"]


def test_headers_count_towards_the_size_of_a_message() -> None:
    with lesser(max_record=1000) as transport:
        channel = declared(transport, "q")

        with pytest.raises(errors.NotSupported, match="at most 1000"):
            channel.publish(b"", {"headers": {"long": "x" * 1000}}, "", "q")


def test_of_many_messages_none_is_stored_if_one_is_too_large() -> None:
    with lesser(max_record=1000) as transport:
        channel = declared(transport, "q")

        with pytest.raises(errors.NotSupported, match="at most 1000"):
            channel.publish_many([Outgoing(body, {}, "", "q") for body in (b"1", b"2" * 2000, b"3")])

        assert bodies(channel, "q") == []


def test_a_dead_letter_that_would_be_too_large_tells_less_of_its_deaths() -> None:
    with lesser(max_record=500) as transport:
        channel = declared(transport, "q", **DEAD)
        declared(transport, "dead")
        channel.publish(b"x" * 250, {}, "", "q")
        delivery = channel.get("q")
        assert delivery is not None

        channel.reject(delivery.delivery_tag)

        dead = got(channel, "dead")
        assert dead.body == b"x" * 250
        assert dead.properties["headers"] == {"x-death": [{"count": 1, "reason": "rejected", "queue": "q"}]}


def test_a_dead_letter_that_tells_less_still_knows_its_circles() -> None:
    with lesser(max_record=500) as transport:
        channel = declared(transport, "dead", **{"x-message-ttl": 1, **DEAD, "x-dead-letter-routing-key": "q"})
        declared(transport, "q", **{"x-message-ttl": 1, **DEAD})
        channel.publish(b"x" * 250, {}, "", "q")

        storage = transport.storage
        assert eventually(lambda: sum(map(sum, storage.depth(["q", "dead"]))) == 0)


def test_a_dead_letter_that_is_too_large_in_any_case_is_set_aside() -> None:
    with lesser(max_record=500) as transport:
        channel = declared(transport, "q", **DEAD)
        declared(transport, "dead")
        channel.publish(b"x" * 430, {}, "", "q")
        delivery = channel.get("q")
        assert delivery is not None

        channel.reject(delivery.delivery_tag)

        assert not transport.debts
        assert bodies(channel, "dead") == []
        aside = got(channel, "dulse.set-aside")
        assert (aside.body, aside.properties) == (b"x" * 430, {})


def test_a_refused_message_whose_dead_letter_is_too_large_is_only_refused() -> None:
    with lesser(max_record=500) as transport:
        channel = declared(transport, "q", **{"x-max-length": 0, "x-overflow": "reject-publish-dlx", **DEAD})
        declared(transport, "dead")

        with pytest.raises(errors.Refused, match="is full"):
            channel.publish(b"x" * 430, {}, "", "q")

        assert bodies(channel, "dead") == []


# ------------------------------------------------------------------------------- delays, leases, priorities


def test_a_delay_beyond_what_the_store_can_wait_is_refused() -> None:
    with lesser(max_delay=900) as transport:
        channel = declared(transport, "q")
        channel.publish(b"soon", {"headers": {"x-delay": 900_000}}, "", "q")

        with pytest.raises(errors.NotSupported, match=r"delay of 901 s for queue 'q' .* at most 900 s"):
            channel.publish(b"late", {"headers": {"x-delay": 901_000}}, "", "q")

        assert transport.storage.depth(["q"])[0].delayed == 1


@pytest.mark.parametrize(("option", "seconds"), [("lease", 61.0), ("max_hold", 61.0)])
def test_a_lease_beyond_what_the_store_keeps_is_refused(option: str, seconds: float) -> None:
    with (
        pytest.raises(errors.NotSupported, match=f"option {option} of 61 s .* at most 60 s"),
        lesser(max_lease=60.0, **{option: seconds}),
    ):
        pass


def test_what_a_handler_holds_for_longer_than_the_store_can_ends_its_channel() -> None:
    with lesser(max_lease=1.0, lease=1.0) as transport:
        channel = declared(transport, "q")
        channel.publish(b"body", {}, "", "q")
        channel.get("q")

        assert eventually(lambda: not channel.is_open)


def test_where_there_are_no_priorities_a_queue_with_some_is_refused() -> None:
    with lesser(priorities=0) as transport:
        with pytest.raises(errors.NotSupported, match="'q' asks for priorities"):
            declared(transport, "q", **{"x-max-priority": 10})

        channel = declared(transport, "q")
        channel.publish(b"body", {"priority": 5}, "", "q")
        assert bodies(channel, "q") == [b"body"]


def test_where_there_are_few_priorities_higher_ones_count_as_the_highest() -> None:
    with lesser(priorities=3) as transport:
        channel = declared(transport, "q", "r", **{"x-max-priority": 10})
        for priority in (0, 9, 2, 3):
            channel.publish(str(priority).encode(), {"priority": priority}, "", "q")
        transport.management.move("q", "r")

        assert bodies(channel, "r") == [b"9", b"3", b"2", b"0"]


# ----------------------------------------------------------------------------------------------- exchange types


@pytest.mark.parametrize(
    "command",
    [
        DeclareExchange("x", "headers"),
        DeclareExchange("x", "x-delayed-message", arguments={"x-delayed-type": "headers"}),
    ],
    ids=repr,
)
def test_an_exchange_of_a_type_that_is_not_there_is_refused(command: DeclareExchange) -> None:
    with lesser(exchange_types=frozenset({"direct", "topic"})) as transport:
        channel = transport.channel()

        with pytest.raises(errors.NotSupported, match=r"'x' is to be of type 'headers', .* it has direct, topic"):
            channel.execute(command)

        channel.execute(DeclareExchange("x", "topic"))


# ------------------------------------------------------------------------------------- other ways of doing it


def test_where_puts_are_not_guarded_new_routes_are_found_all_the_same() -> None:
    with lesser(guarded_put=False) as ours:
        channel = declared(ours, "a", "b")
        channel.execute(DeclareExchange("x", "fanout"))
        channel.execute(BindQueue("a", "x", ""))
        channel.publish(b"1", {}, "x", "")
        theirs = declared(ours, "c")

        theirs.execute(BindQueue("b", "x", ""))
        channel.publish(b"2", {}, "x", "")

        assert (bodies(channel, "a"), bodies(channel, "b")) == ([b"1", b"2"], [b"2"])


def test_where_puts_are_not_guarded_routes_that_others_made_are_found_soon() -> None:
    with lesser(guarded_put=False) as ours:
        channel = declared(ours, "a")
        channel.execute(DeclareExchange("x", "fanout"))
        channel.execute(BindQueue("a", "x", ""))
        channel.publish(b"first", {}, "x", "")
        with lesser(guarded_put=False) as others:
            declared(others, "b").execute(BindQueue("b", "x", ""))

            def arrives() -> bool:
                channel.publish(b"again", {}, "x", "")
                return others.storage.depth(["b"])[0].ready > 0

            assert eventually(arrives)


def test_a_queue_that_is_declared_later_is_found_though_nothing_is_guarded() -> None:
    with lesser(guarded_put=False) as ours:
        channel = ours.channel()
        channel.publish(b"too early", {}, "", "q")
        with lesser(guarded_put=False) as others:
            declared(others, "q")

        channel.publish(b"body", {}, "", "q")

        assert bodies(channel, "q") == [b"body"]


def test_where_forwarding_is_not_one_step_dead_letters_are_put_before_they_are_settled() -> None:
    with lesser(atomic_forward=False) as transport:
        storage = transport.storage
        assert isinstance(storage, LesserStorage)
        channel = declared(transport, "q", **DEAD)
        declared(transport, "dead")
        channel.publish(b"body", {}, "", "q")
        delivery = channel.get("q")
        assert delivery is not None
        storage.calls.clear()

        channel.reject(delivery.delivery_tag)

        assert storage.calls == ["put", "settle"]
        assert bodies(channel, "dead") == [b"body"]
        assert sum(storage.depth(["q"])[0]) == 0


def test_where_forwarding_is_not_one_step_messages_can_be_moved() -> None:
    with lesser(atomic_forward=False) as transport:
        channel = declared(transport, "q", "r")
        for body in (b"1", b"2", b"3"):
            channel.publish(body, {}, "", "q")

        assert transport.management.move("q", "r") == 3

        assert bodies(channel, "r") == [b"1", b"2", b"3"]


def test_where_there_is_no_peeking_it_is_refused() -> None:
    with lesser(peek=False) as transport:
        declared(transport, "q")

        with pytest.raises(errors.NotSupported, match="cannot show messages"):
            transport.management.peek("q")


def test_where_counts_are_guesses_all_messages_are_moved() -> None:
    with lesser(exact_depth=False) as transport:
        channel = declared(transport, "q", "r")
        channel.publish(b"1", {}, "", "q")

        assert transport.management.move("q", "r") == 1

        assert bodies(channel, "r") == [b"1"]
