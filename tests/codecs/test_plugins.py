"""Serializers of installed packages, found by entry point when they are first asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dulse import errors
from dulse.codecs import SerializerRegistry

MODULE = """
def write(data):
    return data.hex()

hexadecimal = (write, bytes.fromhex, "application/x-hex")
again = (write, bytes.fromhex, "application/x-again", "us-ascii")
other_json = (write, bytes.fromhex, "application/json")
json = (write, bytes.fromhex, "application/x-other-json")
short = (write,)
"""
ENTRY_POINTS = """
[dulse.serializers]
hex = serializers_of_a_test:hexadecimal

[kombu.serializers]
hex = serializers_of_a_test:again
again = serializers_of_a_test:again
other_json = serializers_of_a_test:other_json
json = serializers_of_a_test:json
short = serializers_of_a_test:short
missing = no_such_module_of_a_test:codec
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a distribution with entry points on the path."""
    folder = tmp_path / "serializers_of_a_test-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: serializers-of-a-test\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "serializers_of_a_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "serializers_of_a_test", raising=False)


def test_a_name_that_is_asked_for_is_found(fresh: SerializerRegistry) -> None:
    assert fresh.dumps(b"\xff", "again") == ("application/x-again", "us-ascii", "ff")


def test_a_content_type_that_arrives_is_found(fresh: SerializerRegistry) -> None:
    assert fresh.loads("ff", "application/x-again", "utf-8") == b"\xff"


def test_a_name_in_accept_is_found(fresh: SerializerRegistry) -> None:
    assert fresh.loads("ff", "application/x-again", "utf-8", ["again"]) == b"\xff"


def test_of_two_by_one_name_the_one_for_dulse_is_taken(fresh: SerializerRegistry) -> None:
    assert fresh.dumps(b"\xff", "hex")[0] == "application/x-hex"


def test_a_content_type_that_is_not_accepted_is_refused(fresh: SerializerRegistry) -> None:
    with pytest.raises(errors.ContentDisallowed):
        fresh.loads("ff", "application/x-again", "utf-8", ["json"])


def test_what_is_registered_already_is_not_replaced(fresh: SerializerRegistry) -> None:
    fresh.content_type_of("again")

    assert fresh.loads("[1]", "application/json", "utf-8") == [1]
    assert fresh.dumps([1], "json")[0] == "application/json"


@pytest.mark.parametrize(("name", "cause"), [("missing", "ModuleNotFoundError"), ("short", "TypeError")])
def test_one_that_cannot_be_loaded_is_explained_when_it_is_asked_for(
    fresh: SerializerRegistry, name: str, cause: str
) -> None:
    with pytest.raises(errors.SerializerNotInstalled, match=f"{name}'.*kombu.serializers failed: {cause}"):
        fresh.dumps(b"a", name)


def test_one_whose_content_type_is_served_already_is_explained_when_it_is_asked_for(fresh: SerializerRegistry) -> None:
    with pytest.raises(errors.SerializerNotInstalled, match=r"other_json'.*application/json, which 'json' serves"):
        fresh.dumps(b"a", "other_json")


def test_nothing_is_looked_up_for_what_is_there(fresh: SerializerRegistry) -> None:
    fresh.dumps({"a": 1})
    fresh.loads(b"[1]", "application/json", "utf-8", ["json"])

    assert "serializers_of_a_test" not in sys.modules
