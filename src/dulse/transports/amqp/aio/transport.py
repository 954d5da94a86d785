"""The Transport over an AMQP link."""

from __future__ import annotations

from dulse.links.asynchronous.link import Link
from dulse.model.capabilities import Capabilities
from dulse.transports.amqp.aio.channel import AmqpChannel
from dulse.transports.amqp.aio.management import AmqpManagement
from dulse.transports.amqp.capabilities import CAPABILITIES
from dulse.transports.amqp.management_http import ManagementApi


class AmqpTransport:
    """One broker, by a link that lives through lost connections. Any number of threads (tasks) may use it at once."""

    def __init__(self, link: Link, api: ManagementApi, virtual_host: str) -> None:
        self._link = link
        self._management = AmqpManagement(link, api, virtual_host)

    def __repr__(self) -> str:
        return f"<AmqpTransport on {self._link!r}>"

    @property
    def capabilities(self) -> Capabilities:
        """What RabbitMQ can do."""
        return CAPABILITIES

    @property
    def management(self) -> AmqpManagement:
        """What it offers besides channels."""
        return self._management

    async def open(self, timeout: float) -> None:
        """Connect; see Transport."""
        await self._link.open(timeout)

    async def channel(self) -> AmqpChannel:
        """Open a channel."""
        return await self._link.port(AmqpChannel)

    async def drain(self, timeout: float | None = None) -> None:
        """Hand over one event; see Transport."""
        await self._link.drain(timeout)

    async def flush(self, timeout: float | None = None) -> None:
        """Send out and await everything that was published or settled."""
        await self._link.flush(timeout)

    async def check(self, timeout: float | None = None) -> None:
        """Do one round trip to the broker."""
        await self._link.check(timeout)

    async def close(self, timeout: float | None = None) -> None:
        """Close all channels and let go of the broker; see Transport."""
        await self._link.close(timeout)

    def fileno(self) -> int:
        """Give a descriptor for a foreign event loop, readable when `drain` may have something; see Link."""
        return self._link.fileno()

    def discard(self) -> None:
        """Forget everything without I/O."""
        self._link.discard()
