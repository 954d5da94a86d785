"""A client and a server of the engine with a fake link between them, and what they said to each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from dulse.amqp import frames
from dulse.amqp.delivery import Content, Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.events import Arrived, Called, Ended, Event, Opened, Replied, Told
from dulse.amqp.methods import basic, channel, confirm, connection, exchange, queue
from dulse.amqp.settings import Settings

PLAIN: dict[str, Any] = {"content_type": "text/plain"}
HEADERS: dict[str, Any] = {"headers": {"a": 1, "nested": {"list": [None, True, "x"]}}, "delivery_mode": 2}


def guests_only(mechanism: str, response: bytes) -> bool:
    return (mechanism, response) == ("PLAIN", b"\0guest\0guest")


def settle(client: Engine, server: Engine, size: int = 1 << 20) -> tuple[list[Event], list[Event]]:
    """Carry bytes both ways, in pieces of `size`, until none are left."""
    seen: tuple[list[Event], list[Event]] = ([], [])
    while True:
        there, back = client.data_to_send(), server.data_to_send()
        if not there and not back:
            return seen
        for at in range(0, len(there), size):
            seen[1].extend(server.receive(there[at : at + size]))
        for at in range(0, len(back), size):
            seen[0].extend(client.receive(back[at : at + size]))


def joined(**of_server: int) -> tuple[Engine, Engine]:
    client, server = Engine(), Engine(Settings(check=guests_only, **of_server), server=True)  # type: ignore[arg-type]
    settle(client, server)
    return client, server


def with_channel(**of_server: int) -> tuple[Engine, Engine]:
    client, server = joined(**of_server)
    client.open_channel()
    settle(client, server)
    return client, server


def words(event: Event) -> Any:
    """Say what an event tells, decoded to the end, so that two can be compared."""
    if isinstance(event, Delivery):
        fields = ("channel", "consumer_tag", "delivery_tag", "redelivered", "exchange", "routing_key", "message_count")
        return ("Delivery", *(getattr(event, each) for each in fields), event.properties, event.body)
    if isinstance(event, Arrived):
        return ("Arrived", event.channel, *_content(event.content))
    if isinstance(event, Replied):
        reply = event.expected.reply
        said = words(reply) if isinstance(reply, Delivery) else repr(reply)
        return ("Replied", event.channel, said, repr(event.expected.error))
    if isinstance(event, Ended):
        return ("Ended", event.channel, repr(event.error))
    assert isinstance(event, Opened | Told | Called)
    return repr(event)


def _content(content: Content) -> tuple[Any, ...]:
    return repr(content.method), content.properties, content.body


Call = Callable[[Engine], object]


class Recording:
    """A client that notes what its owner asks of it."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.calls: list[Call] = []

    def ask(self, call: Call) -> None:
        call(self.engine)
        self.calls.append(call)


Ask = Callable[[Call], None]


class Turn(NamedTuple):
    """What happens between two looks at the network."""

    calls: list[Call]
    """Of the client's owner, before anything is sent."""
    there: bytes
    back: bytes


def session() -> list[Turn]:
    """Run a client and a server through a session with everything in it."""
    client, server = Recording(), Engine(Settings(check=guests_only), server=True)
    turns: list[Turn] = []

    def turn() -> None:
        there = client.engine.data_to_send()
        server.receive(there)
        back = server.data_to_send()
        client.engine.receive(back)
        turns.append(Turn(client.calls, there, back))
        client.calls = []

    for _ in range(4):
        turn()
    for act in (_declare, _confirm, _consume, _flood, _inquire, _alarms):
        act(client.ask, server, turn)
    client.ask(lambda engine: engine.close())
    turn()
    return turns


def _declare(ask: Ask, server: Engine, turn: Any) -> None:
    ask(lambda engine: engine.open_channel())
    ask(lambda engine: engine.open_channel())
    turn()
    ask(lambda engine: engine.call(1, queue.Declare("q", arguments={"x-max-length": 5})))
    ask(lambda engine: engine.call(2, exchange.Declare("e", "topic")))
    turn()
    server.reply(2, exchange.DeclareOk())
    server.reply(1, queue.DeclareOk("q", 3, 1))
    turn()


def _confirm(ask: Ask, server: Engine, turn: Any) -> None:
    ask(lambda engine: engine.call(1, confirm.Select()))
    turn()
    server.reply(1, confirm.SelectOk())
    turn()
    for size in (0, 1, 5000, 140_000):
        ask(partial(_publish, size))
    turn()
    server.send_content(1, basic.Return(312, "NO_ROUTE", "e", "k"), HEADERS, b"b")
    server.call(1, basic.Ack(2, multiple=True))
    server.call(1, basic.Nack(3))
    server.call(1, basic.Ack(4))
    turn()


def _consume(ask: Ask, server: Engine, turn: Any) -> None:
    ask(lambda engine: engine.call(2, basic.Consume("q", "tag")))
    turn()
    server.reply(2, basic.ConsumeOk("tag"))
    for number, size in enumerate((3, 0, 140_000, 900), start=1):
        server.send_content(2, basic.Deliver("tag", number, number == 2, "e", "k"), HEADERS, b"c" * size)
    turn()
    ask(lambda engine: engine.ack(2, 2, multiple=True))
    ask(lambda engine: engine.call(2, basic.Reject(3, requeue=True)))
    turn()


def _flood(_ask: Ask, server: Engine, turn: Any) -> None:
    for number in range(5, 25):
        server.out.append(frames.HEARTBEAT_FRAME)
        server.send_content(2, basic.Deliver("tag", number, False, "e", "k" * number), PLAIN, b"d" * number)
        server.call(1, basic.Ack(4))
    turn()


def _inquire(ask: Ask, server: Engine, turn: Any) -> None:
    ask(lambda engine: engine.call(1, basic.Get("q")))
    ask(lambda engine: engine.call(1, basic.Get("q")))
    turn()
    server.send_content(1, basic.GetOk(1, False, "e", "k", 7), PLAIN, b"got")
    server.reply(1, basic.GetEmpty())
    turn()


def _alarms(_ask: Ask, server: Engine, turn: Any) -> None:
    server.out.append(frames.method_frame(0, connection.Blocked("memory").encode(), 4096))
    server.out.append(frames.method_frame(0, connection.Unblocked().encode(), 4096))
    server.call(2, basic.Cancel("tag", no_wait=True))
    server.call(2, channel.Flow(active=False))
    turn()


def _publish(size: int, engine: Engine) -> None:
    engine.publish(1, b"b" * size, HEADERS, "e", "k", mandatory=size == 1)


SESSION = session()
