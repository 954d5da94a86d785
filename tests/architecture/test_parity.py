"""The blocking and the asyncio front end have the same public names, with the same signatures."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from types import ModuleType

import pytest

from blocking_form import NAMES, reworded
from tests.architecture.source_tree import modules

GENERATED = {"dulse.aio": "dulse.sync", "dulse.virtual.aio": "dulse.virtual.sync"}
BY_HAND = {"dulse.links.waiting.aio": "dulse.links.waiting.sync"}
"""The leaves wait in two ways: their names must agree, and some arguments differ."""

WRAPPERS = (property, classmethod, staticmethod)
ASYNCIO_ONLY = {"finished"}


def pairs(packages: dict[str, str]) -> list[tuple[str, str]]:
    """Name every module that exists in both forms; `tools/unasync.py --check` finds a twin that is missing."""
    twins = {
        name: twin + name.removeprefix(package)
        for package, twin in packages.items()
        for name in modules()
        if name == package or name.startswith(f"{package}.")
    }
    return [(name, twin) for name, twin in twins.items() if twin in modules()]


def public_names(module: ModuleType) -> set[str]:
    """What a module offers: its `__all__`, or else what it defines itself without an underscore."""
    declared = getattr(module, "__all__", None)
    if declared is not None:
        return set(declared) - ASYNCIO_ONLY
    own = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
    return own - ASYNCIO_ONLY


def signatures(module: ModuleType) -> Iterator[tuple[str, str]]:
    """Describe each public function, class and method of a module, by its parameters' names and defaults."""
    for name in sorted(public_names(module)):
        value = getattr(module, name)
        twin = NAMES.get(name, name)
        if inspect.isclass(value) and not issubclass(value, enum.Enum):
            yield twin, f"class({bases(value)})"
            for member, attribute in sorted(vars(value).items()):
                is_public = not member.startswith("_") or member.startswith("__")
                if is_public and (inspect.isroutine(attribute) or isinstance(attribute, WRAPPERS)):
                    yield f"{twin}.{NAMES.get(member, member)}", parameters(attribute)
        elif inspect.isroutine(value):
            yield twin, parameters(value)


def bases(value: type) -> str:
    return ", ".join(NAMES.get(base.__name__, base.__name__) for base in value.__bases__)


def parameters(value: object) -> str:
    """Describe parameters without their annotations, which name the other form's types."""
    if isinstance(value, property):
        return "property" if value.fset is None else "property that can be set"
    if isinstance(value, cached_property):
        return "cached property"
    function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
    assert callable(function)
    try:
        signature = inspect.signature(function)
    except ValueError:  # written in C, the same for both
        return "builtin"
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    text = str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    return reworded(re.sub(r" at 0x[0-9a-f]+", "", text))


@pytest.mark.parametrize(("asyncio_form", "blocking_form"), pairs(GENERATED | BY_HAND))
def test_both_forms_have_the_same_public_names(asyncio_form: str, blocking_form: str) -> None:
    names = {NAMES.get(name, name) for name in public_names(import_module(asyncio_form))}
    assert public_names(import_module(blocking_form)) == names


@pytest.mark.parametrize(("asyncio_form", "blocking_form"), pairs(GENERATED))
def test_both_forms_take_the_same_arguments(asyncio_form: str, blocking_form: str) -> None:
    assert dict(signatures(import_module(blocking_form))) == dict(signatures(import_module(asyncio_form)))


def test_what_dulse_offers_is_offered_by_its_asyncio_form_as_well() -> None:
    dulse = import_module("dulse")
    names = set(getattr(dulse, "__all__", ()))
    missing = {name for name in names if not hasattr(import_module("dulse.aio"), name)} if names else set()
    assert missing == set()


def module_of(source: str) -> ModuleType:
    module = ModuleType("invented")
    exec(source, vars(module))
    return module


ASYNCIO_FORM = """
class Pool:
    async def __aenter__(self): ...
    async def acquire(self, timeout=1.0): ...
    @property
    def size(self): ...
    def _grow(self): ...
async def connect(url, *, heartbeat=None): ...
def _private(): ...
"""


def test_a_twin_that_differs_in_async_and_in_private_names_is_the_same() -> None:
    twin = (
        ASYNCIO_FORM.replace("async ", "").replace("__aenter__", "__enter__").replace("_grow(self", "_shrink(self, by")
    )
    assert dict(signatures(module_of(twin))) == dict(signatures(module_of(ASYNCIO_FORM)))


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("timeout=1.0", "timeout=2.0"),
        ("timeout=1.0", "deadline=1.0"),
        ("url, *,", "url,"),
        ("acquire", "take"),
        ("connect", "open"),
        ("    @property\n", ""),
    ],
)
def test_a_twin_that_differs_in_what_users_see_is_noticed(here: str, there: str) -> None:
    twin = module_of(ASYNCIO_FORM.replace(here, there))
    assert dict(signatures(twin)) != dict(signatures(module_of(ASYNCIO_FORM)))
