"""The two clocks of a broker on this machine: one for ages, which outlasts a reboot; one for leases, never set."""

from __future__ import annotations

import time
from pathlib import Path

__all__ = ["boot_ms", "read_boot", "wall_ms"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def wall_ms() -> int:
    """Tell the time of records, delays and groups: they must mean the same after a reboot."""
    return time.time_ns() // 1_000_000


if hasattr(time, "CLOCK_BOOTTIME"):

    def boot_ms() -> int:
        """Tell the time of leases: the same for every process of a machine, and never set."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def read_boot() -> str:
        """Name the running of the machine to which `boot_ms` belongs; leases of another are over."""
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            # Without a name a lease of before the reboot may seem to be good for as long again.
            return ""

else:  # a system without a clock that counts sleep: setting the clock there ends or prolongs leases
    boot_ms = wall_ms

    def read_boot() -> str:
        """Name the running of the machine: the wall clock knows none."""
        return ""
