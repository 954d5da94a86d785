"""The owners that one Storage object takes for, and which of them were declared dead without knowing it."""

from __future__ import annotations

from typing import Final

from dulse.transports.filesystem.step import Step

__all__ = ["Holding"]

BATCH: Final = 1000


class Holding:
    """Used under the lock of the broker."""

    def __init__(self) -> None:
        self._registered: set[str] = set()
        self._reborn: set[str] = set()

    def hold(self, step: Step, owner: str, lease_ms: int, *, exactly: bool = False) -> str:
        """Register an owner or keep it; gives its folder. One that was forgotten begins anew, and is told later."""
        owners = step.broker.owners
        if not owners.hold(owner, lease_ms, exactly=exactly):
            while step.give_back(owner, BATCH):
                pass
            owners.hold(owner, lease_ms, exactly=True)
            if owner in self._registered:
                self._reborn.add(owner)
            self._registered.add(owner)
        return owners.folder(owner)

    def leave(self, owner: str) -> None:
        """Expect that an owner is forgotten."""
        self._registered.discard(owner)

    def was_forgotten(self, owner: str) -> bool:
        """Tell, once, whether an owner was forgotten since it was registered here."""
        if owner in self._reborn:
            self._reborn.discard(owner)
            return True
        return False
