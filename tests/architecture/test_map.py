"""ARCHITECTURE.md is true: what it names is there, and nothing that belongs into its tables is missing."""

from __future__ import annotations

import re
from itertools import chain

from dulse.model.capabilities import Capabilities
from tests.architecture.source_tree import ROOT

MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src/dulse"


def rows(heading: str) -> list[list[str]]:
    """Give the cells of the first table below a line."""
    table = MAP.split(heading, 1)[1].split("\n|", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def is_there(named: str) -> bool:
    """Tell whether a file or folder of this name lies somewhere in the package, or this path in the repository."""
    return (ROOT / named).exists() or any(PACKAGE.rglob(named.rstrip("/")))


def test_every_place_to_change_something_is_there() -> None:
    places = [
        place for _, cell in rows("## Where do I change") for place in re.findall(r"`([\w/*]+(?:\.py|/\w+|/))`", cell)
    ]
    assert len(places) > 40
    assert [place for place in places if not is_there(place)] == []


def test_every_capability_is_explained() -> None:
    explained = chain.from_iterable(cells[0].split(", ") for cells in rows("## The contracts"))
    assert sorted(explained) == sorted(Capabilities._fields)
