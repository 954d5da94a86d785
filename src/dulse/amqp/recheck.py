"""Which unconfirmed messages go alone, and which in groups, after one of them made the broker close the channel."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dulse.amqp.confirms import Unconfirmed
from dulse.amqp.faults import misuse, violation
from dulse.amqp.frames import read_frame
from dulse.amqp.methods import basic

GROUP = 64


class Failed(NamedTuple):
    """A message that the broker does not take."""

    message: Unconfirmed
    error: Exception | None
    """Why the channel was closed when it came alone; None: it was refused by a basic.nack."""


class Recheck:
    """Sends a window again in trials, on a channel opened anew, until each message is confirmed or has failed.

    Nothing of a trial is sent before the one before it is settled, so that a second close loses no confirms. Those
    whose exchange the broker's words name go alone; the others in groups, and one by one where a group closes the
    channel. The words are only a hint: what fails is what closes the channel alone. The order is kept throughout, and
    no message is part of more than two trials (a lost connection apart). Not locked.
    """

    def __init__(self, messages: Sequence[Unconfirmed], error: Exception) -> None:
        self.failed: list[Failed] = []
        self._base = 1
        self._trial: list[Unconfirmed] = []
        self._settled: set[int] = set()
        self._queue: deque[list[Unconfirmed]] = deque(_trials(messages, getattr(error, "text", "")))

    def __repr__(self) -> str:
        return f"<Recheck: {len(self.remaining())} messages left, {len(self.failed)} failed>"

    @property
    def next_tag(self) -> int:
        """The tag of what is published next on the present channel."""
        return self._base + len(self._trial)

    def trial(self) -> list[Unconfirmed]:
        """Give the messages to send now; none: all is done. To be called when the trial before is settled."""
        if len(self._settled) < len(self._trial):
            raise misuse(f"{len(self._trial) - len(self._settled)} messages of this trial are not settled yet")
        self._base, self._settled = self.next_tag, set()
        self._trial = self._queue.popleft() if self._queue else []
        return self._trial

    @property
    def is_settled(self) -> bool:
        """Tell whether all of this trial is confirmed or refused."""
        return len(self._settled) == len(self._trial)

    def confirm(self, tag: int, multiple: bool) -> list[Unconfirmed]:
        """Take what a basic.ack is about, and give it; ProtocolError (406): it was never published."""
        return [self._trial[each] for each in self._settle(tag, multiple)]

    def refuse(self, tag: int, multiple: bool) -> None:
        """Take what a basic.nack is about: it has failed."""
        self.failed.extend(Failed(self._trial[each], None) for each in self._settle(tag, multiple))

    def closed(self, error: Exception) -> None:
        """Know that this trial made the broker close the channel, or the connection by a close of its own."""
        left = [each for place, each in enumerate(self._trial) if place not in self._settled]
        if len(left) == 1:
            self.failed.append(Failed(left[0], error))
        else:
            self._queue.extendleft([each] for each in reversed(left))
        self._renew()

    def lost(self) -> None:
        """Know that the connection was lost meanwhile, which tells nothing: the rest of this trial comes again."""
        left = [each for place, each in enumerate(self._trial) if place not in self._settled]
        if left:
            self._queue.appendleft(left)
        self._renew()

    def rewrite(self, written: Callable[[bytes], bytes]) -> None:
        """Have the messages in another form: cut into smaller frames, for another server. To be called after `lost`."""
        self._queue = deque([each._replace(data=written(each.data)) for each in trial] for trial in self._queue)

    def remaining(self) -> list[Unconfirmed]:
        """Give all that is neither confirmed nor failed, in order."""
        left = [each for place, each in enumerate(self._trial) if place not in self._settled]
        return [*left, *(each for trial in self._queue for each in trial)]

    def _renew(self) -> None:
        self._trial, self._settled, self._base = [], set(), 1

    def _settle(self, tag: int, multiple: bool) -> list[int]:
        last = len(self._trial) - 1
        place = tag - self._base if tag else last
        if place > last:
            raise violation(f"the broker confirms message {tag} and {self.next_tag - 1} were published", 406)
        places = range(place + 1) if multiple else [place] if place >= 0 else []
        found = [each for each in places if each not in self._settled]
        self._settled.update(found)
        return found


def _trials(messages: Sequence[Unconfirmed], words: str) -> list[list[Unconfirmed]]:
    """Cut into suspects alone, and runs of others."""
    found: list[list[Unconfirmed]] = []
    suspected = [_exchange(each.data) for each in messages]
    hinted = "exchange" in words
    size = len(messages) if any(hinted and _named(each, words) for each in suspected) else GROUP
    run: list[Unconfirmed] = []
    for each, exchange in zip(messages, suspected, strict=True):
        if hinted and _named(exchange, words):
            found += [run, [each]]
            run = []
            continue
        run.append(each)
        if len(run) >= size:
            found.append(run)
            run = []
    found.append(run)
    return [each for each in found if each]


def _named(exchange: str, words: str) -> bool:
    return bool(exchange) and f"'{exchange}'" in words


def _exchange(data: bytes) -> str:
    frame, _ = read_frame(data, 0, 1 << 32)
    return basic.Publish.decode(frame[2]).exchange if frame is not None else ""
