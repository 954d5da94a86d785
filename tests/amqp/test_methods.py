"""The methods of the specification: what is written is read again, and damaged payloads are refused in one way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amqp_methods import main
from dulse import errors
from dulse.amqp.method import Method
from dulse.amqp.methods import BY_INDEX, basic, connection, exchange, queue

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bit": st.booleans(),
    "octet": st.integers(0, 2**8 - 1),
    "short": st.integers(0, 2**16 - 1),
    "long": st.integers(0, 2**32 - 1),
    "longlong": st.integers(0, 2**64 - 1),
    "shortstr": TEXTS,
    "longstr": st.binary(max_size=300),
    "table": st.dictionaries(TEXTS, st.integers(0, 9) | TEXTS, max_size=3),
}


@st.composite
def any_method(draw: st.DrawFn) -> Method:
    kind = draw(st.sampled_from(sorted(BY_INDEX.values(), key=lambda each: each.index)))
    return kind(**{name: draw(VALUES[of]) for name, of in kind.layout if name})


@given(any_method())
def test_a_method_comes_back_as_it_was_written(method: Method) -> None:
    data = method.encode()
    assert int.from_bytes(data[:4], "big") == method.index
    assert BY_INDEX[method.index].decode(data) == method


@given(st.sampled_from(sorted(BY_INDEX)), st.binary(max_size=60))
def test_any_arguments_are_a_method_or_a_protocol_error(index: int, data: bytes) -> None:
    try:
        found = BY_INDEX[index].decode(index.to_bytes(4, "big") + data)
    except errors.ProtocolError:
        return
    assert found.index == index


@given(any_method(), st.binary(min_size=1, max_size=3))
def test_bytes_behind_the_arguments_are_a_protocol_error(method: Method, more: bytes) -> None:
    with pytest.raises(errors.ProtocolError, match=r"more|behind|end|short|table|UTF"):
        BY_INDEX[method.index].decode(method.encode() + more)


def test_all_methods_of_the_specification_and_of_rabbitmq_are_there() -> None:
    counts: dict[int, int] = {}
    for index in BY_INDEX:
        counts[index >> 16] = counts.get(index >> 16, 0) + 1
    assert counts == {10: 14, 20: 6, 40: 8, 50: 10, 60: 18, 90: 6, 85: 2}


@pytest.mark.parametrize(
    ("method", "data"),
    [
        (exchange.UnbindOk(), "0028 0033"),
        (connection.UpdateSecret(b"s", "r"), "000a 0046 00000001 73 01 72"),
        (queue.Declare("q", durable=True, no_wait=True), "0032 000a 0000 01 71 12 00000000"),
        (basic.Nack(258, multiple=False, requeue=True), "003c 0078 0000000000000102 02"),
        (basic.Publish("e", "k", mandatory=True), "003c 0028 0000 01 65 01 6b 01"),
        (basic.GetOk(1, True, "e", "k", 7), "003c 0047 0000000000000001 01 01 65 01 6b 00000007"),
    ],
)
def test_methods_have_the_bytes_of_the_specification(method: Method, data: str) -> None:
    assert method.encode().hex() == data.replace(" ", "")


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (basic.Qos(0, 2**16), r"basic\.qos's prefetch_count is 65536"),
        (basic.Ack(-1), r"basic\.ack's delivery_tag is -1"),
        (queue.Bind(arguments={"a": object()}), r"queue\.bind's arguments\.a is object"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(method: Method, words: str) -> None:
    with pytest.raises(errors.EncodeError, match=words):
        method.encode()


def test_a_name_that_does_not_fit_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(errors.InvalidArgument, match=r"the queue of queue\.declare 'q+'… has 256 bytes.*limit is 255"):
        queue.Declare("q" * 256).encode()


def test_a_reply_is_never_itself_waiting_for_a_reply() -> None:
    assert [each.name for kind in BY_INDEX.values() for each in kind.replies if each.replies] == []


def test_the_generated_modules_are_what_the_tool_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_the_check_tells_of_a_missing_module(tmp_path: Path) -> None:
    assert main(["--root", str(tmp_path), "--check"]) == 1
    assert not (tmp_path / "src").exists()
