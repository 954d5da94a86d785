"""The thread that keeps deadlines is there while there are calls, and not longer."""

from __future__ import annotations

import threading
import time

from dulse.transports.sql import watch
from dulse.transports.sql.watch import Watch, Watched
from tests.virtual.test_debts import eventually


def watching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dulse-sql-watch"]


def test_the_thread_ends_when_nothing_is_watched_and_another_begins_with_the_next_call() -> None:
    before = len(watching())
    cancelled = threading.Event()
    watched = Watched(cancelled.set, lambda: None, lambda: True)
    watched_for = Watch()
    watched_for.enter(watched, time.monotonic() + 60)
    assert len(watching()) == before + 1
    watched_for.leave(watched)

    assert eventually(lambda: len(watching()) == before, 3 * watch.TICK * watch.IDLE_TICKS)

    watched_for.enter(watched, time.monotonic())
    assert cancelled.wait(10)
    watched_for.leave(watched)
