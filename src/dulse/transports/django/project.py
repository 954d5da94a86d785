"""The Django project around us: set up where a program of its own asks for it, and what is missing in it."""

from __future__ import annotations

import os
from typing import Any, Final

from dulse import errors

__all__ = ["APP", "set_up", "wrapper_of"]

APP: Final = "dulse.transports.django"


def set_up() -> None:
    """Let Django load its apps where nobody has done so; InvalidArgument: it cannot, or ours is not among them."""
    try:
        import django
        from django.apps import apps
        from django.conf import settings
        from django.core.exceptions import ImproperlyConfigured
    except ModuleNotFoundError as missing:
        text = f"django:// needs the package {missing.name!r}: pip install 'dulse[django]'"
        raise errors.make(errors.UnknownTransport, text) from missing
    if not apps.ready:
        if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
            text = "django:// needs the settings of a Django project: set DJANGO_SETTINGS_MODULE, or use it within one"
            raise errors.make(errors.InvalidArgument, text)
        try:
            django.setup()
        except (ImportError, ImproperlyConfigured, RuntimeError) as problem:
            text = f"Django cannot be set up, so that django:// has no database: {problem}"
            raise errors.make(errors.InvalidArgument, text) from problem
    if not apps.is_installed(APP):
        text = f"django:// needs its tables: add {APP!r} to INSTALLED_APPS and run 'manage.py migrate'"
        raise errors.make(errors.InvalidArgument, text)


def wrapper_of(alias: str) -> Any:
    """Give this thread's own connection of Django's to a database; InvalidArgument: there is no such database."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db import connections
    from django.utils.connection import ConnectionDoesNotExist

    try:
        return connections[alias]
    except ConnectionDoesNotExist:
        known = ", ".join(sorted(connections))
        text = f"django://{alias} names no database of this project: DATABASES has {known}"
        raise errors.make(errors.InvalidArgument, text) from None
    except ImproperlyConfigured as problem:
        text = f"the database {alias!r} of this project cannot be used: {problem}"
        raise errors.make(errors.InvalidArgument, text) from problem
