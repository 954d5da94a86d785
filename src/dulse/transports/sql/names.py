"""Names and values as the database keeps them: PostgreSQL's texts cannot hold the character NUL."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["digest", "shown", "stored"]


def stored(text: str) -> str:
    """Write a text without NUL; what `shown` gives back."""
    if "\0" in text or "\x10" in text:
        return text.replace("\x10", "\x10\x10").replace("\0", "\x10@")
    return text


def shown(text: str) -> str:
    """Give the text that `stored` was given."""
    if "\x10" not in text:
        return text
    return "\x10".join(part.replace("\x10@", "\0") for part in text.split("\x10\x10"))


def digest(name: str) -> bytes:
    """Name a field of a group in 16 bytes: names may be longer than what an index can hold."""
    return blake2b(name.encode(), digest_size=16).digest()
