"""Reads the notes of killed and living processes, and gives an account of every message."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Handing:
    """One delivery of a message, and what its consumer did about it, as far as it came."""

    at: int
    worker: str
    redelivered: bool
    fate: str = "nothing"


@dataclass
class Account:
    """What became of the messages of a run."""

    published: set[str] = field(default_factory=set)
    attempted: set[str] = field(default_factory=set)
    handings: dict[str, list[Handing]] = field(default_factory=dict)
    dead: Counter[str] = field(default_factory=Counter)
    killed: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Path) -> Account:
        account = cls(killed=set(json.loads((folder / "killed.json").read_text())))
        for path in folder.glob("*.notes"):
            account._read(path)
        for handings in account.handings.values():
            handings.sort(key=lambda handing: handing.at)
        return account

    def _read(self, path: Path) -> None:
        held: dict[str, Handing] = {}
        for line in path.read_text().splitlines():
            at, event, ident, more = line.split(" ")
            if event == "publishing":
                self.attempted.add(ident)
            elif event == "published":
                self.published.add(ident)
            elif event == "dead":
                self.dead[ident] += 1
            elif event == "delivered":
                held[ident] = Handing(int(at), path.stem, more == "True")
                self.handings.setdefault(ident, []).append(held[ident])
            else:
                held[ident].fate = event

    def lost(self) -> list[str]:
        """Messages whose publishing was confirmed and that nobody settled for good."""
        return sorted(ident for ident in self.published if not self._is_settled(ident))

    def unsettled(self) -> list[str]:
        """Messages that were handed out and then lost, also those whose publisher died before it knew."""
        return sorted(ident for ident in self.handings if not self._is_settled(ident))

    def _is_settled(self, ident: str) -> bool:
        if ident in self.dead:
            return True
        handings = self.handings.get(ident)
        return bool(handings) and handings is not None and handings[-1].fate in {"to-ack", "ack"}

    def wrongly_dead(self) -> list[str]:
        """Messages dead-lettered twice, or not although they were rejected, or although they were not."""
        rejected = {ident for ident, handings in self.handings.items() if handings[-1].fate in {"to-reject", "reject"}}
        wrong = {ident for ident, times in self.dead.items() if times != 1}
        return sorted(wrong | (rejected ^ set(self.dead)))

    def again(self) -> dict[str, int]:
        """How many messages each process had that were delivered again, although it did not put them back."""
        found: Counter[str] = Counter()
        for handings in self.handings.values():
            for handing in handings[:-1]:
                if handing.fate != "requeue":
                    found[handing.worker] += 1
        return dict(found)

    def interrupted(self) -> int:
        """How many messages the killed had taken: delivered again, or marked at the first delivery that we saw."""
        unseen = sum(handings[0].redelivered for handings in self.handings.values())
        return unseen + sum(self.again().values())

    def unmarked(self) -> list[str]:
        """Messages delivered again without a mark."""
        return sorted(
            ident
            for ident, handings in self.handings.items()
            if not all(handing.redelivered for handing in handings[1:])
        )
