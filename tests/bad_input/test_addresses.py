"""Addresses and options that cannot be right are refused at once, by a text that says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import Connection, aio, errors
from dulse.drivers import register, schemes


@pytest.mark.parametrize("front", [Connection, aio.Connection])
def test_an_unknown_scheme_is_told_with_those_that_are_known(front: type[Any]) -> None:
    with pytest.raises(errors.UnknownTransport) as caught:
        front("nosuch://host/")

    assert "'nosuch'" in str(caught.value)
    for scheme in schemes():
        assert scheme in str(caught.value)


def test_an_unknown_scheme_is_told_what_to_install_for_those_that_need_a_client() -> None:
    with pytest.raises(errors.UnknownTransport, match=r"For mariadb, mysql, .*: pip install 'dulse\[sql\]'"):
        Connection("carrier-pigeon://loft")


def test_a_scheme_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(errors.UnknownTransport, match="did you mean 'sqlite'"):
        Connection("sqlit:///file")


def test_a_transport_whose_package_is_missing_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dulse.drivers._schemes", {})
    register("needy", "dulse_needs_this_package:DRIVER")

    with pytest.raises(errors.UnknownTransport, match="'dulse_needs_this_package': pip install dulse_needs"):
        Connection("needy://host/")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "No broker URL was given"),
        ("://", "does not begin with a scheme"),
        ("sqlite://", "names no file"),
        ("memory://host:port/", "port"),
        ("memory://host:70000/", "65535"),
        ("memory://u:p@ss/word@host/", "Percent-encode"),
        ("memory://host/%zz", "%25"),
    ],
)
def test_a_url_that_cannot_be_understood_says_why(url: str, text: str) -> None:
    with pytest.raises(errors.InvalidURL, match=text):
        Connection(url)


@pytest.mark.parametrize("where", ["query", "options"])
@pytest.mark.parametrize("scheme", ["memory", "sqlite"])
@pytest.mark.parametrize("front", [Connection, aio.Connection])
def test_an_unknown_option_is_named_with_the_nearest(front: type[Any], scheme: str, where: str) -> None:
    url = f"{scheme}:////somewhere" if scheme == "sqlite" else "memory://somewhere"

    with pytest.raises(
        errors.UnknownOption, match=rf"The {scheme} transport has no option 'leese'; did you mean 'lease'"
    ):
        front(f"{url}?leese=3") if where == "query" else front(url, transport_options={"leese": 3})


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("lease=0", "'lease' .* from 1 to .*, not '0'"),
        ("lease=-1", "'lease' .*, not '-1'"),
        ("lease=soon", "'lease' .*, not 'soon'"),
        ("visibility_timeout=0", "'visibility_timeout' .* from 1"),
        ("lease=2&visibility_timeout=3", "one option"),
        ("durability=some", "'durability' .* one of 'full', 'normal', not 'some'"),
        ("waking=now", "'waking' .* one of 'push', 'poll'"),
        ("max_hold=0", "'max_hold' .* from 1"),
        ("on_network=perhaps", "'on_network'"),
    ],
)
def test_an_option_out_of_range_is_told_with_its_range(query: str, text: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=text):
        Connection(f"sqlite:////nowhere?{query}")


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "soon"])
@pytest.mark.parametrize("name", ["connect_timeout", "heartbeat"])
@pytest.mark.parametrize("front", [Connection, aio.Connection])
def test_a_time_that_is_none_is_refused_by_the_constructor(front: type[Any], name: str, value: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match=f"'{name}' .* number of seconds"):
        front("memory://", **{name: value})


def test_a_file_is_made_by_no_address_that_is_refused(tmp_path: Any) -> None:
    for query in ("leese=3", "lease=0", "durability=some"):
        with pytest.raises(errors.InvalidArgument):
            Connection(f"sqlite:///{tmp_path}/broker?{query}")

    assert list(tmp_path.iterdir()) == []
