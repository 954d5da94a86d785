"""What is told of messages that a broker did not take, whatever broker it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dulse import errors
from dulse.model.message import Outgoing, Returned

OnUnconfirmed = Callable[[Outgoing, Exception], Any]
"""Called with a message that the broker did not take, and why; on whichever thread learns of it."""


def unroutable(returned: Returned) -> Exception:
    """Build the error for a mandatory message that no queue wanted."""
    text = (
        f"no queue is bound to exchange {returned.exchange!r} for routing key {returned.routing_key!r}: "
        "bind one, or publish without mandatory"
    )
    return errors.make(errors.Unroutable, text, message=returned, code=returned.code)


def raise_oldest(problems: Sequence[Exception]) -> None:
    """Raise the oldest of what was told to nobody, if any; it counts the others."""
    if problems:
        if len(problems) > 1:
            problems[0].add_note(f"{len(problems) - 1} more messages were not taken: on_unconfirmed is told each")
        raise problems[0]
