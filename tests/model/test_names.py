"""The limit of names."""

from __future__ import annotations

from typing import Any

import pytest

from dulse import errors
from dulse.model.names import check_name


@pytest.mark.parametrize("name", ["", "q", "x" * 255, "ü" * 127, "a\n\0/'\""])
def test_a_name_of_at_most_255_bytes_is_given_back(name: str) -> None:
    assert check_name("queue name", name) == name


@pytest.mark.parametrize(("name", "size"), [("x" * 256, 256), ("ü" * 128, 256), ("😀" * 64, 256)])
def test_a_longer_one_is_refused_with_its_size_and_the_limit(name: str, size: int) -> None:
    with pytest.raises(errors.InvalidArgument, match=rf"queue name .* has {size} bytes of UTF-8; the limit is 255"):
        check_name("queue name", name)


def test_a_lone_surrogate_is_refused_with_its_place() -> None:
    with pytest.raises(errors.InvalidArgument, match="surrogate at character 1"):
        check_name("queue name", "a\ud800")


@pytest.mark.parametrize("name", [5, None, b"q", ["q"]])
def test_what_is_no_text_is_refused_with_its_type(name: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match=rf"the queue name .* is no text but {type(name).__name__}: give"):
        check_name("queue name", name)
