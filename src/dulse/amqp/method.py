"""What all methods are: numbered data that are written and read by a layout of their arguments."""

from __future__ import annotations

from struct import Struct
from types import ModuleType
from typing import Any, ClassVar, Self

from dulse.amqp.faults import unwritable, violation
from dulse.amqp.tables import decode_table, encode_table
from dulse.amqp.wire import (
    LONG,
    LONG_LONG,
    OCTET,
    SHORT,
    long_string,
    read_long_string,
    read_number,
    read_short_string,
    short_string,
)
from dulse.model.names import check_name

_NUMBERS: dict[str, Struct] = {"octet": OCTET, "short": SHORT, "long": LONG, "longlong": LONG_LONG}
_UNUSED: dict[str, Any] = {"shortstr": "", "longstr": b"", "table": {}}


class Method:
    """One method; the subclasses in `dulse.amqp.methods` are dataclasses of its arguments."""

    __slots__ = ()
    index: ClassVar[int] = 0
    """Class id << 16 | method id."""
    name: ClassVar[str] = ""
    """As the specification writes it, for instance ``basic.get-ok``."""
    layout: ClassVar[tuple[tuple[str, str], ...]] = ()
    """(argument, type) in wire order; a reserved argument has no name."""
    has_content: ClassVar[bool] = False
    """A header and a body follow it."""
    replies: ClassVar[tuple[type[Method], ...]] = ()
    """One of these answers it; empty if nothing does."""

    def encode(self) -> bytes:
        """Write the payload of a method frame.

        InvalidArgument names a name or another short text that does not fit, EncodeError any other argument.
        """
        chunks = [LONG.pack(self.index)]
        bits: list[bool] = []
        for argument, kind in self.layout:
            value = getattr(self, argument) if argument else _UNUSED.get(kind, 0)
            if kind == "bit":
                bits.append(bool(value))
                continue
            if bits:
                chunks.append(_octet_of(bits))
                bits = []
            if kind == "shortstr":
                check_name(f"{argument} of {self.name}", value)
            chunks.append(_encode(kind, value, f"{self.name}'s {argument}"))
        if bits:
            chunks.append(_octet_of(bits))
        return b"".join(chunks)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the payload of a method frame that has this class's index; ProtocolError: it is damaged."""
        at, end = 4, len(data)
        values: dict[str, Any] = {}
        bit = 0
        for argument, kind in cls.layout:
            value: Any
            if kind == "bit":
                if bit == 0:
                    octet, at = read_number(OCTET, data, at, end)
                    bit = octet | 0x100  # the guard reaches 1 when the octet is used up
                value, bit = bool(bit & 1), bit >> 1
                bit = 0 if bit == 1 else bit
            else:
                bit = 0
                value, at = _decode(kind, data, at, end)
            if argument:
                values[argument] = value
        if at != end:
            raise violation(f"{cls.name} has {end - at} bytes more than its arguments")
        return cls(**values)


def methods_of(*modules: ModuleType) -> dict[int, type[Method]]:
    """Collect the methods of generated modules by index."""
    found = (each for module in modules for each in vars(module).values() if isinstance(each, type))
    return {each.index: each for each in found if issubclass(each, Method) and each is not Method}


def _octet_of(bits: list[bool]) -> bytes:
    return OCTET.pack(sum(1 << place for place, bit in enumerate(bits) if bit))


def _encode(kind: str, value: Any, what: str) -> bytes:
    if kind == "shortstr":
        return short_string(value, what)
    if kind == "longstr":
        return long_string(value, what)
    if kind == "table":
        return encode_table(value, what)
    form = _NUMBERS[kind]
    if not 0 <= value < 1 << 8 * form.size:
        raise unwritable(f"{what} is {value}, and AMQP allows 0 to {(1 << 8 * form.size) - 1}")
    return form.pack(value)


def _decode(kind: str, data: bytes, at: int, end: int) -> tuple[Any, int]:
    if kind == "shortstr":
        return read_short_string(data, at, end)
    if kind == "longstr":
        return read_long_string(data, at, end)
    if kind == "table":
        return decode_table(data, at, end)
    return read_number(_NUMBERS[kind], data, at, end)
