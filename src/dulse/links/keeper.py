"""The keeper: the one background thread of a process, which does what idle blocking links need done in time.

It sleeps until a duty is due, starts with the first duty and ends some time after the last. A duty that takes too long
holds up no other: a second thread stands by where there are several duties, and takes over from one that is stuck. A
forked child begins with a keeper that has nothing to do, and a thread of its own once it has.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from time import monotonic
from typing import Protocol

from dulse import errors
from dulse.links.waiting.signal_sync import Signal

_logger = logging.getLogger(__name__)

_LINGER = 1.0
"""Seconds for which the thread stays without any duty: programs open and close connections one after the other."""

_OVERRUN = 0.5
"""Seconds that a duty may take before others that wait for it are served by another thread."""

_PAUSE = 1.0
"""Seconds before a duty that raised is due again, at the earliest."""


class Duty(Protocol):
    """Something to be done again and again, in time. It must allow weak references."""

    def due(self) -> float:
        """Give when it is due, in seconds of `time.monotonic`; `math.inf`: not before a hint. Must not wait."""
        ...

    def run(self) -> None:
        """Do it. Other duties wait meanwhile, for a moment, and its end is waited for: it needs a deadline."""
        ...


class _Entry:
    __slots__ = ("begun", "duty", "hinted", "not_before", "number", "removed", "runner")

    def __init__(self, duty: weakref.ref[Duty]) -> None:
        self.duty = duty
        self.hinted = False
        self.not_before = 0.0
        self.number = 0
        self.removed = False
        self.begun = 0.0
        self.runner: threading.Thread | None = None
        """The thread in which the duty runs just now, and since when (`begun`)."""


class Keeper:
    """Serves duties, each held by a weak reference, one after the other in one daemon thread as long as none is stuck.

    Its methods may be called from any thread, from a signal handler, and from a destructor.
    """

    _entries: dict[int, _Entry]
    _heap: list[tuple[float, int, _Entry]]
    """Only the serving thread touches it. An item is void once its entry has another number."""
    _hinted: deque[_Entry]
    _orphans: deque[tuple[int, weakref.ref[Duty]]]
    """Keys and references of duties that are gone, until somebody has the mutex and time to forget them."""
    _running: _Entry | None
    """What the serving thread is doing."""
    _at_work: dict[int, _Entry]
    """What is being done, also by threads that were stuck and serve no longer."""
    _thread: threading.Thread | None
    """Who serves."""
    _deputy: threading.Thread | None
    """Who stands by."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._ended = False
        self.forget()

    def forget(self) -> None:
        """Begin anew without duties and thread: for a forked child, where the thread does not exist."""
        self._mutex = threading.RLock()
        self._entries = {}
        self._heap = []
        self._hinted = deque()
        self._orphans = deque()
        self._changed = Signal(longest_sleep=math.inf)
        self._rested = Signal()
        self._relief = Signal(longest_sleep=math.inf)
        self._running = None
        self._at_work = {}
        self._thread = None
        self._deputy = None

    def add(self, duty: Duty) -> None:
        """Serve a duty from now on, until it is removed or nobody else refers to it. One that is served is hinted."""
        key = id(duty)
        with self._mutex:
            self._bury()
            if key not in self._entries:
                self._entries[key] = _Entry(weakref.ref(duty, lambda gone: self._dropped(key, gone)))
            self._ensure_thread(key)
        self.hint(duty)

    def hint(self, duty: Duty) -> None:
        """Have the duty asked again when it is due, which may be earlier than it last said. Never waits."""
        entry = self._entries.get(id(duty))
        if entry is not None and not entry.hinted:
            entry.hinted = True
            self._hinted.append(entry)
            self._changed.notify()

    def remove(self, duty: Duty, seconds: float = 5.0) -> bool:
        """Serve a duty no longer, and wait until it has ended if it is running; False: it still is after `seconds`.

        A duty that removes itself is not waited for. The caller must hold no lock that the duty takes.
        """
        with self._mutex:
            entry = self._entries.pop(id(duty), None) or self._at_work.get(id(duty))
            if entry is None or entry.duty() is not duty:
                return True
            entry.removed = True
            if entry.runner is threading.current_thread():
                return True
        self._changed.notify()
        return self._wait_for(entry, seconds)

    def stop(self, seconds: float = 1.0) -> None:
        """End the thread for good, waiting so long for a duty that is running: for the end of the interpreter."""
        self._ended = True
        self._changed.notify()
        self._relief.notify()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def __repr__(self) -> str:
        state = "ended" if self._ended else "asleep" if self._running is None else "at work"
        return f"<Keeper {state if self._thread else 'without a thread'}, {len(self._entries)} duties>"

    def _wait_for(self, entry: _Entry, seconds: float) -> bool:
        deadline = monotonic() + seconds
        while True:
            seen = self._rested.ticket()
            if entry.runner is None:
                return True
            if not self._rested.wait(deadline - monotonic(), seen):
                return entry.runner is None

    def _dropped(self, key: int, gone: weakref.ref[Duty]) -> None:
        # Never waits: garbage is also collected by a thread that begins, for which its starter waits with the mutex.
        self._orphans.append((key, gone))
        self._changed.notify()

    def _bury(self) -> None:
        """Forget the duties that nobody refers to any more; called under the mutex."""
        while self._orphans:
            key, gone = self._orphans.popleft()
            entry = self._entries.get(key)
            if entry is not None and entry.duty is gone:
                del self._entries[key]

    def _ensure_thread(self, key: int) -> None:
        """Start the thread if there is none; called under the mutex."""
        if self._ended or (self._thread is not None and self._thread.is_alive()):
            return
        try:
            self._thread = _started(self._serve)
        except RuntimeError as error:
            del self._entries[key]
            raise errors.make(
                errors.OperationalError, f"The background thread cannot be started ({error}): end some threads"
            ) from error

    # ------------------------------------------------------------------------------- on the keeper's thread

    def _serve(self) -> None:
        while not self._ended:
            seen = self._changed.ticket()
            self._schedule_hinted()
            if self._orphans:
                with self._mutex:
                    self._bury()
            entry = self._take_due()
            if entry is not None:
                if not self._run(entry):
                    return
            elif not self._changed.wait(self._rest(), seen) and self._retire():
                return

    def _rest(self) -> float:
        """Give the seconds until there may be something to do."""
        if not self._entries:
            return _LINGER
        return self._heap[0][0] - monotonic() if self._heap else math.inf

    def _retire(self) -> bool:
        with self._mutex:
            self._bury()
            if not self._entries:
                self._thread = None
            return self._thread is None

    def _schedule_hinted(self) -> None:
        while self._hinted:
            entry = self._hinted.popleft()
            entry.hinted = False
            self._schedule(entry)

    def _schedule(self, entry: _Entry) -> None:
        if entry.runner is not None:  # it is stuck in another thread, which says when it has ended
            return
        due = self._due(entry)
        entry.number = next(self._numbers)
        if due < math.inf:
            # Not before others that are due already, or what is always due would be served alone.
            heappush(self._heap, (max(due, monotonic()), entry.number, entry))

    def _take_due(self) -> _Entry | None:
        now = monotonic()
        while self._heap and self._heap[0][0] <= now:
            _, number, entry = heappop(self._heap)
            if number == entry.number:
                return entry
        return None

    def _due(self, entry: _Entry) -> float:
        duty = None if entry.removed else entry.duty()
        if duty is None:
            return math.inf
        try:
            return max(duty.due(), entry.not_before)
        except Exception:
            _logger.exception("%r could not say when it is due; it is asked again in %s s", duty, _PAUSE)
            return monotonic() + _PAUSE

    def _run(self, entry: _Entry) -> bool:
        """Run a duty that is still due; False: it took so long that another thread serves the others now."""
        if self._due(entry) > monotonic():
            self._schedule(entry)
            return True
        with self._mutex:
            duty = None if entry.removed else entry.duty()
            entry.runner, entry.begun = threading.current_thread(), monotonic()
            self._running = self._at_work[id(duty)] = entry
            self._ensure_deputy()
        try:
            if duty is not None:
                duty.run()
        except errors.OperationalError as problem:  # a broker is away: its words say all
            entry.not_before = monotonic() + _PAUSE
            _logger.warning("%r failed in the background; it is not run again within %s s: %s", duty, _PAUSE, problem)
        except BaseException:  # whatever a duty raises, the others go on
            entry.not_before = monotonic() + _PAUSE
            _logger.exception("%r failed in the background; it is not run again within %s s", duty, _PAUSE)
        with self._mutex:
            serves = self._running is entry
            if serves:
                self._running = None
            entry.runner = None
            del self._at_work[id(duty)]
        self._rested.notify()
        if serves:
            self._schedule(entry)
            return True
        entry.hinted = True
        self._hinted.append(entry)
        self._changed.notify()
        return False

    # --------------------------------------------------------------------------------- on the deputy's thread

    def _ensure_deputy(self) -> None:
        """Have a thread stand by where others would wait for the duty that begins; called under the mutex."""
        if len(self._entries) > 1 and (self._deputy is None or not self._deputy.is_alive()):
            with suppress(RuntimeError):  # there are too many threads: the one that serves has to do
                self._deputy = _started(self._stand_by)

    def _stand_by(self) -> None:
        while not self._ended:
            seen = self._relief.ticket()
            if self._take_over():
                self._serve()
                return
            self._relief.wait(_OVERRUN, seen)
            with self._mutex:
                if len(self._entries) < 2:  # noqa: PLR2004 - nobody would wait for the one
                    self._deputy = None
                    return

    def _take_over(self) -> bool:
        """Serve in the place of a thread that is stuck."""
        with self._mutex:
            if self._running is None or monotonic() - self._running.begun < _OVERRUN:
                return False
            name = repr(self._running.duty())  # a record of the log that is kept must not keep the duty
            self._running = None
            self._thread, self._deputy = threading.current_thread(), None
        # Without the mutex: handlers of the log may have messages published.
        _logger.warning("%s takes long in the background: others no longer wait for it", name)
        return True


def _started(work: Callable[[], object]) -> threading.Thread:
    starter = threading.get_native_id()

    def run() -> None:
        _block_signals(starter)
        work()

    thread = threading.Thread(target=run, name="dulse-keeper", daemon=True)
    thread.start()
    return thread


def _block_signals(starter: int) -> None:
    """Have signals delivered to other threads, whose system calls they shall interrupt.

    Where threads are greenlets (gevent), `starter` is this very thread of the system, and everything stays as it is.
    """
    if hasattr(signal, "pthread_sigmask") and threading.get_native_id() != starter:
        faults = {signal.SIGSEGV, signal.SIGFPE, signal.SIGBUS, signal.SIGILL, signal.SIGABRT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)


_keeper = Keeper()


def keeper() -> Keeper:
    """Give the keeper of this process."""
    return _keeper


# Registered early and so run late: what closes connections at the end still finds the keeper at work.
atexit.register(_keeper.stop)
os.register_at_fork(after_in_child=_keeper.forget)
