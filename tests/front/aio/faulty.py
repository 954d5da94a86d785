"""A broker in memory whose links refuse to open, and break, when a test says so."""

from __future__ import annotations

from typing import Any

from dulse import errors
from dulse.drivers import find_driver
from dulse.transport import Driver, Settings


class FaultyBroker:
    """Serves any number of connections; `transport=broker.driver` leads there, whatever the host is called."""

    def __init__(self, url: str) -> None:
        self.refusals: list[Exception] = []
        """Raised one after the other by the next attempts to open a link."""
        self.tried: list[str | None] = []
        """The host of each attempt."""
        self.links: list[FaultyLink] = []
        make: Any = self.link
        self.driver = Driver("faulty", make, make, default_port=7, heartbeats=True)
        self._name = url.removeprefix("memory://")

    def link(self, settings: Settings) -> FaultyLink:
        """Make a link that is not open."""
        return FaultyLink(self, settings, self._name)

    def cut(self) -> None:
        """Break all links that are open."""
        for link in self.links:
            link.is_cut = True


class FaultyLink:
    """A transport, and each of its channels, that works until it is cut."""

    def __init__(self, broker: FaultyBroker, settings: Settings, name: str) -> None:
        self._broker = broker
        self._host = settings.parameters.hostname
        options = {name: value for name, value in settings.options.items() if name == "lease"}
        inner = settings._replace(parameters=settings.parameters._replace(scheme="memory", hostname=name, port=None))
        self._inner: Any = find_driver("memory").open_asyncio(inner._replace(options=options))
        self.is_cut = False

    async def open(self, timeout: float) -> None:
        """Open, unless the broker refuses."""
        self._broker.tried.append(self._host)
        if self._broker.refusals:
            raise self._broker.refusals.pop(0)
        await self._inner.open(timeout)
        self._broker.links.append(self)

    async def channel(self) -> Any:
        """Open a channel."""
        self.check_cut()
        return FaultyChannel(self, await self._inner.channel())

    async def drain(self, timeout: float | None = None) -> None:
        """Wait for an event."""
        self.check_cut()
        await self._inner.drain(timeout)

    async def check(self, timeout: float | None = None) -> None:
        """Do a round trip."""
        self.check_cut()
        await self._inner.check(timeout)

    async def close(self, timeout: float | None = None) -> None:
        """Close; that the link is cut is told when all is given back, as a broker does that notices."""
        await self._inner.close(timeout)
        self.check_cut()

    def check_cut(self) -> None:
        """Raise if the link is cut."""
        if self.is_cut:
            raise errors.make(errors.ConnectionLost, "the link was cut")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class FaultyChannel:
    """A channel on such a link."""

    def __init__(self, link: FaultyLink, inner: Any) -> None:
        self._link = link
        self._inner = inner

    @property
    def is_open(self) -> bool:
        """Whether it can be used, as far as anybody has noticed."""
        return bool(self._inner.is_open)

    async def publish(self, *arguments: Any) -> None:
        """Publish a message."""
        self._link.check_cut()
        await self._inner.publish(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
