"""A password is in no text that anybody may come to see: messages of errors, representations, logs."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import dulse
from dulse import Connection, Exchange, Queue, aio, binding, errors
from dulse.drivers import find_driver
from dulse.transport import Driver, Settings

SECRET = "s3cr3t/w@rd"
ENCODED = "s3cr3t%2Fw%40rd"
PIECES = ("s3cr3t", "w%40rd", "w@rd")

URL = f"memory://user:{ENCODED}@secrets/"


def check(text: str) -> None:
    for piece in PIECES:
        assert piece not in text, text


def open_memory(settings: Settings) -> Any:
    """Serve the memory transport under an address with a password."""
    return find_driver("memory").open_blocking(settings)


class Failing:
    """A transport that refuses to open."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def open(self, timeout: float) -> None:
        text = f"nobody answers at {self.settings.parameters.as_uri()}"
        raise errors.make(errors.ConnectionRefused, text)

    def discard(self) -> None:
        """Have nothing to forget."""


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Connection(URL) as connection:
        yield connection


def public_objects(connection: Connection) -> dict[str, Any]:
    """Make an object of every public class that a connection leads to."""
    exchange, queue = Exchange("exchange"), Queue("queue", Exchange("exchange"), "key")
    channel = connection.channel()
    bound = queue(channel)
    bound.declare()
    producer = connection.Producer(channel, exchange=exchange)
    producer.publish("body", routing_key="key")
    message = bound.get()
    assert message is not None
    message.ack()
    consumer = connection.Consumer(queue, channel, on_message=print)
    consumer.consume()
    mailbox = dulse.Mailbox("mailbox")(connection)
    return {
        "connection": connection,
        "channel": channel,
        "session": connection.transport,
        "transport": connection.transport.transport,
        "settings": connection.settings(),
        "parameters": connection.settings().parameters,
        "parsed": dulse.parse_url(URL),
        "manager": connection.manager,
        "producer": producer,
        "batch": producer.batch(),
        "consumer": consumer,
        "message": message,
        "exchange": exchange(channel),
        "queue": bound,
        "binding": binding(exchange, "key"),
        "simple queue": connection.SimpleQueue("simple"),
        "simple buffer": connection.SimpleBuffer("buffer"),
        "pool": connection.Pool(2),
        "channel pool": connection.ChannelPool(2),
        "pool of producers": dulse.producers[connection],
        "pools": dulse.connections,
        "key of pools": list(dulse.producers),
        "mailbox": mailbox,
        "node": mailbox.Node("host"),
        "equality key": connection.__eqhash__() if hasattr(connection, "__eqhash__") else None,
        "clone": connection.clone(),
    }


def test_no_representation_shows_a_password(connection: Connection) -> None:
    made = public_objects(connection)
    try:
        for thing in made.values():
            check(repr(thing))
            check(str(thing))
            if hasattr(thing, "__dict__"):
                check(repr({name: value for name, value in vars(thing).items() if _is_ours(value)}))
    finally:
        made["pool of producers"].force_close_all()


def _is_ours(value: object) -> bool:
    return type(value).__module__.startswith("dulse")


def test_as_uri_masks_the_password_unless_it_is_asked_for(connection: Connection) -> None:
    check(connection.as_uri())
    assert ENCODED in connection.as_uri(include_password=True)


def test_alternates_with_passwords_show_none() -> None:
    with Connection(f"{URL};memory://other:{ENCODED}@elsewhere/") as connection:
        connection.connect()
        check(repr(connection))
        check(repr(connection.transport))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Connection(f"nosuch://user:{ENCODED}@host/"),
        lambda: Connection(f"memory://user:{SECRET}@host/"),
        lambda: Connection(f"memory://user:{ENCODED}@host:port/"),
        lambda: Connection(f"memory://user:{ENCODED}@host/?leese={ENCODED}"),
        lambda: Connection(f"memory://user:{ENCODED}@host/?lease={ENCODED}"),
        lambda: Connection(f"memory://user:{ENCODED}%zz@host/"),
        lambda: Connection(f"sqlite://user:{ENCODED}@host"),
        lambda: dulse.parse_url(f"memory://user:{SECRET}@host/"),
    ],
)
def test_no_error_of_an_address_shows_a_password(make: Callable[[], object]) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        make()

    check(str(caught.value).replace(f"not '{SECRET}'", ""))
    assert caught.value.__cause__ is None or PIECES[0] not in str(caught.value.__cause__)


def test_no_error_or_log_of_connecting_shows_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    failing: Any = Failing
    driver = Driver("failing", failing, failing)
    connection = Connection(URL, transport=driver)

    with pytest.raises(errors.ConnectionRefused) as caught:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)

    check(str(caught.value))
    check(caplog.text)
    check(repr(connection))


def test_no_log_of_work_shows_a_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Connection(URL) as connection:
        public_objects(connection)["pool of producers"].force_close_all()
        with pytest.raises(errors.NotFound) as caught:
            Queue("missing")(connection.channel()).get()
    with pytest.raises(errors.ConnectionClosed) as closed:
        connection.drain_events(timeout=0)

    check(str(caught.value))
    check(str(closed.value))
    check(caplog.text)


def test_the_asyncio_form_shows_no_password() -> None:
    async def main() -> None:
        async with aio.Connection(URL) as connection:
            await aio.Queue("queue")(connection).declare()
            producer = connection.Producer()
            for thing in (
                connection,
                producer,
                await connection.channel(),
                connection.transport,
                connection.settings(),
            ):
                check(repr(thing))

    asyncio.run(main())


def test_a_pickled_connection_still_knows_its_password(connection: Connection) -> None:
    copied = pickle.loads(pickle.dumps(connection))

    assert copied.password == SECRET
    check(repr(copied))
