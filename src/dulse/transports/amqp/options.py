"""What `amqp://…?…` and `transport_options` may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dulse.model.options import SharedOptions, option


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpOptions(SharedOptions):
    """The options of the AMQP transport; times are seconds, sizes bytes."""

    confirm_publish: Literal[False, True, "off", "false", "true"] = False
    """False: confirms are read while more is published; True: each publish waits for its own; "off": none at all."""
    window_messages: int = option(1000, minimum=1)
    """How many unconfirmed messages may be in flight."""
    window_bytes: int = option(8 * 1024 * 1024, minimum=1)
    blocked_timeout: float = option(60.0, seconds=True, minimum=0)
    """How long a publish waits while the broker takes no messages."""
    reconnect_timeout: float | None = option(60.0, seconds=True, minimum=0)
    """How long a lost connection is tried to be replaced; None: for ever."""
    read_timeout: float | None = option(None, seconds=True, minimum=0)
    """How long a call waits for the broker's answer that names no timeout of its own; None: 30."""
    write_timeout: float | None = option(None, seconds=True, minimum=0)
    """How long such a publish waits for room; None: as `read_timeout`."""
    socket_settings: Mapping[Any, Any] | None = None
    """Options of TCP by their numbers or names, such as {"TCP_USER_TIMEOUT": 3000}."""
    heartbeat: float = option(60.0, seconds=True, minimum=0, maximum=65535)
    """Seconds between signs of life; two without one end a connection. 0: the broker's wish."""
    frame_max: int = option(131072, minimum=4096, maximum=131072)
    channel_max: int = option(2047, minimum=0, maximum=65535)
    max_message_size: int = option(128 * 1024 * 1024, minimum=1)
    """Bytes of body that are taken from the broker."""
    login_method: str | None = None
    """PLAIN (the default), AMQPLAIN or EXTERNAL."""
    ssl: Any = None
    credential_provider: Any = None
    client_properties: Mapping[str, Any] | None = None
    management_port: int | None = option(None, minimum=1, maximum=65535)
    """Where RabbitMQ's management API listens at the broker's hosts; None: 15672, by TLS 15671."""
    management_url: str | None = None
    """Where that API is if not there, as in https://host:15671/path; with user:password@ if they are others."""
    on_blocked: Callable[..., Any] | None = None
    """Called with the reason when the broker takes no messages any more, on whichever thread learns of it."""
    on_unblocked: Callable[..., Any] | None = None
    """Called when it takes them again."""
    on_unconfirmed: Callable[..., Any] | None = None
    """Called with a message that the broker did not take and the error, on whichever thread learns of it."""
