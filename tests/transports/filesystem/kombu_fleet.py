"""Processes of the real Kombu 5.7 on its folders, and ours beside them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dulse

PATIENCE = 60


class Kombu:
    """A process of Kombu that does one thing."""

    def __init__(self, options: dict[str, str], **asked: Any) -> None:
        said = json.dumps({"url": "filesystem://", "options": options, **asked})
        program = [sys.executable, "-W", "ignore", "-m", "tests.transports.redis.kombu_side", said]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)

    def line(self) -> Any:
        """Read one line that it says."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def end(self) -> list[Any]:
        """Wait for its end; gives what it said."""
        assert self.process.stdout is not None
        said = self.process.stdout.read()  # communicate() would pass over what `line` has read ahead
        self.process.stdout.close()
        assert self.process.wait(PATIENCE) == 0
        return [each for each in map(json.loads, said.splitlines()) if each != "ready"]


def folders(path: Path, incoming: str = "data", outgoing: str = "data") -> dict[str, str]:
    """Give Kombu's options, and make the folders, which it does not."""
    for name in (incoming, outgoing, "processed"):
        (path / name).mkdir(exist_ok=True)
    return {
        "data_folder_in": str(path / incoming),
        "data_folder_out": str(path / outgoing),
        "processed_folder": str(path / "processed"),
        "control_folder": str(path / "control"),
    }


def files(path: Path) -> list[str]:
    """Name the messages in a folder of Kombu."""
    return sorted(file.name for file in path.iterdir() if file.suffix == ".msg")


def declared(connection: dulse.Connection) -> dulse.Queue:
    """Give the queue that all of these tests use."""
    queue = dulse.Queue("orders", dulse.Exchange("shop", type="direct"), routing_key="new")
    queue.bind(connection.default_channel).declare()
    return queue


def drained(connection: dulse.Connection, queues: Sequence[dulse.Queue], count: int) -> list[tuple[Any, dulse.Message]]:
    """Consume so many messages, acknowledged: body and message of each."""
    found: list[tuple[Any, dulse.Message]] = []

    def take(body: Any, message: dulse.Message) -> None:
        found.append((body, message))
        message.ack()

    with connection.Consumer(list(queues), callbacks=[take]):
        end = time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < end:
            try:
                connection.drain_events(timeout=0.5)
            except TimeoutError:
                continue
    return found
