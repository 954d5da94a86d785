"""What is published on a channel and not confirmed yet: a window of messages and bytes (RabbitMQ's confirms)."""

from __future__ import annotations

from collections import OrderedDict

from dulse.amqp.faults import misuse, violation


class Window:
    """Numbers what is published, from 1, and counts it until the broker confirms or refuses it.

    Not locked: the owner holds its lock around each call.
    """

    __slots__ = ("_last", "_sizes", "held", "messages", "size")

    def __init__(self, messages: int = 1000, size: int = 8 * 1024 * 1024) -> None:
        if messages < 1 or size < 1:
            raise misuse(f"a window of {messages} messages and {size} bytes takes nothing; give at least 1 of each")
        self.messages = messages
        self.size = size
        """Bytes; a single message over it is taken when the window is empty."""
        self.held = 0
        """Bytes in the window."""
        self._sizes: OrderedDict[int, int] = OrderedDict()
        self._last = 0

    def __len__(self) -> int:
        return len(self._sizes)

    def __repr__(self) -> str:
        return f"<Window: {len(self)} of {self.messages} messages, {self.held} of {self.size} bytes, last {self._last}>"

    def has_room(self, size: int) -> bool:
        """Tell whether a message of `size` bytes may be published now."""
        return not self._sizes or (len(self._sizes) < self.messages and self.held + size <= self.size)

    def add(self, size: int) -> int:
        """Take a message in, in the order of the wire, and give the tag by which the broker will name it."""
        self._last = tag = self._last + 1
        self._sizes[tag] = size
        self.held += size
        return tag

    def settle(self, tag: int, multiple: bool) -> list[int]:
        """Take out what one basic.ack or basic.nack is about and give the tags, oldest first.

        With `multiple` all up to `tag`, with tag 0 all there are. A tag of a message that is out already gives
        nothing; ProtocolError (406): the broker names one that was never published.
        """
        if tag > self._last:
            raise violation(f"the broker confirms message {tag} and {self._last} were published", 406)
        if not multiple:
            tags = [tag] if tag in self._sizes else []
        else:
            tags = []
            for each in self._sizes:
                if tag and each > tag:
                    break
                tags.append(each)
        for each in tags:
            self.held -= self._sizes.pop(each)
        return tags

    def unsettled(self) -> list[int]:
        """Give the tags of all that wait, oldest first."""
        return list(self._sizes)
