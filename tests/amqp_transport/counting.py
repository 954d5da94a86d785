"""A socket that counts what a blocking link asks of the system."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dulse
from dulse.links.blocking.link import Link
from dulse.links.blocking.stream import Stream


class CountingSocket:
    """A connected socket that counts what is asked of the system."""

    def __init__(self, stream: Stream) -> None:
        self.calls = 0
        self.arguments: list[Any] = []
        self._stream = stream
        self.recv = self._counted(stream.recv)
        self.send = self._counted(stream.send)
        self.tls = stream.tls
        self.close, self.wake, self.fileno = stream.close, stream.wake, stream.fileno

    def _counted(self, call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counted(argument: Any) -> Any:
            self.calls += 1
            self.arguments.append(argument)
            return call(argument)

        return counted

    def wait(self, seconds: float, *, writing: bool = False) -> int:
        self.calls += 1
        return self._stream.wait(seconds, writing=writing)


def counted(connection: dulse.Connection) -> CountingSocket:
    """Put a counting socket into an open connection."""
    connection.connect()
    link: Link = connection.transport.transport._link  # type: ignore[attr-defined]
    line = link._line
    assert line.stream is not None
    counting: Any = CountingSocket(line.stream)
    line.stream = counting
    line.send = counting.send
    return counting  # type: ignore[no-any-return]
