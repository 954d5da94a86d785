"""RabbitMQ's extensions, limits and refusals, between a client and a server."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.amqp import frames
from dulse.amqp.delivery import Delivery
from dulse.amqp.engine import Engine
from dulse.amqp.events import Arrived, Called, Ended, Replied, Told
from dulse.amqp.methods import basic, connection, queue
from dulse.amqp.properties import content_header, encode
from dulse.amqp.sasl import AMQPlain, External, Plain
from dulse.amqp.settings import Settings
from dulse.amqp.states import State
from tests.amqp.joined import PLAIN, guests_only, joined, settle, with_channel


def told(client: Engine, server: Engine, number: int, method: Any) -> Any:
    server.out.append(frames.method_frame(number, method.encode(), 4096))
    return settle(client, server)[0]


def logging_in() -> tuple[Engine, Engine]:
    """A client whose credentials are on their way."""
    client, server = Engine(), Engine(Settings(check=guests_only), server=True)
    server.receive(client.data_to_send())
    client.receive(server.data_to_send())
    return client, server


# ---------------------------------------------------------------------------------------------------------- login


def test_a_second_question_at_login_is_refused_in_words() -> None:
    client, _ = logging_in()
    client.data_to_send()
    (ended,) = client.receive(frames.method_frame(0, connection.Secure(b"and your pet's name?").encode(), 4096))
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, errors.AuthenticationFailed)
    assert "second question" in str(ended.error)


def test_a_refused_login_is_told_by_a_close_and_the_text_gives_no_password_away() -> None:
    client = Engine(Settings([Plain("guest", "hunter2")]))
    server = Engine(Settings(check=guests_only), server=True)
    settle(client, server)
    assert isinstance(client.error, errors.AuthenticationFailed)
    assert "check user name and password" in str(client.error)
    assert "hunter2" not in repr(client) + str(client.error) + str(server.error) + repr(client.settings)


def test_the_client_tells_the_server_that_it_understands_a_close_at_login() -> None:
    _, server = joined()
    capabilities: Any = server.peer_properties["capabilities"]
    wanted = {"authentication_failure_close", "consumer_cancel_notify", "connection.blocked", "publisher_confirms"}
    assert {name for name, value in capabilities.items() if value} >= wanted


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [
        (Plain("guest", lambda: "secret of now"), b"\0guest\0secret of now"),
        (AMQPlain("guest", "guest"), b"\x05LOGINS\x00\x00\x00\x05guest\x08PASSWORDS\x00\x00\x00\x05guest"),
        (External("me"), b"me"),
    ],
)
def test_each_mechanism_says_who_it_is(mechanism: Any, response: bytes) -> None:
    heard: list[tuple[str, bytes]] = []

    def check(name: str, given: bytes) -> bool:
        heard.append((name, given))
        return True

    client = Engine(Settings([mechanism]))
    settle(client, Engine(Settings(check=check), server=True))
    assert (client.state, heard) == (State.OPEN, [(mechanism.name, response)])


def test_a_server_that_offers_no_mechanism_of_ours_is_named_as_such() -> None:
    client = Engine(Settings([External()]))
    client.data_to_send()
    start = connection.Start(mechanisms=b"PLAIN RABBIT-CR-DEMO")
    (ended,) = client.receive(frames.method_frame(0, start.encode(), 4096))
    assert isinstance(ended, Ended)
    assert "offers PLAIN, RABBIT-CR-DEMO and we may use EXTERNAL" in str(ended.error)


def test_a_missing_virtual_host_is_told_with_the_brokers_words() -> None:
    client, server = logging_in()
    server.receive(client.data_to_send())
    client.receive(server.data_to_send())
    client.data_to_send()
    close = connection.Close(530, "NOT_ALLOWED - vhost nowhere not found", 10, 40)
    *_, ended = client.receive(frames.method_frame(0, close.encode(), 4096))
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, errors.VirtualHostRefused)
    assert "vhost nowhere not found" in str(ended.error)


# ------------------------------------------------------------------------------------------------ wrong protocols


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"AMQP\x00\x01\x00\x00", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_a_server_answers_another_protocol_with_its_own_header_and_ends(first: bytes) -> None:
    server = Engine(server=True)
    with pytest.raises(errors.ProtocolError, match="began with"):
        server.receive(first)
    assert (server.data_to_send(), server.closed) == (frames.PROTOCOL_HEADER, True)


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"AMQP\x03\x01\x00\x00", "another protocol"),
        (b"HTTP/1.1 400 Bad Request\r\n", "does the peer speak AMQP 0-9-1, and without TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "without TLS"),
        (b"220 mail.example.org ESMTP\r\n", "frame of type 50"),
        (b"-ERR wrong number of arguments\r\n", "frame of type 45"),
    ],
)
def test_a_client_says_that_the_server_is_none_of_amqp(first: bytes, words: str) -> None:
    with pytest.raises(errors.ProtocolError, match=words):
        Engine().receive(first)


def test_a_server_of_another_version_is_refused() -> None:
    with pytest.raises(errors.ProtocolError, match="speaks AMQP 0-8"):
        Engine().receive(frames.method_frame(0, connection.Start(0, 8, mechanisms=b"PLAIN").encode(), 4096))


# --------------------------------------------------------------------------------------------------------- limits


def test_when_all_channels_are_open_the_next_is_refused_until_one_is_closed() -> None:
    client, server = joined(channel_max=2)
    client.open_channel()
    client.open_channel()
    settle(client, server)
    with pytest.raises(errors.ChannelLimitExceeded, match="all 2 channels are open"):
        client.open_channel()
    client.close_channel(1)
    settle(client, server)
    assert client.open_channel().channel == 1


@pytest.mark.parametrize("number", [3, 1])
def test_a_channel_over_the_limit_or_open_already_cannot_be_asked_for(number: int) -> None:
    client, _ = with_channel(channel_max=2)
    with pytest.raises(errors.ChannelLimitExceeded, match=f"channel {number} is open already, or over the limit of 2"):
        client.open_channel(number)


def test_a_channel_can_be_opened_by_its_number() -> None:
    client, server = joined()
    assert client.open_channel(7).channel == 7
    settle(client, server)
    assert client.open_channel().channel == 1


def test_a_client_that_opens_more_channels_than_agreed_breaks_the_protocol() -> None:
    client, server = joined(channel_max=2)
    client.channel_max = 9
    client.open_channel(3)
    with pytest.raises(errors.ProtocolError, match="channel 3, and 2 are allowed"):
        settle(client, server)


@pytest.mark.parametrize(
    ("ours", "theirs", "agreed"), [(8192, 131072, 8192), (131072, 0, 131072), (0, 1 << 31, 131072)]
)
def test_our_own_frame_maximum_wins(ours: int, theirs: int, agreed: int) -> None:
    client = Engine(Settings(frame_max=ours))
    settle(client, Engine(Settings(check=guests_only, frame_max=theirs), server=True))
    assert client.frame_max == agreed
    with pytest.raises(errors.ProtocolError, match=f"a frame of {agreed + 1} bytes was announced"):
        client.receive(b"\x03\x00\x01" + (agreed + 1 - frames.OVERHEAD).to_bytes(4, "big"))


def test_a_server_that_tunes_frames_below_the_smallest_is_refused() -> None:
    client, _ = logging_in()
    with pytest.raises(errors.ProtocolError, match="a frame maximum of 1,"):
        client.receive(frames.method_frame(0, connection.Tune(0, 1, 0).encode(), 4096))


def test_messages_of_128_mib_are_taken_by_default_and_no_larger_ones() -> None:
    assert Settings().message_max == 128 * 1024 * 1024


@pytest.mark.parametrize(("size", "taken"), [(1000, True), (1001, False)])
def test_a_message_over_the_limit_ends_its_channel_alone_and_its_call(size: int, taken: bool) -> None:
    client, server = Engine(Settings(message_max=1000)), Engine(Settings(check=guests_only), server=True)
    settle(client, server)
    client.open_channel()
    settle(client, server)
    got = client.call(1, basic.Get("q"))
    settle(client, server)
    server.send_content(1, basic.GetOk(1, False, "", "q", 0), PLAIN, b"x" * size)
    events, _ = settle(client, server)
    assert client.state is State.OPEN
    if taken:
        assert isinstance(got.reply, Delivery)
        assert (got.reply.body, got.reply.message_count) == (b"x" * 1000, 0)
    else:
        assert isinstance(got.error, errors.ContentTooLarge)
        assert "1001 bytes was announced, and 1000 are allowed" in str(got.error)
        assert [type(each) for each in events[:2]] == [Replied, Ended]


def test_a_delivery_over_the_limit_is_refused_by_the_quick_way_as_well() -> None:
    client, _ = with_channel()
    first = frames.frame(1, 1, basic.Deliver("c", 1).encode()) + frames.frame(2, 1, content_header(1 << 30, encode({})))
    (ended,) = client.receive(first + frames.frame(3, 1, b"x" * 100))
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, errors.ContentTooLarge)


@pytest.mark.parametrize(
    "second",
    [
        frames.frame(2, 2, content_header(1, encode({}))),
        frames.frame(1, 1, basic.Deliver("c", 2).encode()),
        frames.frame(3, 1, b"x"),
        frames.frame(2, 1, b"\x00\x32\x00\x00" + bytes(10)),
        frames.frame(2, 1, content_header(1, encode({}))) + frames.frame(3, 2, b"x"),
        frames.frame(2, 1, content_header(1, encode({}))) + frames.frame(3, 1, b"xx"),
        frames.frame(2, 1, content_header(1, encode({})))[:-1] + b"\x00" + bytes(20),
        frames.frame(2, 1, content_header(1, encode({}))) + frames.frame(3, 1, b"x")[:-1] + b"\x00",
    ],
)
def test_a_delivery_that_goes_on_wrongly_breaks_the_protocol(second: bytes) -> None:
    client, _ = with_channel()
    with pytest.raises(errors.ProtocolError):
        client.receive(frames.frame(1, 1, basic.Deliver("c", 1, False, "e", "k").encode()) + second)


DELIVER = basic.Deliver("c", 1, False, "e", "k").encode()
WHOLE = frames.frame(2, 1, content_header(1, encode({}))) + frames.frame(3, 1, b"x")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x08\x00\x01\x00\x00\x00\x00\xce", "a heartbeat on channel 1"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00", "ends with 0x00"),
        (frames.frame(2, 1, DELIVER) + WHOLE, "no method announced"),
        (frames.frame(3, 1, DELIVER) + WHOLE, "without a header"),
        (frames.frame(1, 1, basic.Ack(1).encode())[:-1] + b"\x00", "ends with 0x00"),
        (frames.frame(1, 1, basic.Ack(1).encode() + b"\x00"), "basic.ack has 1 bytes more"),
        (b"\x01\x00\x01\x00\x02\x00\x00" + DELIVER, "131080 bytes was announced, and 131072 are allowed"),
        (frames.frame(1, 9, basic.Ack(1).encode()), "channel 9, which is not open"),
        (frames.frame(1, 9, DELIVER) + WHOLE, "channel 9, which is not open"),
    ],
)
def test_what_only_looks_like_the_usual_frames_breaks_the_protocol(data: bytes, words: str) -> None:
    client, _ = with_channel()
    with pytest.raises(errors.ProtocolError, match=words):
        client.receive(data + frames.HEARTBEAT_FRAME * 5)


@pytest.mark.parametrize("missing", range(1, 12))
def test_a_delivery_whose_arguments_are_cut_short_breaks_the_protocol(missing: int) -> None:
    client, _ = with_channel()
    arguments = basic.Deliver("c", 1, False, "e", "k").encode()[:-missing]
    rest = frames.frame(2, 1, content_header(1, encode({}))) + frames.frame(3, 1, b"x")
    with pytest.raises(errors.ProtocolError, match=r"\(502\)"):
        client.receive(frames.frame(1, 1, arguments) + rest + bytes(100))


def test_what_was_said_before_a_violation_is_not_lost() -> None:
    client, server = with_channel()
    server.send_content(1, basic.Deliver("c", 1), PLAIN, b"good")
    with pytest.raises(errors.ProtocolError):
        client.receive(server.data_to_send() + b"\x05" * 30)
    delivered, ended = client.events
    assert isinstance(delivered, Delivery)
    assert isinstance(ended, Ended)
    assert (delivered.body, client.closed) == (b"good", True)


# ----------------------------------------------------------------------------------------------------- extensions


def test_the_brokers_cancel_is_told_and_answered() -> None:
    client, server = with_channel()
    assert told(client, server, 1, basic.Cancel("tag")) == [Told(1, basic.Cancel("tag"))]
    told(client, server, 1, basic.Cancel("tag", no_wait=True))
    assert client.data_to_send() == b""


def test_unblocked_ends_blocked() -> None:
    client, server = joined()
    told(client, server, 0, connection.Blocked("low on disk"))
    assert client.blocked == "low on disk"
    told(client, server, 0, connection.Unblocked())
    assert client.blocked is None


def test_a_renewed_secret_reaches_the_server_and_is_answered() -> None:
    client, server = joined()
    expected = client.call(0, connection.UpdateSecret(b"new token", "the old one expires"))
    assert settle(client, server)[1] == [Called(0, connection.UpdateSecret(b"new token", "the old one expires"))]
    server.reply(0, connection.UpdateSecretOk())
    settle(client, server)
    assert expected.result() == connection.UpdateSecretOk()


def test_a_reply_goes_directly_to_its_consumer() -> None:
    client, server = with_channel()
    client.call(1, basic.Consume("amq.rabbitmq.reply-to", no_ack=True))
    client.publish(1, b"question", {"reply_to": "amq.rabbitmq.reply-to", "correlation_id": "7"}, "", "service")
    _, asked = settle(client, server)[1]
    assert isinstance(asked, Arrived)
    assert (asked.content.properties["reply_to"], asked.content.body) == ("amq.rabbitmq.reply-to", b"question")
    server.reply(1, basic.ConsumeOk("amq.ctag-1"))
    server.send_content(1, basic.Deliver("amq.ctag-1", 1), {"correlation_id": "7"}, b"answer")
    *_, answer = settle(client, server)[0]
    assert isinstance(answer, Delivery)
    assert (answer.consumer_tag, answer.properties, answer.body) == ("amq.ctag-1", {"correlation_id": "7"}, b"answer")


def test_a_returned_message_arrives_with_its_reason() -> None:
    client, server = with_channel()
    server.send_content(1, basic.Return(312, "NO_ROUTE", "e", "k"), PLAIN, b"back")
    (arrived,) = settle(client, server)[0]
    assert isinstance(arrived, Arrived)
    assert arrived.content.method == basic.Return(312, "NO_ROUTE", "e", "k")


def test_a_connection_that_the_broker_ends_for_an_operator_is_lost_and_may_be_made_again() -> None:
    client, server = joined()
    server.close(320, "CONNECTION_FORCED - shutdown")
    *_, ended = settle(client, server)[0]
    assert isinstance(ended, Ended)
    assert isinstance(ended.error, errors.ConnectionLost)


def test_a_client_that_finishes_has_made_no_error() -> None:
    client, server = with_channel()
    client.close_channel(1)
    assert settle(client, server)[1] == [Ended(1, None)]
    client.close()
    settle(client, server)
    assert (server.closed, server.error) == (True, None)


def test_damaged_properties_are_told_when_they_are_read_and_harm_nothing_else() -> None:
    client, server = with_channel()
    deliver = frames.frame(1, 1, basic.Deliver("c", 1).encode())
    bad = b"\x00\x3c\x00\x00" + (1).to_bytes(8, "big") + b"\x80\x00\xff"
    (delivery,) = client.receive(deliver + frames.frame(2, 1, bad) + frames.frame(3, 1, b"x"))
    assert isinstance(delivery, Delivery)
    for _ in range(2):
        with pytest.raises(errors.ProtocolError, match="short string"):
            _ = delivery.properties
    with pytest.raises(AttributeError, match="colour"):
        delivery.colour  # type: ignore[attr-defined]  # noqa: B018
    server.call(1, queue.Declare("q"))
    assert client.state is State.OPEN
