"""Serves `redis://`, `rediss://`, `redis+socket://`, `sentinel://` and `redis+cluster://`: a broker in Redis."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from dulse.links.redis.options import LinkOptions
from dulse.links.redis.settings import settings_from
from dulse.model.options import option
from dulse.transport import Settings
from dulse.transports.redis.sync.storage import RedisStorage
from dulse.virtual.driver import virtual_driver
from dulse.virtual.storage import AsyncStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions(LinkOptions):
    """What these URLs and `transport_options` take besides."""

    prefix: str = option("", aliases=("global_keyprefix",))
    """Stands before all keys, so that several brokers share one database."""


def _storage(settings: Settings, options: RedisOptions) -> RedisStorage:
    return RedisStorage(
        settings_from(
            settings.parameters, options, others=settings.places, password=settings.password, prefix=options.prefix
        )
    )


def _by_asyncio(storage: RedisStorage) -> AsyncStorage:
    from dulse.transports.redis.aio.storage import RedisStorage as Twin  # the blocking form imports no asyncio

    return Twin(storage.settings)


def _version() -> str:
    try:
        return version("hiredis")
    except PackageNotFoundError:
        return "N/A"


DRIVER = virtual_driver("redis", RedisOptions, _storage, _by_asyncio, driver_version=_version)
