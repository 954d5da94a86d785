"""What is published on a channel and not confirmed yet: a window of messages and bytes (RabbitMQ's confirms)."""

from __future__ import annotations

from typing import NamedTuple

from dulse.amqp.faults import misuse, violation

COST = 512
"""Bytes that each message counts besides its own, so that one number bounds messages and bytes."""

MOST_IN_ROW = 256
_LONGEST_ROW = 131072
"""Messages and bytes that are put together for one call; longer ones are quicker without being copied."""


class Unconfirmed(NamedTuple):
    """A message in a window."""

    tag: int
    data: bytes
    """As a Writer wrote it."""
    token: object
    """What the publisher left for it, or None."""


class Window:
    """Keeps what is published, in the order of the wire, until the broker confirms or refuses it.

    Not locked: the owner holds its lock around each call, and around each change of `entries` and `sent`, which are new
    lists after some calls. Publishing needs no call: append to `entries`, and, in one C call, extend `sent` by what the
    socket took. Every method may be cut off by an exception (a signal handler's): it has then changed nothing, except
    that tokens of what is confirmed may be forgotten.
    """

    __slots__ = (
        "_weighed",
        "base",
        "entries",
        "extra",
        "given",
        "held",
        "messages",
        "row",
        "sent",
        "singles",
        "size",
        "tokens",
    )

    def __init__(self, messages: int = 1000, size: int = 8 * 1024 * 1024) -> None:
        if messages < 1 or size < 1:
            raise misuse(f"a window of {messages} messages and {size} bytes takes nothing; give at least 1 of each")
        self.messages = messages
        self.size = size
        """Bytes, COST of each message included; a single message over it is taken when the window is empty."""
        self.base = 1
        """The tag of the first entry; the broker counts from 1 on each channel."""
        self.entries: list[bytes] = []
        """Unconfirmed messages, and some among them that are confirmed."""
        self.sent: list[int] = []
        """The bytes of each entry that the first try gave to the kernel; those not tried yet have none."""
        self.extra: list[int] = []
        """The bytes that later tries added to the last one in `sent`."""
        self.row: bytes = b""
        """Several entries in one piece, from the first that was never tried, where they are to be sent by one call."""
        self.given: list[int] = []
        """The bytes of `row` that the kernel has taken, until `take_row` counts them to the entries."""
        self.singles: set[int] = set()
        """Tags in `entries` that are confirmed."""
        self.tokens: dict[int, object] = {}
        """By tag, of those publishers who want to know."""
        self.held = 0
        """Bytes in the window, as of the last `weigh`."""
        self._weighed = 0

    def __len__(self) -> int:
        return len(self.entries) - len(self.singles)

    def __repr__(self) -> str:
        return f"<Window: {len(self)} of {self.messages} messages, tags {self.base} to {self.last}>"

    @property
    def last(self) -> int:
        """The tag of the newest entry; 0 or what was confirmed last, if there is none."""
        return self.base + len(self.entries) - 1

    def weigh(self) -> int:
        """Count the bytes of new entries, each once, and give those of all."""
        entries = self.entries
        fresh = entries[self._weighed :]
        held, weighed = self.held + sum(map(len, fresh)) + COST * len(fresh), len(entries)
        self.held, self._weighed = held, weighed
        return held

    def room(self) -> int:
        """Give how many bytes, with COST of each message, may surely be published before this is asked again."""
        if not self.entries:
            return min(self.size, COST * self.messages)
        return max(0, min(self.size - self.weigh(), COST * (self.messages - len(self.entries))))

    def has_room(self, size: int) -> bool:
        """Tell whether a message of `size` bytes may be published now."""
        if not self.entries:
            return True
        return len(self.entries) < self.messages and self.weigh() + size + COST <= self.size

    def remainder(self) -> bytes:
        """Give what is left of the entry whose sending was begun last."""
        if not self.sent:
            return b""
        begun = self.sent[-1] + sum(self.extra)
        entry = self.entries[len(self.sent) - 1]
        return entry[begun:] if begun < len(entry) else b""

    def is_whole(self) -> bool:
        """Tell whether all of the entry whose sending was begun last is with the kernel."""
        begun = len(self.sent)
        return not begun or self.sent[-1] + sum(self.extra) >= len(self.entries[begun - 1])

    def begin_next(self) -> bytes | None:
        """Give the next entry that was never tried, with the one before counted as sent whole; None: all were tried.

        Its first try goes to `sent`, further ones go to `extra`. Call it when `remainder` is empty.
        """
        count = len(self.sent)
        if self.extra:  # first of all: what is published next by the short way has none
            self.sent[-1], self.extra = len(self.entries[count - 1]), []
        return self.entries[count] if count < len(self.entries) else None

    def begin_row(self) -> bytes:
        """Give several entries that were never tried in one piece, for one call; nothing: there are no small ones.

        What that call took goes to `given`; then comes `take_row`. Where it took nothing, the same piece comes again,
        as TLS wants it. Call it when `remainder` is empty.
        """
        if not self.row:
            size, pieces = 0, []
            for entry in self.entries[len(self.sent) : len(self.sent) + MOST_IN_ROW]:
                size += len(entry)
                if size > _LONGEST_ROW:
                    break
                pieces.append(entry)
            if len(pieces) > 1:
                self.row = b"".join(pieces)
        return self.row

    def take_row(self) -> None:
        """Count what the kernel took of a row as sent."""
        if not self.given:
            return
        taken = sum(self.given)
        at, sent = len(self.sent), self.sent.copy()
        if self.extra:
            sent[-1] = len(self.entries[at - 1])
        for entry in self.entries[at:]:
            if taken <= 0:
                break
            sent.append(min(taken, len(entry)))
            taken -= len(entry)
        self.sent, self.extra, self.given, self.row = sent, [], [], b""

    def begun(self, *, tried: bool) -> tuple[bytes, list[int]]:
        """Give the bytes that have to be sent so that no message is torn, and `sent` as it is when they are.

        `tried`: the socket has refused what is next and, as TLS does, wants the very same bytes again.
        """
        self.take_row()
        rest, sent = self.remainder(), self.sent.copy()
        if rest:
            sent[-1] = len(self.entries[len(sent) - 1])
        elif tried:
            fresh = self.entries[len(sent) :]
            rest = self.row or (fresh[0] if fresh else b"")
            left = len(rest)
            for entry in fresh:
                if left > 0:
                    sent.append(len(entry))
                    left -= len(entry)
        return rest, sent

    def is_settled(self, tag: int) -> bool:
        """Tell whether the broker has answered for a message."""
        return tag < self.base or tag in self.singles

    def confirm(self, tag: int, multiple: bool) -> list[object]:
        """Take out what a basic.ack is about, and give the tokens left for it, oldest first.

        With `multiple` all up to `tag`, with tag 0 all there are. A tag that is out already gives nothing;
        ProtocolError (406): the broker names one that was never published.
        """
        tag = self._checked(tag, multiple)
        known, found = self.tokens, range(0)
        if known:
            found = range(self.base if multiple else tag, tag + 1)
        tokens = [known.pop(each) for each in found if each in known]
        self._settle(tag, multiple)
        return tokens

    def refuse(self, tag: int, multiple: bool) -> list[Unconfirmed]:
        """Take out what a basic.nack is about, and give it, oldest first, under the rules of `confirm`."""
        tag = self._checked(tag, multiple)
        first = self.base if multiple else max(tag, self.base)
        refused = [self._at(each) for each in range(first, tag + 1) if each not in self.singles]
        for each in refused:
            self.tokens.pop(each.tag, None)
        self._settle(tag, multiple)
        return refused

    def unconfirmed(self) -> list[Unconfirmed]:
        """Give all that waits, oldest first."""
        return [self._at(each) for each in range(self.base, self.last + 1) if each not in self.singles]

    def restart(self, entries: list[Unconfirmed], base: int = 1) -> None:
        """Hold just these, none of them sent: what comes again on a new channel, whose next tag is `base`."""
        data = [each.data for each in entries]
        tokens = {base + at: each.token for at, each in enumerate(entries) if each.token is not None}
        singles: set[int] = set()
        self.row, self.given = b"", []
        self.base, self.entries, self.sent, self.extra, self.singles, self.tokens, self.held, self._weighed = (
            base,
            data,
            [],
            [],
            singles,
            tokens,
            0,
            0,
        )

    def _at(self, tag: int) -> Unconfirmed:
        return Unconfirmed(tag, self.entries[tag - self.base], self.tokens.get(tag))

    def _checked(self, tag: int, multiple: bool) -> int:
        if self.given:
            self.take_row()
        if tag > self.last:
            raise violation(f"the broker confirms message {tag} and {self.last} were published", 406)
        return tag or (self.last if multiple else 0)

    def _settle(self, tag: int, multiple: bool) -> None:
        if tag < self.base:
            return
        reached = tag + 1
        if not multiple:
            is_first = tag == self.base or self.base in self.singles
            if not is_first or len(self.singles) + (tag not in self.singles) <= len(self.entries) >> 3:
                self.singles.add(tag)
                return  # cutting the lists for each single one would cost more than all the rest
            reached = self.base
        while reached in self.singles or reached == tag:
            reached += 1
        self.weigh()
        count = reached - self.base
        gone = self.entries[:count]
        held = self.held - sum(map(len, gone)) - COST * count
        entries, sent, weighed = self.entries[count:], self.sent[count:], self._weighed - count
        extra = self.extra if sent else []
        singles = {each for each in self.singles if each > reached} if self.singles else set[int]()
        if tag > reached:
            singles.add(tag)
        self.base, self.entries, self.sent, self.extra, self.singles, self.held, self._weighed = (
            reached,
            entries,
            sent,
            extra,
            singles,
            held,
            weighed,
        )
