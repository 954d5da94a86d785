"""`dulse declare`, `dulse bind`, `dulse unbind` and `dulse delete`."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import Connection, errors


def test_a_queue_is_made_with_its_rules(run: Any, connection: Connection) -> None:
    result = run(
        *("declare", "queue", "work", "--message-ttl", "1m", "--expires", "1h", "--max-length", "5"),
        *("--max-length-bytes", "100", "--max-priority", "3", "--overflow", "reject-publish"),
        *("--dead-letter-exchange", "", "--dead-letter-routing-key", "dead", "--delivery-limit", "2"),
        *("--single-active-consumer", "-a", "x-queue-type=classic"),
    )
    assert result.stderr == "dulse: queue 'work' is there, with 0 messages\n"
    (status,) = connection.manager.queues("work")
    assert status.durable
    assert not status.auto_delete
    assert status.arguments == {
        "x-message-ttl": 60_000,
        "x-expires": 3_600_000,
        "x-max-length": 5,
        "x-max-length-bytes": 100,
        "x-max-priority": 3,
        "x-overflow": "reject-publish",
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "dead",
        "x-delivery-limit": 2,
        "x-single-active-consumer": True,
        "x-queue-type": "classic",
    }


def test_a_queue_may_be_transient_and_delete_itself(run: Any, connection: Connection) -> None:
    run("declare", "queue", "work", "--transient", "--auto-delete")
    (status,) = connection.manager.queues("work")
    assert (status.durable, status.auto_delete) == (False, True)


def test_a_queue_that_is_there_with_other_rules_is_a_failure(run: Any) -> None:
    run("declare", "queue", "work")
    result = run("declare", "queue", "work", "--max-length", "5", code=1)
    assert "x-max-length" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_exchange_is_made_with_its_properties(run: Any, connection: Connection) -> None:
    run("declare", "exchange", "rest", "--type", "fanout")
    run("declare", "exchange", "x", "-t", "topic", "--alternate-exchange", "rest", "--auto-delete")
    channel = connection.default_channel
    arguments = {"alternate-exchange": "rest"}
    channel.exchange_declare("x", "topic", durable=True, auto_delete=True, arguments=arguments)
    with pytest.raises(errors.PreconditionFailed):
        channel.exchange_declare("x", "topic", durable=True, arguments=arguments)


def test_an_unknown_type_of_exchange_is_a_failure(run: Any) -> None:
    assert "'spiral'" in run("declare", "exchange", "x", "--type", "spiral", code=1).stderr


def test_bindings_lead_from_an_exchange_to_a_queue_until_they_are_taken_away(
    run: Any, connection: Connection, work: str
) -> None:
    run("declare", "exchange", "x", "-t", "topic")
    run("bind", "x", work, "-k", "a.*", "-k", "#.z")
    run("publish", "-x", "x", "-k", "a.b", "-m", "1")
    run("publish", "-x", "x", "-k", "y.z", "-m", "2")
    run("unbind", "x", work, "-k", "a.*")
    run("publish", "-x", "x", "-k", "a.b", "-m", "3", code=1)
    assert [message.body for message in connection.manager.peek(work, 10)] == [b"1", b"2"]


def test_bindings_may_lead_to_an_exchange_and_have_arguments(run: Any, connection: Connection, work: str) -> None:
    run("declare", "exchange", "by-headers", "-t", "headers")
    run("declare", "exchange", "all", "-t", "fanout")
    run("bind", "by-headers", "all", "--to-exchange", "-a", "size:=7")
    run("bind", "all", work)
    run("publish", "-x", "by-headers", "-H", "size:=7", "-k", "", "-m", "1")
    run("unbind", "by-headers", "all", "--to-exchange", "-a", "size:=7")
    run("publish", "-x", "by-headers", "-H", "size:=7", "-k", "", "-m", "2", code=1)
    assert [message.body for message in connection.manager.peek(work, 10)] == [b"1"]


def test_binding_what_is_missing_is_a_failure(run: Any, work: str) -> None:
    assert "'nowhere'" in run("bind", "nowhere", work, code=1).stderr


def test_a_queue_with_messages_is_deleted_after_a_question(run: Any, connection: Connection, work: str) -> None:
    run("publish", "-q", work, "-m", "x")
    kept = run("delete", "queue", work, input="n\n", code=1)
    assert "Delete queue 'work' with 1 message? [y/N]" in kept.stderr
    assert [each.name for each in connection.manager.queues()] == ["work"]
    run("delete", "queue", work, input="y\n")
    assert connection.manager.queues() == []


def test_nothing_is_deleted_if_nobody_answers(run: Any, connection: Connection, work: str) -> None:
    run("publish", "-q", work, "-m", "x")
    result = run("delete", "queue", work, input="", code=1)
    assert "not confirmed, so nothing was done" in result.stderr
    assert connection.manager.queues(work)[0].ready == 1


def test_a_queue_is_deleted_without_a_question_where_none_is_needed(
    run: Any, connection: Connection, work: str
) -> None:
    run("publish", "-q", work, "-m", "x")
    assert "is not empty" in run("delete", "queue", work, "--if-empty", code=1).stderr
    assert run("delete", "queue", work, "-y").stderr == "dulse: queue 'work' is gone, and 1 message with it\n"
    run("declare", "queue", work)
    run("delete", "queue", work)
    assert connection.manager.queues() == []


def test_deleting_what_is_missing_is_a_failure(run: Any, work: str) -> None:
    assert "there is no queue 'wrok'" in run("delete", "queue", "wrok", code=1).stderr
    assert "there is no exchange 'x'" in run("delete", "exchange", "x", code=1).stderr


def test_an_exchange_is_deleted(run: Any, work: str) -> None:
    run("declare", "exchange", "x")
    run("bind", "x", work)
    assert "x" in run("delete", "exchange", "x", "--if-unused", code=1).stderr
    run("delete", "exchange", "x")
    run("publish", "-x", "x", "-k", "", "-m", "1", code=1)
