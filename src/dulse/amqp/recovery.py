"""How a connection survives: what each event means in each state, and the steps by which everything comes back.

The table is the truth about a link with its channels in confirm mode; who owns the socket performs the actions, in
their order, and waits where it says so.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum, auto
from typing import NamedTuple

from dulse import errors
from dulse.amqp.confirms import Window
from dulse.amqp.messages import written_anew
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel
from dulse.amqp.remembered import Remembered


class LinkState(Enum):
    """Where a link stands, as a caller on one of its channels sees it."""

    CONNECTED = "connected"
    BACKPRESSURE = "takes nothing for now: unsent, full or blocked"
    RECHECKING = "the broker closed the channel: looking for the message it was about"
    RECONNECTING = "lost: connecting again"
    CLOSED = "closed"


class Happening(Enum):
    """What callers ask and what befalls a link."""

    PUBLISH = auto()
    ACK = auto()
    CALL = auto()
    BYTES = auto()
    FULL = auto()
    """The window has no room, or the socket takes no more."""
    ROOM = auto()
    """All is sent, the window has room, and the broker is not blocked."""
    BLOCKED = auto()
    LOST = auto()
    """End of the stream, a reset, or two heartbeats missed."""
    CHANNEL_CLOSED = auto()
    """The broker closed the channel, and messages on it are unconfirmed."""
    RECHECKED = auto()
    """Every message of the window is confirmed or has failed."""
    RESTORED = auto()
    """Connected again, with channels, topology and consumers."""
    INTERRUPTED = auto()
    """A foreign exception (of a signal handler) cut off a call of ours."""
    GAVE_UP = auto()
    CLOSE = auto()
    FORKED = auto()


class Action(Enum):
    """What the owner of the socket does."""

    SEND = "append it to the window and send it, in one critical section"
    WAIT = "wait for another state until the caller's deadline; then raise: certainly not sent"
    REQUEST = "send it behind what is unsent and wait for the reply"
    COLLECT = "collect it, or send it behind what is unsent; never wait"
    DROP = "drop it and report that: its tag died with the channel"
    RAISE = "raise that the link is closed"
    PARSE = "take the bytes in, apply all of it at once, wake who waits"
    NOTE = "keep it in mind for the state that follows"
    FORGET = "drop the socket, what waits to be sent, and acknowledgements; the windows stay"
    CONNECT = "connect to the next address, after a pause that grows"
    RENEW = "number the windows anew from 1, none of it sent"
    RESEND = "send the windows again, in order, before anything new"
    RECHECK = "open the channel again and send its window in trials"
    FAIL_TRIAL = "count the messages of this trial as refused together; one alone has failed; go on with the next trial"
    REPORT = "report what is unconfirmed, fail calls, wake who waits"
    SLOW = "let the next publish look at everything first"
    RESET = "new locks, empty windows; close the descriptor without a byte"
    LEAVE = "close what has just been connected"


class Transition(NamedTuple):
    """What follows from an event."""

    state: LinkState
    actions: tuple[Action, ...] = ()


def _row(
    happening: Happening, *cells: Transition | tuple[Action, ...]
) -> dict[tuple[Happening, LinkState], Transition]:
    """Put a row together; a cell without a state stays where it is."""
    return {
        (happening, state): cell if isinstance(cell, Transition) else Transition(state, cell)
        for state, cell in zip(LinkState, cells, strict=True)
    }


def _to(state: LinkState, *actions: Action) -> Transition:
    return Transition(state, actions)


_A, _S, _H = Action, LinkState, Happening
_LOST = _to(_S.RECONNECTING, _A.FORGET, _A.CONNECT)
_GONE = _to(_S.CLOSED, _A.FORGET, _A.REPORT)
_NEW = _to(_S.CLOSED, _A.RESET)

TABLE: dict[tuple[Happening, LinkState], Transition] = {
    # in the order of LinkState: CONNECTED, BACKPRESSURE, RECHECKING, RECONNECTING, CLOSED
    **_row(_H.PUBLISH, (_A.SEND,), (_A.WAIT,), (_A.WAIT,), (_A.WAIT,), (_A.RAISE,)),
    **_row(_H.ACK, (_A.COLLECT,), (_A.COLLECT,), (_A.DROP,), (_A.DROP,), (_A.RAISE,)),
    **_row(_H.CALL, (_A.REQUEST,), (_A.REQUEST,), (_A.WAIT,), (_A.WAIT,), (_A.RAISE,)),
    **_row(_H.BYTES, (_A.PARSE,), (_A.PARSE,), (_A.PARSE,), (), ()),
    **_row(_H.FULL, _to(_S.BACKPRESSURE), (), (), (), ()),
    **_row(_H.ROOM, (), _to(_S.CONNECTED), (), (), ()),
    **_row(_H.BLOCKED, _to(_S.BACKPRESSURE), (), (_A.NOTE,), (), ()),
    **_row(_H.LOST, _LOST, _LOST, _LOST, _LOST, ()),
    **_row(_H.CHANNEL_CLOSED, _to(_S.RECHECKING, _A.RECHECK), _to(_S.RECHECKING, _A.RECHECK), (_A.FAIL_TRIAL,), (), ()),
    **_row(_H.RECHECKED, (), (), _to(_S.CONNECTED), (), ()),
    **_row(_H.RESTORED, (), (), (), _to(_S.CONNECTED, _A.RENEW, _A.RESEND), (_A.LEAVE,)),
    **_row(_H.INTERRUPTED, (_A.SLOW,), (_A.SLOW,), (_A.SLOW,), _LOST, ()),
    **_row(_H.GAVE_UP, _GONE, _GONE, _GONE, _GONE, ()),
    **_row(_H.CLOSE, _GONE, _GONE, _GONE, _GONE, ()),
    **_row(_H.FORKED, _NEW, _NEW, _NEW, _NEW, _NEW),
}
"""Every event in every state."""


class Step(NamedTuple):
    """One request on the way back: a channel.open, a channel.close, or any call on an open channel."""

    channel: int
    method: Method


class NotRestored(NamedTuple):
    """Something that the broker refused to bring back."""

    channel: int
    """0 for topology."""
    method: Method
    """A basic.Consume: its consumer has ended."""
    error: Exception


Restoration = Generator[Step, Exception | None, list[NotRestored]]
"""Gives steps, is sent None for each that was answered and the error that closed its channel for one that was not."""


def restoration(remembered: Remembered) -> Restoration:
    """Go through the steps that make a new connection what the lost one was, one after the other.

    Raises the error of a step that is worth another connection later: the broker has not noticed yet that the last one
    is gone, and keeps what was exclusive to it.
    """
    refused: list[NotRestored] = []
    scratch = min(remembered.channels, default=1)
    if topology := remembered.topology():
        yield from _declare(scratch, topology, refused)
    for number, each in list(remembered.channels.items()):
        yield from _open(number, each.methods(), list(map(each.starts, each.consumers)), refused)
    return refused


def _declare(scratch: int, topology: list[Method], refused: list[NotRestored]) -> Generator[Step, Exception | None]:
    yield Step(scratch, channel.Open())
    for method in topology:
        error = yield Step(scratch, method)
        if error is not None:
            _raise_if_held(error)
            refused.append(NotRestored(0, method, error))
            yield Step(scratch, channel.Open())
    yield Step(scratch, channel.Close(200))


def _open(
    number: int, setup: list[Method], starts: list[list[Method]], refused: list[NotRestored]
) -> Generator[Step, Exception | None]:
    """Open a channel with its consumers; one that is refused closes it, so that it is done again without that one."""
    while True:
        yield Step(number, channel.Open())
        failed = None
        for group in (setup, *starts):
            failed = yield from _first_failure(number, group)
            if failed is not None:
                blamed = next((each for each in group if isinstance(each, basic.Consume)), failed.method)
                refused.append(failed._replace(method=blamed))
                starts = [each for each in starts if each is not group]
                break
        if failed is None or not isinstance(refused[-1].method, basic.Consume):
            return


def _first_failure(number: int, methods: list[Method]) -> Generator[Step, Exception | None, NotRestored | None]:
    for method in methods:
        error = yield Step(number, method)
        if error is not None:
            _raise_if_held(error)
            return NotRestored(number, method, error)
    return None


def _raise_if_held(error: Exception) -> None:
    if _is_held(error):
        raise error


def _is_held(error: Exception) -> bool:
    """Tell whether a connection that the broker believes alive, perhaps our dead one, has what we want."""
    if isinstance(error, errors.AccessRefused):
        return "in exclusive use" in error.text
    return isinstance(error, errors.ResourceLocked)


class Prospect(Enum):
    """What the end of a connection, or of an attempt to make one, means for the next attempt."""

    AGAIN = "the same may work later, or elsewhere"
    WITH_CARE = "one of the unconfirmed messages may be the reason: send them in trials"
    NEVER = "trying again does not mend it"


def prospect(error: Exception, *, was_open: bool) -> Prospect:
    """Judge an error by where it struck: in an open connection, or on the way to one."""
    retryable = bool(getattr(error, "retryable", False)) or not isinstance(error, errors.DulseError)
    if was_open:
        return Prospect.AGAIN if retryable else Prospect.WITH_CARE
    return Prospect.AGAIN if retryable or _is_held(error) else Prospect.NEVER


def renew(window: Window, number: int, frame_max: int, before: int) -> None:
    """Make a window begin again on a new connection: numbered from 1, none of it sent, in frames of its maximum."""
    waiting = window.unconfirmed()
    if frame_max < before:
        waiting = [each._replace(data=written_anew(each.data, number, frame_max)) for each in waiting]
    window.restart(waiting)
