"""The quick way in: whole deliveries, confirms and heartbeats out of a buffer, with few calls.

It changes nothing, so that whoever is interrupted meanwhile can begin again. All that is unusual, incomplete or wrong
is left where it stands, for the engine to take frame by frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

from dulse.amqp.channel import Channel
from dulse.amqp.delivery import Delivery
from dulse.amqp.events import Event, Told
from dulse.amqp.faults import violation
from dulse.amqp.methods import basic
from dulse.amqp.wire import read_short_string

_METHOD = Struct(">BHIIB").unpack_from  # the first octet of the arguments is the length of a consumer tag
_TAG = Struct(">QB").unpack_from
_HEADER = Struct(">BBHIHHQ").unpack_from  # from the last octet of the method frame on
_BODY = Struct(">BBHI").unpack_from  # from the last octet of the header frame on
_DELIVER = basic.Deliver.index
_ACK = basic.Ack.index
_HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_MOST_NAMES = 1000

Names = dict[bytes, tuple[str, str]]
"""Exchange and routing key by the octets that carry them."""
Tags = dict[bytes, str]
"""Consumer tags by theirs."""


class Reader:
    """Reads for one connection; `largest` octets of payload are taken of a frame, `message_max` of a message."""

    __slots__ = ("_forms", "_names", "_tags", "channels", "largest", "message_max")

    def __init__(self, channels: Mapping[int, Channel], largest: int, message_max: int) -> None:
        self.channels = channels
        self.largest = largest
        self.message_max = message_max
        self._names: Names = {}
        self._tags: Tags = {}
        self._forms: dict[tuple[int, int, int], Struct] = {}

    def read(self, data: bytes, at: int, events: list[Event]) -> tuple[int, int]:  # noqa: C901, PLR0911, PLR0912 -- each call would cost every message
        """Append to `events` what begins at `at`, and give where it ends.

        The second number is not 0 if there is nothing more to do until so many octets are there from that place on.
        """
        length, largest, names, tags, append = len(data), self.largest, self._names, self._tags, events.append
        known = -1
        while length - at >= 21:
            kind, number, size, index, short = _METHOD(data, at)
            stop = at + 7 + size
            if kind != 1 or size > largest:
                if kind == 8 and data[at : at + 8] == _HEARTBEAT:
                    at += 8
                    continue
                return at, 0
            if number != known:
                found = self.channels.get(number)
                if found is None or not found.is_idle:
                    return at, 0
                known = number
            if index == _ACK:
                if size != 13 or data[stop] != 0xCE:
                    return at, 0
                tag, bits = _TAG(data, at + 11)
                append(Told(number, basic.Ack(tag, bits & 1 == 1)))
                at = stop + 1
                continue
            tag_at = at + 12 + short
            if index != _DELIVER or tag_at + 11 > stop or stop + 20 > length:
                return at, 0
            end, kind, other, size, group, _, whole = _HEADER(data, stop)
            middle = stop + 8 + size
            if (
                end != 0xCE
                or kind != 2
                or other != number
                or group != 60
                or not 14 <= size <= largest
                or whole > self.message_max
            ):
                return at, 0
            last = middle
            if whole:
                if middle + 8 > length:
                    return at, middle + 8 - at
                end, kind, other, size = _BODY(data, middle)
                if end != 0xCE or kind != 3 or other != number or size != whole or size > largest:
                    return at, 0
                last = middle + 8 + size
            if last >= length:
                return at, last + 1 - at
            if data[last] != 0xCE:
                return at, 0
            tag, bits = _TAG(data, tag_at)
            raw, raw_names = data[at + 12 : tag_at], data[tag_at + 9 : stop]
            consumer_tag = tags[raw] if raw in tags else self._learn_tag(raw)
            append(
                Delivery(
                    number,
                    consumer_tag,
                    tag,
                    bits & 1 == 1,
                    names[raw_names] if raw_names in names else self._learn_names(raw_names),
                    data[stop + 8 : middle],
                    data[middle + 8 : last],
                )
            )
            if whole and length - last > last - at:
                lengths = short, len(raw_names), middle - stop - 20
                same = data[at:tag_at], data[stop : stop + 12], data[middle : middle + 4]
                at = self._read_alike(data, last + 1, lengths, same, (number, consumer_tag), events)
            else:
                at = last + 1
        return at, 0

    def _read_alike(
        self,
        data: bytes,
        at: int,
        lengths: tuple[int, int, int],
        same: tuple[bytes, bytes, bytes],
        consumer: tuple[int, str],
        events: list[Event],
    ) -> int:
        """Append what follows of the same consumer with names and properties of the same lengths, by fewer calls."""
        number, consumer_tag = consumer
        first, second, third = same
        form = self._forms[lengths] if lengths in self._forms else self._learn_form(lengths)
        length, names, append, unpack, ahead = len(data), self._names, events.append, form.unpack_from, form.size
        most, header = min(self.largest, self.message_max), lengths[2] + 20
        while length - at > ahead:
            front, tag, bits, raw_names, middle, whole, back, size = unpack(data, at)
            start = at + ahead
            last = start + size
            if front != first or middle != second or back != third or whole != size or not 0 < size <= most:
                return at
            if last >= length or data[last] != 0xCE:
                return at
            append(
                Delivery(
                    number,
                    consumer_tag,
                    tag,
                    bits & 1 == 1,
                    names[raw_names] if raw_names in names else self._learn_names(raw_names),
                    data[start - header : start - 8],
                    data[start:last],
                )
            )
            at = last + 1
        return at

    def _learn_form(self, lengths: tuple[int, int, int]) -> Struct:
        """Make what unpacks the frames before a body, if the lengths of tag, names and properties are these."""
        tag, names, properties = lengths
        made = Struct(f">{12 + tag}sQB{names}s12sQ{properties}x4sI")
        if len(self._forms) >= _MOST_NAMES:
            self._forms.clear()
        self._forms[lengths] = made
        return made

    def _learn_tag(self, raw: bytes) -> str:
        tag, _ = read_short_string(bytes((len(raw),)) + raw, 0, len(raw) + 1)
        if len(self._tags) >= _MOST_NAMES:
            self._tags.clear()
        self._tags[raw] = tag
        return tag

    def _learn_names(self, raw: bytes) -> tuple[str, str]:
        exchange, at = read_short_string(raw, 0, len(raw))
        routing_key, at = read_short_string(raw, at, len(raw))
        if at != len(raw):
            raise violation(f"basic.deliver has {len(raw) - at} bytes more than its arguments")
        if len(self._names) >= _MOST_NAMES:
            self._names.clear()
        self._names[raw] = exchange, routing_key
        return exchange, routing_key
