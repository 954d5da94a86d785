"""Serves `memory://` and `memory://name`: a broker inside the process, one for each name."""

from __future__ import annotations

from dulse.model.options import VirtualOptions
from dulse.transport import Settings
from dulse.transports.memory import MemoryStorage
from dulse.virtual.driver import immediately, virtual_driver


def _storage(settings: Settings, _options: VirtualOptions) -> MemoryStorage:
    parameters = settings.parameters
    return MemoryStorage(parameters.hostname or parameters.virtual_host or "", settings.clock)


DRIVER = virtual_driver("memory", VirtualOptions, _storage, immediately, driver_version=lambda: "N/A")
