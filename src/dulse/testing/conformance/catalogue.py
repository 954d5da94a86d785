"""All cases there are, found in the modules of the two forms."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import Literal

from dulse.testing.conformance.case import Case

Form = Literal["sync", "aio"]

FORMS: tuple[Form, ...] = ("sync", "aio")
"""The blocking API, and the asyncio one."""


@cache
def cases(form: Form) -> tuple[Case, ...]:
    """Give all cases of one form of the API, promise by promise."""
    package = import_module(f"dulse.testing.conformance.{form}")
    names = sorted(each.name for each in pkgutil.iter_modules(package.__path__))
    modules = [import_module(f"{package.__name__}.{name}") for name in names]
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, Case))


def promises(form: Form) -> dict[str, str]:
    """Give the name of each promise with the sentence that sums it up."""
    documents = {each.promise: import_module(each.function.__module__).__doc__ or "" for each in cases(form)}
    return {promise: text.strip().partition("\n")[0] for promise, text in documents.items()}
