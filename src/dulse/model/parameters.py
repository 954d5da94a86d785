"""Where a broker is and how to be let in: a URL, parsed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

from dulse import errors
from dulse.model.urls import as_url, check_port, url_to_parts

_FILE_TRANSPORTS = frozenset({"sqlite"})
"""Transports whose URL names a file, by the convention of `Parameters.file`."""

_TLS_PREFIX = "ssl_"
_CERTIFICATE_RULES = ("CERT_NONE", "CERT_OPTIONAL", "CERT_REQUIRED")


class _Parts(NamedTuple):
    """The parts of an address."""

    scheme: str
    """As given, in lower case: `amqp`, `sqla+postgresql`."""
    hostname: str | None
    """A name, an address (IPv6 without brackets), or several with their ports, separated by commas."""
    port: int | None
    userid: str | None
    password: str | None
    virtual_host: str | None
    """The path without its first slash: `/` for `amqp://host//`."""
    query: Mapping[str, str]
    """The options behind the `?`, but for those about TLS."""
    ssl: Mapping[str, str]
    """The options whose names begin with `ssl_`, without that: `{"cert_reqs": "CERT_NONE"}`."""


class Parameters(_Parts):
    """One broker's address and credentials.

    Absent parts are None; the transport fills in its own defaults. Neither `repr` nor `str` shows the password.
    Equal when all parts are.
    """

    __slots__ = ()

    def __new__(
        cls,
        scheme: str,
        hostname: str | None = None,
        port: int | None = None,
        userid: str | None = None,
        password: str | None = None,
        virtual_host: str | None = None,
        query: Mapping[str, str] | None = None,
        ssl: Mapping[str, str] | None = None,
    ) -> Self:
        """Check the port."""
        check_port(port)
        return super().__new__(cls, scheme, hostname, port, userid, password, virtual_host, query or {}, ssl or {})

    def __hash__(self) -> int:
        return hash(self[: len(self) - 2])

    def __repr__(self) -> str:
        return f"<Parameters {self.as_uri()}>"

    @property
    def transport(self) -> str:
        """The name of the transport: the scheme up to its first `+`."""
        return self.scheme.partition("+")[0]

    @property
    def uri_prefix(self) -> str | None:
        """What `sqla+postgresql://…` has before the `+`; None for a plain scheme."""
        prefix, plus, _ = self.scheme.partition("+")
        return prefix if plus else None

    @property
    def inner_url(self) -> str:
        """The URL behind the prefix, with password and query: `postgresql://…` of `sqla+postgresql://…`."""
        return self._url(self.scheme.partition("+")[2] or self.scheme)

    def file(self) -> str:
        """Give the file that the URL names, by SQLAlchemy's convention.

        `scheme:///relative/path` is relative to the working directory, `scheme:////absolute/path` is absolute.
        Raises InvalidURL for a URL that names a host or no file.
        """
        forms = f"{self.scheme}:///relative/file or {self.scheme}:////absolute/file"
        if self.hostname or self.port or self.userid or self.password:
            raise errors.make(errors.InvalidURL, f"A {self.scheme} URL names a file and no host or user: write {forms}")
        if not self.virtual_host:
            raise errors.make(errors.InvalidURL, f"The {self.scheme} URL names no file: write {forms}")
        if self.virtual_host == ":memory:":
            raise errors.make(
                errors.InvalidURL, "':memory:' is no file: a broker in memory is memory:// or memory://name"
            )
        return self.virtual_host

    def folder(self) -> str | None:
        """Give the folder that the URL names, if it names one.

        `scheme:///absolute/path` as in a file URL (RFC 8089), `scheme://./relative/path` from the working directory.
        """
        path = self.virtual_host
        if path in {None, "", "/"} or self.hostname not in {None, "localhost", "."}:
            return None
        return path if self.hostname == "." else f"/{path.lstrip('/')}"

    def as_uri(self, *, include_password: bool = False, mask: str = "**") -> str:
        """Give the URL again.

        With the password, `parse_url` of it equals these parameters. Without, `mask` stands for the password and the
        query, which may hold secrets too, is left out.
        """
        if include_password:
            return self._url(self.scheme)
        parts = (self.hostname, self.port, self.userid, self.password, self.virtual_host)
        return as_url(self.scheme, *parts, sanitize=True, mask=mask)

    def _url(self, scheme: str) -> str:
        query = {**self.query, **{_TLS_PREFIX + name: value for name, value in self.ssl.items()}}
        return as_url(scheme, self.hostname, self.port, self.userid, self.password, self.virtual_host, query)


def parse_url(url: str) -> Parameters:
    """Parse and check the URL of one broker.

    Raises InvalidURL, which says what to change and never shows any part of a password.
    """
    parts = url_to_parts(url)
    query = {name: value for name, value in parts.query.items() if not name.startswith(_TLS_PREFIX)}
    ssl = {
        name.removeprefix(_TLS_PREFIX): _certificate_rule(value) if name == "ssl_cert_reqs" else value
        for name, value in parts.query.items()
        if name.startswith(_TLS_PREFIX)
    }
    parameters = Parameters(*parts[:6], query=query, ssl=ssl)
    if parameters.transport in _FILE_TRANSPORTS:
        parameters.file()
    return parameters


def _certificate_rule(text: str) -> str:
    rule = text.upper() if text.upper().startswith("CERT_") else f"CERT_{text.upper()}"
    if rule not in _CERTIFICATE_RULES:
        choices = ", ".join(_CERTIFICATE_RULES)
        raise errors.make(errors.InvalidURL, f"ssl_cert_reqs is {text!r}; it must be one of {choices}")
    return rule
