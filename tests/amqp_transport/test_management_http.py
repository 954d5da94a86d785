"""The management API by HTTP: over TLS with the names checked, at the next host, and within one deadline for all."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import dulse
from dulse import errors
from dulse.links.addresses import Place
from dulse.links.tls import tls_from
from dulse.testing.proxy import FaultProxy
from dulse.transports.amqp.management_http import Credentials, ManagementApi
from tests.servers.rabbitmq import RabbitMQ

GUEST = Credentials("guest", lambda: "guest")
LATE = 20.0
"""Seconds by which a machine under load may be late."""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def over_tls(node: RabbitMQ, vhost: str, trusted: Path, **options: Any) -> dulse.Connection:
    url = f"amqps://guest:guest@localhost:{node.tls_port}/{vhost}"
    told = {"management_port": node.management_tls_port, **options}
    return dulse.Connection(url, ssl={"ca_certs": str(trusted)}, transport_options=told)


def test_a_connection_by_tls_asks_by_tls(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with over_tls(rabbitmq, rabbitmq_vhost, rabbitmq.authority.certificate) as connection:
        connection.default_channel.queue_declare("q", durable=True)
        assert [queue.name for queue in connection.manager.queues()] == ["q"]


def test_a_certificate_for_another_host_is_refused(rabbitmq: RabbitMQ) -> None:
    tls = tls_from({"ca_certs": str(rabbitmq.authority.certificate), "server_hostname": "elsewhere.example"})
    api = ManagementApi([Place("localhost", rabbitmq.management_tls_port)], GUEST, tls=tls)
    with pytest.raises(errors.CertificateInvalid, match=r"elsewhere\.example|another name"):
        api.one("overview")


def test_an_authority_that_is_not_trusted_is_refused(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    url = f"https://localhost:{rabbitmq.management_tls_port}"
    with dulse.Connection(
        rabbitmq.url_of(rabbitmq_vhost), transport_options={"management_url": url}
    ) as connection:  # trusts what the system trusts
        connection.connect()
        with pytest.raises(errors.CertificateInvalid, match="localhost"):
            connection.manager.queues()


def test_the_next_host_is_asked_where_the_first_is_gone(rabbitmq: RabbitMQ) -> None:
    gone, there = Place("127.0.0.1", free_port()), Place("127.0.0.1", rabbitmq.management.port)
    api = ManagementApi([gone, there], GUEST)
    assert api.one("overview")["rabbitmq_version"].startswith("3.10")


def test_where_all_hosts_are_gone_the_last_is_named(rabbitmq: RabbitMQ) -> None:
    places = [Place("127.0.0.1", free_port()) for _ in range(2)]
    with pytest.raises(errors.ConnectionRefused, match=str(places[1].port)):
        ManagementApi(places, GUEST).one("overview")


def test_a_host_that_stalls_ends_a_question_at_its_deadline(rabbitmq: RabbitMQ) -> None:
    with FaultProxy("127.0.0.1", rabbitmq.management.port) as proxy:
        proxy.stall()
        api = ManagementApi([Place("127.0.0.1", proxy.port)], GUEST, timeout=1)
        began = monotonic()
        with pytest.raises(errors.DeadlineExceeded, match="within 1 s"):
            api.one("overview")
        assert monotonic() - began < 1 + LATE
        proxy.resume()
        assert api.one("overview")["management_version"]


def test_a_handshake_that_stalls_leaves_time_for_the_next_host(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    with FaultProxy("127.0.0.1", rabbitmq.management_tls_port) as proxy:
        proxy.stall()
        url = f"https://localhost:{proxy.port}"
        trusted = rabbitmq.authority.certificate
        with over_tls(rabbitmq, rabbitmq_vhost, trusted, management_url=url) as connection:
            connection.connect()
            began = monotonic()
            with pytest.raises(errors.OperationalError):
                connection.manager.queues()
            assert monotonic() - began < 5 + LATE
