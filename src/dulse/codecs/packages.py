"""Import of optional packages at first use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["NotInstalled", "require"]


class NotInstalled(Exception):
    """A signal between this package's modules; the registries turn it into the error of their direction."""


def require(module: str, extra: str) -> Any:
    """Give the module, or raise `NotInstalled` with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise NotInstalled(
            f'needs the package {module!r}, which cannot be imported ({error}): pip install "dulse[{extra}]"'
        ) from error
