"""A queue has as many priorities as there are steps, each first in, first out, and the highest or the lowest first."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import Connection, Queue, errors
from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.model.parameters import parse_url
from dulse.model.records import Put, Target
from dulse.testing.storage_contract import StorageContract
from dulse.transports.redis.priorities import Order, Priorities, steps_from
from dulse.transports.redis.sync.storage import RedisStorage
from tests.servers.redis import RedisServer

WORK = Queue("work", max_priority=255)
SENT = [0, 9, 4, 5, 3, 255, 1, 0]


def handed_out(server: RedisServer, **options: Any) -> list[int]:
    with Connection(server.url, transport_options=options) as connection:
        queue = WORK(connection.default_channel)
        queue.declare()
        with connection.Producer() as producer:
            for priority in SENT:
                producer.publish(priority, routing_key="work", priority=priority)
        return [message.payload for message in iter(lambda: queue.get(no_ack=True), None)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [255, 9, 5, 4, 3, 1, 0, 0]),
        ({"priority_order": "lowest"}, [0, 0, 1, 3, 4, 5, 9, 255]),
        ({"priority_steps": [0, 3, 6, 9]}, [9, 255, 4, 5, 3, 0, 1, 0]),
        ({"priority_steps": [0, 3, 6, 9], "priority_order": "lowest"}, [0, 1, 0, 4, 5, 3, 9, 255]),
        ({"priority_steps": [0]}, SENT),
        ({"fleet": "mixed"}, [9, 255, 4, 5, 3, 0, 1, 0]),
        ({"fleet": "mixed", "priority_order": "lowest"}, [0, 1, 0, 4, 5, 3, 9, 255]),
        ({"fleet": "mixed", "priority_steps": "0,5"}, [9, 5, 255, 0, 4, 3, 1, 0]),
    ],
    ids=str,
)
def test_priorities_count_in_steps_and_each_step_is_first_in_first_out(
    redis_server: RedisServer, options: dict[str, Any], expected: list[int]
) -> None:
    assert handed_out(redis_server, **options) == expected


@pytest.mark.parametrize("order", ["highest", "lowest"])
def test_the_head_of_a_queue_is_the_same_for_all_calls(redis_server: RedisServer, order: Order) -> None:
    settings = settings_from(parse_url(redis_server.url), LinkOptions())
    storage = RedisStorage(settings, Priorities(None, order))
    storage.open(30)
    try:
        storage.put([Put(b"%d" % each, [Target("q", each)]) for each in (5, 0, 9, 5)])
        expected = [b"9", b"5", b"5", b"0"] if order == "highest" else [b"0", b"5", b"5", b"9"]
        assert [each.payload for each in storage.peek("q", 9)] == expected
        trimmed = storage.trim("q", 3, None, "owner", 60_000)
        assert [each.payload for each in trimmed] == expected[:1]
        assert not storage.release([each.token for each in trimmed], "owner")
        taken = [storage.reserve([("q", 1)], "owner", 60_000)[0] for _ in expected]
        assert [each.payload for (each,) in taken] == expected
        assert storage.depth(["q"])[0].ready == 0
    finally:
        storage.close(5)


class Mirrored(Priorities):
    """Turns all priorities around, so that with the lowest first they are served as the cases expect."""

    def step(self, priority: int) -> int:
        return 255 - priority


@pytest.mark.slow
class TestLowestFirst(StorageContract):
    """The Storage contract with the other order."""

    @pytest.fixture(autouse=True)
    def place(self, redis_server: RedisServer) -> None:
        self.settings = settings_from(parse_url(redis_server.url), LinkOptions())

    def make_storage(self) -> RedisStorage:
        storage = RedisStorage(self.settings, Mirrored((0,), "lowest"))
        storage.open(30)
        return storage


@pytest.mark.parametrize("given", [[], "", "a,b", [0, 256], [-1, 0], [3, 6, 9], 7, [0, None]])
def test_steps_that_cannot_be_are_refused(given: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match="priority_steps"):
        steps_from(given)


def test_an_order_that_cannot_be_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="priority_order"):
        Connection("redis://127.0.0.1:1", transport_options={"priority_order": "random"}).connect()
