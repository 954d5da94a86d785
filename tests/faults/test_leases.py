"""The dead give back what they held, the living keep it, and who was taken for dead is told so."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from dulse import Connection, Message, Queue, errors
from tests.attempts import in_time
from tests.faults import parts
from tests.faults.brokers import LEASE
from tests.faults.programs import Program

pytestmark = pytest.mark.kill

QUEUE = Queue("work")

Programs = list[Program]


def start(programs: Programs, *what: Any) -> Program:
    programs.append(Program(*what))
    return programs[-1]


def publish(url: str, *payloads: Any, queue: Queue[Any] = QUEUE) -> None:
    with Connection(url) as connection:
        queue(connection).declare()
        for payload in payloads:
            connection.Producer().publish(payload, routing_key=queue.name)


class Taker:
    """A consumer in this process, which notes when it was handed what."""

    def __init__(self, connection: Connection, *, ack: bool = True) -> None:
        self.connection = connection
        self.messages: list[Message[Any]] = []
        self.times: list[float] = []
        self._ack = ack
        connection.Consumer(QUEUE, on_message=self._note).consume()

    def _note(self, message: Message[Any]) -> None:
        self.messages.append(message)
        self.times.append(time.monotonic())
        if self._ack:
            message.ack()

    def drain(self, seconds: float, count: int | None = None) -> None:
        end = time.monotonic() + seconds
        while count is None or len(self.messages) < count:
            try:
                self.connection.drain_events(timeout=max(0.0, end - time.monotonic()))
            except errors.DeadlineExceeded:
                return


def test_a_dead_owners_messages_are_back_within_a_second_after_their_lease(shared_url: str, programs: Programs) -> None:
    def seconds_until_all_are_back() -> float:
        publish(shared_url, *range(10))
        owner = start(programs, parts.hold, shared_url, "work", 10, 10)
        assert [owner.hear() for _ in range(10)] == list(range(10))

        with Connection(shared_url) as connection:
            taker = Taker(connection)
            taker.drain(0)
            killed_at = time.monotonic()
            owner.kill()
            taker.drain(10, 10)

        assert [message.payload for message in taker.messages] == list(range(10))
        assert all((message.delivery_info or {})["redelivered"] for message in taker.messages)
        return taker.times[-1] - killed_at

    in_time(LEASE + 1, seconds_until_all_are_back)


def test_messages_that_a_dead_owner_had_reserved_and_not_handed_out_are_back_too(
    shared_url: str, programs: Programs
) -> None:
    publish(shared_url, *range(10))
    owner = start(programs, parts.hold, shared_url, "work", 10, 1)
    assert owner.hear() == 0
    owner.kill()

    with Connection(shared_url) as connection:
        taker = Taker(connection)
        taker.drain(10, 10)

    assert sorted(message.payload for message in taker.messages) == list(range(10))


@pytest.mark.parametrize(
    "leases",
    [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(180)])],
    ids=["three leases", "twenty leases"],
)
def test_a_living_handler_keeps_its_message_however_long_it_works(
    shared_url: str, programs: Programs, tmp_path: Path, leases: int
) -> None:
    publish(shared_url, "long")
    end = tmp_path / "end"
    owner = start(programs, parts.hold, shared_url, "work", 1, 1, str(end))
    assert owner.hear() == "long"

    with Connection(shared_url) as connection:
        taker = Taker(connection)
        taker.drain(leases * LEASE)
        end.touch()
        report = owner.hear()
        assert report["acknowledged"] == 1
        assert not any("too late" in text for text in report["logged"]), report
        taker.drain(LEASE + 1)

        assert taker.messages == []
        assert QUEUE(connection).declare() is not None
        (status,) = connection.manager.queues("work")
    assert (status.ready, status.leased) == (0, 0)


def test_an_owner_stopped_for_longer_than_its_lease_loses_its_message_and_is_told_so(
    shared_url: str, programs: Programs, tmp_path: Path
) -> None:
    publish(shared_url, "stopped")
    end = tmp_path / "end"
    owner = start(programs, parts.hold, shared_url, "work", 1, 1, str(end))
    assert owner.hear() == "stopped"
    owner.signal(signal.SIGSTOP)

    with Connection(shared_url) as connection:
        taker = Taker(connection, ack=False)
        taker.drain(10, 1)
        end.touch()
        owner.signal(signal.SIGCONT)
        report = owner.hear()
        (held,) = connection.manager.queues("work")
        taker.messages[0].ack()
        connection.default_channel.flush()
        (settled,) = connection.manager.queues("work")

    assert (taker.messages[0].delivery_info or {})["redelivered"]
    assert any("settled too late" in text for text in report["logged"])
    assert held.leased == 1, "the late acknowledgement was taken for that of the new holder"
    assert (settled.ready, settled.leased) == (0, 0)


def test_exclusive_and_auto_delete_queues_of_a_dead_owner_vanish(shared_url: str, programs: Programs) -> None:
    owner = start(programs, parts.own_queues, shared_url)
    assert owner.hear() == "ready"

    with Connection(shared_url) as connection:
        connection.connect()
        assert sorted(status.name for status in connection.manager.queues()) == ["exclusive", "passing"]
        with pytest.raises(errors.ResourceLocked):
            Queue("exclusive")(connection.channel()).get()
        owner.kill()
        give_up = time.monotonic() + LEASE + 20
        while connection.manager.queues() and time.monotonic() < give_up:
            time.sleep(0.01)

        assert connection.manager.queues() == []


def test_when_the_single_active_consumer_dies_another_gets_the_messages(shared_url: str, programs: Programs) -> None:
    first = start(programs, parts.consume_alone, shared_url, "first")
    assert first.hear() == "ready"
    second = start(programs, parts.consume_alone, shared_url, "second")
    assert second.hear() == "ready"
    queue = Queue[Any]("single", queue_arguments={"x-single-active-consumer": True})
    publish(shared_url, 1, 2, queue=queue)
    assert [first.hear(), first.hear()] == [["first", 1], ["first", 2]]

    first.kill()
    publish(shared_url, 3, queue=queue)

    assert second.hear() == ["second", 3]
