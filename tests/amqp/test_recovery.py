"""The way back goes in the right order, whatever the broker refuses."""

from __future__ import annotations

import pytest

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.confirms import Unconfirmed, Window
from dulse.amqp.messages import Writer, read_written
from dulse.amqp.method import Method
from dulse.amqp.methods import basic, channel, confirm, queue
from dulse.amqp.recheck import Recheck
from dulse.amqp.recovery import NotRestored, Step, renew, restoration
from dulse.amqp.remembered import Remembered
from dulse.model.commands import BindQueue, DeclareQueue


def remembered() -> Remembered:
    found = Remembered()
    found.note(DeclareQueue("own", exclusive=True))
    found.note(BindQueue("own", "e", "k"))
    found.open_channel(3, confirms=True)
    found.open_channel(4, confirms=False)
    found.consume(3, basic.Consume("own", "a"))
    found.consume(3, basic.Consume("lasting", "b"))
    return found


def go_back(broken: dict[Method, Exception]) -> tuple[list[Step], list[NotRestored]]:
    """Run a restoration against a broker that refuses some methods; it checks what is open as RabbitMQ would."""
    taken: list[Step] = []
    opened: set[int] = set()
    steps = restoration(remembered())
    error: Exception | None = None
    while True:
        try:
            step = steps.send(error)
        except StopIteration as done:
            return taken, done.value
        taken.append(step)
        error = next((each for method, each in broken.items() if method == step.method), None)
        if isinstance(step.method, channel.Open):
            assert step.channel not in opened
            opened.add(step.channel)
        else:
            assert step.channel in opened
        if error is not None or isinstance(step.method, channel.Close):
            opened.discard(step.channel)


class Refusals(dict[Method, Exception]):
    """Methods cannot be hashed, and need not: a few are looked through."""

    def __init__(self, *pairs: tuple[Method, Exception]) -> None:
        super().__init__()
        self.pairs = pairs

    def items(self) -> tuple[tuple[Method, Exception], ...]:  # type: ignore[override]
        return self.pairs


DECLARE, BIND = queue.Declare("own", durable=True, exclusive=True), queue.Bind("own", "e", "k")
MISSING = errors.NotFound("NOT_FOUND - no queue 'own' in vhost '/'", code=404)


def test_topology_comes_first_then_channels_with_confirms_and_consumers() -> None:
    taken, refused = go_back(Refusals())
    assert refused == []
    assert taken == [
        Step(3, channel.Open()),
        Step(3, DECLARE),
        Step(3, BIND),
        Step(3, channel.Close(200)),
        Step(3, channel.Open()),
        Step(3, confirm.Select()),
        Step(3, basic.Consume("own", "a")),
        Step(3, basic.Consume("lasting", "b")),
        Step(4, channel.Open()),
    ]


def test_topology_comes_back_where_no_channel_is_open() -> None:
    found = Remembered()
    found.note(DeclareQueue("own", exclusive=True))
    assert list(restoration(found)) == [Step(1, channel.Open()), Step(1, DECLARE), Step(1, channel.Close(200))]
    assert list(restoration(Remembered())) == []


def test_a_binding_that_is_refused_is_told_and_the_rest_comes_back() -> None:
    taken, refused = go_back(Refusals((BIND, MISSING)))
    assert refused == [NotRestored(0, BIND, MISSING)]
    assert taken[-2] == Step(3, basic.Consume("lasting", "b"))


def test_a_consumer_that_is_refused_ends_and_those_beside_it_come_back() -> None:
    taken, refused = go_back(Refusals((basic.Consume("own", "a"), MISSING)))
    assert refused == [NotRestored(3, basic.Consume("own", "a"), MISSING)]
    assert taken[-4:] == [
        Step(3, channel.Open()),
        Step(3, confirm.Select()),
        Step(3, basic.Consume("lasting", "b")),
        Step(4, channel.Open()),
    ]


def test_a_channel_that_is_refused_is_told_and_left() -> None:
    broken = errors.CommandInvalid("no confirms here", code=503)
    _, refused = go_back(Refusals((confirm.Select(), broken)))
    assert refused == [NotRestored(3, confirm.Select(), broken)]


@pytest.mark.parametrize(
    ("method", "error"),
    [
        (DECLARE, errors.ResourceLocked("RESOURCE_LOCKED - cannot obtain exclusive access to locked queue", code=405)),
        (basic.Consume("own", "a"), errors.AccessRefused("ACCESS_REFUSED - queue 'own' in exclusive use", code=403)),
    ],
)
def test_what_the_dead_connection_still_holds_is_worth_another_attempt(method: Method, error: Exception) -> None:
    with pytest.raises(type(error)):
        go_back(Refusals((method, error)))


def test_a_window_begins_again_in_order_and_unsent() -> None:
    window, writer = Window(), Writer(1, 4096)
    window.entries.extend(writer.write(b"%d" % each, {}, "", "k") for each in range(5))
    window.sent.extend(map(len, window.entries))
    window.confirm(1, multiple=False)
    window.confirm(3, multiple=False)
    renew(window, None, 1, 4096, 4096)
    assert [read_written(each)[2] for each in window.entries] == [b"1", b"3", b"4"]
    assert (window.sent, window.base) == ([], 1)


def test_a_window_is_cut_into_smaller_frames_where_the_new_server_wants_them() -> None:
    window, body = Window(), bytes(range(256)) * 40
    window.entries.append(Writer(1, 131072).write(body, {"type": "t"}, "e", "k", mandatory=True))
    renew(window, None, 1, 4096, 131072)
    (data,) = window.entries
    method, properties, found = read_written(data)
    assert (method, properties, found) == (basic.Publish("e", "k", mandatory=True), {"type": "t"}, body)
    assert max(len(payload) + frames.OVERHEAD for _, _, payload in frames.read_frames(data)) == 4096


def test_a_recheck_goes_on_in_smaller_frames_where_the_new_server_wants_them() -> None:
    body = bytes(range(256)) * 40
    messages = [Unconfirmed(each, Writer(1, 131072).write(body, {}, "e", "k"), None) for each in (1, 2)]
    recheck = Recheck(messages, errors.NotFound("no exchange 'other'"))
    assert len(recheck.trial()) == 2
    recheck.confirm(1, multiple=False)
    recheck.lost()
    renew(Window(), recheck, 1, 4096, 131072)
    (left,) = recheck.trial()
    assert read_written(left.data)[2] == body
    assert max(len(payload) + frames.OVERHEAD for _, _, payload in frames.read_frames(left.data)) == 4096
