"""Descriptions of exchanges, bindings and queues, and the commands that they make."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy
from typing import Any, ClassVar

import pytest

from dulse import errors
from dulse.model.commands import BindExchange, BindQueue, DeclareExchange, DeclareQueue, DeleteQueue, UnbindQueue
from dulse.model.descriptions import Attributes
from dulse.model.entities import BindingDescription, ExchangeDescription, QueueDescription

MEDIA = ExchangeDescription("media", "topic", durable=False, delivery_mode="transient")


class WithExtra(QueueDescription):
    attrs: ClassVar[Attributes] = (*QueueDescription.attrs, ("extra", int))
    extra: int


def test_defaults_are_those_of_a_durable_direct_exchange() -> None:
    exchange = ExchangeDescription("orders")
    assert exchange.as_dict() == {
        "name": "orders",
        "type": "direct",
        "arguments": None,
        "durable": True,
        "passive": False,
        "auto_delete": False,
        "delivery_mode": None,
        "no_declare": False,
        "internal": False,
        "alternate_exchange": None,
    }


def test_attributes_of_a_queue_come_in_the_documented_order() -> None:
    names = (
        "name exchange routing_key queue_arguments binding_arguments consumer_arguments durable exclusive auto_delete"
    )
    more = "no_ack alias bindings no_declare expires message_ttl max_length max_length_bytes max_priority passive"
    assert list(QueueDescription("q").as_dict()) == f"{names} {more}".split()


def test_class_attributes_are_the_defaults_of_a_subclass() -> None:
    class Transient(QueueDescription):
        durable = False
        can_cache_declaration = False
        exchange = ExchangeDescription("events", "fanout")

    queue = Transient("q")
    assert (queue.durable, queue.can_cache_declaration, queue.exchange) == (False, False, Transient.exchange)
    assert Transient("q", durable=True).durable is True


def test_none_leaves_the_default() -> None:
    assert ExchangeDescription("x", durable=None, auto_delete=None).durable is True


def test_an_unknown_keyword_is_a_type_error_that_names_it_and_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"QueueDescription\(\) has no option 'mesage_ttl': did you mean 'message_ttl'"):
        QueueDescription("q", mesage_ttl=3)  # type: ignore[call-arg]


def test_attributes_can_be_assigned_and_commands_follow() -> None:
    queue = QueueDescription("q", "x")
    queue.name, queue.durable, queue.message_ttl = "other", False, 2
    assert queue.declare_command() == DeclareQueue("other", durable=False, arguments={"x-message-ttl": 2000})


def test_delivery_mode_is_given_by_name_or_number() -> None:
    assert (MEDIA.delivery_mode, ExchangeDescription("x", delivery_mode=2).delivery_mode) == (1, 2)
    assert (
        ExchangeDescription("x", delivery_mode="persistent").delivery_mode
        == ExchangeDescription.PERSISTENT_DELIVERY_MODE
    )


def test_an_impossible_delivery_mode_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="not 'forever'"):
        ExchangeDescription("x", delivery_mode="forever")


def test_an_exchange_makes_its_declare_command() -> None:
    exchange = ExchangeDescription("x", "headers", auto_delete=True, internal=True, arguments={"a": 1})
    assert exchange.declare_command() == DeclareExchange("x", "headers", True, True, True, False, {"a": 1})


def test_the_alternate_exchange_becomes_an_argument() -> None:
    exchange = ExchangeDescription("x", alternate_exchange=ExchangeDescription("spare"), arguments={"a": 1})
    assert exchange.declare_command().arguments == {"a": 1, "alternate-exchange": "spare"}
    assert exchange.alternate_exchange == "spare"


def test_a_command_shares_nothing_with_its_entity() -> None:
    exchange = ExchangeDescription("x", arguments={"a": 1})
    exchange.declare_command().arguments["a"] = 2  # type: ignore[index]
    assert exchange.arguments == {"a": 1}


@pytest.mark.parametrize(
    "exchange",
    [ExchangeDescription(""), ExchangeDescription("amq.topic"), ExchangeDescription("x", no_declare=True)],
    ids=str,
)
def test_some_exchanges_are_never_declared(exchange: ExchangeDescription) -> None:
    assert exchange.declare_commands() == []


def test_passive_of_the_call_wins_over_that_of_the_exchange() -> None:
    assert ExchangeDescription("x", passive=True).declare_command().passive is True
    assert ExchangeDescription("x", passive=True).declare_command(passive=False).passive is False


def test_an_exchange_makes_bindings_to_others() -> None:
    assert ExchangeDescription("to").bind_command(MEDIA, "a.#", {"k": 1}) == BindExchange(
        "to", "media", "a.#", {"k": 1}
    )


def test_limits_of_a_queue_become_arguments_in_milliseconds_and_counts() -> None:
    queue = QueueDescription("q", expires=1.5, message_ttl=0.25, max_length=10, max_length_bytes=1000, max_priority=9)
    assert queue.arguments() == {
        "x-expires": 1500,
        "x-message-ttl": 250,
        "x-max-length": 10,
        "x-max-length-bytes": 1000,
        "x-max-priority": 9,
    }


def test_limits_may_be_given_as_arguments_and_a_named_one_wins() -> None:
    queue = QueueDescription("q", queue_arguments={"x-max-length": 5, "x-expires": 7}, max_length=10)
    assert queue.arguments() == {"x-max-length": 10, "x-expires": 7}


@pytest.mark.parametrize(
    "limits",
    [
        {"message_ttl": -1},
        {"message_ttl": float("nan")},
        {"message_ttl": float("inf")},
        {"message_ttl": True},
        {"expires": 0},
        {"max_length": -1},
        {"max_length": 1.5},
        {"max_length_bytes": "many"},
        {"max_priority": 256},
    ],
    ids=str,
)
def test_limits_out_of_range_are_refused_by_name_and_value(limits: dict[str, Any]) -> None:
    (name,) = limits
    with pytest.raises(errors.InvalidArgument, match=f"queue 'q': {name} must be .*not {limits[name]!r}"):
        QueueDescription("q", **limits)


def test_limits_may_be_texts_of_a_configuration() -> None:
    queue = QueueDescription("q", expires="1.5", max_length="10")  # type: ignore[arg-type]
    assert queue.arguments() == {"x-expires": 1500, "x-max-length": 10}


def test_a_limit_that_is_assigned_out_of_range_is_refused_when_declared() -> None:
    queue = QueueDescription("q")
    queue.message_ttl = -1
    with pytest.raises(errors.InvalidArgument, match="queue 'q': message_ttl"):
        queue.declare_command()


@pytest.mark.parametrize("make", [ExchangeDescription, QueueDescription])
def test_a_name_over_255_bytes_is_refused(make: type[ExchangeDescription | QueueDescription]) -> None:
    assert make("é" * 127).name == "é" * 127
    with pytest.raises(errors.InvalidArgument, match="256 bytes"):
        make("é" * 128)


def test_a_routing_key_over_255_bytes_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="routing key"):
        QueueDescription("q", "x", "k" * 256)


def test_an_exchange_may_be_given_by_name() -> None:
    assert QueueDescription("q", "x").exchange == ExchangeDescription("x")


def test_a_queue_without_exchange_has_the_default_one_and_no_binding() -> None:
    queue = QueueDescription("q")
    assert queue.exchange == ExchangeDescription("")
    assert queue.declare_commands() == [DeclareQueue("q")]


def test_exclusive_queues_are_deleted_by_themselves() -> None:
    assert QueueDescription("q", exclusive=True).auto_delete is True


def test_declaring_a_queue_declares_its_exchange_and_binds_it() -> None:
    queue = QueueDescription("video", MEDIA, "video.*", binding_arguments={"b": 1})
    assert queue.declare_commands() == [
        MEDIA.declare_command(),
        DeclareQueue("video"),
        BindQueue("video", "media", "video.*", {"b": 1}),
    ]


def test_a_queue_may_have_several_bindings() -> None:
    first, second = BindingDescription(MEDIA, "b"), BindingDescription(MEDIA, "a", {"x": 1})
    for queue in (QueueDescription("q", [first, second]), QueueDescription("q", bindings=[first, second])):
        assert queue.exchange is None
        assert queue.bindings == {first, second}
        assert queue.declare_commands()[2:] == [
            DeclareQueue("q"),
            BindQueue("q", "media", "a", {"x": 1}),
            BindQueue("q", "media", "b"),
        ]


def test_a_queue_with_no_declare_makes_no_commands() -> None:
    assert QueueDescription("q", MEDIA, no_declare=True).declare_commands() == []


def test_a_queue_makes_its_other_commands() -> None:
    queue = QueueDescription("q")
    assert queue.delete_command(if_unused=True, if_empty=True) == DeleteQueue("q", True, True)
    assert queue.unbind_command(MEDIA, "k", {}) == UnbindQueue("q", "media", "k")
    assert queue.purge_command().queue == "q"


def test_entities_are_equal_by_value() -> None:
    assert QueueDescription("q", MEDIA, "k") == QueueDescription("q", copy(MEDIA), "k")
    assert QueueDescription("q", MEDIA, "k") != QueueDescription("q", MEDIA, "l")
    assert QueueDescription("q", queue_arguments={}) == QueueDescription("q")
    assert QueueDescription("q") != ExchangeDescription("q")
    assert BindingDescription(MEDIA, "k") == BindingDescription(MEDIA, "k")
    assert BindingDescription(MEDIA, "k") != BindingDescription(MEDIA, "k", {"x": 1})


def test_entities_are_hashed_by_class_and_name() -> None:
    assert hash(QueueDescription("q", "x")) == hash(QueueDescription("q", "y"))
    assert hash(QueueDescription("q")) != hash(ExchangeDescription("q"))


def test_copies_are_independent() -> None:
    queue = QueueDescription("q", queue_arguments={"a": 1}, bindings=[BindingDescription(MEDIA, "k")])
    twin = copy(queue)
    twin.name = "other"
    twin.queue_arguments["a"] = 2  # type: ignore[index]
    twin.bindings.clear()
    assert (queue.name, queue.queue_arguments, len(queue.bindings)) == ("q", {"a": 1}, 1)


@pytest.mark.parametrize(
    "entity",
    [
        MEDIA,
        BindingDescription(MEDIA, "k", {"a": 1}),
        QueueDescription("q", MEDIA, "k", max_length=3),
        QueueDescription("q", bindings=[BindingDescription(MEDIA, "k")]),
        WithExtra("q", extra=3),  # type: ignore[call-arg]
    ],
    ids=["exchange", "binding", "queue", "queue-of-bindings", "queue-with-extra"],
)
def test_entities_survive_pickle_and_deepcopy(entity: QueueDescription) -> None:
    for twin in (pickle.loads(pickle.dumps(entity)), deepcopy(entity)):
        assert twin == entity
        assert type(twin) is type(entity)


def test_a_pickle_leaves_callbacks_behind() -> None:
    queue = QueueDescription("q", on_declared=lambda *_: None)
    assert pickle.loads(pickle.dumps(queue)) == queue


def test_a_subclass_may_add_attributes() -> None:
    queue = WithExtra("q", extra="3")  # type: ignore[call-arg]
    assert queue.as_dict()["extra"] == 3
    assert queue != QueueDescription("q")


def test_as_dict_recurses_when_asked_to() -> None:
    queue = QueueDescription("q", bindings=[BindingDescription(MEDIA, "k")])
    assert queue.as_dict()["bindings"] == [BindingDescription(MEDIA, "k")]
    (binding,) = queue.as_dict(recurse=True)["bindings"]
    assert binding == {
        "exchange": MEDIA.as_dict(),
        "routing_key": "k",
        "arguments": None,
        "unbind_arguments": None,
    }


def test_a_queue_can_be_made_of_its_dict() -> None:
    for queue in (
        QueueDescription("q", MEDIA, "k", max_length=3, no_ack=True, durable=False),
        QueueDescription("q", bindings=[BindingDescription(MEDIA, "k", {"a": 1})], expires=3),
    ):
        for recurse in (True, False):
            assert QueueDescription.from_dict("q", **queue.as_dict(recurse=recurse)) == queue


def test_a_queue_can_be_made_of_celerys_options() -> None:
    queue = QueueDescription.from_dict(
        "feeds",
        exchange="feeds",
        exchange_type="topic",
        exchange_durable=False,
        exchange_arguments={"e": 1},
        delivery_mode="transient",
        binding_key="feed.#",
        routing_key="unused",
        queue_auto_delete=True,
        durable=True,
        message_ttl=4,
    )
    exchange = ExchangeDescription("feeds", "topic", durable=False, arguments={"e": 1}, delivery_mode=1)
    assert queue == QueueDescription("feeds", exchange, "feed.#", auto_delete=True, message_ttl=4)


def test_from_dict_names_an_unknown_option() -> None:
    with pytest.raises(TypeError, match="'exchange_kind'"):
        QueueDescription.from_dict("q", exchange_kind="topic")


def test_what_may_vanish_by_itself_is_declared_each_time() -> None:
    assert QueueDescription("q").can_cache_declaration
    assert not QueueDescription("q", auto_delete=True).can_cache_declaration
    assert not QueueDescription("q", expires=5).can_cache_declaration
    assert not QueueDescription("q", queue_arguments={"x-expires": 5}).can_cache_declaration
    assert not ExchangeDescription("x", auto_delete=True).can_cache_declaration


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("name", "r"),
        ("durable", False),
        ("routing_key", "l"),
        ("message_ttl", 3),
        ("max_priority", 3),
        ("exchange", ExchangeDescription("media", "fanout")),
        ("queue_arguments", {"x-a": [1]}),
        ("binding_arguments", {"x-a": 1}),
        ("bindings", {BindingDescription(MEDIA, "k")}),
    ],
)
def test_whatever_changes_the_commands_changes_the_key(attribute: str, value: Any) -> None:
    queue = QueueDescription("q", MEDIA, "k")
    changed = copy(queue)
    setattr(changed, attribute, value)
    assert changed.declaration_key() != queue.declaration_key()
    assert copy(queue).declaration_key() == queue.declaration_key()


def test_queue_and_exchange_show_what_they_are() -> None:
    assert str(MEDIA) == "Exchange media(topic)"
    assert repr(BindingDescription(MEDIA, "k")) == "<binding: media->k>"
