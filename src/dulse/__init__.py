"""dulse: messaging over many brokers, with RabbitMQ's semantics on every one of them.

The names here are the blocking API. Its asyncio form has the same names, in `dulse.aio`.
"""

from __future__ import annotations

from dulse import errors
from dulse.codecs import disable_insecure_serializers, enable_insecure_serializers
from dulse.model.parameters import parse_url
from dulse.policy.lamport import LamportClock
from dulse.sync.channel import Channel
from dulse.sync.common import (
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
from dulse.sync.connection import Connection
from dulse.sync.connection_pools import ChannelPool, ConnectionPool
from dulse.sync.entity import Exchange, Queue, binding
from dulse.sync.message import Message
from dulse.sync.messaging import Consumer, Producer
from dulse.sync.mixins import ConsumerMixin, ConsumerProducerMixin
from dulse.sync.pidbox import Mailbox, Node
from dulse.sync.pools import connections, producers
from dulse.sync.resource import Resource
from dulse.sync.simple import SimpleBuffer, SimpleQueue

__version__ = "0.1.0"

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
