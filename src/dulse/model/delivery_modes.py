"""Whether a message survives a restart of the broker: AMQP's delivery mode by name or number (0-9-1 §4.2.6.1)."""

from __future__ import annotations

from dulse import errors

TRANSIENT_DELIVERY_MODE = 1
PERSISTENT_DELIVERY_MODE = 2
DELIVERY_MODES = {"transient": TRANSIENT_DELIVERY_MODE, "persistent": PERSISTENT_DELIVERY_MODE}

DeliveryMode = int | str


def delivery_mode_number(mode: DeliveryMode | None, default: int = PERSISTENT_DELIVERY_MODE) -> int:
    """Give 1 or 2 for a delivery mode by name or number, `default` for None; InvalidArgument for anything else."""
    if not mode:
        return default
    number = DELIVERY_MODES.get(mode, mode) if isinstance(mode, str) else mode
    if number in {TRANSIENT_DELIVERY_MODE, PERSISTENT_DELIVERY_MODE}:
        return int(number)
    text = f"delivery_mode must be 1 or 'transient', or 2 or 'persistent', not {mode!r}"
    raise errors.make(errors.InvalidArgument, text)
