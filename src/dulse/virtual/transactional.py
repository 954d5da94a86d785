"""The contract of a Storage that can write by the caller's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from dulse.model.records import Guard, Problem, Put
from dulse.virtual.storage import AsyncStorage, Storage


class TransactionalStorage(Storage, Protocol):
    """A Storage with the capability `transactions`."""

    def put_within(self, session: Any, puts: Sequence[Put], guards: Sequence[Guard] = ()) -> Sequence[Problem]:
        """Write as `put` does, by the caller's own transaction: the records exist from its commit on, if it commits.

        Only the caller's connection is used, which is neither committed nor rolled back; its errors are raised as they
        come, in the client's own form. NotSupported: `session` is not of this store, or commits by itself. A Problem
        with an excess tells of what others can see already.
        """
        ...


class AsyncTransactionalStorage(AsyncStorage, Protocol):
    """An AsyncStorage with the capability `transactions`."""

    async def put_within(self, session: Any, puts: Sequence[Put], guards: Sequence[Guard] = ()) -> Sequence[Problem]:
        """Write by the caller's own transaction; see TransactionalStorage."""
        ...
