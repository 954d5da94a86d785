"""What goes wrong with a database is told by an error of its kind, which names the database and never the password."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

import dulse.aio
from dulse import Connection, Exchange, Queue, errors
from dulse.model.records import Put, Target
from dulse.transports.sql import SQLStorage
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

SECRET = "s3cret"


def opened(url: str) -> SQLStorage:
    storage = SQLStorage(url)
    storage.open(10)
    return storage


def test_a_server_that_is_absent_refuses() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        for scheme in ("postgresql", "mariadb", "mysql"):
            with pytest.raises(errors.ConnectionRefused, match=f"127.0.0.1:{port}") as raised:
                opened(f"{scheme}://somebody:{SECRET}@127.0.0.1:{port}/broker")
            assert SECRET not in str(raised.value)


def test_a_wrong_password_is_told_and_not_repeated(url: str) -> None:
    with pytest.raises(errors.AuthenticationFailed, match="dulse") as raised:
        opened(url.replace(":dulse@", f":{SECRET}@"))
    assert SECRET not in str(raised.value)


def test_a_database_that_does_not_exist_is_told(server: PostgreSQL | MariaDB) -> None:
    with pytest.raises(errors.StorageError, match="no such database"):
        opened(server.url_of("nowhere"))


def test_tables_of_a_newer_version_are_left_alone(server: PostgreSQL | MariaDB, url: str) -> None:
    opened(url).close(5)
    server.query("UPDATE dulse_meta SET value = 99 WHERE name = 'version'", url.rpartition("/")[2])

    with pytest.raises(errors.StorageCorrupt, match="newer dulse"):
        opened(url)


def test_tables_of_somebody_else_are_left_alone(server: PostgreSQL | MariaDB, url: str) -> None:
    database = url.rpartition("/")[2]
    server.query("CREATE TABLE dulse_record (mine int)", database)
    server.query("INSERT INTO dulse_record VALUES (7)", database)

    with pytest.raises(errors.StorageCorrupt, match="not those of a broker"):
        opened(url)

    assert server.query("SELECT mine FROM dulse_record", database) == "7"


def test_records_without_the_table_that_says_what_they_are_stay(server: PostgreSQL | MariaDB, url: str) -> None:
    storage = opened(url)
    storage.put([Put(b"1", [Target("q")])])
    storage.close(5)
    server.query("DROP TABLE dulse_meta", url.rpartition("/")[2])

    with pytest.raises(errors.StorageCorrupt, match="restore them"):
        opened(url)

    assert server.query("SELECT count(*) FROM dulse_record", url.rpartition("/")[2]) == "1"


def test_tables_that_were_made_in_part_are_completed(mariadb: MariaDB, mariadb_url: str) -> None:
    opened(mariadb_url).close(5)
    database = mariadb_url.rpartition("/")[2]
    mariadb.query("DELETE FROM dulse_meta WHERE name = 'version'", database)
    mariadb.query("DROP TABLE dulse_entry", database)

    storage = opened(mariadb_url)

    assert storage.change({}, {("x/here", "a"): "1"})
    storage.close(5)


def test_a_table_that_was_dropped_under_us_is_told(server: PostgreSQL | MariaDB, url: str) -> None:
    storage = opened(url)
    server.query("DROP TABLE dulse_record", url.rpartition("/")[2])

    with pytest.raises(errors.StorageCorrupt, match="no longer those of a dulse broker"):
        storage.put([Put(b"1", [Target("q")])])

    storage.close(5)


@pytest.fixture
def small_engine(tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database that takes 100 pages, and no more."""

    def bound(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 100")

    event.listen(Engine, "connect", bound)
    yield f"sqlite:///{tmp_path}/broker.sqlite"
    event.remove(Engine, "connect", bound)


def test_a_full_database_is_told_and_the_next_call_works(small_engine: str) -> None:
    storage = opened(small_engine)
    storage.put([Put(b"first", [Target("q")])])

    with pytest.raises(errors.StorageFull, match="free some space"):
        storage.put([Put(b"x" * 600_000, [Target("q")])])

    storage.put([Put(b"last", [Target("q")])])
    assert [leased.payload for leased in storage.reserve([("q", 9)], "owner", 1000)[0]] == [b"first", b"last"]
    storage.close(5)


def test_a_server_that_is_read_only_says_so(postgresql: PostgreSQL, postgresql_url: str) -> None:
    database = postgresql_url.rpartition("/")[2]
    opened(postgresql_url).close(5)
    postgresql.query(f"ALTER DATABASE {database} SET default_transaction_read_only = on", database)
    storage = opened(postgresql_url)

    with pytest.raises(errors.StorageReadOnly, match="name the primary"):
        storage.put([Put(b"1", [Target("q")])])

    storage.close(5)


def test_missing_rights_are_told(postgresql: PostgreSQL, postgresql_url: str) -> None:
    database = postgresql_url.rpartition("/")[2]
    user = f"guest_{database}"
    opened(postgresql_url).close(5)
    postgresql.query(f"CREATE USER {user} PASSWORD '{SECRET}'", database)
    try:
        with pytest.raises(errors.StorageReadOnly, match="this user may not") as raised:
            opened(postgresql_url.replace("dulse:dulse", f"{user}:{SECRET}"))
        assert SECRET not in str(raised.value)
    finally:
        postgresql.query(f"DROP USER {user}", database)


def test_a_record_larger_than_the_server_takes_is_refused(mariadb: MariaDB, mariadb_url: str) -> None:
    storage = opened(mariadb_url)

    with pytest.raises((errors.ContentTooLarge, errors.ConnectionLost)):
        storage.put([Put(b"x" * (17 << 20), [Target("q")])])

    assert storage.put([Put(b"small", [Target("q")])]) == ()
    storage.close(5)


@pytest.fixture
def packet(mariadb: MariaDB) -> Iterator[Callable[[int], None]]:
    """Let connections that are made from now on, in this test, send statements of so many bytes."""
    before = mariadb.query("SELECT @@global.max_allowed_packet")

    def limit(size: int) -> None:
        mariadb.query(f"SET GLOBAL max_allowed_packet = {size}")

    yield limit
    mariadb.start()
    limit(int(before))


@pytest.mark.parametrize("together", [False, True], ids=["alone", "with others"])
def test_a_server_that_takes_small_statements_takes_messages_up_to_its_limit(
    packet: Callable[[int], None], mariadb_url: str, together: bool
) -> None:
    packet(1 << 20)
    with Connection(mariadb_url) as connection:
        queues = [Queue(name, routing_key="all", exchange=Exchange("x")) for name in ("q", "r")[: 1 + together]]
        for queue in queues:
            queue(connection.default_channel).declare()
        producer = connection.Producer(exchange=Exchange("x"), routing_key="all")
        producer.publish(b"\0" * 490_000)

        with pytest.raises(errors.NotSupported, match="takes at most 491520"):
            producer.publish(b"x" * 491_520)

        producer.publish(b"small")
        for queue in queues:
            taken = [queue(connection.default_channel).get(no_ack=True) for _ in range(3)]
            assert [message and len(message.body) for message in taken] == [490_000, 5, None]


def test_a_server_that_takes_no_statement_of_a_megabyte_is_refused(
    packet: Callable[[int], None], mariadb_url: str
) -> None:
    packet(1 << 19)
    with pytest.raises(errors.NotSupported, match=r"max_allowed_packet.*1048576 or more"):
        opened(mariadb_url)


def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises((errors.NotSupported, errors.UnknownTransport, errors.InvalidURL)):
        opened("oracle://somebody@127.0.0.1/x")


def test_an_option_that_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.UnknownOption, match="leese"):
        Connection("postgresql://127.0.0.1/x?leese=3").connect()


@pytest.mark.parametrize("prefix", ["sqla", "sqlalchemy"])
def test_kombus_prefixes_lead_to_a_database(tmp_path: Path, prefix: str) -> None:
    with Connection(f"{prefix}+sqlite:///{tmp_path}/broker.sqlite") as connection:
        queue = Queue("q")(connection.default_channel)
        queue.declare()
        connection.Producer().publish("hello", routing_key="q")
        message = queue.get()
        assert message is not None
        assert message.payload == "hello"
        message.ack()


@pytest.mark.parametrize("driver", ["asyncpg", "asyncmy", "aiomysql", "aiosqlite"])
async def test_urls_with_a_driver_of_asyncio_lead_to_the_same_database(
    request: pytest.FixtureRequest, tmp_path: Path, driver: str
) -> None:
    kind = {"aiosqlite": "sqlite", "asyncpg": "postgresql"}.get(driver, "mariadb")
    path = f"sqlite:///{tmp_path}/broker.sqlite"
    plain = path if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    named = plain.replace(kind, f"{kind}+{driver}", 1)
    if driver == "asyncpg":
        named += "?prepared_statement_cache_size=0"
    async with dulse.aio.Connection(f"sqla+{named}") as connection:
        await dulse.aio.Queue("q")(await connection.default_channel).declare()
        await connection.Producer().publish("hello", routing_key="q")

    with Connection(f"sqla+{plain}") as blocking:
        message = Queue("q")(blocking.default_channel).get(no_ack=True)
    assert message is not None
    assert message.payload == "hello"


def test_tls_is_verified(postgresql: PostgreSQL, postgresql_url: str) -> None:
    certificate = str(postgresql.authority.certificate)
    with Connection(postgresql_url, ssl={"ca_certs": certificate}) as connection:
        connection.connect()
    with pytest.raises(errors.ConnectionError, match="certificate"):
        Connection(postgresql_url, ssl=True, transport_options={"max_retries": 0}).connect()
