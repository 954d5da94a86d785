"""Arguments of the wrong kind: a typed error that names them, nothing is done, and the next call works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Queue
from dulse.aio.messaging import Consumer, Producer
from dulse.aio.simple import SimpleQueue

NUMBER: Any = 5
FRACTION: Any = 1.5
TEXT: Any = "x"
LIST: Any = [5]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"timeout": "soon"}, "timeout must be more than 0 seconds, not 'soon'"),
        ({"confirm_timeout": "soon"}, "confirm_timeout must be more than 0 seconds"),
        ({"declare": "q"}, "declare must be a list of exchanges and queues, not of type str"),
        ({"declare": Queue("q")}, "declare must be a list of exchanges and queues, not of type Queue"),
        ({"declare": [5]}, "each of declare must be an exchange or queue, not of type int"),
        ({"headers": [1]}, "headers must be a mapping of names to values, not of type list"),
        ({"headers": "abc"}, "headers must be a mapping of names to values, not of type str"),
        ({"exchange": 5}, "exchange must be an Exchange or the name of one, not of type int"),
        ({"retry": True, "retry_policy": {"nonsense": 1}}, "retry_policy must be .* 'nonsense'"),
        ({"retry": True, "retry_policy": 5}, "retry_policy must be"),
        ({"correlation_id": 5}, "property correlation_id 5 is no text but int"),
        ({"reply_to": 5}, "property reply_to 5 is no text but int"),
        ({"content_type": 5}, "property content_type 5 is no text but int"),
        ({"session": 5, "timeout": -1}, "timeout must be more than 0 seconds, not -1"),
    ],
)
async def test_a_publish_that_cannot_be_meant_is_refused_by_name(url: str, wrong: dict[str, Any], words: str) -> None:
    async with Connection(url) as connection:
        queue = Queue("q")(connection)
        await queue.declare()
        producer = connection.Producer(routing_key="q")

        with pytest.raises(errors.InvalidArgument, match=words):
            await producer.publish("wrong", **wrong)

        await producer.publish("right")
        found = [await queue.get(no_ack=True) for _ in range(2)]
        assert [message and message.payload for message in found] == ["right", None]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Queue("q", bindings=TEXT), "bindings must be a list of bindings, not of type str"),
        (lambda: Queue("q", bindings=LIST), "each of the bindings must be a binding, not of type int"),
        (lambda: Queue("q", LIST), "each of the bindings must be a binding, not of type int"),
        (lambda: Queue("q", NUMBER), "exchange must be an Exchange, its name, or a list of bindings, not of type int"),
        (lambda: Queue("q", queue_arguments=LIST), "queue 'q': arguments must be a mapping"),
        (lambda: Connection(NUMBER), "the broker must be a URL or a list of them, not of type int"),
        (lambda: Connection("memory://", transport_options=NUMBER), "transport_options must be a mapping"),
        (lambda: Connection("memory://").Pool(TEXT), "limit is 'x': give a number"),
        (lambda: Connection("memory://").ChannelPool(FRACTION), "limit is 1.5: give a number"),
        (lambda: Producer(NUMBER), "channel must be a Channel or a Connection, not of type int"),
        (lambda: Consumer(NUMBER, []), "channel must be a Channel or a Connection, not of type int"),
        (lambda: SimpleQueue(NUMBER, "q"), "channel must be a Channel or a Connection, not of type int"),
        (lambda: Connection("memory://").Producer(on_return=TEXT), "on_return must be callable, not of type str"),
    ],
)
def test_what_is_made_of_the_wrong_things_is_refused_by_name(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=words):
        make()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"queues": 5}, "queues must be a Queue, or a list of them, not of type int"),
        ({"callbacks": 5}, "callbacks must be a list of callables, not of type int"),
        ({"callbacks": [5]}, "callback must be callable, not of type int"),
        ({"on_message": 5}, "on_message must be callable, not of type int"),
        ({"on_decode_error": "x"}, "on_decode_error must be callable, not of type str"),
        ({"accept": 5}, "accept takes a list of names or content types, not the int 5"),
        ({"accept": "json"}, "accept takes a list of names or content types, not the str 'json'"),
    ],
)
async def test_a_consumer_of_the_wrong_things_is_refused_by_name(url: str, wrong: dict[str, Any], words: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.InvalidArgument, match=words):
            connection.Consumer(**{"queues": [Queue("q")], **wrong})


async def test_waits_that_are_no_number_of_seconds_are_refused(url: str) -> None:
    async with Connection(url) as connection:
        producer, simple, pool = connection.Producer(), connection.SimpleQueue("q"), connection.Pool(1)
        for wrong in (NUMBER - 6, TEXT):
            with pytest.raises(errors.InvalidArgument, match="timeout is"):
                await producer.flush(timeout=wrong)
            with pytest.raises(errors.InvalidArgument, match="timeout is"):
                await pool.acquire(block=True, timeout=wrong)
            with pytest.raises(errors.InvalidArgument, match="timeout is"):
                await simple.get(timeout=wrong)


async def test_things_that_are_no_exchange_or_queue_are_neither_bound_nor_opened(url: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.InvalidArgument, match="exchange or queue must be one, or a name, not of type int"):
            await Queue("q")(connection).bind_to(NUMBER, "key")
        with pytest.raises(errors.InvalidArgument, match="name must be a Queue or the name of one, not of type int"):
            connection.SimpleQueue(NUMBER)
