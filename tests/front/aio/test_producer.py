"""Producers: what a message is made of, and what is declared for it."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
from dulse.aio.message import Message
from dulse.policy.clocks import VirtualClock


async def get(connection: Connection, name: str = "q") -> Message:
    message = await Queue(name)(connection).get(no_ack=True)
    assert message is not None
    return message


async def count(connection: Connection, name: str = "q") -> int:
    return (await Queue(name)(connection).queue_declare(passive=True)).message_count


# ---------------------------------------------------------------------------------------------------------- body


@pytest.mark.parametrize(
    ("body", "content_type", "content_encoding"),
    [
        (b"bytes", "application/data", "binary"),
        (bytearray(b"more"), "application/data", "binary"),
        ("té", "text/plain", "utf-8"),
        ({"a": [1]}, "application/json", "utf-8"),
    ],
)
async def test_payloads_go_out_in_the_form_that_fits_them(
    url: str, body: object, content_type: str, content_encoding: str
) -> None:
    async with Connection(url) as connection:
        await connection.Producer().publish(body, routing_key="q", declare=[Queue("q")])
        message = await get(connection)
        assert message.payload == body
        assert (message.content_type, message.content_encoding) == (content_type, content_encoding)


async def test_a_serializer_is_used_for_text_and_bytes_too(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(serializer="json")
        await producer.publish("text", routing_key="q", declare=[Queue("q")])
        await producer.publish({"a": 1}, routing_key="q", serializer="pickle")
        assert (await get(connection)).body == b'"text"'
        assert (await get(connection)).content_type == "application/x-python-serialize"


async def test_with_a_content_type_nothing_is_serialized(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer()
        await producer.publish("té", "q", declare=[Queue("q")], content_type="text/html", content_encoding="latin-1")
        await producer.publish(b"\0", "q", content_type="image/png")
        text, image = await get(connection), await get(connection)
        assert (text.body, text.content_type, text.content_encoding) == (b"t\xe9", "text/html", "latin-1")
        assert (image.body, image.content_type, image.content_encoding) == (b"\0", "image/png", "binary")


async def test_a_payload_that_cannot_be_serialized_names_the_path_and_the_next_call_works(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer()
        with pytest.raises(errors.EncodeError, match=r"a\[0\]"):
            await producer.publish({"a": [object()]}, routing_key="q", declare=[Queue("q")])
        with pytest.raises(errors.EncodeError, match="image/png"):
            await producer.publish({}, content_type="image/png")
        await producer.publish(b"1", routing_key="q", declare=[Queue("q")])
        assert await count(connection) == 1


async def test_compression_is_named_in_a_header_and_leaves_the_callers_headers_alone(url: str) -> None:
    headers = {"a": 1}
    async with Connection(url) as connection:
        producer = connection.Producer(compression="zlib")
        await producer.publish("x" * 1000, routing_key="q", declare=[Queue("q")], headers=headers)
        await producer.publish("x" * 1000, routing_key="q", compression="bzip2")
        first, second = await get(connection), await get(connection)
        assert first.headers == {"a": 1, "compression": "application/x-gzip"}
        assert second.headers == {"compression": "application/x-bz2"}
        assert first.payload == second.payload == "x" * 1000
        assert headers == {"a": 1}


# ---------------------------------------------------------------------------------------------------- properties


async def test_properties_are_carried_and_absent_ones_left_out(url: str) -> None:
    async with Connection(url) as connection:
        await connection.Producer().publish(
            b"", routing_key="q", declare=[Queue("q")], correlation_id="c", reply_to=Queue("answers"), message_id=None
        )
        properties = (await get(connection)).properties
        assert (properties["correlation_id"], properties["reply_to"]) == ("c", "answers")
        assert (properties["priority"], properties["delivery_mode"]) == (0, 2)
        assert "message_id" not in properties


async def test_the_delivery_mode_is_that_of_the_call_or_of_the_exchange(url: str) -> None:
    async with Connection(url) as connection:
        transient = Exchange("t", "fanout", delivery_mode="transient")
        producer = connection.Producer(exchange=transient)
        await producer.publish(b"", declare=[Queue("q", transient)])
        await producer.publish(b"", delivery_mode="persistent")
        await producer.publish(b"", exchange=Exchange("t"))
        await producer.publish(b"", exchange="t")
        modes = [(await get(connection)).properties["delivery_mode"] for _ in range(4)]
        assert modes == [1, 2, 2, 1]
        with pytest.raises(errors.InvalidArgument, match="delivery_mode"):
            await producer.publish(b"", delivery_mode=3)


async def test_expiration_is_in_seconds_and_travels_as_milliseconds(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer()
        await producer.publish(b"", routing_key="q", declare=[Queue("q")], expiration=1.5)
        assert (await get(connection)).properties["expiration"] == "1500"
        for wrong in (-1, float("nan"), "soon"):
            with pytest.raises(errors.InvalidArgument, match="expiration"):
                await producer.publish(b"", routing_key="q", expiration=wrong)  # type: ignore[arg-type]


async def test_a_delayed_message_arrives_later(url: str) -> None:
    clock = VirtualClock()
    async with Connection(url, clock=clock) as connection:
        queue = Queue("q")(connection)
        await connection.Producer().publish(b"later", routing_key="q", declare=[Queue("q")], delay=3600)
        clock.advance(3599)
        assert await queue.get() is None
        clock.advance(1)
        assert (await get(connection)).body == b"later"


async def test_nothing_of_what_is_published_can_be_changed_afterwards(url: str) -> None:
    headers: dict[str, Any] = {"list": [1], "table": {"a": 1}}
    body = bytearray(b"before")
    async with Connection(url) as connection:
        await connection.Producer().publish(body, routing_key="q", declare=[Queue("q")], headers=headers)
        body[:] = b"after!"
        headers["list"].append(2)
        headers["table"]["a"] = 2
        message = await get(connection)
        assert (message.headers, message.body) == ({"list": [1], "table": {"a": 1}}, b"before")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"priority": 256}, errors.InvalidArgument),
        ({"priority": -1}, errors.InvalidArgument),
        ({"routing_key": "k" * 256}, errors.InvalidArgument),
        ({"headers": {"h": ...}}, errors.EncodeError),
        ({"delay": -1}, errors.InvalidArgument),
        ({"timeout": 0}, errors.InvalidArgument),
        ({"confirm_timeout": -1}, errors.InvalidArgument),
        ({"serializer": "unheard-of"}, errors.SerializerNotInstalled),
    ],
    ids=str,
)
async def test_bad_options_are_refused_and_the_next_call_works(
    url: str, options: dict[str, Any], error: type[Exception]
) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(routing_key="q")
        await Queue("q")(connection).declare()
        with pytest.raises(error):
            await producer.publish(b"", **options)
        await producer.publish(b"", timeout=5, confirm_timeout=5)
        assert await count(connection) == 1


# ------------------------------------------------------------------------------------------------------- declare


async def test_the_exchange_is_declared_before_the_first_message(url: str) -> None:
    async with Connection(url) as connection:
        exchange = Exchange("x", "fanout")
        await connection.Producer(exchange=exchange).publish(b"")
        await exchange(connection).declare(passive=True)


async def test_without_auto_declare_a_missing_exchange_is_not_found(url: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.NotFound, match="'x'"):
            await connection.Producer(exchange=Exchange("x"), auto_declare=False).publish(b"")


async def test_an_exchange_given_by_name_is_not_declared(url: str) -> None:
    async with Connection(url) as connection:
        await Exchange("x", "fanout")(connection).declare()
        await connection.Producer(exchange="x").publish(b"", declare=[Queue("q", Exchange("x", "fanout"))])
        assert await count(connection) == 1


async def test_what_a_message_needs_is_declared_once_and_the_callers_list_stays(url: str) -> None:
    declared: list[str] = []
    queue = Queue("q", Exchange("x", "fanout"), on_declared=lambda name, *_: declared.append(name))
    needed = [queue]
    async with Connection(url) as connection:
        producer = connection.Producer(exchange=Exchange("x", "fanout"))
        for _ in range(3):
            await producer.publish(b"", declare=needed)
        assert await count(connection) == 3
        queue.max_length = 10
        with pytest.raises(errors.PreconditionFailed):
            await producer.publish(b"", declare=needed)
    assert declared == ["q"]
    assert needed == [queue]


async def test_what_says_that_it_may_vanish_is_declared_each_time(url: str) -> None:
    class Vanishing(Queue):
        can_cache_declaration = False

    async with Connection(url) as connection, Connection(url) as other:
        producer = connection.Producer(routing_key="q")
        await producer.publish(b"", declare=[Queue("q")])
        await Queue("q")(other).delete()
        await producer.publish(b"", declare=[Vanishing("q")])
        assert await count(connection) == 1


async def test_a_producer_declares_again_what_it_did_not_find(url: str) -> None:
    async with Connection(url) as connection, Connection(url) as other:
        producer = connection.Producer(exchange=Exchange("x"))
        await producer.publish(b"")
        await Exchange("x")(other).delete()
        with pytest.raises(errors.NotFound):
            await producer.publish(b"")
        await producer.publish(b"")
        await Exchange("x")(other).declare(passive=True)


async def test_declare_and_maybe_declare_can_be_called(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(exchange=Exchange("x"))
        await producer.declare()
        assert await producer.maybe_declare(Queue("q")) is True
        assert await producer.maybe_declare(Queue("q"), retry=True, max_retries=1) is False
        assert await producer.maybe_declare(None) is False
