"""The scripts of the store, with the prelude that has them speak with Kombu's processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from dulse.links.redis.scripts import Script
from dulse.transports.redis.priorities import Order
from dulse.transports.redis.scripts import in_order

__all__ = ["ABANDONED", "GIVE_BACK", "TAKE_IN", "TOUCH", "mixed"]


def _script(name: str) -> Script:
    return Script(name, (files(__package__) / f"{name}.lua").read_text(encoding="utf-8"))


ABANDONED: Final = _script("abandoned")
GIVE_BACK: Final = _script("give_back")
TAKE_IN: Final = _script("take_in")
TOUCH: Final = _script("touch")


@cache
def mixed(steps: Sequence[int], order: Order) -> Mapping[str, Script]:
    """Give all scripts by name for fleets with these steps of priority, the lowest first, which is 0."""
    text = (files(__package__) / "prelude.lua").read_text(encoding="utf-8")
    down = ", ".join(f"'{step}'" for step in sorted(steps, reverse=True) if step)
    prelude = text.replace("STEPS_HERE", down).encode()
    return {name: Script(name, prelude + script.source) for name, script in in_order(order).items()}
