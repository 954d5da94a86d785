"""Record a session of the engine with a real RabbitMQ: `python tools/amqp_record.py HOST PORT FILE`."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from dulse.amqp.engine import Engine
from dulse.amqp.expected import Expected
from dulse.amqp.methods import basic, confirm, queue
from dulse.amqp.states import State

HEADERS = {
    "int": 1,
    "long": 2**40,
    "none": None,
    "bytes": b"\x00",
    "list": [1, {"d": Decimal("-1.5")}],
    "time": datetime(2020, 1, 1, tzinfo=UTC),
    "float": 1.5,
    "bool": True,
}
Exchange = Callable[[bytes], bytes]
"""Sends bytes and gives what came back."""


def session(engine: Engine, exchange: Exchange) -> list[str]:
    """Log in, publish with confirms, get, be refused, close; give all events as text."""
    seen: list[str] = []

    def turn() -> None:
        seen.extend(map(repr, engine.receive(exchange(engine.data_to_send()))))

    def finish(expected: Expected) -> None:
        while not expected.done:
            turn()

    while engine.state is not State.OPEN:
        turn()
    finish(engine.open_channel())
    finish(engine.call(1, queue.Declare("dulse-golden", exclusive=True)))
    finish(engine.call(1, confirm.Select()))
    engine.publish(1, b"golden", {"headers": HEADERS, "priority": 3}, "", "dulse-golden")
    turn()
    got = engine.call(1, basic.Get("dulse-golden", no_ack=True))
    finish(got)
    seen.append(repr(getattr(got.reply, "properties", None)))
    finish(engine.call(1, queue.Declare("dulse-missing", passive=True)))
    finish(engine.close())
    return seen


def main() -> None:
    """Run the session and write [[sent, received], …] as hexadecimal text."""
    host, port, file = sys.argv[1:]
    turns: list[tuple[str, str]] = []
    with socket.create_connection((host, int(port)), timeout=10) as link:

        def exchange(data: bytes) -> bytes:
            link.sendall(data)
            back = link.recv(262144)
            turns.append((data.hex(), back.hex()))
            return back

        print(*session(Engine(), exchange), sep="\n")
    Path(file).write_text(json.dumps(turns, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
