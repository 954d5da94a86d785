"""An environment is made with what the machine has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import environment


def test_a_module_is_looked_for_in_the_interpreter_that_is_named() -> None:
    assert environment.has(sys.executable, "json")
    assert not environment.has(sys.executable, "no_such_module_anywhere")


def test_without_pip_dulse_can_be_imported_from_its_sources(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    environment.link_sources(tmp_path)
    code = "import dulse; print(dulse.__file__)"
    python = str(tmp_path / "bin" / "python")
    where = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout
    assert where.strip() == str(environment.ROOT / "src" / "dulse" / "__init__.py")


def test_an_older_python_is_told_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert environment.main([str(tmp_path / "new"), "dev"]) == 1
    assert "dulse needs Python 3.11 or newer" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
