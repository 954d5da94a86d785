"""Whom x-priority makes a connection serve first, however it is given."""

from __future__ import annotations

from functools import partial

from dulse import Connection, Message


def test_a_consumer_whose_priority_is_none_is_one_without() -> None:
    served: list[str] = []

    def serve(tag: str, message: Message) -> None:
        served.append(tag)

    with Connection("memory://a-priority-of-none") as connection:
        channel = connection.channel()
        channel.queue_declare("q")
        channel.basic_qos(0, 1, False)
        for tag, priority in (("low", -1), ("none", None), ("high", 1)):
            channel.basic_consume(
                "q", consumer_tag=tag, callback=partial(serve, tag), arguments={"x-priority": priority}
            )
        for number in range(3):
            connection.Producer().publish(number, routing_key="q")
            connection.drain_events(timeout=20)

    assert served == ["high", "none", "low"]
