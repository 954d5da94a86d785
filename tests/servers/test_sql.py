"""The SQL servers of the tests are real ones, and survive being killed."""

from __future__ import annotations

import socket

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL


def test_postgresql_offers_tls(postgresql: PostgreSQL) -> None:
    with socket.create_connection((postgresql.host, postgresql.port), 10) as link:
        link.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")  # SSLRequest
        assert link.recv(1) == b"S"


def test_postgresql_keeps_what_was_committed_when_it_is_killed(postgresql: PostgreSQL, postgresql_url: str) -> None:
    database = postgresql_url.rpartition("/")[2]
    postgresql.query("CREATE TABLE kept AS SELECT 7 AS seven", database)
    postgresql.kill()
    postgresql.start()
    assert postgresql.query("SELECT seven FROM kept", database) == "7"


def test_mariadb_greets(mariadb: MariaDB) -> None:
    with socket.create_connection((mariadb.host, mariadb.port), 10) as link:
        assert b"MariaDB" in link.recv(200)


def test_mariadb_keeps_what_was_committed_when_it_is_killed(mariadb: MariaDB, mariadb_url: str) -> None:
    database = mariadb_url.rpartition("/")[2]
    mariadb.query("CREATE TABLE kept AS SELECT 7 AS seven", database)
    mariadb.kill()
    mariadb.start()
    assert mariadb.query("SELECT seven FROM kept", database) == "7"
