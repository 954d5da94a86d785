"""`dulse consume`, `dulse get` and `dulse peek`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dulse import Connection


def put(connection: Connection, *bodies: Any, **options: Any) -> None:
    """Publish to the queue."""
    connection.Producer().publish_many(bodies, routing_key="work", exchange="", **options)


def left(connection: Connection) -> tuple[int, int]:
    """Count what is ready and leased."""
    (status,) = connection.manager.queues("work")
    return status.ready, status.leased or 0


def test_consume_writes_all_there_is_and_stops(run: Any, connection: Connection, work: str) -> None:
    put(connection, *(str(number) for number in range(300)))
    result = run("consume", work)
    assert result.stdout == "".join(f"{number}\n" for number in range(300))
    assert result.stderr == ""
    assert left(connection) == (0, 0)


def test_consume_takes_no_more_than_it_is_asked_to(run: Any, connection: Connection, work: str) -> None:
    put(connection, "one", "two", "three")
    assert run("consume", work, "--count", "2").stdout == "one\ntwo\n"
    assert left(connection) == (1, 0)
    (rest,) = connection.manager.peek(work)
    assert rest.delivery_info["redelivered"] is False


def test_consume_stops_following_when_nothing_has_come_for_so_long(run: Any, connection: Connection, work: str) -> None:
    put(connection, "one")
    assert run("consume", work, "--follow", "--timeout", "500ms").stdout == "one\n"


def test_bodies_are_written_byte_by_byte(run: Any, connection: Connection, work: str) -> None:
    put(connection, b"\xff\x00\n", "gr\u00fcn")
    assert run("consume", work, "-0").stdout_bytes == b"\xff\x00\n\0gr\xc3\xbcn\0"


def test_a_compressed_body_is_written_expanded(run: Any, connection: Connection, work: str) -> None:
    put(connection, "a" * 100, compression="gzip")
    assert run("consume", work).stdout == "a" * 100 + "\n"


def test_each_message_may_be_written_as_a_line_of_json(run: Any, connection: Connection, work: str) -> None:
    put(connection, {"a": [1]}, headers={"h": 1}, message_id="m")
    put(connection, b"\xff")
    first, second = map(json.loads, run("consume", work, "--format", "json").stdout.splitlines())
    assert (first["body"], first["headers"], first["routing_key"], first["deliveries"]) == (
        {"a": [1]},
        {"h": 1},
        "work",
        1,
    )
    assert first["properties"]["message_id"] == "m"
    assert (second["body_base64"], "body" in second) == ("/w==", False)


def test_get_takes_the_next_message(run: Any, connection: Connection, work: str) -> None:
    put(connection, "one", "two")
    assert run("get", work).stdout == "one\n"
    assert left(connection) == (1, 0)


def test_get_fails_where_there_is_nothing(run: Any, connection: Connection, work: str) -> None:
    put(connection, "one")
    result = run("get", work, "-n", "2", code=1)
    assert (result.stdout, result.stderr) == ("one\n", "dulse: queue 'work' is empty after 1 message\n")
    assert run("get", work, code=1).stderr == "dulse: queue 'work' is empty\n"


def test_peek_writes_the_next_messages_and_takes_none(run: Any, connection: Connection, work: str) -> None:
    put(connection, "one", "two", "three")
    assert run("peek", work, "-n", "2").stdout == "one\ntwo\n"
    assert left(connection) == (3, 0)
    assert run("peek", work, "-n", "1", "-f", "json").stdout.startswith('{"body": "one"')


def test_peek_tells_how_often_a_message_was_delivered_before(run: Any, connection: Connection, work: str) -> None:
    put(connection, "one")
    message = connection.default_channel.basic_get(work)
    assert message is not None
    message.requeue()
    record = json.loads(run("peek", work, "-f", "json").stdout)
    assert (record["deliveries"], record["headers"]) == (1, {})
    assert json.loads(run("get", work, "-f", "json").stdout)["deliveries"] == 2


@pytest.mark.parametrize("command", ["consume", "get", "peek"])
def test_a_queue_that_is_missing_is_a_failure(run: Any, work: str, command: str) -> None:
    result = run(command, "nowhere", code=1)
    assert (result.stdout, result.stderr) == ("", "dulse: there is no queue 'nowhere'; declare it first\n")


@pytest.mark.parametrize("body", [{"a": [1, "\u00fc", None]}, "text", "", b"\xff\x00", [1.5], "7", 7])
def test_what_was_consumed_as_json_can_be_published_again(
    run: Any, connection: Connection, work: str, body: Any
) -> None:
    put(connection, body, headers={"tone": "d", "raw": b"\xff"}, priority=3, correlation_id="c", expiration=60)
    (before,) = connection.manager.peek(work)
    records = run("consume", work, "-f", "json").stdout_bytes
    run("publish", "-f", "records", input=records)
    (after,) = connection.manager.peek(work)
    assert (after.payload, after.headers, after.properties) == (before.payload, before.headers, before.properties)


@pytest.mark.parametrize(
    "document",
    [
        r'"\ud800"',
        r'{"a\udc00":1}',
        "1e400",
        "[-1e999, 1.5]",
        "NaN",
        pytest.param("[" * 20_000 + "]" * 20_000, id="deep"),
    ],
)
def test_json_that_few_can_write_is_published_again_as_it_was(
    run: Any, connection: Connection, work: str, document: str
) -> None:
    connection.Producer().publish(document, routing_key=work, content_type="application/json", content_encoding="utf-8")
    records = run("consume", work, "-f", "json").stdout_bytes
    run("publish", "-f", "records", input=records)
    (after,) = connection.manager.peek(work)
    assert after.body == document.encode()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is not JSON"),
        pytest.param("[" * 20_000 + "]" * 20_000, "is not JSON", id="deep"),
        ("[]", "is no record"),
        ("{}", "is no record"),
        ('{"body": "", "body_base64": ""}', "is no record"),
        ('{"body": "", "colour": 1}', "has the field 'colour'"),
        ('{"body": 1}', "has body of type int: it must be of type str"),
        (r'{"body": "\ud800"}', "has a body that is no text"),
        ('{"body_base64": "?"}', "has a body_base64 that is not base64"),
        ('{"body": "", "headers": []}', "has headers of type list"),
        ('{"body": "", "properties": {"priority": true}}', "has priority of type bool"),
        ('{"body": "", "properties": {"expiration": "x"}}', "has the expiration 'x'"),
        ('{"body": "", "properties": {"tone": "x"}}', "has the property 'tone'"),
        ('{"body": "", "routing_key": 1}', "has routing_key of type int"),
    ],
)
def test_a_line_that_is_no_record_is_named(run: Any, work: str, line: str, words: str) -> None:
    result = run("publish", "-q", work, "-f", "records", input=f"\n{line}\n", code=1)
    assert f"line 2 of stdin {words}" in result.stderr
