"""The management of the AMQP transport on a real RabbitMQ: queues and messages from outside, and who may ask."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

import dulse
import dulse.aio
from dulse import errors
from dulse.transports.amqp.sync.management import AmqpManagement
from tests.servers.rabbitmq import RabbitMQ

STRANGE = "a/b ü?%2F#😀"
"""A name that a URL cannot carry as it is."""


@contextmanager
def connected(node: RabbitMQ, vhost: str, user: str = "guest", **options: Any) -> Iterator[dulse.Connection]:
    options = {"management_port": node.management.port, **options}
    with dulse.Connection(node.url_of(vhost, user, user), transport_options=options) as connection:
        connection.connect()
        yield connection


def management(connection: dulse.Connection) -> AmqpManagement:
    found = connection.transport.transport.management
    assert isinstance(found, AmqpManagement)
    return found


def fill(connection: dulse.Connection, queue: str, count: int, **arguments: Any) -> None:
    connection.default_channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
    with connection.Producer() as producer:
        for number in range(count):
            producer.publish(str(number), queue, exchange="", headers={"number": number})
        producer.flush()


def bodies(connection: dulse.Connection, queue: str) -> list[str]:
    found = []
    while (message := connection.default_channel.basic_get(queue, no_ack=True)) is not None:
        found.append(message.payload)
    return found


@contextmanager
def user(node: RabbitMQ, vhost: str, tags: str) -> Iterator[str]:
    """A user whose password is his name."""
    name = f"user-{secrets.token_hex(4)}"
    node.add_user(name, name, tags)
    node.permit(name, vhost)
    yield name
    node.remove_user(name)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def test_queues_of_any_name_are_described_as_they_are_now(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        fill(connection, STRANGE, 3, **{"x-max-length": 10})
        fill(connection, "other", 1)
        strange, other = connection.manager.queues(STRANGE, "other")
    assert (strange.name, strange.ready, strange.consumers, strange.durable) == (STRANGE, 3, 0, True)
    assert dict(strange.arguments) == {"x-max-length": 10}
    assert (other.name, other.ready, other.exclusive, other.auto_delete) == ("other", 1, False, False)


def test_all_queues_of_the_virtual_host_are_listed_by_name(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        for name in ("b", STRANGE, "c"):
            fill(connection, name, 0)
        assert [each.name for each in connection.manager.queues()] == sorted(["b", STRANGE, "c"])


def test_without_the_plugin_named_queues_are_counted_and_the_rest_is_unknown(
    rabbitmq: RabbitMQ, rabbitmq_vhost: str
) -> None:
    with connected(rabbitmq, rabbitmq_vhost, management_port=free_port()) as connection:
        fill(connection, "q", 2)
        (found,) = connection.manager.queues("q")
        assert (found.ready, found.consumers, found.leased, found.durable) == (2, 0, None, None)
        with pytest.raises(errors.NotFound):
            connection.manager.queues("missing")
        with pytest.raises(errors.ConnectionRefused, match="rabbitmq-plugins enable rabbitmq_management"):
            connection.manager.queues()


def test_a_user_without_the_tag_is_told_so_and_his_password_is_not_shown(
    rabbitmq: RabbitMQ, rabbitmq_vhost: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with user(rabbitmq, rabbitmq_vhost, "") as name, connected(rabbitmq, rabbitmq_vhost, name) as connection:
        fill(connection, "q", 1)
        with pytest.raises(errors.AuthenticationFailed, match="set_user_tags"):
            connection.manager.queues()
        assert connection.manager.queues("q")[0].ready == 1


def test_credentials_of_the_url_are_used_and_never_shown(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    url = f"http://guest:hunter2@{rabbitmq.host}:{rabbitmq.management.port}"
    with connected(rabbitmq, rabbitmq_vhost, management_url=url) as connection:
        with pytest.raises(errors.AuthenticationFailed) as caught:
            connection.manager.queues()
        assert "hunter2" not in f"{caught.value!r} {management(connection)!r}"


def test_peeking_takes_nothing_and_keeps_the_order(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        fill(connection, STRANGE, 3)
        for _ in range(2):
            seen = connection.manager.peek(STRANGE, 2)
            assert [(each.payload, each.headers["number"]) for each in seen] == [("0", 0), ("1", 1)]
        assert bodies(connection, STRANGE) == ["0", "1", "2"]


def test_a_stream_is_not_peeked_into_and_the_connection_lives_on(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        fill(connection, "s", 1, **{"x-queue-type": "stream"})
        channel = connection.default_channel
        with pytest.raises(errors.NotSupported, match="stream"):
            connection.manager.peek("s")
        assert channel.queue_declare("s", passive=True).queue == "s"


def test_moving_keeps_order_and_properties(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        fill(connection, "from", 5)
        fill(connection, STRANGE, 0)
        assert connection.manager.move("from", STRANGE, 3) == 3
        assert connection.manager.peek(STRANGE)[0].headers["number"] == 0
        assert bodies(connection, STRANGE) == ["0", "1", "2"]
        assert bodies(connection, "from") == ["3", "4"]


def test_a_carbon_copy_goes_nowhere_else_when_it_is_moved(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        for name in ("from", "to", "third"):
            fill(connection, name, 0)
        with connection.Producer() as producer:
            producer.publish("x", "from", exchange="", headers={"CC": ["third"]})
            producer.flush()
        assert bodies(connection, "third") == ["x"]
        assert connection.manager.move("from", "to") == 1
        assert (bodies(connection, "to"), bodies(connection, "third")) == (["x"], [])


@pytest.mark.parametrize("overflow", ["drop-head", "reject-publish"])
def test_a_full_queue_drops_nothing_to_take_one_in(rabbitmq: RabbitMQ, rabbitmq_vhost: str, overflow: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        fill(connection, "from", 4)
        fill(connection, "to", 1, **{"x-max-length": 3, "x-overflow": overflow})
        assert connection.manager.move("from", "to") == 2
        with pytest.raises(errors.Refused, match="full"):
            connection.manager.move("from", "to")
        assert bodies(connection, "to") == ["0", "0", "1"]
        assert bodies(connection, "from") == ["2", "3"]


def test_refusals_of_a_move_close_nothing(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection, connected(rabbitmq, rabbitmq_vhost) as other:
        fill(connection, "q", 1)
        other.default_channel.queue_declare("theirs", exclusive=True)
        manager, channel = connection.manager, connection.default_channel
        with pytest.raises(errors.NotFound):
            manager.move("q", "missing")
        with pytest.raises(errors.ResourceLocked):
            manager.move("theirs", "q")
        with pytest.raises(errors.InvalidArgument, match="both"):
            manager.move("q", "q")
        assert channel.queue_declare("q", passive=True).message_count == 1


def test_without_confirms_nothing_is_moved(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost, confirm_publish="off") as connection:
        fill(connection, "from", 0)
        fill(connection, "to", 0)
        with pytest.raises(errors.NotSupported, match="confirms"):
            connection.manager.move("from", "to")


def test_exchanges_bindings_and_virtual_hosts_are_listed(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        fill(connection, STRANGE, 0)
        channel = connection.default_channel
        channel.exchange_declare(STRANGE, "topic", durable=True, auto_delete=False)
        channel.queue_bind(STRANGE, STRANGE, "k.#", arguments={"n": 1})
        found = management(connection)
        assert ("topic", True) in [(each.type, each.durable) for each in found.exchanges() if each.name == STRANGE]
        expected = (STRANGE, STRANGE, "queue", "k.#", {"n": 1})
        assert expected in found.bindings(STRANGE)
        assert expected in found.bindings()
        assert rabbitmq_vhost in [each.name for each in found.virtual_hosts()]
        with pytest.raises(errors.NotFound):
            found.bindings("missing")
        found.connections()
        found.channels()
        assert found.consumers() == []


def test_an_answer_that_never_ends_is_given_up_at_the_deadline() -> None:
    from dulse.links.addresses import Place
    from dulse.transports.amqp.management_http import Credentials, ManagementApi

    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts by its backlog, and says nothing
        api = ManagementApi([Place(*server.getsockname())], Credentials("u", lambda: "hunter2"), timeout=0.5)
        with pytest.raises(errors.DeadlineExceeded, match=r"within 0\.5 s"):
            api.all("vhosts")


def test_the_asyncio_form_lists_peeks_and_moves(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with connected(rabbitmq, rabbitmq_vhost) as connection:
        fill(connection, "from", 2)
        fill(connection, "to", 0)

    async def use() -> tuple[list[int], list[Any], int]:
        options = {"management_port": rabbitmq.management.port}
        async with dulse.aio.Connection(rabbitmq.url_of(rabbitmq_vhost), transport_options=options) as connection:
            manager = connection.manager
            seen = [each.payload for each in await manager.peek("from", 2)]
            moved = await manager.move("from", "to")
            return [each.ready for each in await manager.queues("from", "to")], seen, moved

    assert asyncio.run(use()) == ([0, 2], ["0", "1"], 2)


def test_rabbitmq_4_without_statistics_counts_each_listed_queue(rabbitmq4: RabbitMQ, rabbitmq4_url: str) -> None:
    vhost = rabbitmq4_url.rpartition("/")[2]
    with connected(rabbitmq4, vhost) as connection:
        fill(connection, "from", 3)
        fill(connection, "to", 0, **{"x-queue-type": "quorum"})
        assert connection.manager.move("from", "to", 2) == 2
        assert [(each.name, each.ready) for each in connection.manager.queues()] == [("from", 1), ("to", 2)]
        assert [each.payload for each in connection.manager.peek("to", 2)] == ["0", "1"]
        assert bodies(connection, "to") == ["0", "1"]
