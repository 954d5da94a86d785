"""A name over 255 bytes is one kind of mistake wherever it is given, and costs nobody the channel."""

from __future__ import annotations

from typing import Any

import pytest

import dulse
from dulse import aio, errors
from dulse.model import commands
from tests.servers.rabbitmq import RabbitMQ

LONG = "ü" * 128

CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "a queue declared": ("queue_declare", (LONG,), {}),
    "a queue declared passively": ("queue_declare", (LONG,), {"passive": True}),
    "a queue deleted": ("queue_delete", (LONG,), {}),
    "a queue purged": ("queue_purge", (LONG,), {}),
    "a queue bound": ("queue_bind", (LONG, "amq.direct", "key"), {}),
    "an exchange bound to": ("queue_bind", ("queue", LONG, "key"), {}),
    "a binding's key": ("queue_bind", ("queue", "amq.direct", LONG), {}),
    "a queue unbound": ("queue_unbind", (LONG, "amq.direct", "key"), {}),
    "an exchange unbound from": ("queue_unbind", ("queue", LONG, "key"), {}),
    "a key unbound": ("queue_unbind", ("queue", "amq.direct", LONG), {}),
    "an exchange declared": ("exchange_declare", (LONG, "direct"), {}),
    "an exchange's type": ("exchange_declare", ("exchange", LONG), {}),
    "an exchange deleted": ("exchange_delete", (LONG,), {}),
    "an exchange bound": ("exchange_bind", (LONG, "amq.direct", "key"), {}),
    "a source bound": ("exchange_bind", ("amq.direct", LONG, "key"), {}),
    "a key of exchanges bound": ("exchange_bind", ("amq.direct", "amq.topic", LONG), {}),
    "an exchange unbound": ("exchange_unbind", (LONG, "amq.direct", "key"), {}),
    "a source unbound": ("exchange_unbind", ("amq.direct", LONG, "key"), {}),
    "a key of exchanges unbound": ("exchange_unbind", ("amq.direct", "amq.topic", LONG), {}),
    "a get": ("basic_get", (LONG,), {}),
    "a consumer": ("basic_consume", (LONG,), {"callback": print}),
    "a consumer's tag": ("basic_consume", ("queue",), {"consumer_tag": LONG, "callback": print}),
    "an exchange published to": ("basic_publish", (b"", LONG, "key"), {}),
    "a routing key": ("basic_publish", (b"", "", LONG), {}),
    "a command": ("execute", (commands.DeleteQueue(LONG),), {}),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_name_over_255_bytes_for(rabbitmq: RabbitMQ, call: str) -> None:
    verb, arguments, options = CALLS[call]
    with dulse.Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        with pytest.raises(errors.InvalidArgument, match="has 256 bytes of UTF-8; the limit is 255"):
            getattr(channel, verb)(*arguments, **options)
        assert channel.queue_declare("", exclusive=True).queue


@pytest.mark.parametrize("call", CALLS)
async def test_a_name_over_255_bytes_by_asyncio_for(rabbitmq: RabbitMQ, call: str) -> None:
    verb, arguments, options = CALLS[call]
    async with aio.Connection(rabbitmq.url) as connection:
        channel = await connection.channel()
        with pytest.raises(errors.InvalidArgument, match="has 256 bytes of UTF-8; the limit is 255"):
            await getattr(channel, verb)(*arguments, **options)
        assert (await channel.queue_declare("", exclusive=True)).queue
