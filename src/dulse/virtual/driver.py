"""Makes the Driver of a virtual transport from its Storage: the one place where a store meets both front ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from dulse.model.options import VirtualOptions, build
from dulse.transport import AsyncTransport, Driver, Settings, Transport
from dulse.virtual.storage import AsyncStorage, Storage

if TYPE_CHECKING:
    from dulse.virtual.arming import ArmedStorage

Options = TypeVar("Options", bound=VirtualOptions)
Store = TypeVar("Store", bound=Storage)

# What is imported inside functions here: a program uses one form, seldom both, and the blocking one imports no asyncio.


def virtual_driver(
    name: str,
    options: type[Options],
    make_storage: Callable[[Settings, Options], Store],
    bridge: Callable[[Store], AsyncStorage],
    *,
    driver_version: Callable[[], str],
) -> Driver:
    """Declare a virtual transport.

    `make_storage` gives a Storage that is not open yet; `bridge`, its asyncio form: `immediately` or `in_threads`.
    """

    def prepare(settings: Settings) -> tuple[Store, dict[str, Any]]:
        chosen = build(options, settings.options, of=f"the {name} transport")
        about = {
            "clock": settings.clock,
            "lease": chosen.lease,
            "max_hold": chosen.max_hold,
            "unrouted": chosen.deadletter_queue,
            "waits_for_answers": chosen.confirm_publish in {True, "true"},
            "on_unconfirmed": chosen.on_unconfirmed,
            "timeout": settings.timeout,
            "place": (name, settings.parameters.hostname, settings.parameters.port, settings.parameters.virtual_host),
        }
        return make_storage(settings, chosen), about

    def open_blocking(settings: Settings) -> Transport:
        from dulse.virtual.sync.transport import VirtualTransport

        storage, about = prepare(settings)
        return VirtualTransport(storage, **about)

    def open_asyncio(settings: Settings) -> AsyncTransport:
        from dulse.virtual.aio.transport import VirtualTransport

        storage, about = prepare(settings)
        return VirtualTransport(bridge(storage), **about)

    return Driver(
        name=name,
        open_blocking=open_blocking,
        open_asyncio=open_asyncio,
        driver_type=name,
        driver_version=driver_version,
    )


def immediately(storage: ArmedStorage) -> AsyncStorage:
    """Call a store that never waits straight from the event loop."""
    from dulse.virtual.immediate import ImmediateStorage

    return ImmediateStorage(storage)


def in_threads(storage: Storage) -> AsyncStorage:
    """Call a store that may wait from threads."""
    from dulse.virtual.threaded import ThreadedStorage

    return ThreadedStorage(storage)
