"""How a link and its channels live on: what each event means in each state, as tables.

They are the truth about reconnecting and sending again. Both links look up every such event here, take the new state,
and perform the actions in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from dulse import errors
from dulse.amqp.methods import basic


class Status(Enum):
    """Where a link stands."""

    NEW = "not open yet"
    OPEN = "open"
    BROKEN = "lost, and being replaced"
    LOST = "lost for good"
    CLOSED = "closed"


class Happening(Enum):
    """What befalls a link."""

    OPENED = "the first connection is made"
    LOST = "the connection has ended, and another is wanted"
    ENDED = "the connection has ended, and no other is wanted: goodbye was said, or reconnecting is switched off"
    REPLACED = "another connection is made, with all that was remembered"
    GAVE_UP = "no other connection can be made, or not in time"
    CLOSE = "the program lets go"
    FORKED = "this process is a child, and the connection its parent's"


class Action(Enum):
    """What the owner of the socket does for a link."""

    FORGET = "drop the socket, what waits to be sent, calls and acknowledgements; the windows stay"
    CONNECT = "connect to the next place, after a pause that grows"
    RESUME = "tell each channel that it is restored, and send"
    REPORT = "report what is unconfirmed"
    LEAVE = "close what has just been connected"
    RESET = "be as new; close the descriptor without a byte"


class Standing(Enum):
    """Where a channel stands."""

    IN_USE = "in use, or waiting for another connection"
    RECHECKING = "the unconfirmed messages go in trials, to find the one that the broker closes the channel for"
    SHUT = "closed for the program"


class Turn(Enum):
    """What befalls a channel."""

    BLAMED = "the broker has closed it for one of the messages that are unconfirmed"
    REFUSED = "the broker has closed it for something else that was asked"
    CUT = "the connection was lost, which tells nothing of its messages"
    SUSPECTED = "the broker has closed the connection, perhaps for one of the messages"
    RESTORED = "it is open again, on another connection"
    RECHECKED = "every message is confirmed, or has failed"
    ENDED = "the link is lost for good, or closed"


class Deed(Enum):
    """What the owner of the socket does for a channel."""

    RECHECK = "send the window again in trials, as soon as there is a channel"
    FAIL_TRIAL = "count this trial as refused; a message that was alone in it has failed"
    REPEAT_TRIAL = "send the rest of this trial again"
    GO_ON = "go on with the trials"
    SHUT = "be closed for the program, with the broker's reason"
    MOVE = "send the window again, in trials, on a channel of our own"
    RENEW = "number the window anew, none of it sent"
    RESEND = "send the window again, in order, before anything new"
    RELEASE = "let publishers go on"
    REPORT = "report what is unconfirmed"


class Transition(NamedTuple):
    """What follows from an event for a link."""

    status: Status
    actions: tuple[Action, ...] = ()


class Change(NamedTuple):
    """What follows from an event for a channel."""

    standing: Standing
    deeds: tuple[Deed, ...] = ()


_A, _D, _H, _S, _T = Action, Deed, Happening, Status, Turn
_USED, _RECHECKING, _SHUT = Standing.IN_USE, Standing.RECHECKING, Standing.SHUT


def _row(happening: Happening, *cells: Transition | tuple[Action, ...]) -> dict[tuple[Happening, Status], Transition]:
    """Put a row together; a cell without a state stays where it is."""
    return {
        (happening, status): cell if isinstance(cell, Transition) else Transition(status, cell)
        for status, cell in zip(Status, cells, strict=True)
    }


def _to(status: Status, *actions: Action) -> Transition:
    return Transition(status, actions)


_LEFT = (_A.LEAVE,)

LINK: dict[tuple[Happening, Status], Transition] = {
    # in the order of Status: NEW, OPEN, BROKEN, LOST, CLOSED
    **_row(_H.OPENED, _to(_S.OPEN), _LEFT, _LEFT, _LEFT, _LEFT),
    **_row(_H.LOST, (), _to(_S.BROKEN, _A.FORGET, _A.CONNECT), (), (), ()),
    **_row(_H.ENDED, (), _to(_S.LOST, _A.FORGET, _A.REPORT), (), (), ()),
    **_row(_H.REPLACED, _LEFT, _LEFT, _to(_S.OPEN, _A.RESUME), _LEFT, _LEFT),
    **_row(_H.GAVE_UP, (), (), _to(_S.LOST, _A.REPORT), (), ()),
    **_row(_H.CLOSE, _to(_S.CLOSED), *(3 * (_to(_S.CLOSED, _A.REPORT),)), ()),
    **_row(_H.FORKED, *(5 * (_to(_S.NEW, _A.RESET),))),
}
"""Every event of a link in every state."""

CHANNEL: dict[tuple[Turn, Standing], Change] = {
    (_T.BLAMED, _USED): Change(_RECHECKING, (_D.RECHECK,)),
    (_T.BLAMED, _RECHECKING): Change(_RECHECKING, (_D.FAIL_TRIAL,)),
    (_T.REFUSED, _USED): Change(_SHUT, (_D.SHUT, _D.MOVE)),
    (_T.REFUSED, _RECHECKING): Change(_RECHECKING, (_D.FAIL_TRIAL,)),
    (_T.CUT, _USED): Change(_USED),
    (_T.CUT, _RECHECKING): Change(_RECHECKING, (_D.REPEAT_TRIAL,)),
    (_T.SUSPECTED, _USED): Change(_RECHECKING, (_D.RECHECK,)),
    (_T.SUSPECTED, _RECHECKING): Change(_RECHECKING, (_D.FAIL_TRIAL,)),
    (_T.RESTORED, _USED): Change(_USED, (_D.RENEW, _D.RESEND, _D.RELEASE)),
    (_T.RESTORED, _RECHECKING): Change(_RECHECKING, (_D.GO_ON,)),
    (_T.RECHECKED, _USED): Change(_USED),
    (_T.RECHECKED, _RECHECKING): Change(_USED, (_D.RELEASE,)),
    (_T.ENDED, _USED): Change(_SHUT, (_D.REPORT, _D.SHUT)),
    (_T.ENDED, _RECHECKING): Change(_SHUT, (_D.REPORT, _D.SHUT)),
    **{(turn, _SHUT): Change(_SHUT) for turn in Turn},
}
"""Every event of a channel in every state."""


def closing(error: Exception, unconfirmed: int) -> Turn:
    """Tell what it means that the broker closed a channel on which so many messages are unconfirmed."""
    return Turn.BLAMED if unconfirmed and getattr(error, "method", "") == basic.Publish.name else Turn.REFUSED


def cutting(error: Exception, unconfirmed: int, *, spoiled: bool) -> Turn:
    """Tell what the end of a connection means for a channel on which so many messages are unconfirmed.

    What the broker closes it for may be a message's fault. Not so noise on the way, which `spoiled` tells of: what was
    read was no AMQP, and it is us who ended the connection.
    """
    return Turn.SUSPECTED if unconfirmed and not spoiled and not may_pass(error) else Turn.CUT


def may_pass(error: Exception) -> bool:
    """Tell whether the same may work later without any change."""
    return bool(getattr(error, "retryable", False)) or not isinstance(error, errors.DulseError)


def is_hopeless(error: Exception) -> bool:
    """Tell whether a broker that we were connected to, and that gives this answer now, will not let us in again.

    What is no AMQP is noise on the way, or a program that listens there while the broker is away.
    """
    return not (may_pass(error) or is_held(error) or isinstance(error, errors.ProtocolError))


def is_held(error: Exception) -> bool:
    """Tell whether a connection that the broker believes alive, perhaps our dead one, has what we want."""
    if isinstance(error, errors.AccessRefused):
        return "in exclusive use" in error.text
    return isinstance(error, errors.ResourceLocked)


def after_round(failures: Sequence[Exception], spent: float, limit: float | None) -> Happening | None:
    """Tell what it means that no place could be connected to, `spent` seconds after the loss; None: try again."""
    if all(map(is_hopeless, failures)) or (limit is not None and spent >= limit):
        return Happening.GAVE_UP
    return None
