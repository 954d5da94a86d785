"""What all comparisons send: 1 KiB of bytes, and a dict whose JSON is as long."""

from __future__ import annotations

from typing import Any, Final

BYTES: Final = b"x" * 1024

TABLE: Final[dict[str, Any]] = {
    "id": "f7d1bd4c-6a0a-4cf4-9b1c-6c2a8f1f1f0e",
    "task": "orders.confirm",
    "args": [4711, 3, "express", True, None],
    "kwargs": {"customer": "A. Nobody", "total": 129.95, "express": True, "note": None},
    "text": "a line of text " * 54,
}
"""Like a task's message; the standard json takes 4 to 5 us to write it."""
