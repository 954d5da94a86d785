"""The bare library below, doing what cannot be left out: the limit."""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from pathlib import Path
from typing import Any

from benchmarks.measure import Contender


def double_ended_queue(body: Any, count: int) -> Contender:
    """Append to a deque and take from it."""
    waiting: deque[Any] = deque()

    def publish(number: int) -> None:
        for _ in range(number):
            waiting.append(body)

    def consume(number: int) -> None:
        for _ in range(number):
            waiting.popleft()

    return Contender("deque", {"publish": publish, "deliver + ack": consume}, waiting.clear, count)


def standard_json(body: Any, count: int) -> Contender:
    """Write and read JSON, and send nothing."""
    written = json.dumps(body).encode()

    def publish(number: int) -> None:
        for _ in range(number):
            json.dumps(body).encode()

    def consume(number: int) -> None:
        for _ in range(number):
            json.loads(written)

    return Contender("json", {"publish": publish, "deliver + ack": consume}, lambda: None, count)


def sqlite(folder: Path, body: bytes, count: int, *, synchronous: str, batch: int = 1) -> Contender:
    """One table in WAL mode: insert; mark as taken; delete. `batch` records in a transaction."""
    connection = sqlite3.connect(folder / f"plain-{synchronous}-{batch}.db", isolation_level=None, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("CREATE TABLE IF NOT EXISTS message(id INTEGER PRIMARY KEY, owner TEXT, body BLOB)")
    connection.execute("CREATE INDEX IF NOT EXISTS ready ON message(id) WHERE owner IS NULL")
    take = (
        "UPDATE message SET owner='me' WHERE id IN (SELECT id FROM message WHERE owner IS NULL ORDER BY id LIMIT ?) "
        "RETURNING id, body"
    )

    def publish(number: int) -> None:
        for _ in range(number // batch):
            if batch > 1:
                connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO message(body) VALUES(?)", [(body,)] * batch)
            if batch > 1:
                connection.execute("COMMIT")

    def consume(number: int) -> None:
        for _ in range(number // batch):
            taken = connection.execute(take, (batch,)).fetchall()
            if batch > 1:
                connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM message WHERE id=?", [(row[0],) for row in taken])
            if batch > 1:
                connection.execute("COMMIT")

    return Contender("sqlite3", {"publish": publish, "deliver + ack": consume}, connection.close, count)
