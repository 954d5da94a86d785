"""No statement reads more than it must: each finds its rows by an index, however many there are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage, catalogue, looking, owning, putting, sweeping, taking

LEASE_MS = 600_000

SMALL = {
    looking.COUNT_LEASED: "what is in work is little",
    looking.COUNT_DELAYED: "asked by people, seldom",
    looking.DROP[2]: "seldom, and what is in work is little",
    looking.DROP[3]: "seldom",
    looking.DROP[4]: "seldom",
    owning.DEAD: "one row a connection",
    owning.HELD: "seldom, and what is in work is little",
    owning.TOKENS: "after an interruption only, and what is in work is little",
    putting.FORGET_PUBLISHERS: "once in the life of a publisher",
}
"""Statements that may look at every row of a small table."""

READY = "SEARCH ready USING PRIMARY KEY"


def statements() -> Iterator[str]:
    for module in (catalogue, looking, owning, putting, sweeping, taking):
        for name, value in vars(module).items():
            if name.isupper() and not name.startswith("_"):
                values = value if isinstance(value, tuple | list) else [value]
                yield from (each for each in values if isinstance(each, str) and " " in each)
    yield from looking._READY_OF_MANY.values()


@pytest.fixture(name="connection")
def make_connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    storage = SQLiteStorage(tmp_path / "broker.sqlite")
    storage.open(10)
    connection = sqlite3.connect(tmp_path / "broker.sqlite")
    yield connection
    connection.close()
    storage.close(10)


def plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    nothing = [None] * statement.count("?")
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", nothing)]


@pytest.mark.parametrize("statement", sorted({*statements()} - SMALL.keys()))
def test_a_statement_scans_no_table(connection: sqlite3.Connection, statement: str) -> None:
    steps = plan(connection, statement)

    harmless = re.compile(r"SCAN (CONSTANT ROW|\d+ CONSTANT ROWS|mortal|column1|\(subquery)")
    assert [step for step in steps if step.startswith("SCAN") and not harmless.match(step)] == []


@pytest.mark.parametrize("statement", SMALL)
def test_the_statements_that_may_scan_still_do(connection: sqlite3.Connection, statement: str) -> None:
    assert [step for step in plan(connection, statement) if step.startswith("SCAN")]


@pytest.mark.parametrize("statement", [taking.HEADS, taking.LEASE_HEADS, taking.TAKE_HEADS])
def test_heads_are_found_in_the_order_of_the_queue_without_sorting(
    connection: sqlite3.Connection, statement: str
) -> None:
    steps = plan(connection, statement)

    assert steps[0].startswith(READY)
    assert not [step for step in steps if "TEMP B-TREE" in step]


def test_the_next_end_is_found_by_the_index_of_ends(connection: sqlite3.Connection) -> None:
    assert all("ready_by_end" in step for step in plan(connection, sweeping.ENDS) if "ready" in step)


def work_of_a_take(path: Path, backlog: int) -> int:
    """Count what SQLite's machine does (its instructions) to take one record and settle another."""
    storage = SQLiteStorage(path, durability="normal")
    storage.open(10)
    storage.put([Put(b"x", [Target("q")])] * backlog)
    storage.put([Put(b"x", [Target("q", ttl_ms=LEASE_MS)])] * backlog)
    first = storage.reserve([("q", 1)], "owner", LEASE_MS)[0]
    done = 0

    def count() -> int:
        nonlocal done
        done += 1
        return 0

    storage._connections.once(None, sqlite3.Connection.set_progress_handler, count, 1)
    storage.reserve([("q", 1)], "owner", LEASE_MS, [first[0].token])
    storage.put([Put(b"x", [Target("q")])])
    storage.sweep()
    storage.close(10)
    return done


def test_a_take_is_as_much_work_with_ten_thousand_records_as_with_a_hundred(tmp_path: Path) -> None:
    few, many = work_of_a_take(tmp_path / "few", 100), work_of_a_take(tmp_path / "many", 10_000)

    assert many <= few + 20
