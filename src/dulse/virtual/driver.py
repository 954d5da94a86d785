"""Makes the Driver of a virtual transport from its Storage: the one place where a store meets both front ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from dulse.model.options import VirtualOptions, build
from dulse.transport import AsyncTransport, Driver, Settings, Transport
from dulse.virtual.storage import Storage

Options = TypeVar("Options", bound=VirtualOptions)


def virtual_driver(
    name: str,
    options: type[Options],
    make_storage: Callable[[Settings, Options], Storage],
    *,
    waits: Literal["never", "sometimes"],
    driver_type: str | None = None,
    driver_version: Callable[[], str],
) -> Driver:
    """Declare a virtual transport.

    `make_storage` gives a Storage that is not open yet. A store that `waits` "never" is called straight from asyncio, others
    from threads.
    """

    def settle(settings: Settings) -> tuple[Storage, dict[str, Any]]:
        chosen = build(options, settings.options, of=f"the {name} transport")
        about = {
            "clock": settings.clock,
            "lease": chosen.lease,
            "max_hold": chosen.max_hold,
            "unrouted": chosen.deadletter_queue,
            "timeout": settings.timeout,
        }
        return make_storage(settings, chosen), about

    def open_blocking(settings: Settings) -> Transport:
        from dulse.virtual.sync.transport import VirtualTransport  # noqa: PLC0415 - a program uses one form, seldom both

        storage, about = settle(settings)
        return VirtualTransport(storage, **about)

    def open_asyncio(settings: Settings) -> AsyncTransport:
        from dulse.virtual.aio.transport import VirtualTransport  # noqa: PLC0415 - the blocking form imports no asyncio

        storage, about = settle(settings)
        if waits == "never":
            from dulse.virtual.immediate import ImmediateStorage  # noqa: PLC0415

            return VirtualTransport(ImmediateStorage(storage), **about)
        from dulse.virtual.threaded import ThreadedStorage  # noqa: PLC0415

        return VirtualTransport(ThreadedStorage(storage), **about)

    return Driver(
        name=name,
        open_blocking=open_blocking,
        open_asyncio=open_asyncio,
        driver_type=driver_type or name,
        driver_version=driver_version,
    )
