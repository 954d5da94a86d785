"""The type of a payload, by which queues, messages, producers and consumers are generic: `Queue[Order]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The checkers bring these stubs along; a default for a type variable is in `typing` from Python 3.13 on only.
    from typing_extensions import TypeVar

    Payload = TypeVar("Payload", default=Any)
else:
    from typing import TypeVar

    Payload = TypeVar("Payload")
