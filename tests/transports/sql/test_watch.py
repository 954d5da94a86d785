"""The thread that keeps deadlines is there while there are calls, and not longer."""

from __future__ import annotations

import threading
import time

from dulse.transports.sql.watch import Watch, Watched

PATIENCE = 30


def watching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dulse-sql-watch"]


def test_the_thread_ends_when_nothing_is_watched_and_another_begins_with_the_next_call() -> None:
    earlier = watching()
    cancelled = threading.Event()
    watched = Watched(cancelled.set, lambda: None, lambda: True)
    watched_for = Watch()
    watched_for.enter(watched, time.monotonic() + 60)
    (ours,) = [each for each in watching() if each not in earlier]
    watched_for.leave(watched)

    ours.join(PATIENCE)
    assert not ours.is_alive()

    watched_for.enter(watched, time.monotonic())
    assert cancelled.wait(10)
    watched_for.leave(watched)
