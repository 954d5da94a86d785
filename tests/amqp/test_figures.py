"""The ways that every message goes take few calls, Python's and C's, counted exactly."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from dulse.amqp.acknowledging import Acknowledgements
from dulse.amqp.confirms import Window
from dulse.amqp.delivery import Delivery
from dulse.amqp.methods import basic
from tests.amqp.joined import PLAIN, with_channel

MANY = 200


def calls_of(run: Callable[[], object]) -> Counter[str]:
    """Count the calls inside `run`."""
    seen: Counter[str] = Counter()

    def note(frame: FrameType, event: str, called: Any) -> None:
        if event == "call":
            seen[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            seen[called.__qualname__] += 1

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    del seen[run.__qualname__], seen["setprofile"]
    return seen


def test_a_message_is_taken_in_read_and_acknowledged_by_9_calls() -> None:
    client, server = with_channel()
    for tag in range(1, MANY + 1):
        server.send_content(1, basic.Deliver("consumer", tag, False, "", "queue"), PLAIN, b"x" * 1024)
    data, acks = server.data_to_send(), Acknowledgements(1)
    seen = []

    def consume() -> None:
        client.inbox.append(data)
        client.take_in()
        for each in client.events:
            if type(each) is Delivery:
                tag = acks.newest = each.delivery_tag
                seen.append((tag, each.redelivered, each.exchange, each.routing_key, each.body))
                acks.ack(tag)
        acks.collect()

    calls = calls_of(consume)
    calls["list.append"] -= MANY  # to `seen`
    assert seen[-1] == (MANY, False, "", "queue", b"x" * 1024)
    assert calls.total() - calls["type"] <= 8.5 * MANY, calls


def test_properties_of_messages_alike_are_read_by_few_calls() -> None:
    client, server = with_channel()
    headers = {f"header-{number}": "text" for number in range(7)}
    for tag in range(1, MANY + 1):
        properties = {"content_type": "a/b", "correlation_id": str(tag), "headers": headers, "priority": 3}
        server.send_content(1, basic.Deliver("consumer", tag), properties, b"")
    events = [each for each in client.receive(server.data_to_send()) if isinstance(each, Delivery)]

    def read() -> None:
        for each in events:
            assert each.properties["headers"] == headers

    assert calls_of(read).total() <= 16 * MANY


def test_a_message_is_written_and_put_into_the_window_by_6_calls() -> None:
    client, _ = with_channel()
    writer, window, body = client.writer(1), Window(), b"x" * 1024

    def publish() -> None:
        data = writer.write(body, PLAIN, "exchange", "key")
        window.entries.append(data)

    publish()
    publish()  # what comes again is remembered
    calls = calls_of(publish)
    assert calls.total() <= 6, calls


def test_a_message_with_headers_of_its_own_is_written_by_few_calls() -> None:
    client, _ = with_channel()
    writer, properties = client.writer(1), {"headers": {"a": "b"}, "correlation_id": "c"}

    def publish() -> None:
        writer.write(b"x" * 1024, properties, "exchange", "key")

    publish()
    calls = calls_of(publish)
    assert calls.total() <= 45, calls


def test_the_engine_publishes_by_8_calls() -> None:
    client, _ = with_channel()

    def publish() -> None:
        client.publish(1, b"x" * 1024, PLAIN, "exchange", "key")

    publish()
    publish()  # what comes again is remembered
    calls = calls_of(publish)
    assert calls.total() <= 8, calls


def test_a_confirm_of_many_takes_few_calls() -> None:
    client, server = with_channel()
    window = Window(10_000)
    window.entries.extend([b"x" * 1000] * MANY)
    window.sent.extend([1000] * MANY)
    server.call(1, basic.Ack(MANY, multiple=True))
    data = server.data_to_send()

    def confirm() -> None:
        client.inbox.append(data)
        client.take_in()
        window.confirm(MANY, multiple=True)

    calls = calls_of(confirm)
    assert len(window) == 0
    assert calls.total() <= 40, calls
