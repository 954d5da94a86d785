"""Our processes and those of the real Kombu 5.7 on one Redis, in both directions."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import dulse
from tests.servers.redis import RedisServer

PATIENCE = 60


class Kombu:
    """A process of Kombu that does one thing."""

    def __init__(self, **asked: Any) -> None:
        program = [sys.executable, "-W", "ignore", "-m", "tests.transports.redis.kombu_side", json.dumps(asked)]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)

    def line(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def end(self) -> list[Any]:
        said, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0
        return [each for each in map(json.loads, said.splitlines()) if each != "ready"]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def connection(redis_server: RedisServer) -> Iterator[dulse.Connection]:
    options = {"fleet": "mixed", "kombu_visibility_timeout": 1}
    with dulse.Connection(redis_server.url, transport_options=options) as made:
        yield made


def declare(connection: dulse.Connection, name: str, exchange: str, key: str, type: str = "direct") -> dulse.Queue:
    queue = dulse.Queue(name, dulse.Exchange(exchange, type=type), routing_key=key)
    queue.bind(connection.default_channel).declare()
    return queue


def drained(connection: dulse.Connection, queue: dulse.Queue, count: int, seconds: float = 30) -> list[Any]:
    """What came, acknowledged: body and the message."""
    found: list[Any] = []

    def take(body: Any, message: Any) -> None:
        found.append((body, message))
        message.ack()

    with connection.Consumer([queue], callbacks=[take]):
        end = time.monotonic() + seconds
        while len(found) < count and time.monotonic() < end:
            try:
                connection.drain_events(timeout=0.5)
            except TimeoutError:
                continue
    return found


def test_what_kombu_publishes_to_our_binding_comes_to_us(
    redis_server: RedisServer, connection: dulse.Connection
) -> None:
    queue = declare(connection, "orders", "shop", "new")
    bodies = [{"number": 1, "name": "Käse"}, "text"]
    properties = {"headers": {"deep": {"a": [1, 2]}}, "correlation_id": "c-1", "priority": 0}
    Kombu(do="publish", url=redis_server.url, exchange="shop", key="new", bodies=bodies, properties=properties).end()
    found = drained(connection, queue, 2)
    assert [body for body, _ in found] == bodies
    assert found[0][1].headers == {"deep": {"a": [1, 2]}}
    assert found[0][1].properties["correlation_id"] == "c-1"
    assert redis_server.cli("llen", "orders") == "0"
    connection.close()  # by then all that was settled is written
    assert redis_server.cli("hlen", "unacked") == "0"


def test_what_we_publish_comes_to_kombu(redis_server: RedisServer, connection: dulse.Connection) -> None:
    declare(connection, "orders", "shop", "new")
    with connection.Producer() as producer:
        for body in ({"number": 1, "name": "Käse"}, "text"):
            producer.publish(body, exchange="shop", routing_key="new", headers={"deep": {"a": [1, 2]}})
    found = Kombu(do="consume", url=redis_server.url, queue="orders", exchange="shop", key="new", count=2).end()
    assert [each["body"] for each in found] == [{"number": 1, "name": "Käse"}, "text"]
    assert found[0]["headers"] == {"deep": {"a": [1, 2]}}
    assert redis_server.cli("hlen", "unacked") == "0"


def test_a_binding_that_kombu_makes_after_our_route_was_cached_is_followed(
    redis_server: RedisServer, connection: dulse.Connection
) -> None:
    declare(connection, "orders", "shop", "new")
    with connection.Producer() as producer:
        producer.publish("first", exchange="shop", routing_key="new")
        Kombu(do="bind", url=redis_server.url, queue="audit", exchange="shop", key="new").end()
        producer.publish("second", exchange="shop", routing_key="new")
    found = Kombu(do="consume", url=redis_server.url, queue="audit", exchange="shop", key="new").end()
    assert [each["body"] for each in found] == ["second"]
    assert redis_server.cli("llen", "orders") == "2"


def test_topics_are_routed_by_both(redis_server: RedisServer, connection: dulse.Connection) -> None:
    queue = declare(connection, "errors", "logs", "*.error.#", type="topic")
    asked = {"url": redis_server.url, "exchange": "logs", "type": "topic"}
    for key in ("app.error.disk", "app.warning", "error"):
        Kombu(do="publish", key=key, bodies=[key], **asked).end()
    assert [body for body, _ in drained(connection, queue, 1)] == ["app.error.disk"]
    Kombu(do="bind", queue="all", binding="app.#", **asked).end()
    with connection.Producer() as producer:
        for key in ("app.error.disk", "web.start"):
            producer.publish(key, exchange="logs", routing_key=key)
    found = Kombu(do="consume", queue="all", binding="app.#", **asked).end()
    assert [each["body"] for each in found] == ["app.error.disk"]


def test_kombus_restore_leaves_what_we_hold_and_we_settle_it_once(
    redis_server: RedisServer, connection: dulse.Connection
) -> None:
    queue = declare(connection, "orders", "shop", "new")
    declare(connection, "copies", "shop", "new")
    Kombu(do="publish", url=redis_server.url, exchange="shop", key="new", bodies=["held"]).end()
    held: list[Any] = []
    with connection.Consumer([queue], callbacks=[lambda _, message: held.append(message)]):
        while not held:
            connection.drain_events(timeout=PATIENCE)
        impatient = {"visibility_timeout": 1, "unacked_restore_throttle": 1, "unacked_restore_interval": 1}
        asked = {"url": redis_server.url, "queue": "other", "exchange": "shop", "key": "other", "seconds": 4}
        assert Kombu(do="consume", options=impatient, **asked).end() == []
        assert redis_server.cli("llen", "orders") == "0"
        assert redis_server.cli("llen", "copies") == "1"
        assert redis_server.cli("hlen", "unacked") == "1"
        held[0].ack()
    connection.close()
    assert redis_server.cli("hlen", "unacked") == "0"
    assert redis_server.cli("zcard", "unacked_index") == "0"


def test_what_a_killed_process_of_kombu_held_comes_to_us_after_its_time(
    redis_server: RedisServer, connection: dulse.Connection
) -> None:
    queue = declare(connection, "orders", "shop", "new")
    with connection.Producer() as producer:
        producer.publish({"number": 7}, exchange="shop", routing_key="new")
    other = Kombu(do="consume", url=redis_server.url, queue="orders", exchange="shop", key="new", ack=False)
    assert other.line() == "ready"
    assert other.line()["body"] == {"number": 7}
    other.kill()
    found = drained(connection, queue, 1)
    assert [body for body, _ in found] == [{"number": 7}]
    connection.close()
    assert redis_server.cli("hlen", "unacked") == "0"


def test_what_a_killed_process_of_ours_held_comes_to_kombu_when_nobody_of_ours_is_left(
    redis_server: RedisServer, connection: dulse.Connection
) -> None:
    queue = declare(connection, "orders", "shop", "new")
    Kombu(do="publish", url=redis_server.url, exchange="shop", key="new", bodies=["rescued"]).end()
    held: list[Any] = []
    with connection.Consumer([queue], callbacks=[lambda _, message: held.append(message)]):
        while not held:
            connection.drain_events(timeout=PATIENCE)
        tag = redis_server.cli("zrange", "unacked_index", "0", "-1")
        score = float(redis_server.cli("zscore", "unacked_index", tag))
        assert 3500 < score - time.time() < 3700
        redis_server.cli("zadd", "unacked_index", "1", tag)  # as if that hour, and more, were over
        impatient = {"visibility_timeout": 1, "unacked_restore_throttle": 1}
        asked = {"url": redis_server.url, "queue": "orders", "exchange": "shop", "key": "new"}
        assert [each["body"] for each in Kombu(do="consume", options=impatient, **asked).end()] == ["rescued"]
        held[0].ack()
    connection.close()
    assert redis_server.cli("llen", "orders") == "0"


def test_priorities_count_in_steps_on_both_sides(redis_server: RedisServer, connection: dulse.Connection) -> None:
    queue = dulse.Queue("orders", dulse.Exchange("shop"), routing_key="new", max_priority=9)
    queue.bind(connection.default_channel).declare()
    asked = {"url": redis_server.url, "exchange": "shop", "key": "new"}
    for priority in (0, 9, 4):
        Kombu(do="publish", bodies=[priority], properties={"priority": priority}, **asked).end()
    with connection.Producer() as producer:
        producer.publish(5, exchange="shop", routing_key="new", priority=5)
    assert redis_server.cli("llen", "orders\x06\x163") == "2"
    assert [body for body, _ in drained(connection, queue, 4)] == [9, 4, 5, 0]


def test_with_equal_steps_and_the_order_of_kombu_both_hand_out_the_same_in_the_same_order(
    redis_server: RedisServer,
) -> None:
    steps = [0, 2, 5, 8]
    options = {"fleet": "mixed", "priority_steps": steps, "priority_order": "lowest"}
    asked = {"url": redis_server.url, "exchange": "shop", "key": "new", "options": {"priority_steps": steps}}
    theirs, ours = [9, 4, 8, 2, 5], [0, 3, 7, 1]
    expected = [0, 1, 4, 2, 3, 5, 7, 9, 8]
    with dulse.Connection(redis_server.url, transport_options=options) as connection:
        queue = dulse.Queue("orders", dulse.Exchange("shop"), routing_key="new", max_priority=9)
        queue.bind(connection.default_channel).declare()
        with connection.Producer() as producer:

            def send_all() -> None:
                Kombu(do="publish", bodies=theirs, by_priority=True, **asked).end()
                for priority in ours:
                    producer.publish(priority, exchange="shop", routing_key="new", priority=priority)
                producer.flush()

            send_all()
            found = Kombu(do="consume", queue="orders", count=len(expected), **asked).end()
            assert [each["body"] for each in found] == expected
            send_all()
        assert [body for body, _ in drained(connection, queue, len(expected))] == expected
    assert redis_server.cli("keys", "orders*") == ""


def test_an_element_that_is_no_envelope_holds_up_nobody(
    redis_server: RedisServer, connection: dulse.Connection
) -> None:
    queue = declare(connection, "orders", "shop", "new")
    redis_server.cli("lpush", "orders", "no JSON at all")
    with connection.Producer() as producer:
        producer.publish("good", exchange="shop", routing_key="new")
    assert [body for body, _ in drained(connection, queue, 1)] == ["good"]


def test_what_is_for_all_reaches_both_kinds_each_queue_once(redis_server: RedisServer) -> None:
    options = {"fleet": "mixed"}
    asked = {"url": redis_server.url, "exchange": "news", "type": "fanout"}
    first, second = (dulse.Connection(redis_server.url, transport_options=options) for _ in range(2))
    found: list[tuple[str, Any]] = []

    def taker(name: str) -> Any:
        def take(body: Any, message: Any) -> None:
            found.append((name, body))
            message.ack()

        return take

    with first, second:
        ours = [declare(first, name, "news", "", type="fanout") for name in ("shared", "alone")]
        theirs = Kombu(do="consume", queue="kombus", count=2, **asked)
        assert theirs.line() == "ready"
        with (
            first.Consumer([ours[0]], callbacks=[taker("shared")]),
            first.Consumer([ours[1]], callbacks=[taker("alone")]),
            second.Consumer([ours[0]], callbacks=[taker("shared")]),
        ):
            both = (first, second)
            spin(both, lambda: int(redis_server.cli("pubsub", "numpat")) >= 2)
            Kombu(do="publish", bodies=["theirs"], **asked).end()
            spin(both, lambda: len(found) >= 2)
            with first.Producer() as producer:
                producer.publish("ours", exchange="news", routing_key="")
            spin(both, lambda: len(found) >= 4)
            assert [each["body"] for each in theirs.end()] == ["theirs", "ours"]
            spin(both, lambda: False, seconds=1)
    assert sorted(found) == [("alone", "ours"), ("alone", "theirs"), ("shared", "ours"), ("shared", "theirs")]
    assert redis_server.cli("llen", "kombus") == "0"


def spin(connections: tuple[dulse.Connection, ...], done: Callable[[], bool], seconds: float = 30) -> None:
    """Drain both until something is so, or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done():
        for connection in connections:
            try:
                connection.drain_events(timeout=0.1)
            except TimeoutError:
                continue
