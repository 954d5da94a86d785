"""`dulse queues`, `dulse purge`, `dulse move` and `dulse ping`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dulse import Connection


def test_queues_are_shown_with_what_they_hold(run: Any, connection: Connection, work: str) -> None:
    run("declare", "queue", "dead", "--max-length", "5", "--transient")
    run("publish", "-q", work, input="1\n2\n3\n")
    run("publish", "-q", work, "-m", "later", "--delay", "1h")
    connection.default_channel.basic_get(work)
    channel = connection.channel()
    channel.basic_qos(0, 1)
    channel.basic_consume(work, callback=print)
    heading, dead, busy = (line.split() for line in run("queues").stdout.splitlines())
    assert heading == ["QUEUE", "READY", "LEASED", "DELAYED", "BYTES", "CONSUMERS", "RULES"]
    assert dead == ["dead", "0", "0", "0", "0", "0", "transient", "max-length=5"]
    assert (busy[:4], busy[5:]) == (["work", "2", "1", "1"], ["1"])


def test_queues_are_shown_whole_where_no_terminal_limits_them(run: Any, connection: Connection) -> None:
    name = "q" * 250
    run("declare", "queue", name, "--dead-letter-exchange", "x" * 250)
    assert f"{name}  " in run("queues").stdout
    assert f"dead-letter-exchange={'x' * 250}" in run("queues").stdout


def test_names_cannot_steer_the_terminal(run: Any, connection: Connection) -> None:
    connection.default_channel.queue_declare("[red]\x1b[2J")
    assert "[red]\\x1b[2J" in run("queues").stdout


def test_queues_may_be_shown_as_json(run: Any, work: str) -> None:
    run("declare", "queue", "dead", "--max-length", "5")
    (found,) = json.loads(run("queues", "dead", "--json").stdout)
    assert (found["name"], found["ready"], found["arguments"]) == ("dead", 0, {"x-max-length": 5})
    assert [each["name"] for each in json.loads(run("queues", "--json").stdout)] == ["dead", "work"]


def test_a_queue_that_is_missing_is_a_failure(run: Any, work: str) -> None:
    assert run("queues", "wrok", code=1).stderr == "dulse: there is no queue 'wrok'; declare it first\n"


def test_purge_asks_and_then_deletes_what_is_ready(run: Any, connection: Connection, work: str) -> None:
    run("publish", "-q", work, input="1\n2\n3\n")
    run("purge", work, input="n\n", code=1)
    assert connection.manager.queues(work)[0].ready == 3
    assert "Delete 3 messages of queue 'work'? [y/N]" in run("purge", work, input="y\n").stderr
    assert connection.manager.queues(work)[0].ready == 0


def test_purge_need_not_ask(run: Any, work: str) -> None:
    run("publish", "-q", work, "-m", "1")
    assert run("purge", work, "--yes").stderr == "dulse: deleted 1 message of queue 'work'\n"
    assert run("purge", work).stderr == "dulse: deleted 0 messages of queue 'work'\n"


def test_move_takes_all_messages_with_their_headers(run: Any, connection: Connection, work: str) -> None:
    run("declare", "queue", "dead")
    run("publish", "-q", "dead", "-H", "why=tired", input="\n".join(map(str, range(250))))
    result = run("move", "dead", work)
    assert result.stderr == "dulse: moved 250 of 250 messages from queue 'dead' to queue 'work'\n"
    moved = connection.manager.peek(work, 1000)
    assert [int(message.body) for message in moved] == list(range(250))
    assert moved[0].headers == {"why": "tired"}


def test_move_takes_no_more_than_it_is_asked_to(run: Any, connection: Connection, work: str) -> None:
    run("declare", "queue", "dead")
    run("publish", "-q", "dead", input="\n".join(map(str, range(250))))
    run("move", "dead", work, "-n", "120")
    assert [each.ready for each in connection.manager.queues("dead", work)] == [130, 120]


def test_dead_letters_are_tried_again_by_a_move(run: Any, connection: Connection) -> None:
    run("declare", "queue", "work", "--dead-letter-exchange", "", "--dead-letter-routing-key", "dead")
    run("declare", "queue", "dead")
    run("publish", "-q", "work", "-m", "1")
    channel = connection.default_channel
    for deaths in (1, 2):
        message = channel.basic_get("work")
        assert message is not None
        message.reject()
        (dead,) = connection.manager.peek("dead")
        assert dead.headers["x-death"][0]["count"] == deaths
        run("move", "dead", "work")


def test_move_into_a_full_queue_leaves_the_rest_where_it_is(run: Any, connection: Connection, work: str) -> None:
    run("declare", "queue", "small", "--max-length", "150")
    run("publish", "-q", work, input="\n".join(map(str, range(300))))
    result = run("move", work, "small", code=1)
    assert "moved 150 of 300" in result.stderr
    assert "'small' is full" in result.stderr
    assert [each.ready for each in connection.manager.queues(work, "small")] == [150, 150]


@pytest.mark.parametrize(("source", "destination"), [("work", "nowhere"), ("nowhere", "work")])
def test_move_names_the_queue_that_is_missing(run: Any, work: str, source: str, destination: str) -> None:
    result = run("move", source, destination, code=1)
    assert result.stderr == "dulse: there is no queue 'nowhere'; declare it first\n"


def test_moving_a_queue_to_itself_makes_no_sense(run: Any, work: str) -> None:
    assert "queue 'work' is both" in run("move", work, work, code=2).stderr


def test_moving_nothing_is_done_at_once(run: Any, work: str) -> None:
    run("declare", "queue", "dead")
    assert "moved 0 of 0" in run("move", "dead", work).stderr


def test_ping_tells_that_the_broker_answers(run: Any, work: str) -> None:
    stderr = run("ping").stderr
    assert stderr.startswith("dulse: sqlite:///")
    assert stderr.endswith(" ms\n")
