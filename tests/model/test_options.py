from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal

import pytest

from dulse import errors
from dulse.model.options import VirtualOptions, build, option


@dataclass(frozen=True, slots=True, kw_only=True)
class TidalOptions(VirtualOptions):
    durability: Literal["full", "normal"] = "full"
    level: Literal[1, 2] = 1
    folder: str = "data"
    batch: int = option(100, minimum=1, maximum=1000)
    ratio: float = option(0.5, maximum=1)
    eager: bool = False
    steps: tuple[int, ...] = (0, 3)
    extra: Mapping[str, Any] | None = None
    anything: Any = None
    margin: timedelta | None = None


def tidal(**given: Any) -> TidalOptions:
    return build(TidalOptions, given, of="the tidal transport")


def test_options_that_are_not_given_have_their_defaults() -> None:
    assert tidal() == TidalOptions()


def test_every_virtual_transport_takes_what_kombus_take() -> None:
    names = {declared.name for declared in fields(VirtualOptions)}

    assert names >= {"max_retries", "interval_start", "interval_step", "interval_max", "connect_retries_timeout"}
    assert names >= {"errback", "callback", "polling_interval", "body_encoding", "deadletter_queue"}


def test_the_lease_is_20_seconds_and_also_called_visibility_timeout() -> None:
    assert tidal().lease == 20.0
    assert tidal(visibility_timeout=30).lease == 30.0


def test_an_option_given_under_two_names_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="'lease' and 'visibility_timeout' are one option"):
        tidal(lease=5, visibility_timeout=6)


def test_an_unknown_option_is_refused_with_its_transport_and_the_nearest_name() -> None:
    with pytest.raises(errors.UnknownOption) as caught:
        tidal(visibility_timout=30)

    assert str(caught.value) == (
        "The tidal transport has no option 'visibility_timout'; did you mean 'visibility_timeout'?"
    )


def test_an_unknown_option_near_to_none_is_refused_with_all_names() -> None:
    with pytest.raises(errors.UnknownOption, match=r"it has anything, batch, .*visibility_timeout"):
        tidal(zzzzzz=1)


def test_an_unknown_option_shows_no_value() -> None:
    with pytest.raises(errors.UnknownOption) as caught:
        tidal(passwrd="tOpSeCrEt")

    assert "tOpSeCrEt" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("batch", "7", 7),
        ("ratio", "0.25", 0.25),
        ("ratio", 1, 1.0),
        ("eager", "true", True),
        ("eager", "ON", True),
        ("eager", "0", False),
        ("eager", "no", False),
        ("lease", "30", 30.0),
        ("lease", "1500ms", 1.5),
        ("lease", "20s", 20.0),
        ("lease", "5m", 300.0),
        ("lease", "1h", 3600.0),
        ("lease", "1d", 86400.0),
        ("lease", timedelta(minutes=2), 120.0),
        ("max_retries", "none", None),
        ("max_retries", "3", 3),
        ("body_encoding", "none", None),
        ("durability", "normal", "normal"),
        ("level", "2", 2),
        ("steps", "0,3,6,9", (0, 3, 6, 9)),
        ("steps", [1, 2], (1, 2)),
        ("steps", "", ()),
        ("deadletter_queue", "none", "none"),
        ("extra", {"a": 1}, {"a": 1}),
        ("anything", 3, 3),
        ("errback", print, print),
        ("margin", timedelta(1), timedelta(1)),
    ],
)
def test_values_and_texts_of_a_query_become_what_is_declared(name: str, value: Any, expected: Any) -> None:
    given = getattr(tidal(**{name: value}), name)

    assert given == expected
    assert type(given) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("batch", 0, "a whole number from 1 to 1,000, not 0"),
        ("batch", 1001, "a whole number from 1 to 1,000, not 1001"),
        ("batch", "many", "a whole number from 1 to 1,000, not 'many'"),
        ("batch", 1.0, "a whole number from 1 to 1,000, not 1.0"),
        ("batch", True, "a whole number from 1 to 1,000, not True"),
        ("batch", None, "a whole number from 1 to 1,000, not None"),
        ("ratio", 2, "a number of at most 1, not 2"),
        ("ratio", "nan", "a number of at most 1, not 'nan'"),
        ("lease", 0.5, "a number of seconds from 1 to 1,000,000,000, not 0.5"),
        ("lease", float("inf"), "a number of seconds from 1 to 1,000,000,000, not inf"),
        pytest.param("lease", 10**5000, "to 1,000,000,000, not a number that large", id="too long to print"),
        ("lease", "5 parsecs", "a number of seconds from 1 to 1,000,000,000, not '5 parsecs'"),
        ("lease", "9" * 100, "not '" + "9" * 59 + "…"),
        ("max_retries", -1, "a whole number of at least 0 or None, not -1"),
        ("eager", 1, "true or false, not 1"),
        ("durability", "half", "one of 'full', 'normal', not 'half'"),
        ("level", True, "one of 1, 2, not True"),
        ("folder", b"x", "a text, not an object of type bytes"),
        ("steps", [1, "x"], "several values, each a whole number, not an object of type list"),
        ("extra", "password", "a mapping or None, not an object of type str"),
        ("errback", 3, "something to call or None, not an object of type int"),
        ("margin", 3, "of type timedelta or None, not an object of type int"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_the_option_and_what_it_may_be(
    name: str, value: Any, text: str
) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        tidal(**{name: value})

    assert str(caught.value).startswith(f"Option '{name}' of the tidal transport must be ")
    assert str(caught.value).endswith(text)


def test_an_alias_is_named_in_the_error_as_it_was_given() -> None:
    with pytest.raises(errors.InvalidArgument, match="Option 'visibility_timeout' of"):
        tidal(visibility_timeout=0)


def test_a_declaration_of_several_types_is_a_programming_error() -> None:
    @dataclass(frozen=True)
    class Odd:
        mixed: int | str = 0

    with pytest.raises(TypeError, match="one type"):
        build(Odd, {}, of="the odd transport")


def test_a_declaration_of_a_type_that_no_text_can_become_is_a_programming_error() -> None:
    @dataclass(frozen=True)
    class Odd:
        pair: tuple[int, str] = (0, "")

    with pytest.raises(TypeError, match="cannot have the type"):
        build(Odd, {"pair": (1, "x")}, of="the odd transport")
