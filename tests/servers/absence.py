"""What happens to tests whose server is not installed: skipped and counted on a laptop, failed in CI."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

SBIN = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/sbin"))
"""Where Debian puts servers, and where people who are not root have no PATH to."""

MARK = "no server: "
"""How the reason of such a skip begins."""


class Absent(Exception):
    """A server is not there; the text says what to install."""


def program(name: str, package: str) -> str:
    """Find a program, or raise Absent naming its Debian package."""
    path = name if Path(name).exists() else shutil.which(name) or shutil.which(name, path=SBIN)
    if path is None:
        raise Absent(f"{Path(name).name} is not installed (Debian: apt-get install {package})")
    return path


def skip_or_fail(why: Absent, *, even_in_ci: bool = False) -> NoReturn:
    """Skip the test; in CI fail it, unless CI may lack this one too."""
    if os.environ.get("CI") == "true" and not even_in_ci:
        pytest.fail(f"CI must have every server: {why}", pytrace=False)
    pytest.skip(f"{MARK}{why}")


def summary(reasons: Iterable[str]) -> list[str]:
    """Lines that tell a person what was left out, from the reasons of all skips."""
    lacking = Counter(reason.partition(MARK)[2] for reason in reasons if MARK in reason)
    return [f"{count} tests not run: {why}" for why, count in sorted(lacking.items())]
