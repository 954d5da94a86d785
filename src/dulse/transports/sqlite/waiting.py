"""Waiting for records: asleep while nothing is written to the file, looking again and again while something is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from dulse.links.bell import Bell
from dulse.transports.sqlite import looking
from dulse.transports.sqlite.connections import Connections

__all__ = ["wait"]

FIRST_REST: Final = 0.005
LONGEST_REST: Final = 0.020
"""Seconds between two looks of a waiting consumer while the file changes and its queues stay empty."""

UNSETTLED: Final = 1.0
"""Seconds after a change during which we look again and again: the system tells of what is written, and a commit can
be seen only once all of it has reached the disk, of which nobody tells."""

FIRST_LOOK: Final = 0.002
LONGEST_LOOK: Final = 0.025
"""Seconds between two such looks, growing."""


def wait(connections: Connections, bell: Bell, queues: Sequence[str], seconds: float) -> Sequence[str] | None:
    """Wait until one of the queues has a ready record; None: somebody rang."""
    until = time.monotonic() + seconds
    rings = bell.rings
    rest = 0.0
    heard, pause = bell.changes, FIRST_LOOK
    while True:
        changes = bell.now()
        if changes != heard:
            heard, pause = changes, FIRST_LOOK
        has_changed = _change_detector(connections, bell, until)
        ready = connections.once(until, looking.ready_queues, queues) if queues else ()
        if ready:
            return ready
        if time.monotonic() >= until:
            return ()
        if rest:
            # Or a busy neighbour queue in the file would keep us looking.
            time.sleep(min(rest, max(0.0, until - time.monotonic())))
        now = time.monotonic()
        settled = now - bell.last_write > UNSETTLED
        bell.wait(changes, rings, until if settled else min(until, now + pause), has_changed)
        if bell.rings != rings:
            return None
        pause = min(pause * 1.5, LONGEST_LOOK)
        rest = min(max(FIRST_REST, rest * 2), LONGEST_REST) if bell.changes != changes else 0.0


def _change_detector(connections: Connections, bell: Bell, until: float) -> Callable[[], bool]:
    """Make what tells whether others have committed since now, where the system does not tell."""
    if bell.is_told:
        return lambda: False
    version = connections.once(until, looking.data_version)
    return lambda: connections.once(until, looking.data_version) != version
