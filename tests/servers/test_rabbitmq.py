"""The RabbitMQ of the tests is a real one, and can be killed, starved and asked."""

from __future__ import annotations

import socket
import ssl

import pytest

from dulse.amqp.engine import Engine
from dulse.amqp.sasl import External
from dulse.amqp.settings import Settings
from dulse.amqp.states import State
from tests.servers.ports import HOST_6, has_ip_6
from tests.servers.rabbitmq import GREETING, RabbitMQ


def greeting(link: socket.socket) -> bytes:
    """What a broker answers to AMQP's header: connection.start with its properties."""
    link.settimeout(10)
    link.sendall(GREETING)
    return link.recv(4096)


def test_it_speaks_amqp(rabbitmq: RabbitMQ) -> None:
    with socket.create_connection((rabbitmq.host, rabbitmq.port), 10) as link:
        assert b"RabbitMQ" in greeting(link)


def test_it_speaks_amqp_over_tls_with_a_certificate_of_our_authority(rabbitmq: RabbitMQ) -> None:
    context = ssl.create_default_context(cafile=str(rabbitmq.authority.certificate))
    plain = socket.create_connection((rabbitmq.host, rabbitmq.tls_port), 10)
    with context.wrap_socket(plain, server_hostname="localhost") as link:
        assert b"EXTERNAL" in greeting(link)


@pytest.mark.skipif(not has_ip_6(), reason="the loopback has no IPv6 here")
def test_it_speaks_amqp_over_ip_6(rabbitmq: RabbitMQ) -> None:
    with socket.create_connection((HOST_6, rabbitmq.port), 10) as link:
        assert b"RabbitMQ" in greeting(link)


def test_a_client_certificate_logs_in_as_the_user_it_names(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    rabbitmq.add_user("carol", "")
    rabbitmq.permit("carol", rabbitmq_vhost)
    context = ssl.create_default_context(cafile=str(rabbitmq.authority.certificate))
    context.load_cert_chain(*rabbitmq.authority.issue("carol"))
    engine = Engine(Settings(mechanisms=(External(),), virtual_host=rabbitmq_vhost))
    plain = socket.create_connection((rabbitmq.host, rabbitmq.tls_port), 10)
    with context.wrap_socket(plain, server_hostname="localhost") as link:
        while engine.state not in {State.OPEN, State.CLOSED}:
            link.sendall(engine.data_to_send())
            engine.receive(link.recv(4096))
    rabbitmq.remove_user("carol")
    assert engine.state is State.OPEN


def test_its_certificate_is_for_the_loopback_alone(rabbitmq: RabbitMQ) -> None:
    context = ssl.create_default_context(cafile=str(rabbitmq.authority.certificate))
    with (
        socket.create_connection((rabbitmq.host, rabbitmq.tls_port), 10) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(plain, server_hostname="elsewhere.example")


def test_it_keeps_what_is_durable_when_it_is_killed(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    rabbitmq.management.call("PUT", "queues", rabbitmq_vhost, "kept", body={"durable": True})
    rabbitmq.save_topology()
    before = rabbitmq.pid
    rabbitmq.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((rabbitmq.host, rabbitmq.port), 10)
    rabbitmq.start()
    assert rabbitmq.pid != before
    assert rabbitmq.management.call("GET", "queues", rabbitmq_vhost, "kept")["durable"] is True


def test_a_memory_alarm_is_raised_and_ends(rabbitmq: RabbitMQ) -> None:
    with rabbitmq.memory_alarm():
        assert rabbitmq.management.try_call("GET", "health", "checks", "local-alarms")[0] == 503
    assert rabbitmq.management.try_call("GET", "health", "checks", "local-alarms")[0] == 200


def test_users_and_policies_can_be_made(rabbitmq: RabbitMQ, rabbitmq_vhost: str) -> None:
    rabbitmq.add_user("reader", "secret/#")
    rabbitmq.permit("reader", rabbitmq_vhost, configure="", write="")
    rabbitmq.set_policy("short", "^q", {"max-length": 3}, rabbitmq_vhost)
    try:
        assert rabbitmq.management.call("GET", "permissions", rabbitmq_vhost, "reader")["write"] == ""
        assert rabbitmq.management.call("GET", "policies", rabbitmq_vhost, "short")["pattern"] == "^q"
    finally:
        rabbitmq.remove_user("reader")


def test_it_can_be_paused(rabbitmq: RabbitMQ) -> None:
    with rabbitmq.paused(), socket.create_connection((rabbitmq.host, rabbitmq.port), 10) as link:
        link.sendall(GREETING)
        link.settimeout(0.2)
        with pytest.raises(TimeoutError):
            link.recv(1)
    assert rabbitmq.management.is_up()


def test_rabbitmqctl_reaches_it(rabbitmq: RabbitMQ) -> None:
    assert "guest" in rabbitmq.ctl("list_users")
