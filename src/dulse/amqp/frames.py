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


def read_frame(data: bytes, at: int, maximum: int) -> tuple[Frame | None, int]:
    """Read the frame that begins at `at`, and give where the next one does.

    While it is incomplete: None, and how many octets there must be from `at` on to go further. ProtocolError (501):
    it is damaged, unknown, or over the maximum, which its first 7 octets tell.
    """
    length = len(data)
    if length - at < 7:
        return None, 7
    kind, channel, size = _HEAD.unpack_from(data, at)
    if size > maximum - OVERHEAD or kind not in _KINDS:
        raise _bad_head(data[at : at + 20], kind, size, maximum)
    stop = at + 7 + size
    if stop >= length:
        return None, stop + 1 - at
    if data[stop] != 0xCE:
        raise violation(f"a frame of {size} bytes ends with {data[stop]:#04x}, not 0xce", 501)
    return (kind, channel, data[at + 7 : stop]), stop + 1


def read_frames(data: bytes) -> list[Frame]:
    """Read frames of our own that are whole, whatever their size."""
    found: list[Frame] = []
    frame, at = read_frame(data, 0, 1 << 32)
    while frame is not None:
        found.append(frame)
        frame, at = read_frame(data, at, 1 << 32)
    return found


def read_protocol_header(data: bytes) -> bool:
    """As a server, look at what a client begins with: True, or False while the 8 bytes are incomplete.

    ProtocolError: the peer speaks something else; answer with `PROTOCOL_HEADER` and close (§4.2.2).
    """
    if not PROTOCOL_HEADER.startswith(data[: len(PROTOCOL_HEADER)]):
        raise violation(f"a client began with {data[:8]!r}, not {PROTOCOL_HEADER!r}", 501)
    return len(data) >= len(PROTOCOL_HEADER)


_KINDS = frozenset((METHOD, HEADER, BODY, HEARTBEAT))


def _bad_head(data: bytes, kind: int, size: int, maximum: int) -> Exception:
    if data[:4] == b"AMQP":
        return violation(f"the server wants another protocol: {data[:8]!r} instead of {PROTOCOL_HEADER!r}", 501)
    if kind not in _KINDS:
        return violation(f"a frame of type {kind}; does the peer speak AMQP 0-9-1, and without TLS? {data!r}", 501)
    return violation(f"a frame of {size + OVERHEAD} bytes was announced, and {maximum} are allowed", 501)
