"""What a forked child may use of what it inherited, and what the end of a process does."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dulse import Connection, Queue, errors, producers
from dulse.sync import pools
from dulse.sync.lifetimes import lifetimes

TASKS: Queue = Queue("tasks")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """Name a broker that several processes can reach."""
    return f"sqlite:///{tmp_path}/broker.db"


def in_child(work: Callable[[], object]) -> None:
    """Do something in a forked child, and fail if it fails."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - nothing of the child may reach pytest
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def bodies(connection: Connection) -> list[bytes]:
    queue, found = TASKS(connection), []
    while (message := queue.get(no_ack=True)) is not None:
        found.append(message.body)
    return found


def test_a_producer_publishes_in_a_child_as_it_did_in_the_parent(file_url: str) -> None:
    with Connection(file_url) as connection:
        channel = connection.channel()
        several = [connection.Producer(routing_key="tasks"), channel.Producer(routing_key="tasks")]
        for producer in several:
            producer.publish(b"parent", declare=[TASKS])

        def publish() -> None:
            for producer in several:
                producer.publish(b"child")

        in_child(publish)
        for producer in several:
            producer.publish(b"parent")
        assert sorted(bodies(connection)) == [b"child"] * 2 + [b"parent"] * 4


def test_a_child_has_links_of_its_own(file_url: str) -> None:
    with Connection(file_url) as connection:
        session = connection.connect()
        transport = session.transport
        channel = connection.default_channel

        def look() -> None:
            assert not connection.connected
            assert connection.default_channel is not channel
            assert connection.transport.transport is not transport
            assert connection.connected

        in_child(look)
        assert connection.connected
        assert connection.default_channel is channel
        assert session.transport is transport


def test_a_channel_that_was_inherited_is_opened_anew_when_it_is_used(file_url: str) -> None:
    with Connection(file_url) as connection:
        channel = connection.channel()
        channel.queue_declare("tasks", durable=True)

        def use() -> None:
            assert channel.is_open
            assert channel.connection is not None
            assert channel.queue_declare("tasks", passive=True).queue == "tasks"
            channel.basic_publish(b"1", "", "tasks")
            channel.close()
            assert not channel.is_open

        in_child(use)
        assert channel.is_open
        assert bodies(connection) == [b"1"]


def test_closing_in_a_child_leaves_the_parents_messages_alone(file_url: str) -> None:
    with Connection(file_url) as connection:
        connection.Producer().publish(b"1", routing_key="tasks", declare=[TASKS])
        message = TASKS(connection).get()
        assert message is not None
        in_child(connection.close)
        message.ack()
        with Connection(file_url) as other:
            assert bodies(other) == []


def test_an_exclusive_queue_of_the_parent_stays_its_own(file_url: str) -> None:
    with Connection(file_url) as connection:
        Queue("mine", exclusive=True)(connection).declare()

        def look() -> None:
            with pytest.raises(errors.ResourceLocked):
                Queue("mine", exclusive=True)(connection).declare()

        in_child(look)
        Queue("mine", exclusive=True)(connection).declare()


def test_pools_are_empty_and_usable_in_a_child(file_url: str) -> None:
    connection = Connection(file_url)
    pool = producers[connection]
    with pool.acquire(block=True) as producer:
        producer.publish(b"parent", routing_key="tasks", declare=[TASKS])

        def publish() -> None:
            assert "0 idle, 0 in use" in repr(pool)
            with producers[connection].acquire(block=True) as mine:
                assert mine is not producer
                mine.publish(b"child", routing_key="tasks")

        in_child(publish)
    with Connection(file_url) as other:
        assert sorted(bodies(other)) == [b"child", b"parent"]
    pools.reset()


def test_a_child_may_fork_again(file_url: str) -> None:
    with Connection(file_url) as connection:
        producer = connection.Producer(routing_key="tasks")
        producer.publish(b"parent", declare=[TASKS])

        def publish() -> None:
            producer.publish(b"child")
            in_child(lambda: producer.publish(b"grandchild"))
            producer.publish(b"child")

        in_child(publish)
        assert sorted(bodies(connection)) == [b"child", b"child", b"grandchild", b"parent"]


def test_a_fork_while_other_threads_work_does_no_harm(file_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor  # the threads must end before the next test forks

    with Connection(file_url) as connection:
        producer = connection.Producer(routing_key="tasks")
        producer.publish(b"parent", declare=[TASKS])
        with ThreadPoolExecutor(4) as executor:
            work = [executor.submit(producer.publish, b"parent") for _ in range(200)]
            for _ in range(5):
                in_child(lambda: producer.publish(b"child"))
            for each in work:
                each.result(30)
        found = bodies(connection)
        assert found.count(b"parent") == 201
        assert found.count(b"child") == 5


# ------------------------------------------------------------------------------------------- end of process


class Noting(Connection):
    """Writes down in a file that it was closed."""

    note: Path

    def close(self, timeout: float | None = None) -> None:
        super().close(timeout)
        self.note.write_text(f"closed within {timeout}", encoding="utf-8")


held: list[object] = []


def take_and_hold(url: str, note: Path) -> None:
    connection = Noting(url)
    connection.note = note
    message = TASKS(connection).get()
    assert message is not None
    held.extend([connection, message])


PROGRAM = """
import sys
from pathlib import Path
from typing import Any
from tests.front.test_processes import take_and_hold

take_and_hold(sys.argv[1], Path(sys.argv[2]))
"""


def end_of_program(url: str, note: Path) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, url, str(note)], check=True, timeout=30)


def end_of_child(method: str, url: str, note: Path) -> None:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=take_and_hold, args=(url, note))
    process.start()
    process.join(30)
    assert process.exitcode == 0


@pytest.mark.parametrize("end", [end_of_program, partial(end_of_child, "fork"), partial(end_of_child, "spawn")])
def test_connections_are_closed_at_the_end_of_a_process(
    file_url: str, tmp_path: Path, end: Callable[[str, Path], None]
) -> None:
    with Connection(file_url) as connection:
        connection.Producer().publish(b"1", routing_key="tasks", declare=[TASKS])
    end(file_url, tmp_path / "note")
    assert "closed within" in (tmp_path / "note").read_text(encoding="utf-8")
    with Connection(file_url) as connection:
        message = TASKS(connection).get()
        assert message is not None
        assert message.delivery_info["redelivered"]


def test_closing_at_the_end_spends_five_seconds_on_all_together(url: str) -> None:
    given: list[float | None] = []

    class Timed(Connection):
        def close(self, timeout: float | None = None) -> None:
            given.append(timeout)
            super().close(timeout)

    connections = [Timed(url), Timed(url)]
    for connection in connections:
        connection.connect()
    lifetimes.close_now()
    assert [connection.connected for connection in connections] == [False, False]
    assert all(seconds is not None and 0 < seconds <= 5 for seconds in given)
    lifetimes.close_now()
    assert len(given) == 2


def test_one_that_cannot_be_closed_at_the_end_does_not_keep_the_others(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Connection):
        def close(self, timeout: float | None = None) -> None:
            raise ValueError("broken")

    broken, sound = Broken(url), Connection(url)
    broken.connect()
    sound.connect()
    lifetimes.close_now()
    assert not sound.connected
    assert "could not be closed" in caplog.text
    Connection.close(broken)
