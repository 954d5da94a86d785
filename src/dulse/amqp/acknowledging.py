"""Acknowledgements of one channel: collected, and written as few frames (AMQP 0-9-1 §3.1.8.3)."""

from __future__ import annotations

from struct import Struct

from dulse.amqp.methods import basic

_ACK = Struct(">BHIIQBB")  # the whole frame; basic.nack, whose bits stand in one octet as well, has the same form
_METHOD = 1
_END = 0xCE
_MULTIPLE, _REQUEUE = 1, 2

_SHARE = 8
"""The part, one in so many, of the deliveries outstanding from which on acknowledgements are sent at once."""


class Acknowledgements:
    """What was delivered on a channel, and is settled by the program and perhaps not by the broker yet.

    Not locked: the owner holds its lock around each call. Whoever hands out a delivery stores its tag in `newest`
    (tags grow by 1 from 1); one that needs no acknowledgement goes to `skip`. A run of tags without a gap becomes one
    frame for all of them. A frame for several is never written for a tag that was settled before, which the broker
    would refuse. Every method may be cut off by an exception: nothing is lost then, and nothing written twice.
    """

    __slots__ = ("_channel", "_collected", "_low", "_settled", "newest", "out")

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self.newest = 0
        """The tag of the delivery that was handed out last."""
        self.out: list[bytes] = []
        """Frames to be sent; the owner takes them and puts an empty list here, in one statement."""
        self._low = 0
        self._settled: set[int] = set()
        self._collected: set[int] = set()

    def __len__(self) -> int:
        return len(self._collected)

    def __repr__(self) -> str:
        return f"<Acknowledgements: up to {self.newest}, {len(self)} collected, {self.outstanding} outstanding>"

    @property
    def outstanding(self) -> int:
        """How many deliveries were handed out and not settled by the program."""
        return self.newest - self._low - len(self._settled) - len(self._collected)

    def may_wait(self) -> bool:
        """Tell whether what is collected is so little, beside what is outstanding, that the broker hardly misses it."""
        return _SHARE * len(self._collected) < self.newest - self._low - len(self._settled)

    def ack(self, tag: int) -> bool:
        """Collect one; False: this tag was never handed out, or is settled. The broker would say so by a 406."""
        if tag > self.newest or tag <= self._low or tag in self._collected or tag in self._settled:
            return False
        self._collected.add(tag)
        return True

    def ack_up_to(self, tag: int) -> bool:
        """Collect all up to one, with tag 0 all there are; False as in `ack`."""
        tag = tag or self._highest()
        if not self._is_outstanding(tag):
            return False
        fresh = {each for each in range(self._low + 1, tag + 1) if each not in self._settled}
        self._collected |= fresh
        return True

    def skip(self, tag: int) -> None:
        """Count out a delivery that nobody acknowledges."""
        if tag == self._low + 1:
            self._low = tag
        else:
            self._settled.add(tag)

    def reject(self, tag: int, requeue: bool, multiple: bool) -> bool:
        """Write at once that one is rejected, or all up to it, and what was collected before; False as in `ack`."""
        if multiple:
            tag = tag or self._highest()
        if not self._is_outstanding(tag):
            return False
        frames, _ = self._written()
        bits = multiple * _MULTIPLE | requeue * _REQUEUE
        frames.append(_ACK.pack(_METHOD, self._channel, 13, basic.Nack.index, tag, bits, _END))
        settled = self._settled.union(self._collected, range(self._low + 1, tag + 1) if multiple else (tag,))
        self._commit(frames, _advanced(self._low, settled), settled)
        return True

    def collect(self) -> None:
        """Write what was collected to `out`."""
        if self._collected:
            self._commit(*self._written(), self._settled)

    def settle_all(self, newest: int) -> None:
        """Know that everything up to a tag is settled: put back by a basic.recover, for instance."""
        low, settled, collected = max(newest, self._low), {each for each in self._settled if each > newest}, set[int]()
        self.newest, self._low, self._settled, self._collected = max(newest, self.newest), low, settled, collected

    def _highest(self) -> int:
        tag = self.newest
        while tag > self._low and (tag in self._settled or tag in self._collected):
            tag -= 1
        return tag

    def _is_outstanding(self, tag: int) -> bool:
        return self._low < tag <= self.newest and tag not in self._collected and tag not in self._settled

    def _written(self) -> tuple[list[bytes], int]:
        """Give the frames for what is collected, and `_low` as it is after those."""
        collected = self._collected
        self._settled.update(collected)  # harmless by itself: what is in both is still to be written
        low = _advanced(self._low, self._settled)
        if len(collected) == 1:
            (tag,) = collected
            return [self._ack(tag, multiple=False)], low
        frames: list[bytes] = []
        run = [tag for tag in collected if tag <= low]
        if run:
            frames.append(self._ack(max(run), multiple=len(run) > 1))
        frames.extend(self._ack(tag, multiple=False) for tag in sorted(collected) if tag > low)
        return frames, low

    def _commit(self, frames: list[bytes], low: int, settled: set[int]) -> None:
        gone = range(self._low + 1, low + 1)
        out, collected = self.out + frames, set[int]()
        self.out, self._low, self._settled, self._collected = out, low, settled, collected
        settled.difference_update(gone)  # cut off, it leaves numbers behind that nobody asks for

    def _ack(self, tag: int, *, multiple: bool) -> bytes:
        return _ACK.pack(_METHOD, self._channel, 13, basic.Ack.index, tag, multiple, _END)


def _advanced(low: int, settled: set[int]) -> int:
    while low + 1 in settled:
        low += 1
    return low
