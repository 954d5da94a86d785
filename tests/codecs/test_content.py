"""A payload to a body and back, in the right order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.codecs import compress, decode, encode
from tests.codecs.payloads import payloads

METHODS = ["zlib", "bzip2", "lzma", "zstd", "brotli"]


@given(payloads, st.none() | st.sampled_from(["json", "pickle"]), st.none() | st.sampled_from(METHODS))
@pytest.mark.usefixtures("everything_enabled")
def test_what_is_encoded_is_decoded(payload: Any, serializer: str | None, method: str | None) -> None:
    made = encode(payload, serializer, method)

    assert isinstance(made.body, bytes)
    assert decode(made.body, made.content_type, made.content_encoding, None, made.compression) == payload


@given(st.binary(), st.text() | st.none(), st.text() | st.none(), st.sampled_from([*METHODS, None, "no such method"]))
def test_garbage_ends_in_a_value_or_an_error_of_the_receiver(
    body: bytes, content_type: str | None, encoding: str | None, method: str | None
) -> None:
    try:
        decode(body, content_type, encoding, ["json", "text"], method)
    except (errors.DecodeError, errors.ContentDisallowed):
        return


@pytest.mark.parametrize(
    ("payload", "given_type", "given_encoding", "expected"),
    [
        (b"\xff", "image/png", None, (b"\xff", "image/png", "binary")),
        ("grün", "text/csv", None, ("grün".encode(), "text/csv", "utf-8")),
        ("grün", "text/csv", "latin-1", (b"gr\xfcn", "text/csv", "latin-1")),
        (bytearray(b"a"), "image/png", None, (b"a", "image/png", "binary")),
        (memoryview(b"a"), None, None, (b"a", "application/data", "binary")),
        ({"a": 1}, None, None, (b'{"a": 1}', "application/json", "utf-8")),
    ],
)
def test_type_and_encoding_are_what_the_caller_says_or_what_fits(
    payload: Any, given_type: str | None, given_encoding: str | None, expected: tuple[bytes, str, str]
) -> None:
    made = encode(payload, content_type=given_type, content_encoding=given_encoding)

    assert made == (*expected, None)


@pytest.mark.parametrize(
    ("payload", "encoding"),
    [({"a": 1}, None), (5, "utf-8"), ("grün", "ascii"), ("a", "zlib"), ("a", "binary"), ("\ud800", None)],
)
def test_a_payload_of_another_form_than_its_type_is_refused(payload: Any, encoding: str | None) -> None:
    with pytest.raises(errors.EncodeError, match="text/plain"):
        encode(payload, content_type="text/plain", content_encoding=encoding)


def test_the_content_type_of_the_compression_is_told() -> None:
    assert encode(b"a", compression="gzip").compression == "application/x-gzip"


def test_what_is_not_accepted_is_never_expanded() -> None:
    with pytest.raises(errors.ContentDisallowed):
        decode(b"damaged", "application/json", "utf-8", ["text"], "zlib")


def test_what_is_disabled_is_never_expanded() -> None:
    with pytest.raises(errors.ContentDisallowed):
        decode(b"damaged", "application/x-python-serialize", "binary", None, "zlib")


def test_the_limit_holds_for_the_expanded_body() -> None:
    body, method = compress(b"[" + b" " * 1000 + b"]", "zlib")

    assert decode(body, "application/json", "utf-8", None, method, limit=1002) == []
    with pytest.raises(errors.DecodeError, match="limit of 1001"):
        decode(body, "application/json", "utf-8", None, method, limit=1001)


def test_a_body_that_arrives_as_text_is_read() -> None:
    assert decode('{"a": 1}', "application/json", "utf-8") == {"a": 1}
