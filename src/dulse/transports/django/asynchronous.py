"""The asyncio form of the store: in threads, of which a put takes the one whose transaction it may belong to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from asgiref.sync import AsyncToSync, sync_to_async

from dulse.model.records import Guard, Problem, Put
from dulse.transports.django.storage import DjangoStorage
from dulse.virtual.threaded import ThreadedStorage

__all__ = ["AsyncDjangoStorage"]


class AsyncDjangoStorage(ThreadedStorage):
    """AsyncStorage over the blocking store."""

    def __init__(self, storage: DjangoStorage) -> None:
        super().__init__(storage)
        self._blocking = storage

    async def put(
        self,
        puts: Sequence[Put],
        guards: Sequence[Guard] = (),
        publisher: tuple[str, int] | None = None,
        park: str | None = None,
        *,
        until: float | None = None,
    ) -> Sequence[Problem] | None:
        """Put in a thread; under `async_to_sync` in the thread that called that, where Django's own queries run."""
        if getattr(AsyncToSync.executors, "current", None) is None:
            return await super().put(puts, guards, publisher, park, until=until)
        put = partial(self._blocking.put, list(puts), guards, publisher, park, until=until)
        return await sync_to_async(put, thread_sensitive=True)()
