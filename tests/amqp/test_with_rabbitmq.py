"""The engine and what stands beside it, with a real RabbitMQ: it refuses nothing that we think is right."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dulse import errors
from dulse.amqp.acknowledging import Acknowledgements
from dulse.amqp.commands import method_for, reply_of
from dulse.amqp.confirms import Unconfirmed, Window
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.events import Arrived, Ended, Event, Opened, Told
from dulse.amqp.expected import Expected
from dulse.amqp.messages import read_written, returned
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel, confirm
from dulse.amqp.recheck import Recheck
from dulse.amqp.recovery import restoration
from dulse.amqp.remembered import Remembered
from dulse.amqp.settings import Settings
from dulse.model import commands
from dulse.model.commands import Command, QueueDeclared
from tests.servers.rabbitmq import RabbitMQ


class Talk:
    """A connection with RabbitMQ, turn by turn."""

    def __init__(self, node: RabbitMQ, vhost: str) -> None:
        self.link = socket.create_connection((node.host, node.port), timeout=30)
        self.engine = Engine(Settings(virtual_host=vhost))
        self.events: list[Event] = []
        self.until(lambda: Opened(0) in self.events)

    def close(self) -> None:
        self.link.close()

    def until(self, ready: Callable[[], bool]) -> None:
        """Send and receive until something is so."""
        while not ready():
            self.link.sendall(self.engine.data_to_send())
            self.events += self.engine.receive(self.link.recv(262144))

    def done(self, expected: Expected) -> Any:
        self.until(lambda: expected.done)
        return expected.result()

    def call(self, method: Method, number: int = 1) -> Any:
        return self.done(self.engine.call(number, method))

    def carry_out(self, *several: Command) -> Any:
        return [reply_of(self.call(method_for(each))) for each in several][-1]

    def send(self) -> None:
        self.link.sendall(self.engine.data_to_send())

    def deliveries(self) -> list[Delivery]:
        return [each for each in self.events if isinstance(each, Delivery)]


@pytest.fixture
def talk(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> Iterator[Talk]:
    """A connection with channel 1 open."""
    with closing(Talk(rabbitmq, rabbitmq_vhost)) as talk:
        talk.done(talk.engine.open_channel())
        yield talk


def test_every_command_is_carried_out_and_answered(talk: Talk) -> None:
    talk.carry_out(
        commands.DeclareExchange("e", "topic", arguments={"alternate-exchange": "f"}),
        commands.DeclareExchange("f", "fanout", durable=False, auto_delete=True, internal=True),
        commands.BindExchange("f", "e", "k.#", {"a": 1}),
    )
    declared = talk.carry_out(commands.DeclareQueue("q", arguments={"x-max-length": 5}))
    assert declared == QueueDeclared("q", 0, 0)
    talk.carry_out(commands.BindQueue("q", "e", "k.#", {"b": [1, None]}))
    for _ in range(7):
        talk.engine.publish(1, b"x", {}, "e", "k.l")
    assert talk.carry_out(commands.PurgeQueue("q")) == 5  # in its turn, which the count of a declare is not
    assert talk.carry_out(commands.DeclareQueue("q", passive=True)) == QueueDeclared("q", 0, 0)
    talk.carry_out(
        commands.UnbindQueue("q", "e", "k.#", {"b": [1, None]}),
        commands.UnbindExchange("f", "e", "k.#", {"a": 1}),
        commands.DeleteExchange("e"),
        commands.DeleteExchange("never there"),
    )
    assert talk.carry_out(commands.DeleteQueue("q")) == 0
    assert talk.carry_out(commands.DeleteQueue("never there")) == 0


HEADERS: dict[str, Any] = {
    "int": -(2**31),
    "long": 2**63 - 1,
    "bool": False,
    "none": None,
    "text": "käse",
    "bytes": b"\x00\xff",
    "real": 1.5,
    "decimal": Decimal("-12.345"),
    "time": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    "array": [1, "two", [3.0, {"four": b"4"}], {}],
    "table": {"deeper": {"still": [None]}},
}


def test_every_type_of_a_table_and_every_property_comes_back(talk: Talk) -> None:
    talk.carry_out(commands.DeclareQueue("q", exclusive=True))
    properties = {
        "content_type": "a/b",
        "content_encoding": "utf-8",
        "headers": HEADERS,
        "delivery_mode": 2,
        "priority": 9,
        "correlation_id": "c",
        "reply_to": "r",
        "expiration": "60000",
        "message_id": "m",
        "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
        "type": "t",
        "user_id": "guest",
        "app_id": "a",
        "cluster_id": "x",
    }
    talk.engine.publish(1, b"body", properties, "", "q")
    got = talk.call(basic.Get("q", no_ack=True))
    assert (got.properties, got.body, got.message_count) == (properties, b"body", 0)


def test_an_unroutable_mandatory_message_comes_back_before_its_confirm(talk: Talk) -> None:
    talk.call(confirm.Select())
    talk.engine.publish(1, b"lost?", {"type": "t"}, "", "no such queue", mandatory=True)
    talk.until(lambda: any(isinstance(each, Told) for each in talk.events))
    arrived, told = talk.events[-2:]
    assert isinstance(arrived, Arrived)
    assert returned(arrived.content)[:4] == (312, "NO_ROUTE", "", "no such queue")
    assert told == Told(1, basic.Ack(1))


@pytest.mark.parametrize("seed", range(5))
def test_acknowledgements_in_any_order_are_never_refused(talk: Talk, seed: int) -> None:
    chance, count = random.Random(seed), 300
    talk.carry_out(commands.DeclareQueue("q", exclusive=True))
    for number in range(count):
        talk.engine.publish(1, b"%d" % number, {}, "", "q")
    talk.call(basic.Consume("q", "tag"))
    talk.until(lambda: len(talk.deliveries()) == count)
    acks = Acknowledgements(1)
    acks.newest = count
    left = set(range(1, count + 1))
    for _ in range(200):
        tag, multiple = chance.choice(sorted(left) or [0]), chance.random() < 0.05
        taken = {each for each in left if each <= tag} if multiple else {tag} & left
        if chance.random() < 0.2:
            acks.reject(tag, requeue=False, multiple=multiple)
        elif multiple:
            acks.ack_up_to(tag)
        else:
            acks.ack(tag)
        left -= taken
        if chance.random() < 0.1:
            acks.collect()
    acks.collect()
    talk.engine.out += acks.out
    talk.call(basic.Cancel("tag"))
    talk.call(basic.Recover(requeue=True))
    assert talk.carry_out(commands.PurgeQueue("q")) == len(left) == acks.outstanding


@pytest.mark.parametrize("kind", ["missing exchange", "bad expiration"])
def test_exactly_the_poisonous_messages_of_a_window_fail(talk: Talk, kind: str) -> None:
    talk.carry_out(commands.DeclareQueue("q", exclusive=True))
    talk.call(confirm.Select())
    writer, window, poisons = talk.engine.writer(1), Window(), {20, 21, 150}
    for number in range(1, 201):
        wrong = number in poisons
        exchange = "gone" if wrong and kind == "missing exchange" else ""
        properties = {"expiration": "soon" if wrong and kind == "bad expiration" else "600000"}
        window.entries.append(writer.write(b"%d" % number, properties, exchange, "q"))
    talk.engine.out += window.entries
    recheck: Recheck | None = None
    trial: list[Unconfirmed] = []
    while recheck is None or trial:
        talk.until(lambda: bool(talk.events))
        event = talk.events.pop(0)
        if isinstance(event, Ended):
            assert event.error is not None
            if recheck is None:
                recheck = Recheck(window.unconfirmed(), event.error)
            else:
                recheck.closed(event.error)
            talk.done(talk.engine.open_channel(1))
            talk.call(confirm.Select())
            talk.events.clear()
        elif isinstance(event, Told):
            assert isinstance(event.method, basic.Ack)
            (recheck or window).confirm(event.method.delivery_tag, event.method.multiple)
        if recheck is not None and recheck.is_settled:
            trial = recheck.trial()
            talk.engine.out += [each.data for each in trial]
    assert [int(read_written(each.message.data)[2]) for each in recheck.failed] == sorted(poisons)
    talk.call(basic.Consume("q", "tag", no_ack=True))
    good = set(range(1, 201)) - poisons
    talk.until(lambda: {int(each.body) for each in talk.deliveries()} >= good)
    assert talk.carry_out(commands.PurgeQueue("q")) == 0
    assert {int(each.body) for each in talk.deliveries()} == good


def test_what_was_lost_with_a_connection_comes_back_by_the_steps(
    talk: Talk, rabbitmq: RabbitMQ, rabbitmq_vhost: str
) -> None:
    made: list[Command] = [
        commands.DeclareExchange("brief", "fanout", auto_delete=True),
        commands.DeclareQueue("own", exclusive=True),
        commands.BindQueue("own", "brief", ""),
    ]
    talk.carry_out(*made)
    remembered = Remembered()
    for each in made:
        remembered.note(each)
    remembered.open_channel(5, confirms=True)
    remembered.prefetch(5, 10, shared=False)
    remembered.consume(5, basic.Consume("own", "tag"))
    remembered.consume(5, basic.Consume("missing", "other"))
    with closing(Talk(rabbitmq, rabbitmq_vhost)) as early, pytest.raises(errors.ResourceLocked):
        restore(early, remembered)  # the old connection is still there
    talk.done(talk.engine.close())
    with closing(Talk(rabbitmq, rabbitmq_vhost)) as again:
        (refused,) = restore(again, remembered)
        assert refused[:2] == (5, basic.Consume("missing", "other"))
        again.engine.publish(5, b"found you", {}, "brief", "")
        again.until(lambda: bool(again.deliveries()))
        (delivery,) = again.deliveries()
        assert (delivery.consumer_tag, delivery.body, delivery.exchange) == ("tag", b"found you", "brief")


def restore(talk: Talk, remembered: Remembered) -> Any:
    """Carry out the steps of a restoration."""
    steps = restoration(remembered)
    error: Exception | None = None
    while True:
        try:
            number, method = steps.send(error)
        except StopIteration as done:
            return done.value
        if isinstance(method, channel.Open):
            expected = talk.engine.open_channel(number)
        elif isinstance(method, channel.Close):
            expected = talk.engine.close_channel(number)
        else:
            expected = talk.engine.call(number, method)
        talk.until(lambda expected=expected: expected.done)  # type: ignore[misc]
        error = expected.error


def test_the_example_in_the_documentation_works(talk: Talk, rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    talk.carry_out(commands.DeclareQueue("letters"))
    page = Path(__file__).parents[2].joinpath("docs", "amqp-engine.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    place = f'("{rabbitmq.host}", {rabbitmq.port})'
    code = code.replace('("localhost", 5672)', place).replace(
        'Plain("guest", "guest")]', f'Plain("guest", "guest")], virtual_host="{rabbitmq_vhost}"'
    )
    assert place in code
    assert rabbitmq_vhost in code
    exec(compile(code, "docs/amqp-engine.md", "exec"), {})
    assert talk.call(basic.Get("letters", no_ack=True)).body == b"hello"
