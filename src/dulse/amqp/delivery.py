"""A message as it came, decoded only as far as somebody reads it."""

from __future__ import annotations

from functools import cached_property

from dulse.amqp import properties
from dulse.amqp.method import Method
from dulse.amqp.wire import LONG_LONG, read_number, read_short_string


class Delivery:
    """One message: the method it came by, its properties and its body.

    Reading a damaged part raises ProtocolError, each time.
    """

    def __init__(self, kind: type[Method], payload: bytes, header: bytes, body: bytes) -> None:
        self.kind = kind
        """The class of `method`: known without decoding."""
        self.body = body
        self._payload = payload
        self._header = header

    def __repr__(self) -> str:
        return f"<Delivery: {self.kind.name}, {len(self.body)} bytes>"

    @cached_property
    def method(self) -> Method:
        """The method with its arguments."""
        return self.kind.decode(self._payload)

    @cached_property
    def properties(self) -> properties.Properties:
        """The properties with the headers."""
        return properties.decode(self._header)

    @cached_property
    def tag(self) -> int:
        """The delivery tag of a basic.deliver, without decoding the rest."""
        _, at = read_short_string(self._payload, 4, len(self._payload))
        return read_number(LONG_LONG, self._payload, at, len(self._payload))[0]
