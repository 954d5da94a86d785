"""What these tests say holds for the oldest Django that is served as well as for the newest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[3]
TESTED = ("4.2", "5.2")


def installed() -> str:
    import django

    return ".".join(map(str, django.VERSION[:2]))


@pytest.mark.parametrize("version", [version for version in TESTED if version != installed()])
def test_the_other_django_that_is_served_passes_the_same_tests(tmp_path: Path, version: str) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path), f"Django=={version}.*"]
    found = subprocess.run(pip, check=False, capture_output=True, text=True)
    if found.returncode != 0:
        pytest.skip(f"Django {version} can't be installed here, so that only {installed()} is tested: {found.stderr}")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "DULSE"))}
    environment = {**inherited, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    asked = [sys.executable, "-c", "import django; print(django.get_version())"]
    told = subprocess.run(asked, check=True, capture_output=True, text=True, env=environment).stdout

    tests = ["tests/transports/django", "tests/conformance/test_django.py"]
    run = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(run, check=False, capture_output=True, text=True, env=environment, cwd=ROOT)

    assert told.startswith(f"{version}.")
    assert done.returncode == 0, done.stdout[-4000:]
