"""What killed test runs have left over is deleted by the next."""

from __future__ import annotations

import os
from pathlib import Path

from tests.servers.folders import LOCK, YOUNG, data_folder, delete_left_over


def age(folder: Path) -> None:
    old = folder.stat().st_mtime - 2 * YOUNG
    os.utime(folder, (old, old))


def test_a_folder_is_deleted_when_it_is_not_needed_any_more(tmp_path: Path) -> None:
    with data_folder(tmp_path) as made:
        made.joinpath("data").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_run_that_lives_is_kept(tmp_path: Path) -> None:
    with data_folder(tmp_path) as made:
        age(made)
        delete_left_over(tmp_path)
        assert made.exists()


def test_the_folder_of_a_run_that_died_is_deleted(tmp_path: Path) -> None:
    dead = tmp_path / "dulse-servers-x"
    dead.mkdir()
    dead.joinpath(LOCK).touch()
    age(dead)
    delete_left_over(tmp_path)
    assert not dead.exists()


def test_a_folder_that_is_being_made_is_kept(tmp_path: Path) -> None:
    new = tmp_path / "dulse-servers-x"
    new.mkdir()
    new.joinpath(LOCK).touch()
    delete_left_over(tmp_path)
    assert new.exists()
