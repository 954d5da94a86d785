"""docs/kombu.md is true: the names that Kombu's users look for are where it says, in both APIs."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import dulse

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "kombu.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(kombu[\w.]*)` \| `(dulse[\w.]*)` \| (.*) \|$", GUIDE, re.MULTILINE)
AT_THE_TOP = [
    "Broadcast",
    "ChannelPool",
    "ConnectionPool",
    "ConsumerMixin",
    "ConsumerProducerMixin",
    "LamportClock",
    "Mailbox",
    "Node",
    "Resource",
    "SimpleBuffer",
    "SimpleQueue",
    "collect_replies",
    "drain_consumer",
    "eventloop",
    "ignore_errors",
    "insured",
    "itermessages",
    "maybe_declare",
    "send_reply",
    "uuid",
]


@pytest.mark.parametrize(("kombu", "ours", "names"), ROWS)
def test_a_module_has_the_names_that_are_told(kombu: str, ours: str, names: str) -> None:
    told = re.findall(r"`(\w+)`", names)
    assert told
    for module in {ours, "dulse.aio" if ours == "dulse" else ours.replace(".sync.", ".aio.")}:
        assert [name for name in told if not hasattr(import_module(module), name)] == []


def test_the_guide_tells_of_each_module_that_programs_import() -> None:
    assert [kombu for kombu, _, _ in ROWS if kombu.count(".") < 2] == [
        "kombu",
        *(
            f"kombu.{name}"
            for name in ["clocks", "common", "compression", "connection", "entity", "exceptions", "matcher", "message"]
        ),
        *(
            f"kombu.{name}"
            for name in ["messaging", "mixins", "pidbox", "pools", "resource", "serialization", "simple"]
        ),
    ]


@pytest.mark.parametrize("name", AT_THE_TOP)
def test_what_messaging_programs_use_often_is_at_the_top(name: str) -> None:
    assert name in dulse.__all__
    assert name in import_module("dulse.aio").__all__


def test_the_errors_without_a_counterpart_are_those_told() -> None:
    (told,) = re.findall(r"^`VersionMismatch`.*$|.*(`VersionMismatch`.*) do not exist", GUIDE, re.MULTILINE)
    assert [name for name in re.findall(r"`(\w+)`", told) if hasattr(dulse.errors, name)] == []
