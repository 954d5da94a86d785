"""Make the environment in which the peers are installed, and go on in it."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv"
STAMP = ENVIRONMENT / "installed"
REQUIREMENTS = HERE / "requirements.txt"


def make_environment() -> None:
    """Install the peers and dulse itself, from its sources."""
    wanted = REQUIREMENTS.read_text()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    print("Installing the peers in benchmarks/.venv …", flush=True)
    venv.create(ENVIRONMENT, with_pip=True)
    install = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS, "-e", HERE.parent]
    subprocess.run([str(part) for part in install], check=True)
    STAMP.write_text(wanted)


def main() -> None:
    """Begin anew inside the environment of the peers."""
    make_environment()
    python = str(ENVIRONMENT / "bin" / "python")
    os.chdir(HERE.parent)
    os.execv(python, [python, "-m", "benchmarks.run", *sys.argv[1:]])  # noqa: S606 - the interpreter made above


if __name__ == "__main__":
    main()
