"""How a client says who it is: PLAIN, AMQPLAIN and EXTERNAL (AMQP 0-9-1 §2.2.4, RFC 4616)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dulse import errors
from dulse.amqp.tables import encode_table
from dulse.amqp.wire import utf8

Secret = str | Callable[[], str]
"""A password or token, or what gives the one that is valid now; asked once for each connection."""


@dataclass(frozen=True, slots=True)
class Plain:
    """User name and password as they are; also the way of OAuth 2 tokens in RabbitMQ."""

    user: str
    password: Secret
    name: str = "PLAIN"

    def __repr__(self) -> str:
        return f"Plain(user={self.user!r})"

    def response(self) -> bytes:
        """Give what start-ok carries; EncodeError: a NUL, which would end the name."""
        user, password = self.user, current(self.password)
        if "\0" in user + password:
            raise errors.make(errors.EncodeError, "the user name or password holds a NUL, which PLAIN cannot carry")
        return b"\0" + utf8(user, "the user name") + b"\0" + utf8(password, "the password")


@dataclass(frozen=True, slots=True)
class AMQPlain:
    """User name and password as an AMQP table, RabbitMQ's older form."""

    user: str
    password: Secret
    name: str = "AMQPLAIN"

    def __repr__(self) -> str:
        return f"AMQPlain(user={self.user!r})"

    def response(self) -> bytes:
        """Give what start-ok carries: a table without its length."""
        return encode_table({"LOGIN": self.user, "PASSWORD": current(self.password)}, "the credentials")[4:]


@dataclass(frozen=True, slots=True)
class External:
    """What the transport proves, in practice a TLS client certificate; `identity` asks for another name."""

    identity: str = ""
    name: str = "EXTERNAL"

    def response(self) -> bytes:
        """Give what start-ok carries."""
        return utf8(self.identity, "the identity")


Mechanism = Plain | AMQPlain | External


def current(secret: Secret) -> str:
    """Give a password, asking for it if it changes."""
    return secret() if callable(secret) else secret


def choose(wanted: Sequence[Mechanism], offered: bytes) -> Mechanism:
    """Take the first wanted mechanism of those a server offers; AuthenticationFailed names both if there is none."""
    names = offered.decode("ascii", "replace").split()
    for mechanism in wanted:
        if mechanism.name in names:
            return mechanism
    raise errors.make(
        errors.AuthenticationFailed,
        f"the server offers {', '.join(names) or 'no mechanism'} and we may use {', '.join(m.name for m in wanted)}: "
        "choose another login method, or enable one at the server",
    )
