"""Links that are closed after the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dulse.links.redis.aio.link import RedisLink
from dulse.links.redis.aio.listening import ListeningLink
from dulse.links.redis.settings import Settings
from tests.links.redis.rig import soon


@asynccontextmanager
async def opened(chosen: Settings) -> AsyncIterator[RedisLink]:
    link = RedisLink(chosen)
    await link.open(soon())
    try:
        yield link
    finally:
        await link.close(soon())


@asynccontextmanager
async def listening(chosen: Settings) -> AsyncIterator[ListeningLink]:
    link = ListeningLink(chosen)
    await link.open(soon())
    try:
        yield link
    finally:
        await link.close(soon())
