"""Publishing on a store that answers later: nothing is lost, nothing is stored twice, and failures are told."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from dulse import errors
from dulse.model.commands import BindQueue, DeclareExchange, DeclareQueue, DeleteExchange, DeleteQueue
from dulse.model.message import Outgoing
from dulse.virtual.sync import pipeline as pipelines
from dulse.virtual.sync.channel import VirtualChannel
from dulse.virtual.sync.parking import route_parked
from dulse.virtual.sync.transport import VirtualTransport
from tests.virtual.late import LateStorage, late
from tests.virtual.test_debts import eventually

Store = Any


def opened(transport: VirtualTransport, *queues: str) -> tuple[VirtualChannel, Store]:
    channel = transport.channel()
    for queue in queues or ("q",):
        channel.execute(DeclareQueue(queue))
    return channel, transport.storage


def bodies(channel: VirtualChannel, queue: str = "q") -> list[bytes]:
    return [each.body for each in iter(lambda: channel.get(queue, no_ack=True), None)]


def numbered(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last + 1)]


def publish(channel: VirtualChannel, first: int, last: int) -> None:
    for body in numbered(first, last):
        channel.publish(body, {}, "", "q")


def unanswered(transport: VirtualTransport) -> int:
    assert transport.dispatch.pipeline is not None
    return transport.dispatch.pipeline.unanswered


def rest(transport: VirtualTransport) -> None:
    """Keep the keeper from reading answers, for tests that count them."""
    transport._upkeep.stop(transport.deadline(1))


def test_publishing_waits_for_no_answer() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        store.calls.clear()
        publish(channel, 1, 100)

        assert store.calls == ["send"] * 100
        assert bodies(channel) == numbered(1, 100)


def test_a_full_window_is_answered_before_more_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "WINDOW_PUTS", 10)
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        store.calls.clear()
        publish(channel, 1, 21)

        assert store.calls == [*["send"] * 10, "barrier", *["send"] * 10, "barrier", "send"]


def test_a_window_is_bounded_in_bytes_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "WINDOW_BYTES", 10)
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        store.calls.clear()
        for _ in range(3):
            channel.publish(b"x" * 6, {}, "", "q")

        assert store.calls == ["send", "send", "barrier", "send"]


def test_flush_waits_for_the_answers() -> None:
    with late() as transport:
        channel, store = opened(transport)
        publish(channel, 1, 3)
        channel.flush(5)

        assert "barrier" in store.calls
        assert unanswered(transport) == 0


def test_the_keeper_reads_the_answers_for_a_program_that_does_nothing_more() -> None:
    with late() as transport:
        channel, _ = opened(transport)
        publish(channel, 1, 1)

        eventually(lambda: unanswered(transport) == 0)


@pytest.mark.parametrize("lost", [1, 5, 10])
def test_what_got_lost_on_its_way_is_sent_again_in_order(lost: int) -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        publish(channel, 1, 5)
        store.swallows = lost
        publish(channel, 6, 20)
        channel.flush(5)

        assert bodies(channel) == numbered(1, 20)


def test_nothing_is_stored_twice_when_a_cut_wire_comes_back() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        publish(channel, 1, 5)
        store.is_cut = True
        threading.Timer(0.1, setattr, (store, "is_cut", False)).start()
        publish(channel, 6, 10)
        channel.flush(5)

        assert bodies(channel) == numbered(1, 10)


def test_a_publish_that_cannot_be_sent_in_time_raises_and_is_never_sent() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        publish(channel, 1, 5)
        store.is_cut = True
        with pytest.raises(errors.ConnectionLost):
            channel.publish(b"in vain", {}, "", "q", timeout=0.1)
        store.is_cut = False
        publish(channel, 6, 10)
        channel.flush(5)

        assert bodies(channel) == numbered(1, 10)


def test_a_publish_that_was_written_although_it_raised_takes_the_place_of_no_other() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        publish(channel, 1, 5)
        send = store.put

        def put(*arguments: Any, **named: Any) -> Any:
            send(*arguments, **named)
            store.is_cut = True
            raise errors.make(errors.ConnectionLost, "cut while the answer was on its way")

        store.put = put
        with pytest.raises(errors.ConnectionLost):
            channel.publish(b"written", {}, "", "q", timeout=0.1)
        del store.put
        store.is_cut = False
        publish(channel, 6, 10)
        channel.flush(5)

        assert bodies(channel) == [*numbered(1, 5), b"written", *numbered(6, 10)]


def test_a_message_that_the_store_refuses_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[Outgoing, Exception]] = []
    with late(on_unconfirmed=lambda message, problem: told.append((message, problem))) as transport:
        channel, store = opened(transport)
        rest(transport)
        store.poison = b"3"
        publish(channel, 1, 5)
        with (
            caplog.at_level(logging.ERROR, "dulse.virtual"),
            pytest.raises(errors.ContentTooLarge, match="too much"),
        ):
            channel.flush(5)

        assert bodies(channel) == [b"1", b"2", b"4", b"5"]
        assert [(message.body, type(problem)) for message, problem in told] == [(b"3", errors.ContentTooLarge)]
        assert "routing key 'q'" in caplog.text
        channel.flush(5)  # told once


def test_what_was_accepted_waits_while_the_store_is_full() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        publish(channel, 1, 3)
        store.full = True
        publish(channel, 4, 6)
        with pytest.raises(errors.StorageFull):
            channel.flush(5)
        with pytest.raises(errors.StorageFull):
            channel.publish(b"refused", {}, "", "q", timeout=0.1)
        store.full = False
        publish(channel, 7, 9)
        channel.flush(5)

        assert bodies(channel) == numbered(1, 9)


def test_what_the_store_never_took_is_told_when_the_transport_closes() -> None:
    told: list[bytes] = []
    storage: Any = LateStorage()
    with late(on_unconfirmed=lambda message, _: told.append(message.body)) as transport:
        channel, storage = opened(transport)
        rest(transport)
        storage.full = True
        publish(channel, 1, 2)
        with pytest.raises(errors.Unconfirmed, match="no room"):
            transport.close(5)

    assert told == [b"1", b"2"]


def test_an_exception_in_the_middle_of_a_publish_leaves_no_gap() -> None:
    class Interrupted(Exception):
        pass

    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        publish(channel, 1, 3)

        def put(*_: Any, **__: Any) -> Any:
            raise Interrupted

        store.put = put
        with pytest.raises(Interrupted):
            channel.publish(b"interrupted", {}, "", "q")
        del store.put
        publish(channel, 4, 6)
        channel.flush(5)

        assert bodies(channel) == numbered(1, 6)


def test_a_store_that_has_lost_what_it_confirmed_is_told_of_and_gets_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        publish(channel, 1, 5)
        channel.flush(5)
        store._storage._store.publishers.clear()
        publish(channel, 6, 8)
        with caplog.at_level(logging.ERROR, "dulse.virtual"):
            channel.flush(5)

        assert bodies(channel) == numbered(1, 8)
        assert "has lost at least 5 messages" in caplog.text


def test_a_publish_within_a_publish_loses_neither() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        send = store.put

        def put(*arguments: Any, **named: Any) -> Any:
            del store.put
            channel.publish(b"inner", {}, "", "q")
            return send(*arguments, **named)

        store.put = put
        channel.publish(b"outer", {}, "", "q")
        publish(channel, 1, 2)
        channel.flush(5)

        assert bodies(channel) == [b"outer", b"inner", b"1", b"2"]


def test_threads_share_one_sequence() -> None:
    with late() as transport:
        channel, store = opened(transport)
        store.swallows = 7

        def work(name: str) -> None:
            for number in range(200):
                channel.publish(f"{name}{number}".encode(), {}, "", "q")

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        channel.flush(10)
        got = bodies(channel)

        for name in "abcd":
            assert [body for body in got if body.startswith(name.encode())] == [
                f"{name}{number}".encode() for number in range(200)
            ]


def test_a_route_that_became_outdated_reaches_the_queue_bound_since() -> None:
    with late() as transport:
        channel, store = opened(transport, "old", "new")
        channel.execute(DeclareExchange("x", "fanout"))
        channel.execute(BindQueue("old", "x"))
        channel.publish(b"1", {}, "x", "")
        other = VirtualTransport(store, clock=transport._clock, lease=20.0, max_hold=None, timeout=10)
        other.open(5)
        try:
            other.channel().execute(BindQueue("new", "x"))
        finally:
            other._upkeep.stop(other.deadline(1))
        channel.publish(b"2", {}, "x", "")
        channel.flush(5)

        assert bodies(channel, "old") == [b"1", b"2"]
        assert bodies(channel, "new") == [b"2"]


def publish_to_what_is_gone(transport: VirtualTransport, channel: VirtualChannel) -> None:
    """Publish b"1" to an exchange, and b"2" when another process has deleted it and this one does not know."""
    channel.execute(DeclareExchange("x", "fanout"))
    channel.execute(BindQueue("q", "x"))
    channel.publish(b"1", {}, "x", "")
    route = transport.dispatch.routes["x", ""]
    channel.execute(DeleteExchange("x"))
    transport.dispatch.routes["x", ""] = route
    channel.publish(b"2", {}, "x", "")


def test_a_message_whose_exchange_is_gone_by_then_is_told_by_the_next_flush(caplog: pytest.LogCaptureFixture) -> None:
    with late() as transport:
        channel, _ = opened(transport)
        rest(transport)
        publish_to_what_is_gone(transport, channel)
        with caplog.at_level(logging.ERROR, "dulse.virtual"), pytest.raises(errors.NotFound, match="no exchange 'x'"):
            channel.flush(5)
        channel.flush(5)

        assert bodies(channel) == [b"1"]
        assert "a message was not taken (exchange 'x', routing key '', 1 bytes)" in caplog.text


def test_what_a_process_had_parked_that_died_is_set_aside_by_who_buries_it() -> None:
    with late() as transport:
        channel, store = opened(transport)
        rest(transport)
        publish_to_what_is_gone(transport, channel)
        other = VirtualTransport(store, clock=transport._clock, lease=20.0, max_hold=None, timeout=10)
        other.open(5)
        try:
            route_parked(other, other.deadline(5), transport.owner)
        finally:
            other._upkeep.stop(other.deadline(1))

        assert bodies(channel, "dulse.set-aside") == [b"2"]


def test_a_message_for_a_queue_that_is_gone_by_then_is_dropped_as_unroutable() -> None:
    with late() as transport:
        channel, _ = opened(transport, "q", "other")
        channel.publish(b"1", {}, "", "other")
        route = transport.dispatch.routes["", "other"]
        channel.execute(DeleteQueue("other"))
        transport.dispatch.routes["", "other"] = route
        channel.publish(b"2", {}, "", "other")
        channel.flush(5)

        channel.execute(DeclareQueue("other"))
        assert bodies(channel, "other") == []
