"""`dulse declare`, `dulse bind`, `dulse unbind` and `dulse delete`."""

from __future__ import annotations

from typing import Any

import click

from dulse.cli.invocation import Invocation, broker_options, counted, pass_invocation, tell
from dulse.cli.values import DURATION, FIELD
from dulse.model.milliseconds import milliseconds

_ARGUMENT = click.option(
    "-a", "--argument", "arguments", type=FIELD, multiple=True, help="An argument: NAME=TEXT or NAME:=JSON."
)


@click.group(no_args_is_help=False)
def declare() -> None:
    """Make a queue or an exchange; one that is there with the same properties stays as it is."""


@declare.command("queue")
@click.argument("name")
@click.option("--transient", is_flag=True, help="It need not outlive the broker.")
@click.option("--auto-delete", is_flag=True, help="It goes with its last consumer.")
@click.option("--message-ttl", type=DURATION, help="The time after which its messages expire.")
@click.option("--expires", type=DURATION, help="The time after which it goes if nobody uses it.")
@click.option("--max-length", type=click.IntRange(min=0), help="As many messages at most.")
@click.option("--max-length-bytes", type=click.IntRange(min=0), help="As many bytes at most.")
@click.option("--max-priority", type=click.IntRange(1, 255), help="Serve higher priorities first, up to this one.")
@click.option("--overflow", type=click.Choice(["drop-head", "reject-publish", "reject-publish-dlx"]), help="When full.")
@click.option("--dead-letter-exchange", help="Where messages go that it gives up; '' is the one that leads to queues.")
@click.option("--dead-letter-routing-key", help="With this routing key instead of their own.")
@click.option("--delivery-limit", type=click.IntRange(min=0), help="As often a message may return.")
@click.option("--single-active-consumer", is_flag=True, help="One consumer at a time gets all messages.")
@_ARGUMENT
@broker_options
@pass_invocation
def declare_queue(
    invocation: Invocation,
    name: str,
    transient: bool,
    auto_delete: bool,
    message_ttl: float | None,
    expires: float | None,
    max_length: int | None,
    max_length_bytes: int | None,
    max_priority: int | None,
    overflow: str | None,
    dead_letter_exchange: str | None,
    dead_letter_routing_key: str | None,
    delivery_limit: int | None,
    single_active_consumer: bool,
    arguments: tuple[tuple[str, Any], ...],
) -> None:
    """Make queue NAME."""
    limits = {
        "x-message-ttl": None if message_ttl is None else milliseconds("--message-ttl", message_ttl),
        "x-expires": None if expires is None else milliseconds("--expires", expires),
        "x-max-length": max_length,
        "x-max-length-bytes": max_length_bytes,
        "x-max-priority": max_priority,
        "x-overflow": overflow,
        "x-dead-letter-exchange": dead_letter_exchange,
        "x-dead-letter-routing-key": dead_letter_routing_key,
        "x-delivery-limit": delivery_limit,
        "x-single-active-consumer": single_active_consumer or None,
    }
    wanted = {limit: value for limit, value in limits.items() if value is not None}
    with invocation.connected(may_create=True) as connection:
        declared = connection.default_channel.queue_declare(
            name, durable=not transient, auto_delete=auto_delete, arguments={**wanted, **dict(arguments)}
        )
    tell(f"queue {declared.queue!r} is there, with {counted(declared.message_count)}")


@declare.command("exchange")
@click.argument("name")
@click.option("-t", "--type", "kind", default="direct", show_default=True, help="direct, topic, fanout or headers.")
@click.option("--transient", is_flag=True, help="It need not outlive the broker.")
@click.option("--auto-delete", is_flag=True, help="It goes with the last binding from it.")
@click.option("--internal", is_flag=True, help="Only exchanges bound to it give it messages.")
@click.option("--alternate-exchange", help="Where messages go that match no binding.")
@_ARGUMENT
@broker_options
@pass_invocation
def declare_exchange(
    invocation: Invocation,
    name: str,
    kind: str,
    transient: bool,
    auto_delete: bool,
    internal: bool,
    alternate_exchange: str | None,
    arguments: tuple[tuple[str, Any], ...],
) -> None:
    """Make exchange NAME."""
    wanted = dict(arguments)
    if alternate_exchange is not None:
        wanted["alternate-exchange"] = alternate_exchange
    with invocation.connected(may_create=True) as connection:
        connection.default_channel.exchange_declare(
            name, kind, durable=not transient, auto_delete=auto_delete, internal=internal, arguments=wanted
        )
    tell(f"exchange {name!r} of type {kind} is there")


_BINDING = (
    click.argument("exchange"),
    click.argument("destination"),
    click.option("-k", "--routing-key", "keys", multiple=True, help="Key or pattern; may be given again."),
    click.option("--to-exchange", is_flag=True, help="DESTINATION is an exchange."),
    _ARGUMENT,
    broker_options,
    pass_invocation,
)


def _binding_command(command: Any) -> Any:
    for decorate in reversed(_BINDING):
        command = decorate(command)
    return click.command()(command)


@_binding_command
def bind(
    invocation: Invocation,
    exchange: str,
    destination: str,
    keys: tuple[str, ...],
    to_exchange: bool,
    arguments: tuple[tuple[str, Any], ...],
) -> None:
    """Let the queue DESTINATION have what reaches EXCHANGE and matches."""
    with invocation.connected() as connection:
        channel = connection.default_channel
        act = channel.exchange_bind if to_exchange else channel.queue_bind
        for key in keys or ("",):
            act(destination, exchange, key, arguments=dict(arguments))


@_binding_command
def unbind(
    invocation: Invocation,
    exchange: str,
    destination: str,
    keys: tuple[str, ...],
    to_exchange: bool,
    arguments: tuple[tuple[str, Any], ...],
) -> None:
    """End such bindings; those that are not there are no error."""
    with invocation.connected() as connection:
        channel = connection.default_channel
        act = channel.exchange_unbind if to_exchange else channel.queue_unbind
        for key in keys or ("",):
            act(destination, exchange, key, arguments=dict(arguments))


@click.group(no_args_is_help=False)
def delete() -> None:
    """Delete a queue or an exchange."""


@delete.command("queue")
@click.argument("name")
@click.option("--if-empty", is_flag=True, help="Only if it holds no messages.")
@click.option("--if-unused", is_flag=True, help="Only if it has no consumers.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@broker_options
@pass_invocation
def delete_queue(invocation: Invocation, name: str, if_empty: bool, if_unused: bool, yes: bool) -> None:
    """Delete queue NAME and its messages; asks before messages go."""
    with invocation.connected() as connection:
        channel = connection.default_channel
        there = channel.queue_declare(name, passive=True)
        if there.message_count and not yes and not if_empty:
            click.confirm(f"Delete queue {name!r} with {counted(there.message_count)}?", abort=True, err=True)
        gone = channel.queue_delete(name, if_unused=if_unused, if_empty=if_empty)
    tell(f"queue {name!r} is gone, and {counted(gone)} with it")


@delete.command("exchange")
@click.argument("name")
@click.option("--if-unused", is_flag=True, help="Only if nothing is bound to it.")
@broker_options
@pass_invocation
def delete_exchange(invocation: Invocation, name: str, if_unused: bool) -> None:
    """Delete exchange NAME and the bindings from and to it."""
    with invocation.connected() as connection:
        channel = connection.default_channel
        channel.exchange_declare(name, passive=True)
        channel.exchange_delete(name, if_unused=if_unused)
    tell(f"exchange {name!r} is gone")
