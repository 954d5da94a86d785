"""Credentials are written as each mechanism wants them, and never shown."""

from __future__ import annotations

import pytest

from dulse import errors
from dulse.amqp.sasl import AMQPlain, External, Mechanism, Plain, choose


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [
        (Plain("guest", "päss"), b"\0guest\0p\xc3\xa4ss"),
        (AMQPlain("u", "p"), b"\x05LOGINS\x00\x00\x00\x01u\x08PASSWORDS\x00\x00\x00\x01p"),
        (External(), b""),
        (External("me"), b"me"),
    ],
)
def test_a_mechanism_writes_its_response(mechanism: Mechanism, response: bytes) -> None:
    assert mechanism.response() == response


def test_a_password_that_changes_is_asked_for_each_time() -> None:
    tokens = iter(["first", "second"])
    mechanism = Plain("u", lambda: next(tokens))
    assert [mechanism.response(), mechanism.response()] == [b"\0u\0first", b"\0u\0second"]


def test_the_first_mechanism_that_the_server_offers_is_taken() -> None:
    wanted: list[Mechanism] = [External(), AMQPlain("u", "p"), Plain("u", "p")]
    assert choose(wanted, b"PLAIN AMQPLAIN").name == "AMQPLAIN"


def test_no_mechanism_in_common_names_both_sides() -> None:
    with pytest.raises(errors.AuthenticationFailed, match=r"offers SCRAM, \S+ and we may use PLAIN"):
        choose([Plain("u", "p")], b"SCRAM \xff")


def test_a_nul_in_a_name_is_refused() -> None:
    with pytest.raises(errors.EncodeError, match="NUL"):
        Plain("a\0b", "p").response()


@pytest.mark.parametrize("mechanism", [Plain("u", "hidden"), AMQPlain("u", "hidden")])
def test_a_password_is_not_shown(mechanism: Mechanism) -> None:
    assert "hidden" not in repr(mechanism)
