"""Nothing falls between two states of a blocking link when a call gives up, or something ends while it is mended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import pytest

import dulse
from dulse import errors
from dulse.links.blocking.line import Line
from dulse.links.blocking.port import Port
from dulse.model.message import Outgoing
from dulse.testing.proxy import Direction, FaultProxy
from tests.amqp_transport.conftest import PATIENCE, Meanwhile, taken, until
from tests.amqp_transport.gate import Gate
from tests.servers.rabbitmq import RabbitMQ

SOON = 0.2
"""Seconds that are too few for an answer that is held up."""


def port_of(channel: dulse.Channel) -> Any:
    port = channel.transport_channel
    assert isinstance(port, Port)
    return port


def line_of(channel: dulse.Channel) -> Line:
    line: Line = port_of(channel)._line
    return line


def test_what_is_unconfirmed_when_an_unknown_delivery_is_acknowledged_is_sent_again(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        proxy.stall()
        for number in range(200):
            channel.basic_publish(str(number), "", name)
        with pytest.raises(errors.PreconditionFailed):
            channel.basic_ack(99)
        assert not channel.is_open
        proxy.resume()
    assert set(taken(rabbitmq.url, name)) == {str(number).encode() for number in range(200)}


def test_an_unknown_delivery_is_acknowledged_while_its_channel_is_mended(rabbitmq: RabbitMQ, name: str) -> None:
    told: list[bytes] = []
    options = {"on_unconfirmed": lambda message, _: told.append(message.body)}
    with Gate(("127.0.0.1", rabbitmq.port), "confirm.select-ok", after=2) as gate:
        connection = dulse.Connection(rabbitmq.url_of(port=gate.port), transport_options=options)
        channel = connection.channel()
        channel.queue_declare(name)
        channel.basic_publish("refused", "missing", name)
        channel.basic_publish("another", "", name)
        gate.wait()
        with pytest.raises(errors.PreconditionFailed):
            channel.basic_ack(99)
        gate.open()
        with pytest.raises(errors.NotFound):
            connection.close()
        assert told == [b"refused"]
        assert gate.connections == 1
    assert taken(rabbitmq.url, name) == [b"another"]


@pytest.mark.parametrize("ending", ["a mistake", "a close"])
def test_a_channel_ends_while_a_message_of_it_is_half_sent(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, ending: str
) -> None:
    body = b"x" * 20_000_000
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), heartbeat=0) as connection:
        channel, other = connection.channel(), connection.channel()
        line = line_of(channel)
        channel.queue_declare(name)
        other.basic_qos(0, 1, False)
        proxy.stall(Direction.TO_SERVER)

        def publish() -> None:
            with pytest.raises(errors.DeadlineExceeded):
                channel.basic_publish(body, "", name, timeout=1)

        with Meanwhile(publish):
            until(lambda: bool(port_of(channel).window.sent))
        if ending == "a mistake":
            with pytest.raises(errors.PreconditionFailed):
                channel.basic_ack(99)
        else:
            with pytest.raises(errors.DeadlineExceeded):
                port_of(channel).close(timeout=SOON)
        proxy.resume()
        other.basic_publish("whole", "", name)
        other.flush(PATIENCE) if ending == "a mistake" else port_of(other).link.await_confirms(PATIENCE, port_of(other))
        if ending == "a mistake":
            assert b"whole" in taken(rabbitmq.url, name)
        assert line.reconnects == 0
        if ending == "a close":
            with pytest.raises(errors.Unconfirmed):
                connection.close()


def test_a_trial_is_refused_while_it_is_half_sent(rabbitmq: RabbitMQ, proxy: FaultProxy, name: str) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), heartbeat=0) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        proxy.slow(4_000_000, Direction.TO_SERVER)
        for number in range(50):
            expiration = "soon" if number == 20 else None
            body = str(number).encode().ljust(150_000)
            channel.basic_publish(channel.prepare_message(body, properties={"expiration": expiration}), "", name)
        with pytest.raises(errors.PreconditionFailed):
            channel.flush(PATIENCE)
        assert line_of(channel).reconnects == 0
    assert {int(each) for each in taken(rabbitmq.url, name)} == set(range(50)) - {20}


def test_a_channel_that_is_closed_while_it_is_mended_keeps_nobody_up(rabbitmq: RabbitMQ, name: str) -> None:
    told: list[bytes] = []
    options = {"on_unconfirmed": lambda message, _: told.append(message.body)}
    with Gate(("127.0.0.1", rabbitmq.port), "confirm.select-ok", after=3) as gate:
        connection = dulse.Connection(rabbitmq.url_of(port=gate.port), transport_options=options)
        channel, other = connection.channel(), connection.channel()
        channel.basic_publish("refused", "missing", name)
        channel.basic_publish("unconfirmed", "", name)
        gate.wait()
        with pytest.raises(errors.DeadlineExceeded):
            port_of(channel).close(timeout=SOON)
        gate.open()
        other.queue_declare(name)
        other.basic_publish("refused too", "missing", name)
        other.basic_publish("taken", "", name)
        with pytest.raises(errors.NotFound):
            other.flush(PATIENCE)
        with pytest.raises(errors.Unconfirmed):
            connection.close()
        assert told == [b"refused", b"unconfirmed", b"refused too"]
        assert gate.connections == 1
    assert taken(rabbitmq.url, name) == [b"taken"]


@pytest.mark.parametrize("problem", [errors.NotFound, errors.Unroutable])
def test_what_becomes_of_a_message_whose_publisher_gave_up_is_told(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str, problem: type[Exception]
) -> None:
    connection = dulse.Connection(rabbitmq.url_of(port=proxy.port), transport_options={"confirm_publish": True})
    channel = connection.channel()
    proxy.stall()
    exchange = "missing" if problem is errors.NotFound else ""
    with pytest.raises(errors.DeadlineExceeded):
        channel.basic_publish("refused", exchange, name, mandatory=True, timeout=SOON)
    proxy.resume()
    with pytest.raises(problem):
        connection.close()


def test_each_of_many_that_fail_is_told(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url, transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        messages = [
            Outgoing(str(number).encode(), {}, "missing" if number % 2 else "", name, False) for number in range(6)
        ]
        with pytest.raises(errors.NotFound) as caught:
            port_of(channel).publish_many(messages)
        assert len(caught.value.__notes__) == 2


def test_a_call_is_not_blamed_for_a_message_that_closes_its_channel(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.basic_publish("refused", "missing", name)
        assert channel.queue_declare(name).queue == name
        with pytest.raises(errors.NotFound, match="missing"):
            channel.flush(PATIENCE)
        assert channel.is_open


def test_a_message_that_is_sent_again_before_its_publisher_looks_is_not_waited_for(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        line, link = line_of(channel), port_of(channel).link
        go_on = link.publish_slowly
        late: list[int] = []

        def after_a_loss(port: Port, data: bytes, tag: int, *rest: Any) -> None:
            if tag and not late:
                late.append(tag)
                proxy.cut()
                proxy.resume()
                until(lambda: line.reconnects == 1 and not port.window.entries)
            go_on(port, data, tag, *rest)

        link.publish_slowly = after_a_loss
        proxy.stall(Direction.TO_SERVER)
        began = monotonic()
        for _ in range(70):  # until the socket takes one in part, or not at all
            if not late:
                channel.basic_publish(b"x" * 100_000, "", name, timeout=10)
        assert late
        assert monotonic() - began < 8
        del link.publish_slowly
        channel.flush(PATIENCE)


def test_a_consumer_whose_start_took_too_long_swallows_nothing(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        channel.basic_publish("message", "", name)
        channel.flush(PATIENCE)
        proxy.stall(Direction.TO_CLIENT)
        with pytest.raises(errors.DeadlineExceeded):
            port_of(channel).consume(name, print, consumer_tag="late", timeout=SOON)
        proxy.resume()
        while (message := channel.basic_get(name)) is None:
            with suppress(errors.DeadlineExceeded):
                connection.drain_events(timeout=0.05)
        assert message.body == b"message"
        message.ack()
        while port_of(channel).consumers:
            connection.drain_events(timeout=PATIENCE)
        found: list[bytes] = []
        channel.basic_consume(
            name, consumer_tag="late", no_ack=True, callback=lambda message: found.append(message.body)
        )
        channel.basic_publish("another", "", name)
        while not found:
            connection.drain_events(timeout=PATIENCE)


def test_channels_whose_opening_took_too_long_are_closed_again(rabbitmq: RabbitMQ, proxy: FaultProxy) -> None:
    options = {"channel_max": 4}
    with dulse.Connection(rabbitmq.url_of(port=proxy.port), transport_options=options) as connection:
        first = connection.channel()
        for _ in range(5):
            proxy.stall(Direction.TO_CLIENT)
            with pytest.raises(errors.DeadlineExceeded):
                port_of(first).link.port(Port, SOON)
            proxy.resume()
            for _ in range(2):
                first.basic_qos(0, 1)
        assert connection.channel().is_open


def test_what_was_sent_ahead_is_not_handed_over_after_a_recover(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        for number in range(10):
            channel.basic_publish(str(number), "", name)
        channel.flush(PATIENCE)
        channel.basic_qos(0, 10)
        found: list[int] = []
        missing = set(range(10))

        def on_message(message: dulse.Message) -> None:
            found.append(int(message.body))
            if len(found) > 1:
                missing.discard(found[-1])
                message.ack()

        channel.basic_consume(name, callback=on_message)
        connection.drain_events(timeout=PATIENCE)
        until(lambda: len(line_of(channel).ready) == 9)
        channel.basic_recover(requeue=True)
        while missing:
            connection.drain_events(timeout=PATIENCE)
        channel.flush(PATIENCE)
        assert len(found) == 11


class Struck(dict[int, Port]):
    """The channels of a link, between finding one of which and using it a connection is lost."""

    def __init__(self, ports: dict[int, Port], strike: Callable[[], None]) -> None:
        super().__init__(ports)
        self._strike = strike

    def __getitem__(self, number: int) -> Port:
        found = super().__getitem__(number)
        strike, self._strike = self._strike, lambda: None
        strike()
        return found


def test_a_connection_is_replaced_while_a_delivery_is_being_handed_over(
    rabbitmq: RabbitMQ, proxy: FaultProxy, name: str
) -> None:
    with dulse.Connection(rabbitmq.url_of(port=proxy.port)) as connection:
        channel = connection.channel()
        line = line_of(channel)
        channel.queue_declare(name, durable=True)
        for number in range(20):
            channel.basic_publish(str(number), "", name)
        channel.flush(PATIENCE)
        missing = set(range(20))

        def on_message(message: dulse.Message) -> None:
            missing.discard(int(message.body))
            message.ack()

        def strike() -> None:
            proxy.cut()
            end = monotonic() + 3  # where it cannot happen, it is not waited for
            while not line.reconnects and monotonic() < end:
                sleep(0.01)

        channel.basic_consume(name, callback=on_message)
        for _ in range(5):
            connection.drain_events(timeout=PATIENCE)
        channel.flush(PATIENCE)
        until(lambda: len(line.ready) == 15)
        struck: Any = Struck(line.ports, strike)
        line.ports = struck
        while missing:
            connection.drain_events(timeout=PATIENCE)
        until(lambda: line.reconnects == 1)
        channel.flush(PATIENCE)
        assert channel.is_open


def test_a_channel_that_is_closed_while_its_connection_is_restored_does_not_come_back(
    rabbitmq: RabbitMQ, name: str
) -> None:
    with (
        Gate(("127.0.0.1", rabbitmq.port), "basic.consume-ok", after=2) as gate,
        dulse.Connection(rabbitmq.url_of(port=gate.port)) as connection,
    ):
        channel, other = connection.channel(), connection.channel()
        channel.queue_declare(name, durable=True)
        channel.basic_consume(name, callback=print)
        gate.cut()
        gate.wait()
        channel.close()
        gate.open()
        other.basic_publish("message", "", name)
        other.flush(PATIENCE)
        with pytest.raises(errors.DeadlineExceeded):
            connection.drain_events(timeout=SOON)
        end = monotonic() + PATIENCE
        while (message := other.basic_get(name, no_ack=True)) is None:
            assert monotonic() < end
        assert message.body == b"message"


def test_a_flush_awaits_what_goes_on_elsewhere_after_a_mistake(rabbitmq: RabbitMQ, name: str) -> None:
    with (
        Gate(("127.0.0.1", rabbitmq.port), "channel.close") as gate,
        dulse.Connection(rabbitmq.url_of(port=gate.port)) as connection,
    ):
        channel = connection.channel()
        line = line_of(channel)
        channel.queue_declare(name, durable=True)

        def ask() -> None:
            with pytest.raises(errors.NotFound):
                channel.queue_declare(f"{name}.missing", passive=True)

        with Meanwhile(ask):
            gate.wait()
            channel.basic_publish("message", "", name)
            threading.Timer(SOON, gate.open).start()
            channel.flush(PATIENCE)
            assert not any(each.unconfirmed() or each.is_mending for each in line.ports.values())
    assert taken(rabbitmq.url, name) == [b"message"]


def test_a_message_of_a_signal_handler_outlives_its_channel(rabbitmq: RabbitMQ, name: str) -> None:
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        line = line_of(channel)
        with line.lock:
            line.inside = True  # as where a handler strikes
            channel.basic_publish("nested", "", name)
            line.inside = False
            with pytest.raises(errors.PreconditionFailed):
                channel.basic_ack(99)
    assert taken(rabbitmq.url, name) == [b"nested"]
