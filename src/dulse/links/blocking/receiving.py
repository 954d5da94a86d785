"""What comes in by a blocking link: reading, and giving each event to whom it concerns."""

from __future__ import annotations

from collections import deque
from functools import partial

from dulse import errors
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.events import Arrived, Ended, Event, Replied, Told
from dulse.amqp.life import Status
from dulse.amqp.messages import returned
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel, connection
from dulse.links.amqp_problems import described
from dulse.links.blocking.line import Call, Line
from dulse.links.blocking.port import Awaiting, Port
from dulse.links.blocking.stream import LONG_READ_SIZE, READ_SIZE, WOULD_BLOCK, Stream
from dulse.model.message import Returned
from dulse.model.not_taken import unroutable

_LONG = 16384
"""Bytes of a message that is long."""


def receive(line: Line) -> bool:
    """Read once without waiting, and hand out what came; True: something did. Only who leads may call it.

    Where the connection is broken, that is in the line's `failure`.
    """
    with line.lock:
        engine, stream = line.engine, line.stream
        if engine is None or stream is None or line.status is not Status.OPEN:
            return True
        line.inside = True
        try:
            was_behind, line.is_behind = line.is_behind, True
            if not _read(line, engine, stream) and not was_behind:
                line.is_behind = False
                return False
            line.reads += 1
            engine.take_in()
            hand_out(line, engine)
            line.is_behind = False
            return True
        except OSError as problem:  # a ProtocolError too
            engine.is_spoiled = isinstance(problem, errors.ProtocolError)
            line.failure = line.failure or problem
            return True
        finally:
            line.inside = False


def _read(line: Line, engine: Engine, stream: Stream) -> bool:
    size = LONG_READ_SIZE if engine.awaited > _LONG else READ_SIZE
    try:
        # One call of C code: what was read is kept, whatever interrupts us.
        engine.inbox.extend(map(stream.recv, (size,)))
    except WOULD_BLOCK:
        line.is_drained = not stream.tls
        return False
    if not engine.inbox[-1]:
        raise errors.make(errors.ConnectionLost, "the broker closed the connection without a word")
    # TLS gives one record at a time, and no poll knows what else it has decrypted.
    line.is_drained = len(engine.inbox[-1]) < size and not stream.tls
    return True


def hand_out(line: Line, engine: Engine) -> None:
    """Give each event to whom it concerns. May be cut off by an exception, and is then begun again."""
    fresh: list[Delivery | Call] = []
    ended: Exception | None = None
    for event in engine.events:
        if type(event) is Delivery:
            fresh.append(event)
        elif type(event) is Told and type(event.method) is basic.Ack:
            method = event.method
            port = line.ports.get(event.channel)
            if port is not None:  # else it was closed, and its publisher told
                port.confirm(method.delivery_tag, method.multiple)
        else:
            ended = _take(line, event, fresh) or ended
    ready = deque([*line.ready, *fresh]) if fresh else line.ready
    line.ready, engine.events = ready, []
    if fresh and line.beacon is not None:
        line.beacon.set()
    if engine.blocked is not None:
        line.spend()
    if ended is not None:
        line.failure = line.failure or ended


def _take(line: Line, event: Event, fresh: list[Delivery | Call]) -> Exception | None:
    """Take what is not as usual; gives what ended the connection."""
    if isinstance(event, Ended) and not event.channel:
        return event.error or errors.make(errors.ConnectionLost, "the connection was closed")
    if isinstance(event, Replied):
        if isinstance(event.expected.reply, basic.RecoverOk):
            _forget_ahead(line, event.channel, fresh)
        elif event.expected in line.abandoned:
            _give_back(line, event, fresh)
        return None
    if isinstance(event, Told) and not event.channel:
        _take_notice(line, event.method)
        return None
    port = line.ports.get(event.channel)
    if port is None:
        return None
    if isinstance(event, Told):
        _take_told(line, port, event.method, fresh)
    elif isinstance(event, Arrived):
        _take_returned(line, port, returned(event.content), fresh)
    elif isinstance(event, Ended) and event.error is not None:
        port.is_ready = port.is_listed = False
        line.endings.append((port, event.error))
    return None


def _take_notice(line: Line, method: Method) -> None:
    """Have it told that the broker takes no messages, or takes them again."""
    setup = line.setup
    if isinstance(method, connection.Blocked) and setup.on_blocked is not None:
        line.notices.append(partial(setup.on_blocked, method.reason))
    elif isinstance(method, connection.Unblocked) and setup.on_unblocked is not None:
        line.notices.append(setup.on_unblocked)


def _take_told(line: Line, port: Port, method: Method, fresh: list[Delivery | Call]) -> None:
    if isinstance(method, basic.Nack):
        port.refuse(method.delivery_tag, method.multiple)
    elif isinstance(method, basic.Cancel):
        line.remembered.cancel(port.number, method.consumer_tag)
        fresh.append(Call(port.end_consumer, method.consumer_tag))  # behind what it was given


def _take_returned(line: Line, port: Port, back: Returned, fresh: list[Delivery | Call]) -> None:
    """Give a message that no queue wanted to who waits for its confirm, which comes next."""
    for tag, token in sorted(port.window.tokens.items()):
        if isinstance(token, Awaiting) and token.problem is None and not token.is_left:
            sent = described(port.window.entries[tag - port.window.base])
            if (sent.body, sent.exchange, sent.routing_key) == (back.body, back.exchange, back.routing_key):
                token.problem = back
                return
    if port.on_returned is not None:
        fresh.append(Call(port.on_returned, back))
    else:  # the listener or the publisher has gone meanwhile
        line.problems.append((port, None, unroutable(back)))


def _forget_ahead(line: Line, number: int, fresh: list[Delivery | Call]) -> None:
    """Drop what was sent ahead on a channel: with all that is not settled it was put back, and comes again."""
    port = line.ports.get(number)
    if port is None:
        return

    def is_gone(event: Delivery | Call) -> bool:
        return isinstance(event, Delivery) and event.channel == number

    gone = [each for each in (*port.aside, *line.ready, *fresh) if isinstance(each, Delivery) and is_gone(each)]
    port.acks.settle_all(max([port.acks.newest, *(each.delivery_tag for each in gone)]))
    port.aside, line.ready = [], deque(each for each in line.ready if not is_gone(each))
    fresh[:] = [each for each in fresh if not is_gone(each)]


def _give_back(line: Line, event: Replied, fresh: list[Delivery | Call]) -> None:
    """Take back what the call wanted that this answers, and whose caller has gone."""
    expected = event.expected
    line.abandoned.remove(expected)
    reply, method, engine = expected.reply, expected.method, line.engine
    port = line.ports.get(event.channel)
    if isinstance(method, channel.Open) and port is None and engine is not None and reply is not None:
        engine.close_channel(event.channel)
    elif port is None:
        return
    elif isinstance(method, basic.Consume) and reply is None:
        port.consumers.pop(method.consumer_tag, None)
    elif isinstance(method, basic.Consume) and engine is not None:
        port.turn_away(method.consumer_tag)
        line.abandoned.append(engine.call(port.number, basic.Cancel(method.consumer_tag)))
    elif isinstance(method, basic.Cancel) and reply is not None:
        line.remembered.cancel(port.number, method.consumer_tag)
        fresh.append(Call(port.forget_consumer, method.consumer_tag))  # behind what it was given
    elif isinstance(method, basic.Get) and isinstance(reply, Delivery):
        _put_back(line, port, reply, no_ack=method.no_ack)


def _put_back(line: Line, port: Port, got: Delivery, *, no_ack: bool) -> None:
    port.acks.newest = max(port.acks.newest, got.delivery_tag)
    if no_ack:
        port.acks.skip(got.delivery_tag)
    else:
        port.acks.reject(got.delivery_tag, requeue=True, multiple=False)
        line.acked.append(port)
