"""What goes out of a blocking link: pushing what is waiting, and deciding how much may be published.

All functions are called under the line's lock, with `inside` set.
"""

from __future__ import annotations

from collections.abc import Sequence

from dulse.amqp.confirms import COST
from dulse.amqp.life import Status
from dulse.links.blocking.line import Line
from dulse.links.blocking.port import Port
from dulse.links.blocking.stream import WOULD_BLOCK

_GRANT = 262144
"""Bytes that are published the short way before the confirms are looked at; what follows may allow more."""

_GRANT_UNASKED = 4194304
"""The same where nobody confirms."""

_FEWEST = 16
"""Large messages that are published the short way all the same."""


def push(line: Line) -> bool:
    """Send all that is waiting, as far as the socket takes it now; True: nothing is left.

    In this order: what was begun; messages nobody has sent; other frames, which alone go while the broker blocks.
    All progress is kept by C code, so it may be interrupted anywhere and called again. Where the connection is broken,
    that is in the line's `failure`.
    """
    engine = line.engine
    if line.status is not Status.OPEN or engine is None:
        return False
    write_acks(line)
    line.gather()
    try:
        if line.tail_sent:
            _push_tail(line)
        if line.stuck is not None:
            _push_window(line, line.stuck, only_begun=False)
            line.stuck = None
        for port in line.ports.values():
            if port.late and port.is_ready:
                adopt_late(port)
            waits = engine.blocked is not None or port.is_held or not engine.is_channel_open(port.number)
            _push_window(line, port, only_begun=waits)
        if line.tail:
            _push_tail(line)
    except WOULD_BLOCK:
        return False
    except OSError as problem:
        line.failure = line.failure or problem
        return False
    return not has_unsent(line)


def has_unsent(line: Line) -> bool:
    """Tell whether something is waiting to be sent."""
    if line.tail or (line.engine is not None and line.engine.out):
        return True
    return any(each.late or not each.is_sent(each.window.last) for each in line.ports.values())


def write_acks(line: Line) -> None:
    """Put the acknowledgements that were collected behind what is waiting to be sent."""
    while line.acked:
        port = line.acked[-1]
        port.acks.collect()
        # One statement without a call: no frame is lost or doubled.
        port.has_settled = True
        tail = [*line.tail, *port.acks.out]
        line.tail, port.acks.out = tail, []
        port.is_listed = False
        line.acked.pop()


def _push_tail(line: Line) -> None:
    data = b"".join(line.tail)
    done = sum(line.tail_sent)
    _note_speech(line)
    while done < len(data):
        line.tail_sent.extend(map(line.send, (data[done:],)))
        done = sum(line.tail_sent)
    line.tail, line.tail_sent = [], []


def _push_window(line: Line, port: Port, *, only_begun: bool) -> None:
    """Send what is left of the message that was begun, and those behind it."""
    window = port.window
    while True:
        window.take_row()
        rest = window.remainder()
        while rest:
            line.stuck = port
            window.extra.extend(map(line.send, (rest,)))
            rest = window.remainder()
        line.stuck = None
        if only_begun:
            return
        row = window.begin_row()
        if row:
            _note_speech(line)
            line.stuck = port
            window.given.extend(map(line.send, (row,)))
            continue
        data = window.begin_next()
        if data is None:
            return
        _note_speech(line)
        line.stuck = port
        window.sent.extend(map(line.send, (data,)))


def _note_speech(line: Line) -> None:
    if line.engine is not None:
        line.engine.has_spoken = True  # only where something is sent: a peer that hears nothing ends the connection


def finish_begun(line: Line, port: Port) -> None:
    """Have what was begun of a window sent to its end, before all else, though the window is about to be emptied.

    The peer waits for the rest of the frames, whatever has become of the channel.
    """
    window = port.window
    tls = line.stream is not None and line.stream.tls
    rest, sent = window.begun(tried=tls and line.stuck is port)
    if rest:
        tail, extra = [rest, *line.tail], list[int]()
        line.tail, line.tail_sent, window.sent, window.extra, window.row = tail, [0], sent, extra, b""
    if line.stuck is port:
        line.stuck = None


def adopt_late(port: Port) -> None:
    """Take the messages of nested calls into the window."""
    try:
        # One call of C code, so nothing is lost or doubled however often it is interrupted.
        port.window.entries.extend(iter(port.late.popleft, None))
    except IndexError:
        return


def forget_sent(line: Line) -> None:
    """Let go of messages that nobody confirms, once they are sent."""
    for port in line.ports.values():
        window = port.window
        if not port.confirms and window.sent:
            done = window.base + len(window.sent) - (1 if window.is_whole() else 2)
            if done >= window.base:
                window.confirm(done, multiple=True)


def has_room(line: Line, size: int) -> bool:
    """Tell whether the windows take another message of this size; one over the limit fits when they are empty.

    Windows that were full take no more before a quarter is free: one wake-up for many messages.
    """
    setup = line.setup
    messages, held = _stock(line)
    if not messages:
        line.is_full = False
        return True
    free, slots = setup.window_bytes - held, setup.window_messages - messages
    if line.is_full:
        line.is_full = free < setup.window_bytes // 4 or slots < max(1, setup.window_messages // 4)
    line.is_full = line.is_full or free < size + COST or slots < 1
    return not line.is_full


def fitting(line: Line, messages: Sequence[bytes]) -> int:
    """Tell how many of these messages the windows take now, from the first on."""
    if line.is_full:
        return 0
    count, held = _stock(line)
    free = line.setup.window_bytes - held
    fit = 0
    for data in messages[: max(0, line.setup.window_messages - count)]:
        free -= len(data) + COST
        if free < 0:
            break
        fit += 1
    return fit


def grant(line: Line, size: int) -> None:
    """Let messages of about this size go the short way, as many as the windows take."""
    engine = line.engine
    line.spend()
    if line.status is not Status.OPEN or engine is None or engine.blocked is not None or line.is_full:
        return
    setup = line.setup
    messages, held = _stock(line)
    most = max(_GRANT if setup.confirms else _GRANT_UNASKED, _FEWEST * (size + COST))
    room = min(most, setup.window_bytes - held, (setup.window_messages - messages) * (size + COST))
    if room > 0:
        line.room = room


def _stock(line: Line) -> tuple[int, int]:
    """Count the messages in all windows, and their bytes."""
    messages = held = 0
    for port in line.ports.values():
        if port.window.entries:
            messages += len(port.window.entries)
            held += port.window.weigh()
    return messages, held
