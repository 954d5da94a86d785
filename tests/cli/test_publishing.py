"""`dulse publish`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dulse import Connection, Message


def waiting(connection: Connection, queue: str = "work") -> list[Message[Any]]:
    """Show what a queue holds."""
    return connection.manager.peek(queue, 10_000)


def bodies(connection: Connection, queue: str = "work") -> list[bytes]:
    return [message.body for message in waiting(connection, queue)]


def test_each_line_of_stdin_is_a_message(run: Any, connection: Connection, work: str) -> None:
    result = run("publish", "-q", work, input="one\n\nthree")
    assert bodies(connection) == [b"one", b"", b"three"]
    assert result.stdout == ""
    assert result.stderr.startswith("dulse: sent 3 messages to queue 'work' in ")


def test_lines_may_end_as_on_windows(run: Any, connection: Connection, work: str) -> None:
    run("publish", "-q", work, input=b"one\r\ntwo\r\n")
    assert bodies(connection) == [b"one", b"two"]


def test_lines_longer_than_what_is_read_at_once_stay_whole(run: Any, connection: Connection, work: str) -> None:
    long = b"x" * 200_000
    run("publish", "-q", work, input=b"a\n" + long + b"\nb\n" + long)
    assert bodies(connection) == [b"a", long, b"b", long]


def test_several_files_are_read_one_after_the_other(
    run: Any, connection: Connection, work: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("1\n2")
    (tmp_path / "b").write_text("3\n")
    run("publish", "-q", work, str(tmp_path / "a"), "-", str(tmp_path / "b"), input="stdin\n")
    assert bodies(connection) == [b"1", b"2", b"stdin", b"3"]


def test_messages_may_be_given_as_arguments(run: Any, connection: Connection, work: str) -> None:
    result = run("publish", "-q", work, "-m", "hello", "-m", "world\n")
    assert bodies(connection) == [b"hello", b"world\n"]
    assert "sent 2 messages" in result.stderr


def test_more_lines_than_one_step_holds_keep_their_order(run: Any, connection: Connection, work: str) -> None:
    run("publish", "-q", work, "--batch", "7", input="\n".join(map(str, range(50))))
    assert [int(body) for body in bodies(connection)] == list(range(50))


def test_text_is_told_from_bytes(run: Any, connection: Connection, work: str) -> None:
    run("publish", "-q", work, input="gr\u00fcn\n".encode() + b"\xff\xfe\n")
    assert [(each.content_type, each.content_encoding) for each in waiting(connection)] == [
        ("text/plain", "utf-8"),
        ("application/octet-stream", "binary"),
    ]
    assert waiting(connection)[0].payload == "gr\u00fcn"


def test_json_lines_are_published_as_json(run: Any, connection: Connection, work: str) -> None:
    run("publish", "-q", work, "--format", "jsonl", input='{"a": 1}\n\n[2]\n')
    assert [message.payload for message in waiting(connection)] == [{"a": 1}, [2]]


@pytest.mark.parametrize("line", ["{oops", pytest.param("[" * 20_000 + "]" * 20_000, id="deep")])
def test_a_line_that_is_not_json_is_named(run: Any, connection: Connection, work: str, line: str) -> None:
    result = run("publish", "-q", work, "-f", "jsonl", input=f'{{"a": 1}}\n{line}\n', code=1)
    assert "dulse: line 2 of stdin is not JSON" in result.stderr
    assert "sent 0 messages" in result.stderr
    assert bodies(connection) == []


def test_whole_files_are_messages_of_their_own_type(
    run: Any, connection: Connection, work: str, tmp_path: Path
) -> None:
    (tmp_path / "pixel.png").write_bytes(b"\x89PNG\n\xff")
    (tmp_path / "note.unknown").write_text("two\nlines\n")
    run("publish", "-q", work, "-f", "files", str(tmp_path / "pixel.png"), str(tmp_path / "note.unknown"))
    assert [(each.body, each.content_type) for each in waiting(connection)] == [
        (b"\x89PNG\n\xff", "image/png"),
        (b"two\nlines\n", "text/plain"),
    ]


def test_a_message_gets_its_headers_and_properties(run: Any, connection: Connection, work: str) -> None:
    arguments = ["-H", "tone=a=b", "-H", "size:=7", "-p", "message_id=m1", "-p", "timestamp=12", "--transient"]
    run("publish", "-q", work, "-m", "x", *arguments, "--expiration", "1m", "--content-type", "text/x")
    (message,) = waiting(connection)
    assert message.headers == {"tone": "a=b", "size": 7}
    assert message.content_type == "text/x"
    found = {name: message.properties[name] for name in ("message_id", "timestamp", "delivery_mode", "expiration")}
    stamp = datetime(1970, 1, 1, 0, 0, 12, tzinfo=UTC)
    assert found == {"message_id": "m1", "timestamp": stamp, "delivery_mode": 1, "expiration": "60000"}


def test_priority_and_delay_are_heeded(run: Any, connection: Connection) -> None:
    run("declare", "queue", "work", "--max-priority", "9")
    run("publish", "-q", "work", "-m", "low")
    run("publish", "-q", "work", "-m", "high", "--priority", "9")
    run("publish", "-q", "work", "-m", "later", "--delay", "1h")
    assert bodies(connection) == [b"high", b"low"]
    assert connection.manager.queues("work")[0].delayed == 1


def test_bodies_can_be_compressed(run: Any, connection: Connection, work: str) -> None:
    run("publish", "-q", work, "-m", "a" * 1000, "--compress", "gzip")
    assert (connection.manager.queues(work)[0].size or 0) in range(1, 500)
    assert bodies(connection) == [b"a" * 1000]


def test_an_exchange_routes_by_the_key(run: Any, connection: Connection, work: str) -> None:
    run("declare", "exchange", "logs", "--type", "topic")
    run("bind", "logs", work, "-k", "app.*")
    run("publish", "-x", "logs", "-k", "app.web", "-m", "x")
    assert waiting(connection)[0].delivery_info["routing_key"] == "app.web"


def test_what_no_queue_takes_is_a_failure_that_names_the_key(run: Any, connection: Connection, work: str) -> None:
    run("declare", "exchange", "logs", "--type", "topic")
    result = run("publish", "-x", "logs", "-k", "app.web", input="1\n2\n", code=1)
    assert "2 of the last 2 messages went nowhere" in result.stderr
    assert "'app.web'" in result.stderr
    run("publish", "-x", "logs", "-k", "app.web", "--no-mandatory", "-m", "x")


def test_a_queue_that_is_missing_is_a_failure_unless_it_may_be_made(
    run: Any, connection: Connection, work: str
) -> None:
    result = run("publish", "-q", "new", "-m", "x", code=1)
    assert "there is no queue 'new'" in result.stderr
    run("publish", "-q", "new", "--declare", "-m", "x")
    assert bodies(connection, "new") == [b"x"]


def test_a_full_queue_that_refuses_is_a_failure(run: Any, connection: Connection) -> None:
    run("declare", "queue", "small", "--max-length", "1", "--overflow", "reject-publish")
    result = run("publish", "-q", "small", "--batch", "1", input="1\n2\n3\n", code=1)
    assert "sent 1 message to" in result.stderr
    assert "'small' is full" in result.stderr


def test_a_missing_exchange_is_a_failure(run: Any, work: str) -> None:
    result = run("publish", "-x", "nowhere", "-k", "k", "-m", "x", code=1)
    assert result.stderr.endswith("dulse: there is no exchange 'nowhere'; declare it first\n")


def test_quiet_says_nothing(run: Any, work: str) -> None:
    assert run("publish", "-q", work, "-m", "x", "--quiet").output == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing says where to publish"),
        (["-q", "a", "-k", "b"], "a queue is given and an exchange or routing key as well"),
        (["-x", "a", "--declare"], "--declare makes a queue"),
        (["-q", "a", "-m", "x", "-"], "both by -m and by files"),
        (["-q", "a", "-H", "x"], "'x' is not written as NAME=TEXT or NAME:=JSON"),
        (["-q", "a", "-H", "x:=y"], "'y' is not JSON: write x=y if it is meant as text"),
        (["-q", "a", "-p", "color=red"], "color=red is no property of a message"),
        (["-q", "a", "-p", "color"], "'color' is not written as NAME=VALUE"),
        (["-q", "a", "--delay", "soon"], "'soon' is no duration"),
        (["-q", "a", "--delay", "-1"], "'-1' is no duration"),
        (["-q", "a", "--priority", "256"], "256 is not in the range"),
        (["-q", "a", "no/such/file"], "'no/such/file' does not exist"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_in_one_sentence(run: Any, arguments: list[str], words: str) -> None:
    result = run("publish", *arguments, code=2)
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_line_without_end_is_refused_before_memory_is_full(
    run: Any, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dulse.cli.sources.LONGEST_LINE", 100_000)
    result = run("publish", "-q", work, input=b"x" * 300_000, code=1)
    assert "say --format files" in result.stderr
