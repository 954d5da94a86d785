"""Serves `sqlite:///file`: a broker in one file, for any number of processes of one machine."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from dulse import errors
from dulse.model.options import VirtualOptions
from dulse.transport import Settings
from dulse.transports.sqlite import SQLiteStorage
from dulse.virtual.driver import in_threads, virtual_driver


@dataclass(frozen=True, slots=True, kw_only=True)
class SQLiteOptions(VirtualOptions):
    """What `sqlite:///file?…` and `transport_options` take besides."""

    durability: Literal["full", "normal"] = "full"
    """"full": what was published survives a power loss; "normal": the death of every process."""
    waking: Literal["push", "poll"] = "push"
    """How an idle consumer learns of a message: by inotify, or by looking every few milliseconds."""
    on_network: bool = False
    """Allow a network file system, at your own risk: SQLite's locks are known to fail there."""


def _storage(settings: Settings, options: SQLiteOptions) -> SQLiteStorage:
    path = settings.parameters.virtual_host
    if not path:
        raise errors.make(
            errors.InvalidURL, "a sqlite URL must name a file: sqlite:///relative.db or sqlite:////absolute.db"
        )
    return SQLiteStorage(path, options.durability, waking=options.waking, on_network=options.on_network)


DRIVER = virtual_driver("sqlite", SQLiteOptions, _storage, in_threads, driver_version=lambda: sqlite3.sqlite_version)
