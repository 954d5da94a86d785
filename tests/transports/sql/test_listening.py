"""What it takes of PostgreSQL to be woken by it."""

from __future__ import annotations

from dulse.model.records import Put, Target
from dulse.transports.sql import SQLStorage
from tests.servers.postgresql import PostgreSQL


def test_who_waits_has_one_connection_more_however_many_queues_there_are(
    postgresql: PostgreSQL, postgresql_url: str
) -> None:
    database = postgresql_url.rpartition("/")[2]
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'"
    queues = [f"queue {number}" for number in range(100)]
    storage = SQLStorage(postgresql_url)
    storage.open(30)
    before = int(postgresql.query(count))

    for number in (1, 10, 100):
        assert storage.wait(queues[:number], 0.05) == ()
    storage.put([Put(b"1", [Target(queues[99])])])
    assert storage.wait(queues, 30) == queues[99:]

    assert int(postgresql.query(count)) == before + 1
    storage.close(5)
