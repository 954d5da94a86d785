"""The process's pools of connections and producers, one for each broker: `connections[connection]`, `producers[…]`.

Where there is an event loop, members belong to the one they were used in: `await reset()` before it ends.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from enum import Enum
from typing import Any, Generic, TypeVar

from dulse import errors
from dulse.aio import messaging
from dulse.aio.connection import Connection
from dulse.aio.connection_pools import ConnectionPool
from dulse.aio.lifetimes import lifetimes
from dulse.aio.resource import DEFAULT_TIMEOUT, Resource, checked_limit
from dulse.aio.retrying import Stopwatch
from dulse.links.waiting.aio import Mutex
from dulse.policy.clocks import SystemClock

__all__ = [
    "Connections",
    "PoolGroup",
    "ProducerPool",
    "Producers",
    "connections",
    "get_limit",
    "producers",
    "register_group",
    "reset",
    "set_limit",
    "use_global_limit",
]

P = TypeVar("P", bound=Resource[Any])
G = TypeVar("G", bound="PoolGroup[Any]")

_logger = logging.getLogger(__name__)


class GlobalLimit(Enum):
    """In the place of a group's own limit: the one that `set_limit` sets."""

    USE = "use_global_limit"


use_global_limit = GlobalLimit.USE


class ProducerPool(Resource[messaging.Producer[Any]]):
    """Producers, each of which has a connection out of a pool of those for as long as it is out.

    Giving a producer back does not wait for the broker to confirm what it published.
    """

    Producer: type[messaging.Producer[Any]] = messaging.Producer

    def __init__(
        self,
        connections: ConnectionPool,
        limit: int | None = None,
        preload: int | None = None,
        close_after_fork: bool | None = None,
        Producer: type[messaging.Producer[Any]] | None = None,  # noqa: N803 - the name Kombu's users know
    ) -> None:
        self.connections = connections
        self.Producer = Producer or self.Producer
        self._lent: dict[int, Connection] = {}
        super().__init__(limit, preload, close_after_fork)

    def new(self) -> messaging.Producer[Any]:
        """Make a producer without a connection."""
        return self.Producer(None)

    async def acquire(self, block: bool = False, timeout: float | None = None) -> messaging.Producer[Any]:
        """Take a producer and a connection for it; both together within `timeout` seconds (None: 30), if `block`."""
        watch = Stopwatch(SystemClock())
        producer = await super().acquire(block, timeout)
        try:
            left = max(0.0, (DEFAULT_TIMEOUT if timeout is None else timeout) - watch.elapsed())
            connection = await self.connections.acquire(block, left)
        except BaseException:
            await super().release(producer)
            raise
        with self._mutex:
            self._lent[id(producer)] = connection
        producer.revive(connection)
        return producer

    async def release(self, resource: messaging.Producer[Any]) -> None:
        """Give a producer back, and its connection; twice changes nothing."""
        with self._mutex:
            connection = self._lent.pop(id(resource), None)
        if connection is not None:
            await connection.release()
        await super().release(resource)

    async def replace(self, resource: messaging.Producer[Any]) -> None:
        """Give a broken producer back, whose connection is closed too."""
        with self._mutex:
            connection = self._lent.pop(id(resource), None)
        if connection is not None:
            await self.connections.replace(connection)
        await super().replace(resource)

    def close_resource(self, resource: messaging.Producer[Any]) -> Any:
        """Do nothing: what has to be closed is the connection, and that has a pool of its own."""

    def after_fork(self) -> None:
        """Be empty, in a forked child."""
        super().after_fork()
        self._lent.clear()


class PoolGroup(dict[Any, P], Generic[P]):
    """A pool for each broker, made when it is first asked for by a connection to there.

    Connections to the same place as the same user, with the same options, have the same pool. With `limit`
    `use_global_limit` the pools have the limit that `set_limit` sets.
    """

    def __init__(self, limit: int | GlobalLimit | None = None, close_after_fork: bool = True) -> None:
        super().__init__()
        self.limit = limit
        self.close_after_fork = close_after_fork

    @abstractmethod
    def create(self, resource: Connection, limit: int | None) -> P:
        """Make the pool for a connection."""

    def __getitem__(self, connection: Connection) -> P:
        key = connection.__eqhash__()
        pool = super().get(key)
        if pool is None:
            limit = get_limit() if isinstance(self.limit, GlobalLimit) else self.limit
            made = self.create(connection, limit)
            with _registry.mutex:
                pool = super().setdefault(key, made)
        return pool

    def __contains__(self, connection: object) -> bool:
        return isinstance(connection, Connection) and super().__contains__(connection.__eqhash__())

    def __delitem__(self, connection: Connection) -> None:
        super().__delitem__(connection.__eqhash__())


class _Registry:
    """The groups of this process and their common limit."""

    def __init__(self) -> None:
        self.limit: int | None = 10
        self.groups: list[PoolGroup[Any]] = []
        self.mutex = Mutex()
        lifetimes.forget_after_fork(self)

    def pools(self) -> list[tuple[PoolGroup[Any], Resource[Any]]]:
        with self.mutex:
            return [(group, pool) for group in self.groups for pool in group.values()]

    def after_fork(self) -> None:
        self.mutex = Mutex()


_registry = _Registry()


def register_group(group: G) -> G:
    """Let `reset` and `set_limit` reach a group; gives it."""
    with _registry.mutex:
        _registry.groups.append(group)
    return group


class Connections(PoolGroup[ConnectionPool]):
    """Pools of connections."""

    def create(self, resource: Connection, limit: int | None) -> ConnectionPool:
        """Make a pool of connections."""
        return resource.Pool(limit, close_after_fork=self.close_after_fork)


class Producers(PoolGroup[ProducerPool]):
    """Pools of producers, whose connections come from the process's pools of those."""

    def create(self, resource: Connection, limit: int | None) -> ProducerPool:
        """Make a pool of producers."""
        return ProducerPool(connections[resource], limit, close_after_fork=self.close_after_fork)


connections = register_group(Connections(limit=use_global_limit))
producers = register_group(Producers(limit=use_global_limit))


def get_limit() -> int | None:
    """Give the limit of the process's pools; 10 to begin with."""
    return _registry.limit


async def set_limit(
    limit: int | None, force: bool = False, reset_after: bool = False, ignore_errors: bool = False
) -> int | None:
    """Set the limit of the process's pools, those in use included, and give it; None or 0 is no limit.

    `force`, `ignore_errors` and `reset_after` (all members are closed) are those of `Resource.resize`.
    """
    if checked_limit(limit) != _registry.limit:
        for group, pool in _registry.pools():
            if isinstance(group.limit, GlobalLimit):
                await pool.resize(limit, force, ignore_errors, reset_after)
        _registry.limit = limit
    return limit


async def reset() -> None:
    """Close all connections of all groups, in use or not, and forget the pools."""
    pools = _registry.pools()
    for group in _registry.groups:
        group.clear()
    for _, pool in pools:
        try:
            await pool.force_close_all()
        except (errors.DulseError, OSError):
            _logger.exception("%r could not be closed in order", pool)
