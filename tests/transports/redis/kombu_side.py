"""A process of the real Kombu, told by one line of JSON what to do: `python -m tests.transports.redis.kombu_side`."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from typing import Any

kombu: Any = import_module("kombu")  # its own types are not strict


def main() -> None:
    """Do what is asked, and write a line for each message."""
    asked = json.loads(sys.argv[1])
    options = asked.get("options", {})
    with kombu.Connection(asked["url"], transport_options=options) as connection:
        kind: Any = {"publish": publish, "consume": consume, "bind": bind}[asked["do"]]
        kind(connection, asked)


def say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def queue_of(asked: dict[str, Any]) -> Any:
    exchange = kombu.Exchange(asked["exchange"], type=asked.get("type", "direct"))
    return kombu.Queue(asked["queue"], exchange, routing_key=asked.get("binding", asked.get("key", "")))


def bind(connection: Any, asked: dict[str, Any]) -> None:
    queue_of(asked)(connection.channel()).declare()


def publish(connection: Any, asked: dict[str, Any]) -> None:
    exchange = kombu.Exchange(asked["exchange"], type=asked.get("type", "direct"))
    producer = connection.Producer(exchange=exchange)
    declare = [queue_of(asked)] if "queue" in asked else []
    for body in asked["bodies"]:
        properties = {"priority": body} if asked.get("by_priority") else asked.get("properties", {})
        producer.publish(body, routing_key=asked.get("key", ""), declare=declare, **properties)


def consume(connection: Any, asked: dict[str, Any]) -> None:
    got = []

    def take(body: Any, message: Any) -> None:
        if isinstance(body, bytes):
            body = body.decode("latin-1")
        said = {
            "body": body,
            "headers": dict(message.headers),
            "type": message.content_type,
            "priority": message.properties.get("priority"),
        }
        say(said)
        got.append(message)
        if asked.get("ack", True):
            message.ack()

    channel = connection.channel()
    with kombu.Consumer(
        channel, [queue_of(asked)], callbacks=[take], accept=["json", "application/data", "text/plain"]
    ):
        say("ready")
        end = time.monotonic() + asked.get("seconds", 30)
        while time.monotonic() < end and len(got) < asked.get("count", 1):
            try:
                connection.drain_events(timeout=0.2)
            except TimeoutError:
                continue
        while not asked.get("ack", True):  # until it is killed
            time.sleep(60)


if __name__ == "__main__":
    main()
