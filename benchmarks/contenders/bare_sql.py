"""Plain SQL by the driver itself, at the same durability: what a queue in a table costs at least."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.measure import Contender

TABLE = "CREATE TABLE bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, taken boolean, body bytea)"
READY = "CREATE INDEX bare_ready ON bare (id) WHERE taken IS NULL"
TAKE = """
UPDATE bare SET taken = true FROM (
    SELECT id FROM bare WHERE taken IS NULL ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
) AS heads WHERE bare.id = heads.id RETURNING bare.id, body
"""
DELETE = "DELETE FROM bare WHERE id = ANY(%s)"


def postgresql(url: str, body: bytes, count: int, *, batch: int = 1) -> Contender:
    """Insert; mark as taken; delete: a commit each, for `batch` records."""
    connection: Any = psycopg.connect(url, autocommit=True)
    cursor = connection.cursor(binary=True)
    cursor.execute(TABLE)
    cursor.execute(READY)

    def publish(number: int) -> None:
        for _ in range(number // batch):
            if batch == 1:
                cursor.execute("INSERT INTO bare (body) VALUES (%s)", (body,))
            else:
                cursor.execute("INSERT INTO bare (body) SELECT * FROM unnest(%s::bytea[])", ([body] * batch,))

    def consume(number: int) -> None:
        for _ in range(number // batch):
            taken = cursor.execute(TAKE, (batch,)).fetchall()
            cursor.execute(DELETE, ([row[0] for row in taken],))

    return Contender("plain SQL", {"publish": publish, "deliver + ack": consume}, connection.close, count)


def sqlite(folder: Path, body: bytes, count: int, *, batch: int = 1) -> Contender:
    """Do the same in a file, in WAL mode with synchronous=FULL."""
    connection = sqlite3.connect(folder / f"bare-{batch}.db", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE bare (id integer PRIMARY KEY, taken integer, body blob)",
        READY,
    ):
        connection.execute(statement)
    take = (
        "UPDATE bare SET taken = 1 WHERE id IN (SELECT id FROM bare WHERE taken IS NULL ORDER BY id LIMIT ?) "
        "RETURNING id, body"
    )

    def publish(number: int) -> None:
        for _ in range(number // batch):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO bare (body) VALUES (?)", [(body,)] * batch)
            connection.execute("COMMIT")

    def consume(number: int) -> None:
        for _ in range(number // batch):
            taken = connection.execute(take, (batch,)).fetchall()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM bare WHERE id = ?", [(row[0],) for row in taken])
            connection.execute("COMMIT")

    return Contender("plain SQL", {"publish": publish, "deliver + ack": consume}, connection.close, count)
