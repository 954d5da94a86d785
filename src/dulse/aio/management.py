"""What a Connection offers besides channels, where its broker does: looking at queues, and moving messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dulse import errors
from dulse.aio.message import Message
from dulse.model.inspection import QueueStatus, WaitingMessage
from dulse.transport import AsyncManagement

if TYPE_CHECKING:
    from dulse.aio.connecting import Connecting

__all__ = ["Manager"]


class Manager:
    """The queues of a broker seen from outside; `Connection.manager` gives it. Threads (tasks) may share it.

    Each call connects if needed, and raises NotSupported where the transport offers no such thing.
    """

    def __init__(self, connection: Connecting) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"<Manager of {self._connection!r}>"

    async def queues(self, *names: str) -> list[QueueStatus]:
        """Describe these queues in the order given, or all there are in that of their names.

        Ready, leased and delayed messages, consumers, and what each was declared with. Raises NotFound.
        """
        return list(await (await self._offered()).queues(names))

    async def peek(self, queue: str, count: int = 1) -> list[Message[Any]]:
        """Look at up to so many messages that would be delivered next; none of them is taken, so none can be settled.

        `delivery_info` has `age` and `time_to_live` (seconds; None: for ever) besides what a received message has.
        Raises NotFound.
        """
        return [_message(waiting) for waiting in await (await self._offered()).peek(queue, count)]

    async def move(self, source: str, destination: str, limit: int = 1000) -> int:
        """Move up to so many ready messages from one queue to another, the next ones first; gives their number.

        Each keeps its properties, and gets priority and time to live as if it were published to `destination`. No
        message is lost or doubled, whatever ends the process, if the transport's capabilities have `atomic_forward`.
        A full queue drops nothing to take one in: Refused is raised if there is room for none. Raises NotFound,
        ResourceLocked and InvalidArgument.
        """
        return await (await self._offered()).move(source, destination, limit)

    async def _offered(self) -> AsyncManagement:
        session = await self._connection.connect()
        management = session.transport.management
        if management is None:
            name = session.driver_name
            text = f"the {name} transport cannot list, peek or move: use the operations of Queue and Exchange"
            raise errors.make(errors.NotSupported, text)
        return management


def _message(waiting: WaitingMessage) -> Message[Any]:
    properties = {name: value for name, value in waiting.properties.items() if name != "headers"}
    return Message(
        waiting.body,
        content_type=properties.get("content_type"),
        content_encoding=properties.get("content_encoding"),
        delivery_info={
            "exchange": waiting.exchange,
            "routing_key": waiting.routing_key,
            "redelivered": waiting.deliveries > 0,
            "age": waiting.age,
            "time_to_live": waiting.time_to_live,
        },
        properties=properties,
        headers=_headers(waiting),
    )


def _headers(waiting: WaitingMessage) -> dict[str, Any]:
    headers = dict(waiting.properties.get("headers") or {})
    if waiting.deliveries:
        headers["x-delivery-count"] = waiting.deliveries
    return headers
