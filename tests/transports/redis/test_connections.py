"""How many connections a process has, and what it asks of the server."""

from __future__ import annotations

import pytest

from dulse import Connection, Queue, errors
from tests.servers.redis import RedisServer


def clients(server: RedisServer) -> int:
    """Count the connections, without that of the question."""
    return len(server.cli("client", "list").splitlines()) - 1


def test_a_process_that_only_publishes_has_one_connection(redis_server: RedisServer) -> None:
    before = clients(redis_server)
    with Connection(redis_server.url) as connection:
        Queue("work")(connection.default_channel).declare()
        producer = connection.Producer()
        for number in range(100):
            producer.publish({"number": number}, routing_key="work")
        producer.flush()

        assert clients(redis_server) - before == 1


def test_a_process_that_consumes_has_two_connections_however_many_queues(redis_server: RedisServer) -> None:
    before = clients(redis_server)
    with Connection(redis_server.url) as connection:
        queues = [Queue(f"work {number}") for number in range(50)]
        producer = connection.Producer()
        for queue in queues:
            queue(connection.default_channel).declare()
        with connection.Consumer(queues, on_message=lambda message: message.ack()):
            with pytest.raises(errors.DeadlineExceeded):
                connection.drain_events(timeout=0.2)
            producer.publish("one", routing_key="work 49")
            connection.drain_events(timeout=10)

            assert clients(redis_server) - before == 2


def test_no_command_looks_at_all_keys(redis_server: RedisServer) -> None:
    redis_server.cli("config", "resetstat")
    with Connection(redis_server.url) as connection:
        queue = Queue("work", max_priority=5)(connection.default_channel)
        queue.declare()
        producer = connection.Producer()
        producer.publish("one", routing_key="work", priority=3, expiration=0.001)
        producer.publish("two", routing_key="work", headers={"x-delay": 10})
        with connection.Consumer(queue, on_message=lambda message: message.ack()):
            connection.drain_events(timeout=10)
        queue.purge()
        queue.delete()

    used = redis_server.cli("info", "commandstats")
    assert "cmdstat_evalsha:" in used
    assert not [name for name in ("keys", "scan", "flushdb", "flushall", "dbsize") if f"cmdstat_{name}:" in used]


def test_a_deleted_queue_leaves_no_keys_of_its_own(redis_server: RedisServer) -> None:
    with Connection(redis_server.url) as connection:
        queue = Queue("work", max_priority=5)(connection.default_channel)
        queue.declare()
        producer = connection.Producer()
        for number in range(5):
            producer.publish("one", routing_key="work", priority=number, headers={"x-delay": 60_000 * (number % 2)})
        producer.flush()
        message = queue.get()
        assert message is not None
        queue.delete()

    left = redis_server.cli("keys", "*").split("\n")
    assert [key for key in left if "work" in key] == []


@pytest.mark.parametrize("timeout", [0, 0.1, 0.6])
def test_a_drain_in_which_nothing_comes_leaves_the_connections_as_they_are(
    redis_server: RedisServer, timeout: float
) -> None:
    with Connection(redis_server.url) as connection:
        queue = Queue("work")(connection.default_channel)
        queue.declare()
        with connection.Consumer(queue, on_message=lambda message: message.ack()):
            with pytest.raises(errors.DeadlineExceeded):
                connection.drain_events(timeout=0.1)
            before = made(redis_server)
            for _ in range(3):
                with pytest.raises(errors.DeadlineExceeded, match="no message within"):
                    connection.drain_events(timeout=timeout)

            assert made(redis_server) - before == 1, "that of the question alone"


def made(server: RedisServer) -> int:
    """How many connections were ever made."""
    lines = server.cli("info", "stats").splitlines()
    return int(next(line.partition(":")[2] for line in lines if line.startswith("total_connections_received")))
