"""The brokers that the tests of faults use: embedded ones that several processes share, and how to die in them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from dulse.testing.killing import Failpoint, die, mortal
from dulse.transport import Driver
from dulse.transports import filesystem_driver, sqlite_driver
from dulse.virtual.driver import in_threads, virtual_driver

Store = Literal["sqlite", "filesystem"]

LEASE = 2
"""Seconds: a disk that stands still for one of them does not end it."""

CHANGES = ["open", "mkdir", "rename", "link", "unlink", "rmdir", "write", "pwrite", "ftruncate", "utime"]
"""The system calls by which a folder's broker changes the disk (and opens files)."""


def broker_url(store: str, folder: Path) -> str:
    """Name the broker of a folder."""
    places = {"sqlite": f"sqlite:///{folder}/broker.sqlite", "filesystem": f"filesystem://{folder}/broker"}
    return f"{places[store]}?durability=normal&lease={LEASE}"


def mortal_driver(store: Store, failpoint: Failpoint) -> Driver:
    """Serve a store by the code that ships, over a storage that dies."""
    if store == "sqlite":
        return virtual_driver(
            "sqlite",
            sqlite_driver.SQLiteOptions,
            lambda settings, options: mortal(sqlite_driver._storage(settings, options), failpoint),
            in_threads,
            driver_version=lambda: "mortal",
        )
    return virtual_driver(
        "filesystem",
        filesystem_driver.FilesystemOptions,
        lambda settings, options: mortal(filesystem_driver._storage(settings, options), failpoint),
        in_threads,
        driver_version=lambda: "mortal",
    )


def die_at_statement(store: Store, number: int) -> None:
    """Kill this process as any of its SQLite connections begins that statement, or the folder's broker that change."""
    left = number

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            die()

    if store == "filesystem":
        for name in CHANGES:
            setattr(os, name, counted(getattr(os, name), count))
        return

    class Traced(sqlite3.Connection):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.set_trace_callback(count)

    setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Traced))  # noqa: B010 - its type is overloaded


def counted(call: Callable[..., Any], count: Callable[[], object]) -> Callable[..., Any]:
    """Count a call before it is made."""

    def called(*arguments: Any, **named: Any) -> Any:
        count()
        return call(*arguments, **named)

    return called
