"""Databases of the tests' Django project: added while it runs, and told to the processes that the tests start."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PROJECT = "tests.transports.django.project"
TOLD = "DULSE_DJANGO_DATABASES"


def set_up() -> None:
    """Let Django load the project of the tests."""
    os.environ["DJANGO_SETTINGS_MODULE"] = PROJECT
    import django

    django.setup()


def sqlite_config(path: Path) -> dict[str, Any]:
    """Give the settings of a database that is a file."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}


def postgresql_config(url: str, **options: Any) -> dict[str, Any]:
    """Give the settings of a database on a server."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username,
        "PASSWORD": parts.password,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "OPTIONS": options,
    }


@contextmanager
def added(config: dict[str, Any]) -> Iterator[str]:
    """Add a database to the project for a while; gives its alias."""
    set_up()
    from django.db import connections
    from django.db.backends.base.base import BaseDatabaseWrapper

    alias = f"t{secrets.token_hex(4)}"
    told = os.environ.get(TOLD, "{}")
    os.environ[TOLD] = json.dumps({**json.loads(told), alias: config})
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: config})[alias]
    try:
        yield alias
    finally:
        BaseDatabaseWrapper.close(connections[alias])  # SQLite's own would keep one that is in memory
        del connections[alias]
        del connections.settings[alias]
        os.environ[TOLD] = told


def migrate(alias: str, *app: str) -> None:
    """Make the tables of an app, or of all."""
    from django.core.management import call_command

    call_command("migrate", *app, database=alias, verbosity=0, interactive=False)
