"""Compression: round trips, damage, and a few bytes that claim to be gigabytes."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import os
import subprocess
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dulse import errors
from dulse.codecs import compress, compression, decompress
from dulse.codecs.packages import require
from dulse.codecs.streams import zstd_module

CONTENT_TYPES = {
    "zlib": "application/x-gzip",
    "gzip": "application/x-gzip",
    "bzip2": "application/x-bz2",
    "bzip": "application/x-bz2",
    "lzma": "application/x-lzma",
    "xz": "application/x-lzma",
    "zstd": "application/zstd",
    "zstandard": "application/zstd",
    "brotli": "application/x-brotli",
}
METHODS = sorted(set(CONTENT_TYPES.values()))

# 24 bytes, compressed by Kombu 5.7.0.
WRITTEN_BY_KOMBU = {
    "application/x-gzip": b"x\x9cK)\xcd)NUH\xc1 \x01r\xfc\x08\xf5",
    "application/x-bz2": b"BZh91AY&SY\xed\r\tx\x00\x00\x03\x91\x80@\x00\x06\x04\n\x00 \x000\xc0\x02\xa8\x1aag\x10\x84<]"
    b"\xc9\x14\xe1BC\xb44%\xe0",
    "application/x-brotli": b"\x1b\x17\x00\xf8\x8dT\xb5\xbf\x06!c\xabSes1O\x1c\x00/\x00",
    "application/x-lzma": b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x16\x00\x00\x00t/\xe5\xa3\xe0\x00\x17\x00"
    b"\x0c]\x002\x1dI\xbc\xee0\x89\xf5+\xb0`\x00\x00\xf2\xe5\x91~\x8fj\x9e#\x00\x01(\x18\xd7\x83\xb7n\x1f\xb6\xf3}"
    b"\x01\x00\x00\x00\x00\x04YZ",
    "application/zstd": b"(\xb5/\xfd \x18e\x00\x000dulse \x01\x00\xf1J\x11",
}

# A gibibyte of zeros each; the first three were compressed once or twice again to fit here.
ZLIB_BOMB = (
    "c-pJD_4baT-cm-1wu}GUoJ7uuX!Y{?XkPTl@L9b;Y^jsx%yYgMZg+a+TUjS8+r$vqv4W-0T=D1p;%OhI=I^tq|7ZViu1{OyjJSRAwz@ie3=9khPWb+x"
    "d$zWh@$jwVch9}E0}2_GwV(F>ygBf}+l12FmOz1oFM4L?b!Y5Y=K1$OpUVssam#=DH8Fb|>z%ro|96V{fg%!ns}BMx1`k0VAlV=W=43!P63CoUnNgWh"
    "nNgWhnNb-+GL}(sQ9o`mos0MLuj9X;^Y__xgP$x(X`Ai?0M|r2J^"
)
BZIP2_BOMB = (
    "c-nJ{%CIzaj8qGb<l}sFpE17Af#CoH1BU{GL4&WG(*o6%Tn*Dl<wxa*zPv|G{7Htcpc5c@7O;vlteVRvDmf>*bn=TAxmpBF_}1}+2>|5%?Ck"
)
XZ_BOMB = (
    "c-pJD_4Y!vhiDnY@sIx_cXj!#Toc8;Yt8I+3ZGLq&SVw3Ccs{r^m)l)Hqo4jG-GkWyWA5Gy)jzSUNu2?SA=$yTZn{lQb(XmpyPKDmWdi}?pNl1y>~ew"
    "zqW4u{&xKuwzPbWI4LKu=XZ-)<y-uf7dvx=-jwY<nc}wO&u#%Nwn-<CJ$ur$liPjm-$%b)#lNMNn!S^{bNh4BpKZ5qUf(xISkq?n%k{TzEqZh8;dk@@"
    "-)g=;>A5la$BgXPS@ZwSv8Ycd{&IYpduY6F{k2dj>)A!`&;EJQx#{6*u3c9D)~w6?_w@GU=iT%E8LV5heuLUxoBeCk;xbq4{`vJ~W+c0o`je}^mAjsO"
    "xOg)4Ze*@?zHH8lyC!@8g+AM5K7UKijesi#1@FJi-J7{KIJtBGYy0z_f4_d8*R?vkOUxzzYPw8*l-avSy~Z<>y&mu06{e@R?^0;3(Z5BDRZ2bHe`WXm"
    "Ticx;vbA4-=8XHl4W>>1k@NGy9o^i^r{(`o{JrVxr!$)#XBKmZKYRZ-!^Nn!eo;}ajo}*GN`uu3ZzKL6bFXbrJNswZ(!A%d-$qA={W<^Ao7>pByI<w9"
    "va!>5|BZ{8!~Js4NLDYY^gs9N`|$_+mx?bvYt79gVUTd3fsvVQlrhQ}q>LNCnYVp?XrK6HcfwTP^Xjbvi>^O^qmkMFtmVY(YYU_A>8Z9{x#_*iy>5<m"
    "_J!N_OO8zc$F2JLXgvTQ9k6)"
)


def complaint_about(body: bytes, content_type: str) -> str:
    """Expand a body and give the text of the DecodeError, or else the content type alone."""
    try:
        decompress(body, content_type)
    except errors.DecodeError as error:
        return str(error)
    return content_type


def bomb(content_type: str) -> bytes:
    """Build a body that unfolds to 1 GiB."""
    match content_type:
        case "application/x-gzip":
            return zlib.decompress(zlib.decompress(base64.b85decode(ZLIB_BOMB)))
        case "application/x-bz2":
            return zlib.decompress(base64.b85decode(BZIP2_BOMB))
        case "application/x-lzma":
            return zlib.decompress(zlib.decompress(base64.b85decode(XZ_BOMB)))
        case "application/zstd":
            # RFC 8878 §3.1.1: magic, a window of 128 KiB, blocks that repeat one byte 128 Ki times, the last marked.
            block, last = ((128 * 1024 << 3 | 1 << 1 | end).to_bytes(3, "little") + b"\x00" for end in (0, 1))
            return b"\x28\xb5\x2f\xfd\x00\x38" + block * 8191 + last
        case _:
            stream = require("brotli", "brotli").Compressor(quality=1)
            zeros = bytes(1024 * 1024)
            return b"".join(stream.process(zeros) for _ in range(1024)) + bytes(stream.finish())


@pytest.mark.parametrize(("name", "content_type"), CONTENT_TYPES.items())
def test_each_name_writes_the_content_type_of_kombu(name: str, content_type: str) -> None:
    body, written_as = compress(b"a" * 100, name)

    assert written_as == content_type
    assert len(body) < 100
    assert decompress(body, name) == b"a" * 100


@pytest.mark.parametrize("content_type", METHODS)
def test_what_kombu_compressed_is_expanded(content_type: str) -> None:
    assert decompress(WRITTEN_BY_KOMBU[content_type], content_type) == b"dulse " * 4


@given(st.binary(max_size=5000), st.sampled_from(METHODS))
def test_every_body_survives_the_round_trip(body: bytes, content_type: str) -> None:
    assert decompress(compress(body, content_type)[0], content_type, limit=len(body)) == body


@pytest.mark.parametrize("content_type", METHODS)
@pytest.mark.parametrize("size", [0, 256 * 1024, 3_000_001])
def test_large_bodies_survive_the_round_trip(content_type: str, size: int) -> None:
    body = os.urandom(size // 2) + bytes(size - size // 2)

    assert decompress(compress(body, content_type)[0], content_type) == body


@pytest.mark.parametrize("content_type", METHODS)
@pytest.mark.parametrize("more", [0, 1, 100, 258, 300])
def test_output_that_ends_just_beyond_a_piece_is_complete(content_type: str, more: int) -> None:
    body = bytes(1024 * 1024 + more)

    assert decompress(compress(body, content_type)[0], content_type) == body


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("content_type", METHODS)
def test_a_body_may_be_any_kind_of_bytes(content_type: str, kind: Any) -> None:
    assert decompress(kind(compress(kind(b"abc"), content_type)[0]), content_type) == b"abc"


def test_text_is_compressed_as_utf_8() -> None:
    assert decompress(compress("grün", "zlib")[0], "zlib") == "grün".encode()


def test_a_real_gzip_is_expanded_as_well() -> None:
    assert decompress(gzip.compress(b"abc"), "application/x-gzip") == b"abc"


@pytest.mark.parametrize("preset", [0, 6, 8])
def test_an_lzma_of_the_usual_presets_is_expanded(preset: int) -> None:
    assert decompress(lzma.compress(b"abc", preset=preset), "lzma") == b"abc"


@pytest.mark.parametrize("content_type", METHODS)
def test_a_limit_is_exact(content_type: str) -> None:
    body = compress(bytes(2_000_000), content_type)[0]

    assert len(decompress(body, content_type, limit=2_000_000)) == 2_000_000
    with pytest.raises(errors.DecodeError, match=f"{content_type}.*limit of 1999999 bytes"):
        decompress(body, content_type, limit=1_999_999)


@pytest.mark.parametrize("content_type", METHODS)
def test_a_missing_end_is_a_decode_error(content_type: str) -> None:
    body = compress(b"abcdefgh" * 10, content_type)[0]

    for length in (0, 1, len(body) // 2, len(body) - 1):
        with pytest.raises(errors.DecodeError, match=content_type):
            decompress(body[:length], content_type)


@pytest.mark.parametrize("content_type", METHODS)
@pytest.mark.parametrize("size", [10, 300_000])
def test_what_follows_the_end_is_a_decode_error(content_type: str, size: int) -> None:
    body = compress(os.urandom(size), content_type)[0]

    for junk in (b"\x00", b"junk", b"x" * 300_000, body):
        with pytest.raises(errors.DecodeError, match=content_type):
            decompress(body + junk, content_type)


@given(st.binary(), st.sampled_from(METHODS))
def test_garbage_ends_in_a_value_or_a_decode_error(body: bytes, content_type: str) -> None:
    assert content_type in complaint_about(body, content_type)


@given(st.binary(min_size=20, max_size=200), st.sampled_from(METHODS), st.data())
def test_a_changed_byte_ends_in_a_value_or_a_decode_error(body: bytes, content_type: str, data: st.DataObject) -> None:
    damaged = bytearray(compress(body, content_type)[0])
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))

    assert content_type in complaint_about(bytes(damaged), content_type)


@pytest.mark.parametrize("content_type", ["application/x-unknown", "", 5, None, b"zlib", ["zlib"]])
def test_an_unknown_compression_is_a_decode_error_that_names_it(content_type: Any) -> None:
    with pytest.raises(errors.DecodeError, match="compression"):
        decompress(b"a", content_type)


@pytest.mark.parametrize(
    "function", [compression.get_encoder, compression.get_decoder, lambda name: compress(b"a", name)]
)
def test_an_unknown_name_cannot_be_published_with(function: Any) -> None:
    with pytest.raises(errors.SerializerNotInstalled, match=r"'zpi': there are gzip, zlib"):
        function("zpi")


def test_an_encoder_and_a_decoder_can_be_had_by_name() -> None:
    encoder, content_type = compression.get_encoder("bzip2")

    assert content_type == "application/x-bz2"
    assert bz2.decompress(encoder(b"abc")) == b"abc"
    assert compression.get_decoder("bzip2")(bz2.compress(b"abc")) == b"abc"


def test_all_compressions_are_listed() -> None:
    assert set(METHODS) <= set(compression.encoders())


@pytest.fixture
def reversing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a compression that is forgotten after the test."""
    for name in ("_methods", "_aliases"):
        monkeypatch.setattr(compression, name, dict(getattr(compression, name)))
    compression.register(lambda body: body[::-1], lambda body: body[::-1], "application/x-reversed", ["reversed"])


@pytest.mark.usefixtures("reversing")
def test_a_registered_compression_makes_the_round_trip() -> None:
    assert compress(b"abc", "reversed") == (b"cba", "application/x-reversed")
    assert decompress(b"cba", "application/x-reversed") == b"abc"
    assert "application/x-reversed" in compression.encoders()


@pytest.mark.usefixtures("reversing")
def test_the_result_of_a_registered_compression_is_measured() -> None:
    with pytest.raises(errors.DecodeError, match="3 bytes, more than the limit of 2"):
        decompress(b"cba", "reversed", limit=2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("content_type", METHODS)
def test_a_gibibyte_in_disguise_costs_little_memory(content_type: str) -> None:
    # VmHWM begins anew with each program; the peak that getrusage tells would begin at that of the tests.
    script = """
import sys
from dulse import errors
from dulse.codecs import compress, decompress

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

content_type = sys.argv[1]
body = sys.stdin.buffer.read()
decompress(compress(b"a", content_type)[0], content_type)
before = peak()
try:
    decompress(body, content_type)
except errors.DecodeError as error:
    print(peak() - before, error)
"""
    body = bomb(content_type)

    result = subprocess.run([sys.executable, "-c", script, content_type], input=body, capture_output=True, check=True)

    kibibytes, words = result.stdout.decode().split(" ", 1)
    assert int(kibibytes) * 1024 < 100_000_000
    assert f"as {content_type}: OverflowError: it expands to more than the limit of 67108864 bytes" in words


@pytest.mark.parametrize("content_type", ["application/x-lzma", "application/zstd"])
def test_a_body_that_asks_for_a_huge_window_is_refused(content_type: str) -> None:
    if content_type == "application/zstd":
        options = zstd_module().CompressionParameter
        body = zstd_module().compress(bytes(70_000_000), options={options.window_log: 27, options.content_size_flag: 0})
    else:
        body = lzma.compress(b"abc", preset=9)

    with pytest.raises(errors.DecodeError, match=f"(?i){content_type}.*memory"):
        decompress(body, content_type)
    assert len(decompress(body, content_type, limit=256 * 1024 * 1024)) > 0
