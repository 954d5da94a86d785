"""Messages and declarations that no broker could carry are refused, naming what is wrong, and nothing is written."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from dulse import Connection, Exchange, Queue, aio, errors

LONG = ["x" * 256, "é" * 128]
"""256 bytes of UTF-8 each."""

GoesOn = Callable[[], None]


class Unknown:
    """Something that no serializer knows."""


def publish(connection: Connection, body: Any = "body", **options: Any) -> None:
    connection.Producer().publish(body, **{"routing_key": "work", **options})


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize(
    ("kind", "use"),
    [
        ("queue", lambda connection, name: Queue(name)(connection).declare()),
        ("exchange", lambda connection, name: Exchange(name)(connection).declare()),
        ("exchange", lambda connection, name: publish(connection, exchange=name)),
        ("routing key", lambda connection, name: publish(connection, routing_key=name)),
        ("routing key", lambda connection, name: Queue("work", Exchange("e"), name)(connection).bind_to("e", name)),
        ("consumer tag", lambda connection, name: Queue("work")(connection).consume(name, print)),
        ("property correlation_id", lambda connection, name: publish(connection, correlation_id=name)),
        ("property reply_to", lambda connection, name: publish(connection, reply_to=name)),
    ],
)
def test_a_name_over_255_bytes_is_refused(
    connection: Connection, goes_on: GoesOn, kind: str, use: Callable[[Connection, str], object], name: str
) -> None:
    with pytest.raises(errors.InvalidArgument, match=f"the {kind} '{name[:10]}.*256 bytes .* the limit is 255"):
        use(connection, name)

    goes_on()


def test_a_name_of_255_bytes_is_taken(connection: Connection) -> None:
    name = "é" * 127 + "x"
    Queue(name)(connection).declare()
    publish(connection, routing_key=name)

    message = Queue(name)(connection).get()

    assert message is not None
    assert message.payload == "body"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"a": Unknown()}, r"headers\.a: no broker can carry a 'Unknown'"),
        ({"a": {"b": [1, Unknown()]}}, r"headers\.a\.b\[1\]: no broker can carry"),
        ({"a": {1, 2}}, r"headers\.a: no broker can carry a 'set'"),
        ({"a": 2**63}, r"headers\.a: the integer does not fit 64 bits"),
        ({"a": float("nan")}, r"headers\.a: nan is no finite number"),
        ({1: "a"}, "headers: the name 1 is a 'int'"),
        ({"k" * 256: 1}, "the name takes 256 bytes; the limit is 255"),
        ({"a": "\ud800"}, r"headers\.a: the text is not valid Unicode"),
        ({"a": "x" * 200_000}, "more than 126976 bytes"),
    ],
)
def test_a_header_that_no_broker_could_carry_is_refused_by_its_path(
    connection: Connection, goes_on: GoesOn, headers: Any, text: str
) -> None:
    with pytest.raises(errors.EncodeError, match=text):
        publish(connection, headers=headers)

    goes_on()


def test_headers_nested_without_end_are_refused(connection: Connection, goes_on: GoesOn) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless

    with pytest.raises(errors.EncodeError, match="nested deeper than 32 levels"):
        publish(connection, headers=endless)

    goes_on()


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf"), 1e20, "soon"])
@pytest.mark.parametrize("option", ["expiration", "delay"])
def test_a_time_to_live_or_delay_below_zero_is_refused(
    connection: Connection, goes_on: GoesOn, option: str, seconds: Any
) -> None:
    with pytest.raises(errors.InvalidArgument, match=f"{option} must be .* not {seconds!r}".replace("+", r"\+")):
        publish(connection, **{option: seconds})

    goes_on()


@pytest.mark.parametrize("priority", [-1, 256, 1.5, True, "high"])
def test_a_priority_out_of_range_is_refused(connection: Connection, goes_on: GoesOn, priority: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match=f"priority must be .* from 0 to 255, not {priority!r}"):
        publish(connection, priority=priority)

    goes_on()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("message_ttl", -1),
        ("expires", 0),
        ("expires", -1),
        ("max_length", -1),
        ("max_length_bytes", -1),
        ("max_priority", 256),
        ("max_priority", -1),
    ],
)
def test_a_queue_with_an_option_out_of_range_is_refused(
    connection: Connection, goes_on: GoesOn, option: str, value: Any
) -> None:
    with pytest.raises(errors.InvalidArgument, match=rf"queue 'new': {option} must be .* not {value}"):
        Queue("new", **{option: value})(connection).declare()

    goes_on()


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("x-message-ttl", -1),
        ("x-message-ttl", "5"),
        ("x-expires", 0),
        ("x-max-length", -1),
        ("x-max-priority", 256),
        ("x-overflow", "burst"),
        ("x-dead-letter-exchange", 3),
        ("x-delivery-limit", -1),
    ],
)
def test_a_queue_argument_out_of_range_is_refused_as_rabbitmq_does(
    connection: Connection, goes_on: GoesOn, argument: str, value: Any
) -> None:
    with pytest.raises(errors.PreconditionFailed, match=rf"\(406\).*'{argument}' for queue 'new'"):
        Queue("new", queue_arguments={argument: value})(connection.channel()).declare()

    goes_on()


CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)


@pytest.mark.parametrize(
    ("body", "serializer", "text"),
    [
        ({"a": [1, {"b": Unknown()}]}, "json", r"\$\.a\[1\]\.b: object of type 'Unknown'"),
        ({"a": [1, {"b": Unknown()}]}, "msgpack", r"\$\.a\[1\]\.b"),
        ({"a": [1, {"b": Unknown()}]}, "yaml", r"\$\.a\[1\]\.b"),
        ({"a": {(1, 2): 3}}, "json", r"\$\.a"),
        (CIRCULAR, "json", "circular reference"),
    ],
)
def test_a_body_that_cannot_be_serialized_names_the_path_to_the_value(
    connection: Connection, goes_on: GoesOn, body: Any, serializer: str, text: str
) -> None:
    with pytest.raises(errors.EncodeError, match=text):
        publish(connection, body, serializer=serializer)

    goes_on()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"serializer": "nosuch"}, "no serializer is called 'nosuch': there are .*json"),
        ({"compression": "nosuch"}, "no compression is called 'nosuch': there are .*gzip"),
    ],
)
def test_an_unknown_serializer_or_compression_is_told_with_those_that_are_known(
    connection: Connection, goes_on: GoesOn, options: Any, text: str
) -> None:
    with pytest.raises(errors.SerializerNotInstalled, match=text):
        publish(connection, **options)

    goes_on()


def test_one_bad_message_of_many_has_none_of_its_step_written(connection: Connection, goes_on: GoesOn) -> None:
    bodies: list[Any] = [1, 2, {"a": Unknown()}, 4]

    with pytest.raises(errors.EncodeError, match=r"\$\.a"):
        connection.Producer().publish_many(bodies, routing_key="work")

    goes_on()


@pytest.mark.parametrize("count", [-1, 65536, 1.5, "ten"])
def test_a_prefetch_count_out_of_range_is_refused(connection: Connection, goes_on: GoesOn, count: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match=f"prefetch count {count!r} is out of range: .* to 65535"):
        connection.channel().basic_qos(0, count, False)

    goes_on()


def test_the_asyncio_form_refuses_the_same() -> None:
    async def main() -> None:
        async with aio.Connection(f"memory://{uuid.uuid4().hex}") as connection:
            queue = aio.Queue("work")(connection)
            await queue.declare()
            producer = connection.Producer()
            refused: list[tuple[dict[str, Any], type[Exception]]] = [
                ({"routing_key": LONG[0]}, errors.InvalidArgument),
                ({"headers": {"a": Unknown()}}, errors.EncodeError),
                ({"expiration": -1}, errors.InvalidArgument),
                ({"priority": 256}, errors.InvalidArgument),
            ]
            for options, kind in refused:
                with pytest.raises(kind):
                    await producer.publish("body", **{"routing_key": "work", **options})
            with pytest.raises(errors.EncodeError, match=r"\$\.a"):
                await producer.publish({"a": Unknown()}, routing_key="work")
            assert await queue.get() is None
            await producer.publish("next", routing_key="work")
            message = await queue.get()
            assert message is not None
            assert message.payload == "next"

    asyncio.run(main())
