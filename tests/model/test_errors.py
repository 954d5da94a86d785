"""Errors that another package's stand for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import dulse
from dulse import errors


class TheirsError(Exception):
    """What users of another package catch."""


class Both(errors.NotFound, TheirsError):
    """Theirs, as one of ours."""


@pytest.fixture
def substituted() -> Iterator[None]:
    """Have theirs raised for this test."""
    errors.substitute(errors.NotFound, Both)
    yield
    errors.substitute(errors.NotFound, errors.NotFound)


@pytest.mark.usefixtures("substituted")
def test_what_stands_for_an_error_is_raised_and_is_among_the_errors_of_the_connection() -> None:
    with dulse.Connection("memory://substituted") as connection:
        with pytest.raises(TheirsError) as caught:
            connection.default_channel.queue_declare("missing", passive=True)

        assert isinstance(caught.value, connection.channel_errors)
        assert caught.value.code == 404  # type: ignore[attr-defined]  # it is ours as well


def test_what_is_no_subclass_cannot_stand_for_an_error() -> None:
    with pytest.raises(errors.InvalidArgument, match="TheirsError cannot stand for NotFound"):
        errors.substitute(errors.NotFound, TheirsError)  # type: ignore[type-var]  # that is the point
