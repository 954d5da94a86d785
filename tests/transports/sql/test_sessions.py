"""Publishing inside the caller's own transaction: a message exists exactly if the caller commits."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, pool, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import dulse.aio
from dulse import Connection, Exchange, Queue, errors
from tests.faults.programs import Program, say
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "sqlite": "sqlite"}
ASYNC_DRIVERS = {"postgresql": "postgresql+asyncpg", "mariadb": "mysql+asyncmy", "sqlite": "sqlite+aiosqlite"}
KINDS = ["postgresql", "mariadb", "sqlite"]
WORK = Queue("work", Exchange("orders"), routing_key="paid")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> str:
    """The URL of a database as SQLAlchemy has it."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/broker.sqlite"
    found: str = request.getfixturevalue(f"{kind}_url")
    return found


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with Connection(f"sqla+{url}") as connection:
        WORK(connection.default_channel).declare()
        yield connection


def engine_of(url: str, **options: Any) -> Engine:
    parsed = make_url(url)
    return create_engine(parsed.set(drivername=DRIVERS[parsed.get_backend_name()]), **options)


@pytest.fixture
def engine(url: str, connection: Connection) -> Iterator[Engine]:
    """Give the program's own engine, with a table of its own beside ours."""
    engine = engine_of(url)
    with engine.begin() as begun:
        begun.execute(text("CREATE TABLE orders (id integer)"))
    yield engine
    engine.dispose()


@asynccontextmanager
async def async_session(url: str) -> AsyncIterator[AsyncSession]:
    parsed = make_url(url)
    engine = create_async_engine(parsed.set(drivername=ASYNC_DRIVERS[parsed.get_backend_name()]))
    try:
        async with AsyncSession(engine) as session:
            yield session
    finally:
        await engine.dispose()


def publish(connection: Connection, body: Any, session: Any, **options: Any) -> None:
    connection.Producer(exchange="orders").publish(body, routing_key="paid", session=session, **options)


def waiting(connection: Connection) -> list[Any]:
    """Take all that is there."""
    queue = WORK(connection.default_channel)
    found = []
    while (message := queue.get()) is not None:
        found.append(message.payload)
        message.ack()
    return found


@pytest.mark.parametrize("is_session", [True, False], ids=["session", "connection"])
def test_a_message_exists_once_the_caller_has_committed(
    connection: Connection, engine: Engine, is_session: bool
) -> None:
    with Session(engine) if is_session else engine.connect() as session:
        session.execute(text("INSERT INTO orders VALUES (7)"))
        publish(connection, "paid 7", session)
        assert waiting(connection) == []
        session.commit()

    assert waiting(connection) == ["paid 7"]


@pytest.mark.parametrize("is_session", [True, False], ids=["session", "connection"])
def test_a_message_never_existed_if_the_caller_rolls_back(
    connection: Connection, engine: Engine, is_session: bool
) -> None:
    with Session(engine) if is_session else engine.connect() as session:
        session.execute(text("INSERT INTO orders VALUES (7)"))
        publish(connection, "paid 7", session)
        session.rollback()
        session.commit()

    assert waiting(connection) == []


def test_the_session_of_a_thread_is_taken(connection: Connection, engine: Engine) -> None:
    sessions = scoped_session(sessionmaker(engine))
    publish(connection, "paid 7", sessions)
    sessions.commit()
    sessions.remove()

    assert waiting(connection) == ["paid 7"]


async def test_with_asyncio_the_callers_commit_decides_as_well(url: str, connection: Connection) -> None:
    connection.release()
    async with dulse.aio.Connection(f"sqla+{url}") as broker, async_session(url) as session:
        producer = broker.Producer(exchange="orders")
        await producer.publish("rolled back", routing_key="paid", session=session)
        await session.rollback()
        await producer.publish("committed", routing_key="paid", session=session)
        await session.commit()
        direct: AsyncConnection = await session.connection()
        await producer.publish("by the connection", routing_key="paid", session=direct)
        await session.commit()

    with Connection(f"sqla+{url}") as again:
        assert waiting(again) == ["committed", "by the connection"]


def test_a_batch_goes_with_the_session_of_each_message(connection: Connection, engine: Engine) -> None:
    producer = connection.Producer(exchange="orders")
    with Session(engine) as session, Session(engine) as other:
        with producer.batch():
            producer.publish("first", routing_key="paid", session=session)
            producer.publish("second", routing_key="paid", session=session)
        session.commit()
        producer.publish_many(["third", "fourth"], routing_key="paid", session=other)
        other.rollback()

    assert waiting(connection) == ["first", "second"]


def test_a_savepoint_takes_its_messages_with_it(connection: Connection, engine: Engine) -> None:
    with Session(engine) as session:
        publish(connection, "kept", session)
        inner = session.begin_nested()
        publish(connection, "taken back", session)
        inner.rollback()
        session.commit()

    assert waiting(connection) == ["kept"]


def test_a_savepoint_takes_the_messages_of_those_within_it_as_well(connection: Connection, engine: Engine) -> None:
    with engine.begin() as session, session.begin_nested():
        publish(connection, "first", session)
        outer = session.begin_nested()
        publish(connection, "taken back", session)
        with session.begin_nested():
            publish(connection, "taken back, too", session)
        outer.rollback()
        publish(connection, "second", session)

    assert waiting(connection) == ["first", "second"]


async def test_a_savepoint_of_asyncio_takes_its_messages_with_it(url: str, connection: Connection) -> None:
    connection.release()
    async with dulse.aio.Connection(f"sqla+{url}") as broker, async_session(url) as session:
        producer = broker.Producer(exchange="orders")
        await producer.publish("kept", routing_key="paid", session=session)
        outer = await session.begin_nested()
        async with session.begin_nested():
            await producer.publish("taken back", routing_key="paid", session=session)
        await outer.rollback()
        await session.commit()

    with Connection(f"sqla+{url}") as again:
        assert waiting(again) == ["kept"]


def test_a_waiting_consumer_is_woken_by_the_callers_commit(connection: Connection, url: str, engine: Engine) -> None:
    found: list[Any] = []
    is_ready = threading.Event()

    def consume() -> None:
        with Connection(f"sqla+{url}") as other, other.Consumer(WORK, on_message=found.append):
            is_ready.set()
            while not found:
                other.drain_events(timeout=60)
            found[0].ack()

    consumer = threading.Thread(target=consume)
    consumer.start()
    assert is_ready.wait(60)
    with Session(engine) as session:
        publish(connection, "paid 7", session)
        session.commit()
    consumer.join(60)

    assert [message.payload for message in found] == ["paid 7"]


def test_an_outdated_route_is_found_out_within_the_transaction(
    connection: Connection, url: str, engine: Engine
) -> None:
    producer = connection.Producer(exchange="orders")
    producer.publish("before", routing_key="paid")
    with Connection(f"sqla+{url}") as other:
        Queue("copies", WORK.exchange, routing_key="paid")(other.default_channel).declare()
    with Session(engine) as session:
        producer.publish("after", routing_key="paid", session=session)
        session.commit()

    copy = Queue("copies")(connection.default_channel).get()
    assert copy is not None
    assert copy.payload == "after"
    copy.ack()
    assert waiting(connection) == ["before", "after"]


def test_what_no_queue_wants_is_told_and_leaves_the_transaction_alone(connection: Connection, engine: Engine) -> None:
    with Session(engine) as session:
        publish(connection, "first", session)
        with pytest.raises(errors.Unroutable):
            connection.Producer(exchange="orders").publish(
                "nobody's", routing_key="nowhere", mandatory=True, session=session
            )
        session.commit()

    assert waiting(connection) == ["first"]


def test_a_full_queue_refuses_what_this_transaction_puts_too_much(connection: Connection, engine: Engine) -> None:
    full = Queue("full", queue_arguments={"x-max-length": 3, "x-overflow": "reject-publish"})
    full(connection.default_channel).declare()
    producer = connection.Producer()
    with Session(engine) as session:
        for number in range(3):
            producer.publish(number, routing_key="full", session=session)
        with pytest.raises(errors.Refused):
            producer.publish(3, routing_key="full", session=session)
        session.commit()
    with pytest.raises(errors.Refused):
        producer.publish(4, routing_key="full")

    (status,) = connection.manager.queues("full")
    assert status.ready == 3


def test_a_queue_that_drops_its_head_is_within_its_limit_after_the_next_message(
    connection: Connection, engine: Engine
) -> None:
    Queue("ring", queue_arguments={"x-max-length": 3})(connection.default_channel).declare()
    producer = connection.Producer()
    producer.publish("old", routing_key="ring")
    with Session(engine) as session:
        producer.publish_many(range(6), routing_key="ring", session=session)
        session.commit()
    producer.publish("last", routing_key="ring")

    queue = Queue("ring")(connection.default_channel)
    found = [message.payload for _ in range(4) if (message := queue.get(no_ack=True)) is not None]
    assert found == [4, 5, "last"]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"], indirect=True)
def test_an_open_transaction_holds_up_nobody_elses_messages(connection: Connection, engine: Engine) -> None:
    Queue("ring", queue_arguments={"x-max-length": 3})(connection.default_channel).declare()
    producer = connection.Producer()
    with Session(engine) as session:
        producer.publish("open", routing_key="ring", session=session)
        publish(connection, "open", session)
        producer.publish("not held up", routing_key="ring", timeout=10)
        connection.Producer(exchange="orders").publish("not held up", routing_key="paid", timeout=10)
        session.rollback()

    assert waiting(connection) == ["not held up"]


def test_a_session_of_another_database_is_refused(connection: Connection, tmp_path: Path) -> None:
    elsewhere = create_engine(f"sqlite:///{tmp_path}/elsewhere.sqlite", poolclass=pool.NullPool)
    with Session(elsewhere) as session:
        with pytest.raises(errors.NotSupported, match=r"elsewhere\.sqlite"):
            publish(connection, "lost", session)
        assert session.execute(text("SELECT 1")).scalar() == 1


@pytest.fixture
def foreign(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of another broker in a database of the same kind."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path}/other.sqlite"
        return
    server: PostgreSQL | MariaDB = request.getfixturevalue(kind)
    server.query("CREATE DATABASE another_broker")
    yield server.url_of("another_broker")
    server.query("DROP DATABASE another_broker")


def test_another_broker_of_the_same_kind_is_refused(connection: Connection, foreign: str) -> None:
    with Connection(f"sqla+{foreign}") as other:
        WORK(other.default_channel).declare()
    engine = engine_of(foreign)
    with Session(engine) as session, pytest.raises(errors.NotSupported, match="use a session of that database"):
        publish(connection, "lost", session)
    engine.dispose()


def test_a_session_that_commits_by_itself_is_refused(connection: Connection, engine: Engine) -> None:
    itself = engine.execution_options(isolation_level="AUTOCOMMIT")
    with itself.connect() as session, pytest.raises(errors.NotSupported, match="AUTOCOMMIT"):
        publish(connection, "lost", session)

    assert waiting(connection) == []


def test_what_is_no_session_is_refused(connection: Connection) -> None:
    with pytest.raises(errors.NotSupported, match="not str"):
        publish(connection, "lost", "session")


async def test_a_blocking_session_is_refused_by_asyncio(url: str, engine: Engine) -> None:
    with Session(engine) as session:
        async with dulse.aio.Connection(f"sqla+{url}") as broker:
            with pytest.raises(errors.NotSupported, match="event loop"):
                await broker.Producer().publish("lost", routing_key="work", session=session)


def test_a_broker_that_is_no_database_of_the_caller_refuses(tmp_path: Path) -> None:
    for broker in ("memory://", f"sqlite:///{tmp_path}/own.sqlite"):
        with Connection(broker) as connection:
            Queue("work")(connection.default_channel).declare()
            with pytest.raises(errors.NotSupported, match="publish without session"):
                connection.Producer().publish("lost", routing_key="work", session=object())


def die_before_commit(url: str) -> None:
    with Connection(f"sqla+{url}") as connection, Session(engine_of(url)) as session:
        connection.connect()  # SQLite has one writer at a time, and whoever connects writes
        session.execute(text("INSERT INTO orders VALUES (7)"))
        publish(connection, "never", session)
        session.flush()
        say("published")
        os.kill(os.getpid(), 9)


def test_nothing_is_there_if_the_caller_is_killed_before_the_commit(
    connection: Connection, engine: Engine, url: str
) -> None:
    program = Program(die_before_commit, url)
    try:
        assert program.hear(60) == "published"
        assert program.finish(60) == -9
    finally:
        program.end()

    assert waiting(connection) == []
    with engine.connect() as session:
        assert session.execute(text("SELECT count(*) FROM orders")).scalar() == 0


def test_a_transaction_that_looks_at_the_past_is_told_to_begin_again(
    postgresql: PostgreSQL, postgresql_url: str
) -> None:
    engine = engine_of(postgresql_url, isolation_level="REPEATABLE READ")
    with Connection(postgresql_url) as connection:
        connection.connect()
        with Session(engine) as session:
            session.execute(text("SELECT 1"))
            WORK(connection.default_channel).declare()
            with pytest.raises(errors.StorageBusy, match="begin again"):
                publish(connection, "too early", session)
            session.rollback()
            publish(connection, "in time", session)
            session.commit()
        assert waiting(connection) == ["in time"]
    engine.dispose()
