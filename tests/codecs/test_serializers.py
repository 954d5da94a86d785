"""Pickle, MessagePack and YAML: round trips, and bodies made to harm."""

from __future__ import annotations

import importlib
import tracemalloc
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.codecs import json, msgpack, pickle, registry, yaml
from tests.codecs.payloads import payloads

WRITTEN_BY_KOMBU: dict[str, bytes | str] = {
    "pickle": b"\x80\x04\x95\x13\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94]\x94(K\x01\x8c\x01b\x94Nes.",
    "yaml": "a:\n- 1\n- b\n- null\n",
    "msgpack": b"\x81\xa1a\x93\x01\xa1b\xc0",
}
CHARACTERS = st.characters(exclude_categories=["Cs"])
SMALL = st.integers(-(2**63), 2**64 - 1)
simple = st.recursive(
    st.none() | st.booleans() | SMALL | st.floats(allow_nan=False) | st.text(CHARACTERS) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(CHARACTERS), inner),
    max_leaves=10,
)


def read(name: str, body: bytes | str) -> Any:
    kind = registry.name_to_type[name]
    return registry.loads(body, kind, "binary", force=True)


def complaint_about(name: str, body: bytes) -> str:
    """Read a body and give the text of the DecodeError, or else the content type alone."""
    try:
        read(name, body)
    except errors.DecodeError as error:
        return str(error)
    return registry.name_to_type[name]


@pytest.mark.parametrize("name", WRITTEN_BY_KOMBU)
def test_is_written_byte_for_byte_as_kombu_writes_it(name: str) -> None:
    assert registry.dumps({"a": [1, "b", None]}, name)[2] == WRITTEN_BY_KOMBU[name]


@pytest.mark.parametrize("name", WRITTEN_BY_KOMBU)
def test_what_kombu_wrote_is_read_back(name: str) -> None:
    assert read(name, WRITTEN_BY_KOMBU[name]) == {"a": [1, "b", None]}


@given(payloads)
def test_pickle_survives_the_round_trip(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


@given(simple)
def test_msgpack_survives_the_round_trip(value: Any) -> None:
    assert msgpack.loads(msgpack.dumps(value)) == value


@given(simple)
def test_yaml_survives_the_round_trip(value: Any) -> None:
    assert yaml.loads(yaml.dumps(value)) == value


@pytest.mark.parametrize("name", WRITTEN_BY_KOMBU)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_body_may_be_any_kind_of_bytes(name: str, kind: Any) -> None:
    body = registry.dumps([1, "a"], name)[2]

    assert read(name, kind(body.encode() if isinstance(body, str) else body)) == [1, "a"]


@given(st.sampled_from(["json", "msgpack", "yaml"]), st.binary() | st.text().map(str.encode))
def test_garbage_ends_in_a_value_or_a_decode_error(name: str, body: bytes) -> None:
    assert registry.name_to_type[name] in complaint_about(name, body)


@given(payloads, st.data())
def test_a_pickle_cut_short_is_a_decode_error(value: Any, data: st.DataObject) -> None:
    body = pickle.dumps(value)

    with pytest.raises(errors.DecodeError, match=r"application/x-python-serialize"):
        read("pickle", body[: data.draw(st.integers(0, len(body) - 1))])


@given(simple, st.data())
def test_a_changed_byte_ends_in_a_value_or_a_decode_error(value: Any, data: st.DataObject) -> None:
    for name, dumps in (("msgpack", msgpack.dumps), ("json", lambda value: json.dumps(value).encode())):
        body = bytearray(dumps(value))
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        assert registry.name_to_type[name] in complaint_about(name, bytes(body))


def test_msgpack_carries_a_time_with_its_zone() -> None:
    moment = datetime(2026, 11, 22, 18, 43, tzinfo=UTC)

    assert msgpack.loads(msgpack.dumps([moment])) == [moment]


def test_yaml_carries_dates() -> None:
    assert yaml.loads(yaml.dumps({"day": date(2026, 11, 22)})) == {"day": date(2026, 11, 22)}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("msgpack", {"when": [datetime(2026, 1, 1)]}, r"\$\.when\[0\]: object of type 'datetime'"),  # noqa: DTZ001 - the point
        ("msgpack", {"big": 2**64}, r"\$\.big: object of type 'int'"),
        ("yaml", [{"thing": object()}], r"\$\[0\]\.thing: object of type 'object'"),
        ("pickle", {"call": lambda: 0}, r"\$\.call: object of type 'function'"),
    ],
)
def test_a_value_that_cannot_be_written_is_named_by_its_path(name: str, value: Any, words: str) -> None:
    with pytest.raises(errors.EncodeError, match=words):
        registry.dumps(value, name)


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\x00\x0f\x00\x00" * 200_000,  # a million elements, each of them again
        b"\xdd\x00\x0f\x00\x00" * 900 + bytes(1_000_000),
        b"\xdf\x00\x0f\x00\x00" * 200_000,
        b"\xc6\xff\xff\xff\xff",  # 4 GiB of bytes
        b"\x91" * 100_000,
        b"\x81\x91\x01\x01",  # a list as a name
        b"\xc7\x0c\xff\x00\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff",  # a time in the far future
        b"\xa1\xff",
        b"\x01\x02",
    ],
    ids=lambda body: body[:5].hex(),
)
def test_lengths_and_depths_that_a_msgpack_claims_are_checked(body: bytes) -> None:
    with pytest.raises(errors.DecodeError, match="application/x-msgpack"):
        read("msgpack", body)


def test_a_msgpack_that_claims_too_much_costs_no_memory() -> None:
    body = b"\xdd\x00\x0f\x00\x00" * 900 + bytes(1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(errors.DecodeError):
            read("msgpack", body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 10 * len(body)


def test_an_unknown_extension_of_msgpack_stays_what_it_is() -> None:
    packed = importlib.import_module("msgpack").ExtType(5, b"a")

    assert msgpack.loads(b"\xd4\x05a") == packed


@pytest.mark.parametrize(
    "body",
    [
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "a: &a {x: 1}\nb: {<<: [*a, *a]}",
        "1" + ":1" * 50_000,
        "[" * 1000,
        "{? [1]: 2}",
        "a: *b",
        "- a\nb",
        "\x00",
        "9" * 5000,
    ],
    ids=lambda body: body[:12],
)
def test_yaml_reads_plain_values_only(body: str) -> None:
    with pytest.raises(errors.DecodeError, match="application/x-yaml"):
        read("yaml", body)


def test_yaml_keeps_shared_values_shared() -> None:
    shared = [1]

    first, second = yaml.loads(yaml.dumps([shared, shared]))

    assert first is second


def test_names_of_numbers_in_yaml_are_read() -> None:
    assert yaml.loads("[0x1F, 0b11, 1:30, 1_000]") == [31, 3, 90, 1000]
