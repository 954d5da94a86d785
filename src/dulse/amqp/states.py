"""The life of connections and channels, as tables (AMQP 0-9-1 §2.2.4, §2.3.7, §4.9)."""

from __future__ import annotations

from enum import Enum

from dulse import errors
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel, connection


class State(Enum):
    """Where a connection stands, for either peer."""

    GREETING = "waits for the first bytes"
    LOGIN = "the credentials are on their way"
    TUNING = "the limits are on their way"
    OPENING = "the virtual host is on its way"
    OPEN = "open"
    CLOSING = "waits for close-ok"
    CLOSED = "closed"


class ChannelState(Enum):
    """Where a channel stands."""

    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


CLIENT_STEPS: dict[tuple[State, type[Method]], State] = {
    (State.GREETING, connection.Start): State.LOGIN,
    (State.LOGIN, connection.Secure): State.LOGIN,
    (State.LOGIN, connection.Tune): State.OPENING,
    (State.OPENING, connection.OpenOk): State.OPEN,
}
SERVER_STEPS: dict[tuple[State, type[Method]], State] = {
    (State.LOGIN, connection.StartOk): State.TUNING,
    (State.TUNING, connection.TuneOk): State.OPENING,
    (State.OPENING, connection.Open): State.OPEN,
}
"""What a peer may send while the connection opens, and what is reached by it."""

CLIENT_IS_TOLD = frozenset(
    {connection.Blocked, connection.Unblocked, basic.Ack, basic.Nack, basic.Cancel, channel.Flow}
)
CLIENT_CONTENTS = frozenset({basic.Deliver, basic.Return, basic.GetOk})
SERVER_CONTENTS = frozenset({basic.Publish})

ERRORS: dict[int, type[errors.DulseError]] = {
    311: errors.ContentTooLarge,
    313: errors.NoConsumers,
    403: errors.AccessRefused,
    404: errors.NotFound,
    405: errors.ResourceLocked,
    406: errors.PreconditionFailed,
    503: errors.CommandInvalid,
    506: errors.ResourceError,
    530: errors.NotAllowed,
}
LOST = frozenset({200, 320, 541})
"""Codes of a connection's end after which the same may work again: none, an operator's, an internal error."""


def close_error(close: connection.Close | channel.Close, asked: str, state: State, *, server: bool) -> Exception | None:
    """Build the error for the peer's close; `asked` is the operation it names, `state` where the connection stood.

    None: a client has simply finished.
    """
    code, text = close.reply_code, close.reply_text
    if server and code == 200:
        return None
    if isinstance(close, connection.Close):
        if code in LOST:
            return errors.make(errors.ConnectionLost, f"the broker closed the connection: ({code}) {text}")
        if code == 403 and state is not State.OPEN:
            return errors.make(errors.AuthenticationFailed, f"({code}) {text}; check user name and password")
        if code == 530 and state is not State.OPEN:
            advice = "make it, let this user in, or correct the last part of the URL"
            return errors.make(errors.VirtualHostRefused, f"({code}) {text}; {advice}")
        if code not in ERRORS:
            return errors.make(errors.ProtocolError, f"the broker closed the connection: ({code}) {text}")
    return errors.make(ERRORS.get(code, errors.ChannelError), text, code=code, method=asked)
