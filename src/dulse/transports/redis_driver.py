"""Serves `redis://`, `rediss://`, `redis+socket://`, `sentinel://` and `redis+cluster://`: a broker in Redis."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from dulse import errors
from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import Layout, settings_from
from dulse.links.redis.settings import Settings as LinkSettings
from dulse.model.options import option
from dulse.transport import Settings
from dulse.transports.redis.priorities import Order, Priorities, steps_from
from dulse.transports.redis.sharded.places import MOST
from dulse.transports.redis.sync.storage import RedisStorage
from dulse.virtual.driver import virtual_driver
from dulse.virtual.storage import AsyncStorage

if TYPE_CHECKING:
    from dulse.transports.redis.sync.sharded import ShardedStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions(LinkOptions):
    """What these URLs and `transport_options` take besides."""

    prefix: str = option("", aliases=("global_keyprefix",))
    """Stands before all keys, so that several brokers share one database."""
    fleet: Literal["dulse", "mixed"] = "dulse"
    """"mixed": some processes on these keys run Kombu 5; what is kept is what they understand."""
    priority_steps: Any = None
    """A list of priorities: one between two of them counts as the lower. None: each is one, and in mixed fleets 0, 3, 6
    and 9, as Kombu's processes have by default."""
    priority_order: Order = "highest"
    """What a queue hands out first; "lowest": as Kombu does."""
    shards: int = option(1, minimum=1)
    """redis+cluster:// only: over how many slots the queues are spread, 64 at most; the same for all processes."""
    kombu_visibility_timeout: float = option(3600.0, seconds=True, minimum=1)
    """In mixed fleets: Kombu's own visibility_timeout, after which what a dead process of Kombu held is given back."""


def _storage(settings: Settings, options: RedisOptions) -> RedisStorage | ShardedStorage:
    link = settings_from(
        settings.parameters, options, others=settings.places, password=settings.password, prefix=options.prefix
    )
    steps = None if options.priority_steps is None else steps_from(options.priority_steps)
    priorities = Priorities(steps, options.priority_order)
    if options.shards != 1:
        from dulse.transports.redis.sync.sharded import ShardedStorage

        _check_shards(link, options)
        return ShardedStorage(link, options.shards, priorities)
    if options.fleet == "mixed":
        from dulse.transports.redis.sync.mixed import MixedStorage

        return MixedStorage(link, priorities, options.kombu_visibility_timeout)
    return RedisStorage(link, priorities)


def _check_shards(link: LinkSettings, options: RedisOptions) -> None:
    if link.layout is not Layout.CLUSTER or options.fleet == "mixed" or options.shards > MOST:
        text = (
            f"the option 'shards' is {options.shards}: 1 to {MOST} with redis+cluster:// URLs, 1 with any other and in"
        )
        raise errors.make(errors.InvalidArgument, f"{text} mixed fleets")


def _by_asyncio(storage: RedisStorage | ShardedStorage) -> AsyncStorage:
    if type(storage) is RedisStorage:
        from dulse.transports.redis.aio.storage import RedisStorage as Twin  # the blocking form imports no asyncio

        return Twin(storage.settings, storage.priorities)
    if not isinstance(storage, RedisStorage):
        from dulse.transports.redis.aio.sharded import ShardedStorage as ShardedTwin

        return ShardedTwin(storage.settings, storage.count, storage.priorities)
    from dulse.transports.redis.aio.mixed import MixedStorage as MixedTwin
    from dulse.transports.redis.sync.mixed import MixedStorage

    assert isinstance(storage, MixedStorage)  # noqa: S101 - for the type checker: there are two kinds
    return MixedTwin(storage.settings, storage.priorities, storage.dead_after)


def _version() -> str:
    try:
        return version("hiredis")
    except PackageNotFoundError:
        return "N/A"


DRIVER = virtual_driver("redis", RedisOptions, _storage, _by_asyncio, driver_version=_version)
