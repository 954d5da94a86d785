"""What `redis://…?…` and `transport_options` may say of the way to the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dulse.model.options import VirtualOptions, option


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOptions(VirtualOptions):
    """The options of all links to Redis; times are seconds."""

    db: int | None = option(None, minimum=0)
    """The database, where the URL's path does not name it."""
    ssl: Any = None
    """True, or a mapping (see TlsOptions): TLS, verified unless told otherwise."""
    connect_timeout: float = option(5.0, aliases=("socket_connect_timeout",), seconds=True, minimum=0.001)
    """What one attempt to connect may take."""
    answer_timeout: float = option(8.0, aliases=("socket_timeout",), seconds=True, minimum=0.01)
    """What one answer of the server may take, and how long the kernel may refuse to take what is sent."""
    dead_after: float | None = option(15.0, aliases=("heartbeat",), seconds=True, minimum=0)
    """Within how long a peer that is gone is found out by probes (TCP keep-alive); None or 0: the system's default."""
    client_name: str | None = None
    """What CLIENT LIST shows."""
    credential_provider: Any = None
    """A callable, or an object with `get_credentials`, that gives user and password, or the password alone."""
    max_reply_size: int = option(1 << 30, minimum=1 << 16)
    """Bytes that one reply of the server may have."""
    master_name: str | None = option(None, aliases=("service_name",))
    """sentinel:// only: whom the sentinels watch."""
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    """sentinel:// only: what the sentinels themselves want; user and password of the URL are the master's."""
    sentinel_ssl: Any = None
    """sentinel:// only: as `ssl`, for the sentinels; None: as for the master."""
    sentinel_kwargs: Any = None
    """sentinel:// only: a mapping with `username`, `password` and `ssl` instead, as Kombu's users write it."""
