"""Serves `memory://` and `memory://name`: a broker inside the process, one for each name."""

from __future__ import annotations

from dulse.model.options import VirtualOptions
from dulse.transport import Settings
from dulse.transports.memory import MemoryStorage
from dulse.virtual.driver import virtual_driver
from dulse.virtual.storage import Storage


def _storage(settings: Settings, _options: VirtualOptions) -> Storage:
    parameters = settings.parameters
    return MemoryStorage(parameters.hostname or parameters.virtual_host or "", settings.clock)


DRIVER = virtual_driver("memory", VirtualOptions, _storage, waits="never", driver_version=lambda: "N/A")
