"""Waiting costs next to nothing, and nothing grows: descriptors, threads, memory."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import resources
from tests.faults.programs import Program

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc"),
]

OF_A_CORE = 0.01
OF_A_BUSY_CORE = 0.04
"""For the short look: CPU time of a crowded machine is longer, and whoever polls without a pause burns a whole core."""
A_LITTLE = 300_000
"""Bytes: caches that are still being filled."""


def urls(folder: Path) -> dict[str, str]:
    return {
        "memory": f"memory://{uuid.uuid4().hex}",
        "sqlite": f"sqlite:///{folder}/broker.sqlite?durability=normal",
        "sqlite, polling": f"sqlite:///{folder}/polled.sqlite?durability=normal&waking=poll",
    }


def burnt(folder: Path, programs: list[Program], seconds: float) -> dict[str, float]:
    """Let consumers of each kind wait at the same time, and give what part of a core each took."""
    named = {}
    for queues in (1, 100):
        for name, url in urls(folder).items():
            named[f"{name}, {queues} queues"] = Program(resources.consume_nothing, url, queues, seconds)
            if "polling" not in name:
                by_tasks = Program(resources.consume_nothing_by_tasks, f"{url}", queues, seconds)
                named[f"{name}, {queues} queues, asyncio"] = by_tasks
    programs += named.values()
    return {name: program.hear(seconds + 30) for name, program in named.items()}


def test_a_consumer_that_waits_for_10_seconds_burns_next_to_nothing(tmp_path: Path, programs: list[Program]) -> None:
    found = burnt(tmp_path, programs, 10)

    print({name: f"{part:.2%}" for name, part in found.items()})  # noqa: T201 - figures for who asks by -s
    assert {name: part for name, part in found.items() if part > OF_A_BUSY_CORE} == {}


@pytest.mark.slow
def test_a_consumer_that_waits_for_a_minute_burns_at_most_a_hundredth_of_a_core(
    tmp_path: Path, programs: list[Program]
) -> None:
    found = burnt(tmp_path, programs, 60)

    print({name: f"{part:.2%}" for name, part in found.items()})  # noqa: T201 - figures for who asks by -s
    assert {name: part for name, part in found.items() if part > OF_A_CORE} == {}


@pytest.mark.parametrize("what", [resources.open_and_close, resources.open_and_close_by_tasks])
@pytest.mark.parametrize(
    ("kind", "cycles"), [("memory", 300), ("sqlite", 60), pytest.param("sqlite", 300, marks=pytest.mark.slow)]
)
def test_connections_leave_nothing_behind(
    tmp_path: Path, programs: list[Program], what: Callable[..., None], kind: str, cycles: int
) -> None:
    programs.append(Program(what, urls(tmp_path)[kind], cycles))

    descriptors, threads, size = programs[-1].hear(120)

    assert descriptors < cycles / 10, "some come and go: those of a loop's executor, and of a log that is cut"
    assert threads < cycles / 10
    assert size < A_LITTLE


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("memory", 50_000),
        ("sqlite", 20_000),
        pytest.param("memory", 200_000, marks=pytest.mark.slow),
        pytest.param("sqlite", 200_000, marks=pytest.mark.slow),
    ],
)
def test_messages_leave_nothing_behind(tmp_path: Path, programs: list[Program], kind: str, count: int) -> None:
    programs.append(Program(resources.pass_messages, urls(tmp_path)[kind], count))

    grown = programs[-1].hear(300)

    assert grown < 4_000_000, "1 KiB of each message, or a hundredth of it, would be more"
