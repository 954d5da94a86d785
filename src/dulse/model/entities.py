"""Exchanges, bindings and queues as descriptions: what they are, and the commands that make them so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from operator import attrgetter
from typing import Any, ClassVar, Self, Unpack

from dulse.model.commands import (
    BindExchange,
    BindQueue,
    Command,
    DeclareExchange,
    DeclareQueue,
    DeleteExchange,
    DeleteQueue,
    PurgeQueue,
    UnbindExchange,
    UnbindQueue,
)
from dulse.model.delivery_modes import (
    PERSISTENT_DELIVERY_MODE,
    TRANSIENT_DELIVERY_MODE,
    DeliveryMode,
    delivery_mode_number,
)
from dulse.model.descriptions import Attributes, Description
from dulse.model.entity_options import Arguments, ExchangeOptions, QueueOptions, split_options
from dulse.model.mistakes import listed, mistaken
from dulse.model.names import check_name
from dulse.model.queue_limits import LIMITS, number, queue_arguments

INTERNAL_EXCHANGE_PREFIX = ("amq.",)
"""Exchanges that every broker has from the start; nobody may declare them."""

Declared = Callable[[str, int, int], Any]
"""Called with a queue's name, its number of messages and of consumers."""


def name_of(entity: ExchangeDescription | QueueDescription | str | None) -> str:
    """Give the name of an exchange or queue that may be given by name already; none is the default exchange's."""
    if entity is None or isinstance(entity, str):
        return entity or ""
    if not isinstance(entity, ExchangeDescription | QueueDescription):
        raise mistaken("exchange or queue", entity, "one, or a name")
    return entity.name


class ExchangeDescription(Description):
    """An exchange: where messages are published to, and how it routes them to queues.

    `type` is direct, topic, fanout, headers, or one that the broker or the program has registered. `delivery_mode`
    is the default of what is published to it. The exchange without a name is there always, and routes to the queue
    named by the routing key.
    """

    kind: ClassVar[str] = "exchange"
    TRANSIENT_DELIVERY_MODE = TRANSIENT_DELIVERY_MODE
    PERSISTENT_DELIVERY_MODE = PERSISTENT_DELIVERY_MODE
    attrs: ClassVar[Attributes] = (
        ("name", None),
        ("type", None),
        ("arguments", None),
        ("durable", bool),
        ("passive", bool),
        ("auto_delete", bool),
        ("delivery_mode", delivery_mode_number),
        ("no_declare", bool),
        ("internal", bool),
        ("alternate_exchange", name_of),
    )
    name: str = ""
    type: str = "direct"
    arguments: Arguments | None = None
    durable: bool = True
    passive: bool = False
    auto_delete: bool = False
    delivery_mode: DeliveryMode | None = None
    no_declare: bool = False
    internal: bool = False
    alternate_exchange: ExchangeDescription | str | None = None

    def __init__(self, name: str = "", type: str = "", **options: Unpack[ExchangeOptions]) -> None:
        super().__init__(**options)
        self.name = check_name("exchange", name or self.name)
        self.type = type or self.type

    @property
    def can_cache_declaration(self) -> bool:
        """Whether it stays once it is declared; a subclass may say so by a plain attribute."""
        return not self.auto_delete

    @property
    def declarable(self) -> bool:
        """Whether declaring it does anything."""
        return bool(self.name) and not self.no_declare and not self.name.startswith(INTERNAL_EXCHANGE_PREFIX)

    def declare_command(self, passive: bool | None = None) -> DeclareExchange:
        """Make the command that declares it, or with `passive` checks that it is there."""
        arguments = dict(self.arguments or {})
        if self.alternate_exchange is not None:
            arguments["alternate-exchange"] = name_of(self.alternate_exchange)
        return DeclareExchange(
            check_name("exchange", self.name),
            self.type,
            bool(self.durable),
            bool(self.auto_delete),
            bool(self.internal),
            bool(self.passive if passive is None else passive),
            arguments,
        )

    def declare_commands(self) -> list[Command]:
        """Make all commands that declaring it takes."""
        return [self.declare_command()] if self.declarable else []

    def declaration_key(self) -> Hashable:
        """Tell declarations apart: equal keys make equal commands."""
        key = _exchange_key(self)
        if self.arguments or self.alternate_exchange:
            return key, repr(self.arguments), name_of(self.alternate_exchange)
        return key

    def delete_command(self, if_unused: bool = False) -> DeleteExchange:
        """Make the command that deletes it."""
        return DeleteExchange(self.name, if_unused)

    def bind_command(self, source: ExchangeDescription | str, routing_key: str, arguments: Arguments) -> BindExchange:
        """Make the command that routes on to it what reaches `source`."""
        return BindExchange(self.name, name_of(source), check_name("routing key", routing_key), dict(arguments))

    def unbind_command(
        self, source: ExchangeDescription | str, routing_key: str, arguments: Arguments
    ) -> UnbindExchange:
        """Make the command that ends such a binding."""
        return UnbindExchange(self.name, name_of(source), routing_key, dict(arguments))

    def __str__(self) -> str:
        return f"Exchange {self.name or repr('')}({self.type})"


class BindingDescription(Description):
    """A binding to an exchange, to be given to a queue that has several."""

    kind: ClassVar[str] = "binding"
    attrs: ClassVar[Attributes] = (
        ("exchange", None),
        ("routing_key", None),
        ("arguments", None),
        ("unbind_arguments", None),
    )

    def __init__(
        self,
        exchange: ExchangeDescription | None = None,
        routing_key: str = "",
        arguments: Arguments | None = None,
        unbind_arguments: Arguments | None = None,
    ) -> None:
        super().__init__()
        self.exchange = exchange
        self.routing_key = check_name("routing key", routing_key or "")
        self.arguments = arguments
        self.unbind_arguments = unbind_arguments

    def __hash__(self) -> int:
        return hash((self.kind, name_of(self.exchange), self.routing_key))

    def __str__(self) -> str:
        return f"{name_of(self.exchange)}->{self.routing_key}"

    def __repr__(self) -> str:
        return f"<binding: {self}>"


def _checked_bindings(given: Any) -> set[BindingDescription]:
    bindings = listed("bindings", given, "a list of bindings")
    for each in bindings:
        if not isinstance(each, BindingDescription):
            raise mistaken("each of the bindings", each, "a binding")
    return set(bindings)


class QueueDescription(Description):
    """A queue: its properties, its limits, and the bindings through which it gets messages.

    `expires` and `message_ttl` are in seconds; these and the `max_…` limits may be given as x- arguments instead.
    `exclusive` queues belong to one connection and are deleted with it. `exchange` may be an exchange, the name of
    one, or several bindings; then `bindings` holds them and `exchange` is None.
    """

    kind: ClassVar[str] = "queue"
    exchange_class: ClassVar[type[ExchangeDescription]] = ExchangeDescription
    """What an exchange given by its name becomes."""
    binding_class: ClassVar[type[BindingDescription]] = BindingDescription
    attrs: ClassVar[Attributes] = (
        ("name", None),
        ("exchange", None),
        ("routing_key", None),
        ("queue_arguments", None),
        ("binding_arguments", None),
        ("consumer_arguments", None),
        ("durable", bool),
        ("exclusive", bool),
        ("auto_delete", bool),
        ("no_ack", None),
        ("alias", None),
        ("bindings", list),
        ("no_declare", bool),
        ("expires", number),
        ("message_ttl", number),
        ("max_length", number),
        ("max_length_bytes", number),
        ("max_priority", number),
        ("passive", bool),
    )
    name: str = ""
    exchange: ExchangeDescription | None = None
    routing_key: str = ""
    queue_arguments: Arguments | None = None
    binding_arguments: Arguments | None = None
    consumer_arguments: Arguments | None = None
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    passive: bool = False
    no_ack: bool = False
    alias: str | None = None
    no_declare: bool = False
    expires: float | None = None
    message_ttl: float | None = None
    max_length: int | None = None
    max_length_bytes: int | None = None
    max_priority: int | None = None

    def __init__(
        self,
        name: str = "",
        exchange: ExchangeDescription | str | Collection[BindingDescription] | None = None,
        routing_key: str = "",
        bindings: Iterable[BindingDescription] | None = None,
        on_declared: Declared | None = None,
        **options: Unpack[QueueOptions],
    ) -> None:
        key = options.pop("key", None)
        super().__init__(**options)
        self.name = check_name("queue", name or self.name)
        self.routing_key = check_name("routing key", routing_key or key or self.routing_key)
        self.on_declared = on_declared
        self.bindings = _checked_bindings(bindings or ())
        if isinstance(exchange, list | tuple | set | frozenset):
            self.bindings |= _checked_bindings(exchange)
        elif isinstance(exchange, str):
            self.exchange = self.exchange_class(exchange)
        elif isinstance(exchange, ExchangeDescription):
            self.exchange = exchange
        elif exchange is not None:
            raise mistaken("exchange", exchange, "an Exchange, its name, or a list of bindings")
        elif self.exchange is None:
            self.exchange = self.exchange_class()
        if self.bindings:
            self.exchange = None
        if self.exclusive:
            self.auto_delete = True
        self.arguments()

    @classmethod
    def from_dict(cls, queue: str, **options: Any) -> Self:
        """Make a queue of the options that Celery's `task_queues` holds, or of `as_dict()`.

        `exchange` is a name, an exchange or its dict. `exchange_type`, `exchange_arguments`, `delivery_mode`, and
        `exchange_durable` and `exchange_auto_delete` describe the exchange; `durable` and `auto_delete` mean both,
        `queue_durable` and `queue_auto_delete` the queue alone; `binding_key` is the routing key. All other options
        are those of a queue; an unknown one is a TypeError.
        """
        for_queue, for_exchange = split_options(options)
        exchange = for_queue.pop("exchange", None)
        bindings = for_queue.pop("bindings", None) or ()
        if not isinstance(exchange, ExchangeDescription):
            given = dict(exchange) if isinstance(exchange, Mapping) else {"name": exchange or ""}
            exchange = cls.exchange_class(**{**given, **for_exchange})
        return cls(queue, exchange, bindings=[cls._binding(each) for each in bindings], **for_queue)

    @classmethod
    def _binding(cls, given: BindingDescription | Mapping[str, Any]) -> BindingDescription:
        if isinstance(given, BindingDescription):
            return given
        exchange = given.get("exchange")
        made = cls.exchange_class(**exchange) if isinstance(exchange, Mapping) else exchange
        return cls.binding_class(**{**given, "exchange": made})

    @property
    def can_cache_declaration(self) -> bool:
        """Whether it stays once it is declared; a subclass may say so by a plain attribute."""
        return not self.auto_delete and self.expires is None and "x-expires" not in (self.queue_arguments or {})

    def arguments(self) -> dict[str, Any]:
        """Give the arguments that it is declared with: `queue_arguments` and the limits given by name."""
        limits = {limit: getattr(self, limit) for limit in LIMITS}
        return queue_arguments(self.queue_arguments, limits, f"queue {self.name!r}:")

    def declare_command(self, passive: bool | None = None) -> DeclareQueue:
        """Make the command that declares the queue alone, or with `passive` checks that it is there."""
        return DeclareQueue(
            check_name("queue", self.name),
            bool(self.durable),
            bool(self.exclusive),
            bool(self.auto_delete),
            bool(self.passive if passive is None else passive),
            self.arguments(),
        )

    def declare_commands(self) -> list[Command]:
        """Make all commands that declaring it takes: of its exchanges, itself, and its bindings."""
        if self.no_declare:
            return []
        if self.passive:
            return [self.declare_command()]
        bound = self.bound_to()
        return [
            *(command for binding in bound if binding.exchange for command in binding.exchange.declare_commands()),
            self.declare_command(),
            *(self.bind_command(each.exchange or "", each.routing_key, each.arguments or {}) for each in bound),
        ]

    def declaration_key(self) -> Hashable:
        """Tell declarations apart: equal keys make equal commands."""
        key = _queue_key(self), self.exchange.declaration_key() if self.exchange is not None else None
        if self.queue_arguments or self.binding_arguments or self.bindings:
            bindings = frozenset(_binding_key(binding) for binding in self.bindings)
            return key, repr(self.queue_arguments), repr(self.binding_arguments), bindings
        return key

    def bound_to(self) -> list[BindingDescription]:
        """List the bindings it is declared with, in a fixed order."""
        if self.exchange is not None and self.exchange.name:
            return [BindingDescription(self.exchange, self.routing_key, self.binding_arguments)]
        return sorted((binding for binding in self.bindings if name_of(binding.exchange)), key=str)

    def bind_command(self, exchange: ExchangeDescription | str, routing_key: str, arguments: Arguments) -> BindQueue:
        """Make the command that lets it have what reaches `exchange` and matches."""
        return BindQueue(self.name, name_of(exchange), check_name("routing key", routing_key), dict(arguments))

    def unbind_command(
        self, exchange: ExchangeDescription | str, routing_key: str, arguments: Arguments
    ) -> UnbindQueue:
        """Make the command that ends such a binding."""
        return UnbindQueue(self.name, name_of(exchange), routing_key, dict(arguments))

    def delete_command(self, if_unused: bool = False, if_empty: bool = False) -> DeleteQueue:
        """Make the command that deletes it."""
        return DeleteQueue(self.name, if_unused, if_empty)

    def purge_command(self) -> PurgeQueue:
        """Make the command that empties it."""
        return PurgeQueue(self.name)


# One call into C for all attributes: keys are made for each message that names what it needs.
_exchange_key = attrgetter("kind", "name", "type", "durable", "auto_delete", "internal", "passive")
_queue_key = attrgetter("kind", "name", "routing_key", "durable", "exclusive", "auto_delete", "passive", *LIMITS)


def _binding_key(binding: BindingDescription) -> Hashable:
    exchange = binding.exchange.declaration_key() if binding.exchange is not None else None
    return exchange, binding.routing_key, repr(binding.arguments)
