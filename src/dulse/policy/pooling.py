"""What a pool does next: whom it serves with what, what it makes, and what it closes.

`PoolState` only decides. Its owner calls it under a lock of its own and acts on the answer after letting go of the
lock: it makes a resource for `Create`, closes what `close` lists, and calls `wake` of each waiter in `served`.
Resources are told apart by identity, so they need be neither hashable nor comparable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from dulse import errors

R = TypeVar("R")


class Give(NamedTuple, Generic[R]):
    """The caller has this resource now."""

    resource: R


class _Outcome:
    """An answer without parts, equal to any other of its kind."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Create(_Outcome):
    """The caller makes a resource, in a place kept for it, and reports with `created` or `failed`."""

    __slots__ = ()


class Refuse(NamedTuple):
    """All `limit` resources are in use."""

    limit: int


class Closed(_Outcome):
    """The pool was closed while the caller waited."""

    __slots__ = ()


class Waiter(Generic[R]):
    """Somebody who waits for a resource; `outcome` is set before `wake` is to be called."""

    __slots__ = ("outcome", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake
        self.outcome: Give[R] | Create | Closed | None = None

    def __repr__(self) -> str:
        return f"<Waiter {'waiting' if self.outcome is None else self.outcome!r}>"


class Actions(NamedTuple, Generic[R]):
    """What the owner has to do outside its lock."""

    close: Sequence[R] = ()
    served: Sequence[Waiter[R]] = ()

    def __bool__(self) -> bool:
        return bool(self.close or self.served)


class PoolState(Generic[R]):
    """The state of one pool in one process.

    The resource given back last is given out first; those who wait are served in their order, and nobody who comes
    later overtakes them. With `limit` None or 0 there is no pooling: each resource is made when asked for and
    closed when given back.
    """

    def __init__(self, limit: int | None, process: int) -> None:
        self.limit = limit or None
        self.closed = False
        self._process = process
        self._idle: list[R] = []
        self._busy: dict[int, R] = {}
        self._making = 0
        self._waiting: deque[Waiter[R]] = deque()

    @property
    def idle(self) -> int:
        """How many resources lie ready."""
        return len(self._idle)

    @property
    def in_use(self) -> int:
        """How many resources are out, or being made for somebody."""
        return len(self._busy) + self._making

    @property
    def waiting(self) -> int:
        """How many wait for a resource."""
        return len(self._waiting)

    def adopt(self, process: int) -> list[R]:
        """Notice a fork: in another process than before, forget everything and give all that was inherited.

        What is given belongs to the parent: let go of it without a word to its peer.
        """
        if process == self._process:
            return []
        self._process = process
        self._making = 0
        self._waiting.clear()
        return self._clear()

    def acquire(self, waiter: Waiter[R] | None = None) -> Give[R] | Create | Refuse | None:
        """Decide for one who wants a resource; None: `waiter` stands in line and will have its outcome.

        Without a waiter, a pool that has nothing to give refuses. Raises ConnectionClosed after `close`.
        """
        if self.closed:
            raise errors.make(errors.ConnectionClosed, "The pool is closed: resize it or make another")
        # Whenever there is something to give, those in line have had it: whoever is served here overtakes nobody.
        served = self._serve()
        if served is not None:
            return served
        if waiter is None:
            return Refuse(self.limit or 0)
        self._waiting.append(waiter)
        return None

    def give_up(self, waiter: Waiter[R]) -> Give[R] | Create | Closed | None:
        """End a wait; an outcome means that the waiter was served at the last moment, and has it."""
        if waiter.outcome is None:
            self._waiting.remove(waiter)
        return waiter.outcome

    def created(self, resource: R) -> Actions[R]:
        """Take note of a resource made for `Create`: its maker has it now.

        If it is listed to be closed, the pool was closed meanwhile, and the maker must not use it.
        """
        self._making -= 1
        if self.closed:
            return Actions(close=[resource])
        self._busy[id(resource)] = resource
        return Actions()

    def failed(self) -> Actions[R]:
        """Take note that a resource could not be made for `Create`; the place may go to the next in line."""
        self._making -= 1
        return self._settle()

    def release(self, resource: R) -> Actions[R]:
        """Take a resource back. One that is not out (given back twice, or closed by force) changes nothing."""
        if self._busy.pop(id(resource), None) is None:
            return Actions()
        if self.closed or self.limit is None or self._size() >= self.limit:
            return self._settle(close=[resource])
        self._idle.append(resource)
        return self._settle()

    def discard(self, resource: R) -> Actions[R]:
        """Take a broken resource back, to be closed; its place may go to the next in line."""
        if self._busy.pop(id(resource), None) is None:
            return Actions()
        return self._settle(close=[resource])

    def stock(self, resource: R) -> Actions[R]:
        """Put a resource into the pool that nobody asked for, if there is room; otherwise it is to be closed."""
        if self.closed or self.limit is None or self._size() >= self.limit:
            return Actions(close=[resource])
        self._idle.insert(0, resource)
        return self._settle()

    def resize(
        self, limit: int | None, *, force: bool = False, ignore_errors: bool = False, reset: bool = False
    ) -> Actions[R]:
        """Change the limit, and open a closed pool again.

        Fewer places than resources in use is an error (InvalidArgument), unless `ignore_errors`: then what is too
        many is closed as it comes back; or `force`: then everything is closed at once, in use or not, as with `reset`.
        """
        limit = limit or None
        if limit is not None and limit < self.in_use and not (force or ignore_errors or reset):
            raise errors.make(
                errors.InvalidArgument,
                f"The pool cannot have {limit} places while {self.in_use} resources are in use: give some back, or "
                f"pass force=True to close them",
            )
        everything = reset or (force and limit is not None and limit < self.in_use)
        close = self._clear() if everything else []
        self.limit, self.closed = limit, False
        keep = 0 if limit is None else max(limit - self.in_use, 0)
        surplus = self._idle[: max(len(self._idle) - keep, 0)]
        del self._idle[: len(surplus)]
        return self._settle(close=close + surplus)

    def close(self) -> Actions[R]:
        """Close the pool and everything in it, in use or not; those who wait get `Closed`."""
        self.closed = True
        close, waiting = self._clear(), list(self._waiting)
        self._waiting.clear()
        for waiter in waiting:
            waiter.outcome = Closed()
        return Actions(close, waiting)

    def _size(self) -> int:
        return len(self._idle) + self.in_use

    def _serve(self) -> Give[R] | Create | None:
        if self._idle:
            resource = self._idle.pop()
            self._busy[id(resource)] = resource
            return Give(resource)
        if self.limit is None or self.in_use < self.limit:
            self._making += 1
            return Create()
        return None

    def _settle(self, close: list[R] | None = None) -> Actions[R]:
        """Serve those in line as far as it goes."""
        served = []
        while self._waiting:
            outcome = self._serve()
            if outcome is None:
                break
            waiter = self._waiting.popleft()
            waiter.outcome = outcome
            served.append(waiter)
        return Actions(close or [], served)

    def _clear(self) -> list[R]:
        close = [*self._idle, *self._busy.values()]
        self._idle.clear()
        self._busy.clear()
        return close

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"limit {self.limit}"
        return f"<PoolState {state}, {self.idle} idle, {self.in_use} in use, {self.waiting} waiting>"
