"""The statements of every message find their rows by an index, however many records there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, pool

from dulse.model.records import Guard, Put, Target
from dulse.transports.sql import SQLStorage, drivers
from tests.servers.mariadb import MariaDB

LEASE_MS = 600_000
COUNT = 20_000
STEP = 2_000
OWNER = "owner"


def work(storage: SQLStorage) -> None:
    """Do once what happens to every message."""
    revision = storage.revisions(["q/full"])[0]
    guards = [Guard("q/full", revision)]
    storage.put([Put(b"one", [Target("full")])], guards)
    storage.put([Put(b"two", [Target("full"), Target("other", ttl_ms=LEASE_MS)])] * 3, guards)
    for owner in (OWNER, OWNER, "another"):
        taken, _ = storage.reserve([("full", 3)], owner, LEASE_MS)
        storage.reserve([("full", 2), ("other", 2)], owner, LEASE_MS, [taken[0].token])
        storage.settle([taken[1].token], owner)
        storage.release([taken[2].token], owner)
        storage.forward(storage.reserve([("full", 1)], owner, LEASE_MS)[0][0].token, owner, [Put(b"f", [Target("r")])])
        storage.renew(owner, LEASE_MS)
    storage.sweep()
    storage.reserve_expired("full", 1, OWNER, LEASE_MS)
    storage.wait(["full", "other", "empty"], 0.0)
    storage.peek("full", 1)
    storage.held(OWNER)


def filled(url: str) -> SQLStorage:
    storage = SQLStorage(url)
    storage.open(30)
    storage.change({}, {("q/full", "a"): "1"})
    for _ in range(COUNT // STEP):
        storage.put([Put(b"x" * 50, [Target("full")])] * STEP)
    return storage


class Recorded:
    """A cursor that remembers what it is told."""

    told: list[tuple[Any, ...]]

    def __init__(self, cursor: Any, told: list[tuple[Any, ...]]) -> None:
        self._cursor = cursor
        self.told = told

    def execute(self, *arguments: Any) -> Any:
        self.told.append(arguments)
        return self._cursor.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Give all statements from now on."""
    found: list[tuple[Any, ...]] = []
    make = drivers.cursor
    monkeypatch.setattr(drivers, "cursor", lambda connection: Recorded(make(connection), found))
    return found


def statements(told: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Give each statement about records once."""
    seen = set()
    for arguments in told:
        shape = re.sub(r"\d+(, \d+)*", "1", arguments[0])
        if "dulse_record" in arguments[0] and shape not in seen and "CREATE" not in arguments[0]:
            seen.add(shape)
            yield arguments


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def test_postgresql_scans_no_table_of_records(postgresql_url: str, told: list[tuple[Any, ...]]) -> None:
    storage = filled(postgresql_url)
    engine = create_engine(postgresql_url.replace(":", "+psycopg:", 1), poolclass=pool.NullPool)
    proxy = engine.raw_connection()
    cursor = proxy.cursor()
    cursor.execute("ANALYZE")
    cursor.execute(storage._connections.dialect.prologue[0] if storage._connections.dialect else "")
    proxy.commit()
    told.clear()
    work(storage)

    checked = list(statements(told))

    assert len(checked) >= 12
    for arguments in checked:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {arguments[0]}", *arguments[1:])
        plan = cursor.fetchall()[0][0][0]["Plan"]
        scans = [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
        assert [scan for scan in scans if scan["Relation Name"] == "dulse_record"] == [], arguments[0]
    proxy.close()
    storage.close(5)


def test_mariadb_scans_no_table_of_records(mariadb: MariaDB, mariadb_url: str, told: list[tuple[Any, ...]]) -> None:
    storage = filled(mariadb_url)
    mariadb.query("ANALYZE TABLE dulse_record", mariadb_url.rpartition("/")[2])
    told.clear()
    work(storage)
    engine = create_engine(mariadb_url.replace(":", "+pymysql:", 1), poolclass=pool.NullPool)
    proxy = engine.raw_connection()
    cursor = proxy.cursor()

    checked = list(statements(told))

    assert len(checked) >= 12
    for arguments in checked:
        cursor.execute(f"EXPLAIN {arguments[0]}", *arguments[1:])
        for row in cursor.fetchall():
            table, kind, rows = row[2], row[3], row[8]
            scanned = table == "dulse_record" and kind in {"ALL", "index"}
            assert not (scanned and int(rows or 0) > 1000), (arguments[0], row)
    proxy.close()
    storage.close(5)
