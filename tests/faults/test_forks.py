"""Parent and child of a fork both publish all they want, and each on links of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dulse import Connection, Queue
from tests.faults.brokers import LEASE

pytestmark = [pytest.mark.kill, pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")]

COUNT = 1500


@pytest.fixture
def shared_url(shared_url: str) -> str:
    """Have a lease that a disk which stands still for a second does not end: nobody dies here with messages in hand."""
    return shared_url.replace(f"lease={LEASE}", "lease=20")


def run(case: str, url: str) -> None:
    """Run one case of `forking`, which fails with a traceback."""
    program = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.faults.forking", case, url]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr == ""


def payloads(url: str) -> list[str]:
    with Connection(url) as connection:
        queue = Queue("work")(connection)
        found = []
        while (message := queue.get(no_ack=True)) is not None:
            found.append(message.payload)
    return sorted(found)


def expected(*names: str) -> list[str]:
    return sorted(f"{name}:{number}" for name in names for number in range(COUNT))


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("both_sides_publish", ["parent", "child"]),
        ("both_sides_publish_beside_a_consumer", ["parent", "child"]),
        ("fork_while_a_thread_publishes", ["thread", "parent", "child"]),
        ("a_child_of_a_child_publishes", ["parent", "child", "grandchild"]),
        ("multiprocessing_fork", ["parent", "child"]),
        ("multiprocessing_spawn", ["parent", "child"]),
    ],
)
def test_everybody_publishes_all(shared_url: str, case: str, names: list[str]) -> None:
    run(case, shared_url)

    assert payloads(shared_url) == expected(*names)


def test_a_child_does_not_give_back_what_its_parent_holds(shared_url: str) -> None:
    run("a_child_ends_while_its_parent_holds_a_message", shared_url)


def test_a_child_cannot_settle_what_its_parent_received(shared_url: str) -> None:
    run("a_child_settles_what_its_parent_received", shared_url)

    assert payloads(shared_url) == ["of the child"]


def test_a_child_begins_with_an_empty_broker_in_memory() -> None:
    run("memory_is_empty_in_a_child", "memory://forked")


def test_a_fork_in_the_middle_of_a_transaction_of_another_thread_harms_neither(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/full.sqlite?durability=full"
    run("fork_again_and_again_while_threads_publish", url)

    found = payloads(url)
    assert [name for name in found if name.startswith("child")] == sorted(f"child{n}:0" for n in range(8))
    assert len(found) == len(set(found))
