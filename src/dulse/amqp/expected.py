"""The answer to a call, which a reply completes and the end of its channel or connection fails."""

from __future__ import annotations

from dulse.amqp.delivery import Delivery
from dulse.amqp.faults import misuse
from dulse.amqp.method import Method


class Expected:
    """Completed once, by the engine; whoever waits asks `done` after each receive."""

    __slots__ = ("channel", "error", "method", "reply")

    def __init__(self, method: Method, channel: int) -> None:
        self.channel = channel
        self.method = method
        """What was asked."""
        self.reply: Method | Delivery | None = None
        """The answer; basic.get-ok is a Delivery."""
        self.error: Exception | None = None

    def __repr__(self) -> str:
        state = repr(self.error or self.reply) if self.done else "waiting"
        return f"<Expected: {self.method.name}, {state}>"

    @property
    def done(self) -> bool:
        """Tell whether the answer or the error is there."""
        return self.reply is not None or self.error is not None

    def result(self) -> Method | Delivery:
        """Give the answer or raise the error; InvalidArgument: neither has come."""
        if self.error is not None:
            raise self.error
        if self.reply is None:
            raise misuse(f"{self.method.name} is not answered yet; receive until `done`")
        return self.reply
