"""The two clocks of a broker on this machine: one for ages, which outlasts a reboot; one for leases, never set."""

from __future__ import annotations

import sys
import time
from pathlib import Path

__all__ = ["awake_ms", "read_boot", "wall_ms"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def wall_ms() -> int:
    """Tell the time of records, delays and groups: they must mean the same after a reboot."""
    return time.time_ns() // 1_000_000


if sys.platform == "linux":

    def awake_ms() -> int:
        """Tell the time of leases: the same for every process of a machine, never set, and still while it sleeps.

        So nobody seems to be dead when a machine wakes up, where nobody could renew a lease meanwhile.
        """
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000

    def read_boot() -> str:
        """Name the running of the machine to which `awake_ms` belongs; leases of another are over."""
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            # Without a name a lease of before the reboot may seem to be good for as long again.
            return ""

else:  # no name for the running of a machine: setting the clock there ends or prolongs leases
    awake_ms = wall_ms

    def read_boot() -> str:
        """Name the running of the machine: the wall clock knows none."""
        return ""
