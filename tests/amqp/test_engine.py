"""Two engines joined by a fake link speak the whole protocol, and no bytes break one of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.events import Arrived, Called, Ended, Opened, Told
from dulse.amqp.methods import basic, confirm, connection, queue
from dulse.amqp.properties import content_header, encode
from dulse.amqp.sasl import Plain
from dulse.amqp.settings import Settings
from dulse.amqp.states import State
from tests.amqp.joined import PLAIN, guests_only, joined, settle, with_channel


@given(st.integers(1, 40))
def test_the_handshake_opens_both_sides_however_the_bytes_are_cut(size: int) -> None:
    client, server = Engine(), Engine(Settings(check=guests_only), server=True)
    seen = settle(client, server, size)
    assert seen == ([Opened(0)], [Opened(0)])
    assert (client.state, server.state) == (State.OPEN, State.OPEN)


def test_the_smaller_wish_wins() -> None:
    client, server = joined(channel_max=5, frame_max=8192, heartbeat=7)
    assert (client.channel_max, client.frame_max, client.heartbeat) == (5, 8192, 7)
    assert (server.channel_max, server.frame_max, server.heartbeat) == (5, 8192, 7)


def test_our_own_frame_maximum_wins_over_the_servers_wish() -> None:
    assert joined(frame_max=2**32 - 1)[0].frame_max == frames.LARGEST_MAXIMUM


def test_a_wrong_password_is_told_as_such() -> None:
    client, server = Engine(Settings([Plain("guest", "wrong")])), Engine(Settings(check=guests_only), server=True)
    settle(client, server)
    assert isinstance(client.error, errors.AuthenticationFailed)


def test_a_call_is_completed_by_its_reply() -> None:
    client, server = with_channel()
    expected = client.call(1, queue.Declare("q"))
    assert settle(client, server)[1] == [Called(1, queue.Declare("q"))]
    server.reply(1, queue.DeclareOk("q", 3, 0))
    settle(client, server)
    assert expected.result() == queue.DeclareOk("q", 3, 0)


@pytest.mark.parametrize("size", [0, 1, 5000, 300_000])
def test_a_message_arrives_whole_at_the_server_and_back(size: int) -> None:
    client, server = with_channel()
    body = random.Random(size).randbytes(size)
    client.publish(1, body, PLAIN, "e", "k")
    (arrived,) = settle(client, server, 999)[1]
    assert isinstance(arrived, Arrived)
    assert (arrived.content.method, arrived.content.body) == (basic.Publish("e", "k"), body)
    server.send_content(1, basic.Deliver("c", 9, False, "e", "k"), PLAIN, body)
    (back,) = settle(client, server, 999)[0]
    assert isinstance(back, Delivery)
    assert (back.delivery_tag, back.consumer_tag, back.exchange, back.routing_key) == (9, "c", "e", "k")
    assert (back.body, back.properties, back.redelivered) == (body, PLAIN, False)


def test_the_quick_ack_is_the_method() -> None:
    client, server = with_channel()
    client.ack(1, 258, multiple=True)
    client.ack(1, 259)
    assert settle(client, server)[1] == [Told(1, basic.Ack(258, multiple=True)), Told(1, basic.Ack(259))]


def test_confirms_are_told() -> None:
    client, server = with_channel()
    client.call(1, confirm.Select())
    settle(client, server)
    server.reply(1, confirm.SelectOk())
    server.call(1, basic.Ack(4, multiple=True))
    assert settle(client, server)[0][-1] == Told(1, basic.Ack(4, multiple=True))


def test_a_channel_the_broker_closes_fails_its_calls_and_leaves_the_others() -> None:
    client, server = with_channel()
    expected = client.call(1, queue.Declare("q", passive=True))
    settle(client, server)
    server.close_channel(1, 404, "NOT_FOUND - no queue 'q'", queue.Declare)
    ended = settle(client, server)[0][-1]
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, errors.NotFound)
    assert str(ended.error) == "queue.declare: (404) NOT_FOUND - no queue 'q'"
    assert expected.error is ended.error
    assert client.open_channel().channel == 1


def test_closing_completes_on_both_sides() -> None:
    client, server = with_channel()
    expected = client.close()
    settle(client, server)
    assert (expected.result(), client.state, server.state) == (connection.CloseOk(), State.CLOSED, State.CLOSED)


def test_a_channel_closed_by_both_at_once_is_closed_once() -> None:
    client, server = with_channel()
    both = client.close_channel(1), server.close_channel(1)
    settle(client, server)
    assert [each.done for each in both] == [True, True]
    assert (client.open_channel().channel, client.state) == (1, State.OPEN)


def test_a_closed_channel_is_refused_before_anything_is_written() -> None:
    client, _ = joined()
    with pytest.raises(errors.ChannelClosed, match="channel 1 is not open"):
        client.publish(1, b"", PLAIN, "", "k")
    assert client.data_to_send() == b""


def test_channel_0_takes_nothing_but_the_connections_methods() -> None:
    client, _ = joined()
    with pytest.raises(errors.InvalidArgument, match="channel 0"):
        client.publish(0, b"", PLAIN, "", "k")
    with pytest.raises(errors.InvalidArgument, match="channel 0"):
        client.call(0, queue.Declare("q"))
    assert client.data_to_send() == b""


def test_blocked_is_told_and_remembered() -> None:
    client, server = joined()
    server._write(0, connection.Blocked("low on memory"))
    assert settle(client, server)[0] == [Told(0, connection.Blocked("low on memory"))]
    assert client.blocked == "low on memory"


def test_a_secret_can_be_renewed() -> None:
    client, server = joined()
    expected = client.call(0, connection.UpdateSecret(b"new", "expired"))
    assert settle(client, server)[1] == [Called(0, connection.UpdateSecret(b"new", "expired"))]
    server._write(0, connection.UpdateSecretOk())
    settle(client, server)
    assert expected.done


def test_heartbeats_are_sent_and_missed_by_the_clock_that_is_given() -> None:
    client, _ = joined(heartbeat=10)
    assert (client.tick(0), client.data_to_send()) == ([], b"")
    assert (client.tick(5), client.data_to_send()) == ([], frames.HEARTBEAT_FRAME)
    (ended,) = client.tick(20)
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, errors.ConnectionLost)


def test_a_message_over_the_limit_closes_its_channel_only() -> None:
    client, server = with_channel()
    deliver = frames.frame(1, 1, basic.Deliver("c", 1).encode()) + frames.frame(
        2, 1, content_header(2**62, encode(PLAIN))
    )
    (ended,) = client.receive(deliver)
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, errors.ContentTooLarge)
    settle(client, server)
    assert (client.state, client.open_channel().channel) == (State.OPEN, 1)


@pytest.mark.parametrize(
    "data",
    [
        frames.frame(1, 5, basic.Ack(1).encode()),
        frames.frame(1, 1, basic.Ack(1).encode()[:7]),
        frames.frame(1, 1, queue.DeclareOk("q").encode()),
        frames.frame(1, 1, queue.Declare("q").encode()),
        frames.frame(2, 1, content_header(0, encode(PLAIN))),
        frames.frame(3, 1, b"body"),
        frames.frame(1, 1, connection.Unblocked().encode()),
        frames.frame(8, 1, b""),
    ],
)
def test_what_the_protocol_does_not_allow_ends_the_connection(data: bytes) -> None:
    client, _ = with_channel()
    expected = client.call(1, basic.Qos())
    with pytest.raises(errors.ProtocolError):
        client.receive(data)
    assert (client.state, isinstance(expected.error, errors.ProtocolError)) == (State.CLOSED, True)


def test_a_large_frame_that_comes_slowly_is_a_sign_of_life() -> None:
    client, server = joined(heartbeat=10)
    client.tick(0)
    client.open_channel()
    settle(client, server)
    server.send_content(1, basic.Deliver("c", 1), PLAIN, b"x" * 1000)
    data = server.data_to_send()
    client.receive(data[:900])
    client.tick(15)
    client.receive(data[900:950])
    assert client.tick(36) == []
