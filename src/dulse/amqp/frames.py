"""Bytes into frames and back (AMQP 0-9-1 §4.2): sizes are refused at the header, before anything is kept."""

from __future__ import annotations

from struct import Struct

from dulse.amqp.faults import unwritable, violation

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END = b"\xce"
OVERHEAD = 8
"""Bytes of a frame around its payload: 7 in front, 1 behind."""
SMALLEST_MAXIMUM = 4096
"""Every peer must take frames of this size (§4.2.3)."""
LARGEST_MAXIMUM = 131072
"""What we take and ask for, whatever the peer wishes; RabbitMQ's default."""
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
HEARTBEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"

Frame = tuple[int, int, bytes]
"""(kind, channel, payload)."""

_HEAD = Struct(">BHI")


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Write one frame; its size is the caller's care."""
    return _HEAD.pack(kind, channel, len(payload)) + payload + END


def method_frame(channel: int, payload: bytes, maximum: int) -> bytes:
    """Write a method or content header, which cannot be split; EncodeError: it is over the frame maximum."""
    if len(payload) + OVERHEAD > maximum:
        raise unwritable(
            f"the arguments take {len(payload)} bytes and the frame maximum leaves {maximum - OVERHEAD}; shorten them"
        )
    return frame(METHOD, channel, payload)


def header_frame(channel: int, payload: bytes, maximum: int) -> bytes:
    """Write a content header, which cannot be split; EncodeError: it is over the frame maximum."""
    if len(payload) + OVERHEAD > maximum:
        raise unwritable(
            f"the headers take {len(payload)} bytes and the frame maximum leaves {maximum - OVERHEAD}; shorten them"
        )
    return frame(HEADER, channel, payload)


def body_frames(channel: int, body: bytes, maximum: int) -> list[bytes]:
    """Cut a body into frames, as pieces to be joined with what stands before them; an empty body has none."""
    size = len(body)
    room = maximum - OVERHEAD
    if 0 < size <= room:
        return [_HEAD.pack(BODY, channel, size), body, END]
    pieces: list[bytes] = []
    for start in range(0, size, room):
        piece = body[start : start + room]
        pieces += (_HEAD.pack(BODY, channel, len(piece)), piece, END)
    return pieces


class Splitter:
    """Cuts the peer's bytes into frames, however they were cut on the way.

    Keeps less than one frame. After a ProtocolError the stream is lost: it must not be fed again.
    """

    __slots__ = ("_rest", "maximum")

    def __init__(self, maximum: int = SMALLEST_MAXIMUM) -> None:
        self.maximum = maximum
        """The largest frame that is taken, with its overhead; the owner sets it when the peers have tuned."""
        self._rest = b""

    def __repr__(self) -> str:
        return f"<Splitter: {len(self._rest)} bytes of a frame, frames up to {self.maximum}>"

    def feed(self, data: bytes) -> list[Frame]:
        """Give the frames that are complete now; ProtocolError (501): damaged, unknown or over the maximum."""
        if self._rest:
            data = self._rest + data
        found: list[Frame] = []
        at, length, largest = 0, len(data), self.maximum - OVERHEAD
        unpack, append = _HEAD.unpack_from, found.append
        while length - at >= 7:
            kind, channel, size = unpack(data, at)
            if size > largest or kind not in _KINDS:
                raise _bad_head(data[at:], kind, size, self.maximum)
            stop = at + 7 + size
            if stop >= length:
                break
            if data[stop] != 0xCE:
                raise violation(f"a frame of {size} bytes ends with {data[stop]:#04x}, not 0xce", 501)
            append((kind, channel, data[at + 7 : stop]))
            at = stop + 1
        self._rest = data[at:]
        return found

    def take_protocol_header(self, data: bytes) -> bytes | None:
        """As a server, take the 8 bytes a client begins with: what follows them, or None while they are incomplete.

        ProtocolError: the peer speaks something else; answer with `PROTOCOL_HEADER` and close (§4.2.2).
        """
        self._rest += data
        size = min(len(self._rest), len(PROTOCOL_HEADER))
        if self._rest[:size] != PROTOCOL_HEADER[:size]:
            raise violation(f"a client began with {self._rest[:8]!r}, not {PROTOCOL_HEADER!r}", 501)
        if size < len(PROTOCOL_HEADER):
            return None
        more, self._rest = self._rest[size:], b""
        return more


_KINDS = frozenset((METHOD, HEADER, BODY, HEARTBEAT))


def _bad_head(data: bytes, kind: int, size: int, maximum: int) -> Exception:
    if data[:4] == b"AMQP":
        return violation(f"the server wants another protocol: {data[:8]!r} instead of {PROTOCOL_HEADER!r}", 501)
    if kind not in _KINDS:
        return violation(f"a frame of type {kind}; does the peer speak AMQP 0-9-1, and without TLS? {data[:20]!r}", 501)
    return violation(f"a frame of {size + OVERHEAD} bytes was announced, and {maximum} are allowed", 501)
