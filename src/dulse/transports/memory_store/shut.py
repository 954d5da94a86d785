"""What stands in the place of a memory store that is not open."""

from __future__ import annotations

from typing import NoReturn

from dulse import errors


class Shut:
    """Every use raises, so that the hot path need not ask whether the store is open."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __getattr__(self, name: str) -> NoReturn:
        raise errors.make(errors.ConnectionClosed, self._text)
