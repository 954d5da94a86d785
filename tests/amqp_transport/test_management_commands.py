"""`dulse queues`, `dulse peek` and `dulse move` on a real RabbitMQ."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import dulse
from dulse.cli.program import program
from tests.servers.rabbitmq import RabbitMQ


@pytest.fixture
def url(rabbitmq: RabbitMQ, rabbitmq_url: str) -> str:
    """Name a virtual host with three messages in the queue dead, and none in the queue work."""
    with dulse.Connection(rabbitmq_url) as connection, connection.Producer() as producer:
        for name in ("dead", "work"):
            connection.default_channel.queue_declare(name, durable=True, auto_delete=False)
        for body in ("one", "two", "three"):
            producer.publish(body, "dead", exchange="")
        producer.flush()
    return f"{rabbitmq_url}?management_port={rabbitmq.management.port}"


def run(url: str, *arguments: str) -> str:
    result = CliRunner().invoke(program, arguments, env={"DULSE_URL": url})
    assert result.exit_code == 0, result.output
    return result.stdout


def test_queues_peek_and_move_work_on_rabbitmq(url: str) -> None:
    assert run(url, "peek", "dead", "-n", "2") == "one\ntwo\n"
    run(url, "move", "dead", "work", "-n", "2")
    found = json.loads(run(url, "queues", "work", "dead", "--json"))
    assert [(each["name"], each["ready"], each["durable"]) for each in found] == [("work", 2, True), ("dead", 1, True)]
    assert "work" in run(url, "queues")


def test_a_table_shows_question_marks_for_what_the_broker_does_not_tell(url: str) -> None:
    line = run(url, "queues", "dead").splitlines()[1].split()
    assert (line[0], line[1], line[3]) == ("dead", "3", "?")
