"""Serves `amqp://`, `amqps://` and the names that Kombu's users know."""

from __future__ import annotations

from collections.abc import Callable

from dulse.amqp.sasl import AMQPlain, External, Mechanism, Plain
from dulse.amqp.settings import CAPABILITIES
from dulse.amqp.settings import Settings as EngineSettings
from dulse.links.addresses import places
from dulse.links.amqp_setup import Destination, LinkSetup
from dulse.links.sockets import tcp_settings
from dulse.links.tls import tls_from
from dulse.model.options import build
from dulse.model.parameters import Parameters
from dulse.policy.retry import RetryPolicy
from dulse.transport import AsyncTransport, Driver, Settings, Transport
from dulse.transports.amqp.management_http import ManagementApi
from dulse.transports.amqp.management_setup import api_from
from dulse.transports.amqp.options import AmqpOptions

PORT = 5672
TLS_PORT = 5671


def open_blocking(settings: Settings) -> Transport:
    """Make a transport over the blocking link, not open yet."""
    from dulse.links.blocking.link import Link
    from dulse.transports.amqp.sync.transport import AmqpTransport

    return AmqpTransport(Link(setup_from(settings)), *_management(settings))


def open_asyncio(settings: Settings) -> AsyncTransport:
    """Make a transport over the asyncio link, not open yet."""
    from dulse.links.asynchronous.link import Link
    from dulse.transports.amqp.aio.transport import AmqpTransport

    return AmqpTransport(Link(setup_from(settings)), *_management(settings))


def _management(settings: Settings) -> tuple[ManagementApi, str]:
    """Find the management API of the broker, and the virtual host to ask it about."""
    options = build(AmqpOptions, settings.options, of="the amqp transport")
    api = api_from(settings.parameters, settings.password, options, settings.timeout)
    return api, settings.parameters.virtual_host or "/"


def setup_from(settings: Settings) -> LinkSetup:
    """Check all settings and give what a link needs."""
    options = build(AmqpOptions, settings.options, of="the amqp transport")
    observer = settings.observer
    uri = settings.parameters.as_uri()
    own = _destinations(settings.parameters, settings.password, options)
    others = [each for place in settings.places[1:] for each in _destinations(place, settings.password, options)]
    return LinkSetup(
        destinations=(*own, *others),
        own=len(own),
        timeout=settings.timeout if options.read_timeout is None else options.read_timeout,
        write_timeout=options.write_timeout,
        confirms=options.confirm_publish != "off",
        waits_for_confirms=options.confirm_publish in {True, "true"},
        window_messages=options.window_messages,
        window_bytes=options.window_bytes,
        blocked_timeout=options.blocked_timeout,
        reconnect_timeout=options.reconnect_timeout,
        retry=_retry(options),
        on_unconfirmed=options.on_unconfirmed,
        on_blocked=options.on_blocked,
        on_unblocked=options.on_unblocked,
        on_reconnected=None if observer is None else lambda: observer.reconnected(uri),
    )


def _retry(options: AmqpOptions) -> RetryPolicy:
    """Give the waits between attempts to replace a lost connection."""
    start, step, longest = options.interval_start, options.interval_step, options.interval_max
    return RetryPolicy(
        interval_start=0.05 if start is None else start,
        interval_step=0.1 if step is None else step,
        interval_max=1.0 if longest is None else longest,
        jitter=0.5,
    )


def _destinations(parameters: Parameters, secret: Callable[[], str] | None, options: AmqpOptions) -> list[Destination]:
    secured = parameters.transport == "amqps"
    tls = tls_from(options.ssl or (True if secured else None))
    wishes = EngineSettings(
        mechanisms=_mechanisms(parameters, secret, options),
        virtual_host=parameters.virtual_host or "/",
        channel_max=options.channel_max,
        frame_max=options.frame_max,
        heartbeat=int(options.heartbeat),
        message_max=options.max_message_size,
        properties={"product": "dulse", **(options.client_properties or {}), "capabilities": CAPABILITIES},
    )
    found = places(parameters.hostname, parameters.port, TLS_PORT if tls is not None else PORT)
    return [Destination(place, wishes, tls, tcp_settings(options.socket_settings or {})) for place in found]


def _mechanisms(
    parameters: Parameters, secret: Callable[[], str] | None, options: AmqpOptions
) -> tuple[Mechanism, ...]:
    user = "guest" if parameters.userid is None else parameters.userid
    password = secret or ("guest" if parameters.password is None else parameters.password)
    known: dict[str, Mechanism] = {
        "PLAIN": Plain(user, password),
        "AMQPLAIN": AMQPlain(user, password),
        "EXTERNAL": External(),
    }
    if options.login_method is None:
        return known["PLAIN"], known["AMQPLAIN"]
    return (known[options.login_method.upper()],)


DRIVER = Driver(
    name="amqp",
    open_blocking=open_blocking,
    open_asyncio=open_asyncio,
    default_port=PORT,
    driver_type="amqp",
    driver_version=lambda: "0-9-1",
    heartbeats=True,
)
