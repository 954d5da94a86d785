"""Producers."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from dulse import errors
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue
from dulse.aio.message import Message
from dulse.aio.messaging import Producer
from dulse.policy.clocks import VirtualClock


class Fails(Producer):
    """Loses the connection at its first tries."""

    tries = 0
    failures = 1

    async def _publish(self, *arguments: Any) -> None:
        self.tries += 1
        if self.tries <= self.failures:
            raise errors.make(errors.ConnectionLost, "a test cut the line")
        await super()._publish(*arguments)


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
        ({"headers": {"h": object()}}, errors.EncodeError),
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


# -------------------------------------------------------------------------------------------------------- return


async def test_a_mandatory_message_that_no_queue_wants_is_unroutable(url: str) -> None:
    async with Connection(url) as connection:
        with pytest.raises(errors.Unroutable) as caught:
            await connection.Producer().publish(b"1", routing_key="nowhere", mandatory=True)
        assert caught.value.message.routing_key == "nowhere"


async def test_on_return_gets_a_mandatory_message_that_no_queue_wants(url: str) -> None:
    returned: list[Any] = []
    async with Connection(url) as connection:
        producer = connection.Producer(on_return=lambda *given: returned.append(given))
        await producer.publish(b"1", routing_key="nowhere", mandatory=True)
        ((error, exchange, routing_key, message),) = returned
        assert isinstance(error, errors.Unroutable)
        assert (exchange, routing_key, message.body) == ("", "nowhere", b"1")


async def test_a_released_producer_is_not_told_of_others_messages(url: str) -> None:
    returned: list[Any] = []
    async with Connection(url) as connection:
        async with connection.Producer(on_return=lambda *given: returned.append(given)) as producer:
            await producer.publish(b"1", routing_key="nowhere", mandatory=True)
        with pytest.raises(errors.Unroutable):
            await connection.Producer().publish(b"2", routing_key="nowhere", mandatory=True)
        await producer.publish(b"3", routing_key="nowhere", mandatory=True)
        assert len(returned) == 2


# --------------------------------------------------------------------------------------------------------- retry


async def test_with_retry_a_message_gets_through_when_the_connection_breaks(url: str) -> None:
    async with Connection(url) as connection:
        producer = Fails(connection, Exchange("x", "fanout"))
        policy = {"max_retries": 3, "interval_start": 0}
        await producer.publish(b"1", declare=[Queue("q", Exchange("x", "fanout"))], retry=True, retry_policy=policy)
        assert producer.tries == 2
        assert await count(connection) == 1
        assert connection.transport_options == {}


async def test_after_a_retry_a_producer_still_finds_the_channel_of_the_moment(url: str) -> None:
    async with Connection(url) as connection:
        producer = Fails(connection, routing_key="q")
        await producer.publish(b"1", declare=[Queue("q")], retry=True, retry_policy={"interval_start": 0})
        await (await connection.default_channel).close()
        await producer.publish(b"2")
        assert await count(connection) == 2


async def test_retries_come_to_an_end(url: str) -> None:
    async with Connection(url) as connection:
        producer = Fails(connection)
        producer.failures = 99
        with pytest.raises(errors.OperationalError, match="a test cut the line"):
            await producer.publish(
                b"", retry=True, retry_policy={"max_retries": 2, "interval_start": 0, "interval_max": 0}
            )
        assert producer.tries == 3


async def test_without_retry_a_broken_connection_is_raised_at_once(url: str) -> None:
    async with Connection(url) as connection:
        producer = Fails(connection)
        with pytest.raises(errors.ConnectionLost):
            await producer.publish(b"")
        assert producer.tries == 1


# ---------------------------------------------------------------------------------------------------------- many


async def test_many_messages_are_published_in_order_with_options_of_their_own(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(routing_key="q")
        messages = [b"1", {"a": 2}, (b"3", {"headers": {"h": 3}})]
        published = await producer.publish_many(messages, max_size=2, declare=[Queue("q")], headers={"h": 0})
        assert published == 3
        got = [await get(connection) for _ in range(3)]
        assert [message.payload for message in got] == [b"1", {"a": 2}, b"3"]
        assert [message.headers for message in got] == [{"h": 0}, {"h": 0}, {"h": 3}]


async def test_a_batch_is_sent_in_steps_and_the_rest_at_the_end(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        producer, other = connection.Producer(routing_key="q"), connection.Producer(routing_key="q")
        counts = []
        async with producer.batch(max_size=2) as batch:
            for body in (b"1", b"2", b"3"):
                await producer.publish(body)
                counts.append(await count(connection))
            await other.publish(b"another producer's")
            counts.append(await count(connection))
            assert len(batch) == 1
            await batch.flush()
            counts.append(await count(connection))
            await producer.publish(b"4")
        counts.append(await count(connection))
        assert counts == [0, 2, 2, 3, 4, 5]


async def test_batches_of_two_producers_do_not_mix(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        first, second = connection.Producer(routing_key="q"), connection.Producer(routing_key="q")
        async with first.batch() as ones, second.batch() as twos:
            await first.publish(b"1")
            await second.publish(b"2")
            assert (len(ones), len(twos)) == (1, 1)


async def test_a_batch_that_ends_by_an_exception_drops_what_is_not_out(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        producer = connection.Producer(routing_key="q")

        async def fail() -> None:
            async with producer.batch(max_size=2):
                for body in (b"1", b"2", b"3"):
                    await producer.publish(body)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        await producer.publish(b"4")
        assert [(await get(connection)).body for _ in range(3)] == [b"1", b"2", b"4"]


async def test_a_batch_within_a_batch_adds_to_the_outer_one(url: str) -> None:
    async with Connection(url) as connection:
        await Queue("q")(connection).declare()
        producer = connection.Producer(routing_key="q")
        async with producer.batch() as outer:
            async with producer.batch() as inner:
                await producer.publish(b"1")
            assert inner is outer
            assert await count(connection) == 0
        assert await count(connection) == 1


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
async def test_a_batch_of_no_size_is_refused(url: str, size: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match="max_size"):
        Connection(url).Producer().batch(size)


async def test_a_batch_is_repeated_when_the_connection_breaks(url: str) -> None:
    class Breaks(Producer):
        tries = 0

        async def _send_all(self, *arguments: Any) -> None:
            self.tries += 1
            if self.tries == 1:
                raise errors.make(errors.ConnectionLost, "a test cut the line")
            await super()._send_all(*arguments)

    async with Connection(url) as connection:
        producer = Breaks(connection, routing_key="q")
        policy = {"interval_start": 0}
        await producer.publish_many([b"1", b"2"], declare=[Queue("q")], retry=True, retry_policy=policy)
        assert await count(connection) == 2


# ------------------------------------------------------------------------------------------------------- channel


async def test_a_producer_opens_nothing_before_its_first_message(url: str) -> None:
    connection = Connection(url)
    producer = connection.Producer(exchange=Exchange("x"))
    assert not connection.connected
    assert producer.connection is connection
    await connection.close()


async def test_a_producer_without_channel_says_so(url: str) -> None:
    producer: Producer = Producer(None)
    assert producer.connection is None
    with pytest.raises(errors.NotBoundError, match=r"revive\(\)"):
        await producer.publish(b"")
    async with Connection(url) as connection:
        producer.revive(connection)
        await producer.publish(b"", routing_key="q", declare=[Queue("q")])
        assert await count(connection) == 1


async def test_a_producer_can_be_moved_to_another_channel(url: str) -> None:
    async with Connection(url) as connection:
        first, second = await connection.channel(), await connection.channel()
        producer = first.Producer()
        assert await producer.channel is first
        producer.channel = second
        assert await producer.channel is second
        assert producer.connection is connection


async def test_a_producer_of_a_connection_survives_its_closed_channel(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(routing_key="q")
        await producer.publish(b"1", declare=[Queue("q")])
        with pytest.raises(errors.NotFound):
            await producer.publish(b"", exchange="missing")
        await producer.publish(b"2")
        assert await count(connection) == 2


async def test_flush_waits_for_what_was_published(url: str) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(routing_key="q")
        await producer.flush()
        await producer.publish(b"1", declare=[Queue("q")])
        await producer.flush(timeout=5)
        assert await count(connection) == 1


async def test_class_attributes_are_the_defaults_of_a_subclass(url: str) -> None:
    class Orders(Producer):
        exchange = Exchange("orders", "fanout")
        routing_key = "new"
        serializer = "json"

    async with Connection(url) as connection:
        producer = Orders(connection)
        await producer.publish("1", declare=[Queue("q", Exchange("orders", "fanout"))])
        message = await get(connection)
        assert (message.body, message.delivery_info["routing_key"]) == (b'"1"', "new")
        assert not Orders.exchange.is_bound


async def test_a_pickled_producer_can_be_revived(url: str) -> None:
    async with Connection(url) as connection:
        producer = pickle.loads(pickle.dumps(connection.Producer(exchange=Exchange("x"), routing_key="k")))
        assert (producer.exchange, producer.routing_key) == (Exchange("x"), "k")
        producer.revive(connection)
        await producer.publish(b"")


# ------------------------------------------------------------------------------------------------------- tracing


async def test_tracers_see_each_message_in_the_documented_order(url: str) -> None:
    seen: list[tuple[Any, ...]] = []

    class Traced(Producer):
        async def _publish(self, *arguments: Any) -> None:
            seen.append(arguments)
            arguments[4]["trace"] = "t"
            await super()._publish(*arguments)

    async with Connection(url) as connection:
        producer = Traced(connection)
        queue = Queue("q")
        await producer.publish(
            b"body", "q", headers={"h": 1}, priority=3, declare=[queue], timeout=5, confirm_timeout=6, message_id="m"
        )
        body, priority, content_type, content_encoding, headers, properties, *rest = seen[0]
        assert (body, priority, content_type, content_encoding) == (b"body", 3, "application/data", "binary")
        assert (headers, properties) == ({"h": 1, "trace": "t"}, {"delivery_mode": 2, "message_id": "m"})
        assert rest == ["q", False, False, "", [queue], 5, 6, False, None]
        assert (await get(connection)).headers == {"h": 1, "trace": "t"}


async def test_publishing_bytes_takes_at_most_six_frames_of_ours(url: str, frames: Any) -> None:
    async with Connection(url) as connection:
        producer = connection.Producer(exchange=Exchange("x", "fanout"))
        await producer.publish(b"first")
        with frames as seen:
            await producer.publish(b"second", routing_key="k")
        door = next(index for index, name in enumerate(seen) if name.endswith("Channel.publish"))
        assert seen[0] == "Producer.publish"
        assert door <= 6
