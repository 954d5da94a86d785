"""The messaging API in its asyncio form: the same names as in `dulse`, to be awaited."""

from __future__ import annotations

from dulse import errors
from dulse.aio.channel import Channel
from dulse.aio.common import Broadcast, eventloop, maybe_declare, uuid
from dulse.aio.connection import Connection
from dulse.aio.entity import Exchange, Queue, binding
from dulse.aio.message import Message
from dulse.aio.messaging import Consumer, Producer
from dulse.aio.mixins import ConsumerMixin, ConsumerProducerMixin
from dulse.aio.pidbox import Mailbox, Node
from dulse.aio.pools import connections, producers
from dulse.aio.simple import SimpleBuffer, SimpleQueue
from dulse.codecs import disable_insecure_serializers, enable_insecure_serializers
from dulse.model.parameters import parse_url

__all__ = [
    "Broadcast",
    "Channel",
    "Connection",
    "Consumer",
    "ConsumerMixin",
    "ConsumerProducerMixin",
    "Exchange",
    "Mailbox",
    "Message",
    "Node",
    "Producer",
    "Queue",
    "SimpleBuffer",
    "SimpleQueue",
    "binding",
    "connections",
    "disable_insecure_serializers",
    "enable_insecure_serializers",
    "errors",
    "eventloop",
    "maybe_declare",
    "parse_url",
    "producers",
    "uuid",
]
