"""Publish a burst into a folder's queue as a program of its own, and end it at once without closing anything.

Started with: a URL, how many messages, the bytes of each, and how to end ("exit" or "kill").
"""

from __future__ import annotations

import os
import signal
import sys

from dulse import Connection, Queue


def main(url: str, count: int, size: int, end: str) -> None:
    """Publish that many messages, each with its number in front, and die."""
    connection = Connection(url)
    channel = connection.channel()
    Queue("burst")(channel).declare()
    producer = connection.Producer(channel)
    for number in range(count):
        body = b"%08d" % number
        producer.publish(body.ljust(size, b"."), routing_key="burst", content_type="application/octet-stream")
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
