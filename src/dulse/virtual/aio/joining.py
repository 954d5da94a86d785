"""Publishing with a transaction of the caller's own, where the store is in the caller's database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from dulse import errors
from dulse.model.message import Outgoing, Returned
from dulse.virtual.aio.publishing import Dispatch, unwanted
from dulse.virtual.storage import StaleTopology
from dulse.virtual.transactional import AsyncTransactionalStorage

ATTEMPTS = 5
"""A route outdated so often is one that the caller's transaction cannot see: it looks at the past."""


async def publish_within(
    dispatch: Dispatch, session: Any, messages: Sequence[Outgoing], until: float
) -> list[Returned]:
    """Publish as `Dispatch.publish` does, except that the caller's commit decides; nothing is trimmed before that.

    Routes are read by our own connection, and read again if the caller's transaction finds them outdated.
    """
    storage = dispatch.storage
    if not storage.capabilities.transactions:
        text = f"{storage!r} is no database that a session of yours could be a transaction of: publish without session"
        raise errors.make(errors.NotSupported, text)
    for _ in range(ATTEMPTS):
        prepared = [await dispatch.prepare(message, until) for message in messages]
        guards = dict.fromkeys(guard for _, route in prepared for guard in route.guards)
        puts = [put for put, _ in prepared]
        try:
            problems = await cast(AsyncTransactionalStorage, storage).put_within(session, puts, list(guards))
        except StaleTopology:
            for message in messages:
                dispatch.forget(message)
            continue
        if problems:
            await dispatch.settle_problems(messages, problems, until)
        return unwanted(messages, puts)
    text = "the caller's transaction began before the topology changed, and cannot see it: roll back and begin again"
    raise errors.make(errors.StorageBusy, text)
