"""Code written for one form of waiting must find the same names and arguments in the other."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from dulse.links.waiting import aio, sync

LOCKS = {"Lock", "Mutex"}
"""Made without arguments and used by `with` alone, so their other methods may differ."""


def parameters(call: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(call).parameters.values()]


def public_methods(kind: type) -> dict[str, Any]:
    return {name: member for name, member in vars(kind).items() if callable(member) and not name.startswith("_")}


def test_both_forms_have_the_same_names() -> None:
    assert aio.__all__ == sync.__all__
    assert all(hasattr(module, name) for module in (aio, sync) for name in aio.__all__)


@pytest.mark.parametrize("name", [name for name in aio.__all__ if inspect.isfunction(getattr(aio, name))])
def test_functions_take_the_same_arguments(name: str) -> None:
    assert parameters(getattr(aio, name)) == parameters(getattr(sync, name))
    assert not inspect.iscoroutinefunction(getattr(sync, name))


@pytest.mark.parametrize("name", [name for name in aio.__all__ if inspect.isclass(getattr(aio, name))])
def test_classes_have_the_same_methods_with_the_same_arguments(name: str) -> None:
    if name in LOCKS:
        getattr(aio, name)()
        getattr(sync, name)()
        return
    ours, theirs = public_methods(getattr(aio, name)), public_methods(getattr(sync, name))

    # The thread of the blocking keeper has to be ended; tasks end with their loop.
    assert set(theirs) - set(ours) <= ({"stop"} if name == "Keeper" else set())
    for method in ours:
        assert parameters(ours[method]) == parameters(theirs[method])
        assert not inspect.iscoroutinefunction(theirs[method])
