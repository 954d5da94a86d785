"""What every case of the Storage contract works with: the hooks of the store under test, and a few short words."""

# ruff: noqa: S101 - the cases assert, as pytest's do

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, TypeVar

import pytest

from dulse.model.records import Guard, Leased, Payload, Peeked, Problem, Put, Revision, Target
from dulse.virtual.storage import Storage

OWNER = "owner one"
OTHER = "owner two"
LONG_MS = 600_000
"""A lease that does not end during a case."""

HEAD = b"properties and headers:"
"""Stands before each body: what a store keeps besides, and does not count."""

PATIENCE = 20.0
"""Real seconds until a case gives up waiting for another thread."""

Result = TypeVar("Result")


class StorageBench:
    """The hooks. A store's author overrides `make_storage` and, where they do not fit, the others."""

    tick: ClassVar[float] = 0.1
    """Seconds: what cases about time wait for. Larger than what the store's clock and a busy machine may be off by."""

    def make_storage(self) -> Storage:
        """Give another opened Storage object on the store of this case; each case has a new, empty store."""
        raise NotImplementedError

    def clock_advance(self, seconds: float) -> None:
        """Let that much time pass for the store; a store with a clock given to it need not really wait."""
        time.sleep(seconds)

    def held_up(self) -> AbstractContextManager[object] | None:
        """Keep everybody else from writing to the store meanwhile, as a long transaction does; None: nothing can."""
        return None

    def make_payload(self, body: bytes) -> Payload:
        """Make a payload the store takes; it may be larger than the body, whose size alone counts towards limits."""
        return HEAD + body

    def body_of(self, payload: Payload) -> bytes:
        """Give the body that `make_payload` was given."""
        assert isinstance(payload, bytes)
        assert payload.startswith(HEAD)
        return payload.removeprefix(HEAD)

    @contextmanager
    def opened(self) -> Iterator[Storage]:
        """Open one more Storage object for a part of a case."""
        made = self.make_storage()
        try:
            yield made
        finally:
            made.close(PATIENCE)

    @pytest.fixture
    def storage(self) -> Iterator[Storage]:
        """Give the Storage object that most cases need."""
        with self.opened() as made:
            yield made

    @pytest.fixture
    def neighbour(self, storage: Storage) -> Iterator[Storage]:
        """Give a second Storage object on the same store."""
        with self.opened() as made:
            yield made

    # ------------------------------------------------------------------------------------- short words

    def put(self, storage: Storage, queue: str, *bodies: bytes, **numbers: Any) -> Sequence[Problem]:
        """Put records into one queue in one call; `numbers` are the fields of Target."""
        target = Target(queue, **numbers)
        return self.decided(storage, [Put(self.make_payload(body), [target], len(body)) for body in bodies])

    def decided(
        self,
        storage: Storage,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
    ) -> Sequence[Problem]:
        """Put, and wait for the answer where the store gives it later."""
        problems = storage.put(puts, guards, publisher, park)
        return storage.barrier(PATIENCE)[1] if problems is None else problems

    def take(self, storage: Storage, queue: str, count: int = 1000, owner: str = OWNER) -> list[Leased]:
        """Reserve from one queue for a long time."""
        leased, lost = storage.reserve([(queue, count)], owner, LONG_MS)
        assert not lost
        return list(leased)

    def bodies(self, records: Iterable[Leased | Peeked]) -> list[bytes]:
        """Give the bodies of records in their order."""
        return [self.body_of(record.payload) for record in records]

    def drained(self, storage: Storage, queue: str, owner: str = OWNER) -> list[bytes]:
        """Take all that is ready, settle it, and give the bodies."""
        taken = self.take(storage, queue, owner=owner)
        assert not storage.settle(tokens(taken), owner)
        return self.bodies(taken)


def tokens(records: Iterable[Leased]) -> list[Any]:
    """Give the tokens of taken records."""
    return [record.token for record in records]


def revision(storage: Storage, group: str) -> Revision:
    """Read the revision of one group."""
    return storage.revisions([group])[0]


def write(storage: Storage, group: str, **values: str) -> Revision:
    """Write values into a group whatever it holds; gives its revision."""
    assert storage.change({}, {(group, name): value for name, value in values.items()})
    return revision(storage, group)


@contextmanager
def background(work: Callable[[], Result]) -> Iterator[Future[Result]]:
    """Run `work` in a thread; leaving waits for its end."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work)


def at_once(works: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run all `works` in threads of their own and give their results; the first failure is raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(PATIENCE * 3) for future in [pool.submit(work) for work in works]]


def until(condition: Callable[[], bool], step: Callable[[], None]) -> None:
    """Repeat `step` until the condition holds; fails when patience is over."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        step()


def needs(available: bool, capability: str) -> None:
    """Skip a case about something that the store does not declare."""
    if not available:
        pytest.skip(f"the store does not declare {capability}")
