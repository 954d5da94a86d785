"""Redis' wire format, read and written by our own code, and as hiredis does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse.links.redis import codec
from dulse.links.redis.resp import (
    LONGEST_LINE,
    MOST_ITEMS,
    MOST_LEVELS,
    NOTHING,
    ErrorReply,
    Malformed,
    Parser,
    Push,
    pack,
)


def parsed(data: bytes) -> Any:
    parser = Parser()
    parser.feed(data)
    value = parser.gets()
    assert parser.gets() is NOTHING
    return value


REPLIES: list[tuple[bytes, Any]] = [
    (b"+OK\r\n", b"OK"),
    (b":-42\r\n", -42),
    (b"$3\r\n\r\nx\r\n", b"\r\nx"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", [1, [b"a"]]),
    (b"*3\r\n*0\r\n*1\r\n*0\r\n:3\r\n", [[], [[]], 3]),
    (b"_\r\n", None),
    (b"#t\r\n", True),
    (b"#f\r\n", False),
    (b",1.5\r\n", 1.5),
    (b"(12345678901234567890\r\n", 12345678901234567890),
    (b"=7\r\ntxt:abc\r\n", b"abc"),
    (b"%1\r\n+key\r\n:1\r\n", {b"key": 1}),
    (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
    (b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nq\r\n", [b"invalidate", [b"q"]]),
]


@pytest.mark.parametrize(("data", "value"), REPLIES, ids=[data.decode() for data, _ in REPLIES])
def test_every_type_of_reply_is_read(data: bytes, value: Any) -> None:
    assert parsed(data) == value


@pytest.mark.parametrize("data", [b"-ERR no\r\n", b"!6\r\nERR no\r\n"])
def test_an_error_is_given_and_not_raised(data: bytes) -> None:
    found = parsed(data)
    assert isinstance(found, ErrorReply)
    assert (found.code, found.text) == ("ERR", "ERR no")


def test_a_push_is_known_as_such() -> None:
    assert type(parsed(b">1\r\n+pong\r\n")) is Push
    assert type(parsed(b"*1\r\n+pong\r\n")) is list


@given(st.lists(st.sampled_from(REPLIES), max_size=8), st.lists(st.integers(1, 40), min_size=1))
def test_replies_may_come_in_pieces_of_any_size(replies: list[tuple[bytes, Any]], sizes: list[int]) -> None:
    data, parser, found = b"".join(each for each, _ in replies), Parser(), []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        parser.feed(data[at : at + size])
        at, turn = at + size, turn + 1
        while (value := parser.gets()) is not NOTHING:
            found.append(value)
    assert found == [value for _, value in replies]


SIMPLE = [each for each, _ in REPLIES if each[:1] not in b"(=~"]


@given(st.lists(st.sampled_from(SIMPLE), max_size=8))
def test_our_reader_gives_what_that_of_hiredis_gives(replies: list[bytes]) -> None:
    data = b"".join(replies)
    ours = Parser()
    theirs = hiredis.Reader(notEnoughData=NOTHING)
    ours.feed(data)
    theirs.feed(data)
    for _ in replies:
        assert ours.gets() == theirs.gets()


@given(st.lists(st.one_of(st.binary(), st.text(st.characters(codec="utf-8")), st.integers()), min_size=1))
def test_our_packer_gives_what_that_of_hiredis_gives(words: list[bytes | str | int]) -> None:
    theirs: Callable[[Any], bytes] = hiredis.pack_command  # its own stub knows one word only
    assert pack(words) == theirs(tuple(words))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"?\r\n", "begins with"),
        (b":one\r\n", "where a number belongs"),
        (b"*x\r\n", "where a number belongs"),
        (b",x\r\n", "where a number belongs"),
        (b"*%d\r\n" % (MOST_ITEMS + 1), "items"),
        (b"*1\r\n" * (MOST_LEVELS + 1), "deeper"),
        (b"+" + b"x" * (LONGEST_LINE + 1), "a line of more than"),
        (b"HTTP/1.1 400 Bad Request\r\n", "begins with"),
    ],
    ids=["kind", "number", "size", "double", "items", "levels", "line", "http"],
)
def test_what_is_no_reply_is_an_error(data: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parsed(data)


@given(st.binary())
def test_garbage_gives_nothing_else_than_replies_or_that_error(data: bytes) -> None:
    parser = Parser()
    parser.feed(data)
    try:
        while parser.gets() is not NOTHING:
            pass
    except Malformed:
        return


def test_hiredis_is_used_where_it_is_installed() -> None:
    reader = codec.reader()
    assert isinstance(reader, hiredis.Reader)
    reader.feed(b"-ERR no\r\n>1\r\n+pong\r\n")
    assert isinstance(reader.gets(), ErrorReply)
    assert isinstance(reader.gets(), codec.push_type)
    assert reader.gets() is NOTHING
    reader.feed(b"?\r\n")
    with pytest.raises(Malformed, match="Protocol error"):
        reader.gets()
