"""Databases of a Django project as fixtures: each gives the alias of a fresh one whose tables are made."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transports.django.databases import added, migrate, postgresql_config, sqlite_config


@pytest.fixture(scope="session")
def django_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables, to be copied."""
    pytest.importorskip("django", reason="Django is not installed: pip install 'dulse[django]'")
    path = tmp_path_factory.mktemp("django") / "template.sqlite"
    with added(sqlite_config(path)) as alias:
        migrate(alias)
    return path


@pytest.fixture
def django_sqlite(django_template: Path) -> Iterator[str]:
    """A database in a file that no disk is waited for: what a killed process has written is kept all the same."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="dulse-", dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "project.sqlite"
        shutil.copy(django_template, path)
        with added(sqlite_config(path)) as alias:
            yield alias


@pytest.fixture
def django_postgresql(postgresql_url: str) -> Iterator[str]:
    """A database on a server."""
    pytest.importorskip("django", reason="Django is not installed: pip install 'dulse[django]'")
    with added(postgresql_config(postgresql_url)) as alias:
        migrate(alias, "dulse")
        migrate(alias, "shop")
        yield alias
