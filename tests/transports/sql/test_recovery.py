"""When what was wrong with a server is put right, the very next call of the same Connection works."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dulse import Connection, Message, Queue, errors
from dulse.model.records import Put, Target
from dulse.transports.sql import SQLStorage
from dulse.transports.sql.storage import MAX_RECORD_MYSQL
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

SECRET = "s3cret"
WORST = b"'\\\0"
"""What a driver may have to escape."""


@contextmanager
def opened(url: str) -> Iterator[SQLStorage]:
    storage = SQLStorage(url)
    storage.open(30)
    try:
        yield storage
    finally:
        storage.close(5)


def put(storage: SQLStorage, body: bytes = b"1") -> None:
    storage.put([Put(body, [Target("q")])])


def fill(storage: SQLStorage, taken: list[bytes]) -> None:
    """Put until that raises; collects what was taken."""
    for _ in range(1000):
        body = os.urandom(50_000)
        put(storage, body)
        taken.append(body)


@contextmanager
def guest(server: PostgreSQL | MariaDB, url: str) -> Iterator[tuple[str, str]]:
    """Give the name, and the URL, of a user who may nothing."""
    database = url.rpartition("/")[2]
    name = f"guest_{database}"
    if isinstance(server, PostgreSQL):
        server.query(f"CREATE USER {name} PASSWORD '{SECRET}'; REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    else:
        server.query(f"CREATE USER {name} IDENTIFIED BY '{SECRET}'")
    yield name, url.replace("dulse:dulse", f"{name}:{SECRET}")
    if isinstance(server, PostgreSQL):
        server.query(f"DROP OWNED BY {name}", database)
        server.query(f"DROP OWNED BY {name}")
    server.query(f"DROP USER {name}")


def test_a_user_who_may_not_connect_is_told_so(server: PostgreSQL | MariaDB, url: str) -> None:
    database = url.rpartition("/")[2]
    with (
        guest(server, url) as (_, its_url),
        pytest.raises(errors.StorageReadOnly, match=f"this user may not.*allowed to connect.*{database}") as raised,
        opened(its_url),
    ):
        pass
    assert SECRET not in str(raised.value)


def test_rights_that_are_granted_are_there_with_the_next_call(server: PostgreSQL | MariaDB, url: str) -> None:
    database = url.rpartition("/")[2]
    with opened(url), guest(server, url) as (name, its_url):
        if isinstance(server, PostgreSQL):
            every = "ON ALL TABLES IN SCHEMA public"
            server.query(f"GRANT CONNECT ON DATABASE {database} TO {name}; GRANT SELECT {every} TO {name}", database)
        else:
            every = f"ON {database}.*"
            server.query(f"GRANT SELECT {every} TO {name}")
        with opened(its_url) as storage:
            with pytest.raises(errors.StorageReadOnly, match="this user may not") as raised:
                put(storage)
            assert SECRET not in str(raised.value)

            server.query(f"GRANT ALL {every} TO {name}", database)

            put(storage)


def test_a_server_that_is_no_longer_read_only_is_written_by_the_next_call(
    postgresql: PostgreSQL, postgresql_url: str
) -> None:
    database = postgresql_url.rpartition("/")[2]
    setting = f"ALTER DATABASE {database} SET default_transaction_read_only"
    with opened(postgresql_url):
        postgresql.query(f"{setting} = on")
    with opened(postgresql_url) as storage:
        with pytest.raises(errors.StorageReadOnly, match="name the primary"):
            put(storage)

        postgresql.query(f"{setting} = off")

        put(storage)


def test_mariadb_that_is_read_only_says_so_until_it_is_not(mariadb: MariaDB, mariadb_url: str) -> None:
    database = mariadb_url.rpartition("/")[2]
    with opened(mariadb_url), guest(mariadb, mariadb_url) as (name, its_url):
        mariadb.query(f"GRANT ALL ON {database}.* TO {name}")
        with opened(its_url) as storage:
            mariadb.query("SET GLOBAL read_only = 1")
            try:
                with pytest.raises(errors.StorageReadOnly, match="name the primary"):
                    put(storage)
            finally:
                mariadb.query("SET GLOBAL read_only = 0")

            put(storage)


def test_a_table_that_is_restored_works_with_the_next_call(server: PostgreSQL | MariaDB, url: str) -> None:
    database = url.rpartition("/")[2]
    with opened(url) as storage:
        server.query("ALTER TABLE dulse_record RENAME TO gone", database)
        with pytest.raises(errors.StorageCorrupt, match="no longer those of a dulse broker"):
            put(storage)

        server.query("ALTER TABLE gone RENAME TO dulse_record", database)

        put(storage)


def test_a_server_that_is_back_takes_the_next_call(server: PostgreSQL | MariaDB, url: str) -> None:
    with opened(url) as storage:
        server.kill()
        for _ in range(2):
            with pytest.raises((errors.ConnectionRefused, errors.ConnectionLost)):
                put(storage)

        server.start()

        put(storage)


def test_a_consumer_goes_on_when_somebody_has_ended_all_its_connections(
    postgresql: PostgreSQL, postgresql_url: str
) -> None:
    database = postgresql_url.rpartition("/")[2]
    end_all = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    got: list[object] = []

    def take(message: Message[object]) -> None:
        got.append(message.payload)
        message.ack()

    with Connection(postgresql_url) as connection, connection.Consumer(Queue("work"), on_message=take):
        for number in range(3):
            ending = threading.Timer(0.5, postgresql.query, (end_all,))
            ending.start()
            with pytest.raises(errors.ConnectionLost):
                connection.drain_events(timeout=20)
            ending.join()
            with Connection(postgresql_url) as other:
                other.Producer().publish(number, routing_key="work")
            connection.drain_events(timeout=20)

    assert got == [0, 1, 2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_a_disk_of_postgresql_that_is_full_is_told_until_it_has_room(postgresql: PostgreSQL) -> None:
    with small_disk() as disk:
        space = disk / "space"
        space.mkdir()
        shutil.chown(space, "postgres")
        postgresql.query(f"CREATE TABLESPACE small LOCATION '{space}'")
        postgresql.query("CREATE DATABASE small TABLESPACE small")
        try:
            bodies: list[bytes] = []
            with opened(postgresql.url_of("small")) as storage:
                with pytest.raises(errors.StorageFull, match="free some space"):
                    fill(storage, bodies)

                subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)

                put(storage, b"last")
                taken, _ = storage.reserve([("q", len(bodies) + 2)], "owner", 60_000)
                assert [leased.payload for leased in taken] == [*bodies, b"last"]
        finally:
            postgresql.query("DROP DATABASE small WITH (FORCE)")
            postgresql.query("DROP TABLESPACE small")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_a_disk_of_mariadb_that_is_full_is_told_until_it_has_room(mariadb: MariaDB, mariadb_url: str) -> None:
    database = mariadb_url.rpartition("/")[2]
    folder = mariadb.folder / "data" / database
    with mounted(folder):
        shutil.chown(folder, "mysql", "mysql")
        bodies: list[bytes] = []
        with opened(mariadb_url) as storage:
            with pytest.raises(errors.StorageFull, match="free some space"):
                fill(storage, bodies)

            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)

            put(storage, b"last")
            taken, _ = storage.reserve([("q", len(bodies) + 2)], "owner", 60_000)
            assert [leased.payload for leased in taken] == [*bodies, b"last"]
        tables = mariadb.query("SHOW TABLES", database).split()
        mariadb.query(f"DROP TABLE {', '.join(tables)}", database)


@contextmanager
def small_disk() -> Iterator[Path]:
    """Give a folder, which another user may enter, on a disk of its own with little room."""
    disk = Path(tempfile.mkdtemp())  # into pytest's own folders others may not go
    disk.chmod(0o755)
    try:
        with mounted(disk):
            yield disk
    finally:
        disk.rmdir()


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """Have an empty disk with little room in the place of a folder."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "none", str(folder)], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a server may have files open a moment longer


def test_the_largest_message_is_taken_by_mariadb_whatever_is_in_it(mariadb_url: str) -> None:
    body = (WORST * (MAX_RECORD_MYSQL // len(WORST)))[:-1000]
    with Connection(mariadb_url) as connection:
        work = Queue("work")(connection.default_channel)
        work.declare()
        producer = connection.Producer()
        producer.publish(body, routing_key="work")

        with pytest.raises(errors.NotSupported, match=f"at most {MAX_RECORD_MYSQL}"):
            producer.publish(body + b"x" * 1000, routing_key="work")

        message = work.get(no_ack=True)
        assert message is not None
        assert message.body == body


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "sqlite"])
def test_records_that_nobody_of_ours_wrote_are_set_aside_and_the_rest_go_on(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = f"sqla+sqlite:///{tmp_path}/file" if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    with Connection(url) as connection:
        work = Queue("work")(connection.default_channel)
        work.declare()
        with opened(url.removeprefix("sqla+")) as storage:
            storage.put([Put(garbage, [Target("work")]) for garbage in (b"", b"\xff not of ours", b"{}", b"\0" * 64)])
        connection.Producer().publish("tea", routing_key="work")

        message = work.get()

        assert message is not None
        assert message.payload == "tea"
        message.ack()
        (status,) = connection.manager.queues("dulse.set-aside")
        assert status.ready == 4
