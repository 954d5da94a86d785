"""What is told of messages that an AMQP broker did not take: errors that name them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dulse import errors
from dulse.amqp.delays import exchange_of, restored
from dulse.amqp.life import Status
from dulse.amqp.messages import read_written
from dulse.links.addresses import Place
from dulse.links.amqp_setup import LinkSetup
from dulse.model.message import Outgoing

_logger = logging.getLogger("dulse.links")

_MOST_NAMED = 10


def described(data: bytes) -> Outgoing:
    """Give the message that a Writer wrote, for an error to name it."""
    method, properties, body = read_written(data)
    exchange = exchange_of(properties, method.exchange)
    return Outgoing(body, restored(properties), exchange, method.routing_key, method.mandatory)


def named(out: Outgoing) -> str:
    """Name a message without showing what is in it."""
    return f"a message of {len(out.body)} bytes to exchange {out.exchange!r} with routing key {out.routing_key!r}"


def verdict(data: bytes, error: Exception | None) -> Exception:
    """Build the error for a message that failed alone: the broker's, naming the message; None: a basic.nack."""
    if error is None:
        return refusal(data)
    out = described(data)
    if isinstance(error, errors.ChannelError):
        return errors.make(type(error), f"{error.text}: {named(out)}", code=error.code, method=error.method)
    return errors.make(errors.Refused, f"the broker ended the connection over {named(out)}: {error}", message=out)


def refusal(data: bytes) -> Exception:
    """Build the error for a message that the broker refused by a basic.nack."""
    out = described(data)
    text = f"the broker refused {named(out)} (basic.nack): a queue is full and rejects, or could not store it"
    return errors.make(errors.Refused, text, message=out)


def unconfirmed(data: bytes, why: object) -> Exception:
    """Build the error for a message that was sent and of which nothing was heard."""
    out = described(data)
    text = f"{named(out)} was sent and not confirmed, and may have arrived: {why}"
    return errors.make(errors.Unconfirmed, text, message=out)


def no_connection(status: Status, why: Exception | None) -> Exception:
    """Build the error that says why nothing can be done on a link."""
    if status is Status.CLOSED or status is Status.NEW:
        return errors.make(errors.ConnectionClosed, f"the connection is {status.value}: connect")
    return errors.make(errors.ConnectionLost, f"the connection is lost: {why}")


def cut_short(place: Place, how: object) -> Exception:
    """Build the error for a connection that was ended before it was open."""
    text = f"{place} ended the connection during the handshake ({how}): is it an AMQP 0-9-1 port, and does it want TLS?"
    return errors.make(errors.ConnectionLost, text)


def no_channel(number: int, why: Exception | None) -> Exception:
    """Build the error for a channel that is used although it is closed: by the broker, which says why, or by us."""
    text = f"channel {number} was closed by this program: open another"
    if why is not None:
        text = f"channel {number} was closed by the broker: {why}: open another"
    return errors.make(errors.ChannelClosed, text, code=504)


def tell(setup: LinkSetup, data: bytes | None, problem: Exception) -> None:
    """Have it known that the broker did not take a message: in the log, and by the program's callback."""
    if data is None:
        _logger.error("a message was not taken: %s", problem)
        return
    out = described(data)
    _logger.error("%s was not taken: %s", named(out), problem)
    if setup.on_unconfirmed is None:
        return
    try:
        setup.on_unconfirmed(out, problem)
    except Exception:
        _logger.exception("on_unconfirmed failed for %s", named(out))


def raise_first(problems: Sequence[Exception]) -> None:
    """Raise the first of what befell messages that one call waits for, if any; it names the others."""
    if problems:
        for each in problems[1:_MOST_NAMED]:
            problems[0].add_note(f"and {each}")
        if len(problems) > _MOST_NAMED:
            problems[0].add_note(f"and {len(problems) - _MOST_NAMED} more messages")
        raise problems[0]
