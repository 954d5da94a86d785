"""Text and bytes without a serializer, and which character sets a sender may name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.codecs import loads, text

UNICODE_SETS = ["utf-8", "UTF8", "utf_8", "utf-16", "utf-16-le", "UTF-16BE", "utf-32", "utf-32-be", "gb18030"]
BYTE_SETS = ["latin-1", "ISO-8859-1", "iso-8859-15", "cp1252", "windows-1251", "koi8-r", "us-ascii", "cp437"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(UNICODE_SETS))
def test_any_text_survives_in_a_set_that_has_all_characters(words: str, name: str) -> None:
    assert loads(text.write(words, name), "text/plain", name) == words


@given(st.binary(), st.sampled_from(BYTE_SETS))
def test_bytes_in_a_named_set_become_the_text_that_python_reads_or_a_decode_error(body: bytes, name: str) -> None:
    try:
        expected = body.decode(name)
    except UnicodeDecodeError:
        with pytest.raises(errors.DecodeError):
            loads(body, "text/plain", name)
    else:
        assert loads(body, "text/plain", name) == expected


@given(st.binary(), st.text() | st.binary() | st.none(), st.text() | st.none())
def test_no_name_of_an_encoding_or_type_ends_in_anything_but_a_value_or_a_decode_error(
    body: bytes, encoding: str | bytes | None, content_type: str | None
) -> None:
    try:
        value = loads(body, content_type, encoding)  # type: ignore[arg-type]  # a peer may send what it likes
    except errors.DecodeError:
        return
    assert isinstance(value, bytes | str)


@pytest.mark.parametrize(
    "name", ["zlib", "hex", "base64", "bz2", "rot13", "uu", "quopri", "unicode_escape", "idna", "utf-7"]
)
@pytest.mark.parametrize("content_type", ["application/data", "application/text", "text/plain", "image/png"])
def test_a_codec_that_is_not_a_character_set_never_runs(content_type: str, name: str) -> None:
    with pytest.raises(errors.DecodeError, match=name):
        loads(b"789c4b040000620062", content_type, name)


@pytest.mark.parametrize("encoding", ["binary", "BINARY", "ascii-8bit"])
def test_binary_leaves_the_bytes_as_they_are(encoding: str) -> None:
    assert loads(b"\xff\x00", "image/png", encoding) == b"\xff\x00"


@pytest.mark.parametrize("content_type", [None, "", "application/data", "application/octet-stream"])
def test_a_body_about_which_nothing_is_said_is_bytes(content_type: str | None) -> None:
    assert loads(b"words", content_type, None) == b"words"


def test_text_without_an_encoding_is_utf_8() -> None:
    assert loads("grün".encode(), "text/plain", None) == "grün"


def test_raw_text_comes_back_as_text() -> None:
    assert loads("grün".encode(), "application/data", "utf-8") == "grün"


def test_an_empty_text_is_a_text() -> None:
    assert loads(b"", "text/plain", "utf-8") == ""


def test_the_error_names_type_and_cause() -> None:
    with pytest.raises(errors.DecodeError, match="text/plain: UnicodeDecodeError"):
        loads(b"\xff", "text/plain", "utf-8")


def test_text_cannot_be_written_in_a_transformation() -> None:
    with pytest.raises(ValueError, match="zlib"):
        text.write("words", "zlib")
