"""No file of Kombu's is lost or doubled, whoever takes it and whenever that process is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

import dulse
from dulse.broker.envelope import unpack
from dulse.virtual.kombu_envelope import to_record
from tests.transports.filesystem import writing_out
from tests.transports.filesystem.kombu_fleet import PATIENCE, Kombu, declared, files, folders
from tests.transports.filesystem.taking_in import FINISHED, opened

SHOP = {"exchange": "shop", "key": "new", "queue": "orders"}

pytestmark = [pytest.mark.kill, pytest.mark.slow]


def test_a_taker_killed_at_any_change_leaves_each_message_once(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    Kombu(folders(tmp_path / "made"), do="publish", bodies=["one", "two", "three"], **SHOP).end()
    written = {name: (tmp_path / "made" / "data" / name).read_bytes() for name in files(tmp_path / "made" / "data")}
    killed = 0
    for change in range(1, 200):
        folder = tmp_path / str(change)
        folder.mkdir()
        folders(folder)
        for name, data in written.items():
            (folder / "data" / name).write_bytes(data)
        program = [sys.executable, "-m", "tests.transports.filesystem.taking_in", str(change), str(folder)]
        ended = subprocess.run(program, check=False, timeout=PATIENCE).returncode

        storage = opened(folder)
        storage.sweep()
        while storage.forget("the dead", force=True):
            pass
        found = storage.reserve([("orders", 10)], "the living", 60_000)[0]
        bodies = [unpack(each.payload).body for each in found]
        storage.close(5)
        assert sorted(bodies) == [b"one", b"three", b"two"], f"killed at change {change}"
        assert files(folder / "processed") == sorted(written), f"killed at change {change}"
        if ended == FINISHED:
            break
        assert ended == -signal.SIGKILL
        killed += 1
    assert killed > 10


def test_a_writer_killed_at_any_change_leaves_each_batch_in_all_its_queues_or_none(tmp_path: Path) -> None:
    steps = [set[str](), {"both"}, {"both", "first", "second"}]
    killed, furthest = 0, 0
    for change in range(1, 200):
        folder = tmp_path / str(change)
        folder.mkdir()
        folders(folder)
        program = [sys.executable, "-m", "tests.transports.filesystem.writing_out", str(change), str(folder)]
        ended = subprocess.run(program, check=False, timeout=PATIENCE).returncode

        storage = writing_out.opened(folder)  # finishes the step that was begun
        written = [(name.split(".")[1], (folder / "data" / name).read_bytes()) for name in files(folder / "data")]
        orders = [body_of(data) for queue, data in written if queue == "orders"]
        assert orders[0] == "before"
        assert set(orders[1:]) in steps[furthest:], f"killed at change {change}"
        assert orders[1:] == ["both", "first", "second"][: len(orders) - 1], f"killed at change {change}"
        assert [body_of(data) for queue, data in written if queue == "copies"] == orders[1:2]
        furthest = steps.index(set(orders[1:]))
        taken = storage.reserve([("orders", 10)], "the living", 60_000)[0]
        assert [unpack(each.payload).body.decode() for each in taken] == orders
        storage.close(5)
        if ended == writing_out.FINISHED:
            break
        assert ended == -signal.SIGKILL
        killed += 1
    assert killed > 10
    assert furthest == len(steps) - 1


def body_of(data: bytes) -> str:
    return unpack(to_record(data)).body.decode()


def test_what_competing_processes_take_is_taken_once(tmp_path: Path) -> None:
    options = folders(tmp_path)
    count, found = 150, Counter[str]()
    for one in "ab":  # neither at once nor beside the rival: Kombu reads tables and messages that are half written
        bodies = [f"{one}-{number}" for number in range(count // 2)]
        Kombu(options, do="publish", bodies=bodies, **SHOP).end()
    assert len(files(tmp_path / "data")) == count
    mutex = threading.Lock()

    def consume() -> None:
        with dulse.Connection("filesystem://", transport_options={**options, "fleet": "mixed"}) as connection:
            queue = declared(connection)

            def take(body: str, message: dulse.Message) -> None:
                with mutex:
                    found[body] += 1
                message.ack()

            with connection.Consumer([queue], callbacks=[take], prefetch_count=3):
                while not is_over.is_set():
                    try:
                        connection.drain_events(timeout=0.2)
                    except TimeoutError:
                        continue

    is_over = threading.Event()
    takers = [threading.Thread(target=consume) for _ in range(2)]
    rival = Kombu(options, do="consume", count=30, seconds=5, **SHOP)
    assert rival.line() == "ready"
    theirs = Counter([str(rival.line()["body"])])
    for taker in takers:
        taker.start()
    theirs.update(str(each["body"]) for each in rival.end())
    while sum(found.values()) + sum(theirs.values()) < count and files(tmp_path / "data"):
        is_over.wait(0.05)
    with dulse.Connection("filesystem://", transport_options=options) as connection:
        queue = declared(connection)
        while queue(connection.default_channel).queue_declare(passive=True).message_count:
            is_over.wait(0.05)
    is_over.set()
    for taker in takers:
        taker.join(PATIENCE)

    found.update(theirs)
    assert found == Counter(f"{one}-{number}" for one in "ab" for number in range(count // 2))
