"""What a link to Redis is told: where the server is and how to find it, how to be let in, when to give up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dulse import errors
from dulse.links.addresses import Place, places
from dulse.links.redis.credentials import Credentials, credentials_from
from dulse.links.redis.options import LinkOptions
from dulse.links.redis.slots import slot_of, tagged
from dulse.links.tls import Tls, tls_from
from dulse.model.parameters import Parameters

PORT = 6379
SENTINEL_PORT = 26379

SCHEMES = ("redis", "rediss", "redis+socket", "sentinel", "redis+cluster")

_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": None, "0": None, "no": None, "off": None}


class Layout(Enum):
    """How the servers belong together."""

    SINGLE = "one server"
    SENTINEL = "a master that sentinels name"
    CLUSTER = "a cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelSettings:
    """How to ask the sentinels."""

    master_name: str
    credentials: Credentials
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a link needs to know; times are seconds, sizes bytes. Shows no secret."""

    layout: Layout = Layout.SINGLE
    places: Sequence[Place | str]
    """Servers, sentinels or nodes of the cluster to begin with; a text is the path of a Unix socket."""
    db: int = 0
    credentials: Credentials = field(default_factory=Credentials, repr=False)
    tls: Tls | None = None
    timeout: float = 8.0
    """What a call may take at most, a new connection included."""
    connect_timeout: float = 5.0
    """What one attempt to connect may take."""
    dead_after: float | None = 15.0
    client_name: str | None = None
    max_reply_size: int = 1 << 30
    sentinel: SentinelSettings | None = field(default=None, repr=False)
    prefix: str = ""
    """What all keys begin with; in a cluster, it has the braces that give them all one slot."""

    @property
    def slot(self) -> int:
        """The slot of all keys."""
        return slot_of(self.prefix.encode())

    @property
    def gate(self) -> tuple[str, ...]:
        """The keys to declare for each script: none, but in a cluster two that are never there.

        By them a node that does not have the slot refuses a script before it begins, and so does one of the two between
        which the slot is moving: of keys that a script names itself, some would be here and some there.
        """
        if self.layout is not Layout.CLUSTER:
            return ()
        return f"{self.prefix}dulse.gate:1", f"{self.prefix}dulse.gate:2"

    def __str__(self) -> str:
        return ", ".join(map(str, self.places))


def settings_from(
    parameters: Parameters,
    options: LinkOptions,
    *,
    others: Sequence[Parameters] = (),
    password: Callable[[], str] | None = None,
    prefix: str = "",
) -> Settings:
    """Check the address and the options, and give what a link needs.

    `others` are the other sentinels, or nodes of a cluster; `password` gives the one that is valid now; see
    `Settings.prefix` for which `prefix` is a wish. Raises
    InvalidURL, InvalidArgument and UnknownOption.
    """
    layout = _layout(parameters)
    tls = tls_from(_asked(options.ssl) or (True if parameters.scheme == "rediss" else None))
    return Settings(
        layout=layout,
        places=_places(parameters, layout, others),
        db=_database(parameters, options, layout),
        credentials=credentials_from(options.credential_provider, parameters.userid, parameters.password, password),
        tls=tls,
        timeout=options.answer_timeout,
        connect_timeout=options.connect_timeout,
        dead_after=options.dead_after,
        client_name=_client_name(options.client_name),
        max_reply_size=options.max_reply_size,
        sentinel=_sentinel(options, tls, layout),
        prefix=tagged(prefix) if layout is Layout.CLUSTER else prefix,
    )


def _layout(parameters: Parameters) -> Layout:
    scheme = parameters.scheme
    if scheme not in SCHEMES:
        text = f"the redis transport has no scheme {scheme}://; it has {', '.join(f'{each}://' for each in SCHEMES)}"
        raise errors.make(errors.InvalidURL, text)
    return {"sentinel": Layout.SENTINEL, "redis+cluster": Layout.CLUSTER}.get(scheme, Layout.SINGLE)


def _asked(ssl: Any) -> Any:
    return _BOOLEANS.get(ssl.lower(), ssl) if isinstance(ssl, str) else ssl


def _places(parameters: Parameters, layout: Layout, others: Sequence[Parameters]) -> tuple[Place | str, ...]:
    if parameters.scheme == "redis+socket":
        if parameters.hostname or parameters.port:
            raise errors.make(errors.InvalidURL, "a redis+socket URL names no host: write redis+socket:///path/of/it")
        if not parameters.virtual_host:
            raise errors.make(errors.InvalidURL, "the redis+socket URL names no path: write redis+socket:///path/of/it")
        return ("/" + parameters.virtual_host.lstrip("/"),)
    port = SENTINEL_PORT if layout is Layout.SENTINEL else PORT
    found = places(parameters.hostname, parameters.port, port)
    if layout is Layout.SINGLE:
        if len(found) > 1:
            text = "a redis URL names one host; several servers to choose from are several URLs, separated by ;"
            raise errors.make(errors.InvalidURL, text)
        return tuple(found)
    for other in others:
        if other.scheme == parameters.scheme:
            found += places(other.hostname, other.port, port)
    return tuple(dict.fromkeys(found))


def _database(parameters: Parameters, options: LinkOptions, layout: Layout) -> int:
    path = "" if parameters.scheme == "redis+socket" else (parameters.virtual_host or "").strip("/")
    if path and not (path.isascii() and path.isdigit()):
        text = f"the path of a {parameters.scheme} URL is the number of a database, as in redis://host/0, not {path!r}"
        raise errors.make(errors.InvalidURL, text)
    if path and options.db is not None and options.db != int(path):
        text = f"the URL names database {path}, and the option 'db' {options.db}: give only one of them"
        raise errors.make(errors.InvalidArgument, text)
    number = int(path) if path else options.db or 0
    if layout is Layout.CLUSTER and number:
        raise errors.make(
            errors.InvalidURL, f"a cluster has database 0 alone, and the URL names {number}: leave it out"
        )
    return number


def _client_name(name: str | None) -> str | None:
    if name is not None and not all("!" <= letter <= "~" for letter in name):
        text = f"client_name is {name!r}; Redis takes printable ASCII letters without spaces"
        raise errors.make(errors.InvalidArgument, text)
    return name or None


def _sentinel(options: LinkOptions, tls: Tls | None, layout: Layout) -> SentinelSettings | None:
    if layout is not Layout.SENTINEL:
        _no_sentinel(options)
        return None
    if not options.master_name:
        text = "a sentinel URL needs the option 'master_name': whom the sentinels watch (SENTINEL MASTERS tells)"
        raise errors.make(errors.InvalidArgument, text)
    given = options.sentinel_kwargs or {}
    if not isinstance(given, Mapping) or given.keys() - {"username", "password", "ssl"}:
        text = "the option 'sentinel_kwargs' is a mapping which may have username, password and ssl, and nothing else"
        raise errors.make(errors.InvalidArgument, text)
    user = options.sentinel_username or given.get("username")
    secret = options.sentinel_password or given.get("password")
    own = options.sentinel_ssl if options.sentinel_ssl is not None else given.get("ssl")
    return SentinelSettings(
        master_name=options.master_name,
        credentials=credentials_from(None, user, secret, None),
        tls=tls if own is None else tls_from(_asked(own)),
    )


def _no_sentinel(options: LinkOptions) -> None:
    names = ("master_name", "sentinel_username", "sentinel_password", "sentinel_ssl", "sentinel_kwargs")
    given = [name for name in names if getattr(options, name) is not None]
    if given:
        text = f"the option {given[0]!r} belongs to sentinel:// URLs: leave it out, or name the sentinels"
        raise errors.make(errors.InvalidArgument, text)
