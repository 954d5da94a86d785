"""Topic patterns, against their definition and against the clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse.broker.topics import TopicTrie


def fits(pattern: list[str], key: list[str]) -> bool:
    """Define what it means: `*` is one word, `#` any number of them."""
    if not pattern:
        return not key
    if pattern[0] == "#":
        return any(fits(pattern[1:], key[taken:]) for taken in range(len(key) + 1))
    return bool(key) and pattern[0] in {"*", key[0]} and fits(pattern[1:], key[1:])


def split(text: str) -> list[str]:
    return text.split(".") if text else []


def found(patterns: list[str], key: str) -> set[str]:
    trie: TopicTrie[str] = TopicTrie()
    for pattern in patterns:
        trie.add(pattern, pattern)
    return set(trie.match(key))


WORDS = st.sampled_from(["a", "b", "A", "*", "#", "", "a b", "ü"])
KEYS = st.lists(WORDS, max_size=6).map(".".join)


@given(st.lists(KEYS, max_size=8), KEYS)
def test_a_trie_finds_just_the_patterns_that_fit(patterns: list[str], key: str) -> None:
    assert found(patterns, key) == {pattern for pattern in patterns if fits(split(pattern), split(key))}


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("*.stock.#", "usd.stock", True),
        ("*.stock.#", "eur.stock.db", True),
        ("*.stock.#", "stock.nasdaq", False),
        ("*.stock.#", "a.b.stock", False),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("*", "", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("", "", True),
        ("", "a", False),
        ("a.#.b", "a.b", True),
        ("a.#.b", "a.x.y.b", True),
        ("a.#.b", "a.b.c", False),
        ("#.a.#", "x.a.y", True),
        ("#.#.a", "a", True),
        ("a.#.#.b", "a.b", True),
        ("*.#", "a", True),
        ("#.*", "", False),
        ("a.*.b", "a..b", True),
        (".", ".", True),
        ("*.*", ".", True),
        ("a.", "a", False),
        ("a*", "ab", False),
        ("a#.b", "a#.b", True),
        ("Key", "key", False),
        ("(a|b).[c]", "(a|b).[c]", True),
        ("*.b", "a\n.b", True),
    ],
)
def test_patterns_mean_what_rabbitmq_means(pattern: str, key: str, expected: bool) -> None:
    assert (pattern in found([pattern], key)) is expected


def test_stars_and_hashes_in_a_routing_key_are_words_like_others() -> None:
    assert found(["a.b", "a.*", "#.#"], "a.*") == {"a.*", "#.#"}


def test_what_is_added_twice_is_found() -> None:
    trie: TopicTrie[int] = TopicTrie()
    trie.add("a.*", 1)
    trie.add("a.*", 2)

    assert sorted(trie.match("a.b")) == [1, 2]


@pytest.mark.timeout(10)
def test_many_hashes_cost_no_more_than_their_number() -> None:
    hostile = [".".join(["#", "*"] * 40 + ["b"]), ".".join(["#"] * 120 + ["b"]), ".".join(["#", "a"] * 60 + ["b"])]

    assert found(hostile, ".".join(["a"] * 127)) == set()
    assert found(hostile, ".".join(["a"] * 126 + ["b"])) == set(hostile)
