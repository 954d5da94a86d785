"""What the tests of bad input have in common."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dulse import Connection, Queue


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a broker that no other test has."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    return f"sqlite:///{tmp_path}/broker.sqlite?durability=normal"


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    with Connection(url) as connection:
        Queue("work")(connection).declare()
        yield connection


@pytest.fixture
def goes_on(connection: Connection) -> Callable[[], None]:
    """Give a check that nothing was written, and that the next call works on the same connection."""

    def check() -> None:
        queue = Queue("work")(connection)
        assert queue.get() is None, "something was written"
        assert [status.name for status in connection.manager.queues()] == ["work"], "something was declared"
        connection.Producer().publish("next", routing_key="work")
        message = queue.get()
        assert message is not None
        assert message.payload == "next"
        message.ack()

    return check
