"""What was published is there, however the publisher ends; many processes share a queue without one message twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dulse.model.records import Put, Target
from dulse.transports.filesystem import FilesystemStorage

pytestmark = [pytest.mark.kill, pytest.mark.slow]

BURSTS = [(1_000, 1 << 10), (300, 64 << 10)]
TIMES = 10
PROCESSES = 16
MESSAGES = 2_000

COMPETING = """
import sys
from dulse.transports.filesystem import FilesystemStorage
storage = FilesystemStorage(sys.argv[1], durability="normal")
storage.open(60)
owner = sys.argv[2]
while found := storage.reserve([("q", 7)], owner, 600_000)[0]:
    print(*[each.payload.decode() for each in found])
    assert not storage.settle([each.token for each in found], owner)
storage.close(5)
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
@pytest.mark.parametrize(("count", "size"), BURSTS)
def test_a_burst_is_there_when_its_publisher_ends_at_once(tmp_path: Path, count: int, size: int, end: str) -> None:
    for time in range(TIMES):
        path = tmp_path / str(time)
        bursting = [sys.executable, "-m", "tests.transports.filesystem.bursting", f"filesystem://{path}"]
        ended = subprocess.run([*bursting, str(count), str(size), end], check=False, timeout=300).returncode
        assert ended == (-9 if end == "kill" else 0)

        storage = FilesystemStorage(path, durability="normal")
        storage.open(10)
        assert storage.depth(["burst"])[0].ready == count
        found = storage.reserve([("burst", count)], "worker", 600_000)[0]
        assert len(found) == count
        for number, each in enumerate(found):
            assert (b"%08d" % number).ljust(size, b".") in each.payload
        storage.close(5)


def test_sixteen_processes_share_a_queue_without_one_message_twice(tmp_path: Path) -> None:
    storage = FilesystemStorage(tmp_path / "broker", durability="normal")
    storage.open(10)
    storage.put([Put(b"%d" % number, [Target("q")], 1) for number in range(MESSAGES)])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", COMPETING, str(tmp_path / "broker"), f"worker {number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]

    outputs = [process.communicate(timeout=300)[0] for process in running]

    assert [process.returncode for process in running] == [0] * PROCESSES
    assert sorted(int(word) for output in outputs for word in output.split()) == list(range(MESSAGES))
    storage.close(5)
