"""Where a Connection leads: its parts as a user gave them, assignable, comparable, and shown without the password."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from dulse.drivers import find_driver
from dulse.model.mistakes import table
from dulse.model.parameters import Parameters, parse_url
from dulse.model.urls import split_urls
from dulse.policy.clocks import Clock, SystemClock
from dulse.policy.failover import failover, strategies
from dulse.transport import Driver, Observer, Settings

if TYPE_CHECKING:
    from dulse.model.options import SharedOptions

DEFAULT_TRANSPORT = "amqp"
DEFAULT_VIRTUAL_HOST = "/"
LOCALHOST = "localhost"

Password = str | Callable[[], str] | None
FailoverStrategy = str | Callable[[list[str]], Iterable[str]]


class EqualityKey(tuple[Any, ...]):
    """What makes two connections lead to the same place; shows none of it, as there is a password among it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<EqualityKey {hash(self):#x}>"


class BrokerAddress:
    """All that is known of a broker before anything is sent: the part of a Connection that never waits.

    The attributes may be assigned; what is open stays as it is, and the next connecting goes by them.
    """

    resolve_aliases: ClassVar[Mapping[str, str]] = MappingProxyType({"pyamqp": "amqp", "librabbitmq": "amqp"})
    failover_strategies: ClassVar[Mapping[str, Callable[..., Iterator[Any]]]] = strategies

    def __init__(
        self,
        hostname: str | Iterable[str] | None = LOCALHOST,
        userid: str | None = None,
        password: Password = None,
        virtual_host: str | None = None,
        port: int | None = None,
        insist: bool = False,
        ssl: bool | Mapping[str, Any] | None = False,
        transport: str | Driver | None = None,
        connect_timeout: float | None = 5,
        transport_options: Mapping[str, Any] | None = None,
        login_method: str | None = None,
        uri_prefix: str | None = None,
        heartbeat: float | None = 0,
        failover_strategy: FailoverStrategy | None = "round-robin",
        alternates: Iterable[str] | None = None,
        credential_provider: Any = None,
        *,
        observer: Observer | None = None,
        clock: Clock | None = None,
    ) -> None:
        from dulse.model.query_keywords import checked_times  # dataclasses and inspect, for whoever connects

        self.observer = observer
        self.clock: Clock = SystemClock() if clock is None else clock
        self.declared_entities: set[Any] = set()
        self.failover_strategy: FailoverStrategy = failover_strategy or "round-robin"
        connect_timeout, heartbeat = checked_times(connect_timeout, heartbeat)
        self._given: dict[str, Any] = {
            "userid": userid,
            "password": password,
            "virtual_host": virtual_host,
            "port": port,
            "insist": insist,
            "ssl": ssl,
            "transport": transport,
            "connect_timeout": connect_timeout,
            "transport_options": table("transport_options", transport_options),
            "login_method": login_method,
            "uri_prefix": uri_prefix,
            "heartbeat": heartbeat,
            "credential_provider": credential_provider,
        }
        places = [] if hostname is None else split_urls(hostname)
        self.alt = _alternates(places, split_urls(alternates) if alternates else [])
        self.cycle = failover(self.failover_strategy, self.alt, random) if self.alt else None
        first = next(self.cycle) if self.cycle is not None else None
        self._lead_to(first if len(places) > 1 else next(iter(places), None))
        self.check()
        self._begin()

    def _begin(self) -> None:
        """Set up what a subclass keeps; called at the end of the constructor."""

    # -------------------------------------------------------------------------------------------- parts

    def _lead_to(self, place: str | None) -> None:
        """Take over the parts of a URL or host name; what it leaves open is as given to the constructor."""
        self._place = place
        parts = {**self._given, "hostname": place}
        if place is not None and "://" in place:
            parts.update(_parts_of_url(place, self._given))
        elif place is not None and place.count(":") == 1:
            # A port behind a bare host name is read as in a URL.
            bare = parse_url(f"{DEFAULT_TRANSPORT}://{place}")
            parts.update(hostname=bare.hostname, port=bare.port or self._given["port"])
        self.hostname: str | None = parts["hostname"]
        self.userid: str | None = parts["userid"]
        self.password: Password = parts["password"]
        self._virtual_host: str | None = parts["virtual_host"]
        self.port: int | None = parts["port"]
        self.insist: bool = parts["insist"]
        self.ssl: bool | Mapping[str, Any] | None = parts["ssl"]
        self.transport_cls: str | Driver = parts["transport"] or DEFAULT_TRANSPORT
        self.connect_timeout: float | None = parts["connect_timeout"]
        self.transport_options: dict[str, Any] = dict(parts["transport_options"])
        self.login_method: str | None = parts["login_method"]
        self.uri_prefix: str | None = parts["uri_prefix"]
        self.heartbeat: float | None = parts["heartbeat"] and float(parts["heartbeat"])
        self.credential_provider: Any = parts["credential_provider"]

    @property
    def virtual_host(self) -> str:
        """The virtual host; `/` where none was given."""
        return self._virtual_host or DEFAULT_VIRTUAL_HOST

    @virtual_host.setter
    def virtual_host(self, name: str | None) -> None:
        self._virtual_host = name

    @property
    def host(self) -> str:
        """Host and port, separated by a colon."""
        return f"{self.hostname}:{self.port}"

    @property
    def driver(self) -> Driver:
        """Who serves the transport's name; raises UnknownTransport."""
        return _driver(self.transport_cls)

    # ------------------------------------------------------------------------------------------- driver

    def settings(self) -> Settings:
        """Put together what a driver needs to open a transport; a password that is a callable is called."""
        return self._settings(self.parameters())

    def _settings(self, parameters: Parameters) -> Settings:
        driver = self.driver
        options = dict(self.transport_options)
        if self.ssl:
            options["ssl"] = self.ssl
        if self.credential_provider is not None:
            options["credential_provider"] = self.credential_provider
        if driver.heartbeats and self.heartbeat:
            options["heartbeat"] = self.heartbeat
        if driver.default_port is not None and self.login_method is not None:
            options["login_method"] = self.login_method
        secret = self.password if callable(self.password) else None
        places = (parameters, *self._other_places(parameters.password))
        return Settings(parameters, options, self.clock, observer=self.observer, places=places, password=secret)

    def _other_places(self, password: str | None) -> Iterator[Parameters]:
        """Give the alternates that the same driver serves, those that come next first."""
        at = self.alt.index(self._place) if self._place in self.alt else -1
        for place in [*self.alt[at + 1 :], *self.alt[: max(at, 0)]]:
            other = object.__new__(BrokerAddress)
            other.__dict__.update(self.__dict__)
            other._lead_to(place)
            if other.driver is self.driver:
                yield other._parameters(password if callable(other.password) else other.password)

    def parameters(self) -> Parameters:
        """Give the address as a driver understands it; a password that is a callable is called."""
        return self._parameters(self.password() if callable(self.password) else self.password)

    def _parameters(self, password: str | None) -> Parameters:
        if self.uri_prefix and self.hostname and "://" in self.hostname:
            return parse_url(f"{self.uri_prefix}+{self.hostname}")
        # Where nothing listens on a port, "localhost" is no more than the default of the constructor.
        nowhere = self.hostname == LOCALHOST and self.driver.default_port is None
        return Parameters(
            self._transport_name(),
            hostname=None if nowhere else self.hostname,
            port=self.port,
            userid=self.userid,
            password=password,
            virtual_host=None if self._virtual_host == DEFAULT_VIRTUAL_HOST else self._virtual_host,
        )

    def _transport_name(self) -> str:
        return self.transport_cls.name if isinstance(self.transport_cls, Driver) else self.transport_cls

    def check(self) -> None:
        """Find the driver and have it check the settings; opens nothing.

        Raises UnknownTransport, UnknownOption, InvalidArgument or InvalidURL.
        """
        for place in self.alt:
            if "://" in place:
                _driver(self._given["transport"] or parse_url(place).transport)
        self.driver.open_asyncio(self._settings(self._parameters(None if callable(self.password) else self.password)))

    def retry_options(self) -> SharedOptions:
        """Give the transport options that say how to keep trying to connect."""
        from dulse.model.query_keywords import retry_options  # likewise

        return retry_options(self.transport_options)

    # ----------------------------------------------------------------------------------------- describe

    def info(self) -> dict[str, Any]:
        """Describe the connection by the keywords that make another one, in the constructor's order.

        Holds the password. Defaults are filled in, and `transport` is a name.
        """
        transport = self._transport_name()
        return {
            **self._keywords(),
            "virtual_host": self.virtual_host,
            "port": self.port or self.driver.default_port,
            "transport": self.resolve_aliases.get(transport, transport),
        }

    def _keywords(self) -> dict[str, Any]:
        """Give the keywords of an equal connection, in the constructor's order."""
        prefixed = self.uri_prefix and self.hostname
        return {
            "hostname": f"{self.uri_prefix}+{self.hostname}" if prefixed else self.hostname,
            "userid": self.userid,
            "password": self.password,
            "virtual_host": self._virtual_host,
            "port": self.port,
            "insist": self.insist,
            "ssl": self.ssl,
            "transport": self.transport_cls,
            "connect_timeout": self.connect_timeout,
            "transport_options": self.transport_options,
            "login_method": self.login_method,
            "uri_prefix": self.uri_prefix,
            "heartbeat": self.heartbeat,
            "failover_strategy": self.failover_strategy,
            "alternates": self.alt,
            "credential_provider": self.credential_provider,
        }

    def as_uri(self, include_password: bool = False, mask: str = "**") -> str:
        """Give the connection's URL; unless `include_password`, with `mask` for the password and without the query."""
        known = self.parameters() if include_password else self._parameters(mask if self.password else None)
        return known.as_uri(include_password=include_password, mask=mask)

    def __eqhash__(self) -> EqualityKey:
        """Give a key that is equal for connections which may share a pool."""
        return EqualityKey(
            (
                self._transport_name(),
                self.hostname,
                self.userid,
                self.password,
                self.virtual_host,
                self.port,
                repr(sorted(self.transport_options.items())),
                repr(self.ssl),
                id(self.observer),
                None if isinstance(self.clock, SystemClock) else id(self.clock),
            )
        )


def _driver(transport: str | Driver) -> Driver:
    return transport if isinstance(transport, Driver) else find_driver(transport)


def _alternates(places: list[str], others: list[str]) -> list[str]:
    """Give all places to take turns, the first one included; none if there is only one."""
    if len(places) == 1 and others and "://" in places[0] and places[0] not in others:
        return [*places, *others]
    return [*(places if len(places) > 1 else []), *others]


def _parts_of_url(url: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parts that a URL names, and the options of its query."""
    from dulse.model.query_keywords import split_query  # likewise

    parameters = parse_url(url)
    keywords, options = split_query(parameters.query)
    parts: dict[str, Any] = {"transport": given["transport"] or parameters.transport}
    if parameters.uri_prefix:
        # The query belongs to the URL behind the prefix.
        return {**parts, "uri_prefix": parameters.uri_prefix, "hostname": parameters.inner_url}
    parts |= keywords
    parts["transport_options"] = {**given["transport_options"], **options}
    if parameters.ssl:
        parts["ssl"] = {**(given["ssl"] if isinstance(given["ssl"], Mapping) else {}), **parameters.ssl}
    named = {
        "userid": parameters.userid,
        "password": parameters.password,
        "virtual_host": parameters.virtual_host,
        "port": parameters.port,
    }
    return {
        **parts,
        **{name: value for name, value in named.items() if value is not None},
        "hostname": parameters.hostname,
    }
