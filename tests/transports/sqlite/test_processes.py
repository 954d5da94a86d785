"""Sixteen processes on one queue: no error, nothing lost, nothing twice, and a log that does not grow without end."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from dulse.model.records import Put, Target
from dulse.transports.sqlite import SQLiteStorage

PROCESSES = 16
MESSAGES = 100


@pytest.mark.slow
def test_sixteen_processes_publish_and_consume_on_one_queue(tmp_path: Path) -> None:
    path = tmp_path / "broker"
    storage = SQLiteStorage(path, durability="normal")
    storage.open(30)
    names = [f"process {number}" for number in range(PROCESSES)]
    command = [sys.executable, "-m", "tests.transports.sqlite.competing", str(path)]
    children = [
        subprocess.Popen([*command, name, str(MESSAGES)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in names
    ]

    finished = 0
    while finished < PROCESSES:
        assert all(child.poll() is None for child in children), [child.communicate() for child in children]
        storage.wait(["finished"], 5)
        taken, _ = storage.reserve([("finished", PROCESSES)], "test", 60_000)
        storage.settle([leased.token for leased in taken], "test")
        finished += len(taken)
    while sum(storage.depth(["q"])[0][:2]):
        storage.wait(["finished"], 0.05)
        storage.put([Put(b"", [Target("stir")])])  # consumers settle with their next taking, so give them one
    for name in names:
        storage.put([Put(b"stop", [Target(name)])])
    results = [child.communicate(timeout=60) for child in children]

    assert [(child.returncode, errors) for child, (_, errors) in zip(children, results, strict=True)] == [
        (0, "")
    ] * PROCESSES
    expected = [f"{name}/{number}" for name in names for number in range(MESSAGES)]
    assert Counter("\n".join(output for output, _ in results if output).split("\n")) == Counter(expected)
    storage.close(10)
