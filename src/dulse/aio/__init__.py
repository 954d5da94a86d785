"""The messaging API in its asyncio form: the same names as in `dulse`, to be awaited."""

from __future__ import annotations

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.common import (
    Broadcast,
    collect_replies,
    drain_consumer,
    eventloop,
    ignore_errors,
    insured,
    itermessages,
    maybe_declare,
    send_reply,
    uuid,
)
from dulse.aio.connection import Connection
from dulse.aio.connection_pools import ChannelPool, ConnectionPool
from dulse.aio.entity import Exchange, Queue, binding
from dulse.aio.message import Message
from dulse.aio.messaging import Consumer, Producer
from dulse.aio.mixins import ConsumerMixin, ConsumerProducerMixin
from dulse.aio.pidbox import Mailbox, Node
from dulse.aio.pools import connections, producers
from dulse.aio.resource import Resource
from dulse.aio.simple import SimpleBuffer, SimpleQueue
from dulse.codecs import disable_insecure_serializers, enable_insecure_serializers
from dulse.model.parameters import parse_url
from dulse.policy.lamport import LamportClock

__all__ = [
    "Broadcast",
    "Channel",
    "ChannelPool",
    "Connection",
    "ConnectionPool",
    "Consumer",
    "ConsumerMixin",
    "ConsumerProducerMixin",
    "Exchange",
    "LamportClock",
    "Mailbox",
    "Message",
    "Node",
    "Producer",
    "Queue",
    "Resource",
    "SimpleBuffer",
    "SimpleQueue",
    "binding",
    "collect_replies",
    "connections",
    "disable_insecure_serializers",
    "drain_consumer",
    "enable_insecure_serializers",
    "errors",
    "eventloop",
    "ignore_errors",
    "insured",
    "itermessages",
    "maybe_declare",
    "parse_url",
    "producers",
    "send_reply",
    "uuid",
]
