"""Killed between any two operations, moving loses and doubles nothing, and the topology stays whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dulse import Connection, Queue
from dulse.testing.killing import Failpoint, mortal
from dulse.transports.sqlite import SQLiteStorage
from tests.faults import steps

pytestmark = [pytest.mark.kill, pytest.mark.timeout(300)]


def kills(case: str, folder: Path, moment: str) -> int:
    program = [sys.executable, "-m", "tests.faults.steps", case, str(folder), moment]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout)


def drained(connection: Connection, name: str) -> list[int]:
    queue = Queue(name)(connection)
    found = []
    while (message := queue.get(no_ack=True)) is not None:
        found.append(message.payload)
    return found


@pytest.mark.parametrize("moment", ["before", "after"])
def test_moving_messages_loses_and_doubles_none_when_killed_anywhere(tmp_path: Path, moment: str) -> None:
    count = kills("move", tmp_path, moment)

    assert count >= 5
    with Connection(steps.url(tmp_path)) as connection:
        end = time.monotonic() + 30
        found: list[int] = []
        while len(found) < steps.MESSAGES and time.monotonic() < end:  # the last of the dead may hold some
            found += drained(connection, "source") + drained(connection, "destination")
            time.sleep(0.05)
        assert sorted(found) == list(range(steps.MESSAGES))
        assert drained(connection, "source") == drained(connection, "destination") == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_topology_stays_whole_when_those_who_change_it_are_killed_anywhere(tmp_path: Path, moment: str) -> None:
    count = kills("shape", tmp_path, moment)

    assert count >= 20
    with Connection(steps.url(tmp_path)) as connection:
        names = [status.name for status in connection.manager.queues()]
        assert names == ["destination", "kept", "source"]
        connection.Producer(exchange=steps.EXCHANGE).publish(7, routing_key="a.b")
        assert drained(connection, "kept")[-1:] == [7]


@pytest.mark.parametrize(("moment", "stored"), [("before", 1), ("after", 2)])
def test_a_mortal_storage_dies_at_the_operation_that_was_named(tmp_path: Path, moment: str, stored: int) -> None:
    path = tmp_path / "broker.sqlite"
    program = f"""
from dulse.model.records import Put, Target
from dulse.testing.killing import Failpoint, mortal
from dulse.transports.sqlite import SQLiteStorage
storage = mortal(SQLiteStorage({str(path)!r}), Failpoint(3, {moment!r}))
storage.open(5)
for _ in range(5):
    storage.put([Put(b"x", [Target("q")])])
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)

    assert done.returncode == -signal.SIGKILL
    storage = SQLiteStorage(path)
    storage.open(5)
    assert storage.depth(["q"])[0].ready == stored
    storage.close(5)


def test_a_mortal_storage_passes_everything_on_until_then(tmp_path: Path) -> None:
    storage = mortal(SQLiteStorage(tmp_path / "broker.sqlite"), Failpoint(1000))

    storage.open(5)

    assert storage.capabilities == SQLiteStorage(tmp_path / "other").capabilities
    assert storage.depth(["q"])[0].ready == 0
    assert "998 more" not in repr(storage)
    assert "997 more" in repr(storage)
    storage.close(5)
    assert (tmp_path / "broker.sqlite").exists()
