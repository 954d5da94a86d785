"""Matching topics: `*` stands for exactly one word, `#` for any number of them, none included.

The patterns share a trie of words. A routing key walks through it as through a nondeterministic automaton, all
places at once and none of them twice, so that no pattern, such as `#.#.#.a`, costs more than its own length a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Place(Generic[T]):
    """A place in the trie, reached by the words of the patterns so far."""

    __slots__ = ("any_one", "any_words", "found", "stays", "words")

    def __init__(self, *, stays: bool = False) -> None:
        self.words: dict[str, _Place[T]] = {}
        self.any_one: _Place[T] | None = None
        self.any_words: _Place[T] | None = None
        self.found: list[T] = []
        self.stays = stays
        """Reached by `#`, which takes any further word as well."""


class TopicTrie(Generic[T]):
    """Patterns, each with something to find."""

    def __init__(self) -> None:
        self._literal: dict[str, list[T]] = {}
        self._root: _Place[T] = _Place()
        self._everything: list[T] = []
        self._has_patterns = False

    def add(self, pattern: str, found: T) -> None:
        """Let keys that fit `pattern` find this."""
        words = _words(pattern)
        if "*" not in words and "#" not in words:
            self._literal.setdefault(pattern, []).append(found)
        elif set(words) == {"#"}:
            self._everything.append(found)
        else:
            self._grow(words).found.append(found)
            self._has_patterns = True

    def match(self, key: str) -> Sequence[T]:
        """Give what was added with the patterns that this key fits."""
        if not self._has_patterns:
            literal = self._literal.get(key, ())
            return [*literal, *self._everything] if self._everything else literal
        found = [*self._literal.get(key, ()), *self._everything]
        for place in self._walk(_words(key)):
            found += place.found
        return found

    def _grow(self, words: list[str]) -> _Place[T]:
        place = self._root
        for word in words:
            if word == "#":
                if not place.stays:  # a second `#` in a row changes nothing
                    place.any_words = place.any_words or _Place(stays=True)
                    place = place.any_words
            elif word == "*":
                place.any_one = place.any_one or _Place()
                place = place.any_one
            else:
                place = place.words.setdefault(word, _Place())
        return place

    def _walk(self, words: list[str]) -> list[_Place[T]]:
        """Give the places where all the words are used up."""
        places = _with_empty([self._root])
        for word in words:
            reached: list[_Place[T]] = []
            for place in places:
                if place.stays:
                    reached.append(place)
                following = place.words.get(word)
                if following is not None:
                    reached.append(following)
                if place.any_one is not None:
                    reached.append(place.any_one)
            if not reached:
                return []
            places = _with_empty(reached)
        return places


def _with_empty(places: list[_Place[T]]) -> list[_Place[T]]:
    """Add the places that `#` reaches without any word, and leave out repetitions."""
    reached = places + [place.any_words for place in places if place.any_words is not None]
    return list(dict.fromkeys(reached)) if len(reached) > 1 else reached


def _words(text: str) -> list[str]:
    """Take a key or pattern apart; the empty one has no words, and between two dots there is an empty word."""
    return text.split(".") if text else []
