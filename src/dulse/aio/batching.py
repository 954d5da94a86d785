"""Publishing many messages in few steps."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.model.message import Outgoing

if TYPE_CHECKING:
    from dulse.aio.messaging import Producer

DEFAULT_BATCH_SIZE = 1000


class Batch:
    """What a producer publishes inside `async with producer.batch()`, by this thread (task) and the tasks it starts.

    It goes out in steps of `max_size` messages, and the rest at the end; when the block ends by an exception, what is
    not out yet is dropped. Within another batch of the same producer it only adds to that one.
    """

    def __init__(
        self, producer: Producer[Any], max_size: int, retry: bool, retry_policy: Mapping[str, Any] | None
    ) -> None:
        if isinstance(max_size, bool) or not isinstance(max_size, int) or max_size < 1:
            text = f"max_size must be a whole number of at least 1, not {max_size!r}"
            raise errors.make(errors.InvalidArgument, text)
        self.max_size = max_size
        self._producer = producer
        self._retry = retry
        self._retry_policy = retry_policy
        self._messages: list[Outgoing] = []
        self._session: Any = None
        self._entered: Token[tuple[Batch, ...]] | None = None

    async def add(self, message: Outgoing, session: Any = None) -> None:
        """Put a message into the batch; sends it when that is full, or what is in it goes with another session."""
        if session is not self._session:
            await self.flush()
            self._session = session
        self._messages.append(message)
        if len(self._messages) >= self.max_size:
            await self.flush()

    async def flush(self, timeout: float | None = None) -> None:
        """Publish what is in the batch now; after an error it is still there, and some of it may have been sent."""
        messages, self._messages = self._messages, []
        if messages:
            try:
                await self._producer.send_all(messages, timeout, self._retry, self._retry_policy, self._session)
            except BaseException:
                self._messages = messages + self._messages
                raise

    async def __aenter__(self) -> Batch:  # noqa: PYI034 - it may be the one around it
        outer = open_batch(self._producer)
        if outer is not None:
            return outer
        self._producer.batches.add(self)
        self._entered = _open.set((*_open.get(), self))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._entered is None:
            return
        _open.reset(self._entered)
        self._entered = None
        self._producer.batches.discard(self)
        if error is None:
            await self.flush()

    def __len__(self) -> int:
        return len(self._messages)


def open_batch(producer: Producer[Any]) -> Batch | None:
    """Give the batch into which this thread (task) publishes by that producer."""
    return next((batch for batch in _open.get() if batch in producer.batches), None)


_open: ContextVar[tuple[Batch, ...]] = ContextVar("open_batches", default=())
