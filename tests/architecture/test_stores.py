"""A store keeps records and numbers: what they mean is decided in `broker`, and no file of a store speaks of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

TRANSPORTS = ROOT / "src/dulse/transports"
SOURCES = {".py", ".lua", ".sql", ".html"}

SPEAKS_AMQP = {
    "amqp": "its broker decides all of that by itself",
    "amqp_driver.py": "its broker decides all of that by itself",
    "redis/aio/mixed.py": "Kombu's messages and bindings are what it translates",
    "redis/mixed": "Kombu's messages and bindings are what it translates",
    "redis/sync/mixed.py": "Kombu's messages and bindings are what it translates",
    "django/admin.py": "a page that shows people the broker, over its management",
    "django/templates": "a page that shows people the broker, over its management",
}
"""What is no store, and why."""

POLICY = re.compile(
    r"\b(?-i:TTL)s?\b|message[ _-]ttl"
    r"|dead[ _-]?letter|x[ _-]death"
    r"|exchange[ _-]?types?\b|\bfan[ _-]?out\b|\btopic"
    r"|routing[ _-]?keys?\b|\bbindings?\b"
    r"|x-(?:max|expires|overflow|message|single|match|delayed?|queue)\b"
    r"|reject[ _-]publish|drop[ _-]head",
    re.IGNORECASE,
)
"""Words of what a broker decides. How long a record lives, `ttl_ms`, is a number of the contract."""


def files() -> Iterator[Path]:
    for path in sorted(TRANSPORTS.rglob("*")):
        name = path.relative_to(TRANSPORTS).as_posix()
        is_exempt = any(name == exempt or name.startswith(f"{exempt}/") for exempt in SPEAKS_AMQP)
        if path.suffix in SOURCES and not is_exempt:
            yield path


def spoken(text: str) -> list[str]:
    """Give the words of policies in a text."""
    return [found.group().lower() for found in POLICY.finditer(text)]


def test_no_store_contains_a_policy() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{number}": words
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (words := spoken(line))
    }
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "# drop it when its TTL is over",
        "arguments.get('x-message-ttl')",
        "x-max-length",
        "def dead_letter(record): ...",
        "DeadLetter",
        "exchange_type == 'fanout'",
        "routing_key",
        "drop-head",
    ],
)
def test_words_of_policies_are_found(text: str) -> None:
    assert spoken(text)


@pytest.mark.parametrize(
    "text", ["record.ttl_ms", "local ttl = 5", "dies", "max_count", "relax-maximum", "by exchanging", "settled"]
)
def test_numbers_of_the_contract_are_not_taken_for_policies(text: str) -> None:
    assert spoken(text) == []
