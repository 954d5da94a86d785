"""Every error that dulse raises, by whose fault it is.

::

    DulseError
    ├── OperationalError            the broker or the way to it: try again later
    │   ├── ConnectionError         the connection (also builtins.ConnectionError)
    │   │   ├── ConnectionLost      it was open and broke
    │   │   │   └── Reconnecting    and another was not there yet when the call had to end
    │   │   ├── ConnectionRefused   nobody listens, or the host is unknown
    │   │   ├── AuthenticationFailed
    │   │   ├── VirtualHostRefused  unknown, or not for this user
    │   │   ├── CertificateInvalid  the broker's TLS certificate does not prove who it is
    │   │   ├── ProtocolError       the peer does not speak the protocol
    │   │   └── ConnectionClosed    used after close()
    │   ├── StorageError            the store behind a virtual transport
    │   │   ├── StorageFull         disk or quota
    │   │   ├── StorageReadOnly
    │   │   ├── StorageCorrupt      damaged, foreign, or of a newer version
    │   │   └── StorageBusy         a lock that was not given up in time
    │   ├── DeadlineExceeded        a call reached its deadline (also builtins.TimeoutError)
    │   ├── Blocked                 the broker takes no messages for now
    │   └── LeaseLost               a message was given to somebody else meanwhile
    ├── ChannelError                the broker refused one operation: carries AMQP's code
    │   ├── ContentTooLarge (311)   NoConsumers (313)      AccessRefused (403)
    │   ├── NotFound (404)          ResourceLocked (405)   PreconditionFailed (406)
    │   ├── ResourceError (506)     NotAllowed (530)       CommandInvalid (503)
    │   ├── ConsumerCancelled       the broker ended a consumer
    │   └── ChannelClosed           used after it was closed
    ├── PublishError                one message was not taken; `.message` names it
    │   ├── Unroutable (312)        mandatory, and no queue wanted it
    │   ├── Refused                 a queue is full and rejects
    │   └── Unconfirmed             sent, and the answer never came
    ├── SerializationError
    │   ├── EncodeError             the payload or a header cannot be written
    │   └── DecodeError             the body cannot be read
    ├── SerializerNotInstalled      its package is missing
    │   └── ContentDisallowed       not in `accept`
    ├── NotBoundError               an entity without a channel was asked to act
    ├── MessageStateError           acknowledged twice
    ├── LimitExceeded               a pool is empty (also builtins.TimeoutError where it waited)
    │   ├── ConnectionLimitExceeded
    │   └── ChannelLimitExceeded
    ├── InvalidArgument             a caller's mistake (also builtins.ValueError)
    │   ├── InvalidURL
    │   ├── UnknownTransport
    │   ├── UnknownOption
    │   └── MatcherNotInstalled
    └── NotSupported                this store cannot do it, and its documentation says so

Each class says in `retryable` whether the same call may succeed later without any change by the caller.
The library raises every error through `make`, so that `substitute` can put another package's
class (say, of a client that applications already catch) in the place of one of ours.
"""

from __future__ import annotations

import builtins
import queue
from typing import Any, ClassVar, TypeVar

Empty = queue.Empty


class DulseError(Exception):
    """Anything dulse raises."""

    retryable: ClassVar[bool] = False


class OperationalError(DulseError):
    """The broker, or the way to it, does not work at the moment."""

    retryable = True


class ConnectionError(OperationalError, builtins.ConnectionError):
    """The connection to the broker could not be opened or kept."""


class ConnectionLost(ConnectionError):
    """An open connection broke."""


class Reconnecting(ConnectionLost):
    """An open connection broke, and the one that takes its place was not there yet when the call had to end."""


class ConnectionRefused(ConnectionError):
    """Nobody answers at that address."""


class AuthenticationFailed(ConnectionError):
    """The broker does not accept these credentials."""

    retryable = False


class VirtualHostRefused(ConnectionError):
    """The broker has no such virtual host, or does not let this user in."""

    retryable = False


class CertificateInvalid(ConnectionError):
    """The broker's certificate has expired, is for another name, or is signed by nobody whom we trust."""

    retryable = False


class ProtocolError(ConnectionError):
    """The peer sent what the protocol does not allow."""

    retryable = False


class ConnectionClosed(ConnectionError):
    """A connection was used after it had been closed."""

    retryable = False


class StorageError(OperationalError):
    """The store behind a virtual transport failed."""


class StorageFull(StorageError):
    """The disk or the quota of the store is used up."""


class StorageReadOnly(StorageError):
    """The store can be read and not written."""

    retryable = False


class StorageCorrupt(StorageError):
    """The store is damaged, belongs to another program, or is of a newer version."""

    retryable = False


class StorageBusy(StorageError):
    """The store's lock was held by others for longer than we may wait."""


class DeadlineExceeded(OperationalError, builtins.TimeoutError):
    """A call reached its deadline before the event it waited for."""


class Blocked(OperationalError):
    """The broker takes no messages for now (an alarm), and the limit for waiting is over."""


class LeaseLost(OperationalError):
    """A message that was being worked on has been given to somebody else."""

    retryable = False


class ChannelError(DulseError):
    """The broker refused one operation, as AMQP 0-9-1 §1.1 numbers it.

    `code` is the reply code, `method` the operation, `text` the broker's words.
    """

    code: int = 541

    def __init__(self, text: str = "", *, code: int | None = None, method: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.method = method
        if code is not None:
            self.code = code

    @property
    def reply_code(self) -> int:
        """The reply code under the name that AMQP clients use."""
        return self.code

    @property
    def reply_text(self) -> str:
        """The broker's words under the name that AMQP clients use."""
        return self.text

    def __str__(self) -> str:
        """Read as ``operation: (code) text``."""
        return f"{self.method}: ({self.code}) {self.text}" if self.method else f"({self.code}) {self.text}"


class ContentTooLarge(ChannelError):
    """The message is larger than the broker takes."""

    code = 311


class NoConsumers(ChannelError):
    """Nobody could be given the message at once."""

    code = 313


class AccessRefused(ChannelError):
    """The operation is not allowed on that thing."""

    code = 403


class NotFound(ChannelError):
    """The exchange or queue does not exist."""

    code = 404


class ResourceLocked(ChannelError):
    """The queue belongs exclusively to another connection."""

    code = 405


class PreconditionFailed(ChannelError):
    """The thing exists with other properties, or its state does not allow the operation."""

    code = 406


class CommandInvalid(ChannelError):
    """The operation makes no sense to this broker, for instance an unknown exchange type."""

    code = 503


class ResourceError(ChannelError):
    """The broker ran out of something."""

    code = 506


class NotAllowed(ChannelError):
    """The operation is forbidden by a rule of the broker."""

    code = 530


class ConsumerCancelled(ChannelError):
    """The broker ended a consumer, as when its queue is deleted."""

    code = 404


class ChannelClosed(ChannelError):
    """A channel was used after it had been closed; the text says by whom and why."""

    code = 504


class PublishError(DulseError):
    """One message was not taken by the broker; `message` describes which."""

    def __init__(self, text: str = "", *, message: Any = None, code: int = 0) -> None:
        super().__init__(text)
        self.message = message
        self.code = code


class Unroutable(PublishError):
    """A mandatory message that no queue wanted (AMQP's basic.return, 312)."""


class Refused(PublishError):
    """A queue at its limit rejects what is published (AMQP's basic.nack)."""

    retryable = True


class Unconfirmed(PublishError):
    """A message was sent and the broker's answer to it never came."""

    retryable = True


class SerializationError(DulseError):
    """A payload could not be turned into bytes or back."""


class EncodeError(SerializationError):
    """A payload or a header cannot be written; the text names the path to the value."""


class DecodeError(SerializationError):
    """A body cannot be read; the text names its content type and what was wrong."""


class SerializerNotInstalled(DulseError):
    """The serializer or compression is unknown, or its package is not installed."""


class ContentDisallowed(SerializerNotInstalled):
    """The consumer does not accept this content type."""


class NotBoundError(DulseError):
    """An exchange or queue that is not bound to a channel was asked to act."""


class MessageStateError(DulseError):
    """A message was acknowledged, rejected or requeued a second time."""


class LimitExceeded(DulseError, builtins.TimeoutError):
    """A pool had nothing to give before the deadline."""

    retryable = True


class ConnectionLimitExceeded(LimitExceeded):
    """All connections of a pool are in use."""


class ChannelLimitExceeded(LimitExceeded):
    """All channels of a pool are in use."""


class InvalidArgument(DulseError, ValueError):
    """A caller's mistake; nothing was done."""


class InvalidURL(InvalidArgument):
    """A broker URL that cannot be understood."""


class UnknownTransport(InvalidArgument, KeyError):
    """No transport serves that URL scheme; the text names those that exist and the extra to install."""

    __str__ = Exception.__str__


class UnknownOption(InvalidArgument):
    """A transport option that this transport does not have; the text names the nearest."""


class MatcherNotInstalled(InvalidArgument):
    """No matcher is registered under that name; the text names those that are."""


class NotSupported(DulseError):
    """The store behind this transport cannot do it; the text cites its documentation."""


_Error = TypeVar("_Error", bound=DulseError)

_substitutes: dict[type[DulseError], type[DulseError]] = {}


def substitute(ours: type[_Error], theirs: type[_Error]) -> None:
    """Raise `theirs` wherever the library would raise `ours`, in this process.

    `theirs` is a subclass of `ours`, and of whatever else it is to be caught as: so the library's own handlers, and
    tuples such as `Connection.connection_errors`, catch it as well. It must take the arguments of `ours`. Meant for an
    alias of another package's names, whose users catch that package's classes. InvalidArgument: it is none.
    """
    if not issubclass(theirs, ours):
        text = f"{theirs.__name__} cannot stand for {ours.__name__}, as it is no subclass of it: derive it from both"
        raise make(InvalidArgument, text)
    _substitutes[ours] = theirs


def make(kind: type[DulseError], *args: Any, **kwargs: Any) -> Exception:
    """Build the error to raise for `kind`: ours, or what was put in its place."""
    return _substitutes.get(kind, kind)(*args, **kwargs)
