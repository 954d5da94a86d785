"""The RabbitMQ 4 of the tests is a real one, and denies what is deprecated."""

from __future__ import annotations

import socket

from tests.servers.rabbitmq import GREETING, RabbitMQ


def test_it_says_that_it_is_version_4(rabbitmq4: RabbitMQ) -> None:
    with socket.create_connection((rabbitmq4.host, rabbitmq4.port), 10) as link:
        link.settimeout(10)
        link.sendall(GREETING)
        assert b"version" in link.recv(4096)
    assert rabbitmq4.ctl("version").startswith("4.")


def test_it_denies_a_transient_queue_that_is_not_exclusive(rabbitmq4: RabbitMQ) -> None:
    status, text = rabbitmq4.management.try_call("PUT", "queues", "/", "transient", body={"durable": False})
    assert (status, "deprecated" in text) == (400, True), text


def test_it_comes_back_after_being_killed(rabbitmq4: RabbitMQ, rabbitmq4_url: str) -> None:
    vhost = rabbitmq4_url.rpartition("/")[2]
    rabbitmq4.management.call("PUT", "queues", vhost, "kept", body={"durable": True})
    rabbitmq4.save_topology()
    rabbitmq4.kill()
    rabbitmq4.start()
    assert rabbitmq4.management.call("GET", "queues", vhost, "kept")["durable"] is True
