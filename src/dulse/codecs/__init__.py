"""Payloads to bytes and back: serializers, compression, and what a receiver accepts."""

from dulse.codecs.compression import DEFAULT_LIMIT, compress, decompress
from dulse.codecs.content import Encoded, decode, encode
from dulse.codecs.markers import register_type
from dulse.codecs.orjson import use_orjson
from dulse.codecs.registry import (
    SerializerRegistry,
    disable_insecure_serializers,
    dumps,
    enable_insecure_serializers,
    loads,
    prepare_accept_content,
    register,
    registry,
    unregister,
)

__all__ = [
    "DEFAULT_LIMIT",
    "Encoded",
    "SerializerRegistry",
    "compress",
    "decode",
    "decompress",
    "disable_insecure_serializers",
    "dumps",
    "enable_insecure_serializers",
    "encode",
    "loads",
    "prepare_accept_content",
    "register",
    "register_type",
    "registry",
    "unregister",
    "use_orjson",
]
